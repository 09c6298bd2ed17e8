"""One table of everything that Jitsu stores: routes, order, references, secrets, volatile fields."""

from jitsu_backup.catalogue.bodies import (
    key_ids as key_ids,
    owned_functions as owned_functions,
    subtype as subtype,
    without_volatile as without_volatile,
    write_key_ids as write_key_ids,
)
from jitsu_backup.catalogue.dangling import Dangling as Dangling, dangling_references as dangling_references
from jitsu_backup.catalogue.derived_ids import ids_after as ids_after, request_id_for as request_id_for
from jitsu_backup.catalogue.grants import (
    grant_fields as grant_fields,
    granted as granted,
    has_grant as has_grant,
    is_authorised as is_authorised,
    without_grant as without_grant,
)
from jitsu_backup.catalogue.known_schemas import (
    known_schemas as known_schemas,
    newest_schemas as newest_schemas,
)
from jitsu_backup.catalogue.links import (
    BUSY as BUSY,
    MAYBE_BUSY as MAYBE_BUSY,
    OUT_OF_IDS as OUT_OF_IDS,
    Ends as Ends,
    ends as ends,
    entity_names as entity_names,
    given_name as given_name,
    given_names as given_names,
    is_link as is_link,
    is_sync as is_sync,
    joins as joins,
    link_name as link_name,
    links_of as links_of,
    told_apart as told_apart,
)
from jitsu_backup.catalogue.paths import nameable as nameable
from jitsu_backup.catalogue.redaction import (
    HIDDEN as HIDDEN,
    has_password as has_password,
    hidden_paths as hidden_paths,
    is_secret_path as is_secret_path,
    masked_body as masked_body,
    redact as redact,
    revealed as revealed,
    scrub as scrub,
    secret_values as secret_values,
)
from jitsu_backup.catalogue.references import (
    Form as Form,
    Reference as Reference,
    find_references as find_references,
    rewrite as rewrite,
)
from jitsu_backup.catalogue.selectors import (
    ANY_NAME as ANY_NAME,
    FieldSelector as FieldSelector,
    Selector as Selector,
    check_type as check_type,
    field_selector as field_selector,
    names_of_refused as names_of_refused,
    refuse_quotes as refuse_quotes,
    spelt as spelt,
)
from jitsu_backup.catalogue.table import (
    CATALOGUE as CATALOGUE,
    END_FIELDS as END_FIELDS,
    KEY_FIELDS as KEY_FIELDS,
    PROBE_NOTES as PROBE_NOTES,
    STAGES as STAGES,
    EntityType as EntityType,
    Put as Put,
    Route as Route,
    counts_by_list as counts_by_list,
    dependents as dependents,
    entity_type as entity_type,
    listed_under as listed_under,
    offered_with as offered_with,
    type_in_list as type_in_list,
    types_in_lists as types_in_lists,
)
from jitsu_backup.catalogue.time_zones import is_time_zone as is_time_zone
