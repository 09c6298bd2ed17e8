"""What `--rebind` asks before it deletes a reverse sync, and what a webhook's change of hands waits for."""

import pytest

from jitsu_backup.catalogue.derived_ids import derived_ids
from jitsu_backup.errors import AccessError
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.planning import ActionKind
from jitsu_backup.sandbox import Sandbox
from tests.restores.test_reverse_syncs import (
    HOOK,
    MODEL,
    SYNC,
    WAREHOUSE,
    assert_silent,
    backed_up,
    extra_sync,
    link_rows,
    newest,
    plan_of,
    restored,
    sync_of,
)
from tests.restores.test_reverse_syncs_acting import (
    CHANGE,
    DELETION,
    EXTRA,
    STATES,
    meddled,
    outcome_of,
    row_of,
    start_attempt,
)
from tests.support import STAGING

CREATION, PREVIEW = ("POST", "syncs"), ("POST", "preview")


def two_syncs(held: str = WAREHOUSE) -> tuple[Sandbox, Snapshot, str]:
    """A console with two syncs on one warehouse, a backup from before something was renamed, and the other sync's id."""
    sandbox = newest()
    extra_sync(sandbox)
    before = backed_up(sandbox)
    sandbox.state.objects[held].config["name"] = "Renamed"
    (other,) = (row.id for row in link_rows(sandbox, STAGING) if row.id != EXTRA)
    return sandbox, before, other


def deletions(sandbox: Sandbox) -> list[str]:
    return [r.path.rpartition("=")[2] for r in sandbox.requests if (r.method, r.status) == ("DELETE", 200)]


def state_of(sandbox: Sandbox) -> list[tuple[str, str, bool]]:
    return sorted((row.id, row.to_id, row.data["disabled"]) for row in link_rows(sandbox, STAGING))


# -- one that cannot be deleted ------------------------------------------------------


@pytest.mark.parametrize("busy", ["first", "last"])
def test_a_sync_that_runs_keeps_those_that_hold_the_same_from_being_deleted_in_vain(busy: str) -> None:
    sandbox, before, other = two_syncs()
    was, sync_id = state_of(sandbox), sorted((EXTRA, other))[0 if busy == "first" else 1]
    result = meddled(sandbox, before, STATES, lambda: start_attempt(sandbox, sync_id), rebind=True)
    assert (deletions(sandbox), state_of(sandbox), result.lost) == ([], was, ())
    kept = next(
        o for o in result.outcomes if o.status is Status.NOT_ATTEMPTED and o.action.kind is ActionKind.DELETE
    )
    assert kept.action.key.id != sync_id
    assert kept.reason.endswith("uses the same and was not deleted")
    sandbox.state.attempts.clear()
    assert not restored(sandbox, before, rebind=True).found
    assert_silent(sandbox, before, rebind=True)


def test_once_one_is_not_deleted_the_next_is_left_alone() -> None:
    sandbox, before, other = two_syncs()
    first = min(EXTRA, other)
    was = state_of(sandbox)
    result = meddled(sandbox, before, DELETION, lambda: start_attempt(sandbox, first), rebind=True)
    assert (deletions(sandbox), state_of(sandbox), result.lost) == ([], was, ())


def test_a_sync_that_holds_something_else_is_recreated_all_the_same() -> None:
    sandbox, before, _ = two_syncs(HOOK)
    sandbox.state.objects["extra-hook"].config["name"] = "Renamed"
    result = meddled(sandbox, before, STATES, lambda: start_attempt(sandbox), rebind=True)
    assert len(deletions(sandbox)) == 1
    assert {line.key for line in result.found if line.key.type != SYNC} == {
        key for key in result.plan.ids if key.id == "extra-hook"
    }


# -- a webhook that changes hands -----------------------------------------------------


def chained(sandbox: Sandbox) -> Snapshot:
    """A backup from before one sync moved to a new webhook, and another to the webhook that it had left."""
    extra_sync(sandbox)
    before = backed_up(sandbox)
    sandbox.state.add_object(
        STAGING, "destination", "third", {**sandbox.state.objects[HOOK].config, "name": "Third"}
    )
    (row,) = (row for row in link_rows(sandbox, STAGING) if row.id != EXTRA)
    row.to_id, row_of(sandbox).to_id = "third", HOOK
    return before


def test_a_sync_that_takes_a_webhook_waits_for_the_one_that_leaves_it() -> None:
    sandbox = newest()
    before = chained(sandbox)
    result = restored(sandbox, before)
    assert not result.found
    assert {action.kind for action in result.plan.writes} == {ActionKind.UPDATE}
    assert_silent(sandbox, before)


def test_a_new_sync_waits_too() -> None:
    sandbox = newest()
    before = chained(sandbox)
    (row,) = (row for row in link_rows(sandbox, STAGING) if row.id != EXTRA)
    row.deleted = True
    assert not restored(sandbox, before).found
    assert_silent(sandbox, before)


def test_where_the_one_that_leaves_it_is_refused_the_other_is_not_attempted() -> None:
    sandbox = newest()
    before = chained(sandbox)
    result = meddled(sandbox, before, CHANGE, lambda: sandbox.state.phases.update({EXTRA: "ran"}))
    statuses = {outcome.action.key.id: outcome.status for outcome in result.outcomes}
    assert statuses.pop(EXTRA) is Status.FAILED
    assert [*statuses.values()] == [Status.NOT_ATTEMPTED]


def test_a_sync_that_has_run_and_cannot_leave_its_webhook_blocks_the_one_that_takes_it() -> None:
    sandbox = newest()
    before = chained(sandbox)
    sandbox.state.phases[EXTRA] = "ran"
    reasons = [action.reason for action in plan_of(sandbox, before).blocked]
    assert len(reasons) == 2
    assert any("it has run" in reason for reason in reasons)
    assert any("its webhook already serves" in reason for reason in reasons)
    result = restored(sandbox, before, rebind=True)
    assert (result.found, result.lost) == ([], ())
    assert_silent(sandbox, before, rebind=True)


# -- what is asked before a sync is deleted ---------------------------------------------


def test_a_sync_that_no_id_is_left_for_is_not_deleted_and_the_reason_names_a_way_out() -> None:
    sandbox, before, other = two_syncs(HOOK)
    for taken in derived_ids(STAGING, SYNC, other):
        sandbox.state.add_link(STAGING, SYNC, MODEL, HOOK, row_of(sandbox, other).data, taken).deleted = True
    was = state_of(sandbox)
    result = restored(sandbox, before, rebind=True)
    assert state_of(sandbox) == was
    deletion = outcome_of(result, ActionKind.DELETE)
    assert (deletion.status, result.lost) == (Status.FAILED, ())
    assert "its ids are used up: delete it in the UI" in deletion.reason


def test_no_sync_is_deleted_once_the_feature_is_switched_off_although_it_was_on_in_the_plan() -> None:
    sandbox, before, _ = two_syncs()
    was = state_of(sandbox)
    features = sandbox.state.workspaces[STAGING].features
    result = meddled(sandbox, before, CREATION, features.clear, rebind=True)
    assert (state_of(sandbox), result.lost) == (was, ())
    assert "Reverse ETL is not enabled for this workspace" in {outcome.reason for outcome in result.outcomes}


@pytest.mark.parametrize("fault", ["query", "delete column"])
def test_a_change_of_a_model_that_would_be_refused_costs_no_sync_in_any_run(fault: str) -> None:
    sandbox = newest()
    model = sandbox.state.objects[MODEL].config
    fine, wrong = dict(model), {"query": "SELECT id, nosuch FROM users"}
    model |= wrong if fault == "query" else {"deleteColumn": "nosuch"}
    before = backed_up(sandbox)
    model |= fine
    for _ in range(2):
        result = restored(sandbox, before, rebind=True)
        assert outcome_of(result, ActionKind.UPDATE, "model").status is Status.FAILED
        assert outcome_of(result, ActionKind.DELETE).reason.endswith("which needs this deletion")
        assert sync_of(sandbox).body["data"]["disabled"] is False


def test_a_sync_that_the_end_of_the_run_leaves_disabled_is_named() -> None:
    sandbox, before, other = two_syncs(HOOK)
    features = sandbox.state.workspaces[STAGING].features
    result = meddled(sandbox, before, DELETION, lambda: features.append("readonly"), rebind=True)
    assert isinstance(result.failure, AccessError)
    assert row_of(sandbox, other).data["disabled"] is True
    assert [action.key.id for action in result.half_deleted] == [other]
