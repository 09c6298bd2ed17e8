"""The values of a report about the recovery of a console: what it is made of, its parts, and the states of workspaces."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from jitsu_backup.errors import BlockedError
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.operations.recovery import (
    Presence,
    RecoveryOutcome,
    RecoveryPlan,
    RecoveryRun,
    WorkspaceRecovery,
    entities_of,
)
from jitsu_backup.reports.recovery_remarks import RestoreCommand, restore_command

_IN_WORDS = {
    "to be made": "to be created",
    "there": "exists",
    "in place": "unchanged",
    "not begun": "not started",
    "back in part": "partly restored",
    "back": "restored",
}


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """The values behind a report of a recovery: its plan, and the run if it was carried out.

    `now` is the time in UTC, `store` says where the archives are. `keys_out` is the file with the new write keys.
    `ways_back` are the commands that undo what was written into a workspace, by its id on the target. `again` is the
    command that continues the recovery. `restore` returns the command that restores one workspace.
    """

    plan: RecoveryPlan
    now: datetime
    store: str = ""
    run: RecoveryRun | None = None
    keys_out: str | None = None
    ways_back: Mapping[str, str] = field(default_factory=dict)
    again: str = ""
    restore: RestoreCommand = restore_command


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
    """Something to do next: a sentence, and the command that does it, if there is one."""

    text: str
    command: str = ""

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


class Standing(Enum):
    """The state of a workspace before a recovery. The values are those of `--json`."""

    BLOCKED = "blocked"
    NEW = "to be made"
    THERE = "there"
    IN_PLACE = "in place"

    @property
    def words(self) -> str:
        """The state, in words for a person."""
        return _IN_WORDS.get(self.value, self.value)


def standing(one: WorkspaceRecovery) -> Standing:
    """Return the state of a workspace before a recovery."""
    if one.problem is not None:
        return Standing.BLOCKED
    if one.presence is Presence.NEW:
        return Standing.NEW
    return Standing.THERE if one.goes else Standing.IN_PLACE


class Ending(Enum):
    """How the recovery of a workspace ended. The values are those of `--json`."""

    FAILED = "failed"
    BLOCKED = "blocked"
    INTERRUPTED = "interrupted"
    NOT_BEGUN = "not begun"
    PARTLY = "back in part"
    BACK = "back"
    IN_PLACE = "in place"

    @property
    def good(self) -> bool:
        """Whether the workspace is complete."""
        return self in (Ending.BACK, Ending.IN_PLACE)

    @property
    def words(self) -> str:
        """The ending, in words for a person."""
        return _IN_WORDS.get(self.value, self.value)


def ending(outcome: RecoveryOutcome) -> Ending:
    """Return how the recovery of a workspace ended."""
    if outcome.interrupted:
        return Ending.INTERRUPTED if outcome.begun else Ending.NOT_BEGUN
    if outcome.problem is not None:
        return Ending.BLOCKED if isinstance(outcome.problem, BlockedError) else Ending.FAILED
    if not outcome.whole:
        return Ending.PARTLY
    return Ending.BACK if outcome.made or written(outcome) or outcome.options_set else Ending.IN_PLACE


def written(outcome: RecoveryOutcome) -> int:
    """Return how many entities were written, including functions that the console wrote with their profile builders."""
    ended = () if outcome.result is None else outcome.result.outcomes
    done = [one.action for one in ended if one.status is Status.DONE]
    return entities_of(done, outcome.recovery.snapshot)
