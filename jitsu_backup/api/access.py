"""What the functions of the Python API share: the store that they are given, and the time."""

import os
from datetime import UTC, datetime

from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.store import Store, is_begun, nothing_there, open_store

NO_KEYS = ArchiveKeys()


def as_store(store: Store | str) -> Store:
    """Return a store, opened where it is given by its URL. Raise UsageError, BackupError."""
    return open_store(store, os.environ) if isinstance(store, str) else store


async def listed(store: Store, *, new: bool) -> dict[str, int]:
    """Return what a store holds. Raise BackupError for an empty one that may not be begun."""
    listing = await store.listing()
    if not (new or is_begun(listing)):
        raise nothing_there(store)
    return listing


def now() -> datetime:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
