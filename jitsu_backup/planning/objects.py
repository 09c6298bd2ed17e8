"""The planning of one object: what prevents writing it, what it should be, and the decision."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType

from jitsu_backup.catalogue import (
    STAGES,
    entity_type,
    is_link,
    nameable,
    without_grant,
    without_volatile,
)
from jitsu_backup.model import Entity, Key, format_path, quoted, value_at
from jitsu_backup.planning.candidate import Actions, Candidate, Planned
from jitsu_backup.planning.decision import create_or_update
from jitsu_backup.planning.domains import with_domains
from jitsu_backup.planning.entitlements import NO_CUSTOM_DOMAINS
from jitsu_backup.planning.grants import missing_grant, unauthorised
from jitsu_backup.planning.ignored import own_fields
from jitsu_backup.planning.json_diff import without
from jitsu_backup.planning.models import checked_model, trimmed
from jitsu_backup.planning.overlay_checks import overlay_fields
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import Action, ActionKind, Loss
from jitsu_backup.planning.profile_builders import with_code
from jitsu_backup.planning.requirements import names_as_before, with_its_functions, without_end
from jitsu_backup.planning.reverse_syncs import as_desired, checked
from jitsu_backup.planning.schema_rules import dropped, fields_of, has_field, schema_name
from jitsu_backup.planning.three_sides import deleted_there, stays_deleted
from jitsu_backup.planning.write_keys import with_hashes


def plan_objects(pairs: Pairs, chosen: Collection[Key]) -> Actions:
    """Plan everything that is not a link, in order of creation.

    An entity that turns out to be skipped or blocked gets no id in the target, so nothing planned later refers to it.
    """
    ids, problems = dict(pairs.ids), dict(pairs.problems)
    so_far = replace(pairs, ids=ids, problems=problems)
    planned: dict[Key, Planned] = {}
    for key in _in_order(pairs):
        if key in chosen:
            planned[key] = plan_object(so_far, key, chosen, planned)
        kind = planned[key].action.kind if key in planned else ActionKind.SKIPPED
        if kind in (ActionKind.SKIPPED, ActionKind.BLOCKED) and key not in pairs.found:
            ids.pop(key, None)
            if kind is ActionKind.BLOCKED:
                problems.setdefault(key, planned[key].action.reason)
    return Actions(so_far, {}).after(planned, so_far)


def _in_order(pairs: Pairs) -> list[Key]:
    """Return the keys of everything that has its own action and is not a link, by stage and key."""
    stages = {key: entity_type(key.type).stage for key in sorted(pairs.sides.desired) if not is_link(key)}
    owned = pairs.sides.owned
    return [
        key
        for stage in STAGES
        for key in stages
        if stages[key] == stage and not (key.type == "function" and key.id in owned)
    ]


def plan_object(
    pairs: Pairs, key: Key, chosen: Collection[Key], earlier: Mapping[Key, Planned] = MappingProxyType({})
) -> Planned:
    """Plan one object that is not a link; `earlier` is what is planned already."""
    sides, found = pairs.sides, pairs.found.get(key)
    entity, name = sides.desired[key], sides.desired_names[key]
    unneeded = _as_it_is(pairs, entity, found)
    if unneeded is not None:
        return Planned(unneeded)
    broken = None if names_as_before(entity, found) else without_end(pairs, entity, chosen)
    if broken is not None:
        return Planned(broken)
    candidate = candidate_of(pairs, entity, found)
    planned = with_its_functions(pairs, create_or_update(pairs, candidate), found)
    if key.type == "reverse-sync":
        planned = checked(pairs, candidate, planned, earlier)
    action = _allowed(pairs, candidate, _within_reach(planned.action), earlier)
    notes = [*planned.notes, *unauthorised(pairs, action)]
    if key.type == "misc" and action.writes and sides.same_console and not sides.in_place:
        notes.append(
            f"misc {quoted(name)}: its classic keys will refer to streams in both workspaces of this console;"
            " set other keys with --overlay"
        )
    return replace(planned, action=action, notes=tuple(notes))


def _as_it_is(pairs: Pairs, entity: Entity, found: Entity | None) -> Action | None:
    """Return the action of an object that cannot or need not be written; None if it has to be compared."""
    sides, key = pairs.sides, entity.key

    def no(kind: ActionKind, reason: str, target_id: str | None = None) -> Action:
        return Action(kind, key, sides.desired_shown[key], target_id, reason)

    if key.type not in sides.live.manifest.counts:
        return no(ActionKind.SKIPPED, "the target console does not support this type")
    if key in pairs.problems:
        return no(ActionKind.BLOCKED, pairs.problems[key])
    if key in pairs.deleted and stays_deleted(sides, key):
        return replace(no(ActionKind.SKIPPED, deleted_there(sides, sides.selectors[key])), deleted_there=True)
    if found is None and sides.belongs_to_unread_builder(entity):
        return no(ActionKind.SKIPPED, "belongs to a profile builder, and profile builders could not be read")
    if entity.body.get("provisioned") is True or (found and found.body.get("provisioned") is True):
        target_id = None if found is None else found.key.id
        return no(ActionKind.UNCHANGED, "provisioned by Jitsu: the target has its own", target_id)
    if key.type == "domain" and found is None:
        owner = sides.options.domains_elsewhere.get(str(entity.body.get("name")).lower())
        if owner is not None:
            return no(ActionKind.SKIPPED, f"in use by workspace {owner}")
        if sides.options.entitlements.custom_domains is False:  # [gate/domain-created]
            return no(ActionKind.SKIPPED, NO_CUSTOM_DOMAINS)
    if key.type == "profile-builder" and found is None and not sides.capabilities.profile_builders:
        return no(ActionKind.SKIPPED, "the target console does not support profile builders")
    return None


def _allowed(pairs: Pairs, candidate: Candidate, action: Action, earlier: Mapping[Key, Planned]) -> Action:
    """Return an action, skipped or blocked if the console would not accept such a write now."""
    key, feature = action.key, entity_type(action.key.type).feature
    if not action.writes:
        return action
    if feature and feature not in pairs.sides.features:
        reason = (
            f"the feature {feature} is switched off in the target, so entities of this type cannot be written"
        )
        return action.stopped(ActionKind.SKIPPED, reason)
    return checked_model(pairs, candidate, action, earlier) if key.type == "model" else action


def _within_reach(action: Action) -> Action:
    """Return an action, skipped if it would update an object that no path can address [function/put-dots]."""
    if action.kind is not ActionKind.UPDATE or action.target_id is None or nameable(action.target_id):
        return action
    if not entity_type(action.key.type).named_in_path:
        return action
    reason = f"{action.reason}, but {out_of_reach(action.target_id, 'updated')}"
    return action.stopped(ActionKind.SKIPPED, reason)


def out_of_reach(target_id: str, done: str) -> str:
    """Return why an object cannot be updated or deleted through the API; `done` is the participle."""
    return f"the console's API cannot address the id {target_id!r}, so it cannot be {done}"


def candidate_of(pairs: Pairs, entity: Entity, found: Entity | None) -> Candidate:
    """Return what an object should be, with the snapshot's ids, together with what it is."""
    candidate = _candidate(pairs, entity, found)
    return candidate.leaving(own_fields(pairs.sides, entity, found), candidate.live or {})


def _candidate(pairs: Pairs, entity: Entity, found: Entity | None) -> Candidate:
    sides, key, table = pairs.sides, entity.key, entity_type(entity.key.type)
    live = None if found is None else without_grant(key.type, without_volatile(found))
    desired = pairs.naming_deleted(entity, without_grant(key.type, without_volatile(entity)))
    was_there = sides.in_place and key not in sides.options.fresh
    revives = table.revivable and found is None and was_there and sides.capabilities.revives
    candidate = Candidate(
        entity, desired, live, found, pairs.ids.get(key), missing_grant(pairs, key),
        clone_id=key.id if revives else None,
    )  # fmt: skip
    if table.owns_functions:
        return with_code(candidate)
    if key.type == "reverse-sync":
        return as_desired(pairs, candidate)
    candidate = _without_unknown(pairs, candidate)
    if key.type == "model":
        return replace(candidate, desired=trimmed(candidate.desired))
    if key.type == "domain" and isinstance(candidate.desired.get("name"), str):
        name = candidate.desired["name"].lower()  # as the console stores it [domain/list]
        return replace(candidate, desired={**candidate.desired, "name": name})
    return _stream(pairs, candidate) if key.type == "stream" else candidate


def _without_unknown(pairs: Pairs, candidate: Candidate) -> Candidate:
    """Return the candidate without the fields that the console would drop.

    Of those that only the overlay gives, the ones that newer consoles know are lost. The others are mistakes, or for other
    entities that it selects.
    """
    sides, entity = pairs.sides, candidate.entity
    name = schema_name(entity.key.type, entity.body) or ""
    schema, newer = sides.options.schemas.get(name), sides.options.recorded_schemas.get(name)
    unknown = set(dropped(schema, candidate.desired))
    original = sides.by_key[entity.key].body
    lost = {path for path in unknown if value_at(original, path) is not None or has_field(newer, path)}
    losses = [Loss(format_path(path), "the target console does not know this field") for path in lost]
    fields = overlay_fields(sides, entity.key, unknown - lost, fields_of(schema))
    return candidate.losing(
        losses, desired=dict(without(candidate.desired, unknown)), overlay_fields=tuple(fields)
    )


def _stream(pairs: Pairs, candidate: Candidate) -> Candidate:
    """Return the candidate of a stream with its domains and the write keys that can be copied."""
    # newer consoles fill in the domains, older ones do not [stream/get-after-marker]
    live = None if candidate.live is None else {**candidate.live}
    desired = {**candidate.desired, **with_hashes(pairs, candidate.entity, candidate.found)}
    for body in (desired, live or {}):
        body.setdefault("domains", [])
    return with_domains(pairs, replace(candidate, desired=desired, live=live))
