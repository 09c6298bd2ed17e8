"""The client of one console with one key. It retries what may be retried, but never a rejected request."""

import asyncio
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import quote

import httpx
import orjson
import tenacity

from jitsu_backup import __version__
from jitsu_backup.catalogue import nameable, scrub, secret_values
from jitsu_backup.console.bodies import ACCEPTED, UNFIT, Size, TooLargeError, fits, read_body
from jitsu_backup.console.gate import BEFORE_SENDING, Gates, GateTransport
from jitsu_backup.console.replies import (
    Ambiguous,
    BillingAway,
    Done,
    Permanent,
    RefusalKind,
    RefusedError,
    RetryAfter,
    Verdict,
    classify,
    classify_failure,
    error_of,
)
from jitsu_backup.errors import BackupError, ConsoleError, UnreachableError, WrongAddressError
from jitsu_backup.events import Notice, Reporter, silent
from jitsu_backup.network import proxy_for, read_certificates, trusted

T = TypeVar("T")

CONCURRENCY = 16
"""Requests at once, enough to read all lists of a workspace in one round trip."""

ATTEMPTS = 7
FIRST_ATTEMPTS = 3  # of a console that has never answered
LIMITED_ATTEMPTS = 30  # if the console says how long to wait
BILLING_ATTEMPTS = 4  # for one write, which fails alone [gate/billing-down]

_BACKOFF = tenacity.wait_exponential(multiplier=0.5, max=20) + tenacity.wait_random(0, 0.5)

WHOLE_REPLY = 10
"""How many times longer to wait for a whole reply than for a part of it."""

NO_REPLY = 3.0
"""After how many seconds a cancelled request reports that the console did not reply."""

_ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1)

_SHORTEST_SECRET = 8  # characters; shorter ones occur in any text


class UncertainError(ConsoleError):
    """A write may or may not have happened. The caller must check."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One list of the console: its items, its ETag if it has one, and the size of the reply.

    `unfit` are the ids of items that an archive could not hold. They are not in `items`.
    """

    items: tuple[dict[str, Any], ...] = field(repr=False)
    etag: str | None = None
    size: Size = field(default_factory=Size, compare=False)
    unfit: tuple[str, ...] = ()


class _Answer(NamedTuple):
    """The result of sending a request once: what the reply means, its ETag and its size."""

    verdict: Verdict
    etag: str | None
    size: Size


class Console:
    """A console and a key for it. It is an async context manager, closed on the last exit. Its `repr` shows no key.

    `retry_for` is how many seconds a console may be unreachable, since its last answer, before requests fail. With None,
    each request is tried a few times. `called` is what messages call the key, and `if_rejected` says what to do if the
    console rejects it; `profile` is that of its errors. In tests, `transport` replaces the network, `sleep` and `clock` replace time.
    """

    def __init__(
        self,
        host: str,
        key: str,
        *,
        called: str = "",
        ca_bundle: str | None = None,
        timeout: float = 60.0,
        concurrency: int = CONCURRENCY,
        gates: Gates | None = None,
        retry_for: float | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
        report: Reporter = silent,
        if_rejected: str = "",
        profile: str = "",
    ) -> None:
        """Open no connection yet. Raise UsageError or UnreachableError for an unusable proxy or certificates."""
        self.host = host.rstrip("/")
        self.concurrency = concurrency
        self._called = called or "this key"
        self._key_id, _, secret = key.partition(":")
        self._own = [text for text in (key, secret) if len(text) >= _SHORTEST_SECRET]
        self._sleep, self._clock, self._report = sleep, clock, report
        self._if_rejected, self._profile = if_rejected, profile
        self._reached, self.retry_for = False, retry_for
        self._entered = 0
        self._away_since: float | None = None
        self._billing_given_up = False
        self.trouble: str | None = None
        """What was wrong with the console at the last request, or None once it has answered."""
        self.was_limited = False  # at the last request
        self.gates = gates or Gates(clock=clock, sleep=sleep, report=report)
        read = None if ca_bundle is None else read_certificates(Path(ca_bundle))
        try:
            if transport is not None:
                connect: Callable[[], httpx.AsyncBaseTransport] = partial(_same, transport)
            else:  # certificates load slowly, so all connections share them
                verify = trusted(os.environ) if read is None else ssl.create_default_context(cadata=read)
                proxy = proxy_for(self.host, os.environ)
                connect = partial(httpx.AsyncHTTPTransport, verify=verify, proxy=proxy, limits=_ONE)
            gated = GateTransport(
                connect, self.gates, self.host, self._key_id, concurrency, seconds=WHOLE_REPLY * timeout
            )
        except (OSError, ValueError, ImportError) as problem:
            raise UnreachableError(
                f"console {self.host}: the proxy or the certificates in the environment cannot be used"
                f" ({type(problem).__name__}); check HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE"
            ) from None
        self._client = httpx.AsyncClient(
            transport=gated,
            headers={
                "Authorization": f"Bearer {key}",
                "Accept": "application/json",
                "Accept-Encoding": ACCEPTED,
                "User-Agent": f"jitsu-backup/{__version__}",
            },
            timeout=httpx.Timeout(timeout, connect=10.0, pool=None),
            follow_redirects=False,
        )

    def __repr__(self) -> str:
        """Name the console, never the key."""
        return f"Console({self.host!r})"

    async def __aenter__(self) -> Self:
        """Enter the context, which may be entered several times."""
        self._entered += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections on the last exit."""
        self._entered -= 1
        if self._entered <= 0:
            await self._client.aclose()

    async def get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        beside: Size | None = None,
        attempts: int | None = None,
    ) -> Any:
        """GET `path` and return the parsed answer.

        `beside` is the size of what is held already. That of the answer is added to it. `attempts` is the most often to ask,
        whatever `retry_for` is. Raise RefusedError for rejections and for an answer that is too large beside the rest,
        ConsoleError, AccessError.
        """
        done, _, size = await self._request("GET", path, params=params, beside=beside, attempts=attempts)
        if not fits(done.body):
            (beside or Size()).subtract(size)
            raise RefusedError(RefusalKind.TOO_LARGE, f"cannot be archived: {UNFIT}")
        return done.body

    async def get_if_offered(self, path: str, *, beside: Size | None = None) -> Any:
        """GET `path` and return the parsed answer, or None if it is rejected. Raise ConsoleError, AccessError."""
        try:
            return await self.get(path, beside=beside)
        except RefusedError:
            return None

    async def list(
        self,
        path: str,
        type_name: str,
        list_field: str,
        known: Listing | None = None,
        *,
        beside: Size | None = None,
    ) -> Listing:
        """Read the whole list of a type, which is not paged. Return `known` if nothing changed [conditional/not-modified].

        `beside` is as for `get`. In it, a new list replaces the known one. Raise RefusedError (kind UNKNOWN_TYPE or
        NO_SUCH_ROUTE) if this console has no such type, ConsoleError, AccessError.
        """
        beside = Size() if beside is None else beside
        headers = {"If-None-Match": known.etag} if known is not None and known.etag else {}
        done, etag, size = await self._request("GET", path, headers=headers, beside=beside)
        if done.not_modified and known is not None:
            return known
        newer = _listing(self._items(done.body, type_name, list_field), etag, size)
        if known is None:
            return newer
        same = (newer.items, newer.unfit) == (known.items, known.unfit)
        beside.subtract(size if same else known.size)
        return known if same else newer

    async def write(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        repeatable: bool,
        check: Callable[[], Awaitable[None]] | None = None,
    ) -> Any:
        """Send a write and return the parsed answer.

        With `repeatable`, a write with an unclear outcome is sent again. Without, it raises UncertainError. `check` is
        awaited right before each request, until one has ended unclear. If it raises, nothing is sent. Raise RefusedError or
        AccessError for rejections, ConsoleError if the console can no longer be reached.
        """
        done, _, _ = await self._request(
            method, path, params=params, body=body, repeatable=repeatable, check=check
        )
        return done.body

    @property
    def is_limited(self) -> bool:
        """Whether the console limits how often this key may ask, as far as its answers have told."""
        return self.gates.are_limited(self.host, self._key_id)

    async def ready(self) -> None:
        """Wait until the rate limits allow a write."""
        for method in ("POST", "PUT", "DELETE"):
            await self.gates.of(self.host, self._key_id, method).until_open()

    async def pause(self, seconds: float) -> None:
        """Wait for some seconds by this client's clock."""
        await self._sleep(seconds)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        repeatable: bool = True,
        check: Callable[[], Awaitable[None]] | None = None,
        beside: Size | None = None,
        attempts: int | None = None,
    ) -> tuple[Done, str | None, Size]:
        """Send a request, and retry while that may help. Return the answer with its ETag and size, or raise the reason."""

        async def attempt() -> _Answer:
            nonlocal check
            answer = await self._send(
                method, path, params, headers, body, check, Size() if beside is None else beside
            )
            unclear = isinstance(answer.verdict, Ambiguous)
            if unclear:
                check = None  # the write may have happened, and would look like one of somebody else
            if repeatable or not unclear:  # otherwise the caller checks
                self._note(answer.verdict)
            return answer

        def may_help(answer: _Answer) -> bool:
            final = Done | Permanent if repeatable else Done | Permanent | Ambiguous
            waited = self._billing_given_up and isinstance(answer.verdict, BillingAway)
            return not (waited or isinstance(answer.verdict, final))

        verdict, etag, size = await self._attempts(attempt, may_help, attempts)
        match verdict:
            case Done():
                return verdict, etag, size
            case Permanent():
                raise self._refusal(verdict, body)
            case Ambiguous() if not repeatable:
                raise UncertainError(self._at(verdict.reason))
            case BillingAway():
                self._billing_given_up = True
                raise RefusedError(RefusalKind.REFUSED, verdict.reason)
            case _:
                raise self._named(UnreachableError(self._at(verdict.reason)))

    async def _attempts(
        self,
        attempt: Callable[[], Awaitable[_Answer]],
        may_help: Callable[[_Answer], bool],
        most: int | None,
    ) -> _Answer:
        """Retry a request while another attempt may help and is allowed. Return the last answer."""
        answer = await attempt()
        if not may_help(answer):  # the usual case, which needs nothing of what follows
            return answer
        first = [answer]

        async def again() -> _Answer:
            return first.pop() if first else await attempt()

        since = self._away_since if self._away_since is not None else self._clock()
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_result(may_help),
            stop=partial(self._is_over, since, most),
            wait=partial(self._wait, since),
            sleep=self._sleep,
            before_sleep=self._tell,
            retry_error_callback=_last_answer,
        )
        return await retrying(again)

    async def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        body: Any,
        check: Callable[[], Awaitable[None]] | None,
        beside: Size,
    ) -> _Answer:
        content = None if body is None else orjson.dumps(body)
        send_headers = {**(headers or {}), **({"Content-Type": "application/json"} if content else {})}
        sent_at: float | None = None

        async def sending() -> None:
            nonlocal sent_at
            sent_at = self._clock()
            if check is not None:
                await check()

        try:
            async with self._client.stream(
                method,
                self.host + path,
                params=params,
                headers=send_headers,
                content=content,
                extensions={BEFORE_SENDING: sending},
            ) as response:
                received, size = await read_body(response, beside)
        except TooLargeError as problem:
            return _Answer(Permanent(RefusalKind.TOO_LARGE, f"answers with {problem}"), None, Size())
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as failure:
            return _Answer(classify_failure(method, failure), None, Size())
        except asyncio.CancelledError:
            waited = 0.0 if sent_at is None else self._clock() - sent_at
            if waited >= NO_REPLY:
                self.trouble = "no reply"
            raise
        verdict = classify(method, response.status_code, response.headers, received)
        if not isinstance(verdict, Done):
            beside.subtract(size)
        return _Answer(verdict, response.headers.get("etag"), size)

    def _items(self, body: Any, type_name: str, list_field: str) -> tuple[dict[str, Any], ...]:
        items = body.get(list_field) if isinstance(body, Mapping) else None
        if items is None and isinstance(body, Mapping):  # a newer type with its own list field
            lists = [value for value in body.values() if isinstance(value, list)]
            items = lists[0] if len(lists) == 1 else None
        if not isinstance(items, list) or not all(
            isinstance(item, dict) and isinstance(item.get("id"), str) and item["id"] for item in items
        ):
            raise WrongAddressError(
                self._at(f"the list of {type_name} is not a valid answer of a Jitsu console")
            )
        return tuple(items)

    def _refusal(self, verdict: Permanent, body: Any) -> BackupError:
        message = scrub(verdict.message, chain(secret_values(body), self._own))
        rejected = verdict.kind is RefusalKind.UNAUTHENTICATED
        told = f"console {self.host} rejects {self._called}: {message}" if rejected else self._at(message)
        return self._named(error_of(replace(verdict, message=message), told, self._if_rejected))

    def _named(self, failure: BackupError) -> BackupError:
        failure.profile = self._profile
        return failure

    def _at(self, reason: str) -> str:
        return f"console {self.host}: {scrub(reason, iter(self._own))}"

    def _note(self, verdict: Verdict) -> None:
        """Note that the console has answered, or since when and why it has not answered."""
        self.was_limited = _is_limited(verdict)
        if isinstance(verdict, Done):
            self._reached = True
        if isinstance(verdict, Done | Permanent | BillingAway) or _is_limited(verdict):
            self._away_since, self.trouble = None, None
        else:
            self._away_since = self._clock() if self._away_since is None else self._away_since
            self.trouble = verdict.reason

    def _is_over(self, since: float, most: int | None, state: tenacity.RetryCallState) -> bool:
        verdict, tried = _last_answer(state).verdict, state.attempt_number
        if most is not None and tried >= most and not _is_limited(verdict):
            return True
        if self.retry_for is not None and not _is_limited(verdict):
            return self._clock() - since >= self.retry_for
        if isinstance(verdict, BillingAway):
            return tried >= BILLING_ATTEMPTS
        if isinstance(verdict, RetryAfter) and verdict.seconds is not None:
            return tried >= LIMITED_ATTEMPTS
        return tried >= (ATTEMPTS if self._reached else FIRST_ATTEMPTS)

    def _wait(self, since: float, state: tenacity.RetryCallState) -> float:
        verdict = _last_answer(state).verdict
        if _is_limited(verdict):
            return 0.0  # the gate delays all requests until then
        announced = verdict.seconds if isinstance(verdict, RetryAfter) else None
        seconds = float(_BACKOFF(state)) if announced is None else announced
        if self.retry_for is None:
            return seconds
        left = since + self.retry_for - self._clock()
        return max(0.0, min(seconds, left))  # the last attempt is at the end of the time

    def _tell(self, state: tenacity.RetryCallState) -> None:
        verdict = _last_answer(state).verdict
        if isinstance(verdict, Done | Permanent):
            return
        how = "" if self.retry_for is None else f" for {self.retry_for:g} s"
        text = self.gates.retries.notice(self._at(verdict.reason), how, self._clock())
        if text is not None:
            self._report(Notice(text))


def _same(transport: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
    return transport


def _listing(items: tuple[dict[str, Any], ...], etag: str | None, size: Size) -> Listing:
    fit = tuple(item for item in items if fits(item))
    if len(fit) == len(items):
        return Listing(items, etag, size)
    return Listing(fit, etag, size, tuple(item["id"] for item in items if not fits(item)))


def _is_limited(verdict: Verdict) -> bool:
    return isinstance(verdict, RetryAfter) and verdict.limited


def _last_answer(state: tenacity.RetryCallState) -> _Answer:
    assert state.outcome is not None  # noqa: S101  for the type checker: only what has ended is asked about
    answer: _Answer = state.outcome.result()
    return answer


def api_path(*steps: str) -> str:
    """Return the path of `steps` below `/api`. Raise RefusedError if no path can name them."""
    for step in steps:
        if not nameable(step):
            raise RefusedError(
                RefusalKind.NOT_FOUND, f"not sent: {step!r} cannot be part of a path of the console"
            )
    return "/".join(("/api", *(quote(step, safe="") for step in steps)))


def config_path(workspace_id: str, type_name: str, entity_id: str | None = None) -> str:
    """Return the path of a type's list, or of one entity of it. Raise RefusedError if no path can name it."""
    return api_path(workspace_id, "config", type_name, *([entity_id] if entity_id is not None else []))


async def gather(*jobs: Coroutine[Any, Any, T]) -> list[T]:
    """Run `jobs` concurrently. The first failure cancels the others and is raised itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
    except BaseExceptionGroup as failures:
        first: BaseException = failures
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [task.result() for task in tasks]
