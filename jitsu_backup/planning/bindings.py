"""What reverse syncs hold: while one exists, its model, its destination and its warehouse cannot change [destination/put-bound].

Deleted and made again, a sync has another id and no state, so that it starts over.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from jitsu_backup.catalogue import END_FIELDS, ids_after, subtype
from jitsu_backup.model import Entity, Key, some_of
from jitsu_backup.planning.candidate import Actions, Planned
from jitsu_backup.planning.objects import plan_object
from jitsu_backup.planning.plan import Action, Kind
from jitsu_backup.planning.reverse_syncs import why_stuck
from jitsu_backup.planning.selection import selected
from jitsu_backup.planning.sides import Sides

_SYNC = "reverse-sync"

_ALWAYS_EDITABLE = frozenset(
    {"data.name", "data.schedule", "data.timezone", "data.disabled", "data.checkpointEvery"}
)
"""What can change of a sync that has run [reverse-sync/put-settings-locked, reverse-sync/put-full-locked-but-unchanged]."""


def with_bindings(actions: Actions, chosen: Collection[Key]) -> Actions:
    """Return the actions, blocked where a reverse sync forbids them; with `rebind`, the sync is made again instead."""
    sides, pairs = actions.pairs.sides, actions.pairs
    sources = {found.key: key for key, found in pairs.found.items() if key.type == _SYNC}
    changing = _changing(actions)
    again: set[Key] = set()
    held: dict[Key, list[Entity]] = defaultdict(list)
    for sync in sides.live.of_type(_SYNC):
        source = sources.get(sync.key)
        changed = [changing[key] for key in _held(sides, sync) if key in changing]
        if source is not None and _is_locked(sides, actions.by_key.get(source), sync):
            changed.append(source)
        if _goes(sides, sync, source):
            continue  # before anything changes
        if changed and source is not None and sides.options.rebind and _can_be_made_again(actions, source):
            again.add(source)
            continue
        for key in changed:
            held[key].append(sync)
    part = {key for key, source in sources.items() if source in chosen}
    planned = {key: _blocked(sides, actions.by_key[key], syncs, part) for key, syncs in held.items()}
    made = {key: _made_again(actions, key, chosen) for key in sorted(again - planned.keys())}
    ids = {key: str(one.action.target_id) for key, one in made.items()}
    left = tuple(action for action in actions.deletions if planned.keys().isdisjoint(action.after))
    after = replace(actions, deletions=left).after({**planned, **made}, pairs.with_ids(ids))
    return _without_shared_webhooks(after)


def _changing(actions: Actions) -> Mapping[Key, Key]:
    """Return what is updated, or made again under another id, by the target's key: the snapshot's."""
    found = actions.pairs.found
    return {
        found[key].key: key
        for key, action in actions.by_key.items()
        if key in found and action.kind in (Kind.UPDATE, Kind.CREATE) and key.type != _SYNC
    }


def _held(sides: Sides, sync: Entity) -> Iterator[Key]:
    """Yield the target's entities that a reverse sync freezes: its ends, and the warehouse of its model."""
    model = Key("model", str(sync.body.get(END_FIELDS[0])))
    yield model
    yield Key("destination", str(sync.body.get(END_FIELDS[1])))
    read = sides.live_by_key.get(model) or sides.by_key.get(model)  # a deleted model holds its warehouse too
    if read is not None:
        yield Key("destination", str(read.body.get("warehouseId")))


def _is_locked(sides: Sides, action: Action | None, sync: Entity) -> bool:
    """Return whether an update changes of a sync what cannot change once it has run [reverse-sync/put-full-locked]."""
    if action is None or action.kind is not Kind.UPDATE or sync.key.id not in sides.options.locked_syncs:
        return False
    return not _ALWAYS_EDITABLE.issuperset(action.changes)


def _goes(sides: Sides, sync: Entity, source: Key | None) -> bool:
    """Return whether `--prune` deletes a reverse sync that only the target has."""
    extra = source is None and sides.options.prune and selected(sides, sync)
    return extra and not why_stuck(sides, sync)


def _can_be_made_again(actions: Actions, key: Key) -> bool:
    action = actions.by_key.get(key)
    stuck = why_stuck(actions.pairs.sides, actions.pairs.found[key])
    return action is not None and action.kind in (Kind.UNCHANGED, Kind.UPDATE) and not stuck


def _blocked(sides: Sides, action: Action, syncs: list[Entity], part: Collection[Key]) -> Planned:
    """Return the action that blocks a change because `syncs` forbid it; `part` are the syncs that the plan may touch."""
    why = "it has run, and so its delivery cannot change"
    if action.key.type != _SYNC:
        names = some_of(sorted(map(sides.called, syncs)), 3)
        why = f"{names} {'uses' if len(syncs) == 1 else 'use'} it, and what a reverse sync uses cannot change"
    foreign = [sync for sync in syncs if sync.key not in part]
    stuck = [f"{sides.called(sync)}: {obstacle}" for sync in syncs if (obstacle := why_stuck(sides, sync))]
    remedy = "--rebind deletes the sync, makes the change, and makes the sync again, which then starts over"
    if foreign:
        remedy = f"delete {some_of(sorted(map(sides.called, foreign)), 3)} first, which this restore leaves as it is"
    if stuck:
        remedy = stuck[0]
    reason = f"{why}: {remedy}; or leave this out with --skip {action.key}"
    return Planned(Action(Kind.BLOCKED, action.key, action.name, action.target_id, reason))


def _made_again(actions: Actions, key: Key, chosen: Collection[Key]) -> Planned:
    """Return the action that makes a reverse sync again under another id, with the deletion of the old one."""
    pairs = actions.pairs
    old = pairs.found[key]
    alone = replace(pairs, found={k: found for k, found in pairs.found.items() if k != key})
    planned = plan_object(alone, key, chosen)
    if planned.action.kind is not Kind.CREATE:
        return planned
    new_id = next(ids_after(pairs.sides.workspace_id, *key, old.key.id), None)
    reason = "made again under another id, so that what it uses can change: it starts over"
    off = planned.action.reason.partition("; ")[2]
    made = replace(planned.action, target_id=new_id, reason=f"{reason}; {off}" if off else reason)
    name = pairs.sides.live_names[old.key]
    gone = Action(
        Kind.DELETE, old.key, name, old.key.id, "deleted so that what it uses can change", after=(key,)
    )
    return replace(planned, action=made, deletions=(gone,))


@dataclass(frozen=True, slots=True)
class _User:
    """A reverse sync that will write to a webhook: the snapshot's key, None for one that only the target has."""

    key: Key | None
    called: str


def _without_shared_webhooks(actions: Actions) -> Actions:
    """Return the actions, blocked where a webhook would serve two syncs [reverse-sync/create-webhook-already-used]."""
    pairs = actions.pairs
    users: dict[str, list[_User]] = defaultdict(list)
    for webhook, user in _users(actions):
        users[webhook].append(user)
    planned: dict[Key, Planned] = {}
    for first, *others in users.values():
        for other in others:
            if other.key is not None and actions.by_key[other.key].writes:
                action = actions.by_key[other.key]
                reason = (
                    f"its webhook already serves {first.called}, and a webhook serves one reverse sync: give it another"
                    f" with --overlay, or leave it out with --skip {other.key}"
                )
                planned[other.key] = Planned(
                    Action(Kind.BLOCKED, other.key, action.name, action.target_id, reason)
                )
    return actions.after(planned, pairs)


def _users(actions: Actions) -> Iterator[tuple[str, _User]]:
    """Yield (webhook's id in the target, the reverse sync that will write to it); those that stay as they are come first."""
    pairs, sides = actions.pairs, actions.pairs.sides
    gone = {action.key for action in actions.deletions}
    paired = {found.key for key, found in pairs.found.items() if key.type == _SYNC and key in actions.by_key}
    for sync in sides.live.of_type(_SYNC):
        goes = sync.key in gone or _goes(sides, sync, None)
        if sync.key not in paired and not goes and _is_webhook(sides.live_by_key, sync):
            yield str(sync.body.get(END_FIELDS[1])), _User(None, sides.called(sync))
    for key, action in sorted(
        actions.by_key.items(), key=lambda item: (item[1].kind is Kind.CREATE, item[0])
    ):
        entity = sides.desired.get(key)
        skipped = action.kind in (Kind.SKIPPED, Kind.BLOCKED)
        if key.type == _SYNC and entity is not None and not skipped and _is_webhook(sides.desired, entity):
            webhook = pairs.mapped(entity, entity.body).get(END_FIELDS[1])
            yield str(webhook), _User(key, sides.called(sides.by_key[key]))


def _is_webhook(entities: Mapping[Key, Entity], sync: Entity) -> bool:
    destination = entities.get(Key("destination", str(sync.body.get(END_FIELDS[1]))))
    return destination is not None and subtype(destination) == "webhook"
