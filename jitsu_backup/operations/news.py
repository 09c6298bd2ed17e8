"""News of a workspace: the changes in its newest archive that no notification has reported yet."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import orjson

from jitsu_backup.archive import SHRUNK, ArchiveName, name_counts, parse_name
from jitsu_backup.archive.shrinkage import ALL, Fall
from jitsu_backup.errors import IntegrityError, LockedError, UsageError
from jitsu_backup.model import Key, Snapshot, Source, content_digest, iso_time, parse_iso_time
from jitsu_backup.operations.asking import Unchanged
from jitsu_backup.operations.diff import Side, diff
from jitsu_backup.operations.save import Saved
from jitsu_backup.planning import Changes, PlanOptions

EVERY = timedelta(minutes=15)
"""The default time between two notifications about a workspace."""


NEVER = datetime.fromtimestamp(0, UTC)
"""The time of the last notification about a workspace that had none yet."""

Held = Saved | Unchanged
"""What a run found in a workspace, and the archive that holds it."""


@dataclass(frozen=True, slots=True)
class News:
    """What is new in a workspace: `archive` has it; `before` is what it was compared with (None for the first backup).

    `changes` is None if they are unknown, and `why_not` says why. If archives are `gone` from the store, older changes
    are not shown; without `changes`, the missing archive is `before` itself. `alarm` says what raised the shrink alarm.
    `still` says what is missing if that alarm was raised before and not everything is back. `counts` are those of the
    archive by type, also those that its name has no room for, and `content` is the digest of its entities. With `locked`,
    no key that opens `before` is here. `who` says who changed an entity, in words, by its key on either side. With
    `other_key`, only another key has read the workspace before, so nothing was compared; with `weaker`, that raised an
    alarm.
    """

    source: Source
    archive: ArchiveName
    before: ArchiveName | None
    changes: Changes | None = field(default=None, repr=False)
    why_not: str = ""
    gone: bool = False
    alarm: str = ""
    who: Mapping[Key, str] = field(default_factory=dict, repr=False)
    other_key: bool = False
    weaker: bool = False
    content: str = ""
    still: str = ""
    locked: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """The last notification: when, about which archive, and up to which one it had the changes. Empty if there was none.

    `content` is the digest of the entities in the last of these, or empty if it is unknown.
    """

    at: datetime
    archive: str = ""
    compared: str = ""
    content: str = ""


def is_over(told_at: datetime, every: timedelta, now: datetime) -> bool:
    """Return whether the time after a notification is over. It is too if the clock was set back."""
    return not timedelta(0) <= now - told_at < every


def told_as_bytes(told: Told) -> bytes:
    """Return the content of the file of a last notification."""
    document = {"at": iso_time(told.at), "archive": told.archive, "compared": told.compared}
    if told.content:
        document["content"] = told.content
    return orjson.dumps(document) + b"\n"


def told_in_bytes(data: bytes) -> Told | None:
    """Return the last notification from its file, or None for any other file."""
    try:
        document = orjson.loads(data)
        moment = parse_iso_time(document["at"])
        content = str(document.get("content", ""))
        return Told(moment, str(document["archive"]), str(document["compared"]), content)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


async def news_of(
    held: Held,
    known: Iterable[ArchiveName],
    told: Told | None,
    read: Callable[[ArchiveName], Awaitable[Snapshot]],
    *,
    ignored: tuple[str, ...] = (),
) -> News | None:
    """Return what is new in a workspace that a run has backed up, or None if nothing is new or it was already reported.

    `known` are the archives of the store before, `told` is the last notification. `read` opens an archive, and is called
    only if there is something to report. What `ignored` chooses, as a plan's options do, is no news. Raise BackupError if
    the store cannot be read now. That an archive cannot be opened here is part of the news.
    """
    archive = held.archive
    if str(archive) == (archive_told := "" if told is None else told.archive):
        return None
    if told is None and not is_written(held):
        return None  # the last notification is unknown, and this run changed nothing
    own = _others(held, known)
    base = _baseline(own, archive, told)
    before = base.archive
    same_as = base.lost or before
    if archive.digest_prefix in {one.digest_prefix for one in (same_as, base.told) if one is not None}:
        return None
    falls = held.falls if isinstance(held, Saved) else ()
    news = News(
        held.source,
        archive,
        before,
        alarm="; ".join(map(str, falls)),
        still=_still(falls, before),
        content=_content_of(held),
        counts=name_counts(held.snapshot) if isinstance(held, Saved) else archive.counts,
    )
    if not archive.complete:
        told_already = parse_name(archive_told)
        same = told_already is not None and told_already.digest_prefix == archive.digest_prefix
        return None if same else replace(news, why_not="the backup is incomplete, as the run's alarm says")
    if before is None:
        if not any(one.complete for one in own):
            return news
        weaker = isinstance(held, Saved) and held.better is not None
        why_not = "no earlier archive was read with an equal key"
        return replace(news, why_not=why_not, other_key=True, weaker=weaker)
    lost = None if base.lost is None else replace(news, before=base.lost, gone=True, why_not=_GONE)
    if before == base.lost:
        return lost
    try:
        after = held.snapshot if isinstance(held, Saved) else await read(archive)
        changes = diff(Side(await read(before)), Side(after), options=PlanOptions(ignored=ignored))
    except (IntegrityError, LockedError, UsageError) as problem:
        # the archives may differ in cursors, the console's address or version, and the key's role
        same = told is not None and told.compared == str(before) and told.content == news.content != ""
        if same or archive.total == before.total == 0:
            return lost
        locked = not isinstance(problem, IntegrityError)
        return replace(news, why_not="the previous archive cannot be read on this machine", locked=locked)
    return replace(news, changes=changes, gone=base.later) if changes.entities else lost


def _still(falls: tuple[Fall, ...], before: ArchiveName | None) -> str:
    """Return what is still missing if `before` had raised the shrink alarm and nothing that raises it has fallen further."""
    if before is None or SHRUNK not in before.marks:
        return ""
    had = {ALL: before.total, **before.counts}
    further = any(fall.now < (had.get(fall.type) or 0) for fall in falls)
    return "" if further else ", ".join(f"{fall.type} {fall.now} of {fall.before}" for fall in falls)


_GONE = "the archive to compare it with no longer exists"


def _content_of(held: Held) -> str:
    """Return the digest of the entities that a run has read, or an empty text if it has read none."""
    if not isinstance(held, Saved):
        return ""
    return content_digest(
        [[*entity.key, entity.body] for entity in sorted(held.snapshot.entities, key=lambda one: one.key)]
    )


def is_written(held: Held) -> bool:
    """Return whether a run wrote an archive of what it found."""
    return isinstance(held, Saved) and held.written


def _others(held: Held, known: Iterable[ArchiveName]) -> list[ArchiveName]:
    archive = held.archive
    return [one for one in known if one.workspace_id == archive.workspace_id and one != archive]


@dataclass(frozen=True, slots=True)
class _Baseline:
    """The archive that a new one is compared with. It is `later` than the last one reported if that is `lost`.

    `told` is the last one reported if that cannot be compared, because it is damaged, quarantined or removed.
    """

    archive: ArchiveName | None = None
    later: bool = False
    lost: ArchiveName | None = None
    told: ArchiveName | None = None


def _baseline(own: Iterable[ArchiveName], archive: ArchiveName, told: Told | None) -> _Baseline:
    """Return what a new archive is compared with: the last archive that was reported, or the nearest to it.

    An earlier archive shows all unreported changes. If there is none, a later one shows some of them.
    """
    alike = [one for one in own if one.complete and one.key_class == archive.key_class]
    past = sorted((one for one in alike if one.taken_at <= archive.taken_at), key=lambda one: one.sort_key)
    if told is None:
        return _Baseline(past[-1] if past else None)
    limit = parse_name(told.compared)
    if limit is None:  # the message about the first backup could not be sent
        first = past[0] if past else None
        return _Baseline(None if first and first.digest_prefix == archive.digest_prefix else first)
    if limit in past:
        return _Baseline(limit)
    earlier = [one for one in past if one.taken_at <= limit.taken_at]
    if earlier:
        return _Baseline(earlier[-1], told=limit)
    lost = limit if limit.key_class == archive.key_class else None
    return _Baseline(past[0], later=True, lost=lost) if past else _Baseline(lost, lost=lost)


def before_telling(held: Held, known: Iterable[ArchiveName]) -> Told:
    """Return what to remember of an archive before its notification is sent, in case that fails."""
    return Told(NEVER, compared=str(_baseline(_others(held, known), held.archive, None).archive or ""))


def after_telling(news: News, now: datetime, told: Told | None) -> Told:
    """Return what to remember once news were sent."""
    incomplete = not news.archive.complete
    compared = ("" if told is None else told.compared) or str(news.before or "")
    if incomplete:
        return Told(now, str(news.archive), compared, "" if told is None else told.content)
    return Told(now, str(news.archive), str(news.archive), news.content)


def after_failing(news: News, now: datetime, told: Told | None) -> Told:
    """Return what to remember if news could not be sent, so that they are sent with the next."""
    return replace(told, at=now) if told is not None else Told(now, compared=str(news.before or ""))


def without_news(held: Held, told: Told | None) -> Told | None:
    """Return what to remember of a workspace without news, so that nothing is read for it again, or None."""
    archive = str(held.archive)
    if held.archive.complete:
        known = told.content if told is not None and told.compared == archive else ""
        return Told(NEVER if told is None else told.at, archive, archive, _content_of(held) or known)
    return None if told is None else replace(told, archive=archive)
