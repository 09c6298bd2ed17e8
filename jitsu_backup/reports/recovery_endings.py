"""How the workspaces of a recovery stood before it and ended, in words, and whether another run would do more."""

from enum import Enum

from jitsu_backup.errors import AccessError, BlockedError, KeyRejectedError
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.operations.recovery import (
    Presence,
    RecoveryOutcome,
    RecoveryRun,
    WorkspaceRecovery,
    entities_of,
)
from jitsu_backup.operations.store_space import make_room

_IN_WORDS = {
    "to be made": "to be created",
    "there": "exists",
    "in place": "unchanged",
    "not begun": "not started",
    "back in part": "partly restored",
    "back from an older archive": "restored from an older archive",
    "back": "restored",
}


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

    def words_for(self, count: int) -> str:
        """Return the state of `count` workspaces, in words."""
        return "exist" if self is Standing.THERE and count > 1 else self.words


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
    OLDER = "back from an older archive"
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
    if outcome.recovery.newer is not None:
        return Ending.OLDER
    return Ending.BACK if outcome.made or written(outcome) or outcome.options_set else Ending.IN_PLACE


def written(outcome: RecoveryOutcome) -> int:
    """Return how many entities were written, including functions that the console wrote with their profile builders."""
    ended = () if outcome.result is None else outcome.result.outcomes
    done = [one.action for one in ended if one.status is Status.DONE]
    return entities_of(done, outcome.recovery.snapshot)


def how_to_run_again(run: RecoveryRun, store: str) -> str:
    """Return that the same command is to be run again, and what to do before, or an empty text if that changes nothing."""
    later = any(one.later for one in run.plan.left_out)
    if not (later or any(map(_is_unfinished, run.outcomes))):
        return ""
    before = []
    if any(isinstance(outcome.problem, KeyRejectedError) for outcome in run.outcomes):
        before.append("get a valid key")
    if any(outcome.unbacked or outcome.unrecorded for outcome in run.outcomes):
        before.append(make_room(store))
    text = ", ".join([*before, "then run the same command again" if before else "run the same command again"])
    return f"{text[0].upper()}{text[1:]}: it continues where this run ended and writes nothing twice"


def may_not_write(one: WorkspaceRecovery) -> bool:
    """Return whether a workspace could be planned, but the key may not write into it."""
    return isinstance(one.problem, AccessError) and one.prepared is not None


def _is_unfinished(outcome: RecoveryOutcome) -> bool:
    """Return whether the same command may do more for a workspace."""
    if may_not_write(outcome.recovery):
        return False
    how, result = ending(outcome), outcome.result
    failed = how in (Ending.INTERRUPTED, Ending.NOT_BEGUN, Ending.FAILED)
    if failed or any(option.body for option in outcome.options_left):
        return True
    return result is not None and bool(
        result.unrecorded or not result.verified or any(one.failed for one in result.outcomes)
    )
