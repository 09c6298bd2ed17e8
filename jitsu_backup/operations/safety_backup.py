"""The backup of a target before a restore writes into it, and how to return to it."""

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jitsu_backup.archive import (
    PRE_RESTORE,
    UNBACKED,
    ArchiveName,
    backup_mark,
    safe_text,
    source_mark,
    undo_mark,
)
from jitsu_backup.archive.run_parts import unended
from jitsu_backup.model import Snapshot, Source
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.save import SaveOptions, save
from jitsu_backup.planning import ActionKind, Plan, mostly_gone
from jitsu_backup.planning.reverse_sync_rules import runs
from jitsu_backup.store import Store, archives, keep

_SYNC = "reverse-sync"


@dataclass(frozen=True, slots=True)
class WayBack:
    """How to undo a restore: restore `archive` into the same workspace.

    `prune` says that the entities which the restore creates must be deleted for that, `accept_shrink` that these are most
    of a type, or of all entities. `rebind` says that reverse syncs were re-created so that what they use could change, and
    must be again. `enable_reverse_syncs` says that an enabled one is deleted, and would be restored disabled. `recovers` says
    that the run, with the ones that it may continue, brings most of a workspace back from another one that was lost, which
    `undo` deletes only with `accept_shrink`. `aim` is the archive with what the run is about to leave, None if it could not
    be stored.
    """

    archive: ArchiveName
    prune: bool
    accept_shrink: bool
    rebind: bool = False
    enable_reverse_syncs: bool = False
    recovers: bool = False
    aim: ArchiveName | None = None


def undo_flags(way_back: WayBack) -> tuple[str, ...]:
    """Return the flags without which `undo` would not revert a run."""
    return ("--accept-shrink",) if way_back.recovers and way_back.accept_shrink else ()


def dated_last(snapshot: Snapshot, known: Iterable[ArchiveName], now: datetime) -> Snapshot:
    """Return a snapshot that is dated after everything that runs have stored of its workspace, whatever clocks say.

    `known` are the archives of the store. Those that a wrong clock has dated do not count.
    """
    workspace = safe_text(snapshot.manifest.source.workspace_id)
    marked = (a for a in known if a.workspace_id == workspace and (PRE_RESTORE in a.marks or a.cloned_from))
    times = (one.taken_at for one in marked if not one.is_from_the_future(now))
    moment = timedelta(milliseconds=1)  # the precision of names
    earliest = max(times, default=snapshot.taken_at - moment) + moment
    return snapshot if snapshot.taken_at >= earliest else replace(snapshot, taken_at=earliest)


async def back_up(
    live: Snapshot,
    plan: Plan,
    store: Store,
    keys: ArchiveKeys,
    *,
    now: datetime,
    undoes: ArchiveName | None = None,
) -> WayBack:
    """Store the target before a plan is applied. Raise BackupError; then nothing was stored.

    `undoes` is the backup from before the run that the plan undoes. Its mark says how to continue after an interruption.
    The backup is dated after everything that earlier runs have stored of the target, so the order of archives shows the
    last run.
    """
    known = await archives(store)
    live = dated_last(live, known, now)
    marks = (PRE_RESTORE, *(() if undoes is None else (undo_mark(undoes),)))
    options = SaveOptions(marks, shrink_alarm=1, key=keys.mark)
    saved = await save(live, (), options, keys.seal, functools.partial(keep, store))
    made = Counter(action.key.type for action in plan.actions if action.kind is ActionKind.CREATE)
    gone = Counter(action.key.type for action in plan.actions if action.kind is ActionKind.DELETE)
    had = Counter(entity.key.type for entity in live.entities)
    left = {name: had[name] + made[name] - gone[name] for name in had | made}
    shrinks = mostly_gone(left, made)
    of_others = False
    if recovers_another(plan.source, plan.target):
        added = made + _made_by(unended(on_console(known, plan.target), saved.archive), had)
        of_others = 2 * added.total() > sum(left.values())
        shrinks = mostly_gone(left, added)
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
        recovers=of_others,
    )


def recovers_another(source: Source, target: Source) -> bool:
    """Return whether a run from `source` into `target` may bring a lost workspace back: on another console, or under its slug."""
    again = source.slug == target.slug and source.workspace_id != target.workspace_id
    return source.host != target.host or again


def on_console(known: Iterable[ArchiveName], target: Source) -> list[ArchiveName]:
    """Return archives without those of runs into a workspace with the id of `target` on another console.

    Names say this only of runs that stored what they left, or were about to leave.
    """
    theirs, own = list(known), source_mark(target.host, target.workspace_id)
    others = {
        one.left_after for one in theirs if one.left_after not in (None, UNBACKED) and one.cloned_from != own
    }
    return [
        one
        for one in theirs
        if one.left_after not in others and not (PRE_RESTORE in one.marks and backup_mark(one) in others)
    ]


def _made_by(stopped: Sequence[ArchiveName], had: Counter[str]) -> Counter[str]:
    """Return by type how many more entities there are than before runs that did not end, by their backups, the last one first."""
    return had - Counter(stopped[-1].counts) if stopped else Counter()
