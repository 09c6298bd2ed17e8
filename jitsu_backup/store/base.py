"""What every kind of store can do, and how an archive is put into one."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from jitsu_backup.archive import ArchiveName, of_listing, parse_name
from jitsu_backup.errors import BackupError
from jitsu_backup.store.control import is_control

QUARANTINE = "quarantine"
"""The folder, or part of the prefix, under a store where damaged archives are put aside. Nothing there is listed."""


class Store(Protocol):
    """A place for archives and the control files of `store.control`; anything else in it is left alone.

    Every name is one that `check_name` lets through.
    """

    @property
    def url(self) -> str:
        """Where it is, without credentials."""

    async def listing(self) -> dict[str, int]:
        """Return the size in bytes of every archive and control file by its name. Raise BackupError, AccessError.

        Only what is directly in the store counts, and an empty archive is none.
        """

    async def names(self) -> list[str]:
        """Give the names of all whole archives, sorted. Raises BackupError, AccessError."""

    async def read(self, name: str) -> bytes:
        """Give an archive or control file. Raises BackupError, AccessError."""

    async def create(self, name: str, data: bytes) -> bool:
        """Store bytes whole under a name that is free; tell whether it was. Raises BackupError, AccessError."""

    async def remove(self, name: str) -> None:
        """Remove an archive or control file; one that is gone already is no problem. Raises BackupError, AccessError."""

    async def quarantine(self, name: str) -> None:
        """Move an archive into QUARANTINE under the store, never over another. Raise BackupError, AccessError."""


async def keep(store: Store, archive: ArchiveName, data: bytes) -> None:
    """Store an archive, never over another, and read it back.

    One that is there already with the same bytes is no problem: a reply was lost, or two backups ran in
    the same second. Encrypted, equal content never is equal bytes; there the digest in the name speaks
    for it. Raises BackupError; then nothing of it is listed, or the message says so.
    """
    name = str(archive)
    created = await store.create(name, data)
    if not created and archive.encrypted:
        return
    try:
        found = await store.read(name)
    except BackupError as problem:
        became = (
            await _withdrawn(store, name) if created else f"{name} was there already and stays unverified"
        )
        raise problem.with_context(after=f"; {became}") from None
    if found == data:
        return
    if not created:
        raise BackupError(f"the store {store.url} has another archive named {name}; nothing was overwritten")
    damaged = f"the store {store.url} does not give back what was written"
    raise BackupError(f"{damaged}; {await _withdrawn(store, name)}")


async def _withdrawn(store: Store, name: str) -> str:
    """Remove what was just written and cannot be relied on; say what became of it."""
    try:
        await store.remove(name)
    except BackupError as problem:
        return f"{name} stays unverified, for it could not be removed: {problem}; remove it"
    return f"{name} was removed again"


async def archives(store: Store) -> list[ArchiveName]:
    """Give what a store has, newest first. Raises BackupError, AccessError."""
    return archives_in(await store.listing())


def archives_in(listing: Mapping[str, int]) -> list[ArchiveName]:
    """Return the archives of a listing, newest first; those of another size than their names say are `damaged`."""
    return of_listing(listing)


def exists(store: Store) -> bool:
    """Tell whether a store's folder is there; of other stores nothing is known."""
    folder: Path | None = getattr(store, "folder", None)
    return folder is None or folder.is_dir()


def check_name(name: str) -> None:
    """Raise BackupError for what is no name of an archive or control file; this keeps `..` and `/` out too."""
    if parse_name(name) is None and not is_control(name):
        raise BackupError(f"{name!r} is no archive name, and no control file of ours has it")


def is_listed(name: str, size: int) -> bool:
    """Tell whether a file of a store belongs into its listing.

    An archive does with something in it; an empty one only where its name says that there should be something, as damaged.
    """
    archive = parse_name(name)
    return is_control(name) or (archive is not None and (size > 0 or archive.size is not None))


def archive_names(listing: Iterable[str]) -> list[str]:
    """Return those names of a listing that are archives', sorted."""
    return sorted(name for name in listing if parse_name(name) is not None)
