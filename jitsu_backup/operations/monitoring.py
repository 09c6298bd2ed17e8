"""A monitor, healthchecks.io style: a service that is told when a run starts and how it ends."""

from collections.abc import Callable, Iterable, Mapping
from concurrent import futures
from threading import Thread
from urllib.parse import urlsplit

import httpx
import tenacity

from jitsu_backup import __version__
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.events import Problem, Reporter
from jitsu_backup.network import certificate_problem, proxy_for, refusal_of_proxy, trusted
from jitsu_backup.operations.alarms import Alarm, told_in

PING_SECONDS, PING_ATTEMPTS = 10.0, 3
LONGEST_BODY = 10_000
"""Bytes: a monitor wants to show the body, not to keep it."""


class Monitor:
    """A service that is told when a run starts and how it ends. It never makes a run fail; `report` hears of problems.

    Whoever knows its URL can speak for us, so only its host is ever shown. Each message may take `seconds` as a whole.
    `environment` may name proxies and certificates. Raise UsageError for what is not a URL.
    """

    def __init__(
        self, url: str, report: Reporter, environment: Mapping[str, str], seconds: float = PING_SECONDS
    ) -> None:
        """Send nothing yet."""
        if not is_address(url):
            raise UsageError("--ping: give the address of a check, such as https://hc-ping.com/…")
        self._parts, self._report = urlsplit(url.strip()), report
        self._environment, self._seconds = environment, seconds

    def start(self) -> None:
        """Say that a run has begun."""
        self._send("/start", "", attempts=1)

    def end(self, code: int, outcome: str, alarms: Iterable[Alarm]) -> None:
        """Say how a run has ended: its exit code, what came of it, and a line for everything that is wrong."""
        head = f"exit code {code}: " + (f"{outcome}\n" if outcome else "")
        told = "\n".join(told_in(alarms, LONGEST_BODY - len(head.encode())))
        self._send("" if code == 0 else "/fail", (head + told).strip(), attempts=PING_ATTEMPTS)

    def _send(self, suffix: str, body: str, *, attempts: int) -> None:
        url = self._parts._replace(path=self._parts.path.rstrip("/") + suffix).geturl()
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=tenacity.stop_after_attempt(attempts),
            wait=tenacity.wait_fixed(0.5),
            reraise=True,
        )
        try:
            retrying(_within, self._seconds, lambda: self._post(url, body))
        except Exception as problem:  # noqa: BLE001  a proxy or certificate set wrong must not make a backup fail
            told = f"the monitor at {self._parts.hostname} was not told: {self._reason_of(problem)}"
            self._report(Problem(told))

    def _post(self, url: str, body: str) -> None:
        transport = httpx.HTTPTransport(
            verify=trusted(self._environment), proxy=proxy_for(url, self._environment)
        )
        headers = {"User-Agent": f"jitsu-backup/{__version__}", "Content-Type": "text/plain"}
        with (
            httpx.Client(timeout=self._seconds, follow_redirects=True, transport=transport) as client,
            client.stream("POST", url, content=body.encode(), headers=headers) as response,
        ):
            response.raise_for_status()  # what else it says is not read

    def _reason_of(self, problem: Exception) -> str:
        match problem:
            case httpx.HTTPStatusError():
                status = problem.response.status_code
                return refusal_of_proxy(status) if status == 407 else f"HTTP {status}"
            case httpx.ProxyError():
                answer = str(problem)[:3]
                return refusal_of_proxy(int(answer) if answer.isdecimal() else None)
            case httpx.ReadTimeout():
                return f"no answer in {self._seconds:g} s"
            case httpx.HTTPError() | httpx.InvalidURL() | httpx.StreamError():
                return certificate_problem(problem) or "cannot be reached"
            case BackupError():
                return str(problem)
            case _:
                return f"it failed ({type(problem).__name__})"


def _within(seconds: float, job: Callable[[], None]) -> None:
    """Do a job in a thread that is left behind when its time is over. Raise what the job raises, or httpx.ReadTimeout."""
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


def is_address(url: str) -> bool:
    """Return whether `url` can be the address of a monitor."""
    try:
        parts = urlsplit(url.strip())
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _may_pass(problem: BaseException) -> bool:
    """Return whether trying once more may help: not where the monitor has refused."""
    if isinstance(problem, httpx.HTTPStatusError):
        return problem.response.status_code >= 500
    return isinstance(problem, httpx.HTTPError)
