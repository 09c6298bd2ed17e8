"""Whether a store was ever begun, and its marker: an empty place may be a disk that is not mounted, or a wrong prefix."""

import json
import secrets
from collections.abc import Mapping
from datetime import datetime

from jitsu_backup.errors import BackupError
from jitsu_backup.model import iso_time
from jitsu_backup.store.base import Store, archive_names, exists
from jitsu_backup.store.control import MARKER


def is_begun(listing: Mapping[str, int]) -> bool:
    """Tell whether what is listed was begun as a store: it has the marker, or archives, as those of before 0.6.0 do."""
    return MARKER in listing or bool(archive_names(listing))


def nothing_there(store: Store, because: str = "") -> BackupError:
    """Return the error that a store was expected where none was ever begun; `because` says what tells of one."""
    missing = "" if exists(store) else " (there is no such folder)"
    told = f", though {because}" if because else ""
    return BackupError(
        f"the store {store.url} is empty{missing}, and none was ever begun there{told}:"
        " is the disk mounted, are path, bucket and prefix right? `backup --new-store` begins it"
    )


async def mark(store: Store, listing: Mapping[str, int], now: datetime) -> None:
    """Write the marker where `listing` lacks it. Raise BackupError, AccessError where a store cannot be begun.

    One that has archives goes without where the marker cannot be written: what is there tells that it was begun.
    """
    if MARKER in listing:
        return
    marker = {
        "format": "jitsu-backup-store",
        "version": 1,
        "id": secrets.token_hex(16),
        "created": iso_time(now),
    }
    try:
        await store.create(MARKER, json.dumps(marker, sort_keys=True).encode() + b"\n")
    except BackupError:
        if not is_begun(listing):
            raise
