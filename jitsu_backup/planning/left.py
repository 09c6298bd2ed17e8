"""The state in which a run left a workspace, without what others did there at the same time."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from jitsu_backup.catalogue import ends, is_link, owned_functions
from jitsu_backup.model import MASK, Entity, Key, Snapshot, format_path, value_at
from jitsu_backup.planning.json_diff import has_value
from jitsu_backup.planning.plan import Action, ActionKind
from jitsu_backup.planning.records import as_sent, record_in_place, sends_code, with_entities
from jitsu_backup.planning.secrets import hidden_in


def left_by(before: Snapshot, after: Snapshot, tried: Collection[Action], ids: Mapping[Key, str]) -> Snapshot:
    """Return a workspace as a run left it: its state `before`, with what the run did, as read back `after` it.

    `tried` are the actions that the run sent, and `ids` the ids that the snapshot's keys have in the workspace now. Changes
    that others made meanwhile, to other entities or fields, are not included. The result is a record in which every entity
    is its own counterpart, and which lists the hidden secrets that the run replaced.
    """
    had, there = ({entity.key: entity for entity in side.entities} for side in (before, after))
    left, secrets, deleted, coded = dict(had), dict[Key, tuple[str, ...]](), set[Key](), set[Key]()
    for action in tried:
        if action.kind is ActionKind.DELETE:
            deleted |= {action.key} - there.keys()
            # an entity that could not be deleted may have been changed first
            left |= {action.key: there[action.key]} if action.key in there else {}
            continue
        key = Key(action.key.type, ids.get(action.key, ""))
        entity = _sent(action, key, had.get(key), there.get(key))
        if entity is not None:
            left[key], secrets[key] = entity, replaced_secrets(action, had.get(key))
            coded |= {key} if key not in had or sends_code(action) else set()
    with_others = {
        function for function, builder in owned_functions(after.entities) if _builder(builder) in coded
    }
    left |= {key: there[key] for key in (Key("function", one) for one in with_others) if key in there}
    deleted |= gone_with(deleted, before, there)
    made = with_entities(after, tuple(entity for key, entity in sorted(left.items()) if key not in deleted))
    record = record_in_place(made)
    assert record.manifest.cloned is not None  # noqa: S101  it is a record
    lost = {key: paths for key, paths in secrets.items() if paths}
    cloned = replace(record.manifest.cloned, secrets=lost)
    return replace(record, manifest=replace(record.manifest, cloned=cloned))


def _sent(action: Action, key: Key, had: Entity | None, there: Entity | None) -> Entity | None:
    """Return an entity as a run sent it; None for a new one that does not exist, or no longer."""
    if had is None and there is None:
        return None
    body = as_sent(action, had, there)
    if there is not None:
        body |= {slot.field: there.body.get(slot.field) for slot in action.new_keys}
    return Entity(key, body)


def replaced_secrets(action: Action, had: Entity | None) -> tuple[str, ...]:
    """Return the paths of the hidden secrets that a run replaced."""
    hidden = () if had is None else sorted(hidden_in(had.body), key=format_path)
    sent = (path for path in hidden if has_value(action.body, path) and value_at(action.body, path) != MASK)
    return tuple(map(format_path, sent))


def _builder(builder_id: str) -> Key:
    return Key("profile-builder", builder_id)


def gone_with(deleted: Collection[Key], before: Snapshot, there: Collection[Key]) -> set[Key]:
    """Return what the console deleted along with the entities that a run deleted: functions of builders, and links."""
    owned = {
        Key("function", one)
        for one, builder in owned_functions(before.entities)
        if _builder(builder) in deleted
    }
    gone = {key.id for key in deleted}
    links = {e.key for e in before.entities if is_link(e.key) and not gone.isdisjoint(ends(e.body)[1:])}
    return {key for key in owned | links if key not in there}
