"""Whether an archive can be written into a store, found out without leaving anything there."""

import os
from collections.abc import Mapping
from pathlib import Path

from jitsu_backup.errors import DiskError, StorageAccessError
from jitsu_backup.store import FolderStore, Store


def free_space(store: Store, listing: Mapping[str, int]) -> int | None:
    """Return how many bytes are free for a store that is a folder, None for others, which only a write would tell.

    `listing` is what it holds. Raise BackupError, AccessError if the folder cannot be written to or created, or if its
    largest archive would not fit once more.
    """
    if not isinstance(store, FolderStore):
        return None
    if not store.folder.is_dir():
        check_writable(store.folder)
        return None
    free, largest = store.try_out(), max(listing.values(), default=0)
    if free < largest:
        raise DiskError(
            f"the disk of the store {store.url} has {free:,} bytes left, but the largest archive has {largest:,};"
            " free space there"
        )
    return free


def make_room(store: str = "") -> str:
    """Return what to do if a store cannot be written."""
    return f"free space in {store or 'the store'}, or make it writable"


def check_writable(folder: Path) -> None:
    """Raise StorageAccessError if the folder of a store could not be created or written to; write nothing."""
    nearest_folder = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(nearest_folder, os.W_OK | os.X_OK):
        raise StorageAccessError(
            f"cannot write into the store {folder}: permission denied in {nearest_folder}"
        )
