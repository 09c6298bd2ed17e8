"""A restore under the real limits, in virtual time, alone or beside a second client with the same key."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from jitsu_backup.console import Console, Gates
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.restore import Result
from jitsu_backup.sandbox import Sandbox, default_state
from tests.generate import Generator
from tests.many import floor_of
from tests.support import OWNER, STAGING, console_of, read, restore, run
from tests.virtual_time import VirtualLoop, run_virtually

HOST = "http://other.example"


@dataclass
class Limited:
    """The course of a restore. Times are in virtual seconds; `refused` are times since its beginning."""

    result: Result
    sent: Counter[str]
    took: float
    floor: float
    refused: list[float] = field(default_factory=list)

    @property
    def refused_in_a_minute(self) -> int:
        """The largest number of refusals within a minute."""
        return max((sum(one <= t < one + 60 for t in self.refused) for one in self.refused), default=0)


def generated(size: int) -> Snapshot:
    """Return a snapshot with about a number of entities."""
    source = default_state()
    Generator(source, 11).fill(STAGING, size)
    snapshot: Snapshot = run(read(console_of(Sandbox(source, rate_limit=False)), STAGING))
    return snapshot


def restore_limited(before: Snapshot, *, others: float = 0.0) -> Limited:
    """Restore into an empty workspace while a second client sends `others` writes per second, regardless of refusals."""
    loop = VirtualLoop()
    target = Sandbox(default_state(loop.time), clock=loop.time)
    sent: Counter[str] = Counter()
    refused: list[float] = []
    inner = target.app

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        ours = dict(scope["headers"]).get(b"user-agent", b"").startswith(b"jitsu-backup")

        async def note(message: Any) -> None:
            if ours and message["type"] == "http.response.start":
                sent[scope["method"]] += 1
                if message["status"] == 429:
                    refused.append(loop.now - began)
            await send(message)

        await inner(scope, receive, note)

    async def second_client() -> None:
        headers = {"Authorization": f"Bearer {OWNER}"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(watched), base_url=HOST, headers=headers
        ) as http:
            while others:
                await http.post(f"/api/{STAGING}/config/function", json={})
                await asyncio.sleep(1 / others)

    async def both() -> Result:
        beside = asyncio.create_task(second_client())
        try:
            return await restore(lambda: client(), before)  # noqa: PLW0108  a new one each time
        finally:
            beside.cancel()

    def client() -> Console:
        gates = Gates(clock=loop.time)
        return Console(HOST, OWNER, transport=httpx.ASGITransport(watched), gates=gates, clock=loop.time)

    began = loop.now
    result = run_virtually(both(), loop)
    return Limited(result, sent, loop.now - began, floor_of(sent, began), refused)
