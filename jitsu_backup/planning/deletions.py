"""Deletions: what only the target has (`--prune`), what is kept, and what prevents deletions."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from jitsu_backup.archive import LEAST_COUNT
from jitsu_backup.catalogue import (
    KEY_FIELDS,
    Form,
    ends,
    entity_type,
    is_link,
    is_sync,
    key_ids,
    links_of,
    nameable,
)
from jitsu_backup.model import Entity, Key, canonical, flag, plural, some_of
from jitsu_backup.planning.candidate import Actions
from jitsu_backup.planning.fingerprints import essence
from jitsu_backup.planning.link_pairing import LinkPairs
from jitsu_backup.planning.objects import out_of_reach
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import Action, ActionKind, Extra
from jitsu_backup.planning.reasons import EmptiedThere, KeptThere
from jitsu_backup.planning.requirements import uses
from jitsu_backup.planning.reverse_syncs import why_stuck
from jitsu_backup.planning.selection import selected
from jitsu_backup.planning.sides import Sides
from jitsu_backup.planning.take import Winner, settling
from jitsu_backup.planning.three_sides import overwrite

_NAMED = 6
SHARE = 0.5
"""More than this share of a type, or of all entities, is deleted only with `--accept-shrink`."""

_MAYBE_OWN = (
    "it may be the target's own: give the store that has the record with --store, leave out --prune, or delete all that only"
    " the target has with --prune-own"
)


def pruned(pairs: Pairs, links: LinkPairs, deleted: Collection[Key]) -> list[Action]:
    """Return the actions that delete what the snapshot does not have, links first.

    The keys in `deleted` have their actions already and are left out.
    """
    sides = pairs.sides
    stays = _staying(pairs)
    extra = [
        entity
        for entity in sides.live.entities
        if not is_link(entity.key)
        and tuple(entity.key) not in stays
        and entity.key.type in sides.snapshot.manifest.counts
        and entity.body.get("provisioned") is not True
    ]
    extra = [entity for entity in extra if not is_own(sides, entity)]
    spare = [link for link in links.spare if not is_own(sides, link)]
    gone_builders = {e.key.id for e in extra if e.key.type == "profile-builder" and selected(sides, e)}
    going = {link.key for link in spare if selected(sides, link)} | set(deleted)
    joined = {ends(link.body) for link in links_of(sides.live) if link.key not in going}
    actions = [
        _pruned(sides, entity, joined)
        for entity in [*spare, *extra]
        if entity.key not in deleted and selected(sides, entity)
    ]
    gone_builders -= {action.key.id for action in actions if action.kind is not ActionKind.DELETE}
    return [action for action in actions if _builder_of(sides, action.key) in (None, *gone_builders)]


def _builder_of(sides: Sides, key: Key) -> str | None:
    """Return the id of the profile builder that owns a function of the target, or None; both are kept or deleted together."""
    return sides.live_owned.get(key.id) if key.type == "function" else None


def _staying(pairs: Pairs) -> set[tuple[str, str]]:
    """Return the types and ids of the snapshot's entities that the target has or will have."""
    return {(key.type, new_id) for key, new_id in pairs.ids.items()}


def _pruned(sides: Sides, entity: Entity, joined: Collection[tuple[str, str, str]]) -> Action:
    """Return the action that deletes an entity, skipped if the console cannot delete it.

    `joined` are the ends of links that are kept.
    """
    key, name = entity.key, sides.live_shown[entity.key]
    if entity_type(key.type).named_in_path and not nameable(key.id):
        reason = f"{sides.lacks(key)}, but {out_of_reach(key.id, 'deleted')}"
        return Action(ActionKind.SKIPPED, key, name, key.id, reason)
    if is_link(key) and not sides.capabilities.deletes_links_by_id and ends(entity.body) in joined:
        reason = f"{sides.lacks(key)}, but this console deletes connections by their ends, and another one has the same ends"
        return Action(ActionKind.SKIPPED, key, name, key.id, reason)
    changed_there = has_changed(sides, entity) and _builder_of(sides, key) is None
    if changed_there:
        choice = sides.take.choice([(entity, name)])
        if choice is not None and choice.winner is Winner.TARGET:
            kept = KeptThere(f"{sides.why_lacking}; kept in the target ({flag('--take', choice.text)})")
            return Action(ActionKind.SKIPPED, key, name, key.id, kept, asked=True)
        if choice is None:
            changed = "changed since" if sides.undoes else f"changed in the target {sides.since.words}"
            how = settling(sides.live_selectors[key], "delete it", "keep it")
            reason = f"{sides.why_lacking}, and {changed}: {how}"
            return Action(ActionKind.BLOCKED, key, name, key.id, reason, disputed=True)
    stuck = why_stuck(sides, entity) if entity_type(key.type).deleted_first else ""
    if stuck:
        return Action(ActionKind.SKIPPED, key, name, key.id, f"{sides.lacks(key)}, but {stuck}")
    if sides.options.unrecorded and not (sides.options.prune_own or sides.is_dead(entity)):
        reason = f"{sides.lacks(key)}, but the store has no record of the last clone, so {_MAYBE_OWN}"
        return Action(ActionKind.BLOCKED, key, name, key.id, reason)
    reason = f"{sides.lacks(key)}{_lost_with(sides, entity)}"
    lost = (overwrite(sides, [(entity, name)]),) if changed_there else ()
    return Action(
        ActionKind.DELETE, key, name, key.id, reason, entity.body if is_link(key) else {}, overwrites=lost
    )


def is_own(sides: Sides, entity: Entity) -> bool:
    """Return whether an entity is the target's own and is kept. A link that lost an end is not.

    It was created in the target, or kept there although the source has deleted it, unless `--take source` applies now.
    Without the record of a clone this is unknown. In a rollback in place, everything that the snapshot lacks is surplus.
    """
    lineage, key = sides.lineage, entity.key
    known = sides.options.record is not None and not sides.options.prune_own
    if not known or sides.is_dead(entity) or lineage.base_of(key) is not None:
        return False
    winner = sides.take.winner([(entity, sides.live_names[key])])
    return lineage.record_of(key) is None or winner is not Winner.SOURCE


def has_changed(sides: Sides, entity: Entity) -> bool:
    """Return whether the target has changed an entity since the last clone."""
    base = sides.lineage.base_of(entity.key)
    return base is not None and essence(entity) != essence(Entity(entity.key, base))


def _lost_with(sides: Sides, entity: Entity) -> str:
    """Return what is lost when an entity is deleted; empty if nothing is."""
    if entity.key.id in sides.options.locked_syncs:
        return "; it has run, and its state cannot be recovered"
    keys = sum(len(key_ids(entity, name)) for name in KEY_FIELDS if entity.key.type == "stream")
    is_deleted, them = ("is", "it") if keys == 1 else ("are", "them")
    told = (
        f"; its {plural(keys, 'write key')} {is_deleted} deleted with it, so senders that use {them} are rejected; only a backup"
        f" made with the operator's token brings {them} back"
    )
    return told if keys else ""


def extras(
    pairs: Pairs, links: LinkPairs, told: Collection[Key], prunable: Collection[Action]
) -> tuple[Extra, ...]:
    """Return what only the target has and is kept, except the keys in `told`, which have an action of their own.

    `prunable` are the deletions of `--prune`, including blocked ones, besides those of duplicates.
    """
    sides = pairs.sides
    stays = _staying(pairs)
    twice = {old.key for others in pairs.superseded.values() for old in others}
    twice |= {old.key for old in links.leftover.values()}
    spare = {link.key for link in links.spare} | twice
    would_go = {action.key for action in prunable if action.kind is ActionKind.DELETE} | twice
    would_block = {action.key for action in prunable if action.kind is ActionKind.BLOCKED}
    known = set(sides.by_key if sides.in_place else ())  # the plan already lists these as left out
    return tuple(
        Extra(
            entity.key,
            sides.live_shown[entity.key],
            entity.key in would_go,
            out,
            sides.is_dead(entity),
            is_own(sides, entity),
            entity.key in would_block,
        )
        for entity in sides.live.entities
        if (entity.key in spare if is_link(entity.key) else tuple(entity.key) not in stays)
        and entity.key not in told
        and not ((out := not selected(sides, entity)) and entity.key in known)
    )


def braked(sides: Sides, deletions: list[Action]) -> list[Action]:
    """Return the deletions, blocked if they would delete most of the target: an emptied source must not empty it.

    Deletions of what is re-created do not count, nor do those of links that lost an end.
    """
    if sides.options.accept_shrink:
        return deletions
    dangling = {link.key for link in links_of(sides.live) if sides.is_dead(link)}
    had = Counter(
        e.key.type
        for e in sides.live.entities
        if e.body.get("provisioned") is not True and e.key not in dangling
    )
    going = [
        action
        for action in deletions
        if action.kind is ActionKind.DELETE and not action.after and action.key not in dangling
    ]
    taken = Counter(action.key.type for action in going)
    most = mostly_gone(had, taken)
    return [
        replace(
            action,
            kind=ActionKind.BLOCKED,
            reason=f"{'undo' if sides.undoes else '--prune'} would delete {most[action.key.type]}; add --accept-shrink to allow it",
        )
        if action in going and action.key.type in most
        else action
        for action in deletions
    ]


def blocked_where_emptied_there(actions: Actions) -> Actions:
    """Return the actions, blocked if most of what the last clone left was deleted in the target: that may be an accident."""
    sides = actions.pairs.sides
    lineage = sides.lineage
    known = [key for key in lineage.recorded if not lineage.is_settled(key)]
    gone = {key: a for key, a in actions.by_key.items() if a.deleted_there and key in known}
    had = Counter(key.type for key in known)
    most = mostly_gone(had, Counter(key.type for key in gone))
    # without a selector, an undo settles conflicts only
    again = flag("--take", "source:*" if sides.undoes else "source")
    own = [
        f"{sides.called(sides.by_key[key])} ({', '.join((*a.own, *a.conflicts))})"
        for key, a in sorted(actions.by_key.items())
        if a.own or a.conflicts
    ]
    also = f", which also overwrites {some_of(own, _NAMED)}" if own else ""
    lost = {
        key: action.stopped(
            ActionKind.BLOCKED,
            EmptiedThere(
                f"{most[key.type]} were deleted in the target {sides.since.words}: re-create them with {again}{also}, or leave"
                " them deleted with --take=target"
            ),
        )
        for key, action in gone.items()
        if key.type in most and sides.take.winner(sides.sides_of(key, None)) is None
    }
    return replace(actions, by_key={**actions.by_key, **lost})


def mostly_gone(had: Mapping[str, int], taken: Mapping[str, int]) -> dict[str, str]:
    """Return in words, by type, how much would be deleted, if that is more than half of at least LEAST_COUNT entities.

    If more than half of all entities would be deleted, the result has every type.
    """
    gone = {name: f"{count} of the {had[name]} {name} entities" for name, count in taken.items()}
    total, going = sum(had.values()), sum(taken.values())
    if _is_most(total, going):
        return dict.fromkeys(gone, f"{going} of the {total} entities")
    return {name: words for name, words in gone.items() if _is_most(had[name], taken[name])}


def _is_most(had: int, taken: int) -> bool:
    return had >= LEAST_COUNT and taken > SHARE * had


def spared(
    pairs: Pairs, actions: Mapping[Key, Action], matched: Mapping[Key, Entity], deletions: list[Action]
) -> tuple[list[Action], list[str]]:
    """Return the deletions, blocked if something that is kept uses the entity, and notes.

    A deletion is skipped instead if only a reverse sync that cannot be deleted now uses the entity. `matched` maps the
    snapshot's keys to the target's entities. Every form of reference counts: the console rejects some of these deletions
    too, and others leave dangling references
    [delete/strict-linked, delete/function-in-use-strict, delete/plain-leaves-links]. A value in an entity of an unknown
    type may or may not be a reference, so it is only noted.
    """
    sides = pairs.sides
    stuck = {
        action.key: why_stuck(sides, sides.live_by_key[action.key])
        for action in deletions
        if action.kind is ActionKind.SKIPPED and entity_type(action.key.type).deleted_first
    }
    while True:
        users, notes = _users(pairs, actions, matched, deletions)
        waiting = {key: next(iter(by)) for key, by in users.items() if by.keys() <= stuck.keys()}
        if not waiting:
            break
        stuck |= {key: stuck[user] for key, user in waiting.items()}
        deletions = [
            action.stopped(
                ActionKind.SKIPPED,
                f"{sides.lacks(action.key)}, but {_uses_it(users[action.key].values())}: {stuck[action.key]}",
            )
            if action.key in waiting
            else action
            for action in deletions
        ]
    blocked = [
        replace(action, kind=ActionKind.BLOCKED, reason=_why_spared(action.key, users[action.key].values()))
        if action.key in users
        else action
        for action in deletions
    ]
    return blocked, notes


def _users(
    pairs: Pairs, actions: Mapping[Key, Action], matched: Mapping[Key, Entity], deletions: list[Action]
) -> tuple[Mapping[Key, Mapping[Key, str]], list[str]]:
    """Return the users of each deleted entity, by key with their names, and notes about possible users."""
    sides = pairs.sides
    going = {action.key for action in deletions if action.kind is ActionKind.DELETE}
    afterwards = list(_afterwards(pairs, actions, matched, going))
    packages = {_name(entity) for _, entity in afterwards if entity.key.type == "custom-image"}
    by_name = {(key.type, _name(sides.live_by_key[key])): key for key in going}
    by_name = {
        name: key for name, key in by_name.items() if key.type != "custom-image" or name[1] not in packages
    }
    types = {key.type for key in going}
    users: dict[Key, dict[Key, str]] = defaultdict(dict)
    notes = []
    for called, entity in afterwards:
        for reference, named in uses(entity, *Form):
            for key in filter(None, (by_name.get((kind, named)) for kind in reference.types or types)):
                if reference.form is Form.ANYWHERE:
                    what = sides.called(sides.live_by_key[key])
                    notes.append(f"{called} mentions {what}, which this plan deletes, and may need it")
                else:
                    users[key][entity.key] = called
    return users, notes


def _name(entity: Entity) -> str:
    """Return how references refer to an entity: by its id, or by the package of a custom image."""
    return str(entity.body.get("package")) if entity.key.type == "custom-image" else entity.key.id


def _why_spared(key: Key, users: Iterable[str]) -> str:
    return f"{_uses_it(users)}: keep this one with {flag('--skip', key)}, or change or delete what uses it"


def _uses_it(users: Iterable[str]) -> str:
    names = sorted(set(users))
    return f"{some_of(names, 3)} {'uses it and stays' if len(names) == 1 else 'use it and stay'}"


def _afterwards(
    pairs: Pairs, actions: Mapping[Key, Action], matched: Mapping[Key, Entity], going: set[Key]
) -> Iterator[tuple[str, Entity]]:
    """Yield what the target will have, each entity with its name; references have the target's ids."""
    sides = pairs.sides
    sources = {live.key: key for key, live in matched.items()}
    for live in sides.live.entities:
        action = actions.get(sources.get(live.key, live.key))
        body = live.body
        if action is not None and action.kind is ActionKind.UPDATE:
            body = {**body, **pairs.mapped(live, action.body)}
        if live.key not in going:
            yield sides.called(live), Entity(live.key, body)
    for key, action in actions.items():
        if action.kind is ActionKind.CREATE:
            entity = sides.by_key[key]
            yield sides.called(entity), Entity(key, pairs.mapped(entity, action.body))


def there_twice(sides: Sides, links: LinkPairs, deleted: Collection[Key]) -> list[Action]:
    """Return the target's syncs that duplicate one of the snapshot's.

    Two runs at once, or a late request, created them. They are kept unless `--prune` deletes them.
    """
    spare = [
        link
        for link in links.spare
        if is_sync(link.body) and link.key not in deleted and selected(sides, link)
    ]
    if sides.options.prune or not spare:
        return []
    standing = {_work(link): link for link in links.found.values()}
    by_id = sides.capabilities.deletes_links_by_id
    return [
        Action(
            ActionKind.SKIPPED, link.key, sides.live_shown[link.key], link.key.id,
            f"duplicate of {standing[_work(link)].key.id}: "
            + (f"delete it with --prune --only {link.key}" if by_id else "delete it in the UI, because this console deletes syncs by their ends only")
            + f", or keep it with {flag('--skip', link.key)}",
        )
        for link in spare
        if _work(link) in standing
    ]  # fmt: skip


def _work(link: Entity) -> tuple[object, ...]:
    """Return what a link does: its ends and its options."""
    return *ends(link.body), canonical(link.body.get("data") or {})
