"""The interface of every store, and how an archive is put into one."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from jitsu_backup.archive import ArchiveName, archives_in, parse_name
from jitsu_backup.errors import BackupError
from jitsu_backup.store.control import is_control

QUARANTINE = "quarantine"
"""The folder in a store for damaged archives. Its content is not listed."""


class Store(Protocol):
    """A place for archives and the control files of `store.control`. Other files in it are never touched.

    `check_name` must accept every name.
    """

    @property
    def url(self) -> str:
        """Its address, without credentials."""

    async def listing(self) -> dict[str, int]:
        """Return the sizes of all archives and control files, in bytes by name. Raise BackupError, AccessError.

        Subfolders do not count, and neither do empty archives.
        """

    async def stamps(self) -> dict[str, str]:
        """Return a text for each archive, which differs after the archive is rewritten. Raise BackupError, AccessError."""

    async def names(self) -> list[str]:
        """Return the names of all archives, sorted. Raise BackupError, AccessError."""

    async def read(self, name: str) -> bytes:
        """Return the bytes of an archive or control file. Raise BackupError, AccessError."""

    async def create(self, name: str, data: bytes) -> bool:
        """Store bytes atomically. Return False if the name exists. Raise BackupError, AccessError."""

    async def remove(self, name: str) -> None:
        """Remove an archive or control file if it exists. Raise BackupError, AccessError."""

    async def quarantine(self, name: str) -> None:
        """Move an archive to QUARANTINE, never over another. Raise BackupError, AccessError."""


async def keep(store: Store, archive: ArchiveName, data: bytes) -> None:
    """Store an archive, never over another, and read it back.

    An existing archive with the same bytes is accepted: a reply was lost, or two backups ran in the same second.
    Encryption never gives the same bytes twice, so for encrypted archives the digest in the name suffices. Raise
    BackupError; then the archive is not listed, or the message says that it is.
    """
    name = str(archive)
    created = await store.create(name, data)
    if not created and archive.encrypted:
        return
    try:
        found = await store.read(name)
    except BackupError as problem:
        stays = f"{name} already existed and stays unverified"
        became = await _withdrawn(store, name) if created else stays
        raise problem.with_context(after=f"; {became}") from None
    if found == data:
        return
    if not created:
        raise BackupError(
            f"the store {store.url} has another archive named {name}; nothing was overwritten; use"
            " another store"
        )
    damaged = f"the store {store.url} returned other data than was written"
    raise BackupError(f"{damaged}; {await _withdrawn(store, name)}; check the store, then run this again")


async def _withdrawn(store: Store, name: str) -> str:
    """Remove an unreliable archive that was just written. Return the outcome in words."""
    try:
        await store.remove(name)
    except BackupError as problem:
        return f"{name} stays unverified, because it could not be removed: {problem}; remove it"
    return f"{name} was removed"


async def archives(store: Store) -> list[ArchiveName]:
    """Return the archives of a store, newest first. Raise BackupError, AccessError."""
    return archives_in(await store.listing())


def exists(store: Store) -> bool:
    """Return whether the folder of a store exists; True for other stores."""
    folder: Path | None = getattr(store, "folder", None)
    return folder is None or folder.is_dir()


def check_name(name: str) -> None:
    """Raise BackupError unless `name` is that of an archive or control file, and so has no `..` or `/`."""
    if parse_name(name) is None and not is_control(name):
        raise BackupError(
            f"{name!r} is not the name of an archive or of a control file of jitsu-backup; use another name"
        )


def is_listed(name: str, size: int) -> bool:
    """Return whether a store lists a file of `size` bytes.

    An empty archive is listed, as damaged, only if its name says that it should have a size.
    """
    archive = parse_name(name)
    return is_control(name) or (archive is not None and (size > 0 or archive.size is not None))


def archive_names(listing: Iterable[str]) -> list[str]:
    """Return the names of archives in a listing, sorted."""
    return sorted(name for name in listing if parse_name(name) is not None)
