"""What a console fills in by itself, read from its own schemas."""

from collections.abc import Iterator, Mapping
from typing import Any

from jitsu_backup.catalogue import entity_type
from jitsu_backup.catalogue.table import Route
from jitsu_backup.model import Entity, Path

Schemas = Mapping[str, Mapping[str, Any]]
"""JSON Schemas of the console, by `type` or `destination/{destinationType}`, as its routes name them."""


def schema_name(type_name: str, body: Mapping[str, Any]) -> str | None:
    """Give the name of the schema that the console checks such a body with, or None."""
    if entity_type(type_name).route is not Route.OBJECT:
        return None
    subtype = body.get("destinationType") if type_name == "destination" else None
    return f"{type_name}/{subtype}" if isinstance(subtype, str) else type_name


def schemas_needed(entities: tuple[Entity, ...]) -> list[str]:
    """Give the names of the schemas that a plan over `entities` consults, sorted."""
    names = {schema_name(entity.key.type, entity.body) for entity in entities}
    return sorted(name for name in names if name is not None)


def default_at(schema: Mapping[str, Any] | None, path: Path) -> Any:
    """Give the default that `schema` fills in at `path`, or None."""
    for part in path[:-1]:
        schema = _property(schema, part)
    found = _property(schema, path[-1]) if path else None
    return None if found is None else found.get("default")


def is_required(schema: Mapping[str, Any] | None, path: Path) -> bool:
    """Tell whether `schema` refuses a body without the value at `path`."""
    for part in path[:-1]:
        schema = _property(schema, part)
    required = (schema or {}).get("required")
    return isinstance(required, list) and bool(path) and path[-1] in required


def _property(schema: Mapping[str, Any] | None, name: str | int) -> Mapping[str, Any] | None:
    found = (schema or {}).get("properties")
    found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def dropped(schema: Mapping[str, Any] | None, body: Any, at: Path = ()) -> Iterator[Path]:
    """Give the paths of the fields that the console would drop without a word.

    `additionalProperties: false` means dropped, not refused [function/get-unknown-field-dropped].
    """
    properties = (schema or {}).get("properties")
    if not isinstance(properties, Mapping) or not isinstance(body, Mapping):
        return
    for name, value in body.items():
        if name in properties:
            yield from dropped(_property(schema, name), value, (*at, name))
        elif (schema or {}).get("additionalProperties") is False:
            yield (*at, name)
