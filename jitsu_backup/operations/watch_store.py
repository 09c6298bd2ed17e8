"""The store of a watch: listed for many backups at once, and retried after a pause when it fails."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from jitsu_backup.archive import parse_name, safe_text
from jitsu_backup.errors import BackupError
from jitsu_backup.operations.pace import backoff
from jitsu_backup.store import Store
from jitsu_backup.store.control import LEASE, MARKER, READING

LISTED_SECONDS = 5.0
"""How long backups may use a listing, together with what they write and remove themselves."""

LISTING_SECONDS = 300.0
"""How long the store may take to be listed."""

WRITING_SECONDS = 300.0
"""How long the store may take to write a file."""

Listing = dict[str, int]


class WatchedStore:
    """A store, what it holds by workspace, and whether it works.

    While it is `in_trouble`, one backup at a time tries it, at growing intervals.
    """

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        """Read nothing yet. `clock` returns seconds."""
        self.store, self._clock = store, clock
        self.held: dict[str, Listing] = {}
        """What it held when it was last listed, with later changes. `listings` counts the listings."""
        self._listed_at: float | None = None
        self._asking: asyncio.Task[None] | None = None
        self._meanwhile: dict[str, int | None] = {}
        """What was written (with its size) or removed (None) while the store was being listed."""
        self._tries = 0
        self.listings = 0
        self.retry_at = 0.0
        self.is_tried = False

    # -- whether it works --------------------------------------------------------------

    @property
    def in_trouble(self) -> bool:
        """Whether it has failed and nothing was written since."""
        return self._tries > 0

    @property
    def may_be_tried(self) -> bool:
        """Whether the store allows a backup to start."""
        return not self.in_trouble or (not self.is_tried and self._clock() >= self.retry_at)

    def is_tried_again(self) -> bool:
        """Note that a backup starts. Return whether it is the one that tries a store in trouble."""
        self.is_tried = self.in_trouble
        return self.in_trouble

    def fails(self, *, tried: bool) -> None:
        """Note that the store has failed. `tried` says that the backup that tried it found this out."""
        if tried or not self.in_trouble:
            self.retry_at = self._clock() + backoff(self._tries)
            self._tries += 1
        self._listed_at = None

    def does_well(self) -> None:
        """Note that the store works."""
        self._tries = 0

    # -- what it holds -----------------------------------------------------------------

    async def by_workspace(self) -> Mapping[str, Listing]:
        """Return what it holds by workspace id as in file names, and its marker as MARKER.

        Raise BackupError, AccessError.
        """
        is_old = self._listed_at is None or self._clock() - self._listed_at >= LISTED_SECONDS
        if self._asking is None and is_old:
            self._asking = asyncio.ensure_future(self._list())
            self._asking.add_done_callback(self._asked)
        if self._asking is not None:
            await asyncio.shield(self._asking)
        return self.held

    def notes(self, name: str, size: int | None) -> None:
        """Note that it now has a file of a size, or (with None) that it no longer has it."""
        self._meanwhile[name] = size
        own = self.held.setdefault(_owner(name), {})
        own.pop(name, None) if size is None else own.update({name: size})

    async def close(self) -> None:
        """Cancel what is still being read."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _list(self) -> None:
        began, held = self._clock(), defaultdict[str, Listing](dict)
        self._meanwhile.clear()
        try:
            async with asyncio.timeout(LISTING_SECONDS):
                listing = await self.store.listing()
        except TimeoutError:
            late = (
                f"the store {self.store.url} was not listed within {LISTING_SECONDS:.0f} s; check the store"
            )
            raise BackupError(late) from None
        for name, size in listing.items():
            held[_owner(name)][name] = size
        self.held, self._listed_at, self.listings = dict(held), began, self.listings + 1
        for name, known in [*self._meanwhile.items()]:
            self.notes(name, known)

    def _asked(self, task: asyncio.Task[None]) -> None:
        self._asking = None
        if not task.cancelled():
            task.exception()  # the caller that waits receives it


def _owner(name: str) -> str:
    archive = parse_name(name)
    if archive is not None:
        return archive.workspace_id
    control = LEASE.fullmatch(name) or READING.fullmatch(name)
    return MARKER if control is None else control["workspace"]


class View:
    """A store as one backup sees it: only the files of its `workspace_id`, or without one, everything.

    `problem` is why the store could not be listed or written, and `wrote` is whether anything was written.
    """

    def __init__(self, watched: WatchedStore, workspace_id: str | None = None) -> None:
        """Show what belongs to one workspace."""
        self._watched, self._store = watched, watched.store
        self._mine = None if workspace_id is None else safe_text(workspace_id) or "workspace"
        self.problem: BackupError | None = None
        self.wrote = False

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        return self._store.url

    @property
    def folder(self) -> Path | None:
        """Its folder, or None if it is not a folder."""
        return getattr(self._store, "folder", None)

    async def listing(self) -> Listing:
        """Return the sizes of what it sees, in bytes by name. Raise BackupError, AccessError."""
        try:
            held = await self._watched.by_workspace()
        except BackupError as problem:
            self.problem = problem
            raise
        if self._mine is None or MARKER not in held:  # before 0.6.0, only its archives show that it is in use
            return {name: size for own in held.values() for name, size in own.items()}
        return {**held[MARKER], **held.get(self._mine, {})}

    async def stamps(self) -> dict[str, str]:
        """Return a text for each archive, which differs after the archive is rewritten. Raise BackupError, AccessError."""
        seen = set(await self.names())
        return {name: stamp for name, stamp in (await self._store.stamps()).items() if name in seen}

    async def names(self) -> list[str]:
        """Return the names of the archives that it sees, sorted. Raise BackupError, AccessError."""
        return sorted(name for name in await self.listing() if parse_name(name) is not None)

    async def read(self, name: str) -> bytes:
        """Return the bytes of an archive or control file. Raise BackupError, AccessError."""
        return await self._store.read(name)

    async def create(self, name: str, data: bytes) -> bool:
        """Store bytes atomically. Return False if the name exists. Raise BackupError, AccessError."""
        try:
            async with asyncio.timeout(WRITING_SECONDS):
                created = await self._store.create(name, data)
        except TimeoutError:
            self.problem = BackupError(
                f"the store {self.url} did not store {name} within {WRITING_SECONDS:.0f} s; check the store"
            )
            raise self.problem from None
        except BackupError as problem:
            if not READING.fullmatch(
                name
            ):  # without one, the next backup merely reads the workspace completely
                self.problem = problem
            raise
        if created:
            self.wrote = True
            self._watched.notes(name, len(data))
        return created

    async def remove(self, name: str) -> None:
        """Remove an archive or control file if it exists. Raise BackupError, AccessError."""
        await self._store.remove(name)
        self._watched.notes(name, None)

    async def quarantine(self, name: str) -> None:
        """Move an archive to QUARANTINE. Raise BackupError, AccessError."""
        await self._store.quarantine(name)
        self._watched.notes(name, None)
