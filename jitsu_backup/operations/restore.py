"""Restoring: the target is read, a plan made, carried out, read back and compared."""

import asyncio
import functools
import secrets
import string
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime

from jitsu_backup.console import Console
from jitsu_backup.console.claimed_elsewhere import ClaimedElsewhere, host_names, used_elsewhere
from jitsu_backup.console.console_info import read_schemas
from jitsu_backup.console.reader import Seen, read_workspace
from jitsu_backup.console.workspaces import lives_there, sees_workspace
from jitsu_backup.errors import BackupError, ConsoleError, MistakeError, TargetChangedError
from jitsu_backup.events import Reporter
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.operations.apply_plan import ActionOutcome, PlanExecutor, Status
from jitsu_backup.operations.write_keys import StreamKey
from jitsu_backup.planning import (
    KEY_FIELDS,
    Extra,
    Kind,
    Loss,
    Plan,
    PlanOptions,
    Residue,
    changed_since,
    changes_in_words,
    entity_names,
    fingerprints,
    left_out,
    make_plan,
    residue,
    schemas_needed,
)

UNSEEN_KEYS = (
    "write keys go along with their hashes; only the operator's token can tell whether a workspace that this key"
    " cannot see has them too, and one key on two streams makes events ambiguous"
)

_ALPHABET = string.ascii_letters + string.digits


LOOKS = 5
"""How often the target is backed up anew because it has changed meanwhile, before the restore gives up."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a restore ended. `verified` tells that the target was read back; only then `found` says what differs.

    `extras` are what only the target has then. `sent` tells that a write was sent, whatever became of it.
    """

    plan: Plan
    outcomes: list[ActionOutcome] = field(default_factory=list)
    found: list[Residue] = field(default_factory=list)
    keys: list[StreamKey] = field(default_factory=list)
    interrupted: bool = False
    failure: BackupError | None = None
    way_back: str | None = None
    verified: bool = False
    sent: bool = False
    extras: tuple[Extra, ...] = ()


async def prepare(
    console: Console,
    workspace: str,
    snapshot: Snapshot,
    options: PlanOptions,
    report: Reporter,
    *,
    now: Callable[[], datetime],
    seen: Seen | None = None,
) -> tuple[Plan, Snapshot, PlanOptions]:
    """Read the target and make the plan; give the options completed by what the console told.

    `seen` is brought up to date, for `carry_out` to look again.

    Raises ConsoleError, AccessError, UsageError.
    """
    async with console:
        live = await read_workspace(console, workspace, now=now, report=report, seen=seen)
        check_target(live)
        entities = [e for e in snapshot.entities if e.key.type not in live.manifest.not_offered]
        schemas = await read_schemas(console, schemas_needed(tuple(entities)))
        source, target = snapshot.manifest.source, live.manifest.source
        same_console = await lives_there(console, snapshot)
        claimed = {name for e in snapshot.entities for name in host_names(e.key.type, e.body)}
        elsewhere = ClaimedElsewhere({}, {})
        if claimed or snapshot.secrets:
            first = source if same_console else None
            elsewhere = await used_elsewhere(console, target.workspace_id, first)
        domains = dict(elsewhere.domains)
        moved = claimed and same_console and source.workspace_id != target.workspace_id
        if moved and not await sees_workspace(console, source.workspace_id):
            # nobody can tell, so they count as in use where they came from
            domains |= dict.fromkeys(claimed, source.slug or source.workspace_id)
    options = replace(
        options,
        schemas=schemas,
        domains_elsewhere=domains,
        keys_elsewhere=frozenset(elsewhere.key_ids),
        same_console=same_console,
    )
    plan = make_plan(snapshot, live, options)
    if _sends_hashes(plan) and not elsewhere.all_streams:
        plan = replace(plan, notes=(*plan.notes, UNSEEN_KEYS))
    return plan, live, options


def _sends_hashes(plan: Plan) -> bool:
    lists = (
        action.body.get(name) for action in plan.writes if action.key.type == "stream" for name in KEY_FIELDS
    )
    return any(
        isinstance(key, Mapping) and key.get("hash")
        for keys in lists
        if isinstance(keys, list)
        for key in keys
    )


def check_target(live: Snapshot) -> None:
    """Raise ConsoleError where a plan would be unsafe: the target was not read whole."""
    missing = [refusal for refusal in live.manifest.refused if refusal.missing]
    if missing:
        raise ConsoleError(
            f"the target could not be read whole, so nothing is safe: {missing[0].what}: {missing[0].reason}"
        )


async def carry_out(
    console: Console,
    snapshot: Snapshot,
    live: Snapshot,
    plan: Plan,
    options: PlanOptions,
    keys: dict[tuple[str, str, str], StreamKey],
    report: Reporter,
    *,
    now: Callable[[], datetime],
    stop: asyncio.Event | None = None,
    fail_fast: bool = False,
    while_writing: AbstractContextManager[object] | None = None,
    seen: Seen | None = None,
    keep: Callable[[Snapshot], Awaitable[None]] | None = None,
    before_writing: Callable[[], None] = lambda: None,
    may_write: Callable[[], bool] = lambda: True,
    keeps_result: bool = False,
) -> Result:
    """Look at the target once more, carry out a plan, read back, and return what happened.

    `keys` are those of `write_keys.new_keys`. Once `stop` is set, or `may_write` says no, nothing more is begun.
    `while_writing` is entered for as long as something is written. `seen` is that of `prepare`. `keep` stores the target
    as it is when the first write is sent, if the plan changes or deletes anything; `before_writing` is called after that.

    With `keeps_result`, being cancelled after the first write ends in a result too.

    Raises TargetChangedError where the plan no longer fits, and what `keep` raises: then nothing was written. Whatever
    happens after the first write is part of the result.
    """
    stop, seen = stop or asyncio.Event(), seen or Seen()
    async with console:
        look = functools.partial(_look, console, plan, now=now, report=report, seen=seen)
        for action in plan.writes:  # the way back needs the cursors of what is deleted as they are now
            seen.cursors.pop(str(action.target_id) if action.kind is Kind.DELETE else "", None)
        await console.ready()  # else the first write would wait behind the last look
        live = await _as_planned(look, snapshot, live, plan, options, keep if plan.touches else None)
        before_writing()
        importer = PlanExecutor(
            console, plan, keys, live=live, stop=stop, fail_fast=fail_fast, may_write=may_write, report=report
        )
        with while_writing or nullcontext():
            failure, cancelled = await _outcome_of(importer.run(), keeps_result=keeps_result)
            result = _written(plan, importer, keys, failure, cancelled=cancelled, stopped=stop.is_set())
            if failure is not None or result.interrupted:
                return result
            seen.cursors = {}
            return await _read_back(result, importer, snapshot, options, look, keeps_result=keeps_result)


async def _outcome_of(job: Awaitable[object], *, keeps_result: bool) -> tuple[BackupError | None, bool]:
    """Run what may have written something; return its failure, and whether it was cancelled."""
    try:
        await job
    except asyncio.CancelledError:
        if not keeps_result:
            raise
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        return None, True
    except BackupError as problem:
        return problem, False
    except Exception as bug:  # noqa: BLE001  what was done is to be told of all the same
        return MistakeError.of(bug), False
    return None, False


async def _read_back(
    result: Result,
    importer: PlanExecutor,
    snapshot: Snapshot,
    options: PlanOptions,
    look: Callable[[], Awaitable[Snapshot]],
    *,
    keeps_result: bool,
) -> Result:
    """Read the target back and compare; where that fails, return what was done as not verified."""
    verified: list[Result] = []

    async def read() -> None:
        after = await importer.remove_own_duplicates(await look())
        verified.append(_verified(result, importer, snapshot, after, options))

    failure, cancelled = await _outcome_of(read(), keeps_result=keeps_result)
    if failure is not None:
        failure = failure.with_context(
            before="all was sent, but not verified, because it could not be read back: "
        )
    return verified[0] if verified else replace(result, failure=failure, interrupted=cancelled)


async def _look(
    console: Console, plan: Plan, *, now: Callable[[], datetime], report: Reporter, seen: Seen
) -> Snapshot:
    """Read the target again. Raises ConsoleError where something of it cannot be read."""
    live = await read_workspace(console, plan.target.workspace_id, now=now, report=report, seen=seen)
    check_target(live)
    return live


async def _as_planned(
    look: Callable[[], Awaitable[Snapshot]],
    snapshot: Snapshot,
    live: Snapshot,
    plan: Plan,
    options: PlanOptions,
    keep: Callable[[Snapshot], Awaitable[None]] | None,
) -> Snapshot:
    """Return the target as it is right before the first write, and as `keep` has stored it.

    Raises TargetChangedError where the plan does not fit it any more.
    """
    kept: Snapshot | None = None
    for _ in range(LOOKS):
        fresh = await look()
        check_plan_fits(plan, snapshot, live, fresh, options)
        if keep is None or (kept is not None and not changes_between(kept, fresh)):
            return fresh
        await keep(fresh)
        kept = fresh
    raise TargetChangedError(
        "the target keeps changing while it is backed up: nothing was written; try again later"
    )


def changes_between(before: Snapshot, now: Snapshot) -> dict[str, str]:
    """Return what somebody has changed between two readings of a workspace, as `changed_since` does."""
    if before.entities == now.entities:
        return {}
    return changed_since(fingerprints(before, ""), fingerprints(now, ""))


def check_plan_fits(
    plan: Plan, snapshot: Snapshot, live: Snapshot, fresh: Snapshot, options: PlanOptions
) -> None:
    """Raise TargetChangedError where the target has changed since a plan was made, so that it would do something else."""
    changed = changes_between(live, fresh)
    if not changed:
        return
    touched = {
        f"{action.key.type}/{action.target_id}" for action in plan.writes if action.kind is not Kind.CREATE
    }
    again = make_plan(snapshot, fresh, replace(options, checks_selectors=False))
    if touched & changed.keys() or again.actions != plan.actions or again.ids != plan.ids:
        names = {
            str(key): name for side in (live, fresh) for key, name in entity_names(side.entities).items()
        }
        raise TargetChangedError(
            f"the target has changed since the plan was made: {changes_in_words(changed, names)}; nothing was written"
        )


def _written(
    plan: Plan,
    importer: PlanExecutor,
    keys: Mapping[tuple[str, str, str], StreamKey],
    failure: BackupError | None,
    *,
    cancelled: bool,
    stopped: bool,
) -> Result:
    """Return what was done, with the write keys that may be in use, before anything was read back."""
    outcomes = importer.outcomes()
    done = {o.action.key for o in outcomes if o.status is Status.DONE}
    overtaken = {o.action.key for o in outcomes if o.status is Status.OVERTAKEN}
    # a key is only worth showing when its stream may exist, and is ours
    unsure = failure is not None or cancelled
    attempted = {a.key.id for a in plan.writes if (unsure or a.key in done) and a.key not in overtaken}
    shown = [
        replace(key, stream_id=importer.ids.get(Key("stream", stream_id), key.stream_id))
        for (stream_id, _, _), key in keys.items()
        if stream_id in attempted
    ]
    reached = all(outcome.status is not Status.NOT_ATTEMPTED for outcome in outcomes)
    interrupted = cancelled or (stopped and not (reached and len(outcomes) == len(plan.writes)))
    return Result(plan, outcomes, [], shown, interrupted, failure, sent=importer.sent)


def _verified(
    result: Result, importer: PlanExecutor, snapshot: Snapshot, after: Snapshot, options: PlanOptions
) -> Result:
    """Compare the target as it was read back with what it should be."""
    outcomes = importer.outcomes()
    check = make_plan(
        snapshot, after, replace(options, resend_secrets=False, accept_shrink=True, checks_selectors=False)
    )
    made = [outcome for outcome in outcomes if outcome.action.kind is not Kind.DELETE]
    reasons: dict[Key, tuple[Loss, ...]] = {
        o.action.key: (*o.losses, *((Loss("", o.reason),) if o.reason else ())) for o in made
    }
    undeleted = {o.action.key: o.reason for o in outcomes if o.action.kind is Kind.DELETE and o.reason}
    left = left_out(o.action for o in made if o.status is not Status.OVERTAKEN)
    found = {*residue(check, reasons, undeleted), *left}
    found |= {
        Residue(o.action.key, o.action.name, loss.path, loss.reason)
        for o in made
        if o.status is Status.OVERTAKEN
        for loss in o.losses
    }
    told = {line.key for line in found}
    twice = "is there twice: somebody else, or a late request, made it meanwhile"
    found |= {Residue(e.key, e.name, "", twice) for e in importer.duplicates(after) if e.key not in told}
    return replace(result, outcomes=outcomes, found=sorted(found), extras=check.extras, verified=True)


def new_secret() -> str:
    """Give a fresh secret for a write key: 32 letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(32))
