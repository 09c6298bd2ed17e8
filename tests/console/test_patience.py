"""How long a console is waited for that does not answer."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from jitsu_backup.console import Console, Gates
from jitsu_backup.console.retry_notices import RetryNotices
from jitsu_backup.errors import UnreachableError
from jitsu_backup.events import Event, Notice
from tests.support import FakeTime, run


class Away(httpx.AsyncBaseTransport):
    """A console that is away until a moment of a fake clock; `told` are the moments at which it was asked."""

    def __init__(self, time: FakeTime, until: float, how: Callable[[], httpx.Response]) -> None:
        self.time, self.until, self.how = time, until, how
        self.told: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.told.append(self.time.now)
        return self.how() if self.time.now < self.until else httpx.Response(200, json={"ok": True})


def refused() -> httpx.Response:
    raise httpx.ConnectError("All connection attempts failed")


def maintenance() -> httpx.Response:
    return httpx.Response(503, json={"error": "maintenance"}, headers={"Retry-After": "15"})


def bad_gateway() -> httpx.Response:
    return httpx.Response(502, text="Bad Gateway")


def limited() -> httpx.Response:
    return httpx.Response(429, json={"error": "Too many"}, headers={"Retry-After": "60"})


WAYS = [refused, maintenance, bad_gateway]


def console(transport: Away, retry_for: float | None, heard: list[Event] | None = None) -> Console:
    time = transport.time
    report = (heard if heard is not None else []).append
    gates = Gates(clock=time.clock, sleep=time.sleep)
    return Console(
        "http://jitsu.example", "key:secret", transport=transport, retry_for=retry_for, gates=gates, clock=time.clock,
        sleep=time.sleep, report=report,
    )  # fmt: skip


@pytest.mark.parametrize("how", WAYS)
def test_a_console_that_restarts_is_waited_for_as_long_as_asked(how: Any) -> None:
    transport = Away(time := FakeTime(), time.now + 590, how)
    run(console(transport, 600).get("/api/version"))
    assert transport.told[-1] - transport.told[0] <= 600


@pytest.mark.parametrize("retry_for", [0.0, 1.0, 90.0, 600.0])
@pytest.mark.parametrize("how", WAYS)
def test_one_that_stays_away_is_given_up_at_that_moment_and_not_before(how: Any, retry_for: float) -> None:
    transport = Away(FakeTime(), float("inf"), how)
    heard: list[Event] = []
    with pytest.raises(UnreachableError, match=r"console http://jitsu\.example: "):
        run(console(transport, retry_for, heard).get("/api/version"))
    assert transport.told[-1] - transport.told[0] == pytest.approx(retry_for)
    told = {event.text for event in heard if isinstance(event, Notice)}
    assert len(told) == (1 if retry_for else 0), "the same is told once, however often it is tried"


def test_all_requests_of_a_console_wait_for_it_together_and_what_comes_later_is_tried_once() -> None:
    transport = Away(FakeTime(), float("inf"), refused)

    async def ask() -> None:
        client = console(transport, 600)
        first = await asyncio.gather(*(client.get(f"/{n}") for n in range(5)), return_exceptions=True)
        asked = len(transport.told)
        later = await asyncio.gather(client.get("/later"), return_exceptions=True)
        assert {type(each) for each in [*first, *later]} == {UnreachableError}
        assert len(transport.told) == asked + 1

    run(ask())


def test_an_answer_begins_the_time_again_and_says_that_nothing_is_wrong() -> None:
    transport = Away(time := FakeTime(), time.now + 500, refused)

    async def ask() -> None:
        client = console(transport, 600)
        await client.get("/")
        assert client.trouble is None
        transport.until = time.now + 500
        await client.get("/")
        transport.until = float("inf")
        with pytest.raises(UnreachableError):
            await client.get("/")
        assert client.trouble == "cannot be reached: connection refused"

    run(ask())


def test_a_console_that_limits_its_requests_is_not_away() -> None:
    transport = Away(time := FakeTime(), time.now + 300, limited)
    run(console(transport, 1).get("/api/version"))
    assert transport.told[-1] >= transport.told[0] + 300


def test_without_that_a_console_that_was_never_reached_is_given_up_soon() -> None:
    transport = Away(FakeTime(), float("inf"), refused)
    with pytest.raises(UnreachableError):
        run(console(transport, None).get("/api/version"))
    assert len(transport.told) == 3


def test_an_outage_is_reported_once_then_once_a_minute_with_the_number_of_requests() -> None:
    transport = Away(time := FakeTime(), time.now + 9, refused)
    heard: list[Event] = []
    asked = console(transport, None, heard)

    async def both() -> None:
        await asyncio.gather(*(asked.get("/api/version") for _ in range(8)))

    asked._reached = True
    run(both())
    assert len([event for event in heard if isinstance(event, Notice)]) == 1
    notices = RetryNotices()
    said = [notices.notice("gone", "", second) for second in range(0, 130, 5)]
    assert list(filter(None, said)) == [
        "gone; trying again",
        "gone; trying again (11 requests since the last such line)",
        "gone; trying again (11 requests since the last such line)",
    ]
