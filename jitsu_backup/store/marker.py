"""The marker of a store that was begun: an empty place may be a disk that is not mounted, or a wrong prefix."""

import json
import secrets
from collections.abc import Mapping
from datetime import datetime

from jitsu_backup.errors import BackupError
from jitsu_backup.model import iso_time
from jitsu_backup.store.base import Store, archive_names, exists
from jitsu_backup.store.control import MARKER


def is_begun(listing: Mapping[str, int]) -> bool:
    """Return whether a listing is of a store that was begun: it has the marker, or archives as before 0.6.0."""
    return MARKER in listing or bool(archive_names(listing))


def nothing_there(store: Store, because: str = "") -> BackupError:
    """Return the error for a store that was never begun; `because` says why one was expected."""
    missing = "" if exists(store) else " (there is no such folder)"
    told = f", though {because}" if because else ""
    return BackupError(
        f"the store {store.url} is empty{missing}, and none was ever begun there{told}:"
        " is the disk mounted, are path, bucket and prefix right? `backup --new-store` begins it"
    )


async def mark(store: Store, listing: Mapping[str, int], now: datetime) -> None:
    """Write the marker where `listing` lacks it. Raise BackupError, AccessError.

    A store with archives does without a marker that cannot be written, because the archives show that it was begun.
    """
    if MARKER in listing:
        return
    named = {"format": "jitsu-backup-store", "version": 1}
    marker = {**named, "id": secrets.token_hex(16), "created": iso_time(now)}
    try:
        await store.create(MARKER, json.dumps(marker, sort_keys=True).encode() + b"\n")
    except BackupError:
        if not is_begun(listing):
            raise
