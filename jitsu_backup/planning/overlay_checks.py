"""Checks of an overlay: it names existing entities, sets fields that the console knows, and shows no secret."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from jitsu_backup.catalogue import END_FIELDS, HIDDEN, check_type, entity_type, is_link, is_secret_path
from jitsu_backup.errors import UsageError
from jitsu_backup.model import (
    Entity,
    Key,
    Path,
    format_path,
    masked_paths,
    nearest,
    quoted,
    shortened,
    some_of,
    value_at,
)
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.sides import Sides


@dataclass(frozen=True, slots=True)
class OverlayField:
    """A field that a rule sets in one entity. `hint` is None if the target console knows the field there."""

    selector: str
    path: Path
    hint: str | None


def check_overlay(sides: Sides) -> None:
    """Raise UsageError for an overlay with unmatched or ambiguous names, contradictions, or ends that do not exist."""
    overlay = sides.options.overlay
    for rule in overlay.rules:
        check_type(rule.selector, overlay.called, sides.types)
    named = {key: (entity, sides.names[key]) for key, entity in sides.by_key.items()}
    unmatched = overlay.unmatched(named)
    if unmatched:
        one = len(unmatched) == 1
        raise UsageError(
            f"{overlay.called}: {some_of([repr(text) for text in unmatched], 5)} {'is' if one else 'are'} not in the snapshot"
            f" (renamed or deleted since?), which has {_of_the_types(sides, unmatched)}; correct the"
            f" {'name' if one else 'names'}, or remove {'it' if one else 'them'} from the overlay"
        )
    for selector, keys in overlay.ambiguous(named):
        raise UsageError(
            f"{overlay.called}: {selector!r} matches {len(keys)} entities: {', '.join(map(str, keys[:4]))}; use the id of one of them"
        )
    for entity, name in named.values():
        clash = overlay.contradiction(entity, name)
        if clash is not None:
            first, second, path = clash
            raise UsageError(
                f"{overlay.called}: {first!r} and {second!r} select the same entity, and both set {format_path(path)!r}; remove one of them"
            )
    _check_moved_ends(sides)


def _of_the_types(sides: Sides, selectors: Iterable[str]) -> str:
    """Return the names of the snapshot's entities that have the types of selectors, in words."""
    types = dict.fromkeys(text.partition("/")[0] for text in selectors)
    names = {
        name: sorted(f"{name}/{shortened(sides.names[key])}" for key in sides.by_key if key.type == name)
        for name in types
    }
    return " and ".join(some_of(found, 5) or f"no {name}" for name, found in names.items())


def _check_moved_ends(sides: Sides) -> None:
    known = {key.id for key in sides.by_key if not is_link(key)}
    for key, link in sides.desired.items():
        for end in END_FIELDS if is_link(key) else ():
            named = link.body.get(end)
            if named != sides.by_key[key].body.get(end) and named not in known:
                shown = HIDDEN if named in sides.options.overlay.secrets else repr(named)
                raise UsageError(
                    f"{sides.options.overlay.called}: link {quoted(sides.names[key])}: {end} {shown} is not an id in the"
                    " snapshot; use one that is"
                )


def overlay_fields(
    sides: Sides, key: Key, unknown: Iterable[Path], known: Iterable[str]
) -> Iterator[OverlayField]:
    """Yield the fields that the overlay sets in an entity.

    `unknown` are the paths that the target console would drop, `known` the fields that it knows, for the hint.
    """
    entity, without, names = sides.by_key[key], list(unknown), list(known)
    for rule in sides.options.overlay.choosing(entity, sides.names[key]):
        for path in rule.paths():
            strange = any(path[: len(one)] == one for one in without) and value_at(entity.body, path) is None
            yield OverlayField(rule.selector.text, path, nearest(str(path[0]), names) if strange else None)


def check_fields(sides: Sides, fields: Iterable[OverlayField], chosen: Collection[Key]) -> None:
    """Raise UsageError for a field that the console knows in none of the entities that its selector matches.

    A selector that also matches entities outside `chosen`, which were not checked, may be intended for those.
    """
    overlay, left_out = sides.options.overlay, sides.by_key.keys() - chosen
    others = {r.selector.text for k in left_out for r in overlay.choosing(sides.by_key[k], sides.names[k])}
    hints: dict[tuple[str, Path], list[str | None]] = defaultdict(list)
    for given in fields:
        if given.selector not in others:
            hints[given.selector, given.path].append(given.hint)
    for (selector, path), found in hints.items():
        if found[0] is not None and None not in found:
            raise UsageError(
                f"{overlay.called}: {selector!r}: the target console has no field {format_path(path)!r} there"
                f"{found[0] or '; remove it'}"
            )


def check_plain(pairs: Pairs) -> None:
    """Raise UsageError for a plain value of the overlay in the place of a secret."""
    sides = pairs.sides
    plain: dict[str, list[Path]] = defaultdict(list)
    for value in sides.options.overlay.outside:
        if value.plain:
            plain[value.selector].append(value.path)
    for key, entity in sides.by_key.items() if plain else ():
        both = [side for side in (entity, pairs.found.get(key)) if side is not None]
        for rule in sides.options.overlay.choosing(entity, sides.names[key]):
            for path in plain.get(rule.selector.text, ()):
                if _is_secret(key, path, both):
                    raise UsageError(
                        f"{sides.options.overlay.called}: {rule.selector.text!r}: {format_path(path)!r} is a secret, which is never shown;"
                        " remove its plain = true"
                    )


def _is_secret(key: Key, path: Path, both: Iterable[Entity]) -> bool:
    """Return whether there is a secret at, above or below `path`: one of the table, or one masked on either side."""
    masked = {tuple(map(str, masked)) for side in both for masked in masked_paths(side.body)}
    return is_secret_path(path, entity_type(key.type).secrets) or any(
        path[: len(one)] == one[: len(path)] for one in masked
    )
