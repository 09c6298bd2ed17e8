"""One table of what Jitsu keeps: routes, order, references, secrets, volatile fields."""

from collections.abc import Iterable, Iterator, Mapping

from jitsu_backup.catalogue.dangling import Dangling, dangling_references
from jitsu_backup.catalogue.grants import grant_fields, granted, has_grant, is_authorised, without_grant
from jitsu_backup.catalogue.paths import nameable
from jitsu_backup.catalogue.redaction import HIDDEN, is_secret_path, redact, scrub, secret_values
from jitsu_backup.catalogue.references import Reference, find_references, rewrite
from jitsu_backup.catalogue.selectors import Selector, check_type, link_name, names_of_refused
from jitsu_backup.catalogue.table import CATALOGUE, EntityType, Route, entity_type
from jitsu_backup.model import Entity, items_of


def owned_functions(entities: Iterable[Entity]) -> Iterator[tuple[str, str]]:
    """Give (function id, profile builder id) for every function that a builder owns.

    Such a function is also listed under `config/function` [profile-builder/function-listed-too].
    """
    for entity in entities:
        if entity.key.type == "profile-builder":
            for owned in items_of(entity.body.get("functions")):
                if isinstance(owned, Mapping) and isinstance(owned.get("functionId"), str):
                    yield owned["functionId"], entity.key.id


__all__ = [
    "CATALOGUE",
    "HIDDEN",
    "Dangling",
    "EntityType",
    "Reference",
    "Route",
    "Selector",
    "check_type",
    "dangling_references",
    "entity_type",
    "find_references",
    "grant_fields",
    "granted",
    "has_grant",
    "is_authorised",
    "is_secret_path",
    "link_name",
    "nameable",
    "names_of_refused",
    "owned_functions",
    "redact",
    "rewrite",
    "scrub",
    "secret_values",
    "without_grant",
]
