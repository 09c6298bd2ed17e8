"""Reading the body of one entity with the help of the table."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jitsu_backup.catalogue.table import KEY_FIELDS, entity_type
from jitsu_backup.model import Entity, Snapshot, items_of


def owned_functions(entities: Iterable[Entity]) -> Iterator[tuple[str, str]]:
    """Yield (function id, profile builder id) for every function that a builder owns.

    Such a function is also listed under `config/function` [profile-builder/function-listed-too].
    """
    for entity in entities:
        if entity_type(entity.key.type).owns_functions:
            for owned in items_of(entity.body.get("functions")):
                if isinstance(owned, Mapping) and isinstance(owned.get("functionId"), str):
                    yield owned["functionId"], entity.key.id


def subtype(entity: Entity) -> str:
    """Return the kind of a destination or service, such as `postgres`; an empty text for other types."""
    name = entity_type(entity.key.type).subtype_field
    return str(entity.body.get(name)) if name else ""


def without_volatile(entity: Entity) -> dict[str, Any]:
    """Return a body without the fields that the server sets."""
    volatile = entity_type(entity.key.type).volatile
    return {name: value for name, value in entity.body.items() if name not in volatile}


def key_ids(stream: Entity | None, name: str) -> list[str]:
    """Return the ids of a stream's write keys, `name` being one of KEY_FIELDS."""
    items: Iterable[Any] = () if stream is None else items_of(stream.body.get(name))
    return [item["id"] for item in items if isinstance(item, Mapping) and isinstance(item.get("id"), str)]


def write_key_ids(snapshot: Snapshot) -> set[str]:
    """Return the ids of the write keys of all streams."""
    return {
        key_id
        for stream in snapshot.of_type("stream")
        for name in KEY_FIELDS
        for key_id in key_ids(stream, name)
    }
