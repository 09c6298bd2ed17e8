"""Where archives live."""

from typing import TYPE_CHECKING

from jitsu_backup.lazy import from_rooms

if TYPE_CHECKING:
    from jitsu_backup.store.base import QUARANTINE, Store, archives, archives_in, exists, keep
    from jitsu_backup.store.files import folder_lock, read_file, read_text_file, write_file, write_new_file
    from jitsu_backup.store.folder import FolderStore
    from jitsu_backup.store.lease import Lease
    from jitsu_backup.store.lookup import (
        better_than_weaker,
        find,
        is_time,
        latest_of,
        latest_of_each,
        names_archive,
        of_workspace,
    )
    from jitsu_backup.store.marker import is_begun, mark, nothing_there
    from jitsu_backup.store.tree_folder import Changes, check_target, read_tree, write_tree
    from jitsu_backup.store.urls import OBJECT_STORES, open_store

__all__ = [
    "OBJECT_STORES",
    "QUARANTINE",
    "Changes",
    "FolderStore",
    "Lease",
    "Store",
    "archives",
    "archives_in",
    "better_than_weaker",
    "check_target",
    "exists",
    "find",
    "folder_lock",
    "is_begun",
    "is_time",
    "keep",
    "latest_of",
    "latest_of_each",
    "mark",
    "names_archive",
    "nothing_there",
    "of_workspace",
    "open_store",
    "read_file",
    "read_text_file",
    "read_tree",
    "write_file",
    "write_new_file",
    "write_tree",
]

if not TYPE_CHECKING:
    __getattr__ = from_rooms(
        __name__, __all__, "files", "folder", "base", "lease", "lookup", "marker", "urls", "tree_folder"
    )
