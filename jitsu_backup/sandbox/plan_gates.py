"""Plan gates: what the plan of a workspace allows, on a console with a billing service [gate/entitlements]."""

from collections.abc import Mapping, Sequence
from typing import Any

from jitsu_backup.model import items_of, members_of
from jitsu_backup.sandbox.refusals import Refusal
from jitsu_backup.sandbox.state import State

_STITCHING = "builtin.transformation.user-recognition"
_DOMAINS_FEATURE = "misc"
_FREE_BACKUP_DAYS, _PAID_BACKUP_DAYS = 7, 90
_WITHOUT_DOMAINS = ("free",)
_WITHOUT_STITCHING = ("free", "business")


def entitlements(state: State, workspace_id: str) -> dict[str, bool | None]:
    """Return whether a workspace may have custom domains and identity stitching, or None if that is unknown."""
    granted = _has_domains_granted(state, workspace_id)
    if state.billing_down and state.plans is not None:
        return {"customDomains": True if granted else None, "identityStitching": None}
    plan = _plan(state, workspace_id)
    return {
        "customDomains": granted or plan not in _WITHOUT_DOMAINS,
        "identityStitching": plan not in _WITHOUT_STITCHING,
    }


def check_domains(
    state: State, workspace_id: str, type_name: str, after: Mapping[str, Any], before: Mapping[str, Any]
) -> None:
    """Raise Refusal for a new host name if the plan forbids it [gate/stream-domain-added]."""
    known = _domains_of(type_name, before)
    added = [name for name in _domains_of(type_name, after) if name not in known]
    if not added or _has_domains_granted(state, workspace_id):
        return
    if _verified_plan(state, workspace_id) in _WITHOUT_DOMAINS:
        message = (
            "Custom domains are available on the Business and Enterprise plans."
            f" Upgrade your workspace to add {', '.join(added)}."
        )
        raise Refusal(403, {"message": message})


def check_stitching(state: State, workspace_id: str, after: Any, before: Any) -> None:
    """Raise Refusal if a connection enables identity stitching although the plan forbids it [gate/stitching]."""
    if not _stitches(after) or _stitches(before):
        return
    if _verified_plan(state, workspace_id) in _WITHOUT_STITCHING:
        message = (
            "Identity Stitching is available on the Enterprise plan."
            " Contact sales to enable it for your workspace."
        )
        raise Refusal(403, {"message": message})


def backup_cap(state: State, workspace_id: str, days: int) -> int:
    """Return the most days for which events may be backed up. The plan is asked only if `days` exceed the minimum.

    Raise Refusal if the plan is unknown.
    """
    if days <= _FREE_BACKUP_DAYS:
        return _FREE_BACKUP_DAYS
    return _FREE_BACKUP_DAYS if _verified_plan(state, workspace_id) == "free" else _PAID_BACKUP_DAYS


def _verified_plan(state: State, workspace_id: str) -> str | None:
    if state.plans is not None and state.billing_down:  # [gate/billing-down]
        message = "Could not verify your subscription plan. Please try again in a few minutes."
        raise Refusal(503, {"message": message})
    return _plan(state, workspace_id)


def _plan(state: State, workspace_id: str) -> str | None:
    return None if state.plans is None else state.plans.get(workspace_id, "free")


def _has_domains_granted(state: State, workspace_id: str) -> bool:
    row = state.workspaces.get(workspace_id)
    return row is not None and _DOMAINS_FEATURE in row.features


def _domains_of(type_name: str, config: Mapping[str, Any]) -> Sequence[str]:
    named = {"stream": items_of(config.get("domains")), "domain": [config.get("name")]}.get(type_name, [])
    return [name.strip().lower() for name in named if isinstance(name, str) and name.strip()]


def _stitches(data: Any) -> bool:
    functions = items_of(members_of(data).get("functions"))
    return any(members_of(function).get("functionId") == _STITCHING for function in functions)
