"""Re-creation of objects that an update cannot restore (`--recreate`)."""

from collections.abc import Collection
from dataclasses import replace

from jitsu_backup.catalogue import END_FIELDS, entity_type, find_references, has_grant, links_of, nameable
from jitsu_backup.catalogue.derived_ids import ids_after
from jitsu_backup.model import Entity, Key, quoted
from jitsu_backup.planning.candidate import Actions, Candidate, Planned
from jitsu_backup.planning.decision import create_or_update
from jitsu_backup.planning.entitlements import NO_IDENTITY_STITCHING, stitches
from jitsu_backup.planning.link_pairing import LinkPairs
from jitsu_backup.planning.objects import candidate_of, out_of_reach, plan_object
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import Action, ActionKind, Loss
from jitsu_backup.planning.reasons import BeyondUpdate, NotRecreated
from jitsu_backup.planning.secrets import with_own_secrets
from jitsu_backup.planning.selection import selected
from jitsu_backup.planning.three_sides import with_own_changes


def recreate(
    actions: Actions, links: LinkPairs, chosen: Collection[Key], *, without: Collection[Key] = ()
) -> Actions:
    """Return the actions with objects re-created that an update cannot restore, if that is safe.

    Objects in `without` are not re-created.
    """
    pairs = actions.pairs
    planned = {
        key: _made_again(pairs, action, links, chosen)
        for key, action in actions.by_key.items()
        if _beyond_update(action) and key in pairs.found and key not in without
    }
    new_ids = {
        key: one.action.target_id
        for key, one in planned.items()
        if one.deletions and one.action.target_id is not None
    }
    after = actions.after(planned, pairs.with_ids(new_ids))
    if not new_ids:
        return after
    follow = {  # what refers to them
        key: plan_object(after.pairs, key, chosen)
        for key, action in after.by_key.items()
        if action.kind is ActionKind.UNCHANGED and entity_type(key.type).references
    }
    return after.after(follow, after.pairs)


def _beyond_update(action: Action) -> tuple[Loss, ...]:
    """Return what an update of an entity cannot restore, and re-creating it may."""
    return tuple(loss for loss in action.losses if isinstance(loss.reason, BeyondUpdate))


def _made_again(pairs: Pairs, action: Action, links: LinkPairs, chosen: Collection[Key]) -> Planned:
    """Return the action that re-creates an object, with the deletion of the old one.

    If that is not safe, return the unchanged action, with the reason.
    """
    key, found = action.key, pairs.found[action.key]
    danger = _danger(pairs, found, links, chosen)
    if danger is not None:
        return Planned(_not_made_again(action, danger))
    fresh = candidate_of(pairs, pairs.sides.desired[key], found)
    desired = with_own_changes(with_own_secrets(pairs, fresh), action, fresh.live or {})
    candidate = Candidate(
        fresh.entity, desired, None, None, None,
        clone_id=found.key.id if entity_type(key.type).revivable else None,
    )  # fmt: skip
    again = create_or_update(pairs, candidate)
    new_id = next(ids_after(pairs.sides.workspace_id, *key, found.key.id), None)
    if again.action.kind is not ActionKind.CREATE:
        return replace(again, action=_not_made_again(action, again.action.reason))
    if new_id is None:
        return replace(again, action=_not_made_again(action, "its ids are used up"))
    paths = ", ".join(loss.path for loss in _beyond_update(action))
    reason = f"re-created, because an update cannot restore {paths}"
    made = replace(
        again.action,
        target_id=new_id,
        reason=reason,
        replaced=action.replaced,
        overwrites=action.overwrites,
        declined=action.declined,
    )
    return replace(again, action=made, deletions=(_replaced(pairs, found, key),))


def _not_made_again(action: Action, why: str) -> Action:
    losses = tuple(
        Loss(loss.path, NotRecreated(f"{loss.reason.shortfall}; not re-created: {why}"))
        if isinstance(loss.reason, BeyondUpdate)
        else loss
        for loss in action.losses
    )
    return replace(action, losses=losses)


def _replaced(pairs: Pairs, old: Entity, key: Key) -> Action:
    """Return the action that deletes the old object that `key` replaces."""
    name = pairs.sides.live_names[old.key]
    return Action(ActionKind.DELETE, old.key, name, old.key.id, "re-created under another id", after=(key,))


def finished(pairs: Pairs, links: LinkPairs, chosen: Collection[Key]) -> list[Action]:
    """Return the deletions left over from an earlier `--recreate`, which was interrupted before it deleted the old objects.

    An old object that has come into use since is kept, with the reason.
    """
    actions = []
    for key, others in pairs.superseded.items():
        for old in others if key in chosen else ():
            action, danger = _replaced(pairs, old, key), _danger(pairs, old, links, chosen)
            if danger is not None:
                reason = f"re-created under another id, but the old one is not deleted: {danger}"
                action = replace(action, kind=ActionKind.SKIPPED, reason=reason, after=())
            actions.append(action)
    return actions


def _danger(pairs: Pairs, found: Entity, links: LinkPairs, chosen: Collection[Key]) -> str | None:
    """Return why an object of the target must not be deleted; None if nothing would be lost."""
    sides = pairs.sides
    if not nameable(found.key.id):
        return out_of_reach(found.key.id, "deleted")
    if has_grant(found):
        return "its grant would be lost, and it would have to be authorised again in the UI"
    for link in links_of(sides.live) if sides.options.entitlements.identity_stitching is False else ():
        if stitches(link.body) and found.key.id in (link.body.get(end) for end in END_FIELDS):
            name = quoted(sides.live_names[link.key])
            return f"connection {name} would lose its identity stitching: {NO_IDENTITY_STITCHING}"
    going = sides.options.prune
    for link in links.spare:
        attached = found.key.id in (link.body.get(end) for end in END_FIELDS)
        if attached and not (going and selected(sides, link)):
            return f"connection {quoted(sides.live_names[link.key])}, which the snapshot lacks, would be lost"
    moved = {other.key: key for matched in (links.found, links.leftover) for key, other in matched.items()}
    for other in sides.live.entities:
        if other.key == found.key or not _names(other, found.key.id):
            continue
        mine = moved.get(other.key) or next(
            (key for key, live in pairs.found.items() if live.key == other.key), None
        )
        if mine is None and going and selected(sides, other):
            continue
        if mine is None or mine not in chosen:
            return f"{sides.called(other)} uses it and is not part of this restore"
    return None


def _names(entity: Entity, other_id: str) -> bool:
    found = find_references(entity_type(entity.key.type).references, entity.body)
    return any(named == other_id for _, named in found)
