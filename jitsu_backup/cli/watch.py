"""`jitsu-backup watch`."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from queue import Empty, Queue
from threading import Event as ThreadEvent, Lock, Thread
from typing import TYPE_CHECKING, Any

import orjson

from jitsu_backup import __version__
from jitsu_backup.cli.app import App, utc_now
from jitsu_backup.cli.backup import places_of, shrink_share
from jitsu_backup.cli.backup_report import again_for, figures_for
from jitsu_backup.cli.courier import Courier
from jitsu_backup.cli.files import check_path
from jitsu_backup.cli.notifying import Notifier, NotifyFlags
from jitsu_backup.cli.output import to_stderr
from jitsu_backup.cli.policy import policy_from
from jitsu_backup.cli.signals import heard_by, ignore_signals
from jitsu_backup.cli.unattended import figures_problem, run_told, unattended
from jitsu_backup.console import Gates
from jitsu_backup.errors import IncompleteError, UsageError
from jitsu_backup.events import Caution, Event, Notice, Problem
from jitsu_backup.model import one_line, plural, printable
from jitsu_backup.operations.alarms import FOR_EVER, Alarm
from jitsu_backup.operations.backup import BackupJob
from jitsu_backup.operations.backup_outcome import BackupRun
from jitsu_backup.operations.pace import HALF
from jitsu_backup.operations.save import SaveOptions
from jitsu_backup.operations.watch import Watch
from jitsu_backup.operations.watching import Standing, Surroundings, WatchEvent, WatchJob

if TYPE_CHECKING:
    from jitsu_backup.reports.metrics import RunFigures

LAST_FIGURES_SECONDS = 0.5
"""How long a watch waits at its end for the last metrics."""

_LEVELS: Mapping[type, str] = {Notice: "info", Caution: "warning", Problem: "error"}


def _ended_early(app: App) -> int:
    """End a watch that a signal reaches before it begins to watch."""
    ignore_signals()
    Teller(app, None).ended(Standing(0, {}))
    return 0


@unattended(pings=True, on_signal=_ended_early)
def watch(
    app: App,
    places: tuple[str, ...],
    metrics: Path | None,
    *,
    everything: bool,
    settle: float,
    full_every: float,
    shrink_alarm: float | None,
    allow_unseen: tuple[str, ...],
    no_prune: bool,
    plaintext_secrets: bool,
    notify: str | None,
    notify_every: float | None,
) -> int:
    """Watch workspaces until a signal ends it; return the exit code."""
    check_path(metrics, "--metrics")
    app.in_plain_text = plaintext_secrets
    notify_flags = NotifyFlags(notify, notify_every)
    notify_flags.check(stored=True)
    if everything and places:
        raise UsageError("give workspaces or --all, not both")
    share = shrink_share(app, shrink_alarm)
    app.keys.check()
    app.gates = Gates(share=HALF)
    teller = Teller(app, app.metrics_file(metrics), run_told(app, metrics))
    workspaces, unusable = places_of(app, places, teller.report, everything=everything)
    for outcome in unusable:
        if outcome.failure is not None:
            raise outcome.failure
    job = WatchJob(
        BackupJob(
            workspaces, everything, save=SaveOptions(if_changed=True, shrink_alarm=share, key=app.keys.mark),
            plaintext=plaintext_secrets, allow_unseen=allow_unseen or app.settings.allow_unseen,
            full_every=timedelta(seconds=full_every),
        ),
        settle,
        None if no_prune else policy_from(app, {}, needed=False),
    )  # fmt: skip
    courier = Courier(Notifier(app, notify_flags), workspaces)
    return asyncio.run(_watch(app, job, teller, courier))


async def _watch(app: App, job: WatchJob, teller: "Teller", courier: Courier) -> int:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def backed_up(run: BackupRun) -> None:
        teller.backed_up(run)
        courier.workspaces = watching.workspaces
        courier.backed_up(run)

    def stands(standing: Standing) -> None:
        teller.stands(standing)
        courier.go_on()

    around = Surroundings(
        store=app.store, keys=app.keys, now=utc_now, monotonic=loop.time, report=teller.report,
        expected=app.expected_store(teller.metrics), told=teller.told, backed_up=backed_up,
        stands=stands, again=app.again, again_with_keys=app.again_with_keys, needed=courier.notifier.needed,
    )  # fmt: skip
    watching = Watch(job, around)
    with heard_by(lambda: loop.call_soon_threadsafe(stop.set)):
        try:
            await watching.run(stop)
        finally:
            await courier.end()
        teller.ended(watching.standing)
    return 0


class Teller:
    """Reports what a watch does: log lines, metrics, and a monitor, which a separate thread notifies."""

    def __init__(self, app: App, metrics: Path | None, run: str | None = "run") -> None:
        """Report nothing yet; `metrics` is the metrics file, `run` is as in `metrics_text`."""
        self.app, self.metrics = app, metrics
        self._standing = Standing(0, {})
        self._figures = Figures(metrics, lambda why: self._line("warning", why), run)
        self._pings: Queue[tuple[int, str, list[Alarm]]] = Queue()
        Thread(target=self._ping, daemon=True).start()
        app.told_all_along = True

    def report(self, event: Event) -> None:
        """Log an event inside a backup; notices, such as retries, only with --verbose."""
        if isinstance(event, Caution | Problem) or (
            isinstance(event, Notice) and self.app.options["verbose"]
        ):
            self._line(_LEVELS[type(event)], event.text)

    def told(self, event: WatchEvent) -> None:
        """Log an event of the watch."""
        facts = {
            "workspace": event.workspace,
            "archive": None if event.archive is None else str(event.archive),
            "id": None if event.archive is None else event.archive.digest_prefix,
            "seconds": None if event.seconds is None else round(event.seconds, 1),
        }
        self._line(event.level, event.message, **{name: v for name, v in facts.items() if v is not None})

    def backed_up(self, run: BackupRun) -> None:
        """Write the metrics of a backup, together with other problems."""
        mine = list(run.alarms(again_for(self.app, run), FOR_EVER))
        others = [
            alarm for alarm in self._standing.alarms if alarm.workspace not in {one.workspace for one in mine}
        ]
        self._tell_notices()
        code = run.exit_code or (IncompleteError.exit_code if others else 0)
        self._figures.note(code, [*mine, *others], figures_for(self.app, run, FOR_EVER, stored=True))

    def stands(self, standing: Standing) -> None:
        """Report the state of the watch to the monitor and the metrics."""
        self._standing = standing
        code, alarms = standing.exit_code, [*standing.alarms]
        self._tell_notices()
        self._figures.note(code, alarms)
        if self.app.monitor is not None:
            self._pings.put((code, standing.extent, alarms))

    def ended(self, standing: Standing) -> None:
        """Write the final state to the metrics and the log."""
        one = standing.workspaces == 1
        watched = f"{plural(standing.workspaces, 'workspace')} {'was' if one else 'were'} watched"
        self.app.outcome = f"ended; {watched if standing.well else standing.words}"
        self.app.facts |= {"workspaces": standing.workspaces, "troubles": dict(standing.troubles)}
        self._figures.end()
        if not self.app.logs:  # else the line of the run says it
            self._line("info" if standing.well else "warning", self.app.outcome)

    def _ping(self) -> None:
        while True:
            newest = self._pings.get()
            with suppress(Empty):
                while True:  # a slow monitor needs only the newest state
                    newest = self._pings.get_nowait()
            if self.app.monitor is not None:
                self.app.monitor.stands(*newest)

    def _tell_notices(self) -> None:
        for notice in self.app.notices:  # of a JSON log; the list must not grow for ever
            self._line("warning", notice)
        self.app.notices.clear()

    def _line(self, level: str, message: str, **facts: Any) -> None:
        now = utc_now().strftime("%Y-%m-%dT%H:%M:%SZ")
        if self.app.logs:
            known = {"time": now, "level": level, "command": "watch", "message": one_line(message), **facts}
            to_stderr(orjson.dumps({**known, "version": __version__}).decode())
        elif level != "info" or not self.app.options["quiet"]:
            whose = f"{facts['workspace']}: " if "workspace" in facts else ""
            to_stderr(printable(f"{now} {level}: {whose}{one_line(message)}"))


class Figures:
    """Writes the metrics of a watch in a separate thread, so that a lock on their folder does not delay the watch.

    `told` is called once with the reason when they cannot be written, and again only after they could.
    """

    def __init__(self, path: Path | None, told: Callable[[str], None], run: str | None) -> None:
        """Write nothing yet."""
        self._path, self._told, self._run, self._problem = path, told, run, ""
        self._lock, self._due, self._written = Lock(), ThreadEvent(), ThreadEvent()
        self._code, self._alarms = 0, list[Alarm]()
        self._new: dict[str, RunFigures] = {}
        self._written.set()
        if path is not None:
            Thread(target=self._keep_writing, args=(path,), daemon=True).start()

    def note(self, code: int, alarms: list[Alarm], figures: "Sequence[RunFigures]" = ()) -> None:
        """Have the metrics of some workspaces written, with the state of the watch."""
        if self._path is None:
            return
        with self._lock:
            self._code, self._alarms = code, alarms
            self._new |= {one.workspace: one for one in figures}
            self._written.clear()
            self._due.set()

    def end(self) -> None:
        """Wait a moment until everything is written."""
        self._written.wait(LAST_FIGURES_SECONDS)

    def _keep_writing(self, path: Path) -> None:
        while True:
            self._due.wait()
            with self._lock:
                self._due.clear()
                code, alarms, figures, self._new = self._code, self._alarms, [*self._new.values()], {}
            problem = figures_problem(path, figures, alarms, code, self._run)
            if problem and problem != self._problem:
                self._told(problem)
            self._problem = problem
            with self._lock:
                if not self._due.is_set():
                    self._written.set()
