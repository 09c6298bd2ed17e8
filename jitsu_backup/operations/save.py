"""Saving: a snapshot becomes an archive, checked and marked, and only if something has changed."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
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
from jitsu_backup.archive.shrinkage import (
    Fall,
    compared_with,
    falls_since,
    open_alarms,
    with_most,
    without_deleted,
)
from jitsu_backup.errors import BackupError, ConsoleError, LateError, UnreachableError
from jitsu_backup.model import Manifest, Refusal, Snapshot, Source, some_of
from jitsu_backup.store import better_than_weaker, latest_of

T = TypeVar("T")

CURSORS = "sync-cursor"
"""What manifests call the cursors of syncs, which no name counts."""

GIVE_UP_AFTER = 5
"""After how many workspaces in a row whose console is unreachable the rest is not tried."""


@dataclass(frozen=True, slots=True)
class SaveOptions:
    """How snapshots are saved. `shrink_alarm` is a share from 0 to 1, and 1 never raises the alarm.

    `uncompared` marks an archive that could not be compared with any other. `key` is the mark of the keys that archives
    are encrypted to, or None if they are not encrypted. With `accept_shrink`, later snapshots are compared with the
    current content, however little it is.
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
        """The marks of archives, whatever their content."""
        own = (UNCOMPARED if self.uncompared else None, self.key)
        return (*filter(None, own), *self.labels)


@dataclass(frozen=True, slots=True)
class Saved:
    """How a snapshot was saved: its archive, or an earlier one with the same content if nothing was `written`.

    `size` is in bytes, or 0 if nothing was written. `falls` are what raised the shrink alarm, and `baseline` is the archive
    with the previous content; `baseline_host` is its console if that is another one, or empty if it cannot be opened.
    `damaged` is the newest archive before, if it cannot be read. `better` is the newest archive that a stronger key read,
    if this one was read with a weaker key and that was not accepted. With `gone`, all that is missing are types that the
    console no longer offers. With `back`, it ends a shrink alarm, because what had gone is back.
    """

    snapshot: Snapshot
    digest: str
    archive: ArchiveName
    size: int = 0
    written: bool = True
    falls: tuple[Fall, ...] = ()
    baseline: ArchiveName | None = None
    baseline_host: str | None = None
    damaged: ArchiveName | None = None
    better: ArchiveName | None = None
    gone: bool = False
    back: bool = False

    @property
    def source(self) -> Source:
        """The workspace and its console."""
        return self.snapshot.manifest.source

    @property
    def whole(self) -> bool:
        """Whether it is complete, raised no alarm, found no damage, and was read with a key as strong as before."""
        sound = self.damaged is None and self.better is None
        return self.snapshot.manifest.complete and not self.falls and sound


@dataclass(frozen=True, slots=True)
class BeforeMove:
    """The archives of a workspace from before its console was replaced by one that does not support some types.

    `newest` is the newest of them, and `unsupported` are those types, as file names spell them.
    """

    newest: ArchiveName
    unsupported: frozenset[str]

    def __str__(self) -> str:
        """Return in one line what does not count as missing."""
        lost = sorted(self.unsupported & self.newest.counts.keys()) or ["sync cursors"]
        return (
            f"{self.newest.reference} is of another console; this one does not support {some_of(lost, 5)}, so that does not"
            " count as missing"
        )

    def has(self, archive: ArchiveName) -> bool:
        """Return whether an archive is one of them."""
        return archive.sort_key <= self.newest.sort_key

    def comparable(self, archive: ArchiveName) -> ArchiveName:
        """Return an archive with only the counts of types that both consoles support."""
        lost = {name: count for name, count in archive.counts.items() if name in self.unsupported}
        if archive.total is None or not lost or not self.has(archive):
            return archive
        kept = {name: count for name, count in archive.counts.items() if name not in lost}
        return replace(archive, counts=kept, total=archive.total - sum(lost.values()))


async def save(
    snapshot: Snapshot,
    history: Iterable[ArchiveName],
    options: SaveOptions,
    seal: Callable[[bytes], bytes],
    put: Callable[[ArchiveName, bytes], Awaitable[None]],
    *,
    had: Mapping[str, int] | None = None,
    before_move: BeforeMove | None = None,
) -> Saved:
    """Encode, check, encrypt and `put` a snapshot. `history` are the existing archives.

    A type that the last complete archive has and that the console no longer offers makes the snapshot incomplete. `had` is
    what that archive has, by type, if its name does not say all of it and it could be read; otherwise its name says it.
    What only archives from `before_move` have is not missing if this console does not support it. Raise BackupError; then
    nothing was stored.
    """
    name = archive_name(snapshot, options.marks, encrypted=options.encrypted)
    own = _comparable(history, name)
    newest = last_complete(own)
    counts_before: Mapping[str, int] = {} if newest is None else newest.counts
    from_before = before_move is not None and newest is not None and before_move.has(newest)
    gone = (
        ()
        if options.accept_shrink or from_before
        else _no_longer_offered(snapshot, counts_before if had is None else had)
    )
    only_gone = bool(gone) and not _lacks(snapshot.manifest)
    if gone:
        snapshot = _lacking(snapshot, gone)
        name = archive_name(snapshot, options.marks, encrypted=options.encrypted)
    window = compared_with(own, name.taken_at)
    unread = [type_in_name(refusal.what) for refusal in snapshot.manifest.refused if refusal.missing]
    known = [_with_counts(one, had) if one == newest else one for one in window]
    both = known if before_move is None else map(before_move.comparable, known)
    counted = without_deleted(both, own)
    # a console that supports less, such as no functions of profile builders, never has as many again
    moved = before_move is not None and bool(window) and before_move.has(window[0])
    alarms = [] if moved else open_alarms(own)
    fallen = falls_since(counted, name_counts(snapshot), options.shrink_alarm, unread, alarms)
    most = with_most(counted, fallen)
    before, better = latest_of(own), better_than_weaker(own) if name.key_class == WEAKER else None
    accepts = options.accept_shrink and bool(fallen or better is not None)
    was_shrunk = newest is not None and SHRUNK in newest.marks and options.shrink_alarm < 1
    made = Saved(
        snapshot,
        digest(snapshot),
        name,
        falls=() if options.accept_shrink else fallen,
        baseline=None if most is None else window[counted.index(most)],
        better=None if options.accept_shrink else better,
        gone=only_gone,
        back=was_shrunk and not fallen and snapshot.manifest.complete,
    )
    if before is not None and not accepts and _is_enough(before, name, options):
        return replace(made, archive=before, written=False)
    if fallen or accepts:
        marks = (SHRUNK if made.falls else ACCEPTED, *options.marks)
        name = archive_name(snapshot, marks, encrypted=options.encrypted)
    data = _sealed(snapshot, made.digest, options, seal)
    name = sized(name, snapshot, len(data))
    await put(name, data)
    damaged = before if before is not None and before.damaged else None
    return replace(made, archive=name, size=len(data), damaged=damaged)


def would_alarm(
    before: ArchiveName, history: Iterable[ArchiveName], options: SaveOptions, now: datetime
) -> bool:
    """Return whether a snapshot taken `now` with the content of the complete archive `before` would raise an alarm."""
    own = _comparable(history, replace(before, taken_at=now))
    window = without_deleted(compared_with(own, now), own)
    fallen = falls_since(
        window, before.counts, options.shrink_alarm, alarms=open_alarms(own), number=before.total
    )
    return bool(fallen) or (before.key_class == WEAKER and better_than_weaker(own) is not None)


def _with_counts(archive: ArchiveName, had: Mapping[str, int] | None) -> ArchiveName:
    """Return an archive with the counts that its name has no room for, if it was read."""
    if had is None or not archive.unnamed:
        return archive
    return replace(archive, counts={name: count for name, count in had.items() if count and name != CURSORS})


def _comparable(history: Iterable[ArchiveName], name: ArchiveName) -> list[ArchiveName]:
    """Return the archives of the same workspace that are no later than `name`, or all if none of those is sound."""
    own = [archive for archive in history if archive.workspace_id == name.workspace_id]
    past = [archive for archive in own if archive.taken_at <= name.taken_at]
    # without a sound one, there are only archives that a wrong clock has dated
    return past if any(archive.sound for archive in past) else own


def _is_enough(before: ArchiveName, name: ArchiveName, options: SaveOptions) -> bool:
    """Return whether nothing needs to be written, because the newest archive `before` holds what `name` would."""
    if not options.if_changed or before.is_from_the_future(name.taken_at):  # `latest` ignores that one
        return False
    # an archive that could not be compared is no baseline: it is written again once it can be compared
    accepted = options.accept_shrink or (UNCOMPARED in before.marks and not options.uncompared)
    return (before.sound or not accepted) and holds(before, name)


def _sealed(snapshot: Snapshot, named: str, options: SaveOptions, seal: Callable[[bytes], bytes]) -> bytes:
    """Return the bytes of an archive. Raise BackupError if it cannot be read back, or is not encrypted as configured."""
    data = encode(snapshot)
    if digest(decode(data)) != named:
        raise ConsoleError("the archive reads back differently from what was written; nothing was stored")
    data = seal(data)
    if is_encrypted(data) != options.encrypted:
        raise BackupError(
            "the archive was not encrypted, although encryption is set; nothing was stored; report this bug"
        )
    return data


def holds(before: ArchiveName, name: ArchiveName) -> bool:
    """Return whether the archive `before` holds what one named `name` would: the same content, protection and labels.

    An archive whose name does not say its size, as before 0.6.0, may have been truncated unnoticed.
    """
    if before.damaged or before.size is None:
        return False
    same = before.digest_prefix == name.digest_prefix and before.encrypted == name.encrypted
    return same and before.key == name.key and name.labels <= before.labels


def last_complete(own: Iterable[ArchiveName]) -> ArchiveName | None:
    """Return the newest complete archive, whatever alarm it raised, or None."""
    return max((archive for archive in own if archive.complete), key=lambda one: one.sort_key, default=None)


_GONE = "the console no longer offers it"
_UNSURE = "it is unknown whether the console still offers it, because other requests failed"


def _lacks(manifest: Manifest) -> bool:
    return any(refusal.missing for refusal in manifest.refused)


def _no_longer_offered(snapshot: Snapshot, had: Mapping[str, int]) -> tuple[Refusal, ...]:
    """Return the types that the console does not offer although the newest complete archive has entities of them.

    `had` counts the entities of that archive by type, as file names spell types.
    """
    manifest = snapshot.manifest
    why = _UNSURE if _lacks(manifest) else _GONE
    known = {type_in_name(name) for name in (*manifest.counts, *(one.what for one in manifest.refused))}
    spelled = {type_in_name(name): name for name in manifest.not_offered}
    return tuple(
        Refusal(
            spelled.get(name, name),
            f"{why}; the last complete archive has {count}",
        )
        for name, count in sorted(had.items())
        if count and name not in known
    )


def _lacking(snapshot: Snapshot, gone: tuple[Refusal, ...]) -> Snapshot:
    """Return a snapshot that lists `gone` as missing instead of not offered."""
    manifest, names = snapshot.manifest, {refusal.what for refusal in gone}
    refused = tuple(sorted((*manifest.refused, *gone)))
    offered = tuple(name for name in manifest.not_offered if name not in names)
    return replace(snapshot, manifest=replace(manifest, refused=refused, not_offered=offered))


async def side_by_side(
    jobs: Sequence[tuple[str, Callable[[], Awaitable[T]]]],
    *,
    at_once: int,
    seconds: float | None = None,
    ready: Callable[[int], Awaitable[object]] | None = None,
) -> list[T | Exception]:
    """Run jobs, each for a console, `at_once` at a time, and return the result or failure of each.

    A failure does not affect the other jobs. `ready` is awaited for each job, given its number, before it starts. What is
    not done after `seconds` is stopped and counts as failed. Once GIVE_UP_AFTER jobs in a row could not reach their
    console, the remaining jobs of that console are not tried.
    """
    slots = asyncio.Semaphore(at_once)
    unreached: Counter[str] = Counter()

    async def run(number: int, console: str, job: Callable[[], Awaitable[T]]) -> T:
        if ready is not None:
            await ready(number)
        async with slots:
            row = unreached[console]
            if row >= GIVE_UP_AFTER:
                raise UnreachableError(f"not tried, because {row} workspaces in a row could not be reached")
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

    tasks = [asyncio.ensure_future(run(n, console, job)) for n, (console, job) in enumerate(jobs)]
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
