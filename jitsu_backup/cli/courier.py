"""Sends the notifications of a watch in a separate task, so that no backup waits for them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from jitsu_backup.archive import ArchiveName
from jitsu_backup.cli.notifying import Notifier, who_by
from jitsu_backup.operations.backup import WorkspaceAccess
from jitsu_backup.operations.backup_outcome import BackupRun
from jitsu_backup.operations.news import Held, is_written

LAST_SECONDS = 0.5
"""How long a watch waits at its end for messages that are being sent."""

_Parcel = tuple[Held, Sequence[ArchiveName]]
"""What a backup of a workspace found, and the archives that the store had before."""


@dataclass
class Courier:
    """Sends notifications about the backups of a watch: per workspace, only about the newest state.

    `workspaces` say how to read each workspace. What was held back or could not be sent is tried again at each `go_on`.
    What an earlier process left unsent is sent once its workspace is found unchanged.
    """

    notifier: Notifier
    workspaces: Sequence[WorkspaceAccess]
    _new: dict[tuple[str, str], _Parcel] = field(default_factory=dict)
    _later: dict[tuple[str, str], _Parcel] = field(default_factory=dict)
    _settled: dict[tuple[str, str], ArchiveName] = field(default_factory=dict)
    """By workspace, the newest archive about which everything was sent."""
    _task: "asyncio.Task[None] | None" = None

    def backed_up(self, run: BackupRun) -> None:
        """Take note of a backup, and send what it wrote or what is still unsent."""
        for held in run.held:
            key = held.source.key
            if is_written(held):
                self.notifier.owe(held, run.stored_before)
            elif key in self._new or key in self._later or self._settled.get(key) == held.archive:
                continue
            self._new[key] = held, run.stored_before
        self._begin()

    def go_on(self) -> None:
        """Send what was held back if its waiting time is over."""
        self._new, self._later = {**self._later, **self._new}, {}
        self._begin()

    async def end(self) -> None:
        """Wait a moment for messages that are being sent, then give up on them."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=LAST_SECONDS)
            self._task.cancel()

    def _begin(self) -> None:
        if self._new and (self._task is None or self._task.done()):
            self._task = asyncio.ensure_future(self._tell())

    async def _tell(self) -> None:
        while self._new:
            key, (held, known) = self._new.popitem()
            self._later.pop(key, None)  # the newer one includes it
            if await self.notifier.tell([held], known, who_by(self.workspaces, known)):
                self._later[key] = held, known
            else:
                self._settled[key] = held.archive
