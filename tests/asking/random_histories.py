"""Random histories of a workspace: writes at any moment, commits that come late, clocks and stores that misbehave.

After each interleaving, the newest archive of the store holds what the workspace has.
"""

import asyncio
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from jitsu_backup.store.control import READING
from tests.asking.kit import STAGING, World, is_up_to_date, world_in
from tests.virtual_time import run_virtually

LATEST = 30.0
"""Seconds after its time stamp at which the console commits a change at the latest."""

YEARS = 10 * 365 * 86_400.0

Write = Callable[["History"], Awaitable[None]]


@dataclass
class History:
    """One workspace with its random number generator; `made` counts what happened, `read` how often it was read."""

    world: World
    random: random.Random
    folder: Path
    number: int = 0
    made: Counter[str] = field(default_factory=Counter)

    @property
    def functions(self) -> list[str]:
        """The ids of the functions that can be written."""
        return [
            row.id for row in self.world.state.live_objects(STAGING, "function") if "kind" not in row.config
        ]


async def create(history: History) -> None:
    history.number += 1
    body = {"id": f"fn-{history.number}", "name": f"Function {history.number}", "code": "export default 1"}
    await history.world.ask("POST", "config/function", body)


async def change(history: History) -> None:
    if history.functions:
        history.number += 1
        one = history.random.choice(history.functions)
        await history.world.ask(
            "PUT", f"config/function/{one}", {"id": one, "code": f"export default {history.number}"}
        )


async def put_the_same(history: History) -> None:
    if history.functions:
        one = history.random.choice(history.functions)
        await history.world.ask("PUT", f"config/function/{one}", {"id": one})


async def delete(history: History) -> None:
    if history.functions:
        await history.world.ask("DELETE", f"config/function/{history.random.choice(history.functions)}")


async def connect(history: History) -> None:
    batch = history.random.randrange(1, 60)
    link = {
        "type": "push",
        "fromId": "server-0001",
        "toId": "hook-0001",
        "data": {"mode": "batch", "frequency": batch},
    }
    await history.world.ask("PUT", "config/link", link)


async def disconnect(history: History) -> None:
    await history.world.ask("DELETE", "config/link?fromId=server-0001&toId=hook-0001")


async def move_cursor(history: History) -> None:
    history.number += 1
    sync = next(r.id for r in history.world.state.live_links(STAGING) if "public.users" in str(r.data))
    cursor = history.random.choice([{"cursor": history.number}, {}])
    await history.world.ask("POST", f"sources/state?syncId={sync}&stream=public.users", cursor)


async def build(history: History) -> None:
    history.number += 1
    moment = "2026-01-01T00:00:00.000Z"
    builder = {
        "id": history.random.choice(["pb-1", "pb-2"]), "name": f"Builder {history.number}", "workspaceId": STAGING,
        "version": 1, "createdAt": moment, "updatedAt": moment, "intermediateStorageCredentials": {},
        "connectionOptions": {},
    }  # fmt: skip
    row = history.world.state.builders.get(builder["id"])
    if row is None or not row.deleted:
        await history.world.ask(
            "POST", "config/profile-builder", {"profileBuilder": builder, "code": "export default 1"}
        )


async def tear_down(history: History) -> None:
    await history.world.ask("DELETE", "config/profile-builder?id=pb-2")


async def rename(history: History) -> None:
    history.number += 1
    row = history.world.state.workspaces[STAGING]
    row.name, row.updated_at = f"Acme {history.number}", history.world.state.now()


WRITES: tuple[Write, ...] = (
    create, change, change, put_the_same, delete, connect, disconnect, move_cursor, build, tear_down, rename,
)  # fmt: skip


async def misfortune(history: History) -> None:
    """Let a clock or the store misbehave, as far as backups have to bear it."""
    world, draw = history.world, history.random
    kind = draw.choice(
        [
            "drift",
            "console's clock",
            "console years ahead",
            "our clock",
            "reading lost",
            "reading damaged",
            "archive lost",
            "copy",
        ]
    )
    history.made[kind] += 1
    readings = [path for path in history.folder.iterdir() if READING.fullmatch(path.name)]
    copy = history.folder.with_name("copy")
    if kind == "drift":
        world.ours_ahead += draw.uniform(0, 10)  # one that goes back makes no archive that is the newest
    elif kind == "console's clock":
        world.console_ahead -= draw.choice([1.0, 20.0, 45.0, 600.0, 7_200.0])
    elif kind == "console years ahead":  # for one backup
        world.console_ahead += YEARS
        await backed_up(history)
        world.console_ahead -= YEARS
    elif kind == "our clock":
        world.ours_ahead += draw.choice([25.0, 600.0, 7_200.0])
    elif kind == "reading lost":
        for path in readings:
            path.unlink()
    elif kind == "reading damaged":
        for path in readings:
            path.write_bytes(path.read_bytes()[: draw.randrange(200)])
    elif kind == "archive lost":
        newest = max(history.folder.glob(f"*.{STAGING}.*.json.gz"), key=lambda path: path.name.split(".")[2])
        newest.unlink()
    elif copy.exists():
        shutil.rmtree(history.folder)
        shutil.move(copy, history.folder)
    else:
        shutil.copytree(history.folder, copy)


async def write(history: History) -> None:
    """Make a change, at once or after a moment, dated now or a little earlier."""
    draw = history.random
    await asyncio.sleep(draw.choice([0.0, 0.001, 0.05, draw.uniform(0, 0.2), draw.uniform(0, 3)]))
    late = draw.choice([0.0, 0.0, 0.001, 1.0, draw.uniform(0, LATEST), LATEST])
    history.world.state.lateness = lambda: late
    job = draw.choice(WRITES)
    history.made[job.__name__] += 1
    await job(history)


async def interleave(history: History) -> None:
    """Let some time pass, write before or while a backup runs, and back up after the last of it."""
    draw = history.random
    gaps = [
        0.0,
        0.001,
        1.0,
        20.0,
        31.0,
        61.0,
        120.0,
        draw.uniform(0, 120),
        draw.uniform(0, 90_000),
        3_600.0,
        3_600.0,
    ]
    await asyncio.sleep(draw.choice(gaps))
    if draw.random() < 0.08:
        await misfortune(history)
    count = draw.choice([0, 0, 1, 1, 2, 4])
    await asyncio.gather(backed_up(history), *(write(history) for _ in range(count)))
    if count:
        await asyncio.sleep(draw.choice([0.0, 0.001, 5.0]))
        await backed_up(history)


async def backed_up(history: History) -> None:
    read = await history.world.was_read()
    history.made["read whole" if read else "only asked"] += 1


def run_history(seed: int, count: int) -> Counter[str]:
    """Run `count` interleavings; return what happened. Raise AssertionError where a change was missed."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        world = world_in(store)
        world.latency = lambda: draw.choice([0.0, 0.002, 0.01, 0.05])
        history = History(world, draw, store)

        async def told() -> None:
            await asyncio.sleep(120)
            await backed_up(history)
            for number in range(count):
                await interleave(history)
                assert await is_up_to_date(world), f"seed {seed}: interleaving {number} lost a change"

        run_virtually(told(), world.loop)
    return history.made
