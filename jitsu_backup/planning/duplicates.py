"""Duplicates: entities that must not be created beside a namesake, because events would be sent twice or keys lost."""

from collections.abc import Collection, Iterator, Sequence
from itertools import product

from jitsu_backup.catalogue import KEY_FIELDS, ends, is_link, key_ids, links_of
from jitsu_backup.model import Entity, Key, quoted, value_at
from jitsu_backup.planning.options import Ids
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.selection import selected


def duplicates(pairs: Pairs, chosen: Collection[Key]) -> dict[Key, str]:
    """Return the problem of every entity that would be created beside a namesake, if that does harm.

    `--ids new` says that it is intended. Namesakes result from a rollback of the source of a clone, or were created by
    hand.
    """
    options = pairs.sides.options
    if options.ids is Ids.NEW or not pairs.namesakes:
        return {}
    reached = {
        namesake.key
        for namesakes in pairs.namesakes.values()
        for namesake in namesakes
        if options.prune and selected(pairs.sides, namesake)
    }
    problems: dict[Key, str] = {}
    for key, other in [*_fed_twice(pairs, chosen, reached), *_lost(pairs, chosen, reached)]:
        problems.setdefault(key, _problem(pairs, key, other, deleted=other.key in reached))
    return problems


def _fed_twice(
    pairs: Pairs, chosen: Collection[Key], reached: Collection[Key]
) -> Iterator[tuple[Key, Entity]]:
    """Yield entities that would receive from a stream, or load from a service, what a namesake receives already."""
    sides = pairs.sides
    if sides.options.disable_links:
        return
    live = {ends(link.body) for link in links_of(sides.live) if not _is_off(link)}
    for key in sorted(key for key in chosen if is_link(key)):
        link = sides.desired[key]
        if _is_off(link):
            continue
        kind, *named = ends(link.body)
        sources, targets = (
            [k for k in sides.named((), end) if k in chosen or k in pairs.found] for end in named
        )
        for source, target in product(sources, targets):
            # a new stream has its own keys, so no events are sent to it yet
            standing = _standing(pairs, source, with_namesakes=kind != "push")
            for one, other in product(standing, _standing(pairs, target, with_namesakes=True)):
                if (kind, one.key.id, other.key.id) in live:
                    yield from (
                        (mine, theirs)
                        for mine, theirs in ((source, one), (target, other))
                        if mine not in pairs.found and theirs.key not in reached
                    )


def _is_off(link: Entity) -> bool:
    return value_at(link.body, ("data", "disabled")) is True


def _standing(pairs: Pairs, key: Key, *, with_namesakes: bool) -> Sequence[Entity]:
    found = pairs.found.get(key)
    if found is not None:
        return [found]
    return pairs.namesakes.get(key, []) if with_namesakes else []


_LOST = {
    "stream": "write keys that cannot be recovered",
    "reverse-sync": "its state, so that the new one starts over",
}
"""By type, what is lost for good when `--prune` deletes a namesake."""


def _lost(pairs: Pairs, chosen: Collection[Key], reached: Collection[Key]) -> Iterator[tuple[Key, Entity]]:
    """Yield entities with a namesake that `--prune` would delete, losing something for good. In place there are none."""
    for key in sorted(key for key in chosen if key.type in _LOST and not pairs.sides.in_place):
        for namesake in pairs.namesakes.get(key, ()):
            has_keys = any(key_ids(namesake, name) for name in KEY_FIELDS)
            if namesake.key in reached and (has_keys or key.type != "stream"):
                yield key, namesake


def _problem(pairs: Pairs, key: Key, other: Entity, *, deleted: bool) -> str:
    alone = sum(namesakes == pairs.namesakes[key] for namesakes in pairs.namesakes.values()) == 1
    by_name = " or --match-by-name" if alone and len(pairs.namesakes[key]) == 1 else ""
    pair = f"pair them with --map {key}={other.key}{by_name}"
    if deleted:
        return (
            f"--prune would delete the target's {other.key}, which has the same name, and with it {_LOST.get(key.type, _LOST['stream'])}:"
            f" {pair}, or use --ids new if that is intended"
        )
    return (
        f"the target has another {quoted(pairs.sides.desired_names[key])}, {other.key}, and both would receive the same"
        f" events: {pair}, delete it with --prune, or create both with --ids new"
    )
