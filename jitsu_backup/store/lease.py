"""Leases of workspaces: runs that share a store write into a workspace one after another.

A lease is a small numbered file in the store. A run takes it by creating the file with the next number, which only one
run can do, renews it with the number after that, and releases it by removing the file. The lease of a run that died
expires, or ends at once if its process is known to have ended.
"""

import asyncio
import getpass
import hashlib
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from jitsu_backup.errors import BackupError, BlockedError
from jitsu_backup.events import Notice, Reporter, silent
from jitsu_backup.model import shown_time
from jitsu_backup.store.base import Store
from jitsu_backup.store.control import LEASE, lease_name

LEASE_SECONDS = 120.0
"""How long a lease lasts after it was taken or renewed, in seconds."""

RENEW_SECONDS = 30.0
POLL_SECONDS = 2.0
TRIES = 20

CLOCK = timedelta(seconds=60)
"""The most that the clocks of two machines may differ. A lease of another machine lasts that much longer."""

FORMAT, VERSION = "jitsu-backup-lease", 1


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a lease: `name` for messages, `machine` and `process` to see whether it runs, and a unique `run`."""

    name: str
    machine: str
    process: int
    run: str


@dataclass(frozen=True, slots=True)
class _State:
    """The content of a lease file."""

    holder: Holder
    what: str
    since: datetime
    until: datetime

    def dump(self) -> bytes:
        return orjson.dumps(
            {
                "format": FORMAT,
                "version": VERSION,
                "holder": self.holder.name,
                "machine": self.holder.machine,
                "process": self.holder.process,
                "run": self.holder.run,
                "what": self.what,
                "since": self.since.isoformat(),
                "until": self.until.isoformat(),
            },
            option=orjson.OPT_INDENT_2,
        )


def this_process() -> Holder:
    """Return this process as a holder."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container may have no such user
        user = str(os.getuid())
    name = f"{user}@{socket.gethostname()}"
    return Holder(name, _machine(), os.getpid(), secrets.token_hex(8))


class Lease:
    """The right to write into one workspace.

    Take it, then use it as an asynchronous context manager, which renews it and releases it at the end.
    """

    def __init__(
        self,
        store: Store,
        workspace_id: str,
        what: str,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        holder: Holder | None = None,
        report: Reporter = silent,
        whole: str = "this workspace",
    ) -> None:
        """Prepare a lease; messages call its target `whole`. `now` is in UTC, `monotonic` and `sleep` use seconds."""
        self.store, self._workspace_id, self._what = store, workspace_id, what
        self._now, self._monotonic, self._sleep, self._report = now, monotonic, sleep, report
        self._holder, self._whole = holder or this_process(), whole
        self._since = now()
        self._number: int | None = None
        self._own: list[int] = []  # its number, and older ones that could not be deleted
        self._renewed = monotonic()
        self._renewing: asyncio.Task[None] | None = None
        self._busy = asyncio.Lock()

    async def take(self, *, wait: bool) -> bool:
        """Take the lease. With `wait`, wait until no other run has it. Return whether this had to wait.

        Raise BlockedError if another run has it, BackupError if the store cannot be used.
        """
        waited = False
        for _ in range(TRIES) if not wait else count():
            numbers = await self._numbers()
            running = await self._running(numbers)
            if running is None:
                if await self._advance(numbers):
                    return waited
                continue  # another run was first
            if not wait:
                raise BlockedError(
                    f"{_told(running, self._whole)}; nothing was written; wait for it with --wait"
                    f" (if that run died, its lease expires at {shown_time(running.until + CLOCK)} at the latest)"
                )
            if not waited:
                waited = True
                self._report(Notice(f"{_told(running, self._whole)}; waiting for it to end"))
            await self._sleep(POLL_SECONDS)
        raise BackupError(
            f"workspace {self._workspace_id} could not be locked, because other runs keep locking it; try again later"
        )

    async def held_by(self) -> str:
        """Return in words which other run has the lease, or an empty text. Raise BackupError, BlockedError."""
        running = await self._running(await self._numbers())
        return "" if running is None else _told(running, self._whole)

    def held(self) -> bool:
        """Return whether no other run can have taken the lease. A process that was suspended for long must stop."""
        return self._number is not None and self._monotonic() - self._renewed < LEASE_SECONDS

    async def release(self) -> None:
        """Release the lease. This never raises, because a lease that stays will expire."""
        if self._number is not None:
            with suppress(BackupError):
                await self._end()
            self._number = None

    async def __aenter__(self) -> Self:
        """Start to renew the lease."""
        self._renewing = asyncio.create_task(self._renew())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop renewing the lease, and release it."""
        if self._renewing is not None:
            async with self._busy:  # a renewal that is cancelled halfway would leave its file behind
                self._renewing.cancel()
            with suppress(asyncio.CancelledError):
                await self._renewing
        await self.release()

    async def _end(self) -> None:
        try:
            for number in self._own:
                await self.store.remove(lease_name(self._workspace_id, number))
        except BackupError:  # without permission to delete, write a last lease that has already expired
            await self._create(max(self._own) + 1, self._now() - CLOCK - timedelta(seconds=1))

    async def _renew(self) -> None:
        unrenewed = f"the lock of workspace {self._workspace_id} was not renewed"
        while self._number is not None:
            await self._sleep(RENEW_SECONDS)
            try:
                async with self._busy:
                    renewed = self.held() and await self._advance(self._own)
                if not renewed:
                    self._number = None
                    self._report(Notice(f"{unrenewed} in time; another run may have taken it"))
            except BackupError as problem:  # the next renewal may succeed
                self._report(Notice(f"{unrenewed}: {problem}"))

    async def _advance(self, known: list[int]) -> bool:
        """Create the file with the next number and remove the `known` ones. Return False if another run was first."""
        began, number = self._monotonic(), max(known, default=0) + 1
        if not await self._create(number, self._now() + timedelta(seconds=LEASE_SECONDS)):
            return False
        # if this run was slow, its number may be outdated
        first = set(await self._numbers()) <= {number, *known}
        self._own = [*known, number] if first else []
        for old in known if first else [number]:
            with suppress(BackupError):  # the store may not permit deletion
                await self.store.remove(lease_name(self._workspace_id, old))
                self._own = [one for one in self._own if one != old]
        if first:
            self._number, self._renewed = number, began
        return first

    async def _create(self, number: int, until: datetime) -> bool:
        state = _State(self._holder, self._what, self._since, until)
        return await self.store.create(lease_name(self._workspace_id, number), state.dump())

    async def _running(self, numbers: list[int]) -> _State | None:
        """Return the lease of another run that has not ended, or None."""
        return next((other for other in await self._others(numbers) if not self._is_over(other)), None)

    async def _others(self, numbers: list[int]) -> list[_State]:
        """Return the last lease of each run."""
        states = [await self._read(number) for number in sorted(numbers)]
        return list({state.holder.run: state for state in states if state is not None}.values())

    async def _numbers(self) -> list[int]:
        prefix = lease_name(self._workspace_id, 0).removesuffix("0.json")
        found = (LEASE.fullmatch(name) for name in await self.store.listing() if name.startswith(prefix))
        return [int(match["number"]) for match in found if match is not None]

    async def _read(self, number: int) -> _State | None:
        """Return a lease, or None if it was just renewed or released."""
        name = lease_name(self._workspace_id, number)
        try:
            data = await self.store.read(name)
        except BackupError:
            if number in await self._numbers():
                raise
            return None
        state = _parse(data)
        if state is None:
            raise BlockedError(
                f"the store {self.store.url} has a lock file that cannot be read; if no other run writes into workspace"
                f" {self._workspace_id}, remove {name}"
            )
        return state

    def _is_over(self, other: _State) -> bool:
        same_machine = bool(other.holder.machine) and other.holder.machine == self._holder.machine
        gone = same_machine and not _is_running(other.holder.process)
        return gone or self._now() > other.until + CLOCK


def _parse(data: bytes) -> _State | None:
    try:
        said: dict[str, Any] = orjson.loads(data)
        if said["format"] != FORMAT or said["version"] != VERSION:
            return None
        holder = Holder(str(said["holder"]), str(said["machine"]), int(said["process"]), str(said["run"]))
        since, until = (datetime.fromisoformat(said[name]) for name in ("since", "until"))
        if since.tzinfo is None or until.tzinfo is None:
            return None
        return _State(holder, str(said["what"]), since, until)
    except (ValueError, KeyError, TypeError):
        return None


def _told(other: _State, whole: str) -> str:
    return f"another run is writing into {whole}: {other.what} by {other.holder.name} since {shown_time(other.since)}"


def _machine() -> str:
    """Return an id of this machine's boot and process namespace, or an empty text if the system has none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116  the link has no target path
    except OSError:
        return ""
    return hashlib.sha256(f"{boot} {space}".encode()).hexdigest()[:16]


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's process, or not a process id
        return True
    return True
