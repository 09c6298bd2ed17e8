"""A watch goes on whatever happens, tells it once, catches up, and loses nothing."""

import asyncio
import gc
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive.retention import policy_of
from jitsu_backup.operations.backup import WorkspaceAccess
from jitsu_backup.operations.pace import Pace
from jitsu_backup.operations.prune import Retention
from jitsu_backup.sandbox.state import OWNER
from tests.virtual_time import VirtualLoop, run_virtually
from tests.watching.kit import BUDGET, HOUR, Bench, killed, median_and_worst, watched

ONE = "cworkspace0000000000000000"


def tell(bench: Bench, story: Any, *places: WorkspaceAccess, **options: Any) -> float:
    """Watch while a story lasts; return how long the watch took to end."""
    seconds: float = run_virtually(watched(bench, story, *places, **options), bench.loop)
    return seconds


def errors(bench: Bench) -> list[tuple[str | None, str]]:
    return [(event.workspace, event.message) for event in bench.events if event.level == "error"]


def test_a_change_of_one_workspace_is_in_the_store_within_15_seconds(bench: Bench) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        for number in range(20):
            bench.change(ONE)
            await asyncio.sleep(37 + number)

    tell(bench, story)
    _, worst = median_and_worst(bench.delays)
    assert worst <= 15
    assert bench.per_minute <= BUDGET
    assert "asked every 3 s" in bench.events[0].message


def test_what_changes_all_the_time_is_backed_up_every_minute_and_not_each_time(bench: Bench) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        bench.disk.reached.clear()
        for _ in range(150):
            bench.change(ONE)
            await asyncio.sleep(2)
        await asyncio.sleep(20)

    tell(bench, story)
    assert max(bench.delays.values()) <= 70
    assert 4 <= len(bench.disk.reached) <= 10


def test_what_changes_while_it_is_read_is_reported_with_the_time_that_it_took_into_the_store(
    bench: Bench,
) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        bench.latency = 2.0
        for _ in range(300):
            bench.change(ONE)
            await asyncio.sleep(2)
        await asyncio.sleep(150)

    tell(bench, story)
    seconds = [event.seconds for event in bench.events if event.seconds is not None]
    assert max(bench.delays.values()) <= 125  # a minute, and a reading of half a minute that had just begun
    assert max(seconds) <= 125
    assert 5 <= len(seconds) <= 11


def refuse(status: int) -> Any:
    return lambda _scope: status


@pytest.mark.parametrize("status", [-1, 401, 403, 500, 502, 503])
def test_a_console_that_is_away_or_a_key_that_is_withdrawn_is_reported_once_and_caught_up_with(
    bench: Bench, status: int
) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        bench.down = refuse(status)
        await asyncio.sleep(100)
        bench.change(ONE)
        await asyncio.sleep(700)
        assert len(bench.standings[-1].troubles) >= 1
        bench.down = refuse(0)
        await asyncio.sleep(75)

    tell(bench, story)
    assert all(delay < 760 for delay in bench.delays.values()), bench.delays
    assert 1 <= len(set(errors(bench))) == len(errors(bench)) <= 3, errors(bench)
    assert bench.standings[-1].well


@pytest.mark.parametrize("what", ["full", "away"])
def test_a_store_that_is_full_or_away_is_reported_once_and_caught_up_with(bench: Bench, what: str) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        setattr(bench.disk, what, True)
        bench.change(ONE)
        await asyncio.sleep(700)
        assert not bench.standings[-1].well
        setattr(bench.disk, what, False)
        await asyncio.sleep(310)

    tell(bench, story)
    assert max(bench.delays.values()) < 1100
    assert len(errors(bench)) == 1
    assert bench.standings[-1].well


def test_a_slow_console_slows_it_and_loses_nothing(bench: Bench) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        bench.latency = 8.0
        for _ in range(3):
            bench.change(ONE)
            await asyncio.sleep(200)

    tell(bench, story)
    assert max(bench.delays.values()) < 150  # two readings of 56 s each, one after the other
    assert errors(bench) == []


def test_it_ends_at_once_and_takes_along_what_is_known_to_have_changed(bench: Bench) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        bench.change(ONE)
        await asyncio.sleep(4)  # asked about, and not yet left alone for long enough

    assert tell(bench, story) < 5
    assert max(bench.delays.values()) < 10


def test_it_ends_within_5_seconds_from_anything(bench: Bench) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        bench.change(ONE)
        await asyncio.sleep(7)
        bench.latency = 600

    assert tell(bench, story) < 5


def test_a_change_that_it_cannot_take_along_is_reported_at_the_end(bench: Bench) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        bench.latency = 3.0
        await asyncio.sleep(20)
        bench.change(ONE)
        await asyncio.sleep(8)

    assert tell(bench, story) < 5
    last = bench.events[-1]
    assert (last.level, last.workspace) == ("warning", "team-0")
    assert last.message == "its last change is not in the store yet; the next start backs it up"


def test_killed_at_any_point_it_continues_where_it_was(bench: Bench) -> None:
    async def story() -> None:
        for number in range(40):
            bench.change(ONE)
            await killed(bench, 0.05 + number * 0.31)

        async def rest() -> None:
            await asyncio.sleep(100)

        await watched(bench, rest)

    run_virtually(story(), bench.loop)
    assert all(delay < 1000 for delay in bench.delays.values())


def test_a_second_client_on_the_key_is_left_its_half(bench: Bench) -> None:
    refused: list[float] = []

    async def story() -> None:
        await asyncio.sleep(120)
        for _ in range(400):
            bench.sandbox.limiter.take("key1", "GET")  # 4 in a second, and never waits
            grant = bench.sandbox.limiter.take("key1", "GET")
            refused.extend([bench.loop.now] if grant.retry_after is not None else [])
            await asyncio.sleep(0.5)
            if int(bench.loop.now) % 97 == 0:
                bench.change(ONE)

    tell(bench, story)
    assert refused == []
    assert max(bench.delays.values()) < 30
    assert errors(bench) == []


def test_what_is_committed_late_is_read_too(bench: Bench) -> None:
    """The newest time stamp stays: another change has it already."""

    async def story() -> None:
        await asyncio.sleep(100)
        bench.change(ONE)
        stamp = bench.state.objects["enrich-0000"].updated_at
        await asyncio.sleep(12)
        bench.change(ONE)
        bench.state.objects["enrich-0000"].updated_at = stamp
        await asyncio.sleep(90)

    tell(bench, story)
    assert max(bench.delays.values()) < 90


def test_what_no_console_tells_of_is_looked_at(bench: Bench) -> None:
    async def story() -> None:
        await asyncio.sleep(200)
        row = bench.state.objects["enrich-0000"]
        stamp = row.updated_at
        bench.change(ONE)
        row.updated_at = stamp
        sync = next(iter(bench.state.sync_states))
        bench.state.sync_states[sync] = {"public.users": '{"cursor": "2026-03-03"}'}
        await asyncio.sleep(90)

    tell(bench, story)
    assert max(bench.delays.values()) < 75


def test_a_new_workspace_is_watched_and_one_that_is_gone_is_reported(bench: Bench) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        bench.state.add_workspace("cnew", "New", "new-team", {OWNER.id: "owner"})
        await asyncio.sleep(100)
        assert any(event.workspace == "new-team" and event.archive for event in bench.events)
        del bench.state.workspaces["cnew"]
        await asyncio.sleep(100)

    tell(bench, story)
    assert [event.workspace for event in bench.events if event.level == "warning"] == ["new-team"]


def test_a_console_that_cannot_be_asked_is_read_every_minute(bench: Bench) -> None:
    async def story() -> None:
        bench.down = lambda scope: 404 if scope["path"].endswith("/listen") else 0
        await asyncio.sleep(100)
        bench.change(ONE)
        await asyncio.sleep(100)

    tell(bench, story)
    assert max(bench.delays.values()) < 75
    assert errors(bench) == []


def test_old_archives_go_by_the_policy(bench: Bench) -> None:
    from datetime import UTC

    async def story() -> None:
        await asyncio.sleep(100)
        for _ in range(5):
            bench.change(ONE)
            await asyncio.sleep(30)
        assert len(await bench.disk.names()) == 2

    tell(bench, story, retention=Retention(policy_of({"keep_last": 2}), UTC))


def test_it_is_reported_how_it_stands_every_two_minutes(bench: Bench) -> None:
    async def story() -> None:
        await asyncio.sleep(HOUR / 2)

    tell(bench, story)
    assert 14 <= len(bench.standings) <= 16
    assert all(standing.well for standing in bench.standings)


def rounds(bench: Bench, hours: float) -> int:
    """Watch quietly for some hours; return the bytes that are held at the end beyond those in the middle."""

    async def story() -> int:
        await asyncio.sleep(hours * HOUR / 2)
        bench.sent.clear()
        bench.standings.clear()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        await asyncio.sleep(hours * HOUR / 2)
        bench.sent.clear()
        bench.standings.clear()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    found: list[int] = []

    async def told() -> None:
        found.append(await story())

    tracemalloc.start()
    try:
        tell(bench, told)
    finally:
        tracemalloc.stop()
    return found[0]


def test_memory_stays_flat(bench: Bench) -> None:
    assert rounds(bench, 0.6) < 100_000


def test_40_workspaces_take_no_more_than_half_of_the_budget(tmp_path: Path, loop: VirtualLoop) -> None:
    bench = Bench(loop, str(tmp_path / "many"), 40)
    bench.rest()

    async def story() -> None:
        await asyncio.sleep(700)  # all have been read
        bench.sent.clear()
        for number in range(4):
            bench.change(f"cworkspace000000000000{number:04d}")
            await asyncio.sleep(150)  # each change takes 60 requests, and 17 a minute are left for it

    tell(bench, story)
    assert bench.per_minute <= BUDGET
    assert max(bench.delays.values()) < 30


@pytest.mark.parametrize(("first", "gap"), [(500, 97), (348, 78)])
def test_changes_come_within_the_time_that_is_promised(
    tmp_path: Path, loop: VirtualLoop, first: float, gap: float
) -> None:
    bench = Bench(loop, str(tmp_path / "many"), 20)
    bench.rest()

    async def story() -> None:
        await asyncio.sleep(first)
        for number in range(5):
            bench.change(f"cworkspace000000000000{number:04d}")
            await asyncio.sleep(gap)  # each is read once more meanwhile

    tell(bench, story)
    (promise,) = [event.message for event in bench.events if "asked every" in event.message]
    assert max(bench.delays.values()) <= float(promise.split()[-2]) + 0.5


@pytest.mark.parametrize(
    ("count", "limit", "most"), [(1, 600, 15), (30, 600, 25), (300, 600, 60), (300, None, 30)]
)
def test_the_pace_says_what_delay_to_expect(count: int, limit: int | None, most: float) -> None:
    pace = Pace(count, limit)
    assert pace.delay(5.0) <= most
    asked = count * 60 / pace.period
    looked = count * 8 * 60 / pace.look_every
    assert asked + looked <= pace.per_minute <= (limit or 1200) / 2
