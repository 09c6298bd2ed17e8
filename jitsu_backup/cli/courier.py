"""What a watch tells people of, in a task of its own, which no backup waits for."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from jitsu_backup.archive import ArchiveName
from jitsu_backup.cli.notifying import Notifier, who_by
from jitsu_backup.operations.backup import WorkspaceAccess
from jitsu_backup.operations.backup_outcome import BackupRun
from jitsu_backup.operations.news import Held, is_written

LAST_SECONDS = 0.5
"""How long a watch that ends waits for the messages that are on their way."""

_Parcel = tuple[Held, Sequence[ArchiveName]]
"""What was found of a workspace, and what the store had before."""


@dataclass
class Courier:
    """Tells what the backups of a watch have changed, by workspace, newest state alone; `workspaces` are how they are read.

    What is held back, or could not be told, is tried again whenever the courier is to `go_on`. What an earlier process owed
    is told once a workspace is found unchanged.
    """

    notifier: Notifier
    workspaces: Sequence[WorkspaceAccess]
    _new: dict[tuple[str, str], _Parcel] = field(default_factory=dict)
    _later: dict[tuple[str, str], _Parcel] = field(default_factory=dict)
    _settled: dict[tuple[str, str], ArchiveName] = field(default_factory=dict)
    """By workspace, the newest archive of which nothing is left to be told."""
    _task: "asyncio.Task[None] | None" = None

    def backed_up(self, run: BackupRun) -> None:
        """Hear of a backup, and tell what it wrote, or what is still owed."""
        for held in run.held:
            key = held.source.key
            if is_written(held):
                self.notifier.owe(held, run.stored_before)
            elif key in self._new or key in self._later or self._settled.get(key) == held.archive:
                continue
            self._new[key] = held, run.stored_before
        self._begin()

    def go_on(self) -> None:
        """Tell what was held back, where the silence is over."""
        self._new, self._later = {**self._later, **self._new}, {}
        self._begin()

    async def end(self) -> None:
        """Leave what is not told within a moment."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=LAST_SECONDS)
            self._task.cancel()

    def _begin(self) -> None:
        if self._new and (self._task is None or self._task.done()):
            self._task = asyncio.ensure_future(self._tell())

    async def _tell(self) -> None:
        while self._new:
            key, (held, known) = self._new.popitem()
            self._later.pop(key, None)  # the newer one has that too
            if await self.notifier.tell([held], known, who_by(self.workspaces, known)):
                self._later[key] = held, known
            else:
                self._settled[key] = held.archive
