"""The third side of a plan: the record of the last clone, or what a folder was unpacked from."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

from jitsu_backup.catalogue import is_link
from jitsu_backup.catalogue.derived_ids import KnownIds
from jitsu_backup.console import Console
from jitsu_backup.console.audit_log import last_changes
from jitsu_backup.errors import BackupError
from jitsu_backup.model import Key, Snapshot, plural, shown_time
from jitsu_backup.planning import Action, Plan, PlanOptions, Since, record_in_place, same_workspace

NO_RECORD = "no record of an earlier clone from "
"""The beginning of a NoRecord, to find it in a saved plan."""

NO_BASE = (
    "the archive that the folder was unpacked from is neither beside it nor in the store, so changes made in the target"
    " cannot be distinguished from changes in the folder"
)


class NoRecord(str):
    """The note that a plan has only two sides."""

    __slots__ = ()


RecordFinder = Callable[[Snapshot, Snapshot], Awaitable[Snapshot | None]]
"""Finds the record of the last clone from a source into the current target. Returns None without one.

In place it is the record of the last run that sent secrets empty, and in an undo what the run left.
"""

BaseFinder = Callable[[], Awaitable[Snapshot | None]]
"""Finds what a folder was unpacked from. Returns None if that no longer exists."""


async def with_third_side(
    options: PlanOptions,
    snapshot: Snapshot,
    live: Snapshot,
    find_record: RecordFinder | None,
    find_base: BaseFinder | None,
) -> PlanOptions:
    """Return the options with the record of the last clone, if the snapshot is of another workspace.

    In place, the base of a folder is the record, and in an undo what the run left. For any target, the base shows which entities of the folder are new.
    """
    promoted = not same_workspace(snapshot, live)
    if options.record is None and find_record is not None:
        record = await find_record(snapshot, live)
        compared = promoted or options.since is Since.RUN
        options = replace(options, record=record) if compared else replace(options, emptied=record)
    if options.record is None and promoted and find_record is not None:
        options = replace(options, unrecorded=await _copies(snapshot, live, find_record))
    base = None if find_base is None else await find_base()
    if base is None:
        return options
    known = {entity.key for entity in base.entities}
    fresh = frozenset(entity.key for entity in snapshot.entities if entity.key not in known)
    return replace(options, fresh=fresh, record=options.record if promoted else record_in_place(base))


def missing_side(
    options: PlanOptions, snapshot: Snapshot, live: Snapshot, find_base: BaseFinder | None
) -> Iterator[str]:
    """Yield a note if the target's changes cannot be distinguished from the source's."""
    if options.record is not None or not live.entities:
        return
    source = snapshot.manifest.source
    if not same_workspace(snapshot, live):
        called = source.slug or source.workspace_id
        yield NoRecord(
            f"{NO_RECORD}{called}, so changes made in the target cannot be distinguished from changes in the source"
        )
    elif find_base is not None:
        yield NO_BASE


async def _copies(snapshot: Snapshot, live: Snapshot, find_record: RecordFinder) -> int:
    """Return how many entities of the target are copies from another workspace, by their ids.

    With equal ids, the target has the originals of what the record of a clone in the other direction covers, and of
    everything if it is the same workspace at another address.
    """
    workspace = live.manifest.source.workspace_id
    if workspace == snapshot.manifest.source.workspace_id:
        return 0
    ids: dict[str, set[str]] = defaultdict(set)
    for entity in live.entities:
        if not is_link(entity.key):
            ids[entity.key.type].add(entity.key.id)
    known = {name: KnownIds(workspace, name, found) for name, found in ids.items()}
    objects = [entity.key for entity in snapshot.entities if entity.key.type in known]
    equal = {key for key in objects if key.id in ids[key.type]}
    derived = sum(bool(known[key.type].derived_of(key.id)) for key in objects if key not in equal)
    return derived + len(equal - await _originals(snapshot, live, find_record) if equal else ())


async def _originals(snapshot: Snapshot, live: Snapshot, find_record: RecordFinder) -> set[Key]:
    """Return what clones from the target into the source have covered, according to the store."""
    try:
        record = await find_record(live, snapshot)
    except BackupError:  # it exists, but cannot be read
        return {entity.key for entity in live.entities}
    cloned = None if record is None else record.manifest.cloned
    return set() if cloned is None else {*cloned.pairs}


def unrecorded_clone(options: PlanOptions, snapshot: Snapshot) -> Iterator[str]:
    """Yield a note if the target has entities of an earlier clone from this source, although its record is missing.

    There is none with `--take source` or `--take target`, because then it does not matter what the target changed.
    """
    if options.unrecorded and not {"source", "target"}.intersection(options.take):
        source = snapshot.manifest.source
        called = source.slug or source.workspace_id
        yield (
            f"the target has {plural(options.unrecorded, 'copy', 'copies')} from {called}, but the store has no record of a"
            " clone, so changes made in the target cannot be distinguished; give the store that has it with --store, or say"
            " what wins where the two differ with --take=source or --take=target"
        )


def _kept(action: Action) -> bool:
    """Return whether the target has changed nothing since the last clone: the last change is then that of a run."""
    return bool(action.fields) and all(one.kept for one in action.fields)


async def with_authors(console: Console, plan: Plan, record: Snapshot | None) -> Plan:
    """Return a plan whose conflicts say who last changed the target's side, and when, if the console knows."""
    disputed = {
        action.target_id: action
        for action in plan.blocked
        if action.disputed and action.target_id and not _kept(action)
    }
    if record is None or not disputed:
        return plan
    found = await last_changes(console, plan.target.workspace_id, disputed.keys(), record.taken_at)
    remarks = {
        disputed[
            target_id
        ].key: f"; {change.email or change.who} last changed the target's side at {shown_time(change.at)}"
        for target_id, change in found.items()
    }
    actions = (
        replace(action, reason=action.reason + remarks[action.key]) if action.key in remarks else action
        for action in plan.actions
    )
    return replace(plan, actions=tuple(actions))
