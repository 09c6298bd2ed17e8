"""Reverse syncs while a plan is carried out: what is refused, or changed meanwhile, costs no sync and stops none."""

from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from jitsu_backup.errors import AccessError, BlockedError, TargetChangedError
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.apply_plan import ActionOutcome, Status
from jitsu_backup.operations.restore import Result
from jitsu_backup.planning import ActionKind, PlanOptions
from jitsu_backup.sandbox import Sandbox
from jitsu_backup.sandbox.refusals import Refusal
from jitsu_backup.sandbox.routes.reverse_syncs import ReverseSyncs
from jitsu_backup.sandbox.state import AttemptRow, LinkRow
from tests.restores.test_reverse_syncs import (
    HOOK,
    MODEL,
    SYNC,
    action_on,
    assert_silent,
    backed_up,
    extra_sync,
    link_rows,
    newest,
    plan_of,
    restored,
    sync_of,
)
from tests.support import STAGING, Meddling, carry_out, console_of, prepare, run, stand_ins, writes

EXTRA, MOMENT = "retl-extra", "2026-11-25T10:00:00.000Z"

Event = tuple[str, str]
WORKSPACE, LINKS, STATES = ("GET", STAGING), ("GET", "link"), ("GET", "syncs")
CHANGE, DELETION = ("PUT", "sync"), ("DELETE", "sync")


def meddled(
    sandbox: Sandbox,
    before: Snapshot,
    at: Event,
    do: Callable[[], object],
    *,
    fail_fast: bool = False,
    **options: Any,
) -> Result:
    """Restore in place; once everything is planned, `do` something before each request that is like `at`."""
    planned = PlanOptions(overlay=stand_ins(before), **options)
    prepared = run(prepare(console_of(sandbox), STAGING, before, planned, lambda _: None))
    sandbox.requests.clear()

    def meddle(_: int, request: httpx.Request) -> None:
        if (request.method, request.url.path.rpartition("/")[2]) == at:
            do()

    console = console_of(sandbox, wrap=lambda inner: Meddling(inner, meddle))
    result: Result = run(carry_out(console, prepared, lambda _: None, fail_fast=fail_fast))
    return result


def outcome_of(result: Result, kind: ActionKind, type_name: str = SYNC) -> ActionOutcome:
    (found,) = (o for o in result.outcomes if (o.action.kind, o.action.key.type) == (kind, type_name))
    return found


def row_of(sandbox: Sandbox, sync_id: str = EXTRA) -> LinkRow:
    row: LinkRow = next(row for row in link_rows(sandbox, STAGING) if row.id == sync_id)
    return row


def edit(row: LinkRow, **data: Any) -> None:
    row.data = {**row.data, **data}


def sent(sandbox: Sandbox, sync_id: str = EXTRA) -> list[str]:
    return [r.method for r in sandbox.requests if r.path.endswith(f"/sync?syncId={sync_id}")]


def with_extra(**data: Any) -> tuple[Sandbox, Snapshot]:
    """A console, and a backup from before it got a second sync."""
    sandbox = newest()
    before = backed_up(sandbox)
    extra_sync(sandbox, **data)
    return sandbox, before


def with_renamed(held: str = HOOK) -> tuple[Sandbox, Snapshot]:
    """A console, and a backup from before something was renamed that a sync uses."""
    sandbox = newest()
    before = backed_up(sandbox)
    sandbox.state.objects[held].config["name"] = "Renamed"
    return sandbox, before


def start_attempt(sandbox: Sandbox, sync_id: str = EXTRA) -> None:
    if not sandbox.state.attempts:
        sandbox.state.attempts.append(AttemptRow("task-1", sync_id, "RUNNING", MOMENT, MOMENT))


# -- the features of the target ----------------------------------------------------


def test_a_plan_no_longer_fits_once_the_feature_is_switched_off_and_no_sync_is_lost() -> None:
    sandbox, before = with_renamed()
    features = sandbox.state.workspaces[STAGING].features
    with pytest.raises(TargetChangedError) as raised:
        meddled(sandbox, before, WORKSPACE, features.clear, rebind=True)
    assert str(raised.value) == (
        "the target has changed since the plan was made: feature reverse-etl is switched off; nothing was written; run"
        " this again"
    )
    assert isinstance(raised.value, BlockedError)
    assert raised.value.exit_code == 7
    assert writes(sandbox) == 0
    assert sync_of(sandbox).body["data"]["disabled"] is False


def test_nor_does_it_fit_once_the_workspace_is_read_only() -> None:
    sandbox, before = with_renamed()
    features = sandbox.state.workspaces[STAGING].features
    with pytest.raises(TargetChangedError, match=r"made: feature readonly is switched on; nothing"):
        meddled(sandbox, before, WORKSPACE, lambda: features.append("readonly"), rebind=True)
    assert writes(sandbox) == 0


def test_the_order_of_the_features_is_no_change() -> None:
    sandbox, before = with_renamed()
    sandbox.state.workspaces[STAGING].features.append("misc")
    features = sandbox.state.workspaces[STAGING].features
    assert not meddled(sandbox, before, WORKSPACE, features.reverse, rebind=True).found


def test_a_feature_that_is_switched_off_while_writing_fails_with_that_reason() -> None:
    sandbox, before = with_renamed()
    workspace = sandbox.state.workspaces[STAGING]
    result = meddled(sandbox, before, DELETION, workspace.features.clear, rebind=True)
    made = outcome_of(result, ActionKind.CREATE)
    told = "Reverse ETL is not enabled for this workspace"
    assert (made.status, made.reason) == (Status.FAILED, told)
    assert [(action.key, why) for action, why in result.lost] == [(before.of_type(SYNC)[0].key, told)]


# -- what a colleague changes meanwhile --------------------------------------------


def test_a_disabled_sync_that_is_changed_before_its_deletion_is_left_as_it_is() -> None:
    sandbox, before = with_extra(disabled=True)
    result = meddled(sandbox, before, STATES, lambda: edit(row_of(sandbox), name="Theirs"), prune=True)
    deletion = outcome_of(result, ActionKind.DELETE)
    assert (deletion.status, sent(sandbox)) == (Status.OVERTAKEN, [])
    assert "somebody else has changed it meanwhile" in deletion.reason
    assert row_of(sandbox).data["name"] == "Theirs"


def test_an_enabled_sync_that_is_changed_before_it_is_disabled_is_left_as_it_is() -> None:
    sandbox, before = with_extra()
    result = meddled(sandbox, before, STATES, lambda: edit(row_of(sandbox), name="Theirs"), prune=True)
    assert outcome_of(result, ActionKind.DELETE).status is Status.OVERTAKEN
    assert sent(sandbox) == []
    assert row_of(sandbox).data["disabled"] is False


def test_a_sync_that_is_changed_while_it_is_disabled_is_kept_and_enabled_again() -> None:
    sandbox, before = with_extra()
    result = meddled(sandbox, before, CHANGE, lambda: edit(row_of(sandbox), name="Theirs"), prune=True)
    deletion = outcome_of(result, ActionKind.DELETE)
    assert (deletion.status, sent(sandbox)) == (Status.OVERTAKEN, ["PUT", "PUT"])
    assert deletion.reason.startswith("somebody else has changed it meanwhile")
    assert deletion.reason.endswith("; it was enabled again")
    data = row_of(sandbox).data
    assert (data["name"], data["disabled"]) == ("Theirs", False)


def test_a_sync_that_somebody_else_deletes_once_it_is_disabled_is_simply_gone() -> None:
    sandbox, before = with_extra()

    def delete() -> None:
        for row in link_rows(sandbox, STAGING):
            row.deleted |= row.id == EXTRA and row.data["disabled"]

    result = meddled(sandbox, before, LINKS, delete, prune=True)
    deletion = outcome_of(result, ActionKind.DELETE)
    assert (deletion.status, deletion.reason) == (Status.OVERTAKEN, "somebody else has deleted it meanwhile")
    assert not result.found


# -- a deletion that fails -----------------------------------------------------------


@pytest.mark.parametrize("option", ["prune", "rebind"])
def test_a_sync_whose_deletion_an_attempt_prevents_is_enabled_again_and_the_reason_says_so(
    option: str,
) -> None:
    sandbox, before = with_extra() if option == "prune" else with_renamed()
    sync_id = EXTRA if option == "prune" else before.of_type(SYNC)[0].key.id
    result = meddled(sandbox, before, DELETION, lambda: start_attempt(sandbox, sync_id), **{option: True})
    deletion = outcome_of(result, ActionKind.DELETE)
    assert deletion.status is Status.FAILED
    assert deletion.reason == (
        "Cancel active or waiting attempts before deleting this sync; it was enabled again"
    )
    assert row_of(sandbox, sync_id).data["disabled"] is False


def test_a_disabled_sync_whose_deletion_fails_stays_disabled() -> None:
    sandbox, before = with_extra(disabled=True)
    result = meddled(sandbox, before, DELETION, lambda: start_attempt(sandbox), prune=True)
    reason = outcome_of(result, ActionKind.DELETE).reason
    assert reason == "Cancel active or waiting attempts before deleting this sync"
    assert row_of(sandbox).data["disabled"] is True


def test_a_sync_that_cannot_be_enabled_again_is_reported() -> None:
    sandbox, before = with_extra()

    def refuse() -> None:
        start_attempt(sandbox)
        sandbox.state.workspaces[STAGING].features.clear()

    result = meddled(sandbox, before, DELETION, refuse, prune=True)
    assert outcome_of(result, ActionKind.DELETE).reason == (
        "Cancel active or waiting attempts before deleting this sync; it was disabled to be deleted, but could not"
        " be enabled again: Reverse ETL is not enabled for this workspace; enable it in the UI"
    )
    (line,) = (line for line in result.found if line.key.id == EXTRA)
    assert "could not be enabled again" in line.reason


def make_list_unreadable(sandbox: Sandbox) -> None:
    """Add a sync that takes the list of reverse syncs down [reverse-sync/list-with-an-unreadable-one]."""
    state = sandbox.state
    state.add_object(STAGING, "model", "old-model", {**state.objects[MODEL].config, "name": "Old"})
    state.add_object(STAGING, "destination", "old-hook", {**state.objects[HOOK].config, "name": "Old hook"})
    state.add_link(STAGING, SYNC, "old-model", "old-hook", {"version": 1}, "retl-old")


@pytest.mark.parametrize("disabled", [False, True])
def test_where_nobody_can_tell_whether_a_sync_runs_only_a_disabled_one_is_planned_to_be_deleted(
    disabled: bool,
) -> None:
    sandbox = newest()
    extra_sync(sandbox, disabled=disabled)
    row = row_of(sandbox)
    make_list_unreadable(sandbox)
    row.deleted = True
    before = backed_up(sandbox)
    row.deleted = False
    result = restored(sandbox, before, prune=True, skip=("model/extra-model", "destination/extra-hook"))
    (planned,) = (action for action in result.plan.actions if action.key.id == EXTRA)
    if disabled:
        assert outcome_of(result, ActionKind.DELETE).status is Status.DONE
        assert EXTRA not in {line.key.id for line in result.found}
    else:
        assert planned.kind is ActionKind.SKIPPED
        assert "one of its attempts may be running or waiting" in planned.reason
        assert row_of(sandbox).data["disabled"] is False
        assert not [r for r in sandbox.requests if r.method == "PUT"]


def test_an_enabled_sync_is_kept_where_the_list_cannot_be_read_any_more_once_the_plan_is_made() -> None:
    sandbox, before = with_extra()
    result = meddled(sandbox, before, STATES, lambda: make_list_unreadable_once(sandbox), prune=True)
    deletion = outcome_of(result, ActionKind.DELETE)
    assert deletion.status is Status.FAILED
    assert "one of its attempts may be running or waiting" in deletion.reason
    assert row_of(sandbox).data["disabled"] is False


def make_list_unreadable_once(sandbox: Sandbox) -> None:
    if "old-model" not in sandbox.state.objects:
        make_list_unreadable(sandbox)


# -- a run that is killed between disabling and deleting --------------------------------


class Killed(BaseException):
    """The machine is switched off."""


def kill() -> None:
    raise Killed


def test_a_run_that_is_killed_once_a_sync_is_disabled_is_finished_by_the_next_which_says_that_it_stays_disabled() -> (
    None
):
    sandbox, before = with_renamed()
    with pytest.raises(Killed):
        meddled(sandbox, before, DELETION, kill, rebind=True)
    assert sync_of(sandbox).body["data"]["disabled"] is True
    result = restored(sandbox, before, rebind=True)
    made = outcome_of(result, ActionKind.CREATE)
    assert (made.status, made.action.off) == (Status.DONE, True)
    assert "created disabled" in made.action.reason
    assert not result.found
    row_of(sandbox, sync_of(sandbox).key.id).data["disabled"] = False  # by a person
    assert_silent(sandbox, before, rebind=True)


def test_asked_for_the_next_run_makes_it_as_the_snapshot_has_it() -> None:
    sandbox, before = with_renamed()
    with pytest.raises(Killed):
        meddled(sandbox, before, DELETION, kill, rebind=True)
    restored(sandbox, before, rebind=True, enable_reverse_syncs=True)
    assert sync_of(sandbox).body["data"]["disabled"] is False


def test_a_killed_prune_is_finished_by_the_next() -> None:
    sandbox, before = with_extra()
    with pytest.raises(Killed):
        meddled(sandbox, before, DELETION, kill, prune=True)
    assert row_of(sandbox).data["disabled"] is True
    assert not restored(sandbox, before, prune=True).found
    assert_silent(sandbox, before, prune=True)


def test_without_the_wish_the_plan_says_that_the_sync_is_disabled_and_was_not() -> None:
    sandbox, before = with_renamed()
    with pytest.raises(Killed):
        meddled(sandbox, before, DELETION, kill, rebind=True)
    plan = plan_of(sandbox, before)
    (blocked,) = plan.blocked
    sync = action_on(plan, SYNC)
    assert (blocked.key.id, sync.kind, sync.changes) == (HOOK, ActionKind.UPDATE, ("data.disabled",))
    assert [(change.path, change.before, change.after) for change in plan.fields(sync)] == [
        ("data.disabled", True, False)
    ]


def test_of_a_sync_that_was_recreated_once_before_a_note_says_so() -> None:
    sandbox, before = with_renamed()
    restored(sandbox, before, rebind=True, enable_reverse_syncs=True)
    sandbox.state.objects[HOOK].config["name"] = "Renamed"
    with pytest.raises(Killed):
        meddled(sandbox, before, DELETION, kill, rebind=True)
    sandbox.state.objects[HOOK].config["name"] = "CRM webhook"
    plan = plan_of(sandbox, before)
    assert not plan.writes
    (note, unsent) = plan.notes
    assert note == (
        "reverse-sync 'Users → CRM webhook' is disabled, but runs in the snapshot: enable it in the UI if it should run"
    )
    assert unsent.startswith("6 hidden secrets of the overlay are not sent")


# -- a change that fails -------------------------------------------------------------


def test_a_sync_is_recreated_even_where_the_change_it_was_deleted_for_is_refused() -> None:
    sandbox, before = with_renamed(MODEL)
    warehouses = list(sandbox.state.warehouses)
    result = meddled(sandbox, before, DELETION, sandbox.state.warehouses.clear, rebind=True)
    assert outcome_of(result, ActionKind.UPDATE, "model").status is Status.FAILED
    assert outcome_of(result, ActionKind.CREATE).status is Status.DONE
    made = sync_of(sandbox)
    assert made.key.id == result.plan.ids[before.of_type(SYNC)[0].key]
    assert [(line.key.type, line.path) for line in result.found] == [("model", "name")]
    sandbox.state.warehouses.extend(warehouses)
    assert not restored(sandbox, before, rebind=True).found
    assert_silent(sandbox, before, rebind=True)


def test_a_sync_is_not_recreated_where_something_new_that_it_needs_is_refused() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    state = sandbox.state
    state.add_object(
        STAGING, "destination", "other-hook", {**state.objects[HOOK].config, "name": "Other hook"}
    )
    (row,) = link_rows(sandbox, STAGING)
    row.to_id, state.objects[HOOK].deleted = "other-hook", True
    state.objects[MODEL].config["name"] = "Renamed"
    create = sandbox.objects.create

    def refusing(workspace_id: str, type_name: str, body: Any) -> Any:
        if type_name == "destination":
            raise Refusal(400, {"message": "No"})
        return create(workspace_id, type_name, body)

    sandbox.objects.create = refusing  # type: ignore[method-assign]
    result = restored(sandbox, before, rebind=True)
    made = outcome_of(result, ActionKind.CREATE)
    assert made.status is Status.NOT_ATTEMPTED
    assert made.reason == "needs destination 'CRM webhook', which failed"
    assert [why for _, why in result.lost] == [made.reason]


def refuse(*_: Any) -> Any:
    """Refuse to create a reverse sync, by a rule that nobody foresees."""
    raise Refusal(409, {"message": "A rule of tomorrow"})


def test_a_sync_that_could_not_be_recreated_is_lost_with_the_reason_until_the_next_run_makes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sandbox, before = with_renamed()
    monkeypatch.setattr(ReverseSyncs, "create", refuse)
    result = restored(sandbox, before, rebind=True)
    (old,) = before.of_type(SYNC)
    assert [(action.key, why) for action, why in result.lost] == [(old.key, "A rule of tomorrow")]
    assert [(line.key, line.reason) for line in result.found] == [(old.key, "A rule of tomorrow")]
    monkeypatch.undo()
    again = restored(sandbox, before)
    assert outcome_of(again, ActionKind.CREATE).status is Status.DONE
    assert (again.lost, again.found) == ((), [])
    assert_silent(sandbox, before)


def test_a_sync_that_the_end_of_a_run_kept_from_being_recreated_is_lost_too() -> None:
    sandbox, before = with_renamed()
    prepared = run(prepare(console_of(sandbox), STAGING, before, PlanOptions(rebind=True), lambda _: None))

    def closed(_: int, request: httpx.Request) -> httpx.Response | None:
        shut = (request.method, request.url.path.rpartition("/")[2]) == ("PUT", HOOK)
        return httpx.Response(401, json={"error": "Authorization Required"}) if shut else None

    console = console_of(sandbox, wrap=lambda inner: Meddling(inner, closed))
    result = run(carry_out(console, prepared, lambda _: None))
    assert isinstance(result.failure, AccessError)
    assert [why for _, why in result.lost] == ["the run ended before it was re-created"]


def test_a_sync_that_somebody_changed_meanwhile_is_neither_deleted_nor_lost() -> None:
    sandbox, before = with_renamed()
    (row,) = link_rows(sandbox, STAGING)
    result = meddled(sandbox, before, STATES, lambda: edit(row, name="Theirs"), rebind=True)
    assert outcome_of(result, ActionKind.DELETE).status is Status.OVERTAKEN
    assert outcome_of(result, ActionKind.CREATE).status is Status.NOT_ATTEMPTED
    assert result.lost == ()


# -- the first refusal ends the run ---------------------------------------------------


def test_with_fail_fast_a_sync_is_recreated_after_the_change_it_was_deleted_for_is_refused() -> None:
    sandbox, before = with_renamed(MODEL)
    clear = sandbox.state.warehouses.clear
    result = meddled(sandbox, before, DELETION, clear, fail_fast=True, rebind=True)
    assert outcome_of(result, ActionKind.UPDATE, "model").status is Status.FAILED
    assert outcome_of(result, ActionKind.CREATE).status is Status.DONE
    assert (len(link_rows(sandbox, STAGING)), result.lost) == (1, ())


def test_with_fail_fast_only_what_a_deleted_sync_needs_is_still_made() -> None:
    sandbox, before = with_extra()
    sandbox.state.objects[HOOK].config["headers"] = ["X-Env: test"]
    sandbox.state.objects["enrich-0001"].config["code"] = "of today"
    options = {"prune": True, "rebind": True, "recreate": True}
    start = partial(start_attempt, sandbox)
    result = meddled(sandbox, before, DELETION, start, fail_fast=True, **options)
    statuses = {(o.action.kind, o.action.key.id): o.status for o in result.outcomes}
    (sync,) = before.of_type(SYNC)
    assert statuses[ActionKind.DELETE, EXTRA] is Status.FAILED
    assert statuses[ActionKind.CREATE, HOOK] is Status.DONE
    assert statuses[ActionKind.CREATE, sync.key.id] is Status.DONE
    assert statuses[ActionKind.UPDATE, "enrich-0001"] is Status.NOT_ATTEMPTED
    assert result.lost == ()


# -- words ---------------------------------------------------------------------------


def test_a_refusal_by_a_rule_of_the_consoles_own_is_reported_in_its_words() -> None:
    sandbox = newest()
    options = {
        "audience": {"kind": "existing", "audienceId": "12"},
        "customerMatchTermsAccepted": True,
        "mirrorStrategy": "full-replace",
    }
    ads = {
        "name": "Ads",
        "destinationType": "google-ads",
        "developerToken": "x",
        "customerId": "1",
        "conversionActionId": "5",
    }
    sandbox.state.add_object(STAGING, "destination", "ads", ads)
    (row,) = link_rows(sandbox, STAGING)
    data = {**row.data, "stream": "audience", "streamOptions": options}
    sandbox.state.add_link(STAGING, SYNC, MODEL, "ads", data, "retl-ads")
    before = backed_up(sandbox)
    row_of(sandbox, "retl-ads").deleted = True
    made = outcome_of(restored(sandbox, before), ActionKind.CREATE)
    assert made.reason == "Invalid settings (Confirm exclusive audience management)"
