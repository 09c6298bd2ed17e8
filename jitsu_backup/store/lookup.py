"""Which archive SNAPSHOT means."""

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from jitsu_backup.archive import INCOMPLETE, WEAKER, ArchiveName
from jitsu_backup.errors import BackupError, IntegrityError, UsageError

_AGE = attrgetter("age")
_LATEST = re.compile(r"latest(?:~(\d{1,9}))?", re.ASCII)
_DATE = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.?(\d{3}))?)?)?)?Z?", re.ASCII
)


def find(archives: Iterable[ArchiveName], reference: str, now: datetime) -> ArchiveName:
    """Give the archive that `reference` means: `latest`, `latest~2`, a date, or a digest prefix.

    A date (`2026-11-20`, `2026-11-20T10:30`, in UTC) means the state at its end: the newest archive that is
    not of later. A workspace's slug or id may stand before it, with `/`. Incomplete snapshots count
    for `latest` and dates only where there is no complete one, those that a weaker key read only where no other key
    read any, those of before a restore, packed ones, and those dated after `now`, never.
    A damaged one keeps its place, so that nobody gets an older one unawares: `latest` and dates that mean it raise
    IntegrityError. Its id means another archive of the same content, where there is one. Raises UsageError, BackupError.
    """
    workspace, slash, rest = reference.rpartition("/")
    known = list(archives)
    chosen = of_workspace(known, workspace) if slash else known
    if not chosen:
        names = ", ".join(_workspaces(known))
        where = f"of workspace {workspace!r} " if slash else ""
        raise BackupError(
            f"no snapshot {where}in the store" + (f"; it has: {names}" if names else ", which is empty")
        )
    match = _LATEST.fullmatch(rest)
    if match is not None:
        return _latest(chosen, int(match[1] or 0), now)
    end = _end_of(rest)
    if end is not None:
        return _as_of(chosen, end, rest, now)
    prefix = rest.lower()[:12]
    if not re.fullmatch(r"[0-9a-fA-F]{4,64}", rest):
        raise UsageError(
            f"{reference!r} is no snapshot: write latest, latest~2, a date such as 2026-11-20, an id of 4 or more"
            " hex digits, or a path"
        )
    found = [a for a in chosen if a.digest_prefix.startswith(prefix)]
    if not found:
        newest = [a.digest_prefix for a in sorted(chosen, key=_AGE, reverse=True)]
        some = ", ".join(dict.fromkeys(newest[:5]))
        raise BackupError(f"no snapshot {rest!r} in the store; it has {len(chosen)}, the newest: {some}")
    if len({a.digest_prefix for a in found}) > 1:
        raise UsageError(
            f"{rest!r} could be {', '.join(sorted({a.digest_prefix for a in found}))}: write more of it"
        )
    return max([archive for archive in found if not archive.damaged] or found, key=_AGE)


def is_relative(reference: str) -> bool:
    """Tell whether `reference` means another archive as time goes by or more are kept: `latest~N`, a date."""
    last = reference.rpartition("/")[2]
    return _LATEST.fullmatch(last) is not None or _end_of(last) is not None


def of_workspace(archives: Iterable[ArchiveName], workspace: str) -> list[ArchiveName]:
    """Give the archives of the workspaces that have, or once had, that id or slug.

    By id, so that a workspace whose slug changed keeps one history.
    """
    known = list(archives)
    ids = {archive.workspace_id for archive in known if archive.belongs_to(workspace)}
    return [archive for archive in known if archive.workspace_id in ids]


def latest_of(archives: Iterable[ArchiveName]) -> ArchiveName | None:
    """Give the newest of a workspace's archives, complete, damaged or not, set aside never; None without any."""
    return max((a for a in archives if not a.set_aside), key=_AGE, default=None)


def latest_of_each(archives: Iterable[ArchiveName], now: datetime) -> list[ArchiveName]:
    """Give what `latest` means for each workspace of a store, by workspace, damaged ones too."""
    own: dict[str, list[ArchiveName]] = defaultdict(list)
    for archive in archives:
        own[archive.workspace_id].append(archive)
    return [ordered[0] for _, members in sorted(own.items()) if (ordered := _usable(members, now))]


def _latest(archives: list[ArchiveName], back: int, now: datetime) -> ArchiveName:
    ordered = _history(archives, "latest", now)
    if not ordered:
        raise BackupError(
            "the store has only what restores set aside, what was packed, or what is dated in the future;"
            " name one by its id"
        )
    if back >= len(ordered):
        raise BackupError(
            f"the store has only {len(ordered)}, latest to latest~{len(ordered) - 1}; one of before a restore, or packed,"
            " is named by its id"
        )
    return _whole(ordered[back], ordered)


def _as_of(archives: list[ArchiveName], end: datetime, reference: str, now: datetime) -> ArchiveName:
    ordered = _history(archives, reference, now)
    found = next((a for a in ordered if a.taken_at < end), None)
    if found is None:
        oldest = f"; the oldest is of {ordered[-1].taken_at:%Y-%m-%d %H:%M:%S} UTC" if ordered else ""
        raise BackupError(f"the store has no snapshot of {reference} or before{oldest}")
    return _whole(found, ordered)


def _whole(archive: ArchiveName, ordered: list[ArchiveName]) -> ArchiveName:
    """Return an archive that is not damaged. Raise IntegrityError for one that is, with what to write instead."""
    if not archive.damaged:
        return archive
    older = next((a for a in ordered if not a.damaged and a.age < archive.age), None)
    instead = (
        "there is no older one that is whole: run backup"
        if older is None
        else f"write {older.slug}/{older.digest_prefix} for the last whole one before it, taken at"
        f" {older.taken_at:%Y-%m-%d %H:%M:%S} UTC, or run backup"
    )
    raise IntegrityError(
        f"{archive} is damaged: {archive.found:,} of its {archive.size:,} bytes are there; {instead}"
    )


def _history(archives: list[ArchiveName], reference: str, now: datetime) -> list[ArchiveName]:
    """Give one workspace's snapshots, newest first. Raises UsageError where there are several workspaces."""
    workspaces = _workspaces([a for a in archives if not a.set_aside])
    if len(workspaces) > 1:
        some = ", ".join(f"{workspace}/{reference}" for workspace in workspaces)
        raise UsageError(f"the store holds several workspaces; write one of {some}")
    return _usable(archives, now)


def _usable(archives: list[ArchiveName], now: datetime) -> list[ArchiveName]:
    """Return the best snapshots there are, damaged or not, newest first: complete ones, read with no weaker key, or all."""
    # a restore that is run again must not find what the first run set aside, nor what somebody packed
    archives = [a for a in archives if not a.set_aside and not a.is_from_the_future(now)]
    complete = [a for a in archives if INCOMPLETE not in a.marks]
    best = [a for a in complete if a.key_class != WEAKER]
    return sorted(best or complete or archives, key=_AGE, reverse=True)


def _end_of(text: str) -> datetime | None:
    """Give the end of the day, hour, minute or second that `text` names; None where it names none."""
    match = _DATE.fullmatch(text)
    if match is None or ("-" not in text and match[4] is None):  # digits alone are an id
        return None
    parts = [int(part) for part in match.groups() if part is not None]
    steps = {3: timedelta(days=1), 4: timedelta(hours=1), 5: timedelta(minutes=1), 6: timedelta(seconds=1)}
    step = steps.get(len(parts), timedelta(milliseconds=1))
    parts[6:] = [milliseconds * 1000 for milliseconds in parts[6:]]
    try:
        return datetime(*parts, tzinfo=UTC) + step  # type: ignore[arg-type,misc]
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is no date; write 2026-11-20 or 2026-11-20T10:30 (UTC)") from None


def _workspaces(archives: list[ArchiveName]) -> list[str]:
    """Give one name per workspace: its newest slug, or its id where another had that slug too."""
    newest = {a.workspace_id: a.slug for a in sorted(archives, key=_AGE)}
    owners = {slug: {a.workspace_id for a in archives if a.slug == slug} for slug in newest.values()}
    return sorted(slug if len(owners[slug]) == 1 else workspace for workspace, slug in newest.items())
