"""Which entities a plan is about: `--only`, `--skip`, and what the chosen ones need."""

from collections.abc import Iterable

from jitsu_backup.catalogue import Selector, check_type, entity_type, find_references
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Entity, Key
from jitsu_backup.planning.context import Context


def choose(context: Context) -> set[Key]:
    """Give the snapshot's keys to act on; what was pulled in is noted.

    Raises UsageError for a selector that names one entity and finds none.
    """
    only, skip = _selectors(context.options.only), _selectors(context.options.skip)
    for option, selectors in (("--only", only), ("--skip", skip)):
        for selector in selectors:
            check_type(selector, option, context.types)
            both = context.options.prune or option == "--skip"
            sides = [*context.by_key.values(), *(context.live.entities if both else ())]
            if (
                context.options.checks_selectors
                and selector.exact
                and not any(_matches(context, [selector], entity) for entity in sides)
            ):
                raise UsageError(f"{option}: {selector.text!r} is not in the snapshot")
    skipped = {key for key, entity in context.by_key.items() if _matches(context, skip, entity)}
    chosen = {
        key
        for key, entity in context.by_key.items()
        if (not only or _matches(context, only, entity)) and key not in skipped
    }
    for function_id, builder_id in sorted(context.owned.items()) if only else ():
        function, builder = Key("function", function_id), Key("profile-builder", builder_id)
        if function in chosen and builder not in chosen:
            what = f"{context.called(context.by_key[builder])}, whose {context.called(context.by_key[function])} is"
            meant = builder in context.found or _matches(context, _exact(only), context.by_key[function])
            if builder in skipped or not meant:
                context.notes.append(f"{what} chosen, is not part of this restore, and so it is left out")
            else:
                chosen.add(builder)
                context.notes.append(f"{what} chosen, comes along: it is written with it")
    for function_id, builder_id in sorted(context.owned.items()):
        function, builder = Key("function", function_id), Key("profile-builder", builder_id)
        together = function in skipped and builder in chosen
        if together and _matches(context, _exact(skip), context.by_key[function]):
            context.notes.append(
                f"{context.called(context.by_key[function])} is written with its"
                f" {context.called(context.by_key[builder])}: skip that one to leave it out"
            )
    waiting = sorted(chosen)
    while waiting:
        key = waiting.pop()
        for needed in _needs(context, key):
            if needed not in chosen and needed not in skipped and needed not in context.found:
                chosen.add(needed)
                waiting.append(needed)
                context.notes.append(
                    f"{context.called(context.by_key[needed])} comes along:"
                    f" {context.called(context.by_key[key])} needs it"
                )
    return chosen


def selected(context: Context, entity: Entity) -> bool:
    """Tell whether an entity that only the target has is within `--only` and `--skip`."""
    only, skip = _selectors(context.options.only), _selectors(context.options.skip)
    return (not only or _matches(context, only, entity)) and not _matches(context, skip, entity)


def _selectors(texts: Iterable[str]) -> list[Selector]:
    return [Selector(text) for text in texts]


def _exact(selectors: list[Selector]) -> list[Selector]:
    return [selector for selector in selectors if selector.exact]


def _matches(context: Context, selectors: list[Selector], entity: Entity) -> bool:
    live = context.by_key.get(entity.key) is not entity
    name = (context.live_names if live else context.names)[entity.key]
    return any(selector.matches(entity, name) for selector in selectors)


def _needs(context: Context, key: Key) -> list[Key]:
    entity = context.meant[key]
    found: list[Key] = []
    for reference, source_id in find_references(entity_type(key.type).references, entity.body):
        for named in context.named(reference.types, source_id):
            builder = context.owned.get(named.id) if named.type == "function" else None
            found.append(named if builder is None else Key("profile-builder", builder))
    return [named for named in found if named != key]
