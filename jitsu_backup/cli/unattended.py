"""Unattended commands: reporting to a monitor, writing metrics, and logging one line per run."""

import functools
import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from jitsu_backup import __version__
from jitsu_backup.addresses import without_secrets
from jitsu_backup.cli import INTERRUPTED, end_is_told, signals
from jitsu_backup.cli.app import App, lasting_path, utc_now
from jitsu_backup.cli.files import check_folder, check_kept
from jitsu_backup.cli.output import to_stderr
from jitsu_backup.cli.output_errors import give_up_output, of_usage, unforeseen
from jitsu_backup.cli.paths import working_folder
from jitsu_backup.cli.terminal import at_terminal
from jitsu_backup.errors import BackupError, MistakeError, UsageError
from jitsu_backup.events import Event, Problem
from jitsu_backup.model import one_line, printable
from jitsu_backup.operations.alarms import Alarm, What, told_apart
from jitsu_backup.operations.monitoring import Monitor
from jitsu_backup.store import folder_lock, read_file, write_file

if TYPE_CHECKING:
    from jitsu_backup.reports.metrics import Figures


def unattended(
    *, pings: bool = False, on_signal: "Callable[[App], int] | None" = None
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Make a command obey `--ping` and `--log-format`; with `pings`, also the monitor and metrics of the settings.

    `on_signal` returns the exit code of a service that a signal ends before it handles signals itself.

    Only one command may obey the settings, because the success of another would hide its failure. So would that of a run for
    some workspaces that a person starts at a terminal: whom the settings name hears of its workspaces only.
    """

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(command)
        def wrapper(app: App, /, *args: Any, ping: str | None, log_format: str, **given: Any) -> int:
            app.logs = log_format == "json"
            name = command.__module__.rpartition(".")[2]
            app.by_hand = pings and bool(given.get("places")) and at_terminal()
            flags = MonitorFlags(ping, given.get("metrics"), heeds_settings=pings)
            return watched(app, name, lambda: command(app, *args, **given), flags, on_signal)

        return wrapper

    return decorate


@dataclass(frozen=True, slots=True)
class MonitorFlags:
    """The flags `ping` and `metrics`; with `heeds_settings`, the settings count too."""

    ping: str | None = field(default=None, repr=False)
    metrics: Path | None = None
    heeds_settings: bool = False


def watched(
    app: App,
    name: str,
    run: Callable[[], int],
    flags: MonitorFlags,
    on_signal: Callable[[App], int] | None = None,
) -> int:
    """Run a command and report to monitor, metrics and log how it ended; return its exit code.

    `name` is empty if the command is unknown. A signal ends the command as `on_signal` says. Raise what the command
    raised, with what to do about it, unless the log contains it.
    """
    clock = time.monotonic()
    monitor: Monitor | None = None
    failure: BaseException | None = None
    try:
        signals.let_in()
        app.monitor = monitor = _monitor(app, flags)
        if monitor is not None and (flags.ping is not None or not at_terminal()):
            monitor.start()  # a person's command line may be wrong, and then its end is not reported either
        code = run()
    except BaseException as problem:  # noqa: BLE001  reported, then raised again
        failure, code = problem, code_of(problem)
        if code == INTERRUPTED and on_signal is not None:
            failure, code = None, on_signal(app)
    end_is_told.set()
    message = (f"interrupted{app.trouble}" if code == INTERRUPTED else _message(failure)) or app.outcome
    _complete_alarms(app, name, failure, code, message)
    if at_terminal() and _is_mistyped(failure):
        app.by_hand = True
        monitor = None if flags.ping is None else monitor
    if code or not app.told_all_along:
        _write_figures_of(app, name, flags, code)
    if monitor is not None and (code or not app.told_all_along):
        monitor.end(code, "" if failure is not None else app.outcome, app.alarms)
    if app.logs:
        _log(app, name, time.monotonic() - clock, code, message)
        if isinstance(failure, OSError):
            give_up_output()
        if isinstance(failure, SystemExit):
            raise failure
    elif failure is not None:
        raise _with_remedy(failure, app.alarms)
    return code


def _is_mistyped(failure: BaseException | None) -> bool:
    """Return whether a run failed because of its flags."""
    return isinstance(failure, click.UsageError) or (
        isinstance(failure, UsageError) and str(failure).startswith("--")
    )


def _log(app: App, name: str, seconds: float, code: int, message: str) -> None:
    """Write the log line of a run, which took `seconds`, to standard error when it ends."""
    told = {without_secrets(str(alarm)) for alarm in app.alarms}
    line = {
        "time": utc_now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "level": "error" if code else "warning" if app.warned else "info",
        "command": name or "jitsu-backup",
        "exit_code": code,
        "duration_seconds": round(seconds, 3),
        "message": one_line(message),
        "alarms": [alarm.document() for alarm in app.alarms],
        "notices": [printable(notice) for notice in app.notices if notice not in told],
        **app.facts,
        "version": __version__,
    }
    to_stderr(orjson.dumps(line).decode())


def _complete_alarms(app: App, name: str, failure: BaseException | None, code: int, message: str) -> None:
    """Add an alarm to every bad end that has none, so that unforeseen failures are reported too."""
    if code == INTERRUPTED:
        remedy = "the next run continues with what is left"
        app.alarms.append(Alarm(What.INTERRUPTED, message, remedy))
    elif code and not (app.alarms and isinstance(failure, BackupError | None)):
        why = told_apart(failure)[0] if isinstance(failure, BackupError) else message
        app.alarms.append(Alarm(What.RUN_FAILED, why or f"exit code {code}", _remedy_for(app, name, failure)))


def _remedy_for(app: App, name: str, failure: BaseException | None) -> str:
    """Return what to do about a run that failed as a whole."""
    if not isinstance(failure, click.UsageError | UsageError) or told_apart(failure)[1]:
        return app.remedy_for(failure)
    check = f"`{_check_of_settings(app)}` checks it"
    if str(failure).startswith("settings file"):
        return check
    try:
        _ = app.settings
    except BackupError as problem:
        return check if "settings file" in str(problem) else app.remedy_for(failure)
    if isinstance(failure, UsageError) and "--" not in str(failure):
        return app.remedy_for(failure)
    words = " ".join(filter(None, ("jitsu-backup", name, "--help")))
    return f"`{words}` lists the options"


def _check_of_settings(app: App) -> str:
    """Return the command that checks the settings file of this run."""
    config = app.options.get("config")
    return shlex.join(
        ["jitsu-backup", "check", "--config", *([] if config is None else [lasting_path(config)])]
    )


def _with_remedy(failure: BaseException, alarms: list[Alarm]) -> BaseException:
    """Return a failure with the words of its alarm around its message, for standard error."""
    if code_of(failure) == INTERRUPTED:
        return KeyboardInterrupt(str(alarms[-1]))
    if not isinstance(failure, BackupError):
        return failure
    why = Alarm(What.RUN_FAILED, told_apart(failure)[0]).why
    alarm = next((alarm for alarm in alarms if alarm.why == why), None)
    return failure if alarm is None else alarm.around(failure)


def _write_figures_of(app: App, name: str, flags: MonitorFlags, code: int) -> None:
    if flags.heeds_settings and flags.metrics is None and os.environ.get("JITSU_BACKUP_METRICS") == "":
        app.warn(
            "no metrics are written, because JITSU_BACKUP_METRICS is empty; set it to a file, or unset it",
            always=True,
        )
    if flags.heeds_settings:
        write_figures(app, app.metrics_file(flags.metrics), code, run_told(app, flags.metrics))
    elif flags.metrics is not None:
        write_figures(app, flags.metrics, code, f"{name}_run")


def run_told(app: App, flag: Path | None) -> str | None:
    """Return which run the metrics of a backup are about, as `metrics_text` takes it; `flag` is --metrics."""
    return None if app.by_hand and flag is None else "run"


def write_figures(app: App, path: Path | None, code: int, run: str | None) -> None:
    """Merge the metrics of a run into the file `path`; do not raise if it cannot be written."""
    if path is not None:
        problem = figures_problem(path, app.figures(), app.alarms, code, run)
        if problem:  # the backup matters more than its metrics
            app.warn(problem, always=True)


def figures_problem(
    path: Path, figures: "Sequence[Figures]", alarms: Sequence[Alarm], code: int, run: str | None
) -> str:
    """Merge metrics into the file `path`; return why they cannot be written, or an empty text."""
    if str(path) in ("", ".", "-"):
        return ""
    from jitsu_backup.reports.metrics import metrics_text  # noqa: PLC0415  few runs need its library

    path = (
        working_folder() / path
    )  # the settings may name it relative to another folder than the one that a person is in
    try:
        check_folder(path)
        with folder_lock(path.parent):  # shards may share a file
            check_kept(path, "--metrics")
            before = read_file(path).decode(errors="replace") if path.exists() else ""
            text = metrics_text(before, figures, code, utc_now(), alarms, run=run)
            write_file(path, text.encode(), mode=0o644)
    except ValueError:
        return (
            f"--metrics {path}: the file exists and contains no metrics, so it was not changed; name another"
        )
    except BackupError as problem:
        return str(problem)
    return ""


def _monitor(app: App, flags: MonitorFlags) -> Monitor | None:
    if flags.ping is not None:
        return monitor_at(app, flags.ping)
    if not flags.heeds_settings:
        return None
    try:
        settings = app.settings
    except BackupError:  # the monitor should be notified of this
        url = app.listeners.ping
        return None if url is None or app.by_hand else monitor_at(app, url.reveal())
    try:
        secret = settings.ping()
    except BackupError as problem:
        app.warn(f"this run is not reported to the monitor: {problem}", always=True)
        return None
    if secret is not None and app.by_hand:
        app.say(
            "not reported to the monitor, because this run was started by hand for some workspaces; --ping URL reports it"
        )
        return None
    return None if secret is None else monitor_at(app, secret.reveal())


def monitor_at(app: App, url: str) -> Monitor:
    """Return the monitor at `url`. Raise UsageError for an invalid URL."""

    def report(event: Event) -> None:  # which never makes a run fail
        if isinstance(event, Problem):
            app.warn(event.text, always=True)

    return Monitor(url, report, os.environ)


def code_of(problem: BaseException) -> int:
    """Return the exit code of a run that ended with `problem`."""
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
        return of_usage(failure)
    if isinstance(failure, KeyboardInterrupt | click.Abort):
        return "interrupted"
    if isinstance(failure, OSError):
        return unforeseen(failure)
    return str(MistakeError.of(failure)) if isinstance(failure, Exception) else ""
