"""What undos and restores of a workspace took back, so that the plan of the next clone can say so."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jitsu_backup.archive import PRE_RESTORE, ArchiveName, backup_mark, safe_text
from jitsu_backup.catalogue import entity_type
from jitsu_backup.errors import BackupError
from jitsu_backup.model import Entity, Key, flag, format_path, plural, shown_time, value_at
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.restore import PreparedRestore
from jitsu_backup.operations.snapshots import open_archive
from jitsu_backup.planning import Action, EmptiedByUndo, EmptiedThere, Plan, entity_names, same_workspace
from jitsu_backup.planning.attribution import TOGETHER
from jitsu_backup.planning.fingerprints import essence
from jitsu_backup.planning.json_diff import paths_that_differ
from jitsu_backup.planning.lineage import recorded_pairs
from jitsu_backup.planning.overlays import overlay_selectors
from jitsu_backup.planning.take import taking_source
from jitsu_backup.store import Store, archives


class FlagsListed(str):
    """A note that ends with a colon and flags."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class TakenBack:
    """An undo or a restore in place, in words, and the keys in the target of what it changed and what is unchanged since.

    With each come its fields that changed.
    """

    by: str
    fields: Mapping[Key, frozenset[str]]

    def covers(self, key: Key, path: str) -> bool:
        """Return whether it changed a field of an entity, or something inside it; the empty path means the entity."""
        return not path or any(
            f"{path}.".startswith(f"{one}.") or one.startswith(f"{path}.") for one in self.fields[key]
        )


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
    if record is None or not (kept or plan.overwriting) or same_workspace(prepared.snapshot, prepared.live):
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

    async def bodies(archive: ArchiveName) -> dict[Key, dict[str, Any]]:
        snapshot = open_archive(archive, await store.read(str(archive)), keys)
        return _essences(snapshot.entities)

    is_now, decided, found = _essences(prepared.live.entities), set[Key](), list[TakenBack]()
    for begun, left in runs_in_place(known)[:_MOST_RUNS]:
        before, after = await bodies(begun), await bodies(left)
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        fields = {
            key: _unchanged_since(before.get(key), after.get(key), is_now.get(key))
            for key in changed - decided
            if (key in is_now) == (key in after)
        }
        decided |= changed
        how = "restore" if begun.undoes is None else "undo"
        fields = {key: paths for key, paths in fields.items() if paths}
        found.append(TakenBack(f"the {how} of {shown_time(begun.taken_at)}", fields))
    return found


def _unchanged_since(before: Any, after: Any, is_now: Any) -> frozenset[str]:
    """Return the fields of an entity that a run changed, and that have not changed since."""
    changed = paths_that_differ(before or {}, after or {})
    return frozenset(format_path(path) for path in changed if value_at(after, path) == value_at(is_now, path))


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


def _essences(entities: tuple[Entity, ...]) -> dict[Key, dict[str, Any]]:
    return {entity.key: essence(entity) for entity in entities}


def _is_kept(action: Action) -> bool:
    return bool(action.own or action.disputed or action.deleted_there) or _is_emptied(action)


def _is_emptied(action: Action) -> bool:
    return isinstance(action.reason, EmptiedThere)


def _told(
    plan: Plan, runs: Sequence[TakenBack], targets: Mapping[Key, Key], prepared: PreparedRestore
) -> Plan:
    """Return the plan with a remark on each action that keeps what a run took back, lines at its top, and the flags."""
    undone = {one.key: found for one in plan.actions if (found := _taken_by(runs, one, targets)) is not None}
    kept = [action for action in plan.actions if action.key in undone and _is_kept(action)]
    again = {action.key: _flags(plan, action, *undone[action.key]) for action in kept}
    flags = {key: several for key, several in again.items() if several}
    emptied = Counter((undone[one.key][0].by, one.reason) for one in kept if _is_emptied(one))

    def told(action: Action) -> Action:
        if action.key in undone and action.overwrites:
            run, live = undone[action.key]
            lost = (replace(one, undone=run.covers(live, one.path)) for one in action.overwrites)
            action = replace(action, overwrites=tuple(lost))
        if action.key not in flags:
            return action
        by = undone[action.key][0].by
        if _is_emptied(action):
            count = emptied[by, action.reason]
            which, just = (
                ("flag", "re-creates just that") if count == 1 else ("flags", "re-create just those")
            )
            them = f"{count} of them: the {which} listed below {just}"
            return replace(action, reason=EmptiedByUndo(f"{action.reason}; {by} deleted {them}"))
        if action.disputed or action.deleted_there:
            return replace(action, reason=f"{action.reason}; {by} took the last clone's change back")
        reason = "" if action.reason == "already as intended" else f"{action.reason}; "
        given, promote = " ".join(flags[action.key]), "promotes" if len(flags[action.key]) == 1 else "promote"
        return replace(action, reason=f"{reason}{by} took this back; {given} {promote} it again")

    by_extra = {key: run.by for run in reversed(runs) for key in run.fields}
    extras = tuple(replace(one, undone=one.own and one.key in by_extra) for one in plan.extras)
    names = overlay_selectors(entity_names(prepared.live.entities))
    notes, first = list[str](), list[str]()
    for run in runs:
        listed = {key: several for key, several in flags.items() if undone[key][0] is run}
        gone = [
            flag("--take", f"source:{names[one.key]}")
            for one in extras
            if one.undone and by_extra[one.key] == run.by
        ]
        notes += _notes(run.by, [one for several in listed.values() for one in several], gone)
        first += _first(run.by, len(listed) + len(gone))
    return replace(
        plan, actions=tuple(map(told, plan.actions)), extras=extras, notes=(*plan.notes, *notes),
        attention=(*plan.attention, *first),
    )  # fmt: skip


def _taken_by(
    runs: Sequence[TakenBack], action: Action, targets: Mapping[Key, Key]
) -> tuple[TakenBack, Key] | None:
    """Return the run that took back changes of an entity, and the entity's key in the target; None without one."""
    own = Key(action.key.type, action.target_id) if action.target_id else None
    known = [key for key in (own, targets.get(action.key)) if key is not None]
    return next(((run, key) for run in runs for key in known if key in run.fields), None)


def _flags(plan: Plan, action: Action, run: TakenBack, live: Key) -> list[str]:
    """Return the flags that promote again what a run took back of an entity, and overwrite nothing else.

    There are none if the target keeps other fields only.
    """
    selector = plan.selectors.get(action.key, str(action.key))
    there = (*action.own, *action.own_besides, *action.conflicts)
    taken_back = [path for path in there if run.covers(live, path)]
    if (
        there and not taken_back and not entity_type(live.type).owns_functions
    ):  # whose code is in other entities
        return []
    return taking_source(selector, taken_back if len(taken_back) < len(there) else ())


def _first(by: str, count: int) -> Iterator[str]:
    """Yield the line at the top of the plan, unless the run took nothing back."""
    if count:
        stay = "it stays as it is" if count == 1 else "they stay as they are"
        entities = plural(count, "entity", "entities")
        yield (
            f"{by} took back what an earlier run had changed in {entities}: {stay}; to promote"
            f" {'it' if count == 1 else 'them'} again, use the flags listed below"
        )


def _notes(by: str, flags: list[str], gone: list[str]) -> Iterator[str]:
    if flags:
        yield FlagsListed(f"to promote again all that {by} took back: {' '.join(flags)}")
    if gone:
        yield FlagsListed(f"to delete again what {by} re-created: --prune {' '.join(gone)}")
