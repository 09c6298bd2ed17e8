"""The backup of a target before a restore writes into it, and the way back to it."""

import functools
from collections import Counter
from dataclasses import dataclass

from jitsu_backup.archive import PRE_RESTORE, ArchiveName
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.save import SaveOptions, save
from jitsu_backup.planning import ActionKind, Plan, mostly_gone
from jitsu_backup.store import Store, keep


@dataclass(frozen=True, slots=True)
class WayBack:
    """How to undo a restore: restore `archive` into the same workspace.

    `prune` says that entities which the restore creates have to be deleted for that, `accept_shrink` that these are most of
    a type, or of all.
    """

    archive: ArchiveName
    prune: bool
    accept_shrink: bool


async def back_up(live: Snapshot, plan: Plan, store: Store, keys: ArchiveKeys) -> WayBack:
    """Store the target as it is before a plan is carried out. Raise BackupError; then nothing was stored."""
    options = SaveOptions((PRE_RESTORE,), shrink_alarm=1, key=keys.mark)
    saved = await save(live, (), options, keys.seal, functools.partial(keep, store))
    made = Counter(action.key.type for action in plan.actions if action.kind is ActionKind.CREATE)
    gone = Counter(action.key.type for action in plan.actions if action.kind is ActionKind.DELETE)
    had = Counter(entity.key.type for entity in live.entities)
    shrinks = mostly_gone({name: had[name] + made[name] - gone[name] for name in had | made}, made)
    return WayBack(saved.archive, prune=bool(made), accept_shrink=bool(made and shrinks))
