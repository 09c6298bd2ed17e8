"""Where archives live."""

from jitsu_backup.store.base import Store, archives, keep
from jitsu_backup.store.files import read_file, write_file
from jitsu_backup.store.folder import FolderStore
from jitsu_backup.store.lookup import find, latest_of, latest_of_each
from jitsu_backup.store.opening import OBJECT_STORES, open_store

__all__ = [
    "OBJECT_STORES",
    "FolderStore",
    "Store",
    "archives",
    "find",
    "keep",
    "latest_of",
    "latest_of_each",
    "open_store",
    "read_file",
    "write_file",
]
