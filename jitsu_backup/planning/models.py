"""Models: the console connects to their warehouse whenever one is saved [model/create-warehouse-without-password]."""

from collections.abc import Mapping
from typing import Any

from jitsu_backup.catalogue import subtype
from jitsu_backup.model import Entity, Key, flag, some_of
from jitsu_backup.planning.candidate import Candidate, Planned
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import Action, ActionKind

_TRIMMED = ("name", "query")


def trimmed(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a model in the form that the console stores [model/get-second]."""
    return {n: v.strip() if n in _TRIMMED and isinstance(v, str) else v for n, v in body.items()}


def checked_model(
    pairs: Pairs, candidate: Candidate, action: Action, earlier: Mapping[Key, Planned]
) -> Action:
    """Return the action of a model, stopped if the console could not read its warehouse.

    `earlier` is what is planned already. Without the secrets of its warehouse, which somebody decided to do without, a model
    is skipped. What another run cannot change is blocked.
    """
    sides = pairs.sides
    for key in sides.named(("destination",), str(candidate.desired.get("warehouseId"))):
        warehouse, called = sides.desired[key], sides.called(sides.by_key[key])
        if not _is_readable(warehouse):
            out = f"leave it out with {flag('--skip', candidate.key)}"
            reason = f"its warehouse, {called}, is of a type that models cannot read; {out}"
            return action.stopped(ActionKind.BLOCKED, reason)
        unread = earlier[key].unread if key in earlier else ()
        if unread:
            reason = (
                f"its warehouse, {called}, lacks its secret{'' if len(unread) == 1 else 's'} {some_of(unread, 5)}:"
                f" the console connects to the warehouse before it saves a model; provide {'it' if len(unread) == 1 else 'them'} with --overlay"
            )
            is_decided = sides.options.allow_missing_secrets
            return action.stopped(ActionKind.SKIPPED if is_decided else ActionKind.BLOCKED, reason)
    return action


def _is_readable(warehouse: Entity) -> bool:
    """Return whether models can read a destination: PostgreSQL by password, ClickHouse over HTTP, BigQuery."""
    body = warehouse.body
    match subtype(warehouse):
        case "postgres":
            return bool(body.get("authenticationMethod", "password") == "password")
        case "clickhouse":
            return body.get("provisioned") is True or body.get("protocol") in ("http", "https")
        case kind:
            return kind == "bigquery"
