"""What undos and restores of a workspace took back, so that the plan of the next clone can say so."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from jitsu_backup.archive import PRE_RESTORE, ArchiveName, backup_mark, safe_text
from jitsu_backup.errors import BackupError
from jitsu_backup.model import Entity, Key, flag, plural, shown_time
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.restore import PreparedRestore
from jitsu_backup.operations.snapshots import open_archive
from jitsu_backup.planning import Action, EmptiedThere, Plan, entity_names, same_workspace
from jitsu_backup.planning.attribution import TOGETHER
from jitsu_backup.planning.fingerprints import essence
from jitsu_backup.planning.lineage import recorded_pairs
from jitsu_backup.planning.overlays import overlay_selectors
from jitsu_backup.store import Store, archives


class FlagsListed(str):
    """A note that ends with a colon and flags."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class TakenBack:
    """An undo or a restore in place, in words, and the keys in the target of what it changed and what is unchanged since."""

    by: str
    keys: frozenset[Key]


_MOST_RUNS = 3
"""How many undos and restores are looked at, the newest first, because each takes two archives to read."""


async def with_taken_back(
    prepared: PreparedRestore, open_store: Callable[[], Store], keys: ArchiveKeys, now: datetime
) -> PreparedRestore:
    """Return a prepared clone whose plan says which undo or restore took back what, and how to promote that again.

    Of several runs, the newest that changed an entity counts. Without one, or if its archives cannot be read, the plan stays
    as it is.
    """
    plan, record = prepared.plan, prepared.options.record
    kept = any(_is_kept(action) for action in plan.actions) or any(extra.own for extra in plan.extras)
    if record is None or not kept or same_workspace(prepared.snapshot, prepared.live):
        return prepared
    try:
        found = await _taken_back(prepared, open_store(), keys, now)
    except BackupError:
        return prepared
    targets = recorded_pairs(record)
    return replace(prepared, plan=_told(plan, found, targets, prepared))


async def _taken_back(
    prepared: PreparedRestore, store: Store, keys: ArchiveKeys, now: datetime
) -> list[TakenBack]:
    target = safe_text(prepared.live.manifest.source.workspace_id)
    known = [
        one for one in await archives(store) if one.workspace_id == target and not one.is_from_the_future(now)
    ]

    async def bodies(archive: ArchiveName) -> dict[Key, object]:
        snapshot = open_archive(archive, await store.read(str(archive)), keys)
        return _essences(snapshot.entities)

    is_now, decided, found = _essences(prepared.live.entities), set[Key](), list[TakenBack]()
    for begun, left in runs_in_place(known)[:_MOST_RUNS]:
        before, after = await bodies(begun), await bodies(left)
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        unchanged = {key for key in changed - decided if is_now.get(key) == after.get(key)}
        decided |= changed
        how = "restore" if begun.undoes is None else "undo"
        found.append(TakenBack(f"the {how} of {shown_time(begun.taken_at)}", frozenset(unchanged)))
    return found


def runs_in_place(known: Sequence[ArchiveName]) -> list[tuple[ArchiveName, ArchiveName]]:
    """Return the backup from before each undo and restore in place of a workspace, with what the run left, newest first.

    A clone leaves a record too, which names its source.
    """
    left = {one.ended: one for one in known if one.ended is not None}
    records = [one for one in known if one.cloned_from and one.left_after is None and not one.is_intent]
    begun = sorted(
        (one for one in known if PRE_RESTORE in one.marks), key=lambda one: one.sort_key, reverse=True
    )
    return [
        (one, end)
        for one in begun
        if (end := left.get(backup_mark(one))) is not None
        and not any(
            one.taken_at <= record.taken_at <= end.taken_at + TOGETHER
            and record.cloned_from != end.cloned_from
            for record in records
        )
    ]


def _essences(entities: tuple[Entity, ...]) -> dict[Key, object]:
    return {entity.key: essence(entity) for entity in entities}


def _is_kept(action: Action) -> bool:
    return bool(action.own or action.disputed or action.deleted_there) or _is_emptied(action)


def _is_emptied(action: Action) -> bool:
    return isinstance(action.reason, EmptiedThere)


@dataclass(slots=True)
class _Flags:
    """The flags that promote again what one run took back: of entities, and of what only the target has."""

    of_source: list[str] = field(default_factory=list)
    of_target: list[str] = field(default_factory=list)


def _told(
    plan: Plan, runs: Sequence[TakenBack], targets: Mapping[Key, Key], prepared: PreparedRestore
) -> Plan:
    """Return the plan with a remark on each action that keeps what a run took back, lines at its top, and the flags."""
    by = {key: run.by for run in runs for key in run.keys}
    flags = {run.by: _Flags() for run in runs}

    def told(action: Action) -> Action:
        live = Key(action.key.type, action.target_id) if action.target_id else targets.get(action.key)
        if not _is_kept(action) or live not in by:
            return action
        run, take = by[live], flag("--take", f"source:{plan.selectors.get(action.key, action.key)}")
        flags[run].of_source.append(take)
        if _is_emptied(action):
            return replace(
                action,
                reason=f"{action.reason}; {run} deleted it: the flags listed below re-create just that",
            )
        if action.disputed or action.deleted_there:
            return replace(action, reason=f"{action.reason}; {run} took the last clone's change back")
        reason = "" if action.reason == "already as intended" else f"{action.reason}; "
        return replace(action, reason=f"{reason}{run} took this back; {take} promotes it again")

    actions = tuple(map(told, plan.actions))
    names = overlay_selectors(entity_names(prepared.live.entities))
    extras = tuple(replace(one, undone=one.own and one.key in by) for one in plan.extras)
    for extra in extras:
        if extra.undone:
            flags[by[extra.key]].of_target.append(flag("--take", f"source:{names[extra.key]}"))
    notes = tuple(note for run, its in flags.items() for note in _notes(run, its))
    first = tuple(
        _first(run, count) for run, its in flags.items() if (count := len(its.of_source) + len(its.of_target))
    )
    return replace(
        plan, actions=actions, extras=extras, notes=(*plan.notes, *notes), attention=(*plan.attention, *first)
    )


def _first(by: str, count: int) -> str:
    stay = (
        "it stays as it is, and the flag that promotes it"
        if count == 1
        else "they stay as they are, and the flags that promote them"
    )
    return (
        f"{by} took back what an earlier run had changed in {plural(count, 'entity', 'entities')}: {stay} again"
        f" {'is' if count == 1 else 'are'} listed below"
    )


def _notes(by: str, flags: _Flags) -> Iterator[str]:
    if flags.of_source:
        yield FlagsListed(f"to promote again all that {by} took back: {' '.join(flags.of_source)}")
    if flags.of_target:
        yield FlagsListed(f"to delete again what {by} re-created: --prune {' '.join(flags.of_target)}")
