"""One rate gate for each API key and HTTP method, as a transport.

The console counts requests by key and method in a window of a minute, rejected ones included, and says how many are left
[limits/429, limits/other-bucket-still-open]. Creating a workspace has its own budget, with a window of 5 minutes. The gate
spends only what an answer has granted. When nothing is left, it waits for the end of the window, then sends at the rate
at which the window restores the budget.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import httpx

from jitsu_backup.catalogue.rate_limits import EXTRA_WAIT_SECONDS, WINDOW, WORKSPACE_WINDOW, pace
from jitsu_backup.console.replies import LONGEST_WAIT
from jitsu_backup.console.retry_notices import RetryNotices
from jitsu_backup.events import Notice, Reporter, silent
from jitsu_backup.model import lasting

_MAKING, _MAKING_PATH = "POST a workspace", "/api/workspace"
_ALL_REQUESTS, _NEW_WORKSPACES = "the console's rate limit", "the limit of new workspaces"

BURST_TOLERANCE = 3
"""How many requests may become available while pacing before they count as a new budget to spend at once."""

SHARED_SECONDS = 300.0
"""For how many seconds after a rejection the key counts as shared with another client that spends its budget."""

RESERVE = 20
"""How many requests of a shared budget must be left to spend it as fast as it is restored. Below, it is spent slower."""

LONG_SECONDS = 90.0
"""From how many seconds on a wait is reported with its end."""

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class Gate:
    """The budget of one key and method. Times are seconds of `clock` (wall clock).

    With a `share` below 1, only that share of the budget is spent on average, and the rest is left to others.
    """

    clock: Clock = time.time
    sleep: Sleep = asyncio.sleep
    report: Reporter = silent
    share: float = 1.0
    window: float = WINDOW
    budget: str = _ALL_REQUESTS
    left: int | None = None  # None: no answer has stated a budget
    limit: int = 0
    window_end: float = 0.0
    paced_until: float = 0.0
    next_paced: float = 0.0
    closed_until: float = 0.0
    told_until: float = 0.0
    shared_until: float = 0.0
    sequence: int = 0
    in_flight: set[int] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def has_spare(self) -> bool:
        """Whether an optional request may be sent at once, with more than RESERVE left after it."""
        now = self.clock()
        if self.closed_until > now or self._is_shared():
            return False
        return self.left is None or now >= self.window_end or self.left > RESERVE

    async def until_open(self) -> None:
        """Wait until a request may be sent."""
        while (wait := self._wait()) > 0:
            if wait >= 5 and self.clock() >= self.told_until:
                self.told_until = self.clock() + wait
                self.report(Notice(self._waiting(wait)))
            if self.in_flight and wait < 5:
                await self._until_changed(wait)
            else:
                await self.sleep(wait)

    async def enter(self) -> int:
        """Wait until a request may be sent. Return its number, for `leave`."""
        await self.until_open()
        if self.left is not None:
            if self.left == 0 or self._is_shared():
                self._pace_from(self.clock())
            elif self.left > min(BURST_TOLERANCE, self.limit // 20):
                self.paced_until = 0.0  # what is spent at once is restored only with the next window
            self.left = max(0, self.left - 1)
        self.sequence += 1
        self.in_flight.add(self.sequence)
        return self.sequence

    def leave(self, number: int, status: int, headers: Mapping[str, str]) -> None:
        """Note what the answer to request `number` says about the budget. Status 0 means that there was no answer."""
        self.in_flight.discard(number)
        now = self.clock()
        limit, remaining = _integer(headers, "x-ratelimit-limit"), _integer(headers, "x-ratelimit-remaining")
        if limit is not None and remaining is not None:
            # it may not count requests that were sent later, or older ones that are still running
            uncounted = self.sequence - number + sum(1 for other in self.in_flight if other < number)
            others = limit - int(limit * self.share)
            self.limit, self.left = limit, max(0, remaining - others - uncounted)
            self.window_end = now + _seconds_to_reset(headers, now, self.window)
        if status == 429:
            retry_after = _integer(headers, "retry-after")
            wait = self.window if retry_after is None else min(retry_after, LONGEST_WAIT)
            self.closed_until = max(self.closed_until, now + wait)
            if limit is None:
                self.left = None  # not the console's own limiter, so the budget is unknown
            else:
                self.limit, self.left = limit, 0
                self.closed_until = max(self.closed_until, now + wait + min(wait, EXTRA_WAIT_SECONDS))
                if limit > RESERVE:
                    self.shared_until = now + SHARED_SECONDS
                    self._pace_from(self.closed_until)
                else:  # too small a budget to leave a part to others; the wait restores one request
                    self._pace_from(self.closed_until - self._step())
        self.changed.set()
        self.changed = asyncio.Event()

    def _wait(self) -> float:
        now = self.clock()
        if self.closed_until > now:
            return self.closed_until - now
        if self.left is None or (self.left > 0 and not self._is_shared()):
            return 0.0
        if now >= self.paced_until and not self._is_shared():
            # used up for the first time in this window: nothing is restored before its end, except the others' share
            self._pace_from(max(self.window_end, now) if self.share == 1 else now)
        return max(0.0, self.next_paced - now)

    def _waiting(self, seconds: float) -> str:
        """Return what is waited for, how long, and until when if that is long."""
        if seconds < LONG_SECONDS:
            return f"waiting {seconds:.0f} s for {self.budget}"
        until = datetime.fromtimestamp(self.clock() + seconds, UTC)
        return f"waiting until {until:%H:%M} UTC ({lasting(seconds)}) for {self.budget}"

    def _pace_from(self, moment: float) -> None:
        self.next_paced = moment + self._step()
        # with a budget of one request, the next step is later than the window's end
        self.paced_until = max(moment + self.window, self.next_paced + 1)

    def _step(self) -> float:
        step = pace(self.limit, self.window, self.share)
        if self._is_shared():
            # the less is left, the slower, so that some is always left for others
            step *= max(self.limit / RESERVE, 1) / max(self.left or 0, 0.5)
        return step

    def _is_shared(self) -> bool:
        return self.clock() < self.shared_until

    async def _until_changed(self, seconds: float) -> None:
        waiter = asyncio.ensure_future(self.changed.wait())
        sleeper = asyncio.ensure_future(self.sleep(seconds))
        try:
            await asyncio.wait({waiter, sleeper}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
            sleeper.cancel()


BEFORE_SENDING = "jitsu_backup.before_sending"
"""The extension of a request with a check that is awaited after the gate, right before it is sent."""


@dataclass(slots=True)
class Gates:
    """All gates of a run, so that clients with the same key share theirs. `share` is that of each gate.

    The clients of a run also share `retries`, which notices of retries were reported.
    """

    clock: Clock = time.time
    sleep: Sleep = asyncio.sleep
    report: Reporter = silent
    share: float = 1.0
    gates: dict[tuple[str, str, str], Gate] = field(default_factory=dict)
    retries: RetryNotices = field(default_factory=RetryNotices)

    def of(self, host: str, key_id: str, method: str, path: str = "") -> Gate:
        """Return the gate of a console, a key id and an HTTP method. The `path` of a new workspace has its own gate."""
        making = method == "POST" and path.endswith(_MAKING_PATH)
        name = (host, key_id, _MAKING if making else method)
        if name not in self.gates:
            window, budget = (WORKSPACE_WINDOW, _NEW_WORKSPACES) if making else (WINDOW, _ALL_REQUESTS)
            self.gates[name] = Gate(self.clock, self.sleep, self.report, self.share, window, budget)
        return self.gates[name]

    def are_limited(self, host: str, key_id: str) -> bool:
        """Return whether an answer of a console has named a limit of a key: consoles of 2024 set none [limits/429]."""
        return any(gate.limit for name, gate in self.gates.items() if name[:2] == (host, key_id))


class GateTransport(httpx.AsyncBaseTransport):
    """Send requests as the gates allow, at most `at_once` at the same time.

    A request that waits for one budget does not delay those of another. Each running request has its own transport, made
    by `connect`, because one shared pool would search all connections for every request. Sending a request may take
    `seconds`, and so may reading its whole reply. If it takes longer, httpx.ReadTimeout is raised, even if data keeps
    coming.
    """

    def __init__(
        self,
        connect: Callable[[], httpx.AsyncBaseTransport],
        gates: Gates,
        host: str,
        key_id: str,
        at_once: int,
        *,
        seconds: float,
    ) -> None:
        """Gate the requests of one API key, `key_id`, to one `host`. Raise what the first `connect` raises."""
        self._seconds = seconds
        self._connect, self._gates, self._host, self._key_id = connect, gates, host, key_id
        self._slots = asyncio.Semaphore(at_once)
        self._all = [connect()]
        self._idle = [*self._all]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Wait for the gate, send the request, and report the answer to the gate."""
        gate = self._gates.of(self._host, self._key_id, request.method, request.url.path)
        number = await gate.enter()
        status, headers = 0, httpx.Headers()
        try:
            if (check := request.extensions.get(BEFORE_SENDING)) is not None:
                await check()
            inner = await self._take()
            try:
                async with _bounded(self._seconds):
                    response = await inner.handle_async_request(request)
            except BaseException:
                self._free(inner)
                raise
            status, headers = response.status_code, response.headers
            if response.is_closed:  # a reply that was already read is not closed again
                self._free(inner)
                return response
            assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101  for the type checker
            response.stream = _Reply(response.stream, partial(self._free, inner), self._seconds)
            return response
        finally:
            gate.leave(number, status, headers)

    async def aclose(self) -> None:
        """Close the transports below."""
        for inner in self._all:
            await inner.aclose()

    async def _take(self) -> httpx.AsyncBaseTransport:
        """Wait for a slot. Return the transport that was freed last, whose connection is still open."""
        await self._slots.acquire()
        if not self._idle:
            self._all.append(self._connect())
            self._idle.append(self._all[-1])
        return self._idle.pop()

    def _free(self, inner: httpx.AsyncBaseTransport) -> None:
        self._idle.append(inner)
        self._slots.release()


class _Reply(httpx.AsyncByteStream):
    """The body of a reply. Closing it calls `free` once."""

    def __init__(self, inner: httpx.AsyncByteStream, free: Callable[[], None], seconds: float) -> None:
        self._inner, self._free, self._held = inner, free, True
        self._seconds = seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        ends = asyncio.get_running_loop().time() + self._seconds
        chunks = aiter(self._inner)
        while True:
            async with _bounded(ends - asyncio.get_running_loop().time()):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            yield chunk

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            if self._held:
                self._held = False
                self._free()


@asynccontextmanager
async def _bounded(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise httpx.ReadTimeout(f"the reply took longer than {seconds:.0f} seconds") from None


def _integer(headers: Mapping[str, str], name: str) -> int | None:
    value = headers.get(name, "").strip()
    return int(value) if re.fullmatch(r"[0-9]{1,15}", value) else None


def _seconds_to_reset(headers: Mapping[str, str], now: float, window: float) -> float:
    """Return the seconds until the end of the window: at most one window, and one window if the answer does not say."""
    reset = _integer(headers, "x-ratelimit-reset")
    if reset is None:
        return window
    if reset > 10**12:
        reset //= 1000
    seconds = reset - now if reset > 10**9 else float(reset)
    return min(max(seconds, 0.0), window)
