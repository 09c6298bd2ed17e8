"""The archive: a snapshot as bytes. Bytes in, bytes out; no file is opened here."""

from typing import TYPE_CHECKING

from jitsu_backup.lazy import from_rooms

if TYPE_CHECKING:
    from jitsu_backup.archive.codec import MAX_DOCUMENT_BYTES, VERSION, decode, digest, encode
    from jitsu_backup.archive.encryption import decrypt, encrypt, identities_in, is_encrypted, key_mark
    from jitsu_backup.archive.filename import (
        ACCEPTED,
        ENCRYPTED_SUFFIX,
        INCOMPLETE,
        LEAST_COUNT,
        OPERATOR,
        PACKED,
        PRE_RESTORE,
        SHRUNK,
        SUFFIX,
        UNCOMPARED,
        WEAKER,
        ArchiveName,
        is_label,
        newest_first,
        of_listing,
        parse_name,
        safe_text,
    )
    from jitsu_backup.archive.sketches import digits_changed, least_changed
    from jitsu_backup.archive.snapshot_name import (
        archive_name,
        check_name,
        check_size,
        name_counts,
        sized,
        type_in_name,
    )
    from jitsu_backup.archive.tree import from_tree, left_out, to_tree, unmerged

__all__ = [
    "ACCEPTED",
    "ENCRYPTED_SUFFIX",
    "INCOMPLETE",
    "LEAST_COUNT",
    "MAX_DOCUMENT_BYTES",
    "OPERATOR",
    "PACKED",
    "PRE_RESTORE",
    "SHRUNK",
    "SUFFIX",
    "UNCOMPARED",
    "VERSION",
    "WEAKER",
    "ArchiveName",
    "archive_name",
    "check_name",
    "check_size",
    "decode",
    "decrypt",
    "digest",
    "digits_changed",
    "encode",
    "encrypt",
    "from_tree",
    "identities_in",
    "is_encrypted",
    "is_label",
    "key_mark",
    "least_changed",
    "left_out",
    "name_counts",
    "newest_first",
    "of_listing",
    "parse_name",
    "safe_text",
    "sized",
    "to_tree",
    "type_in_name",
    "unmerged",
]

if not TYPE_CHECKING:
    __getattr__ = from_rooms(
        __name__, __all__, "filename", "encryption", "snapshot_name", "sketches", "codec", "tree"
    )
