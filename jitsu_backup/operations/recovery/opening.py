"""Open the archives that a recovery uses, or an older one if the newest cannot be read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from jitsu_backup.archive import ArchiveName
from jitsu_backup.console import gather
from jitsu_backup.errors import BackupError, LockedError, UsageError
from jitsu_backup.events import Progress, Reporter
from jitsu_backup.model import Snapshot, plural, shown_time
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.recovery.choice import Candidate, Opened, same_host, without_whole
from jitsu_backup.operations.recovery.values import LeftOut, PassedOver
from jitsu_backup.operations.snapshots import content_of
from jitsu_backup.store import Store

TRIES = 5
"""How many archives of a workspace are tried before it counts as unreadable."""

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Taken:
    """The archive that is used for a workspace, opened, and newer ones that could not be used."""

    opened: Opened
    snapshot: Snapshot = field(repr=False)
    passed_over: tuple[PassedOver, ...] = ()


async def open_all(
    found: Iterable[Candidate], store: Store, keys: ArchiveKeys, report: Reporter, *, from_host: str | None
) -> tuple[list[Taken], list[LeftOut]]:
    """Open the newest readable archive of each workspace; return these, and the workspaces without one.

    If a workspace has archives of several consoles, one of `from_host` is preferred.
    """
    waiting = list(found)
    total = len(waiting)
    taken: list[Taken] = []
    left_out: list[LeftOut] = []

    async def worker() -> None:
        while waiting:
            one = await _open(waiting.pop(), store, keys, from_host)
            (taken if isinstance(one, Taken) else left_out).append(one)  # type: ignore[arg-type]
            report(Progress("opening archives", len(taken) + len(left_out), total))

    await gather(*(worker() for _ in range(min(_AT_ONCE, total))))
    return taken, left_out


async def _open(
    candidate: Candidate, store: Store, keys: ArchiveKeys, from_host: str | None
) -> Taken | LeftOut:
    if not candidate.archives:
        return without_whole(candidate)
    failed: list[PassedOver] = []
    first: Taken | None = None
    archives, oldest = candidate.archives, candidate.archives[-1]
    for number, archive in enumerate(archives):
        try:
            snapshot = content_of(archive, await store.read(str(archive)), keys)
        except BackupError as problem:
            if first is None:
                locked = isinstance(
                    problem, UsageError | LockedError
                )  # no identity is given, or none matches
                failed.append(PassedOver(archive, str(problem), problem.exit_code, locked))
            if len(failed) == TRIES:
                break
            continue
        taken = Taken(_opened(archive, snapshot), snapshot, (*candidate.passed_over, *failed))
        if from_host is None or same_host(taken.opened.source.host, from_host):
            return taken
        first = first or taken
        # only if the oldest and the newest are of different consoles can there be one of `from_host`
        if number == 0 and await _is_of_another(oldest, store, keys, taken):
            continue
        return first
    return first or _unreadable(candidate, failed)


async def newest_elsewhere(
    found: Iterable[Candidate], taken: Iterable[Taken], store: Store, keys: ArchiveKeys
) -> list[Opened]:
    """Return, of workspaces that were read from another console before, the newest archive from there.

    A workspace keeps its id if a console moves to another address, and archive names do not include the console.
    """
    archives = {one.workspace_id: one.archives for one in found}
    waiting = [(archives[one.opened.archive.workspace_id], one.opened) for one in taken]
    elsewhere: list[Opened] = []

    async def worker() -> None:
        while waiting:
            known, used = waiting.pop()
            one = await _newest_elsewhere(known, used, store, keys)
            elsewhere.extend([] if one is None else [one])

    await gather(*(worker() for _ in range(min(_AT_ONCE, len(waiting)))))
    return elsewhere


async def _newest_elsewhere(
    archives: Sequence[ArchiveName], used: Opened, store: Store, keys: ArchiveKeys
) -> Opened | None:
    """Search the archives of a workspace, newest first, for the place where its console changes."""
    same, other = archives.index(used.archive), len(archives)
    found: Opened | None = None
    while other - same > 1:
        middle = other - 1 if found is None else (same + other) // 2
        try:
            snapshot = content_of(archives[middle], await store.read(str(archives[middle])), keys)
        except BackupError:
            return found
        if snapshot.manifest.source.host == used.source.host:
            if found is None:
                return None  # the oldest one, so all are of this console
            same = middle
        else:
            other, found = middle, _opened(archives[middle], snapshot)
    return found


async def _is_of_another(oldest: ArchiveName, store: Store, keys: ArchiveKeys, taken: Taken) -> bool:
    if oldest == taken.opened.archive:
        return False
    try:
        snapshot = content_of(oldest, await store.read(str(oldest)), keys)
    except BackupError:
        return True  # unknown, so open the others too
    return snapshot.manifest.source.host != taken.opened.source.host


def _opened(archive: ArchiveName, snapshot: Snapshot) -> Opened:
    created = snapshot.workspace.get("createdAt")
    return Opened(archive, snapshot.manifest.source, created if isinstance(created, str) else None)


def _unreadable(candidate: Candidate, failed: list[PassedOver]) -> LeftOut:
    newest = failed[0]
    if all(past.locked for past in failed):  # no matter which archives: the key is what is missing
        return LeftOut(candidate.workspace_id, candidate.slug, newest.why, newest.exit_code, locked=True)
    more = f", and neither can {plural(len(failed) - 1, 'older one')}" if len(failed) > 1 else ""
    named = f"{newest.archive.reference} of {shown_time(newest.archive.taken_at)}"
    why = f"its newest archive, {named}, cannot be read{more}: {newest.why}"
    return LeftOut(candidate.workspace_id, candidate.slug, why, newest.exit_code, newest.locked)
