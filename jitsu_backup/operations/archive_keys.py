"""The keys of archives: whom they are encrypted to, and what decrypts them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jitsu_backup.archive import (
    decode,
    decrypt,
    encrypt,
    is_encrypted,
    key_mark,
    recipients_of_identities,
)
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.model import Snapshot
from jitsu_backup.store import Store, archives


@dataclass(frozen=True, slots=True, repr=False)
class ArchiveKeys:
    """Whom archives are encrypted to, and what decrypts them.

    `recipients` are age or SSH public keys, `identities` the contents of identity files. Without recipients and
    passphrase, archives are not encrypted.
    """

    recipients: Sequence[str] = ()
    identities: tuple[bytes, ...] = ()
    passphrase: str | None = None

    @property
    def seals(self) -> bool:
        """Whether archives are encrypted."""
        return bool(self.recipients) or self.passphrase is not None

    @property
    def mark(self) -> str | None:
        """The mark of the keys that archives are encrypted to, or None if they are not encrypted."""
        return key_mark(self.recipients) if self.seals else None

    def seal(self, data: bytes) -> bytes:
        """Return an archive encrypted, or unchanged if archives are not encrypted. Raise UsageError."""
        return encrypt(data, self.recipients, self.passphrase) if self.seals else data

    def open(self, data: bytes, like: Snapshot | None = None) -> Snapshot:
        """Read an archive, and decrypt it if necessary. `like` is a similar snapshot, which makes this faster.

        Raise IntegrityError, UsageError, AccessError.
        """
        return decode(self.unsealed(data), like)

    def unsealed(self, data: bytes) -> bytes:
        """Return an archive decrypted, or unchanged if it is not encrypted. Raise IntegrityError, UsageError, AccessError."""
        return decrypt(data, self.identities, self.passphrase) if is_encrypted(data) else data


async def keys_to_write(
    keys: ArchiveKeys, open_store: Callable[[], Store], *, decrypted: bool = False
) -> ArchiveKeys:
    """Return the keys for what a run writes into a store, so that nothing from encrypted archives gets there in plain text.

    If no recipient is given, these are the recipients of the given identities, provided that an archive was `decrypted`
    with them or the store has encrypted archives. Raise UsageError if no identity names its recipient, AccessError.
    """
    if keys.seals or not (decrypted or await _has_encrypted(open_store)) or not keys.identities:
        return keys
    recipients = recipients_of_identities(keys.identities)
    if not recipients:
        raise UsageError(
            "archives here are encrypted, but the recipient for this run's own archives is unknown, because only an age"
            " key names its recipient; add --encrypt-to RECIPIENT"
        )
    return ArchiveKeys(recipients, keys.identities)


async def _has_encrypted(open_store: Callable[[], Store]) -> bool:
    try:
        return any(archive.encrypted for archive in await archives(open_store()))
    except BackupError:  # reported when the store is written to
        return False
