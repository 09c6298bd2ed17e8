"""Stores: where archives are kept. Also the files of a user, and folder trees."""

from typing import TYPE_CHECKING

from jitsu_backup.lazy import exports

if TYPE_CHECKING:
    from jitsu_backup.store.base import (
        QUARANTINE as QUARANTINE,
        Store as Store,
        archives as archives,
        exists as exists,
        keep as keep,
    )
    from jitsu_backup.store.files import (
        check_permitted as check_permitted,
        failure as failure,
        folder_lock as folder_lock,
        read_file as read_file,
        read_text_file as read_text_file,
        write_file as write_file,
        write_new_file as write_new_file,
    )
    from jitsu_backup.store.folder import FolderStore as FolderStore
    from jitsu_backup.store.lease import Lease as Lease
    from jitsu_backup.store.lookup import (
        better_than_weaker as better_than_weaker,
        find as find,
        instead_of as instead_of,
        is_time as is_time,
        latest_of as latest_of,
        latest_of_each as latest_of_each,
        named_archives as named_archives,
        names_archive as names_archive,
        of_workspace as of_workspace,
        period as period,
        substitutes as substitutes,
    )
    from jitsu_backup.store.marker import is_begun as is_begun, mark as mark, nothing_there as nothing_there
    from jitsu_backup.store.readings import (
        Reading as Reading,
        last_asked as last_asked,
        recall as recall,
        remember as remember,
    )
    from jitsu_backup.store.tree_folder import (
        FolderUpdate as FolderUpdate,
        check_target as check_target,
        read_tree as read_tree,
        write_tree as write_tree,
    )
    from jitsu_backup.store.urls import (
        open_store as open_store,
        shown_url as shown_url,
        store_in_memory as store_in_memory,
    )
else:
    __getattr__, __all__ = exports(__name__, __file__)
