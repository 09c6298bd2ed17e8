"""The marker of a store. Without it, an empty place may be a disk that is not mounted, or a wrong prefix."""

import json
import secrets
from collections.abc import Mapping
from datetime import datetime

from jitsu_backup.errors import BackupError
from jitsu_backup.model import iso_time
from jitsu_backup.store.base import Store, archive_names, exists
from jitsu_backup.store.control import MARKER


def is_begun(listing: Mapping[str, int]) -> bool:
    """Return whether a listing is of a store in use: it has the marker, or (before 0.6.0) archives."""
    return MARKER in listing or bool(archive_names(listing))


def nothing_there(store: Store, because: str = "", *, may_begin: bool = True) -> BackupError:
    """Return the error for a place that is not in use as a store.

    `because` says why a store was expected, `may_begin` whether the message says how to start a new one.
    """
    missing = "" if exists(store) else " (the folder does not exist)"
    reason = f", although {because}" if because else " and was never used"
    begin = "; to start a new store there, run this command once with --new-store" if may_begin else ""
    return BackupError(
        f"the store {store.url} is empty{missing}{reason}; check that the disk is mounted, and check path, bucket and"
        f" prefix{begin}"
    )


async def mark(store: Store, listing: Mapping[str, int], now: datetime) -> None:
    """Write the marker if `listing` lacks it. Raise BackupError, AccessError.

    In a store with archives, a marker that cannot be written is no error, because the archives show that it is in use.
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
