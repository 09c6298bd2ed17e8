"""What the last undo of a workspace took back, so that the plan of the next clone can say so."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jitsu_backup.archive import ArchiveName, backup_mark, safe_text
from jitsu_backup.catalogue import entity_type
from jitsu_backup.errors import BackupError
from jitsu_backup.model import Entity, Key, flag, format_path, plural, shown_time
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.restore import PreparedRestore
from jitsu_backup.operations.snapshots import open_archive
from jitsu_backup.planning import Action, EmptiedByUndo, EmptiedThere, Plan, entity_names, same_workspace
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
    """An undo: when it began, and the keys in the target of what it changed and what is unchanged since, with the fields."""

    at: datetime
    fields: Mapping[Key, frozenset[str]]

    def covers(self, key: Key, path: str) -> bool:
        """Return whether it changed a field of an entity, or something inside it; the empty path means the entity."""
        return not path or any(
            f"{path}.".startswith(f"{one}.") or one.startswith(f"{path}.") for one in self.fields[key]
        )


async def with_taken_back(
    prepared: PreparedRestore, open_store: Callable[[], Store], keys: ArchiveKeys, now: datetime
) -> PreparedRestore:
    """Return a prepared clone whose plan says what the last undo of the target took back, and how to promote that again.

    Without such an undo, or if its archives cannot be read, the plan stays as it is.
    """
    plan, record = prepared.plan, prepared.options.record
    kept = any(_is_kept(action) for action in plan.actions) or any(extra.own for extra in plan.extras)
    if record is None or not (kept or plan.overwriting) or same_workspace(prepared.snapshot, prepared.live):
        return prepared
    try:
        found = await _last_undo(prepared, open_store(), keys, now)
    except BackupError:
        return prepared
    if found is None:
        return prepared
    targets = recorded_pairs(record)
    return replace(prepared, plan=_told(plan, found, targets, prepared))


async def _last_undo(
    prepared: PreparedRestore, store: Store, keys: ArchiveKeys, now: datetime
) -> TakenBack | None:
    target = safe_text(prepared.live.manifest.source.workspace_id)
    known = [
        one for one in await archives(store) if one.workspace_id == target and not one.is_from_the_future(now)
    ]
    begun = max((one for one in known if one.undoes is not None), key=lambda one: one.sort_key, default=None)
    left = None if begun is None else next((one for one in known if one.ended == backup_mark(begun)), None)
    if begun is None or left is None:
        return None

    async def bodies(archive: ArchiveName) -> dict[Key, dict[str, Any]]:
        snapshot = open_archive(archive, await store.read(str(archive)), keys)
        return _essences(snapshot.entities)

    before, after = await bodies(begun), await bodies(left)
    is_now = _essences(prepared.live.entities)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    fields = {
        key: frozenset(map(format_path, paths_that_differ(before.get(key, {}), after.get(key, {}))))
        for key in changed
        if is_now.get(key) == after.get(key)
    }
    return TakenBack(begun.taken_at, fields)


def _essences(entities: tuple[Entity, ...]) -> dict[Key, dict[str, Any]]:
    return {entity.key: essence(entity) for entity in entities}


def _is_kept(action: Action) -> bool:
    return bool(action.own or action.disputed or action.deleted_there) or _is_emptied(action)


def _is_emptied(action: Action) -> bool:
    return isinstance(action.reason, EmptiedThere)


def _told(plan: Plan, undo: TakenBack, targets: Mapping[Key, Key], prepared: PreparedRestore) -> Plan:
    """Return the plan with a remark on each action that keeps what the undo took back, a line at its top, and the flags."""
    by = f"the undo of {shown_time(undo.at)}"
    undone = {
        action.key: live
        for action in plan.actions
        if (live := _changed_by(undo, action, targets)) is not None
    }
    kept = [action for action in plan.actions if action.key in undone and _is_kept(action)]
    found = {action.key: _flags(plan, action, undo, undone[action.key]) for action in kept}
    flags = {key: several for key, several in found.items() if several}
    emptied = Counter(action.reason for action in kept if _is_emptied(action))

    def told(action: Action) -> Action:
        if action.key in undone and action.overwrites:
            lost = (replace(o, undone=undo.covers(undone[action.key], o.path)) for o in action.overwrites)
            action = replace(action, overwrites=tuple(lost))
        if action.key not in flags:
            return action
        if _is_emptied(action):
            count = emptied[action.reason]
            which, just = (
                ("flag", "re-creates just that") if count == 1 else ("flags", "re-create just those")
            )
            them = f"{count} of them: the {which} listed below {just}"
            return replace(action, reason=EmptiedByUndo(f"{action.reason}; {by} deleted {them}"))
        if action.disputed or action.deleted_there:
            return replace(action, reason=f"{action.reason}; {by} took the last clone's change back")
        reason = "" if action.reason == "already as intended" else f"{action.reason}; "
        again, promote = " ".join(flags[action.key]), "promotes" if len(flags[action.key]) == 1 else "promote"
        return replace(action, reason=f"{reason}taken back by {by}: {again} {promote} it again")

    actions = tuple(map(told, plan.actions))
    names = overlay_selectors(entity_names(prepared.live.entities))
    extras = tuple(replace(one, undone=one.own and one.key in undo.fields) for one in plan.extras)
    gone = [flag("--take", f"source:{names[extra.key]}") for extra in extras if extra.undone]
    listed = [one for several in flags.values() for one in several]
    notes, count = tuple(_notes(by, listed, gone)), len(flags) + len(gone)
    first = (
        f"taken back by {by}: what an earlier run changed in {plural(count, 'entity', 'entities')}; it stays so, and the flags"
        " that promote it again are listed below"
    )
    attention = (*plan.attention, *((first,) if count else ()))
    return replace(plan, actions=actions, extras=extras, notes=(*plan.notes, *notes), attention=attention)


def _changed_by(undo: TakenBack, action: Action, targets: Mapping[Key, Key]) -> Key | None:
    """Return the target's key of an entity that the undo changed; None if it did not."""
    known = (Key(action.key.type, action.target_id) if action.target_id else None, targets.get(action.key))
    return next((key for key in known if key in undo.fields), None)


def _flags(plan: Plan, action: Action, undo: TakenBack, live: Key) -> list[str]:
    """Return the flags that promote again what the undo took back of an entity, and overwrite nothing else.

    There are none if the target keeps other fields only.
    """
    selector = plan.selectors.get(action.key, str(action.key))
    there = (*action.own, *action.own_besides, *action.conflicts)
    taken_back = [path for path in there if undo.covers(live, path)]
    if (
        there and not taken_back and not entity_type(live.type).owns_functions
    ):  # whose code is in other entities
        return []
    return taking_source(selector, taken_back if len(taken_back) < len(there) else ())


def _notes(by: str, flags: list[str], gone: list[str]) -> Iterator[str]:
    if flags:
        yield FlagsListed(f"to promote again all that {by} took back: {' '.join(flags)}")
    if gone:
        yield FlagsListed(f"to delete again what {by} re-created: --prune {' '.join(gone)}")
