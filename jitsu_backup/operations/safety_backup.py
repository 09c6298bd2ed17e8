"""The backup of a target before a restore writes into it, and the way back to it."""

import functools
from collections import Counter
from dataclasses import dataclass

from jitsu_backup.archive import PRE_RESTORE, ArchiveName
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.save import SaveOptions, save
from jitsu_backup.planning import ActionKind, Plan, mostly_gone
from jitsu_backup.planning.reverse_sync_rules import runs
from jitsu_backup.store import Store, keep

_SYNC = "reverse-sync"


@dataclass(frozen=True, slots=True)
class WayBack:
    """How to undo a restore: restore `archive` into the same workspace.

    `prune` says that entities which the restore creates have to be deleted for that, `accept_shrink` that these are most of
    a type, or of all. `rebind` says that reverse syncs were made again so that what they use could change, which it has to
    again, and `enable_reverse_syncs` that one which was switched on is deleted, and comes back disabled without that.
    """

    archive: ArchiveName
    prune: bool
    accept_shrink: bool
    rebind: bool = False
    enable_reverse_syncs: bool = False


async def back_up(live: Snapshot, plan: Plan, store: Store, keys: ArchiveKeys) -> WayBack:
    """Store the target as it is before a plan is carried out. Raise BackupError; then nothing was stored."""
    options = SaveOptions((PRE_RESTORE,), shrink_alarm=1, key=keys.mark)
    saved = await save(live, (), options, keys.seal, functools.partial(keep, store))
    made = Counter(action.key.type for action in plan.actions if action.kind is ActionKind.CREATE)
    gone = Counter(action.key.type for action in plan.actions if action.kind is ActionKind.DELETE)
    had = Counter(entity.key.type for entity in live.entities)
    shrinks = mostly_gone({name: had[name] + made[name] - gone[name] for name in had | made}, made)
    freed = [
        action for action in plan.actions if action.kind is ActionKind.DELETE and action.key.type == _SYNC
    ]
    running = {sync.key for sync in live.of_type(_SYNC) if runs(sync)}
    return WayBack(
        saved.archive,
        prune=bool(made),
        accept_shrink=bool(made and shrinks),
        rebind=any(action.after for action in freed),
        enable_reverse_syncs=any(action.key in running for action in freed),
    )
