"""News of a workspace: what is in its newest archive that nobody was told of yet."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import orjson

from jitsu_backup.archive import ArchiveName, parse_name
from jitsu_backup.errors import IntegrityError, LockedError, UsageError
from jitsu_backup.model import Key, Snapshot, Source, iso_time, parse_iso_time
from jitsu_backup.operations.asking import Unchanged
from jitsu_backup.operations.diff import Side, diff
from jitsu_backup.operations.save import Saved
from jitsu_backup.planning import Changes, PlanOptions

EVERY = timedelta(minutes=15)
"""How long there is silence about a workspace after it was told of, where nobody says otherwise."""


NEVER = datetime.fromtimestamp(0, UTC)
"""When a workspace was told of that nobody was told of yet."""

Held = Saved | Unchanged
"""What a run found of a workspace, and the archive that holds it."""


@dataclass(frozen=True, slots=True)
class News:
    """What is new in a workspace: `archive` has it, and `before` is what it was compared with, None for the first backup.

    `changes` is None where nobody can tell them: `why_not` says why. Where archives are `gone` from the store, older
    changes are not shown; without `changes`, that is `before` itself. `alarm` says what set off an alarm. `who` is who
    changed an entity, in words, by its key on either side.
    """

    source: Source
    archive: ArchiveName
    before: ArchiveName | None
    changes: Changes | None = field(default=None, repr=False)
    why_not: str = ""
    gone: bool = False
    alarm: str = ""
    who: Mapping[Key, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a workspace: when, of which archive, and up to which one its changes; empty texts for none yet."""

    at: datetime
    archive: str = ""
    compared: str = ""


def is_over(told_at: datetime, every: timedelta, now: datetime) -> bool:
    """Return whether the silence after a message is over; one that a clock gone back would make longer is."""
    return not timedelta(0) <= now - told_at < every


def told_as_bytes(told: Told) -> bytes:
    """Return what was told as a file has it."""
    document = {"at": iso_time(told.at), "archive": told.archive, "compared": told.compared}
    return orjson.dumps(document) + b"\n"


def told_in_bytes(data: bytes) -> Told | None:
    """Return what a file says was told; None for any other file."""
    try:
        document = orjson.loads(data)
        moment = parse_iso_time(document["at"])
        return Told(moment, str(document["archive"]), str(document["compared"]))
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
    """Return what is new in a workspace that a run has looked at; None where nothing is, or where that was told.

    `known` are the archives of the store before, `told` what was told last. `read` opens an archive, and is called only
    where something is to be told. What `ignored` chooses, as a plan's options do, is no news. Raise BackupError where
    the store cannot be read now; an archive that is unreadable here is told as such.
    """
    archive = held.archive
    if str(archive) == (archive_told := "" if told is None else told.archive):
        return None
    if told is None and not is_written(held):
        return None  # nobody knows what was told, and this run changed nothing
    own = _others(held, known)
    base = _baseline(own, archive, told)
    before = base.archive
    same_as = base.lost or before
    if same_as is not None and same_as.digest_prefix == archive.digest_prefix:
        return None
    falls = held.falls if isinstance(held, Saved) else ()
    news = News(held.source, archive, before, alarm="; ".join(map(str, falls)))
    if not archive.complete:
        told_already = parse_name(archive_told)
        same = told_already is not None and told_already.digest_prefix == archive.digest_prefix
        return None if same else replace(news, why_not="the backup is incomplete, as the run's alarm says")
    if before is None:
        weaker = any(one.complete for one in own)
        return replace(news, why_not="no earlier archive was read with such a key" if weaker else "")
    lost = None if base.lost is None else replace(news, before=base.lost, gone=True, why_not=_GONE)
    if before == base.lost:
        return lost
    try:
        after = held.snapshot if isinstance(held, Saved) else await read(archive)
        changes = diff(Side(await read(before)), Side(after), options=PlanOptions(ignored=ignored))
    except (IntegrityError, LockedError, UsageError):
        return replace(news, why_not="the archive before cannot be read on this machine")
    return replace(news, changes=changes, gone=base.later) if changes.entities else lost


_GONE = "the archive with which it is to be compared is gone"


def is_written(held: Held) -> bool:
    """Return whether a run wrote an archive of what it found."""
    return isinstance(held, Saved) and held.written


def _others(held: Held, known: Iterable[ArchiveName]) -> list[ArchiveName]:
    archive = held.archive
    return [one for one in known if one.workspace_id == archive.workspace_id and one != archive]


@dataclass(frozen=True, slots=True)
class _Baseline:
    """The archive with which a new one is compared; `later` than that up to which changes were told, where that is `lost`."""

    archive: ArchiveName | None = None
    later: bool = False
    lost: ArchiveName | None = None


def _baseline(own: Iterable[ArchiveName], archive: ArchiveName, told: Told | None) -> _Baseline:
    """Return with what a new archive is compared: the archive up to which changes were told, else the nearest to that.

    An earlier one shows all that was not told; only where there is none, a later one shows some of it.
    """
    alike = [one for one in own if one.complete and one.key_class == archive.key_class]
    past = sorted((one for one in alike if one.taken_at <= archive.taken_at), key=lambda one: one.sort_key)
    if told is None:
        return _Baseline(past[-1] if past else None)
    limit = parse_name(told.compared)
    if limit is None:  # nothing was told yet
        return _Baseline(past[0] if past else None)
    if limit in past:
        return _Baseline(limit)
    earlier = [one for one in past if one.taken_at <= limit.taken_at]
    if earlier:
        return _Baseline(earlier[-1])
    lost = limit if limit.key_class == archive.key_class else None
    return _Baseline(past[0], later=True, lost=lost) if past else _Baseline(lost, lost=lost)


def before_telling(held: Held, known: Iterable[ArchiveName]) -> Told:
    """Return what is to be remembered of an archive of which nobody was told yet, in case that fails."""
    return Told(NEVER, compared=str(_baseline(_others(held, known), held.archive, None).archive or ""))


def after_telling(news: News, now: datetime, told: Told | None) -> Told:
    """Return what is to be remembered once news were told."""
    incomplete = not news.archive.complete
    compared = ("" if told is None else told.compared) or str(news.before or "")
    return Told(now, str(news.archive), compared if incomplete else str(news.archive))


def after_failing(news: News, now: datetime, told: Told | None) -> Told:
    """Return what is to be remembered where news could not be told, so that they are told with the next."""
    return replace(told, at=now) if told is not None else Told(now, compared=str(news.before or ""))


def without_news(held: Held, told: Told | None) -> Told | None:
    """Return what is to be remembered of a workspace without news, so that nothing is read for it again; None for nothing."""
    archive = str(held.archive)
    if held.archive.complete:
        return Told(NEVER if told is None else told.at, archive, archive)
    return None if told is None else replace(told, archive=archive)
