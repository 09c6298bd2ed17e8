"""Records of clones: looked up in the store before a plan is made, and stored after a run has ended.

Before its first write, a clone stores its intent, so that the next clone knows what this one may have written if it is
killed. Beside the record, each run that wrote (a restore in place too) stores the state that it left, for `undo`.
"""

import functools
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import takewhile

from jitsu_backup.archive import (
    UNBACKED,
    ArchiveName,
    archive_name,
    backup_mark,
    safe_text,
    source_mark,
)
from jitsu_backup.errors import BackupError, IntegrityError, LockedError, MistakeError, UsageError
from jitsu_backup.events import Caution, Notice, Reporter, silent
from jitsu_backup.model import Key, Snapshot, Source
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.restore import PreparedRestore, Result
from jitsu_backup.operations.safety_backup import WayBack, dated_last
from jitsu_backup.operations.save import SaveOptions, holds, save
from jitsu_backup.operations.snapshots import open_archive
from jitsu_backup.operations.third_side import RecordFinder
from jitsu_backup.planning import PlanOptions, left_by, same_workspace
from jitsu_backup.planning.intents import intent_of, with_intent
from jitsu_backup.planning.protection import needs_names
from jitsu_backup.planning.records import new_record
from jitsu_backup.planning.sent_empty import empties
from jitsu_backup.planning.unended import aim_of
from jitsu_backup.store import Store, archives, keep, of_workspace

TAKE_SOURCE = ("source",)
"""The value of `PlanOptions.take` that takes the source, whatever the target changed. It needs no record."""

_WITHOUT = "continue without it with --take=source, which overwrites what the target changed itself"

_UNKNOWN_OWN = "; without it, the target's own entities are unknown: leave out --prune, or delete them too with --prune-own"


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """The record of a clone, and its archive in the store."""

    archive: ArchiveName
    snapshot: Snapshot = field(repr=False)


def record_finder(
    open_store: Callable[[], Store],
    keys: ArchiveKeys,
    options: PlanOptions,
    *,
    now: Callable[[], datetime],
    report: Reporter = silent,
) -> RecordFinder:
    """Return a function that finds the record of the last clone for a plan.

    It raises the errors of `find_record`. If `options` take all of the source, an unreadable record is only reported,
    unless `prune` could then delete the target's own entities. In place it is only reported too, because there it is only
    about secrets.
    """

    async def find(snapshot: Snapshot, live: Snapshot) -> Snapshot | None:
        if same_workspace(snapshot, live):
            return await _emptied(open_store, keys, live, now(), report)
        source = snapshot.manifest.source
        called = source.slug or source.workspace_id
        try:
            return await _record_now(open_store(), keys, source, live, now=now(), report=report)
        except BackupError as problem:
            unread = f"the record of the last clone from {called} cannot be read: "
            pass_over(problem, unread, options, report)
            return None

    return find


async def _emptied(
    open_store: Callable[[], Store], keys: ArchiveKeys, live: Snapshot, now: datetime, report: Reporter
) -> Snapshot | None:
    """Return the record of the last run in place that has sent secrets empty; None without one. Report what cannot be read."""
    try:
        store = open_store()
        known = await archives(store)
    except BackupError:  # a store that cannot be read tells nothing
        return None
    own = live.manifest.source
    try:
        archive = next(_of_pair((one for one in noted(known, now) if not one.is_intent), own, own), None)
        record = None if archive is None else await _opened(store, archive, keys)
        return await _with_unfinished(store, keys, known, record, own, live, now)
    except BackupError as problem:
        report(
            Caution(
                f"the record of the secrets that an earlier run has sent empty could not be read: {problem}"
            )
        )
        return None


def pass_over(problem: BackupError, unread: str, options: PlanOptions, report: Reporter) -> None:
    """Report an unreadable record if `options` take all of the source and delete nothing of the target's own.

    Otherwise raise `problem`, with what to do. `unread` begins the message. It suggests `--take=source` only for a damaged
    record, because a missing key or a store that does not answer is no reason to overwrite the target's changes.
    """
    if options.take != TAKE_SOURCE:
        problem = problem.with_context(before=unread)
        raise (problem.with_remedy(_WITHOUT) if isinstance(problem, IntegrityError) else problem) from None
    if options.prune and not options.prune_own:
        raise problem.with_context(before=unread, after=_UNKNOWN_OWN) from None
    report(Caution(f"{unread}{problem}; it was ignored"))


async def find_record(
    store: Store,
    keys: ArchiveKeys,
    source: Source,
    target: Source,
    *,
    now: datetime,
    report: Reporter = silent,
) -> FoundRecord | None:
    """Return the record of the last clone from `source` into `target`, or None if the store has none.

    Workspaces are matched by console and id. If none matches, as after a console was set up again, the newest record of
    workspaces with the same slugs on the same consoles is used, and reported. Raise IntegrityError if the record is
    damaged or another one, LockedError and UsageError if `keys` do not open it, BackupError, AccessError.
    """
    return await _find(store, keys, await archives(store), source, target, now=now, report=report)


async def _find(
    store: Store,
    keys: ArchiveKeys,
    known: Iterable[ArchiveName],
    source: Source,
    target: Source,
    *,
    now: datetime,
    report: Reporter,
) -> FoundRecord | None:
    records = [archive for archive in noted(known, now) if not archive.is_intent]
    archive = next(_of_pair(records, source, target), None)
    if archive is not None:
        return FoundRecord(archive, await _opened(store, archive, keys))
    return await _find_by_slugs(store, keys, records, source, target, report)


async def _record_now(
    store: Store, keys: ArchiveKeys, source: Source, live: Snapshot, *, now: datetime, report: Reporter
) -> Snapshot | None:
    """Return the record of the last clone, with what later, unfinished clones have written into the target (`live`).

    Raise what `find_record` raises, for an intent too.
    """
    known, target = await archives(store), live.manifest.source
    found = await _find(store, keys, known, source, target, now=now, report=report)
    record = None if found is None else found.snapshot
    return await _with_unfinished(store, keys, known, record, source, live, now)


async def _with_unfinished(
    store: Store,
    keys: ArchiveKeys,
    known: Iterable[ArchiveName],
    record: Snapshot | None,
    source: Source,
    live: Snapshot,
    now: datetime,
) -> Snapshot | None:
    """Return a record with what later runs have reached in the target, which is `live`, before they were killed."""
    for archive in reversed(_unfinished(noted(known, now), source, live.manifest.source)):
        record = with_intent(record, await _opened(store, archive, keys), live)
    return record


async def _opened(store: Store, archive: ArchiveName, keys: ArchiveKeys) -> Snapshot:
    return open_archive(archive, await store.read(str(archive)), keys)


async def with_earlier_names(
    options: PlanOptions,
    source: Source,
    workspace: str,
    open_store: Callable[[], Store],
    keys: ArchiveKeys,
    *,
    now: Callable[[], datetime],
    report: Reporter = silent,
) -> PlanOptions:
    """Return the options with the record of the last clone into a workspace, by id or slug, if it is not from `source`.

    Its names are those that `protect` may use; the record of a clone from `source` is found by `record_finder`. Without
    such selectors, nothing is read. Report what cannot be read.
    """
    if not needs_names(options.protect):
        return options
    try:
        own = source_mark(source.host, source.workspace_id)
        store = open_store()
        record = await last_record(store, keys, await archives(store), workspace, now=now(), apart_from=own)
    except BackupError as problem:
        report(Caution(f"{UNREAD_NAMES}: {problem}"))
        return options
    return replace(options, earlier=record)


UNREAD_NAMES = "the record of the last clone, whose names the setting protect may use, could not be read"


async def last_record(
    store: Store,
    keys: ArchiveKeys,
    known: Iterable[ArchiveName],
    workspace: str,
    *,
    now: datetime,
    apart_from: str = "",
) -> Snapshot | None:
    """Return the record of the last clone into a workspace, by id or slug, from any source but one, given by its mark.

    Return None without one. Raise BackupError.
    """
    records = (a for a in of_workspace(noted(known, now), workspace) if not a.is_intent)
    archive = next((one for one in records if one.cloned_from != apart_from), None)
    return None if archive is None else await _opened(store, archive, keys)


def last_between(
    known: Iterable[ArchiveName], source: Source, target: Source, now: datetime
) -> ArchiveName | None:
    """Return the record of the last clone between two workspaces among the `known` archives; its intent if it did not end."""
    return next(_of_pair(noted(known, now), source, target), None)


async def record_between(
    store: Store, keys: ArchiveKeys, one: Snapshot, other: Snapshot, *, now: datetime, report: Reporter
) -> Snapshot | None:
    """Return the record of the last clone between two workspaces, in either direction, or None.

    An unreadable record is only reported, because a comparison needs none.
    """
    found: list[Snapshot] = []
    for source, target in () if same_workspace(one, other) else ((one, other), (other, one)):
        try:
            record = await _record_now(store, keys, source.manifest.source, target, now=now, report=report)
        except BackupError as problem:
            report(Notice(f"the record of the last clone was ignored: {problem}"))
        else:
            found += [] if record is None else [record]
    return max(found, key=lambda record: record.taken_at, default=None)


async def keep_record(
    store: Store, keys: ArchiveKeys, record: Snapshot, *, now: datetime, last: bool = True
) -> ArchiveName:
    """Store a record, encrypted as backups are, and return its archive.

    An existing one suffices. With `last`, no other clone can have ended since the target was read, so the record is dated
    as the newest, whatever clocks say. Raise BackupError; then it was not stored.
    """
    newest = next(iter(await _like(store, record, now)), None)
    options = SaveOptions(shrink_alarm=1, key=keys.mark)
    if newest is not None:
        earliest = newest.taken_at + timedelta(milliseconds=1)  # the precision of names
        if last and record.taken_at < earliest:
            record = replace(record, taken_at=earliest)
        if holds(newest, archive_name(record, options.marks, encrypted=options.encrypted)):
            return newest
    return (await save(record, (), options, keys.seal, functools.partial(keep, store))).archive


async def keep_intent(
    store: Store, keys: ArchiveKeys, prepared: PreparedRestore, now: Callable[[], datetime]
) -> tuple[ArchiveName, ...]:
    """Store the intent of a clone before its first write, and return the archives that were written.

    What earlier, killed clones have written is recorded with it. Raise BackupError; then nothing was stored.
    """
    snapshot, options = _as_recorded(prepared)
    intent = intent_of(snapshot, prepared.plan, options, prepared.live)
    before = await archives(store)
    begun = None if intent.begun is None else await keep_record(store, keys, intent.begun, now=now())
    kept = () if begun is None or begun in before else (begun,)
    try:
        return (*kept, await keep_record(store, keys, intent.planned, now=now()))
    except BackupError:
        await forget(store, kept)
        raise


async def keep_aim(
    store: Store, keys: ArchiveKeys, prepared: PreparedRestore, live: Snapshot, backup: ArchiveName
) -> ArchiveName:
    """Store what a run is about to leave in the target `live`, under a name that refers to the `backup` from before it.

    Return the archive. Raise BackupError; then it was not stored.
    """
    aim = replace(aim_of(prepared.snapshot, prepared.plan, prepared.options, live), taken_at=backup.taken_at)
    options = SaveOptions((backup_mark(backup),), shrink_alarm=1, key=keys.mark)
    return (await save(aim, (), options, keys.seal, functools.partial(keep, store))).archive


async def keep_unwritten(
    store: Store, keys: ArchiveKeys, live: Snapshot, way_back: WayBack, now: datetime
) -> None:
    """Store that a run wrote nothing: it left the target as `live`, and its aim is removed. Raise BackupError."""
    await _keep_left(store, keys, left_by(live, live, (), {}), way_back, now)
    if way_back.aim is not None:
        await forget(store, [way_back.aim])


async def forget(store: Store, superseded: Iterable[ArchiveName]) -> None:
    """Remove intents and their records. Retention removes those that cannot be removed now."""
    for archive in superseded:
        with suppress(BackupError):
            await store.remove(str(archive))


async def _like(store: Store, record: Snapshot, now: datetime) -> list[ArchiveName]:
    """Return the records and intents of the clones between the workspaces of a record, newest first."""
    assert record.manifest.cloned is not None  # noqa: S101  else it is no record
    known = noted(await archives(store), now)
    return list(_of_pair(known, record.manifest.cloned.source, record.manifest.source))


def is_recorded(result: Result, prepared: PreparedRestore) -> bool:
    """Return whether a run leaves a record: it ended, and it was a clone, wrote something, or knows of empty secrets."""
    ended = result.verified and result.failure is None and not result.interrupted
    return ended and (bool(prepared.plan.writes) or is_noted(prepared))


def is_noted(prepared: PreparedRestore) -> bool:
    """Return whether the next run has to know what this one did: it is a clone, or in place secrets are sent empty."""
    return not _is_in_place(prepared) or prepared.options.emptied is not None or empties(prepared.plan.writes)


def _as_recorded(prepared: PreparedRestore) -> tuple[Snapshot, PlanOptions]:
    """Return the snapshot and the options that a record is made of: in place, under the host name that the target has now."""
    snapshot, options = prepared.snapshot, prepared.options
    if _is_in_place(prepared):
        manifest = replace(snapshot.manifest, source=prepared.live.manifest.source)
        return replace(snapshot, manifest=manifest), replace(options, record=options.emptied)
    return snapshot, options


async def recorded(
    result: Result,
    prepared: PreparedRestore,
    open_store: Callable[[], Awaitable[Store]],
    keys: ArchiveKeys,
    now: Callable[[], datetime],
    intent: Sequence[ArchiveName] = (),
) -> Result:
    """Store the record of a run, if it leaves one. Return the result with the archive, or with why that failed.

    `intent` are the archives of the run's intent. They are removed, together with those of earlier runs that were killed.
    """
    if not is_recorded(result, prepared):
        return result
    wrote, record, in_place = bool(prepared.plan.writes), None, _is_in_place(prepared)
    try:
        store = await open_store()
        if is_noted(prepared):
            record = await _keep_of_clone(store, keys, result, prepared, now, intent)
        left = await _keep_left(store, keys, _left(result), result.way_back, now()) if wrote else None
        if left is not None and result.way_back is not None and result.way_back.aim is not None:
            await forget(store, [result.way_back.aim])
    except BackupError as problem:
        if in_place and result.way_back is None:  # it can only be reported
            return result
        return replace(result, record=record, unrecorded=str(problem))
    except Exception as bug:  # noqa: BLE001  what was done has to be reported all the same
        return replace(result, record=record, unrecorded=str(MistakeError.of(bug)))
    return replace(result, record=record or left, unrecorded="")


async def _keep_of_clone(
    store: Store,
    keys: ArchiveKeys,
    result: Result,
    prepared: PreparedRestore,
    now: Callable[[], datetime],
    intent: Sequence[ArchiveName],
) -> ArchiveName:
    """Store the record of a clone whose target was read back, in place of its intent."""
    assert result.after is not None  # noqa: S101  the caller has looked
    sides = prepared.live, result.after
    snapshot, options = _as_recorded(prepared)
    record = new_record(snapshot, prepared.plan, options, *sides, result.ids, _undone(result))
    archive = await keep_record(store, keys, record, now=now(), last=bool(prepared.plan.writes))
    late = [one for one in await _like(store, record, now()) if one.is_intent]
    await forget(store, [*intent, *(one for one in late if one.sort_key < archive.sort_key)])
    return archive


def _left(result: Result) -> Snapshot:
    """Return the state that a run left, without what others changed."""
    assert result.before is not None and result.after is not None  # noqa: PT018, S101  it wrote, and was read back
    tried = [o.action for o in result.outcomes if o.status in (Status.DONE, Status.FAILED)]
    return left_by(result.before, result.after, tried, result.ids)


async def _keep_left(
    store: Store, keys: ArchiveKeys, left: Snapshot, way_back: WayBack | None, now: datetime
) -> ArchiveName:
    """Store the state that a run left, under a name that refers to the backup from before it, and dated after that."""
    left = dated_last(left, await archives(store), now)
    mark = UNBACKED if way_back is None else backup_mark(way_back.archive)
    options = SaveOptions((mark,), shrink_alarm=1, key=keys.mark)
    return (await save(left, (), options, keys.seal, functools.partial(keep, store))).archive


def _is_in_place(prepared: PreparedRestore) -> bool:
    return same_workspace(prepared.snapshot, prepared.live)


def _undone(result: Result) -> set[Key]:
    """Return the keys of the actions that were not done: failed, not attempted, overtaken or blocked."""
    undone = {outcome.action.key for outcome in result.outcomes if outcome.status is not Status.DONE}
    return undone | {action.key for action in result.plan.blocked}


def noted(known: Iterable[ArchiveName], now: datetime) -> list[ArchiveName]:
    """Return the records and intents of clones, newest first, without those that a wrong clock has dated."""
    records = (a for a in known if a.cloned_from is not None and a.left_after is None)
    return sorted(
        (a for a in records if not a.is_from_the_future(now)),
        key=lambda archive: archive.sort_key,
        reverse=True,
    )


def _of_pair(known: Iterable[ArchiveName], source: Source, target: Source) -> Iterator[ArchiveName]:
    """Yield those of the clones from `source` into `target`."""
    mark, workspace_id = source_mark(source.host, source.workspace_id), safe_text(target.workspace_id)
    return (a for a in known if (a.cloned_from, a.workspace_id) == (mark, workspace_id))


def _unfinished(known: Iterable[ArchiveName], source: Source, target: Source) -> list[ArchiveName]:
    """Return the intents of the clones from `source` into `target` that no record is newer than, newest first."""
    return list(takewhile(lambda archive: archive.is_intent, _of_pair(known, source, target)))


async def _find_by_slugs(
    store: Store,
    keys: ArchiveKeys,
    records: Iterable[ArchiveName],
    source: Source,
    target: Source,
    report: Reporter,
) -> FoundRecord | None:
    """Return the newest record of workspaces with the same slugs on the same consoles, or None.

    A record that cannot be read may be of other workspaces, so it is reported and ignored.
    """
    names = {safe_text(target.workspace_id), safe_text(target.slug or "")} - {""}
    newest: dict[tuple[str | None, str], ArchiveName] = {}
    for archive in records:
        if names & {archive.workspace_id, archive.slug}:
            newest.setdefault((archive.cloned_from, archive.workspace_id), archive)
    for archive in newest.values():
        data = await store.read(str(archive))
        try:
            snapshot = open_archive(archive, data, keys)
        except (IntegrityError, LockedError, UsageError) as problem:
            report(Notice(f"the record of another clone was ignored: {problem}"))
            continue
        cloned, owner = snapshot.manifest.cloned, snapshot.manifest.source
        if cloned is None or not _is_same(source, cloned.source):
            continue
        if owner.workspace_id == target.workspace_id or _is_same(target, owner):
            report(
                Notice(
                    f"using the record of a clone between workspaces with the same slugs: {archive.reference}"
                )
            )
            return FoundRecord(archive, snapshot)
    return None


def _is_same(workspace: Source, before: Source) -> bool:
    """Return whether a workspace has the id or slug of an earlier one on the same console."""
    if workspace.host != before.host:
        return False
    return workspace.workspace_id == before.workspace_id or (
        workspace.slug is not None and workspace.slug == before.slug
    )
