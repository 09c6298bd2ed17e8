"""The gate spends the budget and no more."""

import asyncio
import re
from collections import Counter

import httpx
import pytest

from jitsu_backup.console import Console, Gates
from jitsu_backup.console.making import make_workspace
from jitsu_backup.events import Event, Notice
from jitsu_backup.planning.forecast import Load
from jitsu_backup.sandbox import Sandbox, default_state
from tests.support import OWNER, STAGING, FakeTime, console_of, run
from tests.virtual_time import VirtualLoop, run_virtually


def write_many(sandbox: Sandbox, time: FakeTime, count: int, gates: Gates) -> None:
    async def job() -> None:
        async with console_of(sandbox, time=time, gates=gates) as console:

            async def one(number: int) -> None:
                body = {"id": f"f{number}-{time.now}", "name": "f", "code": "x"}
                await console.write("POST", f"/api/{STAGING}/config/function", body, repeatable=False)

            await asyncio.gather(*map(one, range(count)))

    run(job())


def test_alone_500_writes_are_never_refused_and_wait_little_more_than_they_must() -> None:
    for start in (1_795_460_400.0, 1_795_460_417.5, 1_795_460_459.0):
        time = FakeTime(start)
        sandbox = Sandbox(default_state(time.clock), clock=time.clock)
        write_many(sandbox, time, 500, Gates(clock=time.clock, sleep=time.sleep))
        refused = sum(request.status == 429 for request in sandbox.requests)
        floor = (500 - 120) / 2 + (60 - start % 60)
        print(
            f"start {start % 60:4.1f} s into the minute: {time.now - start:.0f} s, floor {floor:.0f} s, refused {refused}"
        )
        assert refused == 0
        assert time.now - start < 1.05 * floor + 5


def test_a_second_client_on_the_same_key_costs_few_refusals() -> None:
    time = FakeTime()
    sandbox = Sandbox(default_state(time.clock), clock=time.clock)
    for _ in range(119):
        sandbox.limiter.take("key1", "POST")
    write_many(sandbox, time, 50, Gates(clock=time.clock, sleep=time.sleep))
    assert sum(request.status == 200 for request in sandbox.requests) == 50
    assert sum(request.status == 429 for request in sandbox.requests) <= 1


def test_two_clients_of_one_run_share_the_gate_of_their_key() -> None:
    gates = Gates()
    assert gates.of("h", "k", "POST") is gates.of("h", "k", "POST")
    assert gates.of("h", "k", "POST") is not gates.of("h", "k", "PUT")
    assert gates.of("h", "k", "POST") is not gates.of("h", "other", "POST")


@pytest.mark.parametrize("start", [1_795_460_400.0, 1_795_460_417.5, 1_795_460_550.0, 1_795_460_699.0])
def test_workspaces_are_made_as_fast_as_their_own_limit_allows_and_never_refused(start: float) -> None:
    time = FakeTime(start)
    sandbox = Sandbox(default_state(time.clock), clock=time.clock)

    async def make(console: Console) -> None:
        async with console:
            for number in range(9):
                await make_workspace(console, f"Team {number}", f"team-{number}")

    run(make(console_of(sandbox, time=time)))
    assert [request.status for request in sandbox.requests] == [200] * 9
    least, most = Load(workspaces=9).seconds(limited=True)
    assert least <= time.now - start <= most + 1
    assert time.now - start <= least + (300 - start % 300) + 1


def test_making_a_workspace_spends_nothing_of_the_budget_of_other_writes() -> None:
    time = FakeTime()
    sandbox = Sandbox(default_state(time.clock), clock=time.clock)
    gates = Gates(clock=time.clock, sleep=time.sleep)

    async def make(console: Console) -> None:
        async with console:
            await make_workspace(console, "Team Blue", "team-blue")
            await make_workspace(console, "Team Red", "team-red")

    run(make(console_of(sandbox, time=time, gates=gates)))
    began = time.now
    write_many(sandbox, time, 100, gates)
    assert time.now == began


def test_a_console_that_several_use_is_closed_by_the_last() -> None:
    sandbox = Sandbox(default_state(), rate_limit=False)

    async def use(console: Console) -> None:
        async with console:
            async with console:
                await console.get("/api/version")
            await console.get("/api/version")
        with pytest.raises(RuntimeError, match="closed"):
            await console.get("/api/version")

    run(use(console_of(sandbox)))


@pytest.mark.parametrize("start", [1_795_460_400.0, 1_795_460_417.5, 1_795_460_550.0, 1_795_460_699.0])
def test_workspaces_after_a_run_that_used_up_the_limit_take_no_longer_than_foreseen(start: float) -> None:
    time = FakeTime(start)
    sandbox = Sandbox(default_state(time.clock), clock=time.clock)

    heard: list[Event] = []

    async def make(numbers: range) -> None:
        gates = Gates(clock=time.clock, sleep=time.sleep, report=heard.append)
        async with console_of(sandbox, time=time, gates=gates) as console:
            for number in numbers:
                await make_workspace(console, f"Team {number}", f"team-{number}")

    run(make(range(2)))
    began = time.now
    run(make(range(2, 5)))
    assert time.now - began <= Load(workspaces=3).seconds(limited=True, spent=True)[1]
    assert sum(request.status == 429 for request in sandbox.requests) == 1
    said = [event.text for event in heard if isinstance(event, Notice)]
    assert len(said) == 3, "one line for each wait"
    assert all(
        re.search(r"^waiting until \d\d:\d\d UTC \(about .*\) for the limit of new workspaces$", one)
        for one in said
    )


@pytest.mark.parametrize("start", [1_795_460_400.0, 1_795_460_459.0])
@pytest.mark.parametrize("count", [1, 10, 300])
def test_writes_after_a_run_that_used_up_the_limit_take_no_longer_than_foreseen(
    start: float, count: int
) -> None:
    loop = VirtualLoop(start)
    sandbox = Sandbox(default_state(loop.time), clock=loop.time)
    for _ in range(120):
        sandbox.limiter.take("key1", "POST")

    async def write() -> None:
        transport, gates = httpx.ASGITransport(sandbox.app), Gates(clock=loop.time)
        async with Console(
            "http://x.example", OWNER, transport=transport, gates=gates, clock=loop.time
        ) as to:
            bodies = [{"id": f"f{number}", "name": "f", "code": "x"} for number in range(count)]
            path = f"/api/{STAGING}/config/function"
            await asyncio.gather(*(to.write("POST", path, body, repeatable=False) for body in bodies))

    run_virtually(write(), loop)
    assert loop.now - start <= Load(Counter(POST=count)).seconds(limited=True, spent=True)[1]
