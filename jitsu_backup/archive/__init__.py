"""The archive: a snapshot as bytes. Bytes in, bytes out; no file is opened here."""

from jitsu_backup.archive.codec import MAX_DOCUMENT_BYTES, VERSION, decode, digest, encode
from jitsu_backup.archive.encryption import decrypt, encrypt, is_encrypted
from jitsu_backup.archive.names import INCOMPLETE, PRE_RESTORE, ArchiveName, format_name, parse_name

__all__ = [
    "INCOMPLETE",
    "MAX_DOCUMENT_BYTES",
    "PRE_RESTORE",
    "VERSION",
    "ArchiveName",
    "decode",
    "decrypt",
    "digest",
    "encode",
    "encrypt",
    "format_name",
    "is_encrypted",
    "parse_name",
]
