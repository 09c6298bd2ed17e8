"""Encryption of archives with age, interchangeable with the `age` command."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from jitsu_backup.addresses import without_secrets
from jitsu_backup.archive.filename import BY_PHRASE
from jitsu_backup.errors import EMPTY_IN_CI, IntegrityError, LockedError, NoKeyError, UsageError

_BINARY, _ARMOUR = b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----"
_BY_PASSPHRASE = re.compile(rb"[^\n]*\n-> scrypt [^ \n]{1,64} (\d{1,9})\n")

_TOO_SLOW = "Excessive work"
"""What age says if decrypting would take too long on this machine."""

_DAMAGED = "the encrypted archive is damaged or truncated; use another archive"

MAX_WORK = 20
"""The largest accepted work factor of a passphrase, as a power of two. 20 takes 1 GiB of memory and some seconds."""


def is_encrypted(data: bytes) -> bool:
    """Return whether `data` is an age file."""
    return data.startswith((_BINARY, _ARMOUR))


def encrypt(data: bytes, recipients: Sequence[str] = (), passphrase: str | None = None) -> bytes:
    """Encrypt to recipients (`age1…` or SSH public keys), or without any, with a passphrase.

    Raise UsageError for a malformed recipient.
    """
    import pyrage  # noqa: PLC0415  a compiled module, and most runs do not need it

    if not recipients and passphrase:
        return bytes(pyrage.passphrase.encrypt(data, passphrase))
    return bytes(pyrage.encrypt(data, [_recipient(pyrage, text) for text in recipients]))


def decrypt(data: bytes, identities: Iterable[bytes] = (), passphrase: str | None = None) -> bytes:
    """Decrypt with the contents of identity files (age or OpenSSH private keys), or with a passphrase.

    One matching identity of several is enough. Raise NoKeyError for missing or malformed identities, LockedError if none
    of them matches, IntegrityError for damaged data.
    """
    import pyrage  # noqa: PLC0415  as above

    if data.startswith(_ARMOUR):
        data = _without_armour(data)
    phrase = _BY_PASSPHRASE.match(data)
    by_passphrase = phrase is not None
    if phrase is not None and int(phrase[1]) > MAX_WORK:
        raise IntegrityError(
            f"the archive was encrypted with a work factor of {int(phrase[1])}, above the limit of {MAX_WORK}; decrypt it"
            " with age -d"
        )
    known, useless = [], ""
    for text in () if by_passphrase else identities:
        try:
            known += identities_in(text)
        except UsageError as problem:
            useless = str(problem)
    if by_passphrase and not passphrase:
        raise NoKeyError("the archive is encrypted with a passphrase; set JITSU_BACKUP_PASSPHRASE")
    if not by_passphrase and not known:
        raise NoKeyError(
            useless
            or "the archive is encrypted, and no key was given; give --identity FILE, or set JITSU_BACKUP_IDENTITY"
        )
    try:
        return _by_passphrase(data, passphrase or "") if by_passphrase else bytes(pyrage.decrypt(data, known))
    except pyrage.DecryptError as problem:
        locked = "the archive cannot be decrypted: "
        if by_passphrase and "Decryption failed" in str(problem):
            remedy = "set JITSU_BACKUP_PASSPHRASE to the one that it was encrypted with"
            raise LockedError(f"{locked}the passphrase is wrong; {remedy}") from None
        if _TOO_SLOW in str(problem):
            raise LockedError(
                f"{locked}its passphrase takes more work than this machine can do now; "
                "run it again when the machine is less busy, or decrypt the file with age -d"
            ) from None
        if "No matching keys" in str(problem):
            to = "other identities" + (f" ({useless})" if useless else "")
            raise LockedError(
                f"{locked}it was encrypted to {to}; give one of them with --identity FILE"
            ) from None
        raise IntegrityError(_DAMAGED) from None


def _by_passphrase(data: bytes, passphrase: str) -> bytes:
    import pyrage  # noqa: PLC0415  as above

    tries = 3  # each measures the machine's speed again, and a busy machine seems slow
    while True:
        tries -= 1
        try:
            return bytes(pyrage.passphrase.decrypt(data, passphrase))
        except pyrage.DecryptError as problem:
            if not tries or _TOO_SLOW not in str(problem):
                raise


def _recipient(pyrage: Any, text: str) -> Any:
    if text.strip().upper().startswith("AGE-SECRET-KEY-") or "PRIVATE KEY" in text:
        raise UsageError("a recipient is a secret key; give its public key instead")
    kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
    try:
        return kind.Recipient.from_str(text.strip())
    except (pyrage.RecipientError, UnicodeEncodeError):
        raise UsageError(
            f"{without_secrets(text)[:24]!r} is not a recipient; write age1…, an SSH public key (ed25519 or rsa), or a file of these"
        ) from None


def identities_in(text: bytes) -> list[Any]:
    """Return the private keys in the content of an identity file, at least one. Raise UsageError."""
    import pyrage  # noqa: PLC0415  as above

    if not text.strip():
        raise UsageError(
            f"the identity file is empty; write the private key into it, AGE-SECRET-KEY-1… ({EMPTY_IN_CI})"
        )
    if is_encrypted(text):
        raise UsageError("the identity file is encrypted; decrypt it first with age -d")
    if b"PRIVATE KEY-----" in text:
        try:
            return [pyrage.ssh.Identity.from_buffer(text)]
        except pyrage.IdentityError:
            raise UsageError(
                "the SSH identity cannot be used; give an ed25519 or rsa key without a passphrase"
            ) from None
    found = []
    for line in text.decode(errors="replace").splitlines():
        with suppress(pyrage.IdentityError):  # a comment, or a key of a plugin
            found.append(pyrage.x25519.Identity.from_str(line.strip()))
    if not found:
        raise UsageError(
            "the identity file has no identity; give a file with AGE-SECRET-KEY-1… lines, or an OpenSSH private key"
        )
    return found


def new_identity() -> tuple[str, str]:
    """Return a new age key: the private one, which is a secret, and its recipient."""
    import pyrage  # noqa: PLC0415  as above

    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def recipients_of_identities(identities: Iterable[bytes]) -> list[str]:
    """Return the recipients of the age keys in the contents of identity files. SSH private keys are skipped."""
    import pyrage  # noqa: PLC0415  as above

    known: list[Any] = []
    for text in identities:
        with suppress(UsageError):  # another one may be usable
            known += identities_in(text)
    return [str(one.to_public()) for one in known if isinstance(one, pyrage.x25519.Identity)]


def key_mark(recipients: Sequence[str]) -> str:
    """Return the mark of an archive that is encrypted to `recipients`, or without any, with a passphrase.

    It shows whether two archives need the same keys, and reveals nothing about the keys.
    """
    if not recipients:
        return BY_PHRASE
    plain = sorted(" ".join(text.split()[:2]) for text in recipients)  # without an SSH key's comment
    return f"key-{hashlib.sha256(chr(10).join(plain).encode()).hexdigest()[:6]}"


def _without_armour(data: bytes) -> bytes:
    body = data.strip().partition(b"\n")[2].rpartition(b"\n")[0]
    try:
        return base64.b64decode(body.translate(None, b"\r\n"), validate=True)
    except binascii.Error:
        raise IntegrityError(_DAMAGED) from None
