"""One table of what Jitsu keeps: routes, order, references, secrets, volatile fields."""

from jitsu_backup.catalogue.bodies import key_ids, owned_functions, subtype, without_volatile
from jitsu_backup.catalogue.dangling import Dangling, dangling_references
from jitsu_backup.catalogue.derived_ids import ids_after, request_id_for
from jitsu_backup.catalogue.grants import grant_fields, granted, has_grant, is_authorised, without_grant
from jitsu_backup.catalogue.known_schemas import known_schemas, newest_schemas
from jitsu_backup.catalogue.links import (
    Ends,
    ends,
    entity_names,
    is_link,
    is_sync,
    joins,
    link_name,
    links_of,
)
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
    listed_under,
    offered_with,
    type_in_list,
    types_in_lists,
)

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
    "ids_after",
    "is_authorised",
    "is_link",
    "is_secret_path",
    "is_sync",
    "joins",
    "key_ids",
    "known_schemas",
    "link_name",
    "links_of",
    "listed_under",
    "nameable",
    "names_of_refused",
    "newest_schemas",
    "offered_with",
    "owned_functions",
    "redact",
    "request_id_for",
    "rewrite",
    "scrub",
    "secret_values",
    "spelt",
    "subtype",
    "type_in_list",
    "types_in_lists",
    "without_grant",
    "without_volatile",
]
