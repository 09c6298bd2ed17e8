"""Undoing: what the last restore or clone of a workspace changed, according to the store."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from jitsu_backup.archive import PRE_RESTORE, UNBACKED, ArchiveName, source_mark
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.events import Reporter
from jitsu_backup.model import Entity, Snapshot, Source, some_of
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.runs import Runs
from jitsu_backup.operations.safety_backup import on_console, recovers_another
from jitsu_backup.operations.snapshots import open_archive
from jitsu_backup.planning import PlanOptions, Since
from jitsu_backup.planning.unended import Part, before_parts, left_by_parts
from jitsu_backup.store import Store, of_workspace

_NAMED = 10
"""The most workspaces that a message names."""


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last restore or clone that wrote into a workspace, with the runs that it continued, by what they stored.

    `archive` is the backup from before the first of them. `snapshot` is its content, with what others created and changed
    between the runs. `left` is the workspace as the last one left it, or None if that did not end. `parts` are all of
    them, the first one first; without `left`, they show what was left of what they were about to write. There are none if
    the last one stored neither. `continued` says when each but the first began. `after` is the workspace when an undo of them began that did not end; `begun` is the backup from
    before that undo. `unended` are the backups from before the preceding runs that left no record, the last one first.
    `unbacked` is the state left by a later run that made no backup. `brought_from` is the workspace elsewhere that they
    may have brought back here, or parts of it; None for any other run.
    """

    archive: ArchiveName
    snapshot: Snapshot = field(repr=False)
    left: Snapshot | None = field(default=None, repr=False)
    parts: tuple[Part, ...] = field(default=(), repr=False)
    continued: tuple[datetime, ...] = ()
    after: Snapshot | None = field(default=None, repr=False)
    unended: tuple[ArchiveName, ...] = ()
    begun: ArchiveName | None = None
    unbacked: ArchiveName | None = None
    brought_from: Source | None = None

    @property
    def known(self) -> bool:
        """Whether it is known what the run wrote."""
        return bool(self.parts)

    @property
    def created(self) -> int:
        """How many entities the run created, or was about to create if it did not end; 0 if that is unknown."""
        return len(self._created)

    @property
    def created_streams(self) -> bool:
        """Whether the run created streams, or was about to: re-creating them creates new write keys."""
        return any(entity.key.type == "stream" for entity in self._created)

    @property
    def created_most(self) -> bool:
        """Whether the run created, or was about to create, more than half of what it left."""
        return self.known and 2 * self.created > len(self._reached)

    @property
    def recovered_from(self) -> Source | None:
        """The workspace elsewhere from which the run brought most of this one, None for any other run."""
        return self.brought_from if self.created_most else None

    @property
    def _created(self) -> list[Entity]:
        had = {entity.key for entity in self.snapshot.entities}
        return [entity for entity in self._reached if entity.key not in had]

    @property
    def _reached(self) -> tuple[Entity, ...]:
        found = self.left or (self.parts[-1].aim if self.parts else None)
        return () if found is None else found.entities

    async def left_in(self, _: Snapshot, live: Snapshot) -> Snapshot | None:
        """Return the workspace as the run left it, which is `live` now; None if that is unknown."""
        if self.left is not None or not self.parts:
            return self.left
        return left_by_parts(self.parts, self.after or live)


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
    runs, begun, after = Runs(on_console(past, source), store, keys, report), None, None
    undone = await runs.undone_by(last)
    if undone is None:
        found = await runs.with_continued(await runs.run(last, snapshot))
    else:
        begun, (found, after) = last, undone
    first, *others = found
    ended = found[-1].part.left
    parts = tuple(one.part for one in found) if found[-1].known else ()
    own = source_mark(source.host, source.workspace_id)
    without = (one for one in past if one.left_after == UNBACKED and one.cloned_from == own)
    run = LastRun(
        first.backup,
        before_parts([one.part for one in found]),
        left=None if ended is None else left_by_parts(parts, ended),
        parts=parts,
        continued=tuple(one.backup.taken_at for one in others),
        after=after,
        unended=runs.without_record(first),
        begun=begun,
        unbacked=next((one for one in without if one.sort_key > found[-1].backup.sort_key), None),
    )
    return replace(run, brought_from=await _brought_from(run, past, source, store, keys))


async def _brought_from(
    run: LastRun, past: Sequence[ArchiveName], target: Source, store: Store, keys: ArchiveKeys
) -> Source | None:
    """Return the workspace elsewhere from which a run may have brought a workspace back, by the record of a clone.

    If the run created most of the workspace and left no record, an intent shows it too.
    """
    own = source_mark(target.host, target.workspace_id)
    clones = [one for one in past if one.cloned_from not in (None, own)]
    records = (one for one in clones if one.sort_key > run.archive.sort_key and not one.is_intent)
    intents = (one for one in reversed(clones) if one.is_intent and run.created_most)
    record = next(records, None) or next(intents, None)
    if record is None:
        return None
    try:
        cloned = open_archive(record, await store.read(str(record)), keys).manifest.cloned
    except BackupError:  # what this run was is only a remark; its own archives were read
        return None
    return cloned.source if cloned is not None and recovers_another(cloned.source, target) else None


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


def undo_options(options: PlanOptions, run: LastRun) -> PlanOptions:
    """Return the options of the plan that reverts a run and keeps what was changed and created since.

    What the run created is deleted; with `prune_own`, so is what others created since. Reverse syncs are re-created as
    they were, enabled if they were. Hidden secrets that the run replaced are sent if they are available. If it is unknown
    what the run wrote, only `prune` deletes, whoever created the entity. If a recovery created most of the workspace, that
    is deleted only with `accept_shrink`. The record of a run that did not end is found by `LastRun.left_in`.
    """
    if not run.known:
        overlay = options.overlay.of(run.snapshot.manifest.source)
        return replace(options, resend_secrets=bool(overlay.rules))
    return replace(
        with_record(options, run),
        prune=options.prune or run.snapshot.manifest.complete,
        accept_shrink=options.accept_shrink or not (options.prune_own or run.recovered_from),
        rebind=options.rebind or any(_deletes_syncs(part) for part in run.parts),
        enable_reverse_syncs=True,
        resend_secrets=True,
    )


def _deletes_syncs(part: Part) -> bool:
    """Return whether a run deleted a reverse sync, or was about to."""
    goal = part.left or part.aim
    assert goal is not None and goal.manifest.cloned is not None  # noqa: PT018, S101  else it is unknown what it wrote
    gone = {entity.key for entity in part.before.entities} - {entity.key for entity in goal.entities}
    return any(key.type == "reverse-sync" for key in gone.union(goal.manifest.cloned.deletes or ()))


def with_record(options: PlanOptions, run: LastRun) -> PlanOptions:
    """Return options with which a plan distinguishes what a run changed from what was changed since."""
    return replace(options, record=run.left, since=Since.RUN) if run.known else options
