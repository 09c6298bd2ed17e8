"""Pruning: what no rule of a retention policy keeps is removed; what is damaged is put aside."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo

from jitsu_backup.archive import ArchiveName
from jitsu_backup.archive.retention import Policy, Verdict, judge
from jitsu_backup.errors import BackupError
from jitsu_backup.operations.alarms import Alarm, What, reasons_for
from jitsu_backup.store import Store, archives


@dataclass(frozen=True, slots=True)
class Retention:
    """A retention policy, and the time zone in which its days begin."""

    policy: Policy
    zone: tzinfo

    def judge(self, found: Iterable[ArchiveName], now: datetime) -> tuple[Verdict, ...]:
        """Return a verdict on every archive."""
        return tuple(judge(found, self.policy, now, self.zone))


@dataclass(frozen=True, slots=True)
class Pruned:
    """What became of a store's archives. `stuck` and `unmoved` give a reason for each that could not be removed or moved.

    In a dry run, `aside` are the archives that would be put aside.
    """

    verdicts: tuple[Verdict, ...] = ()
    stuck: tuple[str, ...] = ()
    aside: tuple[ArchiveName, ...] = ()
    unmoved: tuple[str, ...] = ()

    @property
    def kept(self) -> int:
        """How many archives some rule keeps."""
        return sum(verdict.keep for verdict in self.verdicts)

    @property
    def removed(self) -> int:
        """How many archives were removed, or would be."""
        return len(self.verdicts) - self.kept - len(self.stuck)

    @property
    def exit_code(self) -> int:
        """The code that pruning ends with."""
        return BackupError.exit_code if self.stuck or self.unmoved else 0

    @property
    def alarms(self) -> list[Alarm]:
        """What went wrong."""
        found = []
        if self.stuck:
            remedy = "look at the rights of the store's credentials"
            found.append(Alarm(What.NOT_PRUNED, reasons_for(self.stuck), remedy))
        if self.unmoved:
            found.append(Alarm(What.NOT_PUT_ASIDE, reasons_for(self.unmoved)))
        return found


async def prune(
    store: Store,
    found: Iterable[ArchiveName],
    retention: Retention | None,
    *,
    now: Callable[[], datetime],
    quarantine: bool = False,
    dry_run: bool = False,
) -> Pruned:
    """Judge the archives `found` in a store, remove what no rule keeps and, with `quarantine`, put damaged ones aside.

    Without `retention` nothing is judged.
    """
    found = list(found)
    damaged = [archive for archive in found if archive.damaged] if quarantine else []
    aside, unmoved = (damaged, []) if dry_run else await _put_aside(store, damaged)
    left = [archive for archive in found if archive not in damaged]
    verdicts = () if retention is None else retention.judge(left, now())
    stuck = [] if dry_run else await remove_all(store, verdicts)
    return Pruned(verdicts, tuple(stuck), tuple(aside), tuple(unmoved))


async def _put_aside(store: Store, damaged: Iterable[ArchiveName]) -> tuple[list[ArchiveName], list[str]]:
    """Move damaged archives into the store's quarantine; return those that were moved, and why others were not."""
    moved, unmoved = list[ArchiveName](), list[str]()
    for archive in damaged:
        try:
            await store.quarantine(str(archive))
        except BackupError as problem:
            unmoved.append(str(problem))
        else:
            moved.append(archive)
    return moved, unmoved


async def remove_all(store: Store, verdicts: Iterable[Verdict], seconds: float | None = None) -> list[str]:
    """Remove what the verdicts do not keep; return, for each archive that was not removed within `seconds`, why not."""
    going = [verdict.archive for verdict in verdicts if not verdict.keep]
    tried, stuck = 0, list[str]()
    try:
        async with asyncio.timeout(seconds):
            for archive in going:
                try:
                    await store.remove(str(archive))
                except BackupError as problem:
                    stuck.append(str(problem))
                tried += 1
                await asyncio.sleep(0)  # a folder never waits, and Ctrl-C is heard only where somebody does
    except TimeoutError:
        stuck += ["the deadline came first"] * (len(going) - tried)
    return stuck


@dataclass(frozen=True, slots=True)
class Removed:
    """How many old archives a backup removed, how many it could not remove, and why not."""

    gone: int
    stuck: int = 0
    why: str = ""


async def prune_workspaces(
    store: Store,
    workspace_ids: Collection[str],
    retention: Retention,
    *,
    now: Callable[[], datetime],
    left: Callable[[], float | None],
) -> Removed:
    """Apply a policy to some workspaces' archives; `left` returns the seconds until the deadline, None without one."""
    try:
        async with asyncio.timeout(left()):
            found = [archive for archive in await archives(store) if archive.workspace_id in workspace_ids]
    except TimeoutError:
        return Removed(0, 1, f"the store {store.url} was not listed before the deadline")
    except BackupError as problem:
        return Removed(0, 1, str(problem))
    verdicts = retention.judge(found, now())
    stuck = await remove_all(store, verdicts, left())
    gone = sum(not verdict.keep for verdict in verdicts) - len(stuck)
    return Removed(gone, len(stuck), reasons_for(stuck))
