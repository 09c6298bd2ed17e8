"""What a plan takes away: what only the target has (`--prune`), and what was made anew (`--recreate`)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from jitsu_backup.archive import LEAST_COUNT
from jitsu_backup.catalogue import entity_type, find_references, has_grant, nameable
from jitsu_backup.catalogue.table import Route
from jitsu_backup.model import Entity, Key, canonical, plural, quoted
from jitsu_backup.planning.context import KEY_FIELDS, Context, key_ids
from jitsu_backup.planning.derived_ids import ids_after
from jitsu_backup.planning.links import LinkPairs, ends
from jitsu_backup.planning.objects import (
    BEYOND_UPDATE,
    RECREATE_CAN,
    Draft,
    create_or_update,
    draft_object,
    out_of_reach,
    with_own_secrets,
)
from jitsu_backup.planning.plan import Action, Extra, Kind, Loss
from jitsu_backup.planning.selection import selected

SHARE = 0.5
"""More than this share of a type, or of all, is not deleted unless that is said to be meant."""


def made_anew(
    context: Context, action: Action, pairs: LinkPairs, chosen: set[Key]
) -> tuple[Action, Entity] | Action:
    """Give the action that makes an object anew because a PUT cannot bring it back, and the one to delete.

    Where that is not safe, gives the action as it was, with the reason.
    """
    found = context.found[action.key]
    danger = _danger(context, found, pairs, chosen)
    if danger is not None:
        return _not_made_anew(action, danger)
    fresh = draft_object(context, context.meant[action.key], found)
    meant = with_own_secrets(context, fresh)
    by_clone = entity_type(action.key.type).route is Route.OBJECT
    draft = Draft(fresh.entity, meant, None, None, clone_id=found.key.id if by_clone else None)
    again = create_or_update(context, draft)
    if again.kind is not Kind.CREATE:
        return _not_made_anew(action, again.reason)
    new_id = next(ids_after(context.workspace_id, *action.key, found.key.id), None)
    if new_id is None:
        return _not_made_anew(action, "it has used up its ids")
    context.ids[action.key] = new_id
    paths = ", ".join(loss.path for loss in action.losses if loss.reason in BEYOND_UPDATE)
    reason = f"made anew, for an update cannot reach {paths} of the old one"
    return replace(again, target_id=new_id, reason=reason), found


def _not_made_anew(action: Action, why: str) -> Action:
    losses = tuple(
        Loss(loss.path, f"{loss.reason.removesuffix(RECREATE_CAN)}; not made anew: {why}")
        if loss.reason in BEYOND_UPDATE
        else loss
        for loss in action.losses
    )
    return replace(action, losses=losses)


def replaced(context: Context, old: Entity, key: Key) -> Action:
    """Give the action that deletes what `key` was made anew for."""
    return Action(
        Kind.DELETE,
        old.key,
        context.live_names[old.key],
        old.key.id,
        "made anew under another id",
        after=(key,),
    )


def finished(context: Context, pairs: LinkPairs, chosen: set[Key]) -> list[Action]:
    """Give the actions that delete what an earlier --recreate made anew and was stopped before it deleted the old one.

    One that somebody has come to use since stays, with the reason.
    """
    actions = []
    for key, others in context.superseded.items():
        for old in others if key in chosen else ():
            action, danger = replaced(context, old, key), _danger(context, old, pairs, chosen)
            if danger is not None:
                reason = f"made anew under another id, but not deleted: {danger}"
                action = replace(action, kind=Kind.SKIPPED, reason=reason, after=())
            actions.append(action)
    return actions


def pruned(context: Context, spare_links: Iterable[Entity], deleted: set[Key]) -> list[Action]:
    """Give the actions that delete what the snapshot does not have: links first, then what they joined."""
    stays = {(key.type, new_id) for key, new_id in context.ids.items()}
    known = set(context.snapshot.manifest.counts)
    extra = [
        entity
        for entity in context.live.entities
        if entity_type(entity.key.type).route is not Route.LINK
        and tuple(entity.key) not in stays
        and entity.key.type in known
        and entity.body.get("provisioned") is not True
    ]
    gone_builders = {e.key.id for e in extra if e.key.type == "profile-builder" and selected(context, e)}
    actions = []
    spare_links = list(spare_links)
    going = {link.key for link in spare_links if selected(context, link)} | deleted
    staying = {ends(link.body) for link in context.live.of_type("link") if link.key not in going}
    for entity in [*spare_links, *extra]:
        builder = context.live_owned.get(entity.key.id) if entity.key.type == "function" else None
        stays_with_builder = builder is not None and builder not in gone_builders
        if stays_with_builder or entity.key in deleted or not selected(context, entity):
            continue
        if entity_type(entity.key.type).route is Route.OBJECT and not nameable(entity.key.id):
            reason = f"not in the snapshot, but {out_of_reach(entity.key.id, 'deleted')}"
            name = context.live_names[entity.key]
            actions.append(Action(Kind.SKIPPED, entity.key, name, entity.key.id, reason))
            continue
        if (
            entity.key.type == "link"
            and not context.capabilities.deletes_links_by_id
            and ends(entity.body) in staying
        ):
            reason = "not in the snapshot, but the console deletes connections by their ends and another has the same"
            name = context.live_names[entity.key]
            actions.append(Action(Kind.SKIPPED, entity.key, name, entity.key.id, reason))
            continue
        keys = sum(len(key_ids(entity, name)) for name in KEY_FIELDS if entity.key.type == "stream")
        more = (
            f"; its {plural(keys, 'write key')} {'goes' if keys == 1 else 'go'} with it for ever"
            if keys
            else ""
        )
        actions.append(
            Action(
                Kind.DELETE, entity.key, context.live_names[entity.key], entity.key.id, "not in the snapshot" + more,
                entity.body if entity.key.type == "link" else {},
            )
        )  # fmt: skip
    return actions


def extras(
    context: Context, pairs: LinkPairs, told: set[Key], removals: Iterable[Action]
) -> tuple[Extra, ...]:
    """Return what only the target has and stays, without what is `told` of by an action of its own.

    `removals` are what `--prune` does beside making an end of what is there twice.
    """
    stays = {(key.type, new_id) for key, new_id in context.ids.items()}
    twice = {e.key for found in (*context.superseded.values(), *pairs.leftover.values()) for e in found}
    spare = {link.key for link in pairs.spare} | twice
    prunable = {action.key for action in removals if action.kind is Kind.DELETE} | twice
    known = set(context.by_key if context.in_place else ())  # of these the plan tells as left out already
    return tuple(
        Extra(
            entity.key, context.live_names[entity.key], entity.key in prunable, out, context.is_dead(entity)
        )
        for entity in context.live.entities
        if (entity.key in spare if entity.key.type == "link" else tuple(entity.key) not in stays)
        and entity.key not in told
        and not ((out := not selected(context, entity)) and entity.key in known)
    )


def braked(context: Context, removals: list[Action]) -> list[Action]:
    """Return the removals, blocked where they would take most of what the target has: an emptied source must not empty it.

    What is made anew in the place of what is deleted does not count, and no connection that dangles: nothing flows through it.
    """
    if context.options.accept_shrink:
        return removals
    dangling = {link.key for link in context.live.of_type("link") if context.is_dead(link)}
    had = Counter(
        e.key.type
        for e in context.live.entities
        if e.body.get("provisioned") is not True and e.key not in dangling
    )
    going = [
        action
        for action in removals
        if action.kind is Kind.DELETE and not action.after and action.key not in dangling
    ]
    taken = Counter(action.key.type for action in going)
    most = mostly_gone(had, taken)
    return [
        replace(
            action,
            kind=Kind.BLOCKED,
            reason=f"--prune would delete {most[action.key.type]}: --accept-shrink allows it",
        )
        if action in going and action.key.type in most
        else action
        for action in removals
    ]


def mostly_gone(had: Mapping[str, int], taken: Mapping[str, int]) -> dict[str, str]:
    """Say of each type how much of it would be gone, where that is more than half of LEAST_COUNT or more.

    Where more than half of all is gone, every type is named.
    """
    gone = {name: f"{count} of the {had.get(name, 0)} {name} entities" for name, count in taken.items()}
    total, going = sum(had.values()), sum(taken.values())
    if _is_most(total, going):
        return dict.fromkeys(gone, f"{going} of all {total} entities")
    return {name: words for name, words in gone.items() if _is_most(had.get(name, 0), taken[name])}


def _is_most(had: int, taken: int) -> bool:
    return had >= LEAST_COUNT and taken > SHARE * had


def there_twice(context: Context, pairs: LinkPairs, deleted: set[Key]) -> list[Action]:
    """Return the target's syncs that do again what one of the snapshot's does: two runs at once, or a late request, made them.

    They stay, unless `--prune` deletes them.
    """
    spare = [
        link
        for link in pairs.spare
        if link.body.get("type") == "sync" and link.key not in deleted and selected(context, link)
    ]
    if context.options.prune or not spare:
        return []
    standing = {_work(link): link for link in pairs.found.values()}
    by_id = context.capabilities.deletes_links_by_id
    return [
        Action(
            Kind.SKIPPED, link.key, context.live_names[link.key], link.key.id,
            f"is there twice, beside {standing[_work(link)].key.id}: "
            + (f"--prune --only {link.key} deletes it" if by_id else "delete it in the UI, for this console does that by the ends only")
            + f", --skip {link.key} keeps it",
        )
        for link in spare
        if _work(link) in standing
    ]  # fmt: skip


def _work(link: Entity) -> tuple[object, ...]:
    """Return what a link does: its ends and its options."""
    return *ends(link.body), canonical(link.body.get("data") or {})


def _danger(context: Context, found: Entity, pairs: LinkPairs, chosen: set[Key]) -> str | None:
    if not nameable(found.key.id):
        return out_of_reach(found.key.id, "deleted")
    if has_grant(found):
        return "its grant would be lost, and somebody would have to authorise again in the UI"
    going = context.options.prune
    for link in pairs.spare:
        attached = found.key.id in (link.body.get("fromId"), link.body.get("toId"))
        if attached and not (going and selected(context, link)):
            return (
                f"connection {quoted(context.live_names[link.key])}, which the snapshot lacks, would be lost"
            )
    moved = {other.key: key for key, other in pairs.found.items()}
    moved |= {other.key: key for key, others in pairs.leftover.items() for other in others}
    for other in context.live.entities:
        names_it = any(
            named == found.key.id
            for _, named in find_references(entity_type(other.key.type).references, other.body)
        )
        if not names_it or other.key == found.key:
            continue
        mine = moved.get(other.key) or next(
            (key for key, live in context.found.items() if live.key == other.key), None
        )
        if mine is None and going and selected(context, other):
            continue
        if mine is None or mine not in chosen:
            return f"{context.called(other)} uses it and is not part of this restore"
    return None
