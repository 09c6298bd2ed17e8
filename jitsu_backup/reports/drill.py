"""The report about a drill: in words, for the terminal and for pages, and as JSON; without secrets."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from jitsu_backup.model import ago, iso_time, lasting, lasting_between, plural, some_of
from jitsu_backup.operations.drill import Drill, DrilledWorkspace
from jitsu_backup.operations.recovery.unused import locked_workspaces
from jitsu_backup.operations.recovery_losses import LossKind, counted, in_words
from jitsu_backup.reports.recovery import claimed_by_several, run_summary, troubles
from jitsu_backup.reports.recovery_documents import recovery_document
from jitsu_backup.reports.recovery_values import Listing, NextStep, RecoveryReport, RecoverySummary

VERSION = 1
"""The version of the document. It grows when a field is removed or changes its meaning, not when one is added."""

_OF_A_WORKSPACE = (
    "workspace", "workspace_id", "name", "ended", "problem", "renamed", "residue", "losses", "members", "options_left",
)  # fmt: skip
"""The fields of a workspace in the document of a recovery that also apply to a drill."""


def drill_summary(drill: Drill, store: str, *, fail_on_losses: bool = False) -> RecoverySummary:
    """Return the report of a drill; `store` says where the archives are."""
    run = replace(drill.run, plan=replace(drill.plan, left_out=drill.left_out))
    summary = run_summary(RecoveryReport(run.plan, drill.began, store, run), run)
    ages = {label: value for label, value in summary.facts if label in ("backed up", "older")}
    clashes = claimed_by_several(drill.plan)
    console = f"an empty console in memory ({drill.generation})"
    subject = f"{drill.plan.source_host} → {console}" if drill.plan.source_host else console
    return replace(
        summary,
        title="Drill",
        subject=subject,
        state="; ".join(filter(None, (drill_state(drill), troubles(run)))),
        good=not drill.exit_code(fail_on_losses=fail_on_losses) and not _without_secrets(drill),
        facts=(("from", store), *ages.items(), *_facts(drill)),
        listings=(
            *(_with(clashes, summary.listings) if clashes.rows else summary.listings),
            *_left_out_on_purpose(drill),
        ),
        next_steps=tuple(_next_steps(drill)),
    )


def _left_out_on_purpose(drill: Drill) -> Iterator[Listing]:
    """Yield the workspaces that need no recovery: another has taken their place, or they were deleted on purpose."""
    rows = tuple((one.slug, one.why) for one in drill.plan.left_out if not one.exit_code)
    if rows:
        yield Listing("Left out on purpose", ("Workspace", "Why"), rows, detailed=True, alike=True)


def drill_state(drill: Drill) -> str:
    """Return how many workspaces come back, and without how many secrets, because `recover` asks for these first."""
    back = f"{len(drill.back)} of {plural(len(drill.workspaces) + len(drill.left_out), 'workspace')}"
    without = _without_secrets(drill)
    if not without:
        return f"{back} restored completely"
    secrets = sum(counted(one.losses)[LossKind.SECRET.label] for one in without)
    them = "it" if secrets == 1 else "them"
    comes = "comes" if len(drill.back) == 1 else "come"
    return (
        f"{back} {comes} back; {plural(secrets, 'secret')} {'is' if secrets == 1 else 'are'} missing in {len(without)} of them:"
        f" `recover` is blocked until you provide {them}"
    )


def _without_secrets(drill: Drill) -> list[DrilledWorkspace]:
    """Return the workspaces that come back, but without all secrets."""
    return [one for one in drill.back if counted(one.losses)[LossKind.SECRET.label]]


def _with(listing: Listing, others: tuple[Listing, ...]) -> tuple[Listing, ...]:
    """Return listings with one more, behind the urgent ones."""
    urgent = tuple(one for one in others if one.urgent)
    return (*urgent, listing, *others[len(urgent) :])


def _facts(drill: Drill) -> Iterator[tuple[str, str]]:
    if not drill.workspaces:
        yield "restored", "nothing, because no archive could be used"
        yield "took", lasting(drill.seconds)
        return
    if drill.oldest is not None:
        oldest = min(drill.plan.workspaces, key=lambda one: one.archive.taken_at)
        since = ago(oldest.archive.taken_at, drill.began)
        yield "oldest", f"{oldest.slug}, {since}: changes since then would be lost"
    yield (
        "restored",
        f"{drill.restored:,} of {plural(drill.meant, 'entity', 'entities')}, compared down to secrets and cursors",
    )
    besides = f"; unknown for {plural(len(drill.left_out), 'workspace')} left out" if drill.left_out else ""
    yield "would be missing", (in_words(counted(drill.losses)) or "nothing") + besides
    yield "senders", _senders_in_words(drill) + besides
    yield "would take", _forecast_in_words(drill)
    yield "took", lasting(drill.seconds)


def _senders_in_words(drill: Drill) -> str:
    if not drill.senders:
        return "none would have to change, if the new console has the hash secret of the old one"
    slugs = [one.outcome.recovery.slug for one in drill.workspaces if _new_keys(one)]
    return f"{plural(drill.senders, 'write key')} would be new, in {some_of(slugs, 3)}"


def _new_keys(one: DrilledWorkspace) -> int:
    return counted(one.losses)[LossKind.WRITE_KEY.label]


def _forecast_in_words(drill: Drill) -> str:
    if not drill.limits:
        return "only as long as the console needs: a console of 2024 has no rate limits"
    limited = f"{lasting_between(*drill.forecast())} with a person's key (counting only the rate limits of a 2026 console)"
    return f"{limited}; with the operator's token only as long as the console needs"


def _next_steps(drill: Drill) -> Iterator[NextStep]:
    """Yield what to do to prepare for the loss of the console."""
    lacking = counted(drill.losses)
    unused = {one.workspace_id: one.locked for one in drill.left_out if not one.later}
    unused |= {
        one.workspace_id: any(past.locked for past in one.passed_over)
        for one in drill.plan.workspaces
        if one.passed_over
    }
    locked = locked_workspaces(drill.plan)
    if locked:
        of = plural(locked, "workspace")
        yield NextStep(f"Give the --identity or passphrase that opens the archives of {of}, and drill again")
    if later := sum(one.later and not one.waits for one in drill.left_out):
        yield NextStep(f"Drill again once the store can be read: it did not give {plural(later, 'archive')}")
    if unread := len(unused) - locked:
        of = plural(unread, "workspace")
        yield NextStep(f"Fix what the report says about the newest archive of {of}, or back up again")
    if not_back := sum(one.outcome.recovery.newer is None for one in drill.not_back):
        yield NextStep(
            f"Fix in the console what could not be restored in {plural(not_back, 'workspace')}, and back up again"
        )
    if lacking[LossKind.SECRET.label] or drill.senders:
        yield NextStep(
            "Back up with the operator's token (--admin-token), which can read secrets and the hashes of write keys, or keep the"
            " secrets in a safe place"
        )


def drill_document(drill: Drill, store: str, *, fail_on_losses: bool = False) -> dict[str, Any]:
    """Return a drill for JSON; docs/recovery-json.md describes it."""
    recovery = recovery_document(RecoveryReport(drill.plan, drill.began, store, drill.run))
    oldest = drill.plan.oldest
    return {
        "document": "drill",
        "version": VERSION,
        "store": store,
        "source_host": drill.plan.source_host,
        "generation": drill.generation,
        "began": iso_time(drill.began),
        "seconds": round(drill.seconds, 1),
        "exit_code": drill.exit_code(fail_on_losses=fail_on_losses),
        "whole": len(drill.back),
        "restored": drill.restored,
        "meant": drill.meant,
        "lacking": counted(drill.losses),
        "senders": drill.senders,
        "forecast": forecasts(drill),
        "oldest": None if oldest is None else iso_time(oldest),
        "rpo_seconds": None if drill.oldest is None else round(drill.oldest.total_seconds()),
        "workspaces": [
            _workspace(one, ended, planned, drill)
            for one, ended, planned in zip(
                drill.workspaces, recovery["workspaces"], recovery["plan"]["workspaces"], strict=True
            )
        ],
        "left_out": recovery["plan"]["left_out"],
        "clashes": recovery["plan"]["clashes"],
    }


def forecasts(drill: Drill) -> dict[str, int]:
    """Return the least seconds that a real recovery takes: with a person's key, with both, with the operator's token."""
    return {
        "person": round(drill.forecast()[0]),
        "both": round(drill.forecast(writes_limited=False)[0]),
        "operator": round(drill.forecast(makes_limited=False, writes_limited=False)[0]),
    }


def _workspace(
    one: DrilledWorkspace, ended: dict[str, Any], planned: dict[str, Any], drill: Drill
) -> dict[str, Any]:
    rehearsal, age = one.rehearsal, drill.began - one.outcome.recovery.archive.taken_at
    return {
        **{name: ended[name] for name in _OF_A_WORKSPACE},
        "whole": one.is_back,
        "restored": rehearsal.restored,
        "meant": rehearsal.meant,
        "dead": [str(key) for key in rehearsal.dead],
        "lacking": counted(one.losses),
        "archive": planned["archive"],
        "age_seconds": round(age.total_seconds()),
        "old": planned["old"],
        "not_taken": planned["not_taken"],
    }
