"""Restoring: read the target, make a plan, apply it, read the target back and compare."""

import asyncio
import functools
import secrets
import string
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from jitsu_backup.archive import ArchiveName
from jitsu_backup.catalogue import CATALOGUE, names_of_refused
from jitsu_backup.console import Console
from jitsu_backup.console.claimed_elsewhere import ClaimedElsewhere, host_names
from jitsu_backup.console.client import gather
from jitsu_backup.console.reader import Seen, read_workspace
from jitsu_backup.console.reverse_sync_states import read_reverse_sync_states
from jitsu_backup.console.workspaces import is_read_only, lives_there, sees_workspace
from jitsu_backup.errors import (
    AccessError,
    BackupError,
    ConsoleError,
    KeyRejectedError,
    MistakeError,
    TargetChangedError,
)
from jitsu_backup.events import Reporter
from jitsu_backup.model import Key, Snapshot, features_of, items_of, members_of
from jitsu_backup.operations.apply_plan import ActionOutcome, PlanExecutor, Status
from jitsu_backup.operations.diff import recorded_schemas
from jitsu_backup.operations.neighbours import Neighbours, read_entitlements
from jitsu_backup.operations.safety_backup import WayBack
from jitsu_backup.operations.still_different import frees_what_changes, still_different
from jitsu_backup.operations.third_side import (
    BaseFinder,
    RecordFinder,
    missing_side,
    unrecorded_clone,
    with_authors,
    with_third_side,
)
from jitsu_backup.operations.write_keys import StreamKey, new_keys
from jitsu_backup.planning import (
    KEY_FIELDS,
    Action,
    ActionKind,
    Extra,
    Plan,
    PlanOptions,
    Residue,
    changed_since,
    changes_in_words,
    entitlements,
    entity_names,
    fingerprints,
    make_plan,
    residue,
    schemas_needed,
)

UNSEEN_KEYS = (
    "write keys are copied as hashes; another workspace that this key cannot see may use the same write keys, which makes"
    " events ambiguous (only the operator's token can check that)"
)


def unread_keys(why: str) -> str:
    """Return the note that nothing is known of the write keys of other workspaces, because they could not be read now."""
    return (
        f"write keys are copied as hashes; whether another workspace uses the same write keys, which makes events ambiguous,"
        f" could not be checked ({why}); plan again to check that"
    )


READ_ONLY = (
    "the target is read-only because of unpaid bills; its owner must pay them on the billing page before anything can be"
    " written"
)

LOOKS = 5
"""How often a target that keeps changing is read and backed up before the restore gives up."""

_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class PreparedRestore:
    """A plan and everything that it was made from. `plan.actions` say what applying it would do, and why.

    `live` is the target as it was read. `options` are completed with what the console answered. `keys` are the write keys
    to generate, by stream, field and id in the snapshot. `seen` allows the target to be read again with few requests.
    """

    plan: Plan
    snapshot: Snapshot = field(repr=False)
    live: Snapshot = field(repr=False)
    options: PlanOptions = field(repr=False)
    keys: Mapping[tuple[str, str, str], StreamKey] = field(default_factory=dict, repr=False)
    seen: Seen = field(default_factory=Seen, repr=False)


@dataclass(frozen=True, slots=True)
class Result:
    """How a restore ended. `found` says what still differs. It is known only if `verified`: the target was read back.

    `before` is the target right before the first write, and `after` the target at the end. `ids` are the target's ids of the
    snapshot's keys, and `extras` are the entities that only the target has. `sent` says whether a write was sent, whatever
    its outcome. `record` is the archive with the record of the run, and `unrecorded` is why it could not be stored.
    `half_deleted` are deletions that the end of the run cut off: reverse syncs that are disabled but still exist.
    """

    plan: Plan
    outcomes: list[ActionOutcome] = field(default_factory=list)
    found: list[Residue] = field(default_factory=list)
    keys: list[StreamKey] = field(default_factory=list)
    interrupted: bool = False
    failure: BackupError | None = None
    way_back: WayBack | None = None
    verified: bool = False
    sent: bool = False
    extras: tuple[Extra, ...] = ()
    before: Snapshot | None = field(default=None, repr=False)
    after: Snapshot | None = field(default=None, repr=False)
    ids: Mapping[Key, str] = field(default_factory=dict, repr=False)
    record: ArchiveName | None = None
    unrecorded: str = ""
    half_deleted: tuple[Action, ...] = ()

    @property
    def lost(self) -> tuple[tuple[Action, str], ...]:
        """What was deleted to be re-created, but was not re-created: the deletions, each with the reason."""
        made = {o.action.key: o for o in self.outcomes if o.action.kind is ActionKind.CREATE}
        done = [outcome.action for outcome in self.outcomes if outcome.status is Status.DONE]
        deleted = [action for action in done if frees_what_changes(action)]
        unmade = ((action, made.get(key)) for action in deleted for key in action.after)
        return tuple(
            (action, outcome.reason if outcome else "the run ended before it was re-created")
            for action, outcome in unmade
            if outcome is None or outcome.failed
        )


def nothing_to_write(prepared: PreparedRestore) -> Result:
    """Return the result of a plan without writes. It cannot remove the remaining differences."""
    plan, live = prepared.plan, prepared.live
    return Result(
        plan, found=residue(plan), extras=plan.extras, after=live, ids=dict(plan.ids), verified=True
    )


@dataclass(frozen=True, slots=True)
class Interruption:
    """How to interrupt a restore without losing its result: nothing more is started once `stop` is set.

    `while_writing` is entered while something is written. A cancellation then yields a result too.
    """

    stop: asyncio.Event
    while_writing: AbstractContextManager[object]


async def prepare(
    console: Console,
    workspace: str,
    snapshot: Snapshot,
    options: PlanOptions,
    report: Reporter,
    *,
    now: Callable[[], datetime],
    seen: Seen | None = None,
    find_record: RecordFinder | None = None,
    find_base: BaseFinder | None = None,
    neighbours: Neighbours | None = None,
) -> PreparedRestore:
    """Read the target, given by its id or slug, plan how to bring it to the state of a snapshot, and close the console.

    `seen` is what an earlier reading of the same target has left. `find_record` is called if `options` have no
    record; in place it finds which secrets were sent empty. `find_base` is that of the folder from which the snapshot was
    read. Pass `neighbours` to plan many targets on one console. Raise ConsoleError, AccessError, UsageError, and what
    `find_record` and `find_base` raise.
    """
    seen = seen or Seen()
    async with console:
        live = await read_workspace(console, workspace, now=now, report=report, seen=seen)
        check_target(live, seen)
        beside = neighbours or Neighbours(console)
        return await prepare_against(
            console, live, snapshot, options, beside, seen=seen, find_record=find_record, find_base=find_base
        )


async def prepare_against(
    console: Console,
    live: Snapshot,
    snapshot: Snapshot,
    options: PlanOptions,
    neighbours: Neighbours,
    *,
    seen: Seen | None = None,
    find_record: RecordFinder | None = None,
    find_base: BaseFinder | None = None,
) -> PreparedRestore:
    """Plan as `prepare` does, against a target that was read. A target still to create is empty, and its id is `""`.

    The console stays open.
    """
    entities = tuple(e for e in snapshot.entities if e.key.type not in live.manifest.not_offered)
    source, target = snapshot.manifest.source, live.manifest.source
    jobs: tuple[Coroutine[Any, Any, Any], ...] = (
        neighbours.schemas(schemas_needed(entities)),
        read_reverse_sync_states(console, target.workspace_id if live.of_type("reverse-sync") else None),
    )
    schemas, states = await gather(*jobs)
    same_console = await lives_there(console, snapshot)
    claimed = {name for e in snapshot.entities for name in host_names(e.key.type, e.body)}
    elsewhere = ClaimedElsewhere({}, {})
    if claimed or snapshot.secrets:
        first = source if same_console else None
        elsewhere = await neighbours.claimed(target.workspace_id, first)
    domains = {**options.domains_elsewhere, **elsewhere.domains}
    moved = claimed and same_console and source.workspace_id != target.workspace_id
    if moved and not await sees_workspace(console, source.workspace_id):
        # this is unknown, so they count as in use where they came from
        domains |= dict.fromkeys(claimed, source.slug or source.workspace_id)
    options = replace(options, overlay=options.overlay.of(source))
    options = await with_third_side(options, snapshot, live, find_record, find_base)
    options = replace(
        options,
        schemas=schemas,
        recorded_schemas=recorded_schemas() if options.overlay.rules else {},
        domains_elsewhere=domains,
        keys_elsewhere=options.keys_elsewhere.union(
            key
            for key, users in elsewhere.key_ids.items()
            if users - options.keys_beside.get(key, frozenset())
        ),
        same_console=same_console,
        locked_syncs=states.locked,
        busy_syncs=states.busy,
        knows_syncs=states.known,
    )
    plan, options = await _plan_as_subscribed(console, snapshot, live, options)
    plan = await with_authors(console, plan, options.record)
    plan = replace(
        plan,
        notes=(*plan.notes, *missing_side(options, snapshot, live, find_base)),
        attention=(*plan.attention, *unrecorded_clone(options, snapshot)),
    )
    if _sends_hashes(plan) and not elsewhere.all_streams:
        note = unread_keys(elsewhere.unread) if elsewhere.unread else UNSEEN_KEYS
        plan = replace(plan, notes=(*plan.notes, note))
    if is_read_only(live) and plan.writes:
        plan = replace(plan, notes=(READ_ONLY, *plan.notes))
    return PreparedRestore(plan, snapshot, live, options, new_keys(plan, new_secret), seen or Seen())


async def _plan_as_subscribed(
    console: Console, snapshot: Snapshot, live: Snapshot, options: PlanOptions
) -> tuple[Plan, PlanOptions]:
    """Return the plan and its options, which include the limits of the target's Jitsu subscription.

    The subscription limits only additions, so a plan that adds nothing needs no request for it.
    """
    plan = make_plan(snapshot, live, options)
    if not (plan.writes or plan.blocked) or not live.manifest.source.workspace_id:
        return plan, options
    answer = await read_entitlements(console, live.manifest.source.workspace_id)
    known = entitlements(answer, live.workspace)
    if not known.forbids:
        return plan, options
    options = replace(options, entitlements=known)
    return make_plan(snapshot, live, options), options


def _sends_hashes(plan: Plan) -> bool:
    streams = [action.body for action in plan.writes if action.key.type == "stream"]
    keys = (key for body in streams for name in KEY_FIELDS for key in items_of(body.get(name)))
    return any(members_of(key).get("hash") for key in keys)


def check_target(live: Snapshot, seen: Seen) -> None:
    """Raise ConsoleError if the target was not read completely, because a plan would be unsafe.

    Raise AccessError if that is because of the key.
    """
    missing = [refusal for refusal in live.manifest.refused if refusal.missing]
    if not missing:
        return
    if isinstance(seen.denied, KeyRejectedError):
        raise seen.denied
    failed = ConsoleError if seen.denied is None else AccessError
    what = names_of_refused(live)[missing[0].what]
    called = f"entities of type {what}" if what in CATALOGUE else what
    raise failed(f"the target could not be read completely: {called}: {missing[0].reason}")


async def carry_out(
    console: Console,
    prepared: PreparedRestore,
    report: Reporter,
    *,
    now: Callable[[], datetime],
    interruption: Interruption | None = None,
    fail_fast: bool = False,
    keep: Callable[[Snapshot], Awaitable[object]] | None = None,
    before_writing: Callable[[], None] = lambda: None,
    may_write: Callable[[], bool] = lambda: True,
) -> Result:
    """Read the target once more, apply the plan, read the target back, and close the console. Return what happened.

    `keep` stores the target right before the first write. Then `before_writing` is called. Once `may_write` returns False,
    nothing more is started.

    Raise TargetChangedError if the plan no longer fits, and what `keep` raises; then nothing was written. Failures after
    the first write are part of the result.
    """
    plan, seen = prepared.plan, prepared.seen
    stop = asyncio.Event() if interruption is None else interruption.stop
    keeps_result = interruption is not None
    async with console:
        look = functools.partial(_look, console, plan, now=now, report=report, seen=seen)
        for action in plan.writes:  # the backup needs the current cursors of what is deleted
            seen.cursors.pop(str(action.target_id) if action.kind is ActionKind.DELETE else "", None)
        await console.ready()  # otherwise the first write would wait behind the last reading
        live = await _as_planned(look, prepared, keep)
        before_writing()
        importer = PlanExecutor(
            console, plan, dict(prepared.keys),
            live=live, stop=stop, fail_fast=fail_fast, may_write=may_write, report=report,
        )  # fmt: skip
        with nullcontext() if interruption is None else interruption.while_writing:
            failure, cancelled = await _outcome_of(importer.run(), keeps_result=keeps_result)
            result = _written(prepared, importer, failure, cancelled=cancelled, stopped=stop.is_set())
            result = replace(result, before=live)
            if failure is not None or result.interrupted:
                return result
            seen.cursors = {}
            return await _read_back(result, importer, prepared, look, keeps_result=keeps_result)


async def _outcome_of(job: Awaitable[object], *, keeps_result: bool) -> tuple[BackupError | None, bool]:
    """Await a job that may have written something. Return its failure, and whether it was cancelled."""
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
    except Exception as bug:  # noqa: BLE001  what was done has to be reported all the same
        return MistakeError.of(bug), False
    return None, False


async def _read_back(
    result: Result,
    importer: PlanExecutor,
    prepared: PreparedRestore,
    look: Callable[[], Awaitable[Snapshot]],
    *,
    keeps_result: bool,
) -> Result:
    """Read the target back and compare. If that fails, return what was done as not verified."""
    verified: list[Result] = []

    async def read() -> None:
        after = await importer.remove_own_duplicates(await look())
        verified.append(_verified(result, importer, prepared, after))

    failure, cancelled = await _outcome_of(read(), keeps_result=keeps_result)
    if failure is not None:
        unverified = "all changes were sent, but not verified, because the target could not be read back: "
        failure = failure.with_context(before=unverified)
    return verified[0] if verified else replace(result, failure=failure, interrupted=cancelled)


async def _look(
    console: Console, plan: Plan, *, now: Callable[[], datetime], report: Reporter, seen: Seen
) -> Snapshot:
    """Read the target again. Raise ConsoleError if a part of it cannot be read."""
    live = await read_workspace(console, plan.target.workspace_id, now=now, report=report, seen=seen)
    check_target(live, seen)
    return live


async def _as_planned(
    look: Callable[[], Awaitable[Snapshot]],
    prepared: PreparedRestore,
    keep: Callable[[Snapshot], Awaitable[object]] | None,
) -> Snapshot:
    """Return the target right before the first write, as `keep` has stored it.

    Raise TargetChangedError if the plan no longer fits it.
    """
    kept: Snapshot | None = None
    for _ in range(LOOKS):
        fresh = await look()
        check_plan_fits(prepared, fresh)
        if keep is None or (kept is not None and not changes_between(kept, fresh)):
            return fresh
        await keep(fresh)
        kept = fresh
    raise TargetChangedError(
        "the target keeps changing while it is backed up; nothing was written; try again later"
    )


def changes_between(before: Snapshot, now: Snapshot) -> dict[str, str]:
    """Return what has changed between two readings of a workspace, as `changed_since` does."""
    if before.entities == now.entities:
        return {}
    return changed_since(fingerprints(before, ""), fingerprints(now, ""))


def check_plan_fits(prepared: PreparedRestore, fresh: Snapshot) -> None:
    """Raise TargetChangedError if the target has changed so that applying the plan would do something else."""
    plan, live = prepared.plan, prepared.live
    _check_features(live, fresh)
    changed = changes_between(live, fresh)
    if not changed:
        return
    writes = [action for action in plan.writes if action.kind is not ActionKind.CREATE]
    touched = {f"{action.key.type}/{action.target_id}" for action in writes}
    again = make_plan(prepared.snapshot, fresh, replace(prepared.options, checks_selectors=False))
    if touched & changed.keys() or again.actions != plan.actions or again.ids != plan.ids:
        names = entity_names(live.entities) | entity_names(fresh.entities)
        differences = changes_in_words(changed, {str(key): name for key, name in names.items()})
        raise _target_changed(differences)


def _target_changed(differences: str) -> TargetChangedError:
    return TargetChangedError(
        f"the target has changed since the plan was made: {differences}; nothing was written; run this again"
    )


def _check_features(before: Snapshot, now: Snapshot) -> None:
    """Raise TargetChangedError if the workspace's features have changed, because they decide what may be written.

    Without its feature, what is deleted to be re-created could not be created [reverse-sync/create-feature-off], and
    nothing can be written into a workspace that is read-only [readonly/create].
    """
    had, has = (features_of(one.workspace) for one in (before, now))
    switched = [f"feature {name} is switched {'on' if name in has else 'off'}" for name in sorted(had ^ has)]
    if switched:
        raise _target_changed("; ".join(switched))


def _written(
    prepared: PreparedRestore,
    importer: PlanExecutor,
    failure: BackupError | None,
    *,
    cancelled: bool,
    stopped: bool,
) -> Result:
    """Return what was done, before anything was read back, with the write keys that may be in use."""
    plan, outcomes = prepared.plan, importer.outcomes()
    done = {o.action.key for o in outcomes if o.status is Status.DONE}
    overtaken = {o.action.key for o in outcomes if o.status is Status.OVERTAKEN}
    # a write key is shown only if its stream may exist and this run created it
    unsure = failure is not None or cancelled
    attempted = {a.key.id for a in plan.writes if (unsure or a.key in done) and a.key not in overtaken}
    shown = [
        replace(key, stream_id=importer.ids.get(Key("stream", stream_id), key.stream_id))
        for (stream_id, _, _), key in prepared.keys.items()
        if stream_id in attempted
    ]
    reached = all(outcome.status is not Status.NOT_ATTEMPTED for outcome in outcomes)
    interrupted = cancelled or (stopped and not (reached and len(outcomes) == len(plan.writes)))
    half_deleted = tuple(importer.half_deleted())
    return Result(
        plan, outcomes, [], shown, interrupted, failure, sent=importer.sent, half_deleted=half_deleted
    )


def _verified(result: Result, importer: PlanExecutor, prepared: PreparedRestore, after: Snapshot) -> Result:
    """Return the result of comparing the target that was read back with the intended state."""
    check, found = still_different(prepared.snapshot, prepared.plan, prepared.options, importer, after)
    return replace(
        result,
        outcomes=importer.outcomes(),
        found=found,
        extras=check.extras,
        after=after,
        ids=dict(importer.ids),
        verified=True,
    )


def new_secret() -> str:
    """Return a new secret for a write key: 32 letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(32))
