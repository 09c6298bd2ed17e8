"""Keeping: snapshots go into a store, each whole, marked and only where something has changed."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from jitsu_backup.archive import (
    ACCEPTED,
    SHRUNK,
    UNCOMPARED,
    WEAKER,
    ArchiveName,
    archive_name,
    decode,
    digest,
    encode,
    is_encrypted,
    name_counts,
    sized,
    type_in_name,
)
from jitsu_backup.archive.shrinkage import Fall, compared_with, falls_since, with_most
from jitsu_backup.errors import BackupError, ConsoleError, LateError, UnreachableError
from jitsu_backup.model import Refusal, Snapshot
from jitsu_backup.store import better_than_weaker, latest_of

T = TypeVar("T")

GIVE_UP_AFTER = 5
"""How many workspaces in a row may find their console unreachable before the rest is not tried."""


@dataclass(frozen=True, slots=True)
class SaveOptions:
    """How snapshots are kept. `shrink_alarm` is a share from 0 to 1; 1 sets the alarm off never.

    `uncompared` marks what nothing could be compared with. `key` is the mark of the keys that archives are
    encrypted to, None where they are not. With `accept_shrink` what is there now is what later snapshots are
    compared with, however little it is.
    """

    labels: tuple[str, ...] = ()
    if_changed: bool = False
    accept_shrink: bool = False
    uncompared: bool = False
    shrink_alarm: float = 0.5
    key: str | None = None

    @property
    def encrypted(self) -> bool:
        """Whether archives are encrypted."""
        return self.key is not None

    @property
    def marks(self) -> tuple[str, ...]:
        """What archives are marked with, whatever is in them."""
        own = (UNCOMPARED,) if self.uncompared else ()
        return (*own, *(() if self.key is None else (self.key,)), *self.labels)


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a snapshot: its archive, and the one that holds it already where nothing was `written`.

    `size` is in bytes, 0 where nothing was written; `falls` say what set off the shrink alarm, `baseline` which
    archive has what was there before. `damaged` is the archive that was the newest, where it cannot be read; `better`
    the newest that a better key read, where this one was read with a weaker key and nobody has accepted that.
    """

    snapshot: Snapshot
    digest: str
    archive: ArchiveName
    size: int = 0
    written: bool = True
    falls: tuple[Fall, ...] = ()
    baseline: ArchiveName | None = None
    damaged: ArchiveName | None = None
    better: ArchiveName | None = None

    @property
    def whole(self) -> bool:
        """Whether it is complete, set off no alarm, found nothing damaged, and was read with no key that is weaker than an earlier one."""
        sound = self.damaged is None and self.better is None
        return self.snapshot.manifest.complete and not self.falls and sound


async def save(
    snapshot: Snapshot,
    history: Iterable[ArchiveName],
    options: SaveOptions,
    seal: Callable[[bytes], bytes],
    put: Callable[[ArchiveName, bytes], Awaitable[None]],
    *,
    had: Mapping[str, int] | None = None,
) -> Saved:
    """Encode, check, seal and `put` a snapshot; `history` are the archives that are there.

    A type that the last complete archive has and that the console no longer offers makes the snapshot incomplete. `had`
    counts what that archive has by type, where it was read; else its name tells. Raises BackupError; then nothing was
    stored.
    """
    name = archive_name(snapshot, options.marks, encrypted=options.encrypted)
    own = [archive for archive in history if archive.workspace_id == name.workspace_id]
    past = [archive for archive in own if archive.taken_at <= name.taken_at]
    if any(archive.sound for archive in past):  # else only what a clock gone wrong has dated is there
        own = past
    newest = last_complete(own)
    told: Mapping[str, int] = {} if newest is None else newest.counts
    gone = () if options.accept_shrink else _no_longer_offered(snapshot, told if had is None else had)
    if gone:
        snapshot = _lacking(snapshot, gone)
        name = archive_name(snapshot, options.marks, encrypted=options.encrypted)
    window = compared_with(own, name.taken_at)
    unread = [type_in_name(refusal.what) for refusal in snapshot.manifest.refused if refusal.missing]
    fallen = falls_since(window, name_counts(snapshot), options.shrink_alarm, unread)
    found = () if options.accept_shrink else fallen
    last = with_most(window, fallen)
    before, named = latest_of(own), digest(snapshot)
    damaged = before if before is not None and before.damaged else None
    # one that nobody could compare is no baseline: it is written again once it can be compared
    accepted = options.accept_shrink or (
        before is not None and UNCOMPARED in before.marks and not options.uncompared
    )
    better = better_than_weaker(own) if name.key_class == WEAKER else None
    accepts = options.accept_shrink and (fallen or better is not None)
    missed = None if options.accept_shrink else better
    settled = (
        before is not None
        and not accepts
        and not before.is_from_the_future(snapshot.taken_at)  # `latest` passes it over
        and (before.sound or not accepted)
    )
    if options.if_changed and before is not None and settled and _holds(before, name):
        return Saved(snapshot, named, before, written=False, falls=found, baseline=last, better=missed)
    if fallen or accepts:
        marks = (SHRUNK if found else ACCEPTED, *options.marks)
        name = archive_name(snapshot, marks, encrypted=options.encrypted)
    data = encode(snapshot)
    if digest(decode(data)) != named:
        raise ConsoleError("the archive does not read back as it was written; nothing was stored")
    data = seal(data)
    if is_encrypted(data) != options.encrypted:
        raise BackupError("the archive was not encrypted as it should be; nothing was stored")
    name = sized(name, snapshot, len(data))
    await put(name, data)
    return Saved(snapshot, named, name, len(data), falls=found, baseline=last, damaged=damaged, better=missed)


def _holds(before: ArchiveName, name: ArchiveName) -> bool:
    """Tell whether an archive holds what another one would: its content, as well protected, with its labels.

    One whose name does not say its size, as those of before 0.6.0, may have been cut off unnoticed.
    """
    if before.damaged or before.size is None:
        return False
    same = before.digest_prefix == name.digest_prefix and before.encrypted == name.encrypted
    return same and before.key == name.key and name.labels <= before.labels


def last_complete(own: Iterable[ArchiveName]) -> ArchiveName | None:
    """Return the newest complete archive, whatever alarm it has set off; None where there is none."""
    return max((archive for archive in own if archive.complete), key=lambda one: one.age, default=None)


def _no_longer_offered(snapshot: Snapshot, had: Mapping[str, int]) -> tuple[Refusal, ...]:
    """Return what the console does not offer though the newest complete archive has some of it.

    `had` counts what that archive has by type, each type as names spell it.
    """
    manifest = snapshot.manifest
    known = {type_in_name(name) for name in (*manifest.counts, *(one.what for one in manifest.refused))}
    spelled = {type_in_name(name): name for name in manifest.not_offered}
    return tuple(
        Refusal(
            spelled.get(name, name),
            f"the console does not offer it any more, and the last complete archive has {count}"
            " (`backup --accept-shrink` if that is as meant)",
        )
        for name, count in sorted(had.items())
        if count and name not in known
    )


def _lacking(snapshot: Snapshot, gone: tuple[Refusal, ...]) -> Snapshot:
    """Return a snapshot that calls missing what it says is not offered."""
    manifest, names = snapshot.manifest, {refusal.what for refusal in gone}
    refused = tuple(sorted((*manifest.refused, *gone)))
    offered = tuple(name for name in manifest.not_offered if name not in names)
    return replace(snapshot, manifest=replace(manifest, refused=refused, not_offered=offered))


async def side_by_side(
    jobs: Sequence[tuple[str, Callable[[], Awaitable[T]]]], *, at_once: int, seconds: float | None = None
) -> list[T | Exception]:
    """Run jobs, each of a console, some `at_once`, and give the result or the failure of each; none harms another.

    What is not done after `seconds` is stopped and counts as failed. Once GIVE_UP_AFTER in a row could not
    reach their console, the rest of that console's is not tried.
    """
    slots = asyncio.Semaphore(at_once)
    unreached: Counter[str] = Counter()

    async def run(console: str, job: Callable[[], Awaitable[T]]) -> T:
        async with slots:
            if unreached[console] >= GIVE_UP_AFTER:
                raise UnreachableError(
                    f"not tried: {unreached[console]} workspaces in a row could not be reached"
                )
            try:
                result = await job()
            except UnreachableError:
                unreached[console] += 1
                raise
            except Exception:
                unreached[console] = 0
                raise
            unreached[console] = 0
            return result

    tasks = [asyncio.ensure_future(run(console, job)) for console, job in jobs]
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    return [_outcome(end, seconds) for end in ended]


def _outcome(end: T | BaseException, seconds: float | None) -> T | Exception:
    if isinstance(end, asyncio.CancelledError):
        return LateError(f"not done before the deadline of {seconds or 0:.0f} s")
    if isinstance(end, BaseException) and not isinstance(end, Exception):
        raise end
    return end
