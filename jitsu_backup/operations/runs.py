"""Runs into one workspace, by what each stored: the backup from before it, what it was about to leave, and what it left."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from jitsu_backup.archive import PRE_RESTORE, UNBACKED, ArchiveName, backup_mark, undo_mark
from jitsu_backup.archive.run_parts import CONTINUES_WITHIN, unended
from jitsu_backup.errors import BackupError
from jitsu_backup.events import Caution, Reporter
from jitsu_backup.model import Snapshot, shown_time
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.snapshots import open_archive
from jitsu_backup.planning.unended import Part, continues
from jitsu_backup.store import Store


@dataclass(frozen=True, slots=True)
class Run:
    """A run into a workspace: the backup from before it, and what it wrote, as far as that is known."""

    backup: ArchiveName
    part: Part = field(repr=False)

    @property
    def known(self) -> bool:
        """Whether it stored what it left, or was about to leave."""
        return self.part.left is not None or self.part.aim is not None


class Runs:
    """The runs into a workspace, whose archives are `past`, in order. A record that cannot be read is reported."""

    def __init__(
        self, past: Sequence[ArchiveName], store: Store, keys: ArchiveKeys, report: Reporter
    ) -> None:
        """Read nothing yet."""
        self._past, self._store, self._keys, self._report = past, store, keys, report
        self._backups = [archive for archive in past if PRE_RESTORE in archive.marks]
        self._left = {one.ended: one for one in past if one.ended not in (None, UNBACKED)}
        self._aims = {one.begun: one for one in past if one.begun is not None}

    def has_ended(self, backup: ArchiveName) -> bool:
        """Return whether a run stored what it left, by the backup from before it."""
        return backup_mark(backup) in self._left

    async def run(self, backup: ArchiveName, before: Snapshot | None = None) -> Run:
        """Return the run after a backup, which holds `before` if it was read. Raise what reading the backup raises."""
        mark = backup_mark(backup)
        before = before or await self._read(backup)
        left = await self._record(self._left.get(mark))
        return Run(backup, Part(before, left, None if left else await self._record(self._aims.get(mark))))

    async def with_continued(self, run: Run) -> list[Run]:
        """Return a run and the ones that it continued, the first one first. A backup of them that cannot be read is reported."""
        found = [run]
        for backup in unended(self._past, run.backup):
            try:
                earlier = await self.run(backup)
            except BackupError as problem:
                self._report(
                    Caution(
                        f"the backup from before an earlier run that did not end cannot be read: {problem}"
                    )
                )
                break
            if not continues(found[0].part, earlier.part):
                break
            found.insert(0, earlier)
        if found[-1].known:
            self._report_lost(found[0].backup)
        return found

    def _report_lost(self, first: ArchiveName) -> None:
        """Report a run that `first` may continue, and whose own backup is gone, so that it cannot be undone."""
        there = {backup_mark(one) for one in self._backups} | self._left.keys()
        since = first.taken_at - CONTINUES_WITHIN
        for mark, aim in self._aims.items():
            if mark not in there and since <= aim.taken_at < first.taken_at:
                self._report(
                    Caution(
                        f"a run of {shown_time(aim.taken_at)} did not end, and the backup from before it is no longer in the"
                        " store: what it wrote is not undone; to go back further, restore an older snapshot"
                    )
                )

    async def undone_by(self, undo: ArchiveName) -> tuple[list[Run], Snapshot] | None:
        """Return the runs that an undo that did not end undoes, by the backup from before it, and the state after them.

        That is the state before the first attempt to undo them. Return None for an undo that has ended, and any other run.
        """
        undone = next((one for one in self._backups if undo_mark(one) == undo.undoes), None)
        if undone is None or self.has_ended(undo):
            return None
        until = [one for one in self._backups if one.sort_key <= undo.sort_key]
        undos = takewhile(lambda one: one.undoes == undo.undoes and not self.has_ended(one), reversed(until))
        *_, first_undo = undos
        *_, last = (one for one in until if one.sort_key < first_undo.sort_key)
        runs = []
        if undone in (last, *unended(self._past, last)):
            runs = await self.with_continued(await self.run(last))
        if not runs or runs[0].backup != undone:
            runs = [await self.run(undone)]
        following = next(one for one in until if one.sort_key > runs[-1].backup.sort_key)
        return runs, await self._read(following)

    def without_record(self, first: Run) -> tuple[ArchiveName, ...]:
        """Return the backups from before the runs right before one that left no record, the last one first.

        A run that `first` has undone does not count.
        """
        before = [one for one in self._backups if one.sort_key < first.backup.sort_key]
        lacking = takewhile(
            lambda one: not self.has_ended(one) and undo_mark(one) != first.backup.undoes, reversed(before)
        )
        return tuple(lacking)

    async def _read(self, archive: ArchiveName) -> Snapshot:
        return open_archive(archive, await self._store.read(str(archive)), self._keys)

    async def _record(self, archive: ArchiveName | None) -> Snapshot | None:
        if archive is None:
            return None
        try:
            return await self._read(archive)
        except BackupError as problem:
            self._report(Caution(f"the record of the last run cannot be read: {problem}"))
            return None
