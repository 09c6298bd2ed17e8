"""age around an archive: bytes in, bytes out. What `age -d` reads, we read, and the other way round."""

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Any

from jitsu_backup.errors import IntegrityError, UsageError

_BINARY, _ARMOUR = b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----"
_BY_PASSPHRASE = b"\n-> scrypt "


def is_encrypted(data: bytes) -> bool:
    """Tell whether `data` is an age file."""
    return data.startswith((_BINARY, _ARMOUR))


def encrypt(data: bytes, recipients: Sequence[str] = (), passphrase: str | None = None) -> bytes:
    """Encrypt to recipients (`age1…` or SSH public keys), or with a passphrase where there are none.

    Raises UsageError for a recipient that is none.
    """
    import pyrage  # noqa: PLC0415  a compiled module, and most runs do not need it

    if not recipients and passphrase:
        sealed: bytes = pyrage.passphrase.encrypt(data, passphrase)
    else:
        sealed = pyrage.encrypt(data, [_recipient(pyrage, text) for text in recipients])
    return sealed


def decrypt(data: bytes, identities: Iterable[bytes] = (), passphrase: str | None = None) -> bytes:
    """Decrypt with the contents of identity files (age or OpenSSH private keys), or with a passphrase.

    Raises IntegrityError, UsageError for an identity file that holds none.
    """
    import pyrage  # noqa: PLC0415  as above

    known = [key for text in identities for key in _identities(pyrage, text)]
    if data.startswith(_ARMOUR):
        data = _without_armour(data)
    by_passphrase = _BY_PASSPHRASE in data[:200]
    if by_passphrase and not passphrase:
        raise IntegrityError("the archive is encrypted with a passphrase: set JITSU_BACKUP_PASSPHRASE")
    if not by_passphrase and not known:
        raise IntegrityError(
            "the archive is encrypted with age: give --identity FILE, or decrypt it with age -d"
        )
    try:
        opened: bytes = (
            pyrage.passphrase.decrypt(data, passphrase) if by_passphrase else pyrage.decrypt(data, known)
        )
    except pyrage.DecryptError as problem:
        if by_passphrase and "Decryption failed" in str(problem):
            raise IntegrityError("the archive cannot be decrypted: the passphrase is another one") from None
        if "No matching keys" in str(problem):
            raise IntegrityError(
                "the archive cannot be decrypted: it was encrypted to other identities"
            ) from None
        raise IntegrityError("the encrypted archive is damaged or cut short; take another archive") from None
    return opened


def _recipient(pyrage: Any, text: str) -> Any:
    if text.strip().upper().startswith("AGE-SECRET-KEY-") or "PRIVATE KEY" in text:
        raise UsageError("a secret key is no recipient: give the public key that belongs to it")
    kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
    try:
        return kind.Recipient.from_str(text.strip())
    except pyrage.RecipientError:
        raise UsageError(
            f"{text[:24]!r} is no recipient: write age1…, an SSH public key (ed25519 or rsa), or a file of these"
        ) from None


def _identities(pyrage: Any, text: bytes) -> list[Any]:
    if b"PRIVATE KEY-----" in text:
        try:
            return [pyrage.ssh.Identity.from_buffer(text)]
        except pyrage.IdentityError:
            raise UsageError(
                "the SSH identity cannot be used: ed25519 or rsa, without a passphrase"
            ) from None
    lines = [line.strip() for line in text.decode(errors="replace").splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    try:
        found = [pyrage.x25519.Identity.from_str(line) for line in keys]
    except pyrage.IdentityError:
        found = []
    if not found:
        raise UsageError("an identity file holds AGE-SECRET-KEY-1… lines, or an OpenSSH private key")
    return found


def _without_armour(data: bytes) -> bytes:
    lines = data.strip().splitlines()
    try:
        return base64.b64decode(b"".join(lines[1:-1]), validate=True)
    except binascii.Error:
        raise IntegrityError("the encrypted archive is damaged or cut short; take another archive") from None
