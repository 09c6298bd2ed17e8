"""News of a workspace: what is in its newest archive that nobody was told of yet."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import orjson

from jitsu_backup.archive import ArchiveName, parse_name
from jitsu_backup.errors import BackupError
from jitsu_backup.model import Key, Snapshot, Source, iso_time, parse_iso_time
from jitsu_backup.operations.diff import Side, diff
from jitsu_backup.operations.save import Saved
from jitsu_backup.planning import Changes, PlanOptions

EVERY = timedelta(minutes=15)
"""How long there is silence about a workspace after it was told of, where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class News:
    """What is new in a workspace: `archive` has it, and `before` is what it was compared with, None for the first backup.

    `changes` is None where nobody can tell them: `why_not` says why. `alarm` says what set off an alarm. `who` is who
    changed an entity, in words, by its key on either side.
    """

    source: Source
    archive: ArchiveName
    before: ArchiveName | None
    changes: Changes | None = field(default=None, repr=False)
    why_not: str = ""
    alarm: str = ""
    who: Mapping[Key, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a workspace: when, of which archive, and up to which one its changes; empty texts for none yet."""

    at: datetime
    archive: str = ""
    compared: str = ""

    def is_over(self, every: timedelta, now: datetime) -> bool:
        """Return whether the silence is over; one that a clock gone back would make longer is."""
        return not timedelta(0) <= now - self.at < every


class Memory(Protocol):
    """Remembers what was told, by workspace. It never fails: what cannot be kept is forgotten."""

    def recall(self, workspace_id: str) -> Told | None:
        """Return what was told of a workspace last; None where nobody knows."""

    def keep(self, workspace_id: str, told: Told) -> None:
        """Remember what was told."""


@dataclass(slots=True)
class OwnMemory:
    """The memory of one process."""

    _told: dict[str, Told] = field(default_factory=dict)

    def recall(self, workspace_id: str) -> Told | None:
        """Return what was told of a workspace last; None where nobody knows."""
        return self._told.get(workspace_id)

    def keep(self, workspace_id: str, told: Told) -> None:
        """Remember what was told."""
        self._told[workspace_id] = told


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
    saved: Saved,
    known: Iterable[ArchiveName],
    told: Told | None,
    read: Callable[[ArchiveName], Awaitable[Snapshot]],
    *,
    ignored: tuple[str, ...] = (),
) -> News | None:
    """Return what is new in a workspace that was backed up; None where nothing is, or where that was told.

    `known` are the archives of the store before, `told` what was told last, `read` opens an archive, and may raise
    BackupError. What `ignored` chooses, as a plan's options do, is no news.
    """
    archive = saved.archive
    if str(archive) == (archive_told := "" if told is None else told.archive):
        return None
    if told is None and not saved.written:
        return None  # nobody knows what was told, and this run changed nothing
    own = [one for one in known if one.workspace_id == archive.workspace_id and one != archive]
    before = _baseline(own, archive, told)
    if before is not None and before.digest_prefix == archive.digest_prefix:
        return None
    news = News(saved.snapshot.manifest.source, archive, before, alarm="; ".join(map(str, saved.falls)))
    if not saved.snapshot.manifest.complete:
        told_already = parse_name(archive_told)
        same = told_already is not None and told_already.digest_prefix == archive.digest_prefix
        return None if same else replace(news, why_not="the backup is incomplete, as the run's alarm says")
    if before is None:
        weaker = any(one.complete for one in own)
        return replace(news, why_not="no earlier archive was read with such a key" if weaker else "")
    try:
        changes = diff(Side(await read(before)), Side(saved.snapshot), options=PlanOptions(ignored=ignored))
    except BackupError:
        return replace(news, why_not="the archive before cannot be read on this machine")
    return replace(news, changes=changes) if changes.entities else None


def _baseline(own: Iterable[ArchiveName], archive: ArchiveName, told: Told | None) -> ArchiveName | None:
    """Return the archive with which a new one is compared: the one up to which changes were told, else the newest before."""
    past = [
        one
        for one in own
        if one.complete and one.key_class == archive.key_class and one.taken_at <= archive.taken_at
    ]
    if told is not None:
        found = next((one for one in past if str(one) == told.compared), None)
        if found is not None:
            return found
    return max(past, key=lambda one: one.sort_key, default=None)


def after_telling(news: News, now: datetime, told: Told | None) -> Told:
    """Return what is to be remembered once news were told."""
    incomplete = not news.archive.complete
    compared = ("" if told is None else told.compared) or str(news.before or "")
    return Told(now, str(news.archive), compared if incomplete else str(news.archive))


def after_failing(news: News, now: datetime, told: Told | None) -> Told:
    """Return what is to be remembered where news could not be told, so that they are told with the next."""
    return replace(told, at=now) if told is not None else Told(now, compared=str(news.before or ""))
