"""The values of a report about the recovery of a console: what it is made of, and its parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from jitsu_backup.operations.recovery import (
    RecoveryPlan,
    RecoveryRun,
)
from jitsu_backup.reports.recovery_remarks import RestoreCommand, alone_command, restore_command


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """The values behind a report of a recovery: its plan, and the run if it was carried out.

    `now` is the time in UTC, `store` says where the archives are. `keys_out` is the file with the new write keys.
    `ways_back` are the commands that undo what was written into a workspace, by its id on the target. `again` is the
    command that continues the recovery. `overlay_out` is the file with the overlay to fill in, if one is written. `restore`
    returns the command that restores one workspace, `alone` the one that recovers only it. `dry_run` says that the plan is
    only shown.
    """

    plan: RecoveryPlan
    now: datetime
    store: str = ""
    run: RecoveryRun | None = None
    keys_out: str | None = None
    ways_back: Mapping[str, str] = field(default_factory=dict)
    again: str = ""
    overlay_out: str | None = None
    restore: RestoreCommand = restore_command
    dry_run: bool = False
    alone: RestoreCommand = alone_command


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows of text under a heading, most important first.

    An `urgent` listing says what went wrong or will. The rows of a `detailed` listing are counted elsewhere, so they are
    shown only on request. Rows that are `alike` may be folded if many of them end with the same words.
    """

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    urgent: bool = False
    detailed: bool = False
    alike: bool = False


@dataclass(frozen=True, slots=True)
class NextStep:
    """Something to do next: a sentence, and the command that does it, if there is one.

    One that stands `aside` is not a step of the way, but another way, such as to undo everything.
    """

    text: str
    command: str = ""
    aside: bool = False

    def __str__(self) -> str:
        """Return both on one line."""
        return f"{self.text}: {self.command}" if self.command else f"{self.text}."


@dataclass(frozen=True, slots=True)
class RecoverySummary:
    """A report in words: its `title`, the state, whether that is `good`, facts, lists, and what to do next."""

    title: str
    subject: str
    state: str
    good: bool
    facts: tuple[tuple[str, str], ...]
    listings: tuple[Listing, ...]
    next_steps: tuple[NextStep, ...] = ()
    overlay: tuple[str, ...] = ()
