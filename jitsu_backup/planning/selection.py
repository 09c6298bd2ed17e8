"""Which entities a plan is about: `--only`, `--skip`, and what the selected ones need."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jitsu_backup.catalogue import Selector, check_type, entity_type, find_references, joins
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Entity, Key
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.sides import Sides


@dataclass(frozen=True, slots=True)
class Selection:
    """The snapshot's keys to act on; `notes` say what was included in addition, and what was not."""

    keys: frozenset[Key]
    notes: tuple[str, ...]


def choose(pairs: Pairs) -> Selection:
    """Select the entities that `--only` and `--skip` ask for, with what they need.

    Raise UsageError for a selector that names one entity and matches none.
    """
    sides = pairs.sides
    only, skip = _selectors(sides.options.only), _selectors(sides.options.skip)
    _check(sides, "--only", only)
    _check(sides, "--skip", skip)
    skipped = {key for key in sides.by_key if _chooses(pairs, skip, key)}
    chosen = {key for key in sides.by_key if (not only or _chooses(pairs, only, key)) and key not in skipped}
    notes = [
        *(_add_links(sides, chosen, skipped) if sides.options.with_links else ()),
        *(_add_builders(pairs, chosen, skipped, only) if only else ()),
        *_skipped_in_vain(sides, chosen, skipped, skip),
        *_add_needed(pairs, chosen, skipped),
    ]
    return Selection(frozenset(chosen), tuple(notes))


def selected(sides: Sides, entity: Entity) -> bool:
    """Return whether `--only` and `--skip` select an entity that only the target has."""
    only, skip = _selectors(sides.options.only), _selectors(sides.options.skip)
    return (not only or _matches(sides, only, entity)) and not _matches(sides, skip, entity)


def _check(sides: Sides, option: str, selectors: Iterable[Selector]) -> None:
    both = sides.options.prune or sides.undoes or option == "--skip"
    for selector in selectors:
        given = given_by(option, selector, sides.options.sets)
        check_type(selector, given, sides.types)
        if sides.options.checks_selectors and selector.exact:
            entities = [*sides.by_key.values(), *(sides.live.entities if both else ())]
            if not any(_matches(sides, [selector], entity) for entity in entities):
                where = "not in the snapshot; correct it, or leave it out"
                if sides.undoes or sides.options.prune:
                    of_before = "backup" if sides.undoes else "snapshot"
                    where = f"neither in the {of_before} nor in the target; correct it, or leave it out"
                raise UsageError(f"{given}: {selector.text!r} is {where}")


def given_by(option: str, selector: Selector, sets: Mapping[str, str]) -> str:
    """Return which flag a selector comes from: `option`, or the one that names its set."""
    name = sets.get(selector.text)
    return option if name is None else f"--set {name}"


def _add_links(sides: Sides, chosen: set[Key], skipped: set[Key]) -> list[str]:
    """Add the connections, syncs and reverse syncs attached to selected entities; return notes."""
    notes = []
    for key in sorted(filter(joins, sides.desired.keys() - chosen - skipped - sides.dead_links)):
        held = next((needed for needed in _needs(sides, key) if needed in chosen), None)
        if held is not None:  # nothing refers to a link, so what is added here adds no other
            chosen.add(key)
            link, other = (sides.called(sides.by_key[one]) for one in (key, held))
            notes.append(f"{link} is included, because it is attached to {other}")
    return notes


def _add_builders(pairs: Pairs, chosen: set[Key], skipped: set[Key], only: list[Selector]) -> list[str]:
    """Add the profile builders of selected functions, which are written with them; return notes."""
    sides, notes = pairs.sides, []
    for function_id, builder_id in sorted(sides.owned.items()):
        function, builder = Key("function", function_id), Key("profile-builder", builder_id)
        if function in chosen and builder not in chosen:
            what = f"{sides.called(sides.by_key[builder])}, whose {sides.called(sides.by_key[function])} is"
            intended = builder in pairs.found or _matches(sides, _exact(only), sides.by_key[function])
            if builder in skipped or not intended:
                notes.append(f"{what} selected, is not part of this restore, so the function is left out")
            else:
                chosen.add(builder)
                notes.append(f"{what} selected, is included, because the two are written together")
    return notes


def _skipped_in_vain(
    sides: Sides, chosen: set[Key], skipped: set[Key], skip: list[Selector]
) -> Iterable[str]:
    """Yield notes about functions that should be skipped but are written with their profile builders."""
    for function_id, builder_id in sorted(sides.owned.items()):
        function, builder = Key("function", function_id), Key("profile-builder", builder_id)
        together = function in skipped and builder in chosen
        if together and _matches(sides, _exact(skip), sides.by_key[function]):
            yield (
                f"{sides.called(sides.by_key[function])} is written with its"
                f" {sides.called(sides.by_key[builder])}: skip the latter to leave it out"
            )


def _add_needed(pairs: Pairs, chosen: set[Key], skipped: set[Key]) -> list[str]:
    """Add what the selected entities need and the target lacks; return notes."""
    sides, notes = pairs.sides, []
    waiting = sorted(chosen)
    while waiting:
        key = waiting.pop()
        for needed in _needs(sides, key):
            lacking = needed not in pairs.found and needed not in pairs.deleted
            if lacking and needed not in chosen and needed not in skipped:
                chosen.add(needed)
                waiting.append(needed)
                notes.append(
                    f"{sides.called(sides.by_key[needed])} is included, because"
                    f" {sides.called(sides.by_key[key])} needs it"
                )
    return notes


def _needs(sides: Sides, key: Key) -> list[Key]:
    found: list[Key] = []
    for reference, source_id in find_references(entity_type(key.type).references, sides.desired[key].body):
        for named in sides.named(reference.types, source_id):
            builder = sides.owned.get(named.id) if named.type == "function" else None
            found.append(named if builder is None else Key("profile-builder", builder))
    return [named for named in found if named != key]


def _selectors(texts: Iterable[str]) -> list[Selector]:
    return [Selector(text) for text in texts]


def _exact(selectors: list[Selector]) -> list[Selector]:
    return [selector for selector in selectors if selector.exact]


def _chooses(pairs: Pairs, selectors: list[Selector], key: Key) -> bool:
    """Return whether selectors match an entity of the snapshot; in an undo, its current name counts too."""
    sides = pairs.sides
    found = pairs.found.get(key) if sides.undoes else None
    now = found is not None and _matches(sides, selectors, found)
    return now or _matches(sides, selectors, sides.by_key[key])


def _matches(sides: Sides, selectors: list[Selector], entity: Entity) -> bool:
    live = sides.by_key.get(entity.key) is not entity
    name = (sides.live_names if live else sides.names)[entity.key]
    return any(selector.matches(entity, name) for selector in selectors)
