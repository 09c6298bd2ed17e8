"""A day of a watch in virtual time: outages, limits, a second client, kills and a full disk at any point."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field

from tests.watching.kit import HOUR, Bench

RECOVERY = 400.0
"""Seconds after a disturbance in which what it delayed may still be on its way."""


@dataclass
class Day:
    """A day of one bench; `disturbances` are what happened, from when until when."""

    bench: Bench
    random: random.Random
    gap: float
    warm: float = 0.0  # seconds before the first change
    disturbances: list[tuple[str, float, float]] = field(default_factory=list)

    async def pass_by(self, hours: float, *, disturbed: bool) -> None:
        """Let a number of hours pass, and then as long as it takes until all is settled."""
        ends = self.bench.loop.now + hours * HOUR
        jobs = [self._changes(ends), self._runs(ends)] + ([self._disturb(ends)] if disturbed else [])
        await asyncio.gather(*jobs)

    def quiet(self) -> dict[tuple[str, int], float]:
        """Return the delays of the changes that nothing disturbed."""
        delays, made = self.bench.delays, self.bench.made
        return {
            one: delay
            for one, delay in delays.items()
            if not any(
                start <= made[one] + delay and end + RECOVERY >= made[one]
                for _, start, end in self.disturbances
            )
        }

    async def _changes(self, ends: float) -> None:
        await asyncio.sleep(self.warm)
        while self.bench.loop.now < ends:
            await asyncio.sleep(self.random.expovariate(1 / self.gap))
            self.bench.change(f"cworkspace000000000000{self.random.randrange(self.bench.count):04d}")

    async def _runs(self, ends: float) -> None:
        """Watch, be killed, and be started again; the last run ends as it should."""
        loop = self.bench.loop
        while loop.now < ends:
            lasts = min(self.random.uniform(0.2, 5) * HOUR, ends - loop.now)
            stop = asyncio.Event()
            running = asyncio.ensure_future(self.bench.watch().run(stop))
            if loop.now + lasts >= ends:
                await asyncio.sleep(lasts + 3 * RECOVERY)
                stop.set()
                await running
                return
            await asyncio.wait({running}, timeout=lasts)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            began = loop.now
            await asyncio.sleep(self.random.uniform(1, 60))
            self.disturbances.append(("kill", began, loop.now))

    async def _disturb(self, ends: float) -> None:
        bench, loop = self.bench, self.bench.loop
        while True:
            await asyncio.sleep(self.random.uniform(600, 5400))
            lasts = self.random.choice([5.0, 60.0, 300.0, 1200.0])
            if loop.now + lasts > ends:
                return
            what = self.random.choice(
                ["gone", "maintenance", "502", "no key", "disk full", "disk away", "second client"]
            )
            began = loop.now
            status = {"gone": -1, "maintenance": 503, "502": 502, "no key": 401}.get(what, 0)
            bench.down = lambda _scope, status=status: status
            bench.disk.full, bench.disk.away = what == "disk full", what == "disk away"
            if what == "second client":
                await self._second_client(lasts)
            else:
                await asyncio.sleep(lasts)
            bench.down, bench.disk.full, bench.disk.away = (lambda _scope: 0), False, False
            self.disturbances.append((what, began, loop.now))

    async def _second_client(self, seconds: float) -> None:
        ends = self.bench.loop.now + seconds
        while self.bench.loop.now < ends:
            self.bench.sandbox.limiter.take("key1", "GET")  # nine in a second, whether refused or not
            await asyncio.sleep(0.11)
