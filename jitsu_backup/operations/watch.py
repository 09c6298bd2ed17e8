"""Watching: a service that asks consoles what has changed, and backs that up within seconds.

Each console is watched separately (`ConsoleWatch`). All share the store (`Keeper`) and the list of what is wrong
(`Troubles`). A workspace is due when it has not changed for a moment, when a console may have committed something late,
and from time to time because `listen` does not report everything.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain

from jitsu_backup.errors import IncompleteError
from jitsu_backup.operations.backup import WorkspaceAccess
from jitsu_backup.operations.connection import Consoles
from jitsu_backup.operations.console_watch import ConsoleWatch
from jitsu_backup.operations.keeping import Keeper
from jitsu_backup.operations.key_renewal import of_a_service
from jitsu_backup.operations.troubles import Trouble, Troubles
from jitsu_backup.operations.watch_store import WatchedStore
from jitsu_backup.operations.watched import Watched
from jitsu_backup.operations.watching import Standing, Surroundings, WatchEvent, WatchJob

BEAT_SECONDS = 120.0
"""Seconds between two reports of the status."""

FIRST_BEAT_SECONDS = 60
"""The longest time until the first report, which otherwise follows the first backup."""

FLUSH_SECONDS = 60.0
"""How long equal problems of several workspaces wait to be reported in one line."""

GRACE_SECONDS = 3.5
"""How long a watch that was stopped may still back up what has changed."""


class Watch:
    """A watch over some workspaces, or over all that a key can see. It runs until it is stopped."""

    def __init__(self, job: WatchJob, around: Surroundings) -> None:
        """Ask nothing yet."""
        self._around, self._consoles = around, Consoles()
        self._watched: dict[tuple[str, str], Watched] = {}
        self._troubles = Troubles(self._tell, lambda: around.stands(self.standing))
        self._store = WatchedStore(around.store, around.monotonic)
        self._keeper = Keeper(job, around, self._troubles, self._store, self._watched)
        wanted: dict[tuple[str, str], list[WorkspaceAccess]] = defaultdict(list)
        for access in map(of_a_service, job.backup.workspaces):
            wanted[access.connection.host.rstrip("/"), access.connection.key.reveal()].append(access)
        self._parts = [
            ConsoleWatch(each, self._keeper, self._consoles, host if len(wanted) > 1 else "")
            for (host, _), each in wanted.items()
        ]

    @property
    def workspaces(self) -> tuple[WorkspaceAccess, ...]:
        """What it was made to watch, with the keys that are in use now."""
        return tuple(chain.from_iterable(part.wanted for part in self._parts))

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until `stop` is set. Then back up what has changed, for at most GRACE_SECONDS."""
        watching = [asyncio.ensure_future(part.run(stop)) for part in self._parts]
        beside = [
            asyncio.ensure_future(job)
            for job in (self._beat(), self._keep_flushing(), self._wake_at(stop), self._keeper.keep_pruning())
        ]
        async with self._consoles:
            try:
                await asyncio.gather(*watching)
                with suppress(TimeoutError):
                    async with asyncio.timeout(GRACE_SECONDS):
                        await asyncio.gather(*(part.finish() for part in self._parts))
                self._troubles.flush()
                for one in self._watched.values():
                    if one.is_changed:
                        self._tell(
                            "warning",
                            "its last change is not in the store yet; the next start backs it up",
                            one.label,
                        )
            finally:
                for task in (*watching, *beside):
                    task.cancel()
                await asyncio.gather(
                    *watching, *beside, *(part.end() for part in self._parts), return_exceptions=True
                )
                await self._store.close()

    @property
    def standing(self) -> Standing:
        """The status of the watch."""
        shown = self._troubles.shown
        alarms = tuple(
            replace(alarm, workspace=label) for label, trouble in shown.items() for alarm in trouble.alarms
        )
        troubles = {label: trouble.why for label, trouble in shown.items()}
        return Standing(len(self._watched), troubles, alarms, self._exit_code([*shown.values()]))

    def _exit_code(self, troubles: Sequence[Trouble]) -> int:
        """Return what a run of `backup` would end with: the code of a failure that spares nothing, else 3."""
        codes = {trouble.code for trouble in troubles}
        kinds = self._troubles.of_kind("list") + self._troubles.of_kind("store")
        whole = kinds or len(troubles) >= len(self._watched)
        if len(codes) == 1 and whole:
            return codes.pop()
        return IncompleteError.exit_code if codes else 0

    async def _beat(self) -> None:
        for _ in range(FIRST_BEAT_SECONDS):  # until then, it is unknown whether backups work
            if self._troubles.shown or any(one.kept for one in self._watched.values()):
                break
            await asyncio.sleep(1)
        while True:
            self._around.stands(self.standing)
            await asyncio.sleep(BEAT_SECONDS)

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._troubles.flush()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        for part in self._parts:
            part.wake()

    def _tell(self, level: str, message: str, label: str) -> None:
        self._around.told(WatchEvent(level, message, label))
