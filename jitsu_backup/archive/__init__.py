"""The archive: a snapshot as bytes. Bytes in, bytes out; no file is opened here."""

from jitsu_backup.archive.codec import MAX_DOCUMENT_BYTES, VERSION, decode, digest, encode
from jitsu_backup.archive.encryption import decrypt, encrypt, identities_in, is_encrypted, key_mark
from jitsu_backup.archive.names import (
    ENCRYPTED_SUFFIX,
    INCOMPLETE,
    LEAST_COUNT,
    PACKED,
    PRE_RESTORE,
    SHRUNK,
    SUFFIX,
    UNCOMPARED,
    ArchiveName,
    archive_name,
    check_name,
    is_label,
    name_counts,
    parse_name,
)
from jitsu_backup.archive.tree import from_tree, left_out, to_tree, unmerged

__all__ = [
    "ENCRYPTED_SUFFIX",
    "INCOMPLETE",
    "LEAST_COUNT",
    "MAX_DOCUMENT_BYTES",
    "PACKED",
    "PRE_RESTORE",
    "SHRUNK",
    "SUFFIX",
    "UNCOMPARED",
    "VERSION",
    "ArchiveName",
    "archive_name",
    "check_name",
    "decode",
    "decrypt",
    "digest",
    "encode",
    "encrypt",
    "from_tree",
    "identities_in",
    "is_encrypted",
    "is_label",
    "key_mark",
    "left_out",
    "name_counts",
    "parse_name",
    "to_tree",
    "unmerged",
]
