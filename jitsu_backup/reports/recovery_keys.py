"""What the report of a recovery says about write keys: how many are new, including those of earlier runs, and for whom."""

from collections.abc import Iterable, Iterator

from jitsu_backup.model import plural, some_of
from jitsu_backup.operations.recovery import RecoveryPlan, RecoveryRun, WorkspaceRecovery


def planned_keys(plan: RecoveryPlan) -> str:
    """Return which write keys a plan creates, also where it is blocked; an empty text if it does nothing and no key is new."""
    ready = plan.unblocked.going
    made = [(one.slug, one.prepared.plan.made_keys) for one in ready if one.prepared is not None]
    new = sum(count for _, count in made)
    later = new - plan.made_keys
    slugs = some_of([slug for slug, count in made if count], 3)
    if later:
        blocked = "would be new (all blocked)" if later == new else f"new ({later} of them blocked)"
        words = f"{new} {blocked}, for senders of {slugs}"
    else:
        words = f"{new} new, for senders of {slugs}" if new else ""
    words = _with_earlier(words, plan.workspaces)
    unknown = len(plan.going) - len(ready) + _unrecovered(plan)
    return words or (_none(unknown) if ready else "")


def made_keys(run: RecoveryRun, keys_out: str | None) -> str:
    """Return how many write keys are new after a run, and where they are."""
    keys = _made(run)
    new = f"{keys} new: in {keys_out}" if keys else ""
    unended = sum(
        outcome.recovery.goes and (outcome.problem is not None or outcome.interrupted)
        for outcome in run.outcomes
    )
    found = _with_earlier(new, (outcome.recovery for outcome in run.outcomes))
    return found or _none(_unrecovered(run.plan) + unended)


def for_senders(run: RecoveryRun, keys_out: str | None) -> Iterator[str]:
    """Yield which write keys senders need; whether they have those of earlier runs is unknown."""
    if keys := _made(run):
        yield f"Give senders the {plural(keys, 'new write key')} in {keys_out}, which only you can read"
    before = [(one.recovery.slug, key) for one in run.outcomes for key in one.recovery.keys_before]
    if before:
        streams = list(dict.fromkeys(f"{key.name} in {slug}" for slug, key in before))
        yield (
            f"Give senders the {plural(len(before), 'write key')} of earlier runs, unless they have them: {some_of(streams, 3)};"
            " they are in the --keys-out file of those runs"
        )


def _unrecovered(plan: RecoveryPlan) -> int:
    """Return how many workspaces are blocked, or left out although that was not intended."""
    return len(plan.stuck) + sum(bool(one.exit_code) for one in plan.left_out)


def _none(unknown: int) -> str:
    """Return that no write key is new, which is not claimed of the `unknown` workspaces that are not recovered."""
    if unknown:
        return f"no new keys so far; unknown for {plural(unknown, 'workspace')} not recovered"
    return "no new keys; senders need no change if this console has the hash secret of the old one"


def _made(run: RecoveryRun) -> int:
    return sum(0 if outcome.result is None else len(outcome.result.keys) for outcome in run.outcomes)


def _with_earlier(new: str, workspaces: Iterable[WorkspaceRecovery]) -> str:
    before = sum(len(one.keys_before) for one in workspaces)
    earlier = f"{before} created by earlier runs" if before else ""
    return "; ".join(filter(None, (new, earlier)))
