"""Records of clones: what the source had and the target has, for the three sides of the next clone."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from jitsu_backup.catalogue import KEY_FIELDS, entity_type, key_ids, rewrite
from jitsu_backup.model import MASK, UNDEFINED, CloneRecord, Entity, Key, Path, Snapshot, content_digest
from jitsu_backup.planning.fingerprints import essence
from jitsu_backup.planning.json_diff import with_values, without
from jitsu_backup.planning.lineage import trace
from jitsu_backup.planning.options import PlanOptions
from jitsu_backup.planning.overlays import Overlay
from jitsu_backup.planning.plan import Action, ActionKind, Plan

_REACHED = (ActionKind.CREATE, ActionKind.UPDATE, ActionKind.UNCHANGED)

Bodies = dict[Key, Mapping[str, Any]]


def new_record(
    snapshot: Snapshot,
    plan: Plan,
    options: PlanOptions,
    after: Snapshot,
    ids: Mapping[Key, str],
    undone: Collection[Key] = (),
) -> Snapshot:
    """Return the record of a clone that has ended: `after`, the target as it was read back, marked as cloned.

    `ids` are the ids that the source's keys have in the target now. What an action of the `undone` keys was to do was not
    done, so that what the record of before says of it stays.
    """
    there = {entity.key: entity for entity in after.entities}
    actions = {a.key: a for a in plan.actions if a.kind in _REACHED and a.key not in undone}
    builders = {Key("function", one): Key("profile-builder", its) for one, its in plan.owned_functions}
    reached = {
        key: Key(key.type, new_id)
        for key, new_id in ids.items()
        if Key(key.type, new_id) in there and builders.get(key, key) in actions
    }
    renamed = {
        Key(a.key.type, a.target_id): ids[a.key]
        for a in actions.values()
        if a.kind is ActionKind.CREATE and a.target_id is not None and a.key in ids
    }
    bases: Bodies = {
        target: _renaming(
            renamed, target, _as_the_source_had(there[target], actions[key], options.overlay.secrets)
        )
        for key, target in reached.items()
        if key in actions and actions[key].replaced
    }
    kept, kept_bases = _kept(options.record, snapshot, after, reached)
    keys = {
        key_id
        for stream in after.of_type("stream")
        for name in KEY_FIELDS
        for key_id in key_ids(stream, name)
    }
    cloned = CloneRecord(
        snapshot.manifest.source,
        {**kept, **{key: target.id for key, target in reached.items()}},
        {source: target for source, target in plan.write_keys.items() if target in keys},
        _overlay_digest(options.overlay),
    )
    manifest = replace(after.manifest, cloned=cloned)
    return replace(after, manifest=manifest, bases={**kept_bases, **bases}, secrets={})


def _kept(
    record: Snapshot | None, snapshot: Snapshot, after: Snapshot, reached: Mapping[Key, Key]
) -> tuple[dict[Key, str], Bodies]:
    """Return the pairs and bases of the record of before that are still to be known.

    A source's key of the past stays as long as what came of it is in the target, so that a rollback of the source is
    followed from there; what only the target has deleted stays known as long as the source has it.
    """
    if record is None or record.manifest.cloned is None:
        return {}, {}
    lineage = trace(record, snapshot, after)
    renewed, wanted = {*reached.values()}, {*lineage.recorded.values()}
    there = {entity.key: entity for entity in after.entities}
    pairs: dict[Key, str] = {}
    bases: Bodies = {}
    for source, old_id in record.manifest.cloned.pairs.items():
        recorded = Key(source.type, old_id)
        now = lineage.alive.get(recorded)
        if now is None and recorded not in wanted:
            continue
        target = recorded if now is None else now
        pairs[source] = target.id
        body = lineage.bases.get(recorded)
        if target not in renewed and body is not None and not _is(there.get(target), body):
            bases[target] = {**body, "id": target.id}
    return pairs, bases


def _is(entity: Entity | None, body: Mapping[str, Any]) -> bool:
    return entity is not None and essence(entity) == essence(Entity(entity.key, body))


def _as_the_source_had(target: Entity, action: Action, secrets: Collection[str]) -> dict[str, Any]:
    """Return the body of a target's entity with the source's values in the place of the target's own."""
    values: dict[Path, Any] = {
        path: MASK if _holds(value, secrets) else value
        for path, value in action.replaced.items()
        if value != UNDEFINED
    }
    return dict(without(with_values(target.body, values), action.replaced.keys() - values.keys()))


def _renaming(renamed: Mapping[Key, str], key: Key, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body that names what was made by the ids that the console gave, where the plan had foreseen others."""

    def resolve(types: tuple[str, ...], foreseen: str) -> str | None:
        return next((renamed[Key(one, foreseen)] for one in types if Key(one, foreseen) in renamed), None)

    return rewrite(entity_type(key.type).references, body, resolve)


def _holds(value: Any, secrets: Collection[str]) -> bool:
    if isinstance(value, Mapping | list):
        items: Iterable[Any] = value.values() if isinstance(value, Mapping) else value
        return any(_holds(item, secrets) for item in items)
    return isinstance(value, str) and any(secret and secret in value for secret in secrets)


def _overlay_digest(overlay: Overlay) -> str | None:
    """Return the digest of an overlay, of which the secrets are no part, so that none can be guessed from it."""
    rules = [[rule.selector.text, _without_secrets(rule.patch, overlay.secrets)] for rule in overlay.rules]
    return content_digest(rules) if rules else None


def _without_secrets(value: Any, secrets: Collection[str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_secrets(item, secrets) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_secrets(item, secrets) for item in value]
    return MASK if _holds(value, secrets) else value
