"""Ignored fields: those that the settings leave to the target, so that they never differ and are never written."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jitsu_backup.catalogue import ANY_NAME, FieldSelector, check_type, field_selector
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Entity, Key, Path, format_path, members_of, nearest
from jitsu_backup.planning.fields import upto_list
from jitsu_backup.planning.json_diff import paths_that_differ
from jitsu_backup.planning.schema_rules import Schema, Schemas, fields_of, schema_name
from jitsu_backup.planning.sides import Sides

_ABSENT = object()

Pattern = tuple[str, ...]
"""The names that lead to a field; ANY_NAME stands for any one name."""


@dataclass(frozen=True, slots=True)
class OwnFields:
    """The fields of one entity that are the target's own. A pattern that leads into a list covers the whole list."""

    patterns: tuple[Pattern, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.patterns)

    def kept_in(self, body: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
        """Return `body` with the values of `live` in these fields, or without fields that `live` lacks."""
        return dict(_kept(body, live, self.patterns)) if self.patterns else dict(body)

    def cover(self, path: Path) -> bool:
        """Return whether `path` is in one of these fields."""
        whole = upto_list(path)
        in_list = len(whole) < len(path)
        return any(_begins(p[: len(whole)] if in_list else p, whole) for p in self.patterns)

    def differing(self, body: Mapping[str, Any], live: Mapping[str, Any]) -> list[Path]:
        """Return the paths that differ between two bodies and are left unchanged in `live`."""
        return [*paths_that_differ(body, self.kept_in(body, live))] if self.patterns else []


def check_types(texts: Iterable[str], types: Iterable[str]) -> None:
    """Raise UsageError for ignored fields of an unknown type; `types` are those that either side has."""
    for text in texts:
        check_type(field_selector(text).entities, "ignore", types)


def idle_fields(
    texts: Iterable[str], named: Collection[tuple[Entity, str]], schemas: Schemas, where: str
) -> Iterator[str]:
    """Yield a warning for each ignored field that none of the entities has, nor their schemas; names are given with them.

    One of a whole type without entities is meant for what will exist.
    """
    for text in texts:
        field = field_selector(text)
        chosen = [entity for entity, name in named if field.entities.matches(entity, name)]
        if not chosen and field.entities.exact:
            yield f"ignore: {field.entities.text!r} is not in {where}; correct or remove {text!r}"
        known = [(one.body, schemas.get(schema_name(one.key.type, one.body) or "")) for one in chosen]
        if known and not any(_has(body, field.path) or _names(schema, field.path) for body, schema in known):
            names = {str(name) for body, schema in known for name in (*body, *fields_of(schema))}
            hint = nearest(field.path[0], names) if len(field.path) == 1 else ""
            yield f"ignore: nothing in {where} has the field of {text!r}{hint or '; correct or remove it'}"


def _has(value: Any, pattern: Pattern) -> bool:
    """Return whether a body has a field of a pattern; a list has any."""
    if not pattern or isinstance(value, list):
        return True
    if not isinstance(value, Mapping):
        return False
    return any(_has(item, pattern[1:]) for name, item in value.items() if pattern[0] in (ANY_NAME, name))


def _names(schema: Schema, pattern: Pattern) -> bool:
    """Return whether a schema names a field of a pattern."""
    for name in pattern:
        schema = fields_of(schema).get(name)
    return schema is not None


def fields_ignored(texts: Iterable[str], named: Collection[tuple[Entity, str]]) -> list[FieldSelector]:
    """Return the ignored fields whose selector matches one of the entities, which are given with their names."""
    fields = map(field_selector, texts)
    return [f for f in fields if any(f.entities.matches(entity, name) for entity, name in named)]


def own_fields(sides: Sides, entity: Entity, found: Entity | None) -> OwnFields:
    """Return the fields that `found`, the target's counterpart of an entity of the snapshot, keeps as its own.

    A selector may match either of them. An entity that the target lacks has none, because there is nothing to keep.
    """
    if found is None or not sides.options.ignored:
        return OwnFields()
    return OwnFields(tuple(field.path for field in _fields_of(sides, entity, found)))


def check_against_overlay(sides: Sides, found: Mapping[Key, Entity]) -> None:
    """Raise UsageError if the overlay sets a field that is ignored; `found` maps keys to the target's entities."""
    if not (sides.options.ignored and sides.options.overlay.rules):
        return
    for key, entity in sides.by_key.items():
        rules = sides.options.overlay.choosing(entity, sides.names[key])
        for field in _fields_of(sides, sides.desired[key], found.get(key)) if rules else ():
            for rule in rules:
                given = next((path for path in rule.paths() if _meet(field.path, path)), None)
                if given is not None:
                    raise UsageError(
                        f"{sides.options.overlay.called}: {rule.selector.text!r} sets {format_path(given)!r}, which the setting ignore leaves to"
                        f" the target ({field.text!r}); remove one of them"
                    )


def _fields_of(sides: Sides, entity: Entity, found: Entity | None) -> list[FieldSelector]:
    named = [(entity, sides.desired_names[entity.key])]
    if found is not None:
        named.append((found, sides.live_names[found.key]))
    return fields_ignored(sides.options.ignored, named)


def _kept(mine: Any, theirs: Any, patterns: Sequence[Pattern]) -> Any:
    """Return `mine` with the values of `theirs` in the fields of `patterns`; _ABSENT if nothing is left."""
    if () in patterns or (patterns and (isinstance(mine, list) or isinstance(theirs, list))):
        return theirs
    one, other = members_of(mine), members_of(theirs)
    if not patterns or not (one or other):
        return mine
    found = {}
    for name in {**one, **other}:
        rest = [pattern[1:] for pattern in patterns if pattern[0] in (ANY_NAME, name)]
        value = _kept(one.get(name, _ABSENT), other.get(name, _ABSENT), rest)
        if value is not _ABSENT:
            found[name] = value
    return found if found or one else mine


def _begins(pattern: Pattern, path: Path) -> bool:
    """Return whether a path begins with a pattern."""
    return len(pattern) <= len(path) and _meet(pattern, path)


def _meet(pattern: Pattern, path: Path) -> bool:
    """Return whether a pattern and a path name the same field, or one is inside the other."""
    return all(part in (ANY_NAME, str(name)) for part, name in zip(pattern, path, strict=False))
