"""What a store remembers of the last complete reading of each workspace, so that the next run can ask first.

A reading is a small file beside the archives. Its name has a checksum of its content. If it is damaged, unknown or
missing, the workspace is read.
"""

import asyncio
import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from jitsu_backup.archive import safe_text
from jitsu_backup.errors import BackupError
from jitsu_backup.model import canonical
from jitsu_backup.store.base import Store
from jitsu_backup.store.control import READING, reading_name

REMOVAL_SECONDS = 10.0
"""How long a backup waits for the removal of older readings."""

_NAMED = {"format": "jitsu-backup-reading", "version": 1}


@dataclass(frozen=True, slots=True)
class Reading:
    """One complete reading of a workspace.

    `asked` (the console's time) and `began` (ours) are from before the first list was read. `last_modified` is the
    console's answer when the workspace had last changed. `digest_prefix` is that in the name of the archive. `unheard` is a
    digest of what the console does not report, and `syncs` are the ids of the syncs whose cursors it includes.
    """

    workspace_id: str
    digest_prefix: str
    asked: datetime
    began: datetime
    last_modified: datetime
    unheard: str
    syncs: tuple[str, ...] = ()


async def remember(store: Store, listing: Iterable[str], reading: Reading) -> None:
    """Store a reading in place of those of its workspace in `listing`. Raise BackupError if it cannot be stored.

    Readings that cannot be removed within REMOVAL_SECONDS stay. Only the newest one that is not from the future counts.
    """
    data = canonical({**_NAMED, **asdict(reading)})
    name = _name(reading.workspace_id, reading.asked, data)
    await store.create(name, data)
    with suppress(TimeoutError):
        async with asyncio.timeout(REMOVAL_SECONDS):
            for older in _names(listing, reading.workspace_id):
                if older != name:
                    with suppress(BackupError):
                        await store.remove(older)


async def recall(store: Store, listing: Iterable[str], workspace_id: str, now: datetime) -> Reading | None:
    """Return the newest reliable reading of a workspace in `listing`, or None.

    `now` is the console's time. A reading dated after that was made while the console's clock was wrong, and is ignored.
    """
    after = reading_name(workspace_id, now + timedelta(milliseconds=1), "")
    newest = max((name for name in _names(listing, workspace_id) if name < after), default=None)
    if newest is None:
        return None
    try:
        data = await store.read(newest)
        reading = _parsed(orjson.loads(data))
        sound = reading.workspace_id == workspace_id and _name(workspace_id, reading.asked, data) == newest
    except (BackupError, ValueError, TypeError, KeyError, OverflowError):
        return None
    return reading if sound else None


def last_asked(listing: Iterable[str], workspace_id: str) -> datetime | None:
    """Return when a workspace was last read completely, by the names in `listing` and the console's clock, or None."""
    names = _names(listing, workspace_id)
    match = READING.fullmatch(max(names)) if names else None
    if match is None:
        return None
    with suppress(ValueError):  # digits that are no date
        return datetime.strptime(match["asked"], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC)
    return None


def _names(listing: Iterable[str], workspace_id: str) -> list[str]:
    """Return the names of a workspace's readings. The highest is the newest."""
    wanted = safe_text(workspace_id) or "workspace"
    found = ((name, READING.fullmatch(name)) for name in listing)
    return [name for name, match in found if match is not None and match["workspace"] == wanted]


def _name(workspace_id: str, asked: datetime, data: bytes) -> str:
    return reading_name(workspace_id, asked, hashlib.sha256(data).hexdigest()[:16])


def _parsed(document: Any) -> Reading:
    """Return the reading in a document. Raise ValueError, TypeError, KeyError for any other document."""
    if not isinstance(document, dict) or any(document.pop(name) != value for name, value in _NAMED.items()):
        raise ValueError("not a reading of this version")
    moments = {name: _moment(document[name]) for name in ("asked", "began", "last_modified")}
    return Reading(**document | moments | {"syncs": tuple(document["syncs"])})


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a time zone")
    return moment
