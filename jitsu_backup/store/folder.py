"""A folder as a store."""

import re
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from jitsu_backup.archive import parse_name
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.store.files import read_file, reason, write_new_file


class Store(Protocol):
    """What a place for archives can do; names are those of `archive.parse_name`."""

    @property
    def url(self) -> str:
        """Where it is, without credentials."""

    def names(self) -> list[str]:
        """Give the names of all whole archives, sorted. Raises BackupError."""

    def read(self, name: str) -> bytes:
        """Give an archive. Raises BackupError."""

    def write(self, name: str, data: bytes) -> None:
        """Store an archive whole, never over another. Raises BackupError."""

    def remove(self, name: str) -> None:
        """Remove an archive; one that is gone already is no problem. Raises BackupError."""


class FolderStore:
    """Archives in one folder. Every archive is written once and never overwritten."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    @property
    def url(self) -> str:
        """The folder's path."""
        return str(self.folder)

    def names(self) -> list[str]:
        """Give the names of all archives, sorted; unfinished and foreign files are not among them."""
        try:
            return sorted(path.name for path in self.folder.iterdir() if parse_name(path.name) is not None)
        except FileNotFoundError:
            return []
        except OSError as problem:
            raise BackupError(f"cannot list the store {self.folder}: {reason(problem)}") from None

    def read(self, name: str) -> bytes:
        """Read an archive. Raises BackupError."""
        _check_name(name)
        return read_file(self.folder / name)

    def write(self, name: str, data: bytes) -> None:
        """Store an archive whole. Raises BackupError; then nothing of it is there."""
        _check_name(name)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as problem:
            raise BackupError(f"cannot create the store {self.folder}: {reason(problem)}") from None
        written = write_new_file(self.folder / name, data)
        # encrypted, equal content is never equal bytes; there the digest in the name speaks for it
        if not written and not name.endswith(".age") and self.read(name) != data:
            raise BackupError(
                f"the store {self.folder} has another archive named {name}; nothing was overwritten"
            )

    def remove(self, name: str) -> None:
        """Remove an archive. Raises BackupError."""
        _check_name(name)
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as problem:
            raise BackupError(f"cannot remove {self.folder / name}: {reason(problem)}") from None


def open_store(url: str) -> FolderStore:
    """Open the store that `url` names: a path, or a file:// URL. Raises UsageError for others."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", url)
    if scheme is not None and scheme[1].lower() != "file":
        raise UsageError(f"store {scheme[0]}…: this version keeps archives in a folder only; give a path")
    path = url
    if scheme is not None:
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost"):
            raise UsageError("a file:// store has three slashes: file:///path/to/folder")
        path = unquote(parts.path)
    if not path:
        raise UsageError("the store has no path; give a folder, such as ./jitsu-backups")
    return FolderStore(path)


def _check_name(name: str) -> None:
    if parse_name(name) is None:  # this keeps `..` and `/` out too
        raise BackupError(f"{name!r} is no archive name")
