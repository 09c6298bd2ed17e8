"""The JSON documents of a recovery, without secrets and write keys; docs/recovery-json.md describes them."""

from collections.abc import Iterable
from typing import Any

from jitsu_backup.model import iso_time
from jitsu_backup.operations.recovery import (
    LeftOut,
    OptionSet,
    RecoveryOutcome,
    WorkspaceRecovery,
)
from jitsu_backup.operations.recovery.unused import without_another
from jitsu_backup.operations.recovery_losses import RecoveryLoss, counted
from jitsu_backup.reports.json_documents import archive_document, extras_document, residue_document
from jitsu_backup.reports.recovery import missing_overlay, reason, run_summary
from jitsu_backup.reports.recovery_endings import ending, standing, written
from jitsu_backup.reports.recovery_next_steps import with_new_id
from jitsu_backup.reports.recovery_remarks import RestoreCommand, not_known, notes
from jitsu_backup.reports.recovery_values import RecoveryReport

VERSION = 1
"""The version of the documents. It grows when a field is removed or changes its meaning, not when one is added."""


def recovery_plan_document(report: RecoveryReport) -> dict[str, Any]:
    """Return a plan that is not carried out."""
    return {**_head(report), "exit_code": report.plan.exit_code, "plan": _plan(report)}


def recovery_document(report: RecoveryReport) -> dict[str, Any]:
    """Return a recovery that was carried out, completely or in part."""
    run = report.run
    assert run is not None  # noqa: S101  for the type checker
    return {
        **_head(report),
        "exit_code": run.exit_code,
        "interrupted": run.interrupted,
        "seconds": round(run.seconds, 1),
        "keys_out": report.keys_out,
        "next": list(map(str, run_summary(report, run).next_steps)),
        "workspaces": [_outcome(outcome, report) for outcome in run.outcomes],
        "plan": _plan(report),
    }


def _head(report: RecoveryReport) -> dict[str, Any]:
    plan = report.plan
    return {
        "document": "recovery",
        "version": VERSION,
        "store": report.store,
        "source_host": plan.source_host,
        "host": plan.host,
        "other_hosts": list(plan.other_hosts),
    }


def _plan(report: RecoveryReport) -> dict[str, Any]:
    plan = report.plan
    return {
        "seconds": round(plan.seconds),
        "seconds_at_most": round(plan.seconds_at_most),
        "oldest": None if plan.oldest is None else iso_time(plan.oldest),
        "new_write_keys": plan.made_keys,
        "workspaces": [_workspace(one, report.restore) for one in plan.workspaces],
        "left_out": [_left_out(one) for one in plan.left_out],
        "clashes": [
            {"kind": one.kind.value, "name": one.name, "claimed_by": list(one.claimed_by)}
            for one in plan.clashes
        ],
        "overlay": "\n\n".join(missing_overlay(plan)),
    }


def _workspace(one: WorkspaceRecovery, command: RestoreCommand) -> dict[str, Any]:
    plan = None if one.prepared is None else one.prepared.plan
    return {
        **_named(one),
        "standing": standing(one).value,
        "problem": None
        if one.problem is None
        else {"code": one.problem.exit_code, "why": reason(one.problem, one, command)},
        "archive": archive_document(one.archive),
        "renamed": one.renamed or None,
        "called_now": None
        if one.called_now is None
        else {"slug": one.called_now.slug, "name": one.called_now.name},
        "old": one.is_old,
        "not_taken": [
            {
                "archive": archive_document(past.archive),
                "why": without_another(past.why),
                "code": past.exit_code,
            }
            for past in one.passed_over
        ],
        "entities": len(one.snapshot.entities),
        "to_write": one.writes if one.goes else 0,
        "counts": {} if plan is None else plan.counts(),
        "overwritten": [
            {**a.key._asdict(), "name": a.name, "fields": list(a.changes)} for a in one.overwritten
        ],
        "taken_ids": [
            {**taken.key._asdict(), "name": taken.name, "used_by": taken.used_by} for taken in one.taken
        ],
        "only_in_target": [] if plan is None else extras_document(plan.extras),
        "new_write_keys": 0 if plan is None else plan.made_keys,
        "not_known": not_known(one),
        "shortfalls": residue_document(one.shortfalls),
        "lacking": counted(one.losses),
        "losses": _losses(one.losses),
        "write_keys_before": _losses(one.keys_before),
        "members": _members(one),
        "options": _options(one.options),
        "notes": notes(one, command),
        **_remarks(one),
    }


def _outcome(outcome: RecoveryOutcome, report: RecoveryReport) -> dict[str, Any]:
    one, result = outcome.recovery, outcome.result
    failed = () if result is None else tuple(o for o in result.outcomes if o.failed)
    return {
        **_named(one),
        "target_id": outcome.target_id,
        "ended": ending(outcome).value,
        "exit_code": outcome.exit_code,
        "problem": None if outcome.problem is None else reason(outcome.problem, one, report.restore),
        "made": outcome.made,
        "renamed": outcome.renamed or None,
        "written": written(outcome),
        "not_done": [
            {**o.action.key._asdict(), "name": o.action.name, "status": o.status.value, "reason": o.reason}
            for o in failed
        ],
        "new_ids": [
            {**created.action.key._asdict(), "name": created.action.name, "new_id": created.target_id}
            for created in with_new_id(outcome)
        ],
        "residue": [] if result is None else residue_document(result.found),
        "verified": result is None or result.verified,
        "new_write_keys": 0 if result is None else len(result.keys),
        "losses": _losses(one.losses),
        **_remarks(one),
        "write_keys_before": _losses(one.keys_before),
        "members": _members(one),
        "memberless": outcome.memberless,
        "options_set": list(outcome.options_set),
        "options_left": _options(outcome.options_left),
        "record": None if result is None or result.record is None else str(result.record),
        "unrecorded": None if result is None else result.unrecorded or None,
        "not_backed_up": outcome.unbacked or None,
        "way_back": report.ways_back.get(outcome.target_id or ""),
    }


def _remarks(one: WorkspaceRecovery) -> dict[str, Any]:
    """Return what the target changed since it was recovered and keeps, and what is left out because it needs something."""
    return {
        "kept": [
            {
                **action.key._asdict(),
                "name": action.name,
                "deleted": action.deleted_there,
                "fields": list(action.own),
            }
            for action in one.kept
        ],
        "without": residue_document(one.without),
    }


def _named(one: WorkspaceRecovery) -> dict[str, Any]:
    return {
        "workspace": one.slug,
        "workspace_id": one.workspace_id,
        "name": one.snapshot.manifest.source.name,
        "target_id": one.target_id,
    }


def _left_out(one: LeftOut) -> dict[str, Any]:
    return {
        "workspace": one.slug,
        "workspace_id": one.workspace_id,
        "why": without_another(one.why),
        "code": one.exit_code,
    }


def _losses(found: Iterable[RecoveryLoss]) -> list[dict[str, str]]:
    return [
        {"kind": loss.kind.label, **loss.key._asdict(), "name": loss.name, "path": loss.path}
        for loss in found
    ]


def _members(one: WorkspaceRecovery) -> list[dict[str, str | None]]:
    return [
        {
            "email": member.email,
            "role": member.role,
            "as_of": None if member.as_of is None else iso_time(member.as_of),
        }
        for member in one.members
    ]


def _options(found: Iterable[OptionSet]) -> list[dict[str, str]]:
    return [{"section": option.section, "problem": option.problem} for option in found]
