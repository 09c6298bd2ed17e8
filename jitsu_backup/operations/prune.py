"""Pruning: archives that no rule of a retention policy keeps are removed, and damaged ones are quarantined."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo

from jitsu_backup.archive import ArchiveName, decode, is_encrypted
from jitsu_backup.archive.retention import Policy, Verdict, judge
from jitsu_backup.errors import (
    AccessError,
    BackupError,
    IntegrityError,
    LateError,
    NewerFormatError,
    UsageError,
)
from jitsu_backup.events import Progress, Reporter, silent
from jitsu_backup.operations.alarms import Alarm, What, reasons_for
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.store import Store, archives


@dataclass(frozen=True, slots=True)
class Retention:
    """A retention policy, and the time zone in which its days begin."""

    policy: Policy
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Pruned:
    """What happened to a store's archives, or would happen. `stuck` and `unmoved` are the failures to remove and to move."""

    verdicts: tuple[Verdict, ...] = ()
    stuck: tuple[BackupError, ...] = ()
    aside: tuple[ArchiveName, ...] = ()
    unmoved: tuple[BackupError, ...] = ()

    @property
    def kept(self) -> int:
        """How many archives a rule keeps."""
        return sum(verdict.keep for verdict in self.verdicts)

    @property
    def removed(self) -> int:
        """How many archives were removed."""
        return len(self.verdicts) - self.kept - len(self.stuck)

    @property
    def alarms(self) -> list[Alarm]:
        """What went wrong. Any alarm makes the run fail."""
        remedy = "check the permissions of the store's credentials"
        stuck = [Alarm(What.NOT_PRUNED, _reasons(self.stuck), remedy)] if self.stuck else []
        return stuck + ([Alarm(What.NOT_PUT_ASIDE, _reasons(self.unmoved))] if self.unmoved else [])

    @property
    def exit_code(self) -> int:
        """The exit code: that of the failures if they have one in common, else 1; 0 without any."""
        codes = {failure.exit_code for failure in (*self.stuck, *self.unmoved)}
        return max(codes, default=0) if len(codes) < 2 else BackupError.exit_code


@dataclass(frozen=True, slots=True)
class Removed:
    """How many old archives a backup removed, how many it could not remove, and why."""

    gone: int
    stuck: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Damage:
    """Which archives are damaged, each with why.

    `unopened` is how many have no key, so only their sizes were compared. `newer` have a format that only a later version reads.
    """

    archives: tuple[tuple[ArchiveName, str], ...] = ()
    unopened: int = 0
    newer: tuple[ArchiveName, ...] = ()


async def find_damage(
    store: Store, found: list[ArchiveName], keys: ArchiveKeys, report: Reporter = silent
) -> Damage:
    """Read the archives `found` in a store, to the last byte if `keys` open them. Raise BackupError of the store.

    An archive with the name of another one is not damaged; `verify` reports it. Raise UsageError or AccessError if keys were
    given that open none of the encrypted archives.
    """
    damaged, newer = list[tuple[ArchiveName, str]](), list[ArchiveName]()
    unopened, opened = list[BackupError](), False
    for number, archive in enumerate(found, 1):
        report(Progress("reading archives", number, len(found)))
        if archive.damaged:
            damaged.append((archive, archive.remains))
            continue
        try:
            data = await store.read(str(archive))
        except BackupError:
            if archive in await archives(store):
                raise
            continue  # removed by another run after the store was listed
        try:
            content = keys.unsealed(data)
            opened = opened or is_encrypted(data)
            decode(content)
        except NewerFormatError:
            newer.append(archive)
        except IntegrityError as problem:
            damaged.append((archive, str(problem)))
        except (UsageError, AccessError) as problem:
            unopened.append(problem.with_context(before=f"{archive.reference}: "))
    if unopened and not opened and (keys.passphrase is not None or keys.identities):
        raise unopened[0]
    return Damage(tuple(damaged), len(unopened), tuple(newer))


async def prune(
    store: Store,
    found: list[ArchiveName],
    retention: Retention | None,
    *,
    now: datetime,
    damaged: Collection[ArchiveName] = (),
    dry_run: bool = False,
    seconds: float | None = None,
    needed: Collection[str] = (),
) -> Pruned:
    """Remove those archives `found` in a store that no rule keeps, and move `damaged` ones away.

    Without `retention`, nothing is removed. What is not removed within `seconds` stays, as do the `needed` names.
    """
    left = [archive for archive in found if archive not in damaged]
    judged = () if retention is None else judge(left, retention.policy, now, retention.zone)
    verdicts = tuple(one for one in judged if one.keep or str(one.archive) not in needed)
    if dry_run:
        return Pruned(verdicts, aside=tuple(damaged))
    unmoved = await _each(store.quarantine, damaged)
    aside = tuple(archive for archive in damaged if str(archive) not in unmoved)
    stuck = await _each(store.remove, (one.archive for one in verdicts if not one.keep), seconds)
    return Pruned(verdicts, tuple(stuck.values()), aside, tuple(unmoved.values()))


async def prune_workspaces(
    store: Store,
    workspace_ids: set[str],
    retention: Retention,
    *,
    now: Callable[[], datetime],
    left: Callable[[], float | None],
    needed: Collection[str] = (),
) -> Removed:
    """Apply a policy to some workspaces' archives, except those whose names are `needed`.

    `left` returns the seconds until the deadline, or None without one.
    """
    try:
        async with asyncio.timeout(left()):
            found = [archive for archive in await archives(store) if archive.workspace_id in workspace_ids]
    except TimeoutError:
        return Removed(0, 1, f"the store {store.url} was not listed before the deadline")
    except BackupError as problem:
        return Removed(0, 1, str(problem))
    pruned = await prune(store, found, retention, now=now(), seconds=left(), needed=needed)
    return Removed(pruned.removed, len(pruned.stuck), _reasons(pruned.stuck))


async def _each(
    job: Callable[[str], Awaitable[None]], going: Iterable[ArchiveName], seconds: float | None = None
) -> dict[str, BackupError]:
    """Run a job for each archive. Return why it was not done within `seconds`, by archive name."""
    left, failed = list(map(str, going)), dict[str, BackupError]()
    try:
        async with asyncio.timeout(seconds):
            while left:
                try:
                    await job(left[0])
                except BackupError as problem:
                    failed[left[0]] = problem
                left.pop(0)
                await asyncio.sleep(0)  # lets Ctrl-C through, because a folder never waits
    except TimeoutError:
        failed |= dict.fromkeys(left, LateError("the deadline passed"))
    return failed


def _reasons(failures: Iterable[BackupError]) -> str:
    return reasons_for([str(failure) for failure in failures])
