"""Where archives live."""

from jitsu_backup.store.files import read_file, write_file
from jitsu_backup.store.folder import FolderStore, open_store
from jitsu_backup.store.lookup import find

__all__ = ["FolderStore", "find", "open_store", "read_file", "write_file"]
