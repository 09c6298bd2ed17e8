"""Records of clones: what the source had and the target has, for the three-way merge of the next clone."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jitsu_backup.catalogue import entity_type, is_link, rewrite, write_key_ids
from jitsu_backup.model import (
    MASK,
    UNDEFINED,
    CloneRecord,
    Entity,
    Key,
    Path,
    Snapshot,
    Tombstone,
    content_digest,
    counts_by_type,
    masked_fields,
    value_at,
)
from jitsu_backup.planning.fields import CODE_FIELDS, upto_list
from jitsu_backup.planning.fingerprints import essence
from jitsu_backup.planning.json_diff import has_value, with_changes
from jitsu_backup.planning.lineage import Lineage, trace
from jitsu_backup.planning.options import PlanOptions
from jitsu_backup.planning.overlays import Overlay
from jitsu_backup.planning.plan import Action, ActionKind, Plan
from jitsu_backup.planning.sent_empty import left_empty

REACHED = (ActionKind.CREATE, ActionKind.UPDATE, ActionKind.UNCHANGED)
"""The kinds of actions after which an entity of the target is as intended."""

Bodies = dict[Key, Mapping[str, Any]]


def new_record(
    snapshot: Snapshot,
    plan: Plan,
    options: PlanOptions,
    live: Snapshot,
    after: Snapshot,
    ids: Mapping[Key, str],
    undone: Collection[Key] = (),
) -> Snapshot:
    """Return the record of a clone that has ended: `after`, the target as read back, marked as cloned.

    `live` is the target that the plan was made for: what changed since, and was not sent by the run, is the target's own.
    `ids` are the ids that the source's keys have in the target now. Actions of the `undone` keys were not carried out, so
    the previous record remains valid for them.
    """
    there, before = ({entity.key: entity for entity in side.entities} for side in (after, live))
    actions = {a.key: a for a in plan.actions if a.kind in REACHED and a.key not in undone}
    builders = {Key("function", one): Key("profile-builder", its) for one, its in plan.owned_functions}
    reached = {
        key: Key(key.type, new_id)
        for key, new_id in ids.items()
        if Key(key.type, new_id) in there.keys() | before.keys() and builders.get(key, key) in actions
    }
    renamed = {
        Key(a.key.type, a.target_id): ids[a.key]
        for a in actions.values()
        if a.kind is ActionKind.CREATE and a.target_id is not None and a.key in ids
    }
    known = Lineage() if options.record is None else trace(options.record, snapshot, live)
    bases: Bodies = {}
    for key, target in reached.items():
        if key in actions:
            sides = _Sides(before.get(target), there.get(target), known.base_of(target))
            body = _renaming(renamed, target, _base(actions[key], sides, options.overlay.secrets))
            if not is_as(there.get(target), body):
                bases[target] = body
    kept = _kept(options.record, snapshot, after, reached, _decided(plan, snapshot, known))
    cloned = CloneRecord(
        snapshot.manifest.source,
        {**kept.pairs, **{key: target.id for key, target in reached.items()}},
        _write_keys(options.record, plan, snapshot, after),
        _overlay_digest(options.overlay),
        kept.tombstones,
        kept.former,
        empty=left_empty(options.record, known, reached, actions),
    )
    manifest = replace(after.manifest, cloned=cloned)
    return replace(after, manifest=manifest, bases={**kept.bases, **bases}, secrets={})


def record_in_place(base: Snapshot) -> Snapshot:
    """Return a record of a workspace as unpacked, or as a run left it, in which every entity is its own counterpart."""
    keys = {key_id: key_id for key_id in write_key_ids(base)}
    pairs = {entity.key: entity.key.id for entity in base.entities}
    cloned = CloneRecord(base.manifest.source, pairs, keys)
    return replace(base, manifest=replace(base.manifest, cloned=cloned), bases={})


def with_entities(live: Snapshot, entities: tuple[Entity, ...]) -> Snapshot:
    """Return a snapshot of the target with other entities, and without what records do not need."""
    counts = counts_by_type(entities, live.manifest.counts)
    manifest = replace(live.manifest, counts=counts, ledger=masked_fields(entities, live.options))
    return replace(live, entities=entities, manifest=manifest, cursors={}, secrets={})


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept of the previous record."""

    pairs: dict[Key, str] = field(default_factory=dict)
    bases: Bodies = field(default_factory=dict)
    tombstones: dict[Key, Tombstone] = field(default_factory=dict)
    former: dict[Key, str] = field(default_factory=dict)


def _decided(plan: Plan, snapshot: Snapshot, known: Lineage) -> set[Key]:
    """Return the record's keys of entities that one side has deleted, if the plan has decided that this is final."""
    of_source = {entity.key for entity in snapshot.entities}
    left = {known.recorded[a.key] for a in plan.deleted_there if a.key in known.recorded}
    return left | {
        then
        for a in plan.actions
        if a.asked and a.key not in of_source and (then := known.record_of(a.key)) is not None
    }


def _kept(
    record: Snapshot | None,
    snapshot: Snapshot,
    after: Snapshot,
    reached: Mapping[Key, Key],
    decided: Collection[Key],
) -> _Kept:
    """Return the pairs and bases of the previous record, and which of them are deleted and settled.

    Entities that either side has deleted are kept in the record, because a rollback may bring them back.
    """
    if record is None or record.manifest.cloned is None:
        return _Kept()
    lineage = trace(record, snapshot, after)
    renewed, wanted = {*reached.values()}, {*lineage.recorded.values()}
    there = {entity.key: entity for entity in after.entities}
    kept = _Kept(former=_former(record.manifest.cloned, lineage, reached))
    for source, old_id in record.manifest.cloned.pairs.items():
        recorded = Key(source.type, old_id)
        now = lineage.alive.get(recorded)
        target = recorded if now is None else now
        kept.pairs[source] = target.id
        body = lineage.bases.get(recorded)
        if target not in renewed and body is not None and not is_as(there.get(target), body):
            kept.bases[target] = {**body, "id": target.id}
        if target not in renewed and (now is None or recorded not in wanted):
            side = _lacking(of_source=recorded in wanted, of_target=now is not None)
            if side is Tombstone.BOTH or recorded in decided or recorded in lineage.tombstones:
                kept.tombstones[target] = side
    return kept


def _former(cloned: CloneRecord, lineage: Lineage, reached: Mapping[Key, Key]) -> dict[Key, str]:
    """Return the former keys of the target's entities, each with the current id. Links are recognised by their ends."""
    made_again = {
        then: target
        for source, target in reached.items()
        if (then := lineage.recorded.get(source)) is not None and then not in lineage.alive
    }
    now = {then: key for then, key in {**made_again, **lineage.alive}.items() if then != key}
    recorded = {Key(source.type, one) for source, one in cloned.pairs.items()}
    ids = {then: key.id for then, key in now.items() if then in recorded and not is_link(then)}
    earlier = {then: ids.get(Key(then.type, one), one) for then, one in cloned.former.items()}
    return earlier | ids


def _lacking(*, of_source: bool, of_target: bool) -> Tombstone:
    """Return which side lacks an entity that one or both lack."""
    if of_source:
        return Tombstone.TARGET
    return Tombstone.SOURCE if of_target else Tombstone.BOTH


def _write_keys(record: Snapshot | None, plan: Plan, snapshot: Snapshot, after: Snapshot) -> dict[str, str]:
    """Return the pairs of write keys: those of this plan, and earlier ones if at least one side still has its key."""
    mine, theirs = map(write_key_ids, (snapshot, after))
    cloned = None if record is None else record.manifest.cloned
    earlier = {} if cloned is None else cloned.write_keys
    kept = {one: other for one, other in earlier.items() if one in mine or other in theirs}
    return kept | {one: other for one, other in plan.write_keys.items() if other in theirs}


@dataclass(frozen=True, slots=True)
class _Sides:
    """An entity of the target before and after a run, and the base that both sides had before that."""

    before: Entity | None
    after: Entity | None
    base: Mapping[str, Any] | None


def _base(action: Action, sides: _Sides, secrets: Collection[str]) -> dict[str, Any]:
    """Return the body from which the next clone can tell what each side has changed.

    It is what the plan saw, with what the run sent, and the source's values where the target keeps its own. Where an
    option or a setting overrides the source, the previous base is kept.
    """
    body = _as_the_source_had(as_sent(action, sides.before, sides.after), action, secrets)
    return body if sides.base is None else taken(body, sides.base, action.aside)


def as_sent(action: Action, before: Entity | None, after: Entity | None) -> dict[str, Any]:
    """Return the body of a target's entity `before` a run, with what the run sent, as read back `after` it."""
    if before is None or after is None or action.kind is ActionKind.CREATE or action.retyped:
        found = after or before
        return {} if found is None else dict(found.body)
    body = taken(before.body, after.body, action.paths)
    if sends_code(action):
        body["functions"] = after.body.get("functions")
    return body


def sends_code(action: Action) -> bool:
    """Return whether an update sends the code of a profile builder, which changes its function."""
    return entity_type(action.key.type).owns_functions and not _CODE.isdisjoint(action.paths)


_CODE = frozenset((name,) for name in CODE_FIELDS)


def taken(body: Mapping[str, Any], other: Mapping[str, Any], paths: Iterable[Path]) -> dict[str, Any]:
    """Return a body with another body's values at some paths; a list is copied as a whole."""
    whole = {_reachable(body, upto_list(path)) for path in paths}
    values = {path: value_at(other, path) for path in whole if has_value(other, path)}
    return with_changes(body, values, whole - values.keys())


def _reachable(body: Mapping[str, Any], path: Path) -> Path:
    """Return the path, cut where a body has no object for the rest, such as a link without data."""
    while path[:-1] and not isinstance(value_at(body, path[:-1]), Mapping):
        path = path[:-1]
    return path


def is_as(entity: Entity | None, body: Mapping[str, Any]) -> bool:
    """Return whether an entity has this body, apart from fields that the console sets by itself."""
    return entity is not None and essence(entity) == essence(Entity(entity.key, body))


def _as_the_source_had(body: Mapping[str, Any], action: Action, secrets: Collection[str]) -> dict[str, Any]:
    """Return the body of a target's entity with the source's values in place of the target's own."""
    values: dict[Path, Any] = {
        path: MASK if _holds(value, secrets) else value
        for path, value in action.replaced.items()
        if value != UNDEFINED
    }
    return with_changes(body, values, action.replaced.keys() - values.keys())


def _renaming(renamed: Mapping[Key, str], key: Key, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with the ids that the console gave to new entities in place of the planned ones."""

    def resolve(types: tuple[str, ...], foreseen: str) -> str | None:
        return next((renamed[Key(one, foreseen)] for one in types if Key(one, foreseen) in renamed), None)

    return rewrite(entity_type(key.type).references, body, resolve)


def _holds(value: Any, secrets: Collection[str]) -> bool:
    if isinstance(value, Mapping | list):
        items: Iterable[Any] = value.values() if isinstance(value, Mapping) else value
        return any(_holds(item, secrets) for item in items)
    return isinstance(value, str) and any(secret and secret in value for secret in secrets)


def _overlay_digest(overlay: Overlay) -> str | None:
    """Return the digest of an overlay without its secrets, so that none can be guessed from it."""
    rules = [[rule.selector.text, without_secrets(rule.patch, overlay.secrets)] for rule in overlay.rules]
    return content_digest(rules) if rules else None


def without_secrets(value: Any, secrets: Collection[str]) -> Any:
    """Return a value with every text that contains one of `secrets` replaced by the mask."""
    if isinstance(value, Mapping):
        return {name: without_secrets(item, secrets) for name, item in value.items()}
    if isinstance(value, list):
        return [without_secrets(item, secrets) for item in value]
    return MASK if _holds(value, secrets) else value
