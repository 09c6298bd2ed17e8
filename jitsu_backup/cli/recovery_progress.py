"""Progress of a recovery: one line with an estimate of the time left, updated in place on a terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from jitsu_backup.cli.output import Output
from jitsu_backup.events import Event, Notice, Progress as Step, Reporter
from jitsu_backup.model import lasting_between, plural, printable
from jitsu_backup.operations.recovery import RecoveryOutcome, RecoveryPlan
from jitsu_backup.reports.recovery_endings import ending, written

_SHOWN = ("opening archives", "planning", "recovering")
"""The tasks that are shown while planning; the others would be too many to follow."""


@contextmanager
def planning_progress(app: Output) -> Iterator[Reporter]:
    """Show the progress of planning or of a drill."""
    with app.progress() as report:

        def tell(event: Event) -> None:
            if not isinstance(event, Step) or event.task in _SHOWN:
                report(event)

        yield tell


@dataclass(slots=True)
class RecoveryProgress:
    """How far a recovery is and how long the rest may take: by its plan, or by its pace so far if that is slower."""

    plan: RecoveryPlan
    clock: Callable[[], float] = time.monotonic
    ended: list[RecoveryOutcome] = field(default_factory=list)
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin now."""
        self._began = self.clock()

    @property
    def total(self) -> int:
        """How many workspaces will end: all without a problem, including unchanged ones."""
        return sum(one.problem is None for one in self.plan.workspaces)

    def left(self) -> tuple[float, float]:
        """Return the least and the most estimated seconds that are left."""
        took = self.clock() - self._began
        done = sum(outcome.recovery.writes + 1 for outcome in self.ended)
        whole = self.plan.writes + self.total
        if done >= whole:
            return 0.0, 0.0
        at_this_pace = took * (whole - done) / done if done else 0.0
        return max(self.plan.seconds - took, 0.0), max(self.plan.seconds_at_most - took, at_this_pace)

    def in_words(self) -> str:
        """Return the progress, in one line."""
        rest = f", {lasting_between(*self.left())} left" if len(self.ended) < self.total else ""
        return f"{len(self.ended):,} of {plural(self.total, 'workspace')}{rest}"


@contextmanager
def recovery_progress(
    app: Output, progress: RecoveryProgress
) -> Iterator[tuple[Reporter, Callable[[RecoveryOutcome], None]]]:
    """Show a recovery: one updated line on a terminal, else a line per workspace; nothing with --quiet."""
    if app.logs or app.options["quiet"] or not app.err.is_terminal:
        yield _without_steps(app.tell), lambda outcome: _tell(app, progress, outcome)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=20), _Words(progress))
    with Progress(*columns, console=app.err, transient=True) as bars:
        task = bars.add_task("recovering", total=progress.total)

        def show(event: Event) -> None:
            if isinstance(event, Notice):
                bars.console.print(printable(event.text))
            else:
                app.tell(event)

        def ended(outcome: RecoveryOutcome) -> None:
            progress.ended.append(outcome)
            if outcome.begun and not ending(outcome).good:
                bars.console.print(printable(_line(outcome)), soft_wrap=True)
            bars.update(task, completed=len(progress.ended))

        yield show, ended


class _Words(ProgressColumn):
    """The progress of a recovery, in words."""

    def __init__(self, progress: RecoveryProgress) -> None:
        super().__init__(Column(no_wrap=True))
        self._progress = progress

    def render(self, task: Task) -> Text:  # noqa: ARG002  rich's signature
        return Text(self._progress.in_words())


def _without_steps(report: Reporter) -> Reporter:
    return lambda event: None if isinstance(event, Step) else report(event)


def _tell(app: Output, progress: RecoveryProgress, outcome: RecoveryOutcome) -> None:
    progress.ended.append(outcome)
    if outcome.recovery.goes and outcome.begun:
        app.say(f"{_line(outcome)} ({progress.in_words()})")


def _line(outcome: RecoveryOutcome) -> str:
    made = "created, " if outcome.made else ""
    return f"{outcome.recovery.slug}: {made}{ending(outcome).words}, {plural(written(outcome), 'entity', 'entities')} written"
