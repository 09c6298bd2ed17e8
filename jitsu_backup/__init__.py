"""Backup, cloning and disaster recovery for Jitsu workspaces. The Python API is in `docs/python.md`."""

from typing import TYPE_CHECKING, Any

__version__ = "0.9.0"

if TYPE_CHECKING:
    from jitsu_backup.api import (
        ArchiveKeys,
        Connection,
        Folder,
        Prepared,
        Recovery,
        apply,
        backup,
        clone,
        connect,
        diff,
        drill,
        dump,
        fetch,
        history,
        load,
        open_folder,
        plan,
        plan_recovery,
        prune,
        read,
        recover,
        restore,
        verify,
        watch,
    )

__all__ = [
    "ArchiveKeys",
    "Connection",
    "Folder",
    "Prepared",
    "Recovery",
    "__version__",
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


def __getattr__(name: str) -> Any:
    """Load the API when it is first used: the command line starts without it."""
    if name in __all__:
        from jitsu_backup import api  # noqa: PLC0415

        return getattr(api, name)
    raise AttributeError(f"module 'jitsu_backup' has no attribute {name!r}")
