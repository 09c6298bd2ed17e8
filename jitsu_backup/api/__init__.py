"""The Python API: back up, restore, clone, verify and prune; snapshots, plans and archives as values.

Functions that contact a console or a store are coroutines; `jitsu_backup.sync` offers the same functions to programs
without an event loop. Errors are those of `jitsu_backup.errors`. No message and no `repr` contains a secret.
"""

from jitsu_backup.api.backing_up import backup, connect, read, watch
from jitsu_backup.api.recovering import Recovery, drill, plan_recovery, recover
from jitsu_backup.api.restoring import apply, clone, diff, plan, restore
from jitsu_backup.api.stored import dump, fetch, history, load, open_folder, prune, verify
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.folder import Folder
from jitsu_backup.operations.restore import PreparedRestore as Prepared

__all__ = [
    "ArchiveKeys",
    "Connection",
    "Folder",
    "Prepared",
    "Recovery",
    "apply",
    "backup",
    "clone",
    "connect",
    "diff",
    "drill",
    "dump",
    "fetch",
    "history",
    "load",
    "open_folder",
    "plan",
    "plan_recovery",
    "prune",
    "read",
    "recover",
    "restore",
    "verify",
    "watch",
]
