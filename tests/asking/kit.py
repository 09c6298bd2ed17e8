"""A workspace on a console with a clock of its own, backed up from machines with theirs, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson

from jitsu_backup.archive import archives_in, decode
from jitsu_backup.console import Console, Gates
from jitsu_backup.console.reader import read_workspace
from jitsu_backup.events import Reporter, silent
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.backup import Backup, BackupJob, WorkspaceAccess
from jitsu_backup.operations.backup_outcome import BackupRun, WorkspaceOutcome
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.save import Saved, SaveOptions
from jitsu_backup.operations.vanished_store import ExpectedStore
from jitsu_backup.sandbox import Generation, Sandbox, default_state, example_workspace
from jitsu_backup.sandbox.state import State
from jitsu_backup.settings import SecretText
from jitsu_backup.store import FolderStore, Store
from jitsu_backup.store.control import READING
from tests.support import OWNER, STAGING
from tests.virtual_time import VirtualLoop, run_virtually

HOST = "http://console.example"
DAY, HOUR = 86_400.0, 3_600.0
REST = 120.0
"""Seconds after which what was written last can be asked about."""

App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class _Connection(Connection):
    app: App
    loop: VirtualLoop

    def open(self) -> Console:
        transport = httpx.ASGITransport(self.app)
        key = self.key.reveal()
        return Console(self.host, key, transport=transport, gates=self.gates, clock=self.loop.time)


@dataclass
class World:
    """A console, a store, and the machines that back up. Clocks are in seconds ahead of the loop's."""

    store: Store
    generation: Generation = Generation.JULY_2026
    console_ahead: float = 0.0
    ours_ahead: float = 0.0
    latency: Callable[[], float] = lambda: 0.004
    loop: VirtualLoop = field(default_factory=VirtualLoop)

    def __post_init__(self) -> None:
        self.sandbox = Sandbox(
            default_state(lambda: self.loop.now + self.console_ahead, self.generation), rate_limit=False
        )
        self.state = self.sandbox.state
        example_workspace(self.state, STAGING)
        self.app: App = self.sandbox.app
        self.told: list[object] = []

    async def _late(self, scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(self.latency())
        await self.app(scope, receive, send)

    async def backup(
        self,
        *,
        host: str = HOST,
        key: str = OWNER,
        full_every: float | None = DAY,
        ahead: float | None = None,
        keys: ArchiveKeys | None = None,
        store: Store | None = None,
        everything: bool = True,
        report: Reporter = silent,
        expected: ExpectedStore | None = None,
        operator: str | None = None,
        job: dict[str, Any] | None = None,
        **save: Any,
    ) -> BackupRun:
        """Run `backup --if-changed`, by a machine whose clock is `ahead` of the loop's."""
        ahead = self.ours_ahead if ahead is None else ahead
        connection = _Connection(
            host, SecretText(key), gates=Gates(clock=self.loop.time), app=self._late, loop=self.loop
        )
        operators = None if operator is None else replace(connection, key=SecretText(operator))
        keys = keys or ArchiveKeys()
        options = SaveOptions(**{"if_changed": True, "key": keys.mark, **save})
        wanted = BackupJob(
            (WorkspaceAccess(connection, None if everything else "acme-staging", operators),), everything, save=options,
            plaintext=operator is not None,
            full_every=None if full_every is None else timedelta(seconds=full_every), allow_unseen=("*",),
            **(job or {}),
        )  # fmt: skip
        backup = Backup(
            wanted, store or self.store, keys, report, monotonic=self.loop.time,
            now=lambda: datetime.fromtimestamp(self.loop.now + ahead, UTC), expected=expected or ExpectedStore(may_be_new=True),
        )  # fmt: skip
        return await backup.run()

    async def was_read(self, **options: Any) -> bool:
        """Back up; return whether the workspace was read, as it must be in any doubt."""
        outcome = await self.outcome(**options)
        assert outcome.failure is None, outcome.failure
        return outcome.unchanged is None

    async def outcome(self, **options: Any) -> WorkspaceOutcome:
        """Back up; return how the workspace's backup ended."""
        run = await self.backup(**options)
        return next(one for one in run.outcomes if one.label == "acme-staging")

    async def saved(self, **options: Any) -> Saved:
        """Back up; return what became of the workspace, which is read."""
        outcome = await self.outcome(**options)
        assert outcome.saved is not None
        return outcome.saved

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send the console a request as an owner, below the path of the workspace."""
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
            content = None if body is None else orjson.dumps(body)
            path = f"/api/{STAGING}/{path}"
            answer = await client.request(
                method, path, content=content, headers={"Authorization": f"Bearer {OWNER}"}
            )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def there(self) -> Snapshot:
        """Return the workspace as it is."""
        transport = httpx.ASGITransport(self.app)
        async with Console(HOST, OWNER, transport=transport, clock=self.loop.time) as console:
            return await read_workspace(
                console, STAGING, now=lambda: datetime.fromtimestamp(self.loop.now, UTC)
            )

    async def stored(self) -> Snapshot:
        """Return what the newest archive of the store holds."""
        newest = next(a for a in archives_in(await self.store.listing()) if a.workspace_id == STAGING)
        return decode(await self.store.read(str(newest)))


async def is_up_to_date(world: World) -> bool:
    """Return whether the newest archive holds what the workspace has."""
    there, stored = await world.there(), await world.stored()
    return (there.entities, there.cursors) == (stored.entities, stored.cursors)


def at_rest(world: World, story: Callable[[World], Awaitable[Any]]) -> Any:
    """Tell a story that begins an hour after a workspace at rest was read whole."""

    async def told() -> Any:
        await asyncio.sleep(REST)
        assert await world.was_read()
        await asyncio.sleep(HOUR)
        return await story(world)

    return run_virtually(told(), world.loop)


def world_in(folder: Path, **options: Any) -> World:
    """Return a world whose store is a folder."""
    return World(FolderStore(str(folder)), **options)


def with_console(world: World, change: Callable[[Any], Any]) -> None:
    """Let `change` take a scope and return another answer of the console (status, JSON or bytes), or None."""
    real = world.app

    async def app(scope: Any, receive: Any, send: Any) -> None:
        answer = change(scope)
        if answer is None:
            await real(scope, receive, send)
            return
        status, body = answer
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    world.app = app


def readings(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if READING.fullmatch(path.name))


def archives(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*.{STAGING}.*.json.gz"))


def readings_of(folder: Path) -> list[Path]:
    return [path for path in readings(folder) if STAGING in path.name]


FUNCTION = {"id": "new-1", "name": "New", "code": "export default 1"}


async def create(world: World) -> None:
    await world.ask("POST", "config/function", FUNCTION)


async def move_cursor(world: World) -> None:
    sync = next(iter(world.state.sync_states))
    await world.ask("POST", f"sources/state?syncId={sync}&stream=public.users", {"cursor": "2026-02-02"})


def long_ago(state: State) -> None:
    """Let nothing have changed for long."""
    for rows in (state.workspaces, state.objects, state.links):
        for row in rows.values():
            row.updated_at = "2026-01-01T00:00:00.000Z"
