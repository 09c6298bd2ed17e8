"""Messages to other services than consoles: sent with a timeout and a few retries. Their addresses are never shown."""

import re
from collections.abc import Callable, Mapping
from concurrent import futures
from dataclasses import dataclass
from threading import Thread
from urllib.parse import urlsplit

import httpx
import tenacity

from jitsu_backup import __version__
from jitsu_backup.console.replies import unreachable
from jitsu_backup.errors import BackupError
from jitsu_backup.network import certificate_problem, proxy_for, refusal_of_proxy, trusted

TOO_MANY, _BROKEN = 429, 500

_PAUSE = 0.5
"""Seconds between two tries."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A sender of messages. Each may take `seconds` in all. `environment` may name proxies and certificates."""

    environment: Mapping[str, str]
    seconds: float

    def post(self, url: str, body: bytes, kind: str, *, attempts: int, follows: bool = False) -> None:
        """Post a body of the content type `kind`. With `follows`, follow redirects. `reason_of` words what it raises.

        If the service asks for a wait, wait for up to the `seconds` of a message.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda problem: self._wait(problem) is not None),
            stop=tenacity.stop_after_attempt(attempts),
            wait=lambda state: self._wait(state.outcome.exception() if state.outcome else None) or 0.0,
            reraise=True,
        )
        retrying(within, self.seconds, lambda: self._post(url, body, kind, follows=follows))

    def _wait(self, problem: BaseException | None) -> float | None:
        """Return the seconds until a retry, or None if the service rejected the message or asks for a long wait."""
        if not isinstance(problem, httpx.HTTPStatusError):
            return _PAUSE if isinstance(problem, httpx.HTTPError) else None
        status, wanted = problem.response.status_code, problem.response.headers.get("retry-after", "")
        if status != TOO_MANY and status < _BROKEN:
            return None
        wait = float(wanted) if re.fullmatch(r"[0-9]{1,6}", wanted) else 0.0
        return max(wait, _PAUSE) if wait <= self.seconds else None

    def _post(self, url: str, body: bytes, kind: str, *, follows: bool) -> None:
        transport = httpx.HTTPTransport(
            verify=trusted(self.environment), proxy=proxy_for(url, self.environment)
        )
        headers = {"User-Agent": f"jitsu-backup/{__version__}", "Content-Type": kind}
        with (
            httpx.Client(timeout=self.seconds, follow_redirects=follows, transport=transport) as client,
            client.stream("POST", url, content=body, headers=headers) as response,
        ):
            response.raise_for_status()  # the body is not read

    def reason_of(self, problem: Exception) -> str:
        """Return why a message could not be delivered, without its address."""
        match problem:
            case httpx.HTTPStatusError():
                status = problem.response.status_code
                return refusal_of_proxy(status) if status == 407 else f"HTTP {status}"
            case httpx.ProxyError():
                answer = str(problem)[:3]
                return refusal_of_proxy(int(answer) if answer.isdecimal() else None)
            case httpx.ReadTimeout():
                return f"no answer within {self.seconds:g} s"
            case httpx.HTTPError() | httpx.InvalidURL() | httpx.StreamError():
                return certificate_problem(problem) or unreachable(problem)
            case BackupError():
                return str(problem)
            case _:
                return f"it failed ({type(problem).__name__})"


def within(seconds: float, job: Callable[[], None]) -> None:
    """Run a job in a thread, which is abandoned after `seconds`. Raise what the job raises, or httpx.ReadTimeout."""
    ended = futures.Future[None]()

    def run() -> None:
        try:
            job()
        except Exception as problem:  # noqa: BLE001  raised again where somebody waits for it
            ended.set_exception(problem)
        else:
            ended.set_result(None)

    Thread(target=run, daemon=True).start()
    if not futures.wait([ended], seconds).done:
        raise httpx.ReadTimeout("its answer does not end")
    ended.result()


def is_of_server(problem: Exception) -> bool:
    """Return whether a message was not accepted because of an error of the server, whose address is right."""
    return isinstance(problem, httpx.HTTPStatusError) and problem.response.status_code >= _BROKEN


def host_of(url: str) -> str:
    """Return host and port of an address, without user and password."""
    return urlsplit(url.strip()).netloc.rpartition("@")[2]


def is_address(url: str) -> bool:
    """Return whether `url` can be the address of a service: http or https, with a host."""
    try:
        parts = urlsplit(url.strip())
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
