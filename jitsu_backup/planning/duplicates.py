"""What must not be made beside a namesake of the target: events would come twice, or write keys go for ever."""

from collections.abc import Iterator
from itertools import product

from jitsu_backup.model import Entity, Key, quoted
from jitsu_backup.planning.context import KEY_FIELDS, Context, key_ids
from jitsu_backup.planning.json_diff import value_at
from jitsu_backup.planning.links import ends
from jitsu_backup.planning.plan import Ids
from jitsu_backup.planning.selection import selected


def refuse_doubles(context: Context, chosen: set[Key]) -> None:
    """Note a problem with every entity that is to be made beside a namesake, where that does harm.

    `--ids new` says that it is meant. Namesakes are what a rollback of the source leaves in a clone, and what
    somebody has made by hand.
    """
    if context.options.ids is Ids.NEW or not context.namesakes:
        return
    reached = {
        namesake.key
        for namesakes in context.namesakes.values()
        for namesake in namesakes
        if context.options.prune and selected(context, namesake)
    }
    for key, other in [*_fed_twice(context, chosen, reached), *_keys_lost(context, chosen, reached)]:
        context.problems.setdefault(key, _words(context, key, other, deleted=other.key in reached))


def _fed_twice(context: Context, chosen: set[Key], reached: set[Key]) -> Iterator[tuple[Key, Entity]]:
    """Give what would get from a stream, or load from a service, what a namesake gets already."""
    if context.options.disable_links:
        return
    live = {ends(link.body) for link in context.live.of_type("link") if not _is_off(link)}
    for key in sorted(key for key in chosen if key.type == "link"):
        link = context.meant[key]
        if _is_off(link):
            continue
        kind, *named = ends(link.body)
        sources, targets = (
            [k for k in context.keys_of_id.get(end, ()) if k in chosen or k in context.found] for end in named
        )
        for source, target in product(sources, targets):
            # a stream that is made has keys of its own, and gets nothing yet
            standing = _standing(context, source, with_namesakes=kind != "push")
            for one, other in product(standing, _standing(context, target, with_namesakes=True)):
                if (kind, one.key.id, other.key.id) in live:
                    yield from (
                        (mine, theirs)
                        for mine, theirs in ((source, one), (target, other))
                        if mine not in context.found and theirs.key not in reached
                    )


def _is_off(link: Entity) -> bool:
    return value_at(link.body, ("data", "disabled")) is True


def _standing(context: Context, key: Key, *, with_namesakes: bool) -> list[Entity]:
    found = context.found.get(key)
    if found is not None:
        return [found]
    return context.namesakes.get(key, []) if with_namesakes else []


def _keys_lost(context: Context, chosen: set[Key], reached: set[Key]) -> Iterator[tuple[Key, Entity]]:
    """Give the streams of another workspace whose namesake `--prune` would delete, with write keys that never come back."""
    for key in sorted(key for key in chosen if key.type == "stream" and not context.in_place):
        for namesake in context.namesakes.get(key, ()):
            if namesake.key in reached and any(key_ids(namesake, name) for name in KEY_FIELDS):
                yield key, namesake


def _words(context: Context, key: Key, other: Entity, *, deleted: bool) -> str:
    alone = sum(namesakes == context.namesakes[key] for namesakes in context.namesakes.values()) == 1
    by_name = " or --match-by-name" if alone and len(context.namesakes[key]) == 1 else ""
    pair = f"pair them with --map {key}={other.key}{by_name}"
    if deleted:
        return (
            f"--prune would delete the target's {other.key}, of the same name, with write keys that never come back:"
            f" {pair}, or say --ids new where that is meant"
        )
    return (
        f"the target has another {quoted(context.meant_names[key])}, {other.key}, connected as this one would be, and both would get"
        f" the same: {pair}, delete it with --prune, or make both with --ids new"
    )
