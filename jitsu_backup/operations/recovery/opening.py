"""Open the archives that a recovery uses, or an older one if the newest cannot be read."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from jitsu_backup.archive import ArchiveName
from jitsu_backup.console import gather
from jitsu_backup.errors import BackupError, IntegrityError, LockedError, UsageError
from jitsu_backup.events import Progress, Reporter
from jitsu_backup.model import Snapshot, plural, shown_time, unknown_secrets
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.recovery.choice import (
    Candidate,
    Living,
    Opened,
    is_whole,
    lives,
    not_used,
    same_host,
    with_secrets,
    without_whole,
)
from jitsu_backup.operations.recovery.newer import beyond, newer_than
from jitsu_backup.operations.recovery.values import LeftOut, PassedOver
from jitsu_backup.operations.snapshots import content_of
from jitsu_backup.store import Store

TRIES = 5
"""How many archives of a workspace are tried before it counts as unreadable."""

_AT_ONCE = 8

_OLDEST_READ = 3
"""Of how many workspaces the oldest archive is read, to see whether the store has another console too."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The archive that is used for a workspace, opened, and newer ones that could not be used.

    `with_secrets` is an older one that the operator's token read, if this one lacks secrets. `later` is from after the time
    of --at, and damaged or much larger.
    """

    opened: Opened
    snapshot: Snapshot = field(repr=False)
    passed_over: tuple[PassedOver, ...] = ()
    with_secrets: ArchiveName | None = None
    later: ArchiveName | None = None


async def open_all(
    found: Iterable[Candidate],
    store: Store,
    keys: ArchiveKeys,
    report: Reporter,
    *,
    from_host: str | None,
    there: Mapping[str, Living],
) -> tuple[list[Taken], list[LeftOut]]:
    """Open the newest readable archive of each workspace; return these, and the workspaces without one.

    If a workspace has archives of several consoles, the newest of `from_host` is taken, however many newer ones there are.
    `there` are the workspaces on the target, by id.
    """
    waiting = list(found)
    total = len(waiting)
    taken: list[Taken] = []
    left_out: list[LeftOut] = []

    async def worker() -> None:
        while waiting:
            candidate = waiting.pop()
            one = await _open_or_not(candidate, store, keys, from_host)
            if isinstance(one, Taken):
                one = await _with_newer(one, candidate, store, keys, there)
            (taken if isinstance(one, Taken) else left_out).append(one)  # type: ignore[arg-type]
            report(Progress("opening archives", len(taken) + len(left_out), total))

    await gather(*(worker() for _ in range(min(_AT_ONCE, total))))
    return taken, left_out


async def _open_or_not(
    candidate: Candidate, store: Store, keys: ArchiveKeys, from_host: str | None
) -> Taken | LeftOut:
    """Return the archive to use, or why there is none. One that may be readable later is not replaced by an older one."""
    try:
        return await _open(candidate, store, keys, from_host)
    except BackupError as problem:
        newest, *older = candidate.archives or candidate.others
        why = f"its newest archive cannot be read now: {problem}"
        if older:
            why += (
                f"; if that lasts, use an older one with --at and a time before {shown_time(newest.taken_at)}"
            )
        return LeftOut(candidate.workspace_id, candidate.slug, why, problem.exit_code, later=True)


async def _open(
    candidate: Candidate, store: Store, keys: ArchiveKeys, from_host: str | None
) -> Taken | LeftOut:
    if from_host is not None:
        return await _open_of(from_host, candidate, store, keys)
    failed: list[PassedOver] = []
    for archive in candidate.archives[:TRIES]:
        snapshot = await _content(archive, store, keys)
        if not isinstance(snapshot, PassedOver):
            passed_over = (*candidate.passed_over, *failed)
            older = with_secrets(archive, candidate) if unknown_secrets(snapshot) else None
            return Taken(_opened(archive, snapshot), snapshot, passed_over, older)
        failed.append(snapshot)
    return _unreadable(candidate, failed) if failed else without_whole(candidate)


async def _open_of(host: str, candidate: Candidate, store: Store, keys: ArchiveKeys) -> Taken | LeftOut:
    """Open the newest usable archive of the console `host`, or if there is none, the newest of another console.

    Names of archives do not include the console, so all are opened until one is found. One that was read with a weaker key or
    was not compared with an earlier one is used if `host` has no better one.
    """
    failed: list[PassedOver] = []
    passed_over: list[PassedOver] = []
    second: Taken | None = None
    other: Taken | None = None
    newest_first = sorted(
        (*candidate.archives, *candidate.others), key=lambda one: one.sort_key, reverse=True
    )
    for archive in newest_first:
        snapshot = await _content(archive, store, keys)
        if isinstance(snapshot, PassedOver):
            failed.append(snapshot)
            if len(failed) == TRIES:
                break
            continue
        taken = Taken(_opened(archive, snapshot), snapshot, (*passed_over, *failed))
        if not same_host(taken.opened.source.host, host):
            other = other or taken
        elif archive in candidate.archives:
            return taken
        else:
            second = second or (taken if is_whole(archive) else None)
            passed_over = passed_over or [not_used(archive)]
    if second is not None:
        return second
    if passed_over and not failed:
        return without_whole(replace(candidate, passed_over=tuple(passed_over)))
    if other is None or passed_over:
        return _unreadable(candidate, failed) if candidate.archives else without_whole(candidate)
    return _perhaps_of(host, candidate, other, failed) if failed else other


async def _with_newer(
    one: Taken, candidate: Candidate, store: Store, keys: ArchiveKeys, there: Mapping[str, Living]
) -> Taken:
    """Return an archive to use with all newer ones of the same console that are not used."""
    host = one.opened.source.host
    newer = []
    for past in newer_than(one.opened, one.passed_over, candidate, exists=lives(one.opened, there)):
        content: Snapshot | PassedOver = past
        if not past.archive.damaged:
            with suppress(BackupError):  # else it may be readable later
                content = await _content(past.archive, store, keys)
        if isinstance(content, PassedOver):
            newer.append(content)
        elif content.manifest.source.host == host:
            newer.append(past)
    later = beyond(one.opened, len(one.snapshot.entities), candidate)
    return replace(one, passed_over=(*one.passed_over, *newer), later=later)


def _perhaps_of(host: str, candidate: Candidate, other: Taken, failed: list[PassedOver]) -> LeftOut:
    """Return the report of a workspace whose archives of the console `host` may be among those that cannot be read."""
    unread = plural(len(failed), "archive")
    why = (
        f"no archive of {host} was found, only of {other.opened.source.host}, but {unread} cannot be read:"
        f" {failed[0].archive.reference}: {failed[0].why}"
    )
    return LeftOut(candidate.workspace_id, candidate.slug, why, failed[0].exit_code, failed[0].locked)


async def _content(archive: ArchiveName, store: Store, keys: ArchiveKeys) -> Snapshot | PassedOver:
    """Return the content of an archive, or why it is unusable. Raise BackupError if the store cannot be read now."""
    if archive.damaged:
        return not_used(archive)
    try:
        return content_of(archive, await store.read(str(archive)), keys)
    except (IntegrityError, UsageError, LockedError) as problem:
        locked = isinstance(problem, UsageError | LockedError)  # no identity is given, or none matches
        return PassedOver(archive, str(problem), problem.exit_code, locked)


async def newest_elsewhere(
    found: Iterable[Candidate], taken: Iterable[Taken], store: Store, keys: ArchiveKeys
) -> list[Opened]:
    """Return, of workspaces that were read from another console before, the newest archive from there.

    A workspace keeps its id if a console moves to another address, and archive names do not include the console.
    """
    archives = {one.workspace_id: (*one.archives, *filter(is_whole, one.others)) for one in found}
    waiting = [(archives[one.opened.archive.workspace_id], one.opened) for one in taken]
    elsewhere: list[Opened] = []

    async def worker() -> None:
        while waiting:
            known, used = waiting.pop()
            one = await _newest_elsewhere(known, used, store, keys)
            elsewhere.extend([] if one is None else [one])

    await gather(*(worker() for _ in range(min(_AT_ONCE, len(waiting)))))
    return elsewhere


async def other_hosts(
    host: str, found: Iterable[Candidate], taken: Iterable[Taken], store: Store, keys: ArchiveKeys
) -> set[str]:
    """Return the consoles that some workspaces of `host` had before, as far as a few of the oldest archives show them."""
    newest = {one.opened.archive.workspace_id: one.opened for one in taken if one.opened.source.host == host}
    known = [(*one.archives, *one.others) for one in found if one.workspace_id in newest]
    oldest = [min(archives, key=lambda one: one.sort_key) for archives in known]
    first = sorted(
        (one for one in oldest if one != newest[one.workspace_id].archive), key=lambda one: one.sort_key
    )
    contents = await gather(*(_content_or_none(one, store, keys) for one in first[:_OLDEST_READ]))
    return {one.manifest.source.host for one in contents if one is not None} - {host}


async def _content_or_none(archive: ArchiveName, store: Store, keys: ArchiveKeys) -> Snapshot | None:
    try:
        content = await _content(archive, store, keys)
    except BackupError:
        return None
    return content if isinstance(content, Snapshot) else None


async def _newest_elsewhere(
    archives: Sequence[ArchiveName], used: Opened, store: Store, keys: ArchiveKeys
) -> Opened | None:
    """Search the archives of a workspace, newest first, for the place where its console changes."""
    older = sorted(
        (one for one in archives if one.sort_key < used.archive.sort_key),
        key=lambda one: one.sort_key,
        reverse=True,
    )
    found = await _oldest_readable(older[-TRIES:], store, keys)
    if found is None or found.source.host == used.source.host:
        return None  # all are of this console
    same, other = -1, older.index(found.archive)
    while other - same > 1:
        middle = (same + other) // 2
        snapshot = await _content_or_none(older[middle], store, keys)
        if snapshot is None:
            return found
        if snapshot.manifest.source.host == used.source.host:
            same = middle
        else:
            other, found = middle, _opened(older[middle], snapshot)
    return found


async def _oldest_readable(archives: Sequence[ArchiveName], store: Store, keys: ArchiveKeys) -> Opened | None:
    """Return the oldest archive that can be read, of some that are sorted newest first."""
    for archive in reversed(archives):
        snapshot = await _content_or_none(archive, store, keys)
        if snapshot is not None:
            return _opened(archive, snapshot)
    return None


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
