"""A console with workspaces under the real limits, a watch over it, and how long each change takes into the store."""

import asyncio
import random
import statistics
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import httpx
import orjson

from jitsu_backup.archive import decode, parse_name
from jitsu_backup.cli.courier import Courier
from jitsu_backup.console import Console, Gates
from jitsu_backup.errors import BackupError
from jitsu_backup.operations.backup import BackupJob, WorkspaceAccess
from jitsu_backup.operations.backup_outcome import BackupRun
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.pace import HALF
from jitsu_backup.operations.save import SaveOptions
from jitsu_backup.operations.vanished_store import ExpectedStore
from jitsu_backup.operations.watch import Watch
from jitsu_backup.operations.watching import Standing, Surroundings, WatchEvent, WatchJob
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace
from jitsu_backup.sandbox.rate_limits import LIMITS
from jitsu_backup.sandbox.state import OWNER
from jitsu_backup.settings import SecretText
from jitsu_backup.store import FolderStore
from tests.support import OWNER as OWNER_KEY
from tests.virtual_time import VirtualLoop

HOST = "http://watched.example"
HOUR = 3_600.0

App = Callable[[Any, Any, Any], Awaitable[None]]


class TickingLoop(VirtualLoop):
    """A virtual clock that also moves a little whenever it is read: waits shorter than it can tell would never end."""

    def time(self) -> float:
        self.now += 1e-6
        return self.now


@dataclass(frozen=True, kw_only=True)
class _Connection(Connection):
    app: App
    loop: VirtualLoop

    def open(self) -> Console:
        transport = httpx.ASGITransport(self.app)
        return Console(
            self.host, self.key.reveal(), transport=transport, gates=self.gates, clock=self.loop.time,
            concurrency=self.concurrency, retry_for=self.retry_for, timeout=self.timeout,
            if_rejected=self.key.if_rejected,
        )  # fmt: skip


class Disk(FolderStore):
    """A folder on a disk that can be full, or not be there, and that notes when which change reached it."""

    def __init__(self, folder: str, clock: Callable[[], float]) -> None:
        super().__init__(folder)
        self.full = self.away = False
        self.clock, self.reached = clock, dict[tuple[str, int], float]()

    async def listing(self) -> dict[str, int]:
        if self.away:
            raise BackupError("the store is away")
        return await super().listing()

    async def create(self, name: str, data: bytes) -> bool:
        if self.full or self.away:
            raise BackupError("no space left on the device" if self.full else "the store is away")
        created = await super().create(name, data)
        archive = parse_name(name)
        if archive is not None:
            codes = (e.body["code"] for e in decode(data).entities if e.key.id.startswith("enrich-"))
            code = next(codes, "")
            self.reached[archive.workspace_id, _number(code)] = self.clock()
        return created


def _number(code: str) -> int:
    number = code.removeprefix("export default ")
    return int(number) if number.isdecimal() else 0


@dataclass
class Bench:
    """A console with some workspaces, a watch over all of them, and a person who changes functions."""

    loop: VirtualLoop
    folder: str
    count: int = 1
    latency: float = 0.05
    settle: float = 5.0
    events: list[WatchEvent] = field(default_factory=list)
    standings: list[Standing] = field(default_factory=list)
    runs: int = 0
    courier: Courier | None = None
    host: str = HOST
    key: str = OWNER_KEY

    def __post_init__(self) -> None:
        self.state = default_state(self.loop.time)
        self.state.workspaces.clear()
        for number in range(self.count):
            workspace = f"cworkspace000000000000{number:04d}"
            self.state.add_workspace(workspace, f"Team {number}", f"team-{number}", {OWNER.id: "owner"})
            example_workspace(self.state, workspace)
        self.sandbox = Sandbox(self.state, clock=self.loop.time)
        self.disk = Disk(self.folder, self.loop.time)
        self.down: Callable[[Any], int] = lambda _scope: 0
        """Returns the status with which a request is refused, 0 where it is answered, -1 where the connection breaks."""
        self.hangs: Callable[[Any], bool] = lambda _scope: False
        """Returns whether a request is never answered."""
        self.made: dict[tuple[str, int], float] = {}
        self.number = 0
        self.sent: list[float] = []

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.sent.append(self.loop.now)
        await asyncio.sleep(1e9 if self.hangs(scope) else self.latency)
        status = self.down(scope)
        if status < 0:
            raise httpx.ReadError("gone")
        if not status:
            self.sandbox.requests.clear()
            await self.sandbox.app(scope, receive, send)
            return
        body = {"error": "maintenance"} if status == 503 else {"message": "no"}
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": orjson.dumps(body)})

    def rest(self) -> None:
        """Let nothing have changed for long."""
        for rows in (self.state.workspaces, self.state.objects, self.state.links):
            for row in rows.values():
                row.updated_at = "2026-01-01T00:00:00.000Z"

    @cached_property
    def connection(self) -> Connection:
        gates = Gates(clock=self.loop.time, share=HALF)
        return _Connection(self.host, SecretText(self.key), app=self.app, loop=self.loop, gates=gates)

    def place(self, workspace: str) -> WorkspaceAccess:
        return WorkspaceAccess(self.connection, workspace)

    def watch(
        self, *places: WorkspaceAccess, needed: Callable[[tuple[str, str]], Iterable[str]] = lambda _: (),
        full_every: timedelta = timedelta(days=1), allow_unseen: tuple[str, ...] = ("*",), **options: Any,
    ) -> Watch:  # fmt: skip
        """Watch some places, of this console or another, or all workspaces of this one."""
        job = BackupJob(
            places or (WorkspaceAccess(self.connection),), not places, save=SaveOptions(if_changed=True),
            full_every=full_every, allow_unseen=allow_unseen,
        )  # fmt: skip
        around = Surroundings(
            store=self.disk, now=lambda: datetime.fromtimestamp(self.loop.now, UTC), monotonic=self.loop.time,
            expected=ExpectedStore(may_be_new=True), told=self.events.append, backed_up=self._backed_up,
            stands=self._stands, needed=needed,
        )  # fmt: skip
        return Watch(WatchJob(job, self.settle, **options), around)

    def _backed_up(self, run: BackupRun) -> None:
        self.runs += 1
        if self.courier is not None:
            self.courier.backed_up(run)

    def _stands(self, standing: Standing) -> None:
        self.standings.append(standing)
        if self.courier is not None:
            self.courier.go_on()

    def change(self, workspace: str | None = None) -> None:
        """Change the code of a function, as somebody does in the UI."""
        workspace = workspace or f"cworkspace000000000000{random.randrange(self.count):04d}"
        row = self.state.objects[f"enrich-{workspace[-4:]}"]
        self.number += 1
        row.config["code"], row.updated_at = f"export default {self.number}", self.state.now()
        self.made[workspace, self.number] = self.loop.now

    @property
    def delays(self) -> dict[tuple[str, int], float]:
        """How long each change took into the store, infinite for one that never came; what was overwritten came with the next."""
        found: dict[tuple[str, int], float] = {}
        for (workspace, number), made in self.made.items():
            arrivals = (
                at for (ours, n), at in self.disk.reached.items() if ours == workspace and n >= number
            )
            found[workspace, number] = min(arrivals, default=float("inf")) - made
        return found

    @property
    def most_in_a_minute(self) -> int:
        """The most requests that were sent in a minute of the console's."""
        counts: dict[int, int] = {}
        for at in self.sent:
            counts[int(at // 60)] = counts.get(int(at // 60), 0) + 1
        return max(counts.values())

    @property
    def per_minute(self) -> float:
        """The requests that were sent in a minute, on average."""
        return len(self.sent) * 60 / (self.sent[-1] - self.sent[0])


BUDGET = LIMITS["GET"] / 2


async def watched(
    bench: Bench, story: Callable[[], Awaitable[Any]], *places: WorkspaceAccess, **options: Any
) -> float:
    """Watch while a story lasts; return how many seconds the watch took to end."""
    stop = asyncio.Event()
    running = asyncio.ensure_future(bench.watch(*places, **options).run(stop))
    telling = asyncio.ensure_future(story())
    await asyncio.wait({running, telling}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        telling.cancel()
        running.result()
    await telling
    began = bench.loop.now
    stop.set()
    await running
    return bench.loop.now - began


async def killed(bench: Bench, seconds: float) -> None:
    """Watch for some seconds, then end as a process that is killed does."""
    running = asyncio.ensure_future(bench.watch().run(asyncio.Event()))
    await asyncio.wait({running}, timeout=seconds)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def median_and_worst(delays: dict[Any, float]) -> tuple[float, float]:
    return statistics.median(delays.values()), max(delays.values())
