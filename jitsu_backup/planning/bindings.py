"""Bindings: while a reverse sync exists, its model, destination and warehouse cannot change [destination/put-bound].

A re-created sync has another id and no state, so it starts over.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from jitsu_backup.catalogue import END_FIELDS, OUT_OF_IDS, ids_after, subtype, without_volatile
from jitsu_backup.model import Entity, Key, flag, members_of, some_of
from jitsu_backup.planning.candidate import Actions, Planned
from jitsu_backup.planning.ignored import own_fields
from jitsu_backup.planning.objects import plan_object
from jitsu_backup.planning.options import Since
from jitsu_backup.planning.plan import Action, ActionKind
from jitsu_backup.planning.reverse_sync_rules import runs
from jitsu_backup.planning.reverse_syncs import delivers_otherwise, why_off, why_stuck
from jitsu_backup.planning.selection import selected
from jitsu_backup.planning.sides import Sides
from jitsu_backup.planning.three_sides import with_own_changes

_SYNC = "reverse-sync"


def with_bindings(actions: Actions, chosen: Collection[Key]) -> Actions:
    """Return the actions, blocked where a reverse sync prevents them; with `rebind`, the sync is re-created instead."""
    sides, pairs = actions.pairs.sides, actions.pairs
    sources = {found.key: key for key, found in pairs.found.items() if key.type == _SYNC}
    changing, moves = _changing(actions), _moves(actions)
    made: dict[Key, Planned] = {}
    made_for: dict[Key, list[Key]] = {}
    held: dict[Key, list[_Holder]] = defaultdict(list)
    for sync in sides.live.of_type(_SYNC):
        source = sources.get(sync.key)
        changed = [changing[key] for key in held_by(sync, sides.live_by_key, sides.by_key) if key in changing]
        own = "" if source is None else _why_fixed(actions, actions.by_key.get(source), sync, moves)
        if (not changed and not own) or _goes(sides, sync, source):
            continue  # or it is deleted before anything changes
        stuck = why_stuck(sides, sync)
        obstacle = f"{sides.called(sync)}: {stuck}" if stuck else _untouched(sides, source)
        if source is not None and source in chosen:
            again = _made_again(actions, source, chosen) if sides.options.rebind else _REMEDY
            if isinstance(again, Planned):
                made[source], made_for[source] = again, [*changed, *((source,) if own else ())]
                continue
            obstacle = again
        for key in changed:
            held[key].append(_Holder(sync, "", obstacle))
        if own and source is not None:
            held[source].append(_Holder(sync, own, obstacle))
    planned = {key: _blocked(sides, actions.by_key[key], holders) for key, holders in held.items()}
    made = {key: again for key, again in made.items() if not planned.keys() >= {*made_for[key]}}
    ids = {key: str(one.action.target_id) for key, one in made.items()}
    after = _without_deletions_for(actions, planned).after({**planned, **made}, pairs.with_ids(ids))
    if made and sides.options.resend_secrets and not sides.undoes:
        after = replace(after, notes=(*after.notes, _IN_EVERY_RUN))
    return _without_shared_webhooks(after)


_IN_EVERY_RUN = (
    "every run with both --resend-secrets and --rebind deletes and re-creates the reverse syncs that use the secrets: omit"
    " both flags once the target has the secrets"
)


def _without_deletions_for(actions: Actions, blocked: Collection[Key]) -> Actions:
    """Return the actions without the deletions of entities whose re-creation is blocked."""
    left = tuple(action for action in actions.deletions if set(blocked).isdisjoint(action.after))
    return replace(actions, deletions=left)


@dataclass(frozen=True, slots=True)
class _Holder:
    """A reverse sync that prevents a change.

    `own` says why the sync itself cannot change; it is empty if the change is to an entity that the sync uses. `obstacle`
    says what to do, or what prevents it.
    """

    sync: Entity
    own: str
    obstacle: str


def _changing(actions: Actions) -> Mapping[Key, Key]:
    """Return the snapshot's keys of what is updated, or re-created under another id, by the target's keys."""
    found = actions.pairs.found
    return {
        found[key].key: key
        for key, action in actions.by_key.items()
        if key in found and action.kind in (ActionKind.UPDATE, ActionKind.CREATE) and key.type != _SYNC
    }


def held_by(sync: Entity, *known: Mapping[Key, Entity]) -> Iterator[Key]:
    """Yield the target's entities that a reverse sync freezes: its ends, and the warehouse of its model.

    The model is looked up in `known`, in that order: even a deleted one, which only the snapshot has, freezes its warehouse.
    """
    model = Key("model", str(sync.body.get(END_FIELDS[0])))
    yield model
    yield Key("destination", str(sync.body.get(END_FIELDS[1])))
    read = next((entities[model] for entities in known if model in entities), None)
    if read is not None:
        yield Key("destination", str(read.body.get("warehouseId")))


@dataclass(frozen=True, slots=True)
class _Move:
    """A reverse sync of the target that an update moves to the webhook with the id `to`."""

    sync: Entity
    to: str


def _moves(actions: Actions) -> Mapping[str, _Move]:
    """Return the reverse syncs that move to another webhook, by the id of the webhook that each one leaves."""
    pairs = actions.pairs
    found = {}
    for key, action in actions.by_key.items():
        if key.type == _SYNC and action.kind is ActionKind.UPDATE and END_FIELDS[1] in action.changes:
            sync = pairs.found[key]
            to = pairs.mapped(pairs.sides.desired[key], action.body).get(END_FIELDS[1])
            if _is_webhook(pairs.sides.live_by_key, sync):
                found[str(sync.body.get(END_FIELDS[1]))] = _Move(sync, str(to))
    return found


def _why_fixed(actions: Actions, action: Action | None, sync: Entity, moves: Mapping[str, _Move]) -> str:
    """Return why the console would reject an update of a reverse sync itself; empty if it would not.

    A sync that moves to a webhook waits until the webhook is free, which is impossible if the moves form a circle.
    [reverse-sync/put-full-locked, reverse-sync/create-webhook-already-used]
    """
    sides = actions.pairs.sides
    if action is None or action.kind is not ActionKind.UPDATE:
        return ""
    if delivers_otherwise(action) and sync.key.id in sides.options.locked_syncs:
        return "it has run, so its delivery cannot change"
    if delivers_otherwise(action) and sides.options.rebind and not sides.options.knows_syncs:
        return "it may have run, in which case its delivery cannot change"
    first = str(sync.body.get(END_FIELDS[1]))
    if first not in moves or moves[first].sync.key != sync.key:
        return ""
    taken = place = moves[first].to
    for _ in moves:
        if place == first:
            return f"its webhook still serves {sides.called(moves[taken].sync)}, which in turn waits for this one"
        place = moves[place].to if place in moves else ""
    return ""


def _goes(sides: Sides, sync: Entity, source: Key | None) -> bool:
    """Return whether `--prune` deletes a reverse sync that only the target has."""
    read = sync.key.type in sides.snapshot.manifest.counts
    extra = source is None and sides.options.prune and read and selected(sides, sync)
    return extra and not why_stuck(sides, sync)


_REMEDY = "--rebind deletes the sync, makes the change and re-creates the sync, which then starts over"


def _untouched(sides: Sides, source: Key | None) -> str:
    """Return what to do about a reverse sync that is not selected; `source` is its key in the snapshot, or None."""
    if source is None or sides.options.skip:
        return "this restore does not include that sync, so delete it first"
    chosen = flag("--only", sides.selectors[source])
    return f"add --rebind {chosen} to delete the sync, make the change and re-create the sync, which then starts over"


def _blocked(sides: Sides, action: Action, holders: list[_Holder]) -> Planned:
    """Return the action in place of a change that reverse syncs prevent: blocked, or skipped in the recovery of a console.

    A recovery has no flag to decide it with, and restores everything else.
    """
    names = some_of(sorted(sides.called(holder.sync) for holder in holders), 3)
    uses = "uses" if len(holders) == 1 else "use"
    why = next(
        (h.own for h in holders if h.own),
        f"{names} {uses} it, and an entity that a reverse sync uses cannot change",
    )
    obstacles = list(dict.fromkeys(h.obstacle for h in holders if h.obstacle != _REMEDY)) or [_REMEDY]
    obstacle = some_of(obstacles, 3, "; ")
    if sides.since is Since.RECOVERY:
        return Planned(action.stopped(ActionKind.SKIPPED, f"{why}: {obstacle}"))
    reason = f"{why}: {obstacle}; or leave this out with {flag('--skip', action.key)}"
    return Planned(action.stopped(ActionKind.BLOCKED, reason))


def _made_again(actions: Actions, key: Key, chosen: Collection[Key]) -> Planned | str:
    """Return the action that re-creates a reverse sync under another id, with the deletion of the old one.

    If it could not be re-created, return the reason instead, so that nothing is deleted.
    """
    pairs, sides = actions.pairs, actions.pairs.sides
    old, before = pairs.found[key], actions.by_key[key]
    new_id = next(ids_after(sides.workspace_id, *key, old.key.id), None)
    stuck = why_stuck(sides, old)
    if stuck or new_id is None:
        return f"{sides.called(old)}: {stuck or OUT_OF_IDS}"
    if before.kind not in (ActionKind.UNCHANGED, ActionKind.UPDATE):
        return f"{sides.called(old)}: {before.reason}"
    alone = replace(pairs, found={k: found for k, found in pairs.found.items() if k != key})
    so_far = {k: Planned(action) for k, action in actions.by_key.items()}
    planned = plan_object(alone, key, chosen, so_far)
    if planned.action.kind is not ActionKind.CREATE:
        return f"{sides.called(old)} could not be re-created: {planned.action.reason}"
    own = with_own_changes(planned.action.body, before, without_volatile(old))
    body = own_fields(sides, sides.desired[key], old).kept_in(own, without_volatile(old))
    is_off = members_of(body.get("data")).get("disabled") is True
    off = planned.action.off or (is_off and runs(old))  # a run that was killed may have disabled the old one
    reason = "re-created under another id so that what it uses can change; it starts over"
    reason = f"{reason}; {why_off(pairs, key)}" if off else reason
    made = replace(
        planned.action,
        target_id=new_id,
        body=body,
        reason=reason,
        off=off,
        replaced=before.replaced,
        overwrites=before.overwrites,
    )
    name = sides.live_shown[old.key]
    gone = Action(
        ActionKind.DELETE, old.key, name, old.key.id, "deleted so that what it uses can change", after=(key,)
    )
    return replace(planned, action=made, deletions=(gone,))


@dataclass(frozen=True, slots=True)
class _User:
    """A reverse sync that will write to a webhook: its key in the snapshot, None if only the target has it."""

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
                    f"its webhook already serves {first.called}, and a webhook serves only one reverse sync: set another"
                    f" one with --overlay, pair the two with --map or --match-by-name, or leave this out with {flag('--skip', other.key)}"
                )
                planned[other.key] = Planned(action.stopped(ActionKind.BLOCKED, reason))
    there = {key: pairs.found[key].key.id for key in planned if key in pairs.found}
    return _without_deletions_for(actions, planned).after(planned, pairs.with_ids(there))


def _users(actions: Actions) -> Iterator[tuple[str, _User]]:
    """Yield (webhook's id in the target, the reverse sync that will write to it), those with precedence first.

    Syncs that stay unchanged, including blocked ones, come first, then re-created ones, then new ones.
    """
    pairs, sides = actions.pairs, actions.pairs.sides
    gone = {action.key for action in actions.deletions}
    stopped = (ActionKind.SKIPPED, ActionKind.BLOCKED)
    paired = {
        found.key
        for key, found in pairs.found.items()
        if key in actions.by_key and actions.by_key[key].kind not in stopped
    }
    for sync in sides.live.of_type(_SYNC):
        goes = sync.key in gone or _goes(sides, sync, None)
        if sync.key not in paired and not goes and _is_webhook(sides.live_by_key, sync):
            yield str(sync.body.get(END_FIELDS[1])), _User(None, sides.called(sync))
    for key, action in sorted(
        actions.by_key.items(),
        key=lambda item: (
            item[1].writes,
            item[1].kind is ActionKind.CREATE,
            item[0] not in pairs.found,
            item[0],
        ),
    ):
        entity = sides.desired.get(key)
        goes_on = action.kind not in stopped
        if key.type == _SYNC and entity is not None and goes_on and _is_webhook(sides.desired, entity):
            webhook = pairs.mapped(entity, entity.body).get(END_FIELDS[1])
            yield str(webhook), _User(key, sides.called(sides.by_key[key]))


def _is_webhook(entities: Mapping[Key, Entity], sync: Entity) -> bool:
    destination = entities.get(Key("destination", str(sync.body.get(END_FIELDS[1]))))
    return destination is not None and subtype(destination) == "webhook"
