"""Helpers that the functions of the Python API share: the store and the time."""

import os
from datetime import UTC, datetime

from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.store import Store, is_begun, nothing_there, open_store

NO_KEYS = ArchiveKeys()


def as_store(store: Store | str) -> Store:
    """Return `store`, which is opened first if it is a URL or a path. Raise UsageError, BackupError."""
    return open_store(store, os.environ) if isinstance(store, str) else store


async def listed(store: Store, *, new: bool) -> dict[str, int]:
    """List a store. Raise BackupError if it was never created and `new` does not allow that."""
    listing = await store.listing()
    if not (new or is_begun(listing)):
        raise nothing_there(store)
    return listing


def now() -> datetime:
    """Return the current time in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
