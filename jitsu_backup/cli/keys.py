"""The keys to archives: whom they are encrypted to, and what opens them."""

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from jitsu_backup.archive import decode, decrypt, encrypt, is_encrypted, key_mark
from jitsu_backup.errors import AccessError, BackupError, UsageError
from jitsu_backup.model import Snapshot
from jitsu_backup.settings import Settings
from jitsu_backup.store import read_text_file


class Keys:
    """The keys that flags and settings name. Settings are read only where flags do not say all."""

    def __init__(self, options: Mapping[str, Any], settings: Callable[[], Settings]) -> None:
        self._options, self._settings = options, settings

    def check(self) -> None:
        """Raise UsageError for a recipient that is none."""
        if self.recipients:
            encrypt(b"", self.recipients)

    @cached_property
    def recipients(self) -> list[str]:
        """Whom archives are encrypted to, looked up once, so that names and bytes tell of the same. Raises UsageError."""
        given = self._options.get("encrypt_to") or self._settings().encrypt_to
        return [recipient for text in given for recipient in recipients_of(text)]

    def seal(self, data: bytes) -> bytes:
        """Encrypt an archive as flags and settings say; without any, give it as it is. Raises UsageError."""
        return encrypt(data, self.recipients, self.passphrase) if self.seals else data

    @cached_property
    def passphrase(self) -> str | None:
        """The passphrase for archives, looked up once: a password manager may ask."""
        secret = self._settings().passphrase()
        return None if secret is None else secret.reveal()

    @property
    def mark(self) -> str | None:
        """The mark of the keys that archives are encrypted to; None where they are not encrypted."""
        return key_mark(self.recipients) if self.seals else None

    @property
    def seals(self) -> bool:
        """Whether archives are encrypted."""
        return bool(self.recipients) or self.passphrase is not None

    @cached_property
    def identities(self) -> tuple[bytes, ...]:
        """The contents of the identity files. Raises UsageError, AccessError for one that may not be read."""
        paths = [str(path) for path in self._options.get("identity") or self._settings().identities]
        if any(path.upper().startswith("AGE-SECRET-KEY-") for path in paths):
            raise UsageError("an identity is named by its file; what was given is a key itself")
        try:
            return tuple(read_text_file(Path(path).expanduser()) for path in paths)
        except AccessError as problem:
            raise problem.with_context(before="an identity cannot be used: ") from None
        except BackupError as problem:
            raise UsageError(f"an identity cannot be used: {problem}") from None

    def open(self, data: bytes) -> Snapshot:
        """Read an archive, decrypting it where it has to be. Raises IntegrityError, UsageError, AccessError."""
        if is_encrypted(data):
            by_phrase = self.passphrase is not None and not self._options.get("identity")
            try:
                identities = self.identities
            except BackupError:
                if not by_phrase:
                    raise
                identities = ()  # the passphrase may do
            data = decrypt(data, identities, self.passphrase)
        return decode(data)


def recipients_of(text: str) -> list[str]:
    """Give the recipients that `text` is, or that the file of that name holds: one at least, or UsageError."""
    if text.startswith(("age1", "ssh-")):
        return [text]
    path = Path(text).expanduser()
    if not os.access(path, os.F_OK) or path.is_dir():
        return [text]
    try:
        lines = [line.strip() for line in read_text_file(path).decode().splitlines()]
    except BackupError as problem:
        raise UsageError(f"recipients: {problem}") from None
    except UnicodeDecodeError:
        raise UsageError(f"the file of recipients {text} is not UTF-8 text") from None
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise UsageError(f"the file of recipients {text} holds none, so nothing could be encrypted")
    return found
