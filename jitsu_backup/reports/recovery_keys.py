"""What the report of a recovery says of write keys: how many are new, also those that earlier runs made, and for whom."""

from collections.abc import Iterable, Iterator

from jitsu_backup.model import some_of
from jitsu_backup.operations.recovery import RecoveryPlan, RecoveryRun, WorkspaceRecovery

_NONE = "none is new: senders work on as they are"


def planned_keys(plan: RecoveryPlan) -> str:
    """Say which write keys are new by a plan; return an empty text where nothing is done and all keys are as they were."""
    made = [one.slug for one in plan.going if one.prepared is not None and one.prepared.plan.made_keys]
    new = f"{plan.made_keys} new, for which senders have to change: {some_of(made, 3)}" if made else ""
    return _with_earlier(new, plan.workspaces) or (_NONE if plan.going else "")


def made_keys(run: RecoveryRun, keys_out: str | None) -> str:
    """Say how many write keys are new after a run, and where they are."""
    keys = _made(run)
    new = f"{keys} new: in {keys_out}" if keys else ""
    return _with_earlier(new, (outcome.recovery for outcome in run.outcomes)) or _NONE


def for_senders(run: RecoveryRun, keys_out: str | None) -> Iterator[str]:
    """Yield what senders have to be given; nobody knows whether they have what earlier runs made."""
    if keys := _made(run):
        yield f"Give senders their new write keys ({keys}): they are in {keys_out}, which only you can read"
    before = [(one.recovery.slug, key) for one in run.outcomes for key in one.recovery.keys_before]
    if before:
        streams = list(dict.fromkeys(f"{key.name} of {slug}" for slug, key in before))
        yield (
            f"Give senders the write keys that earlier runs made ({len(before)}), unless they have them: for"
            f" {some_of(streams, 3)}; they are in the file that --keys-out named then"
        )


def _made(run: RecoveryRun) -> int:
    return sum(0 if outcome.result is None else len(outcome.result.keys) for outcome in run.outcomes)


def _with_earlier(new: str, workspaces: Iterable[WorkspaceRecovery]) -> str:
    before = sum(len(one.keys_before) for one in workspaces)
    earlier = f"{before} made by earlier runs" if before else ""
    return "; ".join(filter(None, (new, earlier)))
