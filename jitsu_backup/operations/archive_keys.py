"""The keys to archives: what they are encrypted to, and what opens them."""

from collections.abc import Sequence
from dataclasses import dataclass

from jitsu_backup.archive import decode, decrypt, encrypt, is_encrypted, key_mark
from jitsu_backup.model import Snapshot


@dataclass(frozen=True, slots=True, repr=False)
class ArchiveKeys:
    """What archives are encrypted to, and what opens them.

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
        """The mark of the keys that archives are encrypted to; None where they are not encrypted."""
        return key_mark(self.recipients) if self.seals else None

    def seal(self, data: bytes) -> bytes:
        """Return an archive encrypted, or as it is where archives are not encrypted. Raise UsageError."""
        return encrypt(data, self.recipients, self.passphrase) if self.seals else data

    def open(self, data: bytes, like: Snapshot | None = None) -> Snapshot:
        """Read an archive, decrypting it where necessary. `like` is one that was read before, which makes it faster.

        Raise IntegrityError, UsageError, AccessError.
        """
        return decode(decrypt(data, self.identities, self.passphrase) if is_encrypted(data) else data, like)
