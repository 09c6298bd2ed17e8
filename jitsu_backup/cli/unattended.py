"""What a command does when nobody watches: it tells a monitor how it went, and logs one line a run."""

import functools
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import click
import httpx
import orjson
import tenacity

from jitsu_backup import __version__
from jitsu_backup.cli import endings
from jitsu_backup.cli.app import App, utc_now
from jitsu_backup.cli.files import check_kept
from jitsu_backup.cli.output import to_stderr
from jitsu_backup.errors import BackupError, MistakeError, UsageError
from jitsu_backup.model import one_line, printable
from jitsu_backup.network import TRUST, certificate_problem, check_files, proxy_for, refusal_of_proxy
from jitsu_backup.operations.alarms import Alarm, What, told_in
from jitsu_backup.store import folder_lock, read_file, write_file

INTERRUPTED = 130
PING_SECONDS, PING_ATTEMPTS = 10.0, 3
LONGEST_BODY = 10_000  # bytes; a monitor wants to show it, not to keep it


def unattended(*, pings: bool = False) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Let a command heed `--ping` and `--log-format`; with `pings`, the settings' monitor and figures hear of it too.

    Only one command may: else the success of one would hide the failure of another.
    """

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(command)
        def wrapper(app: App, /, *args: Any, ping: str | None, log_format: str, **given: Any) -> int:
            app.logs = log_format == "json"
            name = command.__module__.rpartition(".")[2]
            heard = Hearing(ping, given.get("metrics"), pings=pings)
            return watched(app, name, lambda: command(app, *args, **given), heard)

        return wrapper

    return decorate


@dataclass(frozen=True, slots=True)
class Hearing:
    """Who is told of a run: the flags `ping` and `metrics`, and, with `pings`, those whom the settings name."""

    ping: str | None = field(default=None, repr=False)
    metrics: Path | None = None
    pings: bool = False


def watched(app: App, name: str, run: Callable[[], int], heard: Hearing) -> int:
    """Run a command and tell the monitor, the figures and the log how it ended; return its exit code.

    `name` is empty where nobody can tell which command was meant. Raises what it raised, with what to do about it,
    unless the log has taken it up.
    """
    started, clock = utc_now(), time.monotonic()
    monitor: Monitor | None = None
    failure: BaseException | None = None
    try:
        monitor = _monitor(app, heard)
        if monitor is not None:
            monitor.start()
        code = run()
    except BaseException as problem:  # noqa: BLE001  told, then raised again
        failure, code = problem, code_of(problem)
    endings.is_told = True
    message = (f"interrupted{app.trouble}" if code == INTERRUPTED else _message(failure)) or app.outcome
    _complete(app, name, failure, code, message)
    if heard.pings and heard.metrics is None and os.environ.get("JITSU_BACKUP_METRICS") == "":
        app.problem("no figures are written: JITSU_BACKUP_METRICS is set and empty: give it, or unset it")
    if heard.pings or heard.metrics is not None:
        path = app.metrics_file(heard.metrics) if heard.pings else heard.metrics
        write_figures(app, path, code, "run" if heard.pings else f"{name}_run")
    if monitor is not None:
        monitor.end(code, "" if failure is not None else app.outcome, app.alarms)
    if not app.logs:
        if failure is not None:
            raise _as_told(failure, app.alarms, message)
        return code
    line = {
        "time": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "level": "error" if code else "warning" if app.warned else "info",
        "command": name or "jitsu-backup",
        "exit_code": code,
        "duration_seconds": round(time.monotonic() - clock, 3),
        "message": one_line(message),
        "alarms": [alarm.document() for alarm in app.alarms],
        "notices": [printable(notice) for notice in app.notices],
        **app.facts,
        "version": __version__,
    }
    to_stderr(orjson.dumps(line).decode())
    if isinstance(failure, OSError):
        endings.give_up_output()
    if isinstance(failure, SystemExit):
        raise failure
    return code


def _complete(app: App, name: str, failure: BaseException | None, code: int, message: str) -> None:
    """See that every end but a good one has an alarm, one that nobody foresaw too."""
    if code == INTERRUPTED:
        remedy = "the next run does what is left"
        app.alarms.append(Alarm(What.INTERRUPTED, message, remedy))
    elif code and not (app.alarms and isinstance(failure, BackupError | None)):
        remedy = _remedy_for(app, name, failure)
        app.alarms.append(Alarm(What.RUN_FAILED, message or f"exit code {code}", remedy))


def _remedy_for(app: App, name: str, failure: BaseException | None) -> str:
    """Say what to do about a run that failed as a whole."""
    if not isinstance(failure, click.UsageError | UsageError):
        return app.remedy_for(failure)
    try:
        _ = app.settings
    except BackupError as problem:
        of_file = "settings file" in str(problem)
        check = f"`{app.again('check', '--config')}` tells whether it is right"
        return check if of_file else app.remedy_for(failure)
    words = " ".join(filter(None, ("jitsu-backup", name, "--help")))
    return f"`{words}` shows what it takes"


def _as_told(failure: BaseException, alarms: list[Alarm], message: str) -> BaseException:
    """Return a failure with what its alarm says around its message, for standard error."""
    if code_of(failure) == INTERRUPTED:
        return KeyboardInterrupt(str(alarms[-1]))
    found = (alarm for alarm in alarms if alarm.why == Alarm(What.RUN_FAILED, message).why)
    alarm = next(found, None)
    return failure if alarm is None or not isinstance(failure, BackupError) else alarm.around(failure)


def write_figures(app: App, path: Path | None, code: int, run: str) -> None:
    """Write the figures of a run to `path`, over what stands there; never raises for a file that cannot be written."""
    if path is None or str(path) in ("", ".", "-"):
        return
    from jitsu_backup.reports.metrics import metrics_text  # noqa: PLC0415  few runs need its library

    try:
        with folder_lock(path.parent):  # shards may share a file
            check_kept(path, "--metrics")
            before = read_file(path).decode(errors="replace") if path.exists() else ""
            text = metrics_text(before, app.figures(), code, utc_now(), app.alarms, run=run)
            write_file(path, text.encode(), mode=0o644)
    except ValueError:
        app.problem(f"--metrics {path}: that file is there and holds no metrics; nothing was written to it")
    except BackupError as problem:  # a backup that was made counts for more than its figures
        app.problem(str(problem))


def _monitor(app: App, heard: Hearing) -> "Monitor | None":
    if heard.ping is not None:
        return Monitor(app, heard.ping)
    if not heard.pings:
        return None
    try:
        settings = app.settings
    except BackupError:  # what the monitor should hear of
        url = app.listeners.ping
        return None if url is None else Monitor(app, url.reveal())
    try:
        secret = settings.ping()
    except BackupError as problem:
        app.problem(f"no monitor is told of this run: {problem}")
        return None
    return None if secret is None else Monitor(app, secret.reveal())


class Monitor:
    """A service that is told when a run starts and how it ends. It never makes a run fail.

    Whoever knows its URL can speak for us, so only its host is ever shown. It gets `seconds` for each telling as a
    whole. Raises UsageError for what is no URL.
    """

    def __init__(self, app: App, url: str, seconds: float = PING_SECONDS) -> None:
        if not is_address(url):
            raise UsageError("--ping: give the address of a check, such as https://hc-ping.com/…")
        self.app, self.parts, self.seconds = app, urlsplit(url.strip()), seconds

    def start(self) -> None:
        """Tell that a run has begun."""
        self._send("/start", "", attempts=1)

    def end(self, code: int, outcome: str, alarms: Iterable[Alarm]) -> None:
        """Tell how a run has ended: its exit code, what came of it, and a line for everything that is wrong."""
        head = f"exit code {code}: " + (f"{outcome}\n" if outcome else "")
        told = "\n".join(told_in(alarms, LONGEST_BODY - len(head.encode())))
        self._send("" if code == 0 else "/fail", (head + told).strip(), attempts=PING_ATTEMPTS)

    def _send(self, suffix: str, body: str, *, attempts: int) -> None:
        url = self.parts._replace(path=self.parts.path.rstrip("/") + suffix).geturl()
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=tenacity.stop_after_attempt(attempts),
            wait=tenacity.wait_fixed(0.5),
            reraise=True,
        )

        def send() -> None:
            check_files(TRUST, os.environ)
            transport = httpx.HTTPTransport(proxy=proxy_for(url, os.environ))
            headers = {"User-Agent": f"jitsu-backup/{__version__}", "Content-Type": "text/plain"}
            with (
                httpx.Client(timeout=self.seconds, follow_redirects=True, transport=transport) as client,
                client.stream("POST", url, content=body.encode(), headers=headers) as response,
            ):
                response.raise_for_status()  # what else it says is not read

        try:
            retrying(_within, self.seconds, send)
        except httpx.HTTPStatusError as problem:
            status = problem.response.status_code
            self._warn(refusal_of_proxy(status) if status == 407 else f"HTTP {status}")
        except httpx.ProxyError as problem:
            answer = str(problem)[:3]
            self._warn(refusal_of_proxy(int(answer) if answer.isdecimal() else None))
        except httpx.ReadTimeout:
            self._warn(f"no answer in {self.seconds:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as problem:
            self._warn(certificate_problem(problem) or "cannot be reached")
        except BackupError as problem:
            self._warn(str(problem))
        except Exception as problem:  # noqa: BLE001  a proxy or certificate set wrong must not make a backup fail
            self._warn(f"it failed ({type(problem).__name__})")

    def _warn(self, reason: str) -> None:
        self.app.problem(f"the monitor at {self.parts.hostname} was not told: {reason}")


def _within(seconds: float, job: Callable[[], None]) -> None:
    """Do a job in a thread that is left behind when its time is over. Raises what the job raises, or httpx.ReadTimeout."""
    ended: SimpleQueue[Exception | None] = SimpleQueue()

    def run() -> None:
        try:
            job()
        except Exception as problem:  # noqa: BLE001  it is raised where somebody waits for it
            ended.put(problem)
        else:
            ended.put(None)

    Thread(target=run, daemon=True).start()
    try:
        problem = ended.get(timeout=seconds)
    except Empty:
        raise httpx.ReadTimeout("its answer does not end") from None
    if problem is not None:
        raise problem


def is_address(url: str) -> bool:
    """Tell whether a monitor can be told at `url`."""
    try:
        parts = urlsplit(url.strip())
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


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
    if isinstance(failure, OSError):
        return endings.unforeseen(failure)
    return str(MistakeError.of(failure)) if isinstance(failure, Exception) else ""
