"""Where archives live."""

from jitsu_backup.store.files import read_file, write_file
from jitsu_backup.store.folder import FolderStore, Store, open_store
from jitsu_backup.store.lookup import find

__all__ = ["FolderStore", "Store", "find", "open_store", "read_file", "write_file"]
