"""Intents of clones: what a clone is about to leave in its target, so that the next one recognises half-done work."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jitsu_backup.catalogue import (
    KEY_FIELDS,
    entity_type,
    grant_fields,
    is_link,
    key_ids,
    owned_functions,
    rewrite,
    write_key_ids,
)
from jitsu_backup.catalogue.derived_ids import derived_id
from jitsu_backup.catalogue.redaction import is_secret_path
from jitsu_backup.model import (
    MASK,
    UNDEFINED,
    CloneRecord,
    Entity,
    Key,
    Path,
    Snapshot,
    Tombstone,
    items_of,
    masked_paths,
    members_of,
    value_at,
)
from jitsu_backup.planning.fields import upto_list
from jitsu_backup.planning.identity import same_workspace
from jitsu_backup.planning.json_diff import differs, has_value, paths_that_differ, without
from jitsu_backup.planning.lineage import recorded_bodies, recorded_pairs, still_there
from jitsu_backup.planning.link_pairing import link_body
from jitsu_backup.planning.options import PlanOptions
from jitsu_backup.planning.plan import Action, ActionKind, Plan
from jitsu_backup.planning.profile_builders import builder_code
from jitsu_backup.planning.records import (
    REACHED,
    Bodies,
    is_as,
    new_record,
    taken,
    with_entities,
    without_secrets,
)

_BUILDER = "profile-builder"
_CODE, _DRAFT = ("code",), ("draft",)


@dataclass(frozen=True, slots=True)
class Intent:
    """What a clone leaves in the store before its first write.

    `planned` is the record that it will leave if it ends as planned, with what it deletes. `begun` is the record that it
    starts from, with what the plan pairs or deletes beyond that; None if there is neither.
    """

    begun: Snapshot | None
    planned: Snapshot


def intent_of(snapshot: Snapshot, plan: Plan, options: PlanOptions, live: Snapshot) -> Intent:
    """Return the intent of a clone that is about to carry out `plan` in the target `live`."""
    begun = _begun(snapshot, plan, options.record, live)
    deleted = {a.key for a in plan.writes if a.kind is ActionKind.DELETE}
    known = {} if begun is None else still_there(begun, live)
    deletes = deleted | {then for then, now in known.items() if now in deleted}
    secrets = options.overlay.secrets | {
        str(value) for values in snapshot.secrets.values() for value in values.values()
    }
    ids = {**plan.ids, **link_ids(plan)}
    after = planned_state(snapshot, plan, ids, live, secrets)
    made = new_record(snapshot, plan, replace(options, record=begun), live, after, ids)
    cloned = made.manifest.cloned
    assert cloned is not None  # noqa: S101  it is a record
    manifest = replace(made.manifest, cloned=replace(cloned, deletes=frozenset(deletes)))
    # an entity that still exists although it was to be deleted is half deleted
    bases = {key: body for key, body in made.bases.items() if key not in deletes}
    return Intent(begun, replace(made, manifest=manifest, bases=bases))


def with_intent(record: Snapshot | None, intent: Snapshot, live: Snapshot) -> Snapshot:
    """Return the record of the last clone, updated with what a later one achieved of its `intent` before it was killed.

    Where the target is as that clone intended, that counts as the base; what that clone was to delete does not count as
    deleted by the target. Everything else is as in `record`, which is None if no clone has ended yet.
    """
    before, planned = _Known(record, live), _Known(intent, live)
    there = {entity.key: entity for entity in live.entities}
    wanted = {entity.key: entity for entity in intent.entities}
    deletes, renamed = _cloned(intent).deletes or frozenset(), _renaming_functions(intent, planned, live)
    pairs: dict[Key, Key] = {}
    bases: Bodies = {}
    lost: set[Key] = set()
    for source in {**before.pairs, **planned.pairs}:
        then, intended = before.pairs.get(source), planned.pairs.get(source)
        stood, made = (
            known.alive.get(key) if key else None for known, key in ((before, then), (planned, intended))
        )
        if intended is not None and made is not None:
            pairs[source] = made
            common = renamed(intended, planned.bodies[intended])
            body = renamed(intended, wanted[intended].body) if intended in wanted else common
            bases[made] = reached_body(there[made], body, common, before.body_of(made))
        if stood is not None and stood != made:
            pairs[stood if made is not None else source] = stood
            bases[stood] = before.body_of(stood) or {}
        elif made is None and then is not None and before.same_workspace:
            pairs[source] = then
            bases |= {then: before.bodies[then]} if then in before.bodies else {}
            lost |= {then} & deletes
    base, keys = record or intent, write_key_ids(live)
    made_keys = {one: other for one, other in _cloned(intent).write_keys.items() if other in keys}
    earlier = {} if record is None else _cloned(record).write_keys
    alive = planned.alive if record is None else before.alive
    cloned = _called_now(_cloned(base), alive)
    tombstones = {**cloned.tombstones, **dict.fromkeys(lost, Tombstone.BOTH)}
    # it is unknown what was reached, so a secret that either calls empty may be empty
    empty = {**_called_now(_cloned(intent), planned.alive).empty, **cloned.empty}
    cloned = replace(
        cloned, write_keys={**earlier, **made_keys}, tombstones=tombstones, deletes=None, empty=empty
    )
    known = {entity.key for side in filter(None, (record, intent)) for entity in side.entities}
    return _as_record(cloned, pairs, bases, live, known, base.taken_at)


def _called_now(cloned: CloneRecord, alive: Mapping[Key, Key]) -> CloneRecord:
    """Return a record's deleted and former entities with the keys that the target's entities have now."""
    former = ((then, Key(then.type, one)) for then, one in cloned.former.items())
    return replace(
        cloned,
        tombstones={alive.get(key, key): side for key, side in cloned.tombstones.items()},
        former={then: alive.get(key, key).id for then, key in former},
        empty={alive.get(key, key): paths for key, paths in cloned.empty.items()},
    )


def _renaming_functions(
    intent: Snapshot, planned: "_Known", live: Snapshot
) -> Callable[[Key, Mapping[str, Any]], dict[str, Any]]:
    """Return a mapper that replaces function ids in a body by those that the console gave them with their builders."""
    made = {Key(_BUILDER, builder): function for function, builder in owned_functions(live.entities)}
    ids = {
        function: made[now]
        for function, builder in owned_functions(intent.entities)
        if (now := planned.alive.get(Key(_BUILDER, builder))) in made
    }

    def renamed(key: Key, body: Mapping[str, Any]) -> dict[str, Any]:
        return rewrite(entity_type(key.type).references, body, lambda _, function: ids.get(function))

    return renamed


class _Known:
    """What a record or an intent says about the current target; `alive` is as in a lineage."""

    def __init__(self, record: Snapshot | None, live: Snapshot) -> None:
        self.pairs = {} if record is None else recorded_pairs(record)
        self.bodies = {} if record is None else recorded_bodies(record)
        self.alive = {} if record is None else still_there(record, live)
        self.same_workspace = record is not None and same_workspace(record, live)
        self._then = {now: then for then, now in self.alive.items()}

    def body_of(self, live: Key) -> Mapping[str, Any] | None:
        then = self._then.get(live)
        return None if then is None else self.bodies.get(then)


def _begun(snapshot: Snapshot, plan: Plan, record: Snapshot | None, live: Snapshot) -> Snapshot | None:
    """Return the record, extended by unrecorded entities that a plan pairs or deletes, as they were found in the target."""
    known, there = _Known(record, live), {entity.key: entity.body for entity in live.entities}
    paired = {
        a.key: Key(a.key.type, plan.ids[a.key])
        for a in plan.actions
        if a.kind in REACHED and a.key in plan.ids
    }
    paired |= {a.key: a.key for a in plan.writes if a.kind is ActionKind.DELETE}
    added = {source: key for source, key in paired.items() if key in there and known.body_of(key) is None}
    if not added:
        return record
    alive = {source: known.alive.get(then, then) for source, then in known.pairs.items()}
    bases = {known.alive.get(then, then): body for then, body in known.bodies.items()}
    keys = {one: other for one, other in plan.write_keys.items() if other in write_key_ids(live)}
    cloned = CloneRecord(snapshot.manifest.source, {}) if record is None else _cloned(record)
    cloned = _called_now(cloned, known.alive)
    cloned = replace(cloned, write_keys={**cloned.write_keys, **keys})
    pairs, bodies = {**alive, **added}, {**bases, **{key: there[key] for key in added.values()}}
    stood = {*there} if record is None else {entity.key for entity in record.entities}
    return _as_record(cloned, pairs, bodies, live, stood, (record or live).taken_at)


def _cloned(record: Snapshot) -> CloneRecord:
    assert record.manifest.cloned is not None  # noqa: S101  else it is no record
    return record.manifest.cloned


def _as_record(
    cloned: CloneRecord,
    pairs: Mapping[Key, Key],
    bases: Bodies,
    live: Snapshot,
    known: Collection[Key],
    taken_at: datetime,
) -> Snapshot:
    """Return a record of the entities in `pairs` and `known` that the target has; others were created there since."""
    known = {*known, *pairs.values()}
    entities = tuple(entity for entity in live.entities if entity.key in known)
    there = {entity.key: entity for entity in entities}
    bodies = {key: {**body, "id": key.id} for key, body in bases.items()}
    cloned = replace(cloned, pairs={source: key.id for source, key in pairs.items()})
    made = with_entities(live, entities)
    return replace(
        made,
        taken_at=taken_at,
        manifest=replace(made.manifest, cloned=cloned),
        bases={key: body for key, body in bodies.items() if not is_as(there.get(key), body)},
    )


# -- the target as it will be ----------------------------------------------------


def link_ids(plan: Plan) -> dict[Key, str]:
    """Return placeholders for the ids that the console will give to new links."""
    new = (a.key for a in plan.writes if a.kind is ActionKind.CREATE and a.key not in plan.ids)
    return {key: derived_id(plan.target.workspace_id, key.type, key.id) for key in new}


def planned_state(
    snapshot: Snapshot, plan: Plan, ids: Mapping[Key, str], live: Snapshot, secrets: Collection[str]
) -> Snapshot:
    """Return the target as planned, without `secrets`; reverse syncs to delete are disabled, because that comes first."""
    shown = {entity.key: entity.body for entity in snapshot.entities}
    bodies = {entity.key: entity.body for entity in live.entities}
    owned = {builder: function for function, builder in plan.owned_functions}
    for action in plan.writes:
        if action.kind is not ActionKind.DELETE:
            key = Key(action.key.type, ids[action.key])
            sent = _without_new_secrets(action.key.type, _mapped(ids, action), shown.get(action.key))
            body = _planned_body(action, key, bodies.get(key), sent)
            if action.kind is ActionKind.CREATE and action.key.id in owned:  # as others refer to it so far
                body["functions"][0]["functionId"] = owned[action.key.id]
            bodies[key] = {**without_secrets(body, secrets), "id": key.id}
        elif entity_type(action.key.type).deleted_first:
            data = members_of(bodies[action.key].get("data"))
            bodies[action.key] = {**bodies[action.key], "data": {**data, "disabled": True}}
        else:
            del bodies[action.key]
    entities = tuple(Entity(key, body) for key, body in sorted(bodies.items(), key=lambda one: one[0]))
    return with_entities(live, entities)


def _mapped(ids: Mapping[Key, str], action: Action) -> dict[str, Any]:
    """Return what an action sends, with the target's ids."""
    types = sorted({key.type for key in ids})

    def resolve(named: tuple[str, ...], source_id: str) -> str | None:
        return next((ids[Key(one, source_id)] for one in named or types if Key(one, source_id) in ids), None)

    body = rewrite(entity_type(action.key.type).references, action.body, resolve)
    return {
        name: value for name, value in body.items() if value not in (None, UNDEFINED) and name != "cloneId"
    }


def _without_new_secrets(type_name: str, body: dict[str, Any], shown: Any) -> dict[str, Any]:
    """Return a body with secrets masked, except those that the source's body `shown` has in plain text."""
    known = entity_type(type_name).secrets

    def masked(value: Any, at: Path) -> Any:
        if isinstance(value, Mapping):
            return {name: masked(item, (*at, name)) for name, item in value.items()}
        if isinstance(value, list):
            return [masked(item, (*at, position)) for position, item in enumerate(value)]
        is_new = value not in (None, "", value_at(shown, at)) and not isinstance(value, bool)
        return MASK if is_new and is_secret_path(at, known) else value

    return {name: masked(value, (name,)) for name, value in body.items()}


def _planned_body(
    action: Action, key: Key, before: Mapping[str, Any] | None, sent: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the body that an entity of the target will have."""
    body = (
        {**sent}
        if before is None or action.retyped
        else taken(compared_view(Entity(key, before)), sent, action.paths)
    )
    if entity_type(key.type).owns_functions:
        code = sent["code"] if _CODE in action.paths or before is None else body["code"]
        draft = sent.get("draft", code) if {_CODE, _DRAFT} & action.paths or before is None else body["draft"]
        body |= {"code": code, "draft": draft}
    new = {slot.source_id: slot.id for slot in action.new_keys}
    for name in KEY_FIELDS if key.type == "stream" else ():
        listed = sent if name in sent else before or {}
        body[name] = sorted(new.get(one, one) for one in key_ids(Entity(key, listed), name))
    return listed_body(key, body, {} if before is None else before)


# -- what of an entity was reached -----------------------------------------------


def compared_view(entity: Entity) -> dict[str, Any]:
    """Return a body in the form that is compared: write keys by id, a profile builder with code, a link with data."""
    key, body = entity.key, dict(entity.body)
    for name in KEY_FIELDS if key.type == "stream" else ():
        body[name] = sorted(key_ids(entity, name))
    if entity_type(key.type).owns_functions:
        code, draft = builder_code(entity)
        body = {"code": code, "draft": draft, **without(body, {("functions",)})}
    return link_body(entity) if is_link(key) else body


def listed_body(key: Key, view: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body for a view, in the form in which a console lists it, as in `like`."""
    body = {**view, "id": key.id}
    for name in KEY_FIELDS if key.type == "stream" else ():
        body[name] = [{"id": one} for one in view.get(name) or ()]
    if entity_type(key.type).owns_functions:
        code, draft = body.pop("code"), body.pop("draft")
        body["functions"] = _functions_with(like.get("functions"), code, draft)
    for name in ("type", "data") if is_link(key) else ():  # a console may list neither
        if name not in like and not differs(body.get(name), compared_view(Entity(key, like)).get(name)):
            del body[name]
    return body


def reached_body(
    live: Entity, planned: Mapping[str, Any], common: Mapping[str, Any], before: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the base of an entity: `common`, which the clone would have left, or `before` where it did not get that far.

    An entity without `before` was created by the clone, so its differences from the plan are changes by the target.
    """
    wanted, base, there = (compared_view(Entity(live.key, body)) for body in (planned, common, live.body))
    differing = {upto_list(path) for path in paths_that_differ(wanted, there)}
    if entity_type(live.key.type).owns_functions and there["draft"] == there["code"] == wanted["code"]:
        differing.discard(_DRAFT)  # the code is published, and the draft would have been sent next
        base["draft"] = there["draft"]
    if before is None:
        base = taken(base, there, {(name,) for name in grant_fields(live.key.type)})
    else:
        base = taken(base, compared_view(Entity(live.key, before)), differing)
    unseen = {path for path in masked_paths(wanted) if has_value(there, path)}
    return listed_body(live.key, taken(base, there, unseen), live.body)


def _functions_with(functions: Any, code: Any, draft: Any) -> list[Any]:
    """Return the functions of a profile builder, with this code and draft in the first one."""
    first, *others = map(members_of, items_of(functions) or [{}])
    function = members_of(first.get("function"))
    config = dict(members_of(function.get("config")))
    if (config.get("code"), config.get("draft", code)) != (code, draft):
        config |= {"code": code, "draft": draft}
    return [{**first, "function": {**function, "config": config}}, *others]
