"""The basic values: keys, entities, snapshots, canonical bytes; text for people."""

from jitsu_backup.model.audit_entry import OPERATOR as OPERATOR, AuditEntry as AuditEntry
from jitsu_backup.model.canonical import (
    MAX_VALUES as MAX_VALUES,
    canonical as canonical,
    content_digest as content_digest,
    count_signs as count_signs,
)
from jitsu_backup.model.moments import (
    iso_time as iso_time,
    parse_any_time as parse_any_time,
    parse_iso_time as parse_iso_time,
    shown_time as shown_time,
)
from jitsu_backup.model.path import (
    Path as Path,
    format_path as format_path,
    paths_inside as paths_inside,
    replaced_at as replaced_at,
    value_at as value_at,
)
from jitsu_backup.model.shapes import items_of as items_of, members_of as members_of
from jitsu_backup.model.snapshot import (
    MASK as MASK,
    UNDEFINED as UNDEFINED,
    CloneRecord as CloneRecord,
    Entity as Entity,
    Key as Key,
    Manifest as Manifest,
    MaskedField as MaskedField,
    Refusal as Refusal,
    Snapshot as Snapshot,
    Source as Source,
    Tombstone as Tombstone,
    counts_by_type as counts_by_type,
    features_of as features_of,
    masked_fields as masked_fields,
    masked_paths as masked_paths,
    unknown_secrets as unknown_secrets,
)
from jitsu_backup.model.text import (
    ARROW as ARROW,
    HARMFUL as HARMFUL,
    ago as ago,
    flag as flag,
    laid_out as laid_out,
    lasting as lasting,
    lasting_between as lasting_between,
    nearest as nearest,
    one_line as one_line,
    plural as plural,
    printable as printable,
    quoted as quoted,
    shortened as shortened,
    some_of as some_of,
    toml_quoted as toml_quoted,
    with_commands_apart as with_commands_apart,
)
