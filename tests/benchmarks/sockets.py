"""Backup and restore over real sockets, beside a bare httpx loop that sends the same requests."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from jitsu_backup.archive import encode
from jitsu_backup.console import Console
from jitsu_backup.console.client import CONCURRENCY
from jitsu_backup.console.reader import read_workspace
from jitsu_backup.events import silent
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.apply_plan import PlanExecutor
from jitsu_backup.planning import Plan, PlanOptions
from tests.benchmarks.console import console, round_trips
from tests.benchmarks.table import Row, alternating, count, ratio
from tests.limited import generated
from tests.support import (
    MOMENT,
    OWNER,
    PRODUCTION,
    STAGING,
    console_of,
    example_sandbox,
    prepare,
    read,
    restore,
    run,
    stand_ins,
)

LATENCY = 0.05


def bare(url: str, log: list[dict[str, Any]], key: str = OWNER) -> list[float]:
    """Send the same requests with nothing but httpx, at the same concurrency; give how long each took, in seconds."""

    async def send() -> list[float]:
        taken: list[float] = []
        queue = iter(log)
        limits = httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=60) as http:

            async def worker() -> None:
                for line in queue:
                    extra = {"If-None-Match": line["etag"]} if line["etag"] else {}
                    began = time.perf_counter()
                    await http.request(
                        line["method"], line["target"], content=line["body"] or None, headers=extra
                    )
                    taken.append(time.perf_counter() - began)

            await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
        return taken

    found: list[float] = run(send())
    return found


async def backed_up(url: str) -> Snapshot:
    """Read the workspace as `backup` does, and make its archive."""
    async with Console(url, OWNER) as client:
        snapshot = await read_workspace(client, STAGING, now=lambda: MOMENT)
    encode(snapshot)
    return snapshot


def seconds(job: Any) -> float:
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def backup(folder: Path, *, full: bool) -> Iterator[Row]:
    """A backup of one workspace of every type, each answer 50 ms late."""
    archive = folder / "example.json.gz"
    archive.write_bytes(encode(run(read(console_of(example_sandbox()), STAGING))))
    with console() as served:
        served.begin(archive=str(archive), latency=LATENCY)
        run(backed_up(served.url))
        log = served.log()

        def slowest_three() -> float:
            return sum(sorted(bare(served.url, log))[-3:])

        ours, three = alternating(
            15 if full else 5, lambda: seconds(lambda: run(backed_up(served.url))), slowest_three
        )
    yield count("backup, 50 ms: round trips in a row", round_trips(log), 3, "requests")
    yield ratio("backup, 50 ms", ours * 1000, three * 1000, "ms", "slowest 3 requests", 1.25)


def restores(folder: Path, *, full: bool) -> Iterator[Row]:
    """A restore of 1,000 entities into an empty workspace: its writing, and all of it; then the same once more."""
    before = generated(1000)
    rounds = 7 if full else 3
    with console() as served:
        served.begin(latency=0.0)

        def writing() -> float:
            served.begin(archive=None)
            took: float = run(_written(served.url, before))
            return took

        def whole() -> float:
            served.begin(archive=None)
            return seconds(lambda: run(restore(lambda: Console(served.url, OWNER), before)))

        def loop(log: list[dict[str, Any]]) -> float:
            served.begin(archive=None)
            return seconds(lambda: bare(served.url, log))

        whole()
        everything = served.log()
        writes = [line for line in everything if line["method"] != "GET"]
        mine, theirs = alternating(rounds, writing, lambda: loop(writes))
        yield ratio(
            f"restore of {len(before.entities):,} entities ({len(writes):,} writes)", mine, theirs, "s", "bare loop",
            0.9, at_least=True,
        )  # fmt: skip
        mine, theirs = alternating(rounds if full else 2, whole, lambda: loop(everything))
        yield ratio(
            f"  read, planned, written, read back, planned ({len(everything):,} requests)", mine, theirs, "s",
            "bare loop", None, at_least=True,
        )  # fmt: skip
        served.begin(archive=None)
        run(restore(lambda: Console(served.url, OWNER), before))
        served.begin()
        plan = run(again(served.url, before))
        second = served.log()
        served.begin()
        run(read(Console(served.url, OWNER), PRODUCTION))
        reads = [line for line in served.log() if _is_of_the_workspace(line)]
    inside = [line for line in second if _is_of_the_workspace(line)]
    yield count("second restore: writes", len(plan.writes) + sum(r["method"] != "GET" for r in second), 0, "")
    yield Row(
        "second restore: reads of the workspace", len(inside), len(reads), "requests", "a backup",
        len(inside) / len(reads), 1,
    )  # fmt: skip


async def _written(url: str, before: Snapshot) -> float:
    """Restore, and give the seconds that the writing took."""
    options = PlanOptions(overlay=stand_ins(before))
    prepared = await prepare(Console(url, OWNER), PRODUCTION, before, options, silent)
    async with Console(url, OWNER) as client:
        executor = PlanExecutor(client, prepared.plan, dict(prepared.keys), live=prepared.live)
        began = time.perf_counter()
        await executor.run()
        return time.perf_counter() - began


async def again(url: str, before: Snapshot) -> Plan:
    """Do what a restore does that finds everything in place: it reads and plans."""
    options = PlanOptions(overlay=stand_ins(before))
    return (await prepare(Console(url, OWNER), PRODUCTION, before, options, silent)).plan


def _is_of_the_workspace(line: dict[str, Any]) -> bool:
    return line["target"].startswith((f"/api/{PRODUCTION}/", f"/api/workspace/{PRODUCTION}"))
