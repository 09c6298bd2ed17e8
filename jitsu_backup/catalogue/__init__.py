"""One table of what Jitsu keeps: routes, order, references, secrets, volatile fields."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jitsu_backup.catalogue.dangling import Dangling, dangling_references
from jitsu_backup.catalogue.grants import grant_fields, granted, has_grant, is_authorised, without_grant
from jitsu_backup.catalogue.known_schemas import known_schemas
from jitsu_backup.catalogue.links import Ends, ends, entity_names, is_link, is_sync, link_name, links_of
from jitsu_backup.catalogue.paths import nameable
from jitsu_backup.catalogue.redaction import HIDDEN, is_secret_path, redact, scrub, secret_values
from jitsu_backup.catalogue.references import Form, Reference, find_references, rewrite
from jitsu_backup.catalogue.selectors import Selector, check_type, names_of_refused, spelt
from jitsu_backup.catalogue.table import (
    CATALOGUE,
    END_FIELDS,
    KEY_FIELDS,
    PROBE_NOTES,
    STAGES,
    EntityType,
    Put,
    Route,
    dependents,
    entity_type,
)
from jitsu_backup.model import Entity, items_of


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
    """Return what a destination or service is of, such as `postgres`; empty for other types."""
    name = entity_type(entity.key.type).subtype_field
    return str(entity.body.get(name)) if name else ""


def without_volatile(entity: Entity) -> dict[str, Any]:
    """Return a body without what the server makes."""
    volatile = entity_type(entity.key.type).volatile
    return {name: value for name, value in entity.body.items() if name not in volatile}


def key_ids(stream: Entity | None, name: str) -> list[str]:
    """Return the ids of a stream's write keys, `name` being one of KEY_FIELDS."""
    items: Iterable[Any] = () if stream is None else items_of(stream.body.get(name))
    return [item["id"] for item in items if isinstance(item, Mapping) and isinstance(item.get("id"), str)]


__all__ = [
    "CATALOGUE",
    "END_FIELDS",
    "HIDDEN",
    "KEY_FIELDS",
    "PROBE_NOTES",
    "STAGES",
    "Dangling",
    "Ends",
    "EntityType",
    "Form",
    "Put",
    "Reference",
    "Route",
    "Selector",
    "check_type",
    "dangling_references",
    "dependents",
    "ends",
    "entity_names",
    "entity_type",
    "find_references",
    "grant_fields",
    "granted",
    "has_grant",
    "is_authorised",
    "is_link",
    "is_secret_path",
    "is_sync",
    "key_ids",
    "known_schemas",
    "link_name",
    "links_of",
    "nameable",
    "names_of_refused",
    "owned_functions",
    "redact",
    "rewrite",
    "scrub",
    "secret_values",
    "spelt",
    "subtype",
    "without_grant",
    "without_volatile",
]
