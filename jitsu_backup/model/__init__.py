"""The values everything else speaks of: keys, entities, snapshots; canonical bytes."""

from jitsu_backup.model.canonical import canonical, content_digest
from jitsu_backup.model.shapes import items_of, members_of
from jitsu_backup.model.snapshot import (
    MASK,
    UNDEFINED,
    Entity,
    Key,
    Manifest,
    MaskedField,
    Path,
    Refusal,
    Snapshot,
    Source,
    counts_by_type,
    format_path,
    masked_fields,
    masked_paths,
    unknown_secrets,
)
from jitsu_backup.model.words import ARROW, HARMFUL, ago, nearest, printable, quoted, shortened, some_of

__all__ = [
    "ARROW",
    "HARMFUL",
    "MASK",
    "UNDEFINED",
    "Entity",
    "Key",
    "Manifest",
    "MaskedField",
    "Path",
    "Refusal",
    "Snapshot",
    "Source",
    "ago",
    "canonical",
    "content_digest",
    "counts_by_type",
    "format_path",
    "items_of",
    "masked_fields",
    "masked_paths",
    "members_of",
    "nearest",
    "printable",
    "quoted",
    "shortened",
    "some_of",
    "unknown_secrets",
]
