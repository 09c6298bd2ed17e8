"""What a command does when nobody watches: it tells a monitor how it went, and logs one line a run."""

import functools
import os
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import click
import httpx
import orjson
import tenacity

from jitsu_backup import __version__
from jitsu_backup.cli.app import App, utc_now
from jitsu_backup.cli.output import to_stderr
from jitsu_backup.errors import BackupError, MistakeError, UsageError
from jitsu_backup.model import printable
from jitsu_backup.network import certificate_problem, proxy_for

INTERRUPTED = 130
PING_SECONDS, PING_ATTEMPTS = 10.0, 3
LONGEST_BODY = 10_000  # bytes; a monitor wants to show it, not to keep it


def unattended(*, pings: bool = False) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Let a command heed `--ping` and `--log-format`; with `pings`, the settings' monitor is told too.

    Only one command may: else the success of one would hide the failure of another.
    """

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(command)
        def wrapper(app: App, /, *args: Any, ping: str | None, log_format: str, **given: Any) -> int:
            app.logs = log_format == "json"
            return _watched(
                app,
                command.__module__.rpartition(".")[2],
                lambda: command(app, *args, **given),
                ping,
                pings=pings,
            )

        return wrapper

    return decorate


def _watched(app: App, name: str, run: Callable[[], int], ping: str | None, *, pings: bool) -> int:
    started, clock = utc_now(), time.monotonic()
    monitor: Monitor | None = None
    failure: BaseException | None = None
    try:
        monitor = _monitor(app, ping, pings=pings)
        if monitor is not None:
            monitor.start()
        code = run()
    except BaseException as problem:  # noqa: BLE001  told, then raised again
        failure, code = problem, code_of(problem)
    message = _message(failure) or app.outcome
    if monitor is not None:
        monitor.end(code, message)
    if not app.logs:
        if failure is not None:
            raise failure
        return code
    line = {
        "time": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "level": "info" if code == 0 else "error",
        "command": name,
        "exit_code": code,
        "duration_seconds": round(time.monotonic() - clock, 3),
        "message": printable(" ".join(message.split())),
        "notices": [printable(notice) for notice in app.notices],
        **app.facts,
        "version": __version__,
    }
    to_stderr(orjson.dumps(line).decode())
    if isinstance(failure, SystemExit):
        raise failure
    return code


def _monitor(app: App, flag: str | None, *, pings: bool) -> "Monitor | None":
    if flag is not None:
        return Monitor(app, flag)
    if not pings:
        return None
    try:
        settings = app.settings
    except BackupError:  # what the monitor should hear of
        url = os.environ.get("JITSU_BACKUP_PING")
        return Monitor(app, url) if url else None
    try:
        secret = settings.ping()
    except BackupError as problem:
        app.problem(f"no monitor is told of this run: {problem}")
        return None
    return None if secret is None else Monitor(app, secret.reveal())


class Monitor:
    """A service that is told when a run starts and how it ends. It never makes a run fail.

    Whoever knows its URL can speak for us, so only its host is ever shown. Raises UsageError for what is no URL.
    """

    def __init__(self, app: App, url: str) -> None:
        try:
            self.parts = urlsplit(url.strip())
            known = self.parts.scheme in ("http", "https") and bool(self.parts.hostname)
        except ValueError:
            known = False
        if not known:
            raise UsageError("--ping: give the address of a check, such as https://hc-ping.com/…")
        self.app = app

    def start(self) -> None:
        """Tell that a run has begun."""
        self._send("/start", "", attempts=1)

    def end(self, code: int, message: str) -> None:
        """Tell how a run has ended."""
        body = f"exit code {code}" + (f": {message}" if message else "")
        self._send("" if code == 0 else "/fail", body, attempts=PING_ATTEMPTS)

    def _send(self, suffix: str, body: str, *, attempts: int) -> None:
        url = self.parts._replace(path=self.parts.path.rstrip("/") + suffix).geturl()
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=tenacity.stop_after_attempt(attempts),
            wait=tenacity.wait_fixed(0.5),
            reraise=True,
        )

        def send() -> httpx.Response:
            transport = httpx.HTTPTransport(proxy=proxy_for(url, os.environ))
            with httpx.Client(timeout=PING_SECONDS, follow_redirects=True, transport=transport) as client:
                response = client.post(
                    url,
                    content=body.encode()[:LONGEST_BODY],
                    headers={"User-Agent": f"jitsu-backup/{__version__}", "Content-Type": "text/plain"},
                )
            return response.raise_for_status()

        try:
            retrying(send)
        except httpx.HTTPStatusError as problem:
            self._warn(f"HTTP {problem.response.status_code}")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as problem:
            self._warn(certificate_problem(problem) or "cannot be reached")
        except BackupError as problem:
            self._warn(str(problem))
        except Exception as problem:  # noqa: BLE001  a proxy or certificate set wrong must not make a backup fail
            self._warn(f"it failed ({type(problem).__name__})")

    def _warn(self, reason: str) -> None:
        self.app.problem(f"the monitor at {self.parts.hostname} was not told: {reason}")


def _may_pass(problem: BaseException) -> bool:
    """Tell whether trying once more may help: not where the monitor has refused."""
    if isinstance(problem, httpx.HTTPStatusError):
        return problem.response.status_code >= 500
    return isinstance(problem, httpx.HTTPError)


def code_of(problem: BaseException) -> int:
    """Give the code that a run ends with which this ended."""
    if isinstance(problem, BackupError | click.ClickException):
        return problem.exit_code
    if isinstance(problem, KeyboardInterrupt | click.Abort):
        return INTERRUPTED
    if isinstance(problem, SystemExit | click.exceptions.Exit):
        code = problem.code if isinstance(problem, SystemExit) else problem.exit_code
        return code if isinstance(code, int) else 1
    return 1


def _message(failure: BaseException | None) -> str:
    if isinstance(failure, BackupError):
        return str(failure)
    if isinstance(failure, click.ClickException):
        return failure.format_message()
    if isinstance(failure, KeyboardInterrupt | click.Abort):
        return "interrupted"
    return str(MistakeError.of(failure)) if isinstance(failure, Exception) else ""
