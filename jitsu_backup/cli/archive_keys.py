"""The keys to archives that flags and settings name."""

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from jitsu_backup.archive import encrypt, identities_in, is_encrypted
from jitsu_backup.cli.paths import home_folder
from jitsu_backup.errors import AccessError, BackupError, UsageError
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.settings import Settings, expand
from jitsu_backup.store import read_text_file


class NamedArchiveKeys(ArchiveKeys):
    """The keys that flags and settings name, each looked up once, when it is first needed.

    Settings are read only if the flags do not say everything.
    """

    _options: Mapping[str, Any]
    _settings: Callable[[], Settings]
    decrypted: bool
    """Whether an encrypted archive was read."""

    def __init__(self, options: Mapping[str, Any], settings: Callable[[], Settings]) -> None:
        """Look nothing up yet; `options` are those of the command line."""
        vars(self).update(
            _options=options, _settings=settings, decrypted=False
        )  # the class is frozen, like its base

    def check(self) -> None:
        """Raise UsageError, with the setting or the flag, for an invalid recipient."""
        try:
            if self.recipients:
                encrypt(b"", self.recipients)
        except UsageError as problem:
            raise problem.with_context(before=self._where) from None

    @property
    def _where(self) -> str:
        """Where recipients are named, to begin a message with."""
        if self._options.get("encrypt_to"):
            return "--encrypt-to: "
        if "JITSU_BACKUP_ENCRYPT_TO" in os.environ:
            return "JITSU_BACKUP_ENCRYPT_TO: "
        return f"{of_file(self._settings().file)}encrypt_to: "

    @cached_property
    def recipients(self) -> list[str]:
        """The recipients that archives are encrypted to. Raise UsageError."""
        given = self._options.get("encrypt_to") or self._settings().encrypt_to
        return [recipient for text in given for recipient in recipients_of(text)]

    @cached_property
    def passphrase(self) -> str | None:  # a password manager may prompt
        """The passphrase for archives."""
        secret = self._settings().passphrase()
        return None if secret is None else secret.reveal()

    @cached_property
    def identities(self) -> tuple[bytes, ...]:
        """The contents of the identity files. Raise UsageError, or AccessError for one that may not be read."""
        paths = [str(path) for path in self._options.get("identity") or self._settings().identities]
        if not all(path.strip() for path in paths):
            raise UsageError("JITSU_BACKUP_IDENTITY is empty; set it to a file, or unset it")
        if any(path.upper().startswith("AGE-SECRET-KEY-") for path in paths):
            raise UsageError(
                "--identity takes a file, but a key itself was given; write the key to a file and name that"
            )
        try:
            return tuple(read_text_file(Path(expand(path, home_folder()))) for path in paths)
        except AccessError as problem:
            raise problem.with_context(before="an identity cannot be used: ") from None
        except BackupError as problem:
            raise UsageError(f"an identity cannot be used: {problem}") from None

    def check_identities(self) -> None:
        """Raise UsageError, AccessError if identities are named and none of them can be used."""
        if self.passphrase is not None and not self._options.get("identity"):  # it may be enough
            return
        useless: UsageError | None = None
        for text in self.identities:
            try:
                identities_in(text)
            except UsageError as problem:
                useless = problem
            else:
                return
        if useless is not None:
            raise useless

    def open(self, data: bytes, like: Snapshot | None = None) -> Snapshot:
        """Read an archive. Raise IntegrityError, UsageError, AccessError."""
        vars(self).update(decrypted=self.decrypted or is_encrypted(data))
        if is_encrypted(data) and self.passphrase is not None and not self._options.get("identity"):
            try:
                _ = self.identities
            except BackupError:  # the passphrase may be enough
                return ArchiveKeys(passphrase=self.passphrase).open(data, like)
        return super().open(data, like)


def of_file(path: Path | None) -> str:
    """Return the name of a settings file, to begin a message about one of its settings with."""
    return "" if path is None else f"settings file {path}: "


def recipients_of(text: str) -> list[str]:
    """Return the recipient `text`, or the recipients in the file of that name. Raise UsageError if it has none."""
    if text.startswith(("age1", "ssh-")):
        return [text]
    path = Path(expand(text, home_folder()))
    if not os.access(path, os.F_OK) or path.is_dir():
        return [text]
    try:
        lines = [line.strip() for line in read_text_file(path).decode().splitlines()]
    except BackupError as problem:
        raise UsageError(f"recipients: {problem}") from None
    except UnicodeDecodeError:
        raise UsageError(f"the recipients file {text} is not UTF-8 text; save it as UTF-8") from None
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise UsageError(
            f"the recipients file {text} contains no recipient, so nothing can be encrypted; add one"
        )
    return found
