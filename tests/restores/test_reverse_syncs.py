"""Reverse syncs and models: nothing starts by itself, nothing is made twice, and what a sync uses is frozen."""

from typing import Any

import pytest

from jitsu_backup.catalogue.derived_ids import derived_ids
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.planning import Action, ActionKind, Overlay, Plan, PlanOptions, parse_overlay
from jitsu_backup.sandbox import Generation, Sandbox, default_state, example_workspace
from jitsu_backup.sandbox.state import AttemptRow
from tests.support import (
    PRODUCTION,
    STAGING,
    console_of,
    prepare,
    read,
    restore,
    run,
    stand_ins,
    writes,
)

SYNC, MODEL, HOOK, WAREHOUSE = "reverse-sync", "users-0001", "crm-hook-0001", "warehouse-0001"


def newest() -> Sandbox:
    state = default_state(generation=Generation.NEWEST)
    example_workspace(state, STAGING)
    return Sandbox(state, rate_limit=False)


def backed_up(sandbox: Sandbox, workspace: str = STAGING) -> Snapshot:
    found: Snapshot = run(read(console_of(sandbox), workspace))
    return found


def plan_of(sandbox: Sandbox, before: Snapshot, workspace: str = STAGING, **options: Any) -> Plan:
    options = {"overlay": stand_ins(before), **options}
    prepared = run(prepare(console_of(sandbox), workspace, before, PlanOptions(**options), lambda _: None))
    plan: Plan = prepared.plan
    return plan


def restored(sandbox: Sandbox, before: Snapshot, workspace: str = STAGING, **options: Any) -> Any:
    return run(restore(lambda: console_of(sandbox), before, workspace, **options))


def overlaid(before: Snapshot, selector: str, values: dict[str, Any]) -> Overlay:
    """A stand-in for every secret, and `values` for what `selector` names."""
    rules: dict[str, dict[str, Any]] = {selector: values}
    for line in before.manifest.ledger:
        rules.setdefault(f"{line.type}/{line.id}", {})[line.path] = "stand-in"
    return parse_overlay(rules)


def sync_of(sandbox: Sandbox, workspace: str = STAGING) -> Any:
    (sync,) = backed_up(sandbox, workspace).of_type(SYNC)
    return sync


def action_on(plan: Plan, kind: str) -> Action:
    (found,) = (a for a in plan.actions if a.key.type == kind and a.kind is not ActionKind.DELETE)
    return found


def assert_silent(sandbox: Sandbox, before: Snapshot, workspace: str = STAGING, **options: Any) -> None:
    sandbox.requests.clear()
    again = restored(sandbox, before, workspace, **options)
    assert (writes(sandbox), again.plan.writes) == (0, ())


def link_rows(sandbox: Sandbox, workspace: str) -> list[Any]:
    return [row for row in sandbox.state.live_links(workspace) if row.type == SYNC]


# -- nothing starts by itself ----------------------------------------------------


def test_in_another_workspace_a_sync_is_made_disabled_under_its_derived_id_and_the_plan_says_so() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    result = restored(sandbox, before, PRODUCTION)
    source, made = sync_of(sandbox), sync_of(sandbox, PRODUCTION)
    assert made.key.id == next(derived_ids(PRODUCTION, SYNC, source.key.id))
    assert made.body["data"] == {**source.body["data"], "disabled": True}
    assert made.body["fromId"] == result.plan.ids[Key("model", MODEL)]
    assert made.body["toId"] == result.plan.ids[Key("destination", HOOK)]
    assert "created disabled" in action_on(result.plan, SYNC).reason
    assert any("gave in the source (deliveryAttested): carrying out" in note for note in result.plan.notes)
    assert not [line for line in result.found if line.key.type in (SYNC, "model")]
    assert_silent(sandbox, before, PRODUCTION)


def test_a_later_run_never_disables_what_a_person_has_enabled() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    restored(sandbox, before, PRODUCTION)
    (row,) = link_rows(sandbox, PRODUCTION)
    row.data = {**row.data, "disabled": False}
    assert_silent(sandbox, before, PRODUCTION)
    row.data = {**row.data, "schedule": "5 5 * * *"}
    restored(sandbox, before, PRODUCTION)
    data = sync_of(sandbox, PRODUCTION).body["data"]
    assert (data["disabled"], data["schedule"]) == (False, "0 * * * *")


def test_asked_for_a_sync_is_made_as_it_was() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    restored(sandbox, before, PRODUCTION, enable_reverse_syncs=True)
    assert sync_of(sandbox, PRODUCTION).body["data"]["disabled"] is False
    assert_silent(sandbox, before, PRODUCTION)


def test_the_overlay_may_enable_one() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    overlay = overlaid(before, "reverse-sync/Users -> CRM webhook", {"data.disabled": False})
    restored(sandbox, before, PRODUCTION, overlay=overlay)
    assert sync_of(sandbox, PRODUCTION).body["data"]["disabled"] is False


def test_rolled_back_in_place_the_same_sync_is_as_the_snapshot_has_it() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    (row,) = link_rows(sandbox, STAGING)
    row.data = {**row.data, "disabled": True, "name": "Paused"}
    restored(sandbox, before)
    assert sync_of(sandbox).body["data"] == before.of_type(SYNC)[0].body["data"]
    assert_silent(sandbox, before)


# -- identity ----------------------------------------------------------------------


def test_after_a_total_loss_a_sync_comes_back_disabled_and_each_later_loss_takes_the_next_id() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    ids = list(derived_ids(STAGING, SYNC, before.of_type(SYNC)[0].key.id))
    for round_number in range(3):
        for row in link_rows(sandbox, STAGING):
            row.deleted = True
        restored(sandbox, before)
        made = sync_of(sandbox)
        assert (made.key.id, made.body["data"]["disabled"]) == (ids[round_number], True)
        assert_silent(sandbox, before)


def test_a_workspace_that_lost_all_its_models_and_syncs_is_whole_again() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    for row in link_rows(sandbox, STAGING):
        row.deleted = True
    sandbox.state.objects[MODEL].deleted = True
    sandbox.state.objects[HOOK].deleted = True
    result = restored(sandbox, before)
    assert not [line for line in result.found if line.key.type in (SYNC, "model", "destination")]
    after = backed_up(sandbox)
    assert after.manifest.counts == before.manifest.counts
    assert_silent(sandbox, before)


# -- what the target cannot take ---------------------------------------------------


def test_without_the_feature_models_and_syncs_are_skipped_with_that_reason_before_anything_is_sent() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    sandbox.state.workspaces[PRODUCTION].features = []
    result = restored(sandbox, before, PRODUCTION)
    reasons = {line.key.type: line.reason for line in result.found}
    assert "reverse-etl is switched off" in reasons["model"]
    assert reasons[SYNC] == "its source, model 'Users', is skipped"
    assert not [r for r in sandbox.requests if "model" in r.path and r.method != "GET"]
    assert_silent(sandbox, before, PRODUCTION)


@pytest.mark.parametrize("generation", [Generation.JULY_2026, Generation.OCTOBER_2024])
def test_an_older_console_gets_everything_else(generation: Generation) -> None:
    before = backed_up(newest())
    target = Sandbox(default_state(generation=generation), rate_limit=False)
    plan = plan_of(target, before, PRODUCTION)
    reasons = {action.key.type: action.reason for action in plan.actions if action.kind is ActionKind.SKIPPED}
    assert reasons["model"] == reasons[SYNC] == "the target console does not support this type"


def test_a_model_whose_warehouse_lacks_its_secret_is_left_out_with_that_reason() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    plan = plan_of(sandbox, before, PRODUCTION, allow_missing_secrets=True, overlay=parse_overlay({}))
    reason = action_on(plan, "model").reason
    assert reason.startswith("its warehouse, destination 'Warehouse', lacks its secret password")
    assert reason.endswith("before it saves a model; provide it with --overlay")
    assert [action_on(plan, kind).kind for kind in ("model", SYNC)] == [ActionKind.SKIPPED] * 2


def test_several_secrets_that_a_warehouse_lacks_are_reported_as_several() -> None:
    sandbox = newest()
    sandbox.state.objects[WAREHOUSE].config["sslClientKey"] = "hidden"
    before = backed_up(sandbox)
    plan = plan_of(sandbox, before, PRODUCTION, allow_missing_secrets=True, overlay=parse_overlay({}))
    reason = action_on(plan, "model").reason
    assert ", lacks its secrets password, sslClientKey: the console connects" in reason


# -- what a sync uses is frozen ------------------------------------------------------


@pytest.mark.parametrize("held", [MODEL, HOOK, WAREHOUSE])
def test_a_change_to_what_a_sync_uses_is_blocked_and_the_sync_is_named(held: str) -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    sandbox.state.objects[held].config["name"] = "Renamed"
    (blocked,) = plan_of(sandbox, before).blocked
    assert blocked.key.id == held
    assert blocked.reason.startswith("reverse-sync '")
    assert "--rebind deletes the sync" in blocked.reason


@pytest.mark.parametrize("held", [MODEL, HOOK, WAREHOUSE])
def test_rebinding_deletes_the_sync_changes_what_it_uses_and_makes_it_again_disabled(held: str) -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    sandbox.state.objects[held].config["name"] = "Renamed"
    result = restored(sandbox, before, rebind=True)
    assert not result.found
    assert sandbox.state.objects[held].config["name"] != "Renamed"
    made = sync_of(sandbox)
    assert (made.key.id, made.body["data"]["disabled"]) == (
        next(derived_ids(STAGING, SYNC, before.of_type(SYNC)[0].key.id)), True,
    )  # fmt: skip
    assert "starts over" in action_on(result.plan, SYNC).reason
    assert_silent(sandbox, before)
    assert_silent(sandbox, before, rebind=True)


def test_making_a_webhook_again_counts_as_a_change_of_it_and_leaves_no_stray_one() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    sandbox.state.objects[HOOK].config["headers"] = ["X-Env: test"]
    (blocked,) = plan_of(sandbox, before, recreate=True).blocked
    assert (blocked.key.id, "--rebind" in blocked.reason) == (HOOK, True)
    assert not [a for a in plan_of(sandbox, before, recreate=True).actions if a.kind is ActionKind.DELETE]
    result = restored(sandbox, before, recreate=True, rebind=True)
    assert not result.found
    hooks = [
        row
        for row in sandbox.state.live_objects(STAGING, "destination")
        if row.config["name"] == "CRM webhook"
    ]
    assert [hook.id for hook in hooks] == [result.plan.ids[Key("destination", HOOK)]] != [HOOK]
    assert sync_of(sandbox).body["toId"] == hooks[0].id
    assert_silent(sandbox, before, recreate=True)


def test_a_sync_that_only_an_attempt_keeps_from_being_recreated_blocks_with_that_reason() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    sandbox.state.objects[HOOK].config["name"] = "Renamed"
    (row,) = link_rows(sandbox, STAGING)
    moment = "2026-11-25T10:00:00.000Z"
    sandbox.state.attempts.append(AttemptRow("task-1", row.id, "RUNNING", moment, moment))
    (blocked,) = plan_of(sandbox, before, rebind=True).blocked
    assert "one of its attempts is running or waiting" in blocked.reason


def test_a_sync_that_is_no_part_of_the_restore_is_not_recreated() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    sandbox.state.objects[HOOK].config["name"] = "Renamed"
    (blocked,) = plan_of(sandbox, before, only=("destination/*",), rebind=True).blocked
    assert "reverse-sync 'Users → Renamed' uses it" in blocked.reason
    sync = "reverse-sync/Users → CRM webhook"
    assert f"add --rebind --only='{sync}' to delete the sync, make the change" in blocked.reason
    assert not plan_of(sandbox, before, only=("destination/*", sync), rebind=True).blocked
    (blocked,) = plan_of(sandbox, before, skip=("reverse-sync/*",), rebind=True).blocked
    assert "this restore does not include that sync, so delete it first" in blocked.reason


def test_an_update_of_what_has_run_is_blocked_but_for_what_stays_editable() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    (row,) = link_rows(sandbox, STAGING)
    sandbox.state.phases[row.id] = "complete"
    row.data = {**row.data, "schedule": "1 1 * * *"}
    assert not plan_of(sandbox, before).blocked
    row.data = {**row.data, "mapping": {"id": "id"}}
    (blocked,) = plan_of(sandbox, before).blocked
    assert "it has run, so its delivery cannot change" in blocked.reason
    restored(sandbox, before, rebind=True)
    assert_silent(sandbox, before)


# -- deletions -----------------------------------------------------------------------


def extra_sync(sandbox: Sandbox, **data: Any) -> str:
    """A second model with a sync to a webhook of its own, which no snapshot has."""
    state = sandbox.state
    users = state.objects[MODEL].config
    state.add_object(STAGING, "model", "extra-model", {**users, "name": "Extra"})
    state.add_object(
        STAGING, "destination", "extra-hook", {**state.objects[HOOK].config, "name": "Extra hook"}
    )
    (row,) = link_rows(sandbox, STAGING)
    return state.add_link(STAGING, SYNC, "extra-model", "extra-hook", {**row.data, **data}, "retl-extra").id


def test_what_only_the_target_has_is_pruned_the_sync_first_and_disabled_first() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    extra_sync(sandbox)
    assert [str(extra.key) for extra in plan_of(sandbox, before).extras] == [
        *("destination/extra-hook", "model/extra-model", "reverse-sync/retl-extra"),
    ]
    sandbox.requests.clear()
    result = restored(sandbox, before, prune=True)
    assert not result.found
    sent = [
        (r.method, r.path.rpartition("/")[2].partition("?")[0]) for r in sandbox.requests if r.method != "GET"
    ]
    assert sent == [("PUT", "sync"), ("DELETE", "sync"), ("DELETE", "extra-model"), ("DELETE", "extra-hook")]
    assert_silent(sandbox, before, prune=True)


def test_a_sync_that_is_pruned_frees_what_it_uses_before_that_is_changed() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    extra_sync(sandbox)
    sandbox.state.objects[HOOK].config["name"] = "Renamed"
    (row,) = link_rows(sandbox, STAGING)[:1]
    row.deleted = True
    (extra,) = link_rows(sandbox, STAGING)
    extra.to_id = HOOK
    result = restored(sandbox, before, prune=True)
    assert not result.found
    assert sync_of(sandbox).body["toId"] == HOOK
    assert_silent(sandbox, before, prune=True)


def test_a_sync_that_runs_is_left_as_it_is_with_the_reason() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    sync_id = extra_sync(sandbox)
    moment = "2026-11-25T10:00:00.000Z"
    sandbox.state.attempts.append(AttemptRow("task-1", sync_id, "WAITING", moment, moment))
    result = restored(sandbox, before, prune=True, skip=("model/extra-model", "destination/extra-hook"))
    assert [(line.key.id, line.reason) for line in result.found] == [
        (sync_id, "not in the snapshot, but one of its attempts is running or waiting: cancel that in the UI, or run this again once it has ended")
    ]  # fmt: skip
    assert sync_of_id(sandbox, sync_id)["disabled"] is False


def sync_of_id(sandbox: Sandbox, sync_id: str) -> Any:
    return next(row.data for row in link_rows(sandbox, STAGING) if row.id == sync_id)


def test_what_no_console_can_read_is_left_as_it_is_with_the_reason_and_nothing_else_fails() -> None:
    sandbox = newest()
    extra_sync(sandbox, version=1)
    before = backed_up(sandbox)
    assert before.manifest.complete
    assert before.manifest.counts[SYNC] == 2
    assert not plan_of(sandbox, before).writes
    result = restored(sandbox, before, PRODUCTION)
    assert {line.reason for line in result.found if line.key.type == SYNC} == {
        "the console cannot read its settings, which an older console saved, so it cannot be created"
    }


# -- one webhook, one sync ---------------------------------------------------------


def test_two_syncs_are_never_sent_to_one_webhook() -> None:
    sandbox = newest()
    extra_sync(sandbox)
    before = backed_up(sandbox)
    overlay = overlaid(before, "reverse-sync/retl-extra", {"toId": HOOK})
    plan = plan_of(sandbox, before, PRODUCTION, overlay=overlay)
    (blocked,) = plan.blocked
    assert "a webhook serves only one reverse sync" in blocked.reason


def test_the_sync_that_the_target_has_on_the_same_webhook_stands_for_that_of_the_snapshot() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    result = restored(sandbox, before, PRODUCTION)
    (row,) = link_rows(sandbox, PRODUCTION)
    row.deleted = True
    sandbox.state.add_link(PRODUCTION, SYNC, row.from_id, row.to_id, row.data, "retl-own")
    assert result.plan.ids
    again = restored(sandbox, before, PRODUCTION)
    assert not again.plan.writes
    assert [row.id for row in link_rows(sandbox, PRODUCTION)] == ["retl-own"]


# -- settings that would be refused -------------------------------------------------

REFUSED = [
    ({"functions": []}, "data.functions: unknown setting"),
    ({"schedule": "0 0 * * * *"}, "data.schedule: it must have five cron fields"),
    ({"schedule": "61 * * * *"}, "data.schedule: '61' is not a valid cron field"),
    ({"schedule": "* * 0 * *"}, "data.schedule: '0' is not a valid cron field"),
    ({"schedule": "*/0 * * * *"}, "data.schedule: '*/0' is not a valid cron field"),
    ({"schedule": "5-3 * * * *"}, "data.schedule: '5-3' is not a valid cron field"),
    ({"schedule": "soon * * * *"}, "data.schedule: 'soon' is not a valid cron field"),
    ({"mode": "mirror"}, "data.mode: a webhook accepts upsert only"),
    ({"stream": "audience"}, "data.stream: a webhook destination accepts rows"),
    ({"streamOptions": {}}, "data.streamOptions.deliveryAttested: somebody must confirm it"),
    ({"mapping": {"id": "id", "mail": "email"}}, "data.mapping: each field must have the name of its column"),
    ({"mapping": {"email": "email"}}, "data.mapping: the primary key is missing: id"),
]


@pytest.mark.parametrize(("data", "words"), REFUSED)
def test_settings_that_the_console_would_refuse_are_foreseen(data: dict[str, Any], words: str) -> None:
    sandbox = newest()
    (row,) = link_rows(sandbox, STAGING)
    row.data = {**row.data, **data}
    before = backed_up(sandbox)
    (blocked,) = plan_of(sandbox, before, PRODUCTION).blocked
    assert f"the target console would reject it: {words}; change it with --overlay" in blocked.reason


def test_an_overlay_that_gives_a_sync_an_unknown_field_is_refused() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    with pytest.raises(UsageError, match="shedule"):
        plan_of(
            sandbox, before, PRODUCTION, overlay=overlaid(before, "reverse-sync/*", {"shedule": "@daily"})
        )


# -- models ------------------------------------------------------------------------


def test_every_state_of_a_model_is_reached_by_updates() -> None:
    sandbox = newest()
    for row in link_rows(sandbox, STAGING):
        row.deleted = True
    before = backed_up(sandbox)
    model = sandbox.state.objects[MODEL]
    whole = dict(model.config)
    for change in (
        {"cursor": {"column": "id", "type": "number"}},
        {"cursor": None, "deleteColumn": None, "description": None},
        {"query": "SELECT id, email FROM users"},
    ):
        model.config = {k: v for k, v in {**whole, **change}.items() if v is not None}
        result = restored(sandbox, before, skip=("reverse-sync/*",))
        assert not result.found
        assert comparable_model(backed_up(sandbox)) == comparable_model(before)
    bare = {k: v for k, v in whole.items() if k not in ("cursor", "deleteColumn", "description")}
    model.config = bare
    lean = backed_up(sandbox)
    model.config = dict(whole)
    result = restored(sandbox, lean, skip=("reverse-sync/*",))
    assert comparable_model(backed_up(sandbox)) == comparable_model(lean)


def comparable_model(snapshot: Snapshot) -> dict[str, Any]:
    (model,) = snapshot.of_type("model")
    return {name: value for name, value in model.body.items() if name != "updatedAt"}
