"""What still differs from the snapshot after a restore, according to the target that was read back."""

from collections.abc import Iterable
from dataclasses import replace

from jitsu_backup.catalogue import entity_type
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.operations.apply_plan import ActionOutcome, PlanExecutor, Status
from jitsu_backup.planning import (
    Action,
    ActionKind,
    Loss,
    Plan,
    PlanOptions,
    Residue,
    left_out,
    make_plan,
    residue,
    shortfalls,
)

_TWICE = "exists twice: somebody else, or a delayed request, created it meanwhile; delete one of the two"


def still_different(
    snapshot: Snapshot, plan: Plan, options: PlanOptions, importer: PlanExecutor, after: Snapshot
) -> tuple[Plan, list[Residue]]:
    """Return the plan that the target needs now, and what differs from the intended state, with the reasons.

    `options` are those of the `plan` that `importer` has carried out, and `after` is the target as it was read back.
    """
    outcomes = importer.outcomes()
    afterwards = options.afterwards(o.action.key for o in outcomes if o.status is Status.DONE)
    check = _without_second_replacements(make_plan(snapshot, after, afterwards), outcomes)
    made = [outcome for outcome in outcomes if outcome.action.kind is not ActionKind.DELETE]
    reasons: dict[Key, tuple[Loss, ...]] = {
        o.action.key: (*o.losses, *((Loss("", o.reason),) if o.reason else ())) for o in made
    }
    undeleted = {o.action.key: o.reason for o in outcomes if o.action.kind is ActionKind.DELETE and o.reason}
    left = left_out(o.action for o in made if o.status is not Status.OVERTAKEN)
    overtaken = [(o.action, loss) for o in made if o.status is Status.OVERTAKEN for loss in o.losses]
    found = {*residue(check, reasons, undeleted), *left}
    found |= {Residue(action.key, action.name, loss.path, loss.reason) for action, loss in overtaken}
    listed = {line.key for line in found}
    if options.resend_secrets:  # reading back cannot show which hidden secrets were not sent
        skipped = (action for action in plan.actions if action.kind is ActionKind.SKIPPED)
        found |= {line for line in shortfalls(skipped) if line.key not in listed}
    found |= {Residue(e.key, e.name, "", _TWICE) for e in importer.duplicates(after) if e.key not in listed}
    return check, sorted(found)


def _without_second_replacements(check: Plan, outcomes: Iterable[ActionOutcome]) -> Plan:
    """Return a plan that does not replace what this run has already replaced.

    `--rebind` would do that if something that it was done for still differs because the console rejected it.
    """
    made = {o.action.key for o in outcomes if o.action.kind is ActionKind.CREATE and o.status is Status.DONE}
    again = {
        key
        for action in check.actions
        if frees_what_changes(action)
        if not made.isdisjoint(action.after)
        for key in (action.key, *action.after)
    }
    return replace(check, actions=tuple(action for action in check.actions if action.key not in again))


def frees_what_changes(action: Action) -> bool:
    """Return whether an action deletes something to re-create it after what it uses has changed (`--rebind`)."""
    return action.kind is ActionKind.DELETE and entity_type(action.key.type).deleted_first
