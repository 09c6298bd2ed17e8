"""Where archives live."""

from jitsu_backup.store.base import Store, archives, keep
from jitsu_backup.store.files import folder_lock, read_file, write_file
from jitsu_backup.store.folder import FolderStore
from jitsu_backup.store.lookup import find, latest_of, latest_of_each, of_workspace
from jitsu_backup.store.opening import OBJECT_STORES, open_store

__all__ = [
    "OBJECT_STORES",
    "FolderStore",
    "Store",
    "archives",
    "find",
    "folder_lock",
    "keep",
    "latest_of",
    "latest_of_each",
    "of_workspace",
    "open_store",
    "read_file",
    "write_file",
]
