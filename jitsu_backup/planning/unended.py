"""Runs that did not end: what each was about to leave, what it had left by then, and whether another run continued it.

Before its first write, every run notes its aim in the store. What it wrote is a part of that, so `undo` compares the aim
with the workspace.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from jitsu_backup.catalogue import is_link, owned_functions
from jitsu_backup.catalogue.derived_ids import KnownIds
from jitsu_backup.model import CloneRecord, Entity, Key, Path, Snapshot, value_at
from jitsu_backup.planning.fields import upto_list
from jitsu_backup.planning.fingerprints import essence
from jitsu_backup.planning.intents import compared_view, link_ids, listed_body, planned_state, reached_body
from jitsu_backup.planning.json_diff import differs, paths_that_differ
from jitsu_backup.planning.left import gone_with, replaced_secrets
from jitsu_backup.planning.lineage import recorded_pairs, still_there
from jitsu_backup.planning.options import PlanOptions
from jitsu_backup.planning.plan import ActionKind, Plan
from jitsu_backup.planning.records import record_in_place, taken, with_entities

_CODE = {("code",), ("draft",)}


@dataclass(frozen=True, slots=True)
class Part:
    """One run of those that a run and its continuations consist of.

    `before` is the workspace before it. `left` is what it left; without that, `aim` is what it was about to leave.
    """

    before: Snapshot
    left: Snapshot | None = None
    aim: Snapshot | None = None


def aim_of(snapshot: Snapshot, plan: Plan, options: PlanOptions, live: Snapshot) -> Snapshot:
    """Return what a run that is about to carry out `plan` leaves in the target `live` if it ends as planned.

    The pairs of its record are the ids of what the run creates and updates, by the keys of `snapshot`. It lists what the
    run deletes, and the hidden secrets that it replaces.
    """
    secrets = options.overlay.secrets | {
        str(value) for values in snapshot.secrets.values() for value in values.values()
    }
    ids = {**plan.ids, **link_ids(plan)}
    made = planned_state(snapshot, plan, ids, live, secrets)
    had = _by_key(live)
    written = [action for action in plan.writes if action.kind is not ActionKind.DELETE]
    replaced = {
        key: paths
        for action in written
        if (paths := replaced_secrets(action, had.get(key := Key(action.key.type, ids[action.key]))))
    }
    cloned = CloneRecord(
        live.manifest.source,
        {action.key: ids[action.key] for action in written},
        deletes=frozenset(a.key for a in plan.writes if a.kind is ActionKind.DELETE),
        secrets=replaced,
    )
    return replace(made, manifest=replace(made.manifest, cloned=cloned), bases={})


def left_by_parts(parts: Sequence[Part], now: Snapshot) -> Snapshot:
    """Return a workspace as a run and its continuations left it, without what others did there since the first part began.

    `now` is the workspace after the last part. The result is as that of `left_by`. At least one part is needed, and each
    needs `left` or `aim`.
    """
    lefts = _lefts(parts, now)
    entities = _by_key(lefts[0])
    secrets = dict(_cloned(lefts[0]).secrets)
    for part, left in zip(parts[1:], lefts[1:], strict=True):
        _others(entities, part.before)
        _add(entities, part.before, left)
        secrets |= _cloned(left).secrets
    return _as_left(lefts[-1], entities, secrets)


def before_parts(parts: Sequence[Part]) -> Snapshot:
    """Return the workspace before a run and its continuations, with what others created and changed between the parts.

    A later part may have overwritten or deleted that. At least one part is needed, and each but the last needs `left` or
    `aim`.
    """
    first, *later = parts
    if not later:
        return first.before
    lefts = _lefts(parts[:-1], later[-1].before)
    before, entities, made = _by_key(first.before), _by_key(lefts[0]), dict[Key, Snapshot]()
    for part, left in zip(later, [*lefts[1:], None], strict=True):
        known = {*entities}
        for key, entity in _others(entities, part.before).items():
            if key in before:
                paths = _changes(entity, entities[key])
                body = taken(compared_view(before[key]), compared_view(entity), {*paths})
                before[key] = Entity(key, listed_body(key, body, before[key].body))
            elif key not in known:  # else an earlier part created it
                before[key], made[key] = entity, part.before
        if left is not None:
            _add(entities, part.before, left)
    if [*before.values()] == [*first.before.entities]:
        return first.before
    secrets = {key: state.secrets[key] for key, state in made.items() if key in state.secrets}
    cursors = {key.id: state.cursors[key.id] for key, state in made.items() if key.id in state.cursors}
    found = with_entities(first.before, tuple(entity for _, entity in sorted(before.items())))
    return replace(
        found, secrets={**first.before.secrets, **secrets}, cursors={**first.before.cursors, **cursors}
    )


def _lefts(parts: Sequence[Part], now: Snapshot) -> list[Snapshot]:
    after = [*(part.before for part in parts[1:]), now]
    return [
        _left_so_far(part, state) if part.left is None else part.left
        for part, state in zip(parts, after, strict=True)
    ]


def continues(later: Part, earlier: Part) -> bool:
    """Return whether a run wrote, or was about to write, something that an earlier one was about to write and had not.

    A run that changed nothing that can be seen counts too, because it only completed what was there, unless it replaced
    only hidden secrets of what the earlier one was not to write.
    """
    aim, goal = earlier.aim, later.aim if later.left is None else later.left
    if aim is None or goal is None:
        return False
    had, wanted, there, then = (_by_key(side) for side in (earlier.before, aim, later.before, goal))
    deletes = _cloned(aim).deletes or ()
    if there == then:
        replaced = {key for key, paths in _cloned(goal).secrets.items() if paths}
        return not replaced or not replaced.isdisjoint(recorded_pairs(aim).values())
    if any(key in there and key not in then for key in deletes):
        return True
    made, reached = (_created(earlier.before, aim, side) for side in (later.before, goal))
    if reached.keys() - made.keys():
        return True
    kept = {key: key for key in had.keys() & wanted.keys()} | made
    return any(
        not _differ_at(path, then[now], wanted[key])
        for key, now in kept.items()
        if now in there and now in then
        for path in _changes(wanted[key], there[now])
    )


def _left_so_far(part: Part, now: Snapshot) -> Snapshot:
    """Return what a run that did not end had left, as far as its aim and the workspace after it (`now`) show.

    An entity of its aim that did not exist before was created by it. A field that is neither as before nor as aimed at has
    been changed by both.
    """
    assert part.aim is not None  # noqa: S101  the caller has looked
    aim = part.aim
    had, wanted, there = map(_by_key, (part.before, aim, now))
    left, coded = dict(had), set[Key]()
    for key in had.keys() & wanted.keys():
        if essence(had[key]) != essence(wanted[key]):
            left[key] = _updated(had[key], wanted[key], there.get(key))
            coded |= {key} if _CODE & {*_changes(left[key], had[key])} else set()
    for key, made in _created(part.before, aim, now).items():
        left[made] = _made(wanted[key], there[made])
        coded.add(made)
    deleted = {key for key in _cloned(aim).deletes or () if key not in there}
    for function, builder in owned_functions(now.entities):
        key = Key("function", function)
        if Key("profile-builder", builder) in coded and key in there:
            left[key] = there[key]
    deleted |= gone_with(deleted, part.before, there)
    kept = {key: entity for key, entity in left.items() if key not in deleted}
    secrets = {
        key: paths
        for key, paths in _cloned(aim).secrets.items()
        if key in there and key in had and _may_be_written(had[key], wanted[key], there[key])
    }
    return _as_left(replace(now, taken_at=aim.taken_at), kept, secrets)


def _made(wanted: Entity, there: Entity) -> Entity:
    """Return an entity as a run that did not end created it: as it is now, unless somebody has changed it since."""
    body = reached_body(there, wanted.body, wanted.body, None)
    made = Entity(there.key, {**body, "id": there.key.id})
    one, other = (compared_view(side) if is_link(side.key) else essence(side) for side in (made, there))
    return made if differs(one, other) else there


def _updated(had: Entity, wanted: Entity, there: Entity | None) -> Entity:
    """Return an entity as a run that did not end left it: as `wanted`, except where it is as it was."""
    if there is None:
        return wanted
    as_before = {path for path in _changes(wanted, had) if not _differ_at(path, there, had)}
    body = taken(compared_view(wanted), compared_view(had), as_before)
    return Entity(had.key, listed_body(had.key, body, had.body))


def _may_be_written(had: Entity, wanted: Entity, there: Entity) -> bool:
    """Return whether an update may have been sent: a part of it can be seen, or nothing of it could be."""
    changes = _changes(wanted, had)
    return not changes or any(not _differ_at(path, there, wanted) for path in changes)


def _changes(one: Entity, other: Entity) -> list[Path]:
    """Return where two bodies differ, each list as a whole."""
    found = paths_that_differ(compared_view(one), compared_view(other))
    return [*dict.fromkeys(map(upto_list, found))]


def _differ_at(path: Path, one: Entity, other: Entity) -> bool:
    return differs(*(value_at(compared_view(side), path) for side in (one, other)))


def _created(before: Snapshot, aim: Snapshot, now: Snapshot) -> dict[Key, Key]:
    """Return the present keys of what a run was to create and what exists now, by the keys in its aim."""
    had = {entity.key for entity in before.entities}
    fresh = {entity.key for entity in aim.entities} - had
    others = {entity.key for entity in now.entities} - had
    alive = {key: made for key, made in still_there(aim, now).items() if key in fresh and made in others}
    found = {*alive.values()}
    for source, key in recorded_pairs(aim).items():  # if the planned id was in use, the next one was tried
        if key in fresh and key not in alive:
            ids = [one.id for one in others - found if one.type == key.type]
            made = KnownIds(now.manifest.source.workspace_id, key.type, ids).derived_of(source.id)
            if made:
                alive[key] = Key(key.type, made[0])
                found.add(alive[key])
    return alive


def _others(entities: dict[Key, Entity], there: Snapshot) -> dict[Key, Entity]:
    """Return what others created and changed in `there`, the state after what left `entities`.

    What they created is added to `entities`, because the next part may change or delete it.
    """
    found = {
        entity.key: entity
        for entity in there.entities
        if entity.key not in entities or essence(entity) != essence(entities[entity.key])
    }
    entities |= {key: entity for key, entity in found.items() if key not in entities}
    return found


def _add(entities: dict[Key, Entity], before: Snapshot, left: Snapshot) -> None:
    """Add what a later run changed between `before` and `left` to the entities that the earlier ones left."""
    had, has = map(_by_key, (before, left))
    for key in had.keys() - has.keys():
        entities.pop(key, None)
    for key, entity in has.items():
        if key not in had:
            entities[key] = entity
        elif key in entities:
            paths = {upto_list(path) for path in paths_that_differ(entity.body, had[key].body)}
            entities[key] = Entity(key, taken(entities[key].body, entity.body, paths))


def _as_left(
    like: Snapshot, entities: Mapping[Key, Entity], secrets: Mapping[Key, tuple[str, ...]]
) -> Snapshot:
    made = record_in_place(with_entities(like, tuple(entity for _, entity in sorted(entities.items()))))
    return replace(made, manifest=replace(made.manifest, cloned=replace(_cloned(made), secrets=secrets)))


def _by_key(side: Snapshot) -> dict[Key, Entity]:
    return {entity.key: entity for entity in side.entities}


def _cloned(record: Snapshot) -> CloneRecord:
    assert record.manifest.cloned is not None  # noqa: S101  else it is no record
    return record.manifest.cloned
