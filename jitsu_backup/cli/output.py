"""What a person or a program sees: results, notes, progress and questions."""

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TextIO, cast

import click
import orjson
import rich.console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from jitsu_backup.addresses import without_secrets
from jitsu_backup.errors import UsageError
from jitsu_backup.events import Caution, Event, Notice, Problem, Progress as Step, Reporter
from jitsu_backup.model import HARMFUL, laid_out, one_line, printable
from jitsu_backup.operations.alarms import Alarm


@dataclass
class Output:
    """What a run shows: text or JSON, and how much of it, as its options say."""

    options: Mapping[str, Any]
    logs: bool = False  # print nothing but one line at the end, which includes the fields below
    notices: list[str] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    warned: bool = False  # whether something went wrong, whatever the exit code

    @property
    def as_json(self) -> bool:
        """Whether results are JSON."""
        return bool(self.options["as_json"])

    @property
    def verbose(self) -> bool:
        """Whether to show more."""
        return bool(self.options["verbose"])

    @cached_property
    def out(self) -> rich.console.Console:
        """Standard output: results."""
        return rich.console.Console(soft_wrap=False, quiet=self.logs, **self._style)

    @cached_property
    def err(self) -> rich.console.Console:
        """Standard error: everything else."""
        file = None if sys.stderr is None else cast("TextIO", _Lossy(sys.stderr))
        return rich.console.Console(file=file, stderr=True, **self._style)

    @property
    def _style(self) -> dict[str, Any]:
        """How text is shown: without interpreting markup or emoji names in it."""
        choice = self.options.get("color")
        colours = {"always": {"force_terminal": True}, "never": {"no_color": True}}.get(str(choice), {})
        return {"highlight": False, "markup": False, "emoji": False, **colours}

    def line(self, text: str) -> None:
        """Print one line of a result, without control characters for the terminal."""
        self.out.print(printable(text), soft_wrap=True)

    def say(self, text: str) -> None:
        """Print a note; not with --quiet."""
        text = without_secrets(text)
        if self.logs:
            self.notices.extend({text}.difference(self.notices))  # simultaneous requests report the same
        elif not self.options["quiet"]:
            to_stderr(printable(text))

    def warn(self, text: str, *, always: bool = False) -> None:
        """Print a warning; with --quiet only if `always`. The level of the log becomes warning."""
        self.warned = True
        if always and not self.logs:
            to_stderr(f"warning: {one_line(without_secrets(text))}")
        else:
            self.say(f"warning: {text}")

    def problem(self, text: str) -> None:
        """Print a problem that did not end the run, even with --quiet."""
        self.warned = True
        text = without_secrets(text)
        if self.logs:
            self.notices.append(text)
        else:
            to_stderr(f"jitsu-backup: {laid_out(text)}")

    def alarm(self, alarm: Alarm) -> None:
        """Print an alarm and keep it for the log, the monitor and the metrics."""
        self.alarms.append(alarm)
        self.show_alarm(alarm)

    def show_alarm(self, alarm: Alarm) -> None:
        """Print an alarm that is known already, with each command on a line of its own."""
        if self.logs:
            self.problem(str(alarm))
        else:
            self.warned = True
            to_stderr(f"jitsu-backup: {without_secrets(alarm.for_a_person)}")

    def tell(self, event: Event) -> None:
        """Print an event. This is the reporter if no progress is shown."""
        match event:
            case Notice():
                self.say(event.text)
            case Caution():
                self.warn(event.text)
            case Problem():
                self.problem(event.text)
            case _:
                pass

    def emit(self, document: Any) -> None:
        """Print one JSON document on standard output, with escapes for control characters."""
        text = orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
        try:
            text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
        except UnicodeEncodeError:  # the locale's encoding lacks some characters; escapes lose nothing
            text = json.dumps(orjson.loads(text), indent=2)
        click.echo("\n".join(HARMFUL.sub(_escape, line) for line in text.split("\n")))

    def emit_line(self, document: Any) -> None:
        """Print a JSON document on one line of standard output."""
        click.echo(HARMFUL.sub(_escape, json.dumps(document, ensure_ascii=True, separators=(",", ":"))))

    @contextmanager
    def progress(self) -> Iterator[Reporter]:
        """Show progress: a bar on a terminal, plain lines elsewhere, nothing with --quiet."""
        if self.logs or self.options["quiet"]:
            yield self.tell
        elif self.err.is_terminal:
            yield from self._bars()
        else:
            yield self._plain_lines()

    def _plain_lines(self) -> Reporter:
        begun: set[str] = set()

        def tell(event: Event) -> None:
            said = event.task if isinstance(event, Step) else event.text
            if said in begun:  # simultaneous requests report the same
                return
            begun.add(said)
            if isinstance(event, Step):
                self.say(f"{said} ...")
            else:
                self.tell(event)

        return tell

    def _bars(self) -> Iterator[Reporter]:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.err, transient=True) as bars:
            tasks: dict[str, Any] = {}

            def show(event: Event) -> None:
                if isinstance(event, Step):
                    if event.task not in tasks:
                        tasks[event.task] = bars.add_task(printable(event.task), total=event.total)
                    over = event.done >= event.total
                    bars.update(tasks[event.task], completed=event.done, total=event.total, visible=not over)
                elif isinstance(event, Notice):
                    bars.console.print(printable(event.text))
                else:
                    self.tell(event)

            yield show


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


class _Lossy:
    """A stream that drops what cannot be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def to_stderr(line: str) -> None:
    """Write a line to standard error. If that fails, the line is lost, but the work continues."""
    with suppress(OSError):
        click.echo(line, err=True)


def ask(question: str, *, yes: bool) -> bool:
    """Ask before changing something; return the answer. Raise UsageError if nobody can answer and --yes is not given."""
    check_can_ask(yes=yes)
    if yes:
        return True
    width = shutil.get_terminal_size().columns - len(" [y/N]: ") - 1
    asked = textwrap.fill(one_line(question), max(20, width), break_on_hyphens=False)
    to_stderr("")
    with interrupted(NOTHING_CHANGED):
        return click.confirm(asked, err=True)


NOTHING_CHANGED = "nothing was changed"


@contextmanager
def interrupted(then: str) -> Iterator[None]:
    """Let Ctrl-C end with a message that says what is true or to be done `then`. Raise KeyboardInterrupt."""
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        raise KeyboardInterrupt(f"interrupted; {then}") from None


def check_can_ask(*, yes: bool) -> None:
    """Raise UsageError if nobody can answer and --yes is not given."""
    if not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "cannot ask for confirmation without a terminal; check the plan with --dry-run, then add --yes"
        )
