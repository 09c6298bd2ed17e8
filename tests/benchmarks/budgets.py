"""The real rate limits, on a simulated clock, beside the time that they make anybody take."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from jitsu_backup.model import plural
from jitsu_backup.sandbox.rate_limits import LIMITS
from tests.benchmarks.table import Row, count, ratio
from tests.limited import generated, restore_limited
from tests.many import VirtualConsole, back_up, backed_up, floor_of, job, many
from tests.virtual_time import VirtualLoop, run_virtually
from tests.watching.day import Day
from tests.watching.kit import Bench, TickingLoop, median_and_worst

OTHERS = (0.2, 0.5, 1.0)


def limited(folder: Path, *, full: bool) -> Iterator[Row]:
    """A restore of 500 entities, alone and beside a second client with the same key."""
    before = generated(520)
    alone = restore_limited(before)
    yield ratio(f"restore of {len(before.entities)}, limited", alone.took, alone.floor, "s", "floor", 1.05)
    yield count("  refused, alone", len(alone.refused), 0, "requests")
    for others in OTHERS if full else OTHERS[1:2]:
        shared = restore_limited(before, others=others)
        found = shared.refused_in_a_minute if shared.result.failure is None else float("inf")
        yield count(f"  refused in a minute, another one sends {others}/s", found, 1, "requests")


def everything(folder: Path, *, full: bool) -> Iterator[Row]:
    """`backup --all` of 300 workspaces."""
    loop = VirtualLoop()
    sandbox = many(300, loop)
    began = loop.now
    outcomes = backed_up(VirtualConsole(sandbox, loop, folder / "store"), job(), loop)
    took = loop.now - began
    assert all(outcome.failure is None for outcome in outcomes)
    floor = floor_of(Counter(request.method for request in sandbox.requests), began)
    yield ratio(
        f"backup --all, 300 workspaces ({len(sandbox.requests):,} requests)", took, floor, "s", "floor", 1.1
    )


def asked(folder: Path, *, full: bool) -> Iterator[Row]:
    """`backup --all --if-changed` of 300 workspaces, an hour after all were read whole and at rest."""
    loop = VirtualLoop()
    sandbox = many(300, loop)
    console = VirtualConsole(sandbox, loop, folder / "asked")
    wanted = job(save={"if_changed": True}, full_every=timedelta(days=1))

    async def twice() -> tuple[int, float]:
        await asyncio.sleep(120)
        await back_up(console, wanted)
        await asyncio.sleep(3600)
        sandbox.requests.clear()
        began = loop.now
        outcomes = await back_up(console, wanted)
        assert all(outcome.unchanged is not None for outcome in outcomes)
        return len(sandbox.requests), loop.now - began

    requests, took = run_virtually(twice(), loop)
    yield count("backup --all --if-changed, 300 unchanged workspaces", requests, 1_000, "requests")
    yield count("  the same, under the real limits", took, 105, "s")


def watching(folder: Path, *, full: bool) -> Iterator[Row]:
    """How long a change takes into the store, of one workspace and of 300 with one key, and what that spends."""
    for workspaces, gap, warm, hours, bound in (
        (1, 120.0, 60.0, 1.0, 15), *([(300, 400.0, 3000.0, 1.6, 60)] if full else []),
    ):  # fmt: skip
        loop = TickingLoop()
        bench = Bench(loop, str(folder / f"watched-{workspaces}"), workspaces)
        bench.rest()
        day = Day(bench, random.Random(1), gap, warm)
        run_virtually(day.pass_by(hours, disturbed=False), loop)
        median, worst = median_and_worst(bench.delays)
        what = f"watch, {plural(workspaces, 'workspace')}: a change in the store"
        yield Row(f"{what}, worst", worst, median, "s", "median", worst, bound)
        yield count("  requests a minute", bench.per_minute, LIMITS["GET"] / 2, "requests")
