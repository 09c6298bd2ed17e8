"""Undoing: what the last restore or clone of a workspace changed, according to the store."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import takewhile

from jitsu_backup.archive import PRE_RESTORE, UNBACKED, ArchiveName, backup_mark, source_mark, undo_mark
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.events import Caution, Reporter
from jitsu_backup.model import Snapshot, Source, some_of
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.snapshots import open_archive
from jitsu_backup.planning import PlanOptions, Since
from jitsu_backup.store import Store, of_workspace

_NAMED = 10
"""The most workspaces that a message names."""


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last restore or clone that wrote into a workspace, by what it stored.

    `archive` is the backup from before it, with the content `snapshot`. `left` is the workspace as the run left it, or None
    if the run did not end. `unended` are the backups from before the preceding runs that left no record, the last one first. `begun` is
    the backup from before an undo of the run that did not end. `unbacked` is the state left by a later run that made no
    backup. `recovered_from` is the console from which the run brought most of the workspace back, None for any other run.
    """

    archive: ArchiveName
    snapshot: Snapshot = field(repr=False)
    left: Snapshot | None = field(default=None, repr=False)
    unended: tuple[ArchiveName, ...] = ()
    begun: ArchiveName | None = None
    unbacked: ArchiveName | None = None
    recovered_from: str | None = None

    @property
    def created(self) -> int:
        """How many entities the run created; 0 if that is unknown."""
        had = {entity.key for entity in self.snapshot.entities}
        left = () if self.left is None else self.left.entities
        return sum(entity.key not in had for entity in left)

    @property
    def created_most(self) -> bool:
        """Whether the run created more than half of what it left."""
        return self.left is not None and 2 * self.created > len(self.left.entities)


async def last_run(
    known: Iterable[ArchiveName],
    workspace: str | None,
    store: Store,
    keys: ArchiveKeys,
    *,
    now: datetime,
    report: Reporter,
    host: str | None = None,
) -> LastRun:
    """Return the last run that wrote into a workspace, given by id or slug, or into the only workspace with such a run.

    `known` are the archives of the store. With `host`, workspaces with that id on other consoles do not count. An undo
    that did not end is continued: the run is the one that it undoes. A record that cannot be read is reported. Raise
    BackupError if the store has no backup from before a run, UsageError if several workspaces have one or only one on
    another console has, IntegrityError if the newest one is damaged, LockedError and UsageError if `keys` do not open it.
    """
    theirs = list(known) if workspace is None else of_workspace(known, workspace)
    past = sorted((a for a in theirs if not a.is_from_the_future(now)), key=lambda one: one.sort_key)
    backups = [archive for archive in past if PRE_RESTORE in archive.marks]
    if not backups:
        of = "" if workspace is None else f" of {workspace}"
        raise BackupError(
            f"nothing to undo: the store {store.url} has no backup{of} from before a restore or clone; each run makes one"
            " before it writes, unless a flag disables that, and `prune` removes old ones; restore another snapshot"
        )
    newest = {archive.workspace_id: archive for archive in backups}
    if len(newest) > 1:
        named = await _told_apart(newest.values(), store, keys)
        raise UsageError(f"several workspaces have restores or clones to undo: {named}; name one")
    last, snapshot = await _newest(backups, store, keys, host)
    source = snapshot.manifest.source
    if host not in (None, source.host):
        raise UsageError(
            f"the last restore or clone of {workspace} was on {source.host}, not on {host}; use the profile or host of that"
            " console"
        )
    left = {one.left_after: one for one in past if one.left_after not in (None, UNBACKED)}
    begun = None
    if last.undoes is not None and backup_mark(last) not in left:
        undone = next((one for one in backups if undo_mark(one) == last.undoes), None)
        if undone is not None:
            begun, last = last, undone
            snapshot = open_archive(last, await store.read(str(last)), keys)
    own = source_mark(source.host, source.workspace_id)
    without = (one for one in past if one.left_after == UNBACKED and one.cloned_from == own)
    before = [one for one in backups if one.sort_key < last.sort_key]
    found = LastRun(
        last,
        snapshot,
        await _left_by(left.get(backup_mark(last)), store, keys, report),
        unended=tuple(takewhile(lambda one: backup_mark(one) not in left, reversed(before))),
        begun=begun,
        unbacked=next((one for one in without if one.sort_key > last.sort_key), None),
    )
    if not found.created_most:
        return found
    return replace(found, recovered_from=await _recovered_from(last, past, source, store, keys))


async def _recovered_from(
    run: ArchiveName, past: Sequence[ArchiveName], target: Source, store: Store, keys: ArchiveKeys
) -> str | None:
    """Return the console from which a run brought a workspace back: its record is of the same slug on another console."""
    own = source_mark(target.host, target.workspace_id)
    records = (one for one in past if one.sort_key > run.sort_key and one.cloned_from not in (None, own))
    record = next((one for one in records if not one.is_intent), None)
    if record is None:
        return None
    try:
        cloned = open_archive(record, await store.read(str(record)), keys).manifest.cloned
    except BackupError:  # what this run was is only a remark; its own archives were read
        return None
    if cloned is None or cloned.source.host == target.host or cloned.source.slug != target.slug:
        return None
    return cloned.source.host


async def _told_apart(newest: Iterable[ArchiveName], store: Store, keys: ArchiveKeys) -> str:
    """Return the slugs of workspaces, given the newest backup of each, with ids and consoles if slugs are not enough."""
    listed = sorted(newest, key=lambda one: (one.slug, one.sort_key))
    if len({one.slug for one in listed}) == len(listed):
        return some_of([one.slug for one in listed], _NAMED)
    named = []
    for one in listed[:_NAMED]:
        at = ""
        with suppress(BackupError):  # the id is enough to name it
            at = f" on {open_archive(one, await store.read(str(one)), keys).manifest.source.host}"
        named.append(f"{one.slug} ({one.workspace_id}{at})")
    return some_of([*named, *(one.workspace_id for one in listed[_NAMED:])], _NAMED)


async def _newest(
    backups: Sequence[ArchiveName], store: Store, keys: ArchiveKeys, host: str | None
) -> tuple[ArchiveName, Snapshot]:
    """Return the newest backup of a workspace on a console, or the newest of all if there is none, or no `host`.

    Names of archives do not include the console.
    """
    found = None
    for archive in reversed(backups):
        snapshot = open_archive(archive, await store.read(str(archive)), keys)
        found = found or (archive, snapshot)
        if host in (None, snapshot.manifest.source.host):
            return archive, snapshot
    assert found is not None  # noqa: S101  there are some
    return found


async def _left_by(
    record: ArchiveName | None, store: Store, keys: ArchiveKeys, report: Reporter
) -> Snapshot | None:
    """Return the workspace as a run left it, or None without a record. A record that cannot be read is reported."""
    if record is None:
        return None
    try:
        return open_archive(record, await store.read(str(record)), keys)
    except BackupError as problem:
        report(Caution(f"the record of the last run cannot be read: {problem}"))
        return None


def undo_options(options: PlanOptions, run: LastRun) -> PlanOptions:
    """Return the options of the plan that reverts a run and keeps what was changed and created since.

    What the run created is deleted; with `prune_own`, so is what others created since. Reverse syncs are re-created as
    they were, enabled if they were. Hidden secrets that the run replaced are sent if they are available. Without a record
    of the run, only `prune` deletes, whoever created the entity. If a recovery created most of the workspace, that is deleted
    only with `accept_shrink`.
    """
    if run.left is None:
        return replace(options, resend_secrets=bool(options.overlay.rules))
    there = {entity.key for entity in run.left.entities}
    gone = [sync for sync in run.snapshot.of_type("reverse-sync") if sync.key not in there]
    return replace(
        with_record(options, run),
        prune=options.prune or run.snapshot.manifest.complete,
        accept_shrink=options.accept_shrink or not (options.prune_own or run.recovered_from),
        rebind=options.rebind or bool(gone),
        enable_reverse_syncs=True,
        resend_secrets=True,
    )


def with_record(options: PlanOptions, run: LastRun) -> PlanOptions:
    """Return options with which a plan distinguishes what a run changed from what was changed since."""
    if run.left is None:
        return options
    return replace(options, record=run.left, since=Since.RUN)
