"""A folder as a store. Files are synced to disk and readable only by their owner."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from jitsu_backup.archive import ENCRYPTED_SUFFIX, SUFFIX, parse_name
from jitsu_backup.errors import BackupError
from jitsu_backup.store.base import QUARANTINE, archive_names, check_name, is_listed
from jitsu_backup.store.files import (
    failure,
    make_folder,
    read_file,
    remove_leftovers,
    try_writing,
    write_new_file,
)


class FolderStore:
    """Archives and control files in one folder."""

    def __init__(self, folder: str) -> None:
        """Use a folder, which is created when needed."""
        self.folder = Path(folder)
        self._tidied = False

    @property
    def url(self) -> str:
        """The path of the folder, for messages."""
        return str(self.folder).encode(errors="replace").decode()

    async def listing(self) -> dict[str, int]:
        """Return the sizes of all archives and control files, in bytes by name. Raise BackupError."""
        return {name: found.st_size for name, found in self._found().items()}

    async def stamps(self) -> dict[str, str]:
        """Return a text for each archive, which differs after the archive is rewritten. Raise BackupError."""
        found = self._found()
        return {name: f"{found[name].st_size} {found[name].st_mtime_ns}" for name in archive_names(found)}

    async def names(self) -> list[str]:
        """Return the names of all archives, sorted, without unfinished, empty and foreign files. Raise BackupError."""
        return self.listed()

    def listed(self) -> list[str]:
        """Return the same as `names`, without awaiting. Raise BackupError."""
        return archive_names(self._found())

    def strangers(self) -> list[str]:
        """Return the names of files that look like archives but have no valid archive name, to warn about them."""
        with suppress(OSError), os.scandir(self.folder) as entries:
            alike = [e.name for e in entries if e.name.endswith((SUFFIX, ENCRYPTED_SUFFIX))]
            return sorted(name for name in alike if parse_name(name) is None)
        return []

    async def read(self, name: str) -> bytes:
        """Return the bytes of an archive or control file. Raise BackupError."""
        check_name(name)
        return read_file(self.folder / name)

    async def create(self, name: str, data: bytes) -> bool:
        """Store bytes atomically. Return False if the name exists. Raise BackupError; then nothing was stored."""
        check_name(name)
        try:
            make_folder(self.folder)
        except OSError as problem:
            raise failure(f"cannot create the store {self.folder}", problem) from None
        self._tidy()
        # without the name, which has a time, so that the reason is the same in each run
        return write_new_file(self.folder / name, data, self._unwritable)

    def try_out(self) -> int:
        """Write a file, remove it, and return how many bytes are free. The folder must exist. Raise BackupError."""
        try_writing(self.folder, self._unwritable)
        return shutil.disk_usage(self.folder).free

    @property
    def _unwritable(self) -> str:
        return f"cannot write into the store {self.url}"

    async def remove(self, name: str) -> None:
        """Remove an archive or control file, and unfinished files of killed runs. Raise BackupError."""
        check_name(name)
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as problem:
            raise failure(f"cannot remove {self.folder / name}", problem) from None
        self._tidy()

    async def quarantine(self, name: str) -> None:
        """Move an archive to QUARANTINE, never over another. Raise BackupError."""
        check_name(name)
        aside = self.folder / QUARANTINE
        try:
            aside.mkdir(mode=0o700, exist_ok=True)
            if (aside / name).exists():
                there = f"{aside / name} already exists"
                raise BackupError(f"cannot quarantine {name}: {there}; remove one of them")
            (self.folder / name).rename(aside / name)
        except OSError as problem:
            raise failure(f"cannot quarantine {self.folder / name}", problem) from None

    def _found(self) -> dict[str, os.stat_result]:
        """Return the status of all archives and control files, by name. Raise BackupError."""
        try:
            with os.scandir(self.folder) as entries:
                found = {entry.name: there for entry in entries if (there := _stat(entry)) is not None}
        except FileNotFoundError:
            return {}
        except OSError as problem:
            raise failure(f"cannot list the store {self.folder}", problem) from None
        return {name: there for name, there in found.items() if is_listed(name, there.st_size)}

    def _tidy(self) -> None:
        if not self._tidied:  # only once, because it reads the whole folder
            self._tidied = True
            remove_leftovers(self.folder)


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return the status of a file, or None for anything else, such as a folder, which must not count as a backup."""
    try:
        return entry.stat() if entry.is_file() else None
    except OSError:  # a broken link, or a file that was just removed
        return None
