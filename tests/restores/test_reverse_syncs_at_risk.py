"""Reverse syncs at risk: none is deleted that cannot be made again, and none starts or stops without a word."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.catalogue.derived_ids import derived_ids
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.planning import ActionKind, Overlay, parse_overlay
from jitsu_backup.reports.summary import matches
from jitsu_backup.sandbox import Sandbox, running
from jitsu_backup.sandbox.state import AttemptRow
from tests.restores.test_reverse_syncs import (
    HOOK,
    MODEL,
    SYNC,
    WAREHOUSE,
    action_on,
    assert_silent,
    backed_up,
    extra_sync,
    link_rows,
    newest,
    overlaid,
    plan_of,
    restored,
    sync_of,
)
from tests.support import OWNER, PRODUCTION, STAGING, cli

MOMENT = "2026-11-25T10:00:00.000Z"


def test_a_sync_that_has_used_up_its_ids_is_not_deleted() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    (row,) = link_rows(sandbox, STAGING)
    *_, last = derived_ids(STAGING, SYNC, row.id)
    row.deleted = True
    sandbox.state.add_link(STAGING, SYNC, row.from_id, row.to_id, row.data, last)
    sandbox.state.objects[HOOK].config["name"] = "Renamed"
    plan = plan_of(sandbox, before, rebind=True)
    (blocked,) = plan.blocked
    assert "it cannot be re-created, because its ids are used up" in blocked.reason
    assert not [action for action in plan.actions if action.kind is ActionKind.DELETE]


def test_a_model_and_its_warehouse_are_both_restored_though_the_console_rejects_the_model_before_the_warehouse() -> (
    None
):
    sandbox = newest()
    before = backed_up(sandbox)
    sandbox.state.objects[MODEL].config["name"] = "Renamed"
    sandbox.state.objects[WAREHOUSE].config["host"] = "  padded  "
    result = restored(sandbox, before, rebind=True)
    assert [line for line in result.found if line.key.type != SYNC] == []
    assert sandbox.state.objects[MODEL].config["name"] != "Renamed"


def test_without_the_feature_what_a_sync_uses_is_blocked_and_the_sync_stays() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    sandbox.state.workspaces[STAGING].features = []
    sandbox.state.objects[HOOK].config["name"] = "Renamed"
    plan = plan_of(sandbox, before, rebind=True)
    (blocked,) = plan.blocked
    assert "could not be re-created: the feature reverse-etl is switched off" in blocked.reason
    assert not [action for action in plan.actions if action.kind is ActionKind.DELETE]


def test_a_snapshot_that_did_not_read_syncs_counts_on_no_deletion_of_them() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    counts = {name: n for name, n in before.manifest.counts.items() if name not in (SYNC, "model")}
    entities = tuple(e for e in before.entities if e.key.type in counts)
    older = replace(before, manifest=replace(before.manifest, counts=counts), entities=entities)
    sandbox.state.objects[HOOK].config["name"] = "Renamed"
    (blocked,) = plan_of(sandbox, older, prune=True).blocked
    assert "this restore does not include that sync" in blocked.reason


def test_two_syncs_whose_webhooks_were_swapped_are_recreated_together() -> None:
    sandbox = newest()
    extra_sync(sandbox)
    before = backed_up(sandbox)
    one, other = link_rows(sandbox, STAGING)
    one.to_id, other.to_id = other.to_id, one.to_id
    blocked = plan_of(sandbox, before).blocked
    assert {action.key.type for action in blocked} == {SYNC}
    assert all("its webhook still serves reverse-sync" in action.reason for action in blocked)
    result = restored(sandbox, before, rebind=True)
    assert not result.found
    ends = {(row.from_id, row.to_id) for row in link_rows(sandbox, STAGING)}
    assert ends == {(MODEL, HOOK), ("extra-model", "extra-hook")}
    assert_silent(sandbox, before)


def test_a_clone_never_replaces_a_running_sync_because_the_source_was_recreated() -> None:
    sandbox = newest()
    restored(sandbox, backed_up(sandbox), PRODUCTION)
    (running,) = link_rows(sandbox, PRODUCTION)
    running.data = {**running.data, "disabled": False}
    (row,) = link_rows(sandbox, STAGING)
    row.deleted = True
    sandbox.state.add_link(STAGING, SYNC, row.from_id, row.to_id, row.data, "retl-by-hand")
    later = backed_up(sandbox)
    assert_silent(sandbox, later, PRODUCTION, prune=True)
    assert [(one.id, one.data["disabled"]) for one in link_rows(sandbox, PRODUCTION)] == [(running.id, False)]


def test_pruning_a_namesake_that_may_have_run_is_blocked() -> None:
    sandbox = newest()
    state = sandbox.state
    ads = {"name": "Ads", "destinationType": "google-ads", "customerId": "1", "developerToken": "t"}
    state.add_object(STAGING, "destination", "ads", ads)
    data = {"version": 2, "stream": "audience", "mode": "upsert", "mapping": {"email": "email"}}
    audience = {"audience": {"kind": "existing", "audienceId": "123"}, "customerMatchTermsAccepted": True}
    data |= {"streamOptions": audience, "disabled": True}
    first = state.add_link(STAGING, SYNC, MODEL, "ads", data, "retl-first")
    restored(sandbox, backed_up(sandbox), PRODUCTION)
    first.deleted = True
    state.add_link(STAGING, SYNC, MODEL, "ads", data, "retl-second")
    later = backed_up(sandbox)
    (blocked,) = plan_of(sandbox, later, PRODUCTION, prune=True).blocked
    assert "with it its state, so that the new one starts over: pair them with --map" in blocked.reason
    assert_silent(sandbox, later, PRODUCTION, prune=True, match_by_name=True)


def test_a_sync_that_stands_still_is_named_in_every_run_and_nothing_says_that_all_is_as_it_was() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    for row in link_rows(sandbox, STAGING):
        row.deleted = True
    for _ in range(2):
        result = restored(sandbox, before)
        assert action_on(result.plan, SYNC).off
        assert "; 1 reverse sync is disabled" in matches(result.plan, result.extras)
    assert (
        "reverse-sync 'Users → CRM webhook' is disabled, but runs in the snapshot: enable it in the UI if it should run"
        in result.plan.notes
    )


@pytest.mark.parametrize("disabled", [True, False])
def test_enabling_concerns_new_syncs_only(disabled: bool) -> None:
    sandbox = newest()
    (row,) = link_rows(sandbox, STAGING)
    row.data = {**row.data, "disabled": disabled}
    before = backed_up(sandbox)
    restored(sandbox, before, PRODUCTION)
    (made,) = link_rows(sandbox, PRODUCTION)
    made.data = {**made.data, "disabled": not disabled}
    assert_silent(sandbox, before, PRODUCTION, enable_reverse_syncs=True)


def test_nothing_is_enabled_where_connections_are_to_be_off() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    restored(sandbox, before, PRODUCTION, enable_reverse_syncs=True, disable_links=True)
    assert sync_of(sandbox, PRODUCTION).body["data"]["disabled"] is True


def test_making_a_running_sync_again_says_that_it_is_off_then_whatever_the_source_has() -> None:
    sandbox = newest()
    (row,) = link_rows(sandbox, STAGING)
    row.data = {**row.data, "disabled": True}
    restored(sandbox, backed_up(sandbox), PRODUCTION)
    (made,) = link_rows(sandbox, PRODUCTION)
    made.data = {**made.data, "disabled": False}
    sandbox.state.objects[HOOK].config["url"] = "https://elsewhere.example/in"
    plan = plan_of(sandbox, backed_up(sandbox), PRODUCTION, rebind=True)
    assert "created disabled" in action_on(plan, SYNC).reason


def test_what_an_update_newly_confirms_is_named_and_what_is_not_written_is_not() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    assert not [
        n
        for n in plan_of(sandbox, before, PRODUCTION, only=("stream/*",)).notes
        if "gives it in your name" in n
    ]
    sandbox.state.workspaces[PRODUCTION].features = []
    assert not [
        note for note in plan_of(sandbox, before, PRODUCTION).notes if "gives it in your name" in note
    ]
    sandbox.state.workspaces[PRODUCTION].features = ["reverse-etl"]
    restored(sandbox, before, PRODUCTION)
    (row,) = link_rows(sandbox, PRODUCTION)
    row.data = {**row.data, "streamOptions": {}}
    notes = plan_of(sandbox, before, PRODUCTION).notes
    assert [note for note in notes if "gave in the source (deliveryAttested): carrying out" in note]


@pytest.mark.parametrize("values", [{"data.schedule": None}, {"data.name": "  Padded  "}])
def test_what_an_overlay_takes_away_or_pads_is_as_the_console_stores_it(values: dict[str, Any]) -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    overlay = overlaid(before, "reverse-sync/*", values)
    result = restored(sandbox, before, overlay=overlay)
    assert not result.found
    assert_silent(sandbox, before, overlay=overlay)
    assert Key(SYNC, before.of_type(SYNC)[0].key.id) in result.plan.ids


# -- what the console would refuse ---------------------------------------------------


def signed(sandbox: Sandbox) -> Snapshot:
    """A backup in which the webhook signs its requests."""
    hook = sandbox.state.objects[HOOK].config
    hook |= {"signatureMethod": "hmac", "signatureSecret": "hidden"}
    return backed_up(sandbox)


def test_a_sync_to_a_webhook_that_cannot_sign_because_its_secret_is_nowhere_is_left_out() -> None:
    sandbox = newest()
    before = signed(sandbox)
    given = parse_overlay({f"destination/{WAREHOUSE}": {"password": "stand-in"}})
    plan = plan_of(sandbox, before, PRODUCTION, allow_missing_secrets=True, overlay=given)
    (skipped,) = [action for action in plan.actions if action.key.type == SYNC]
    assert (skipped.kind, plan.blocked) == (ActionKind.SKIPPED, ())
    assert "toId: the webhook signs its requests, but has no signatureSecret" in skipped.reason
    assert skipped.reason.endswith("provide it with --overlay")


def test_a_webhook_that_signs_already_is_as_good_as_one_whose_secret_is_given() -> None:
    sandbox = newest()
    before = signed(sandbox)
    assert SYNC not in {line.key.type for line in restored(sandbox, before, PRODUCTION).found}
    sandbox.state.objects[HOOK].config["name"] = "Renamed"
    assert not restored(sandbox, before, rebind=True, overlay=Overlay()).found


@pytest.mark.parametrize(
    ("held", "values", "told"),
    [
        (HOOK, {"url": "https://mia:CANARY@crm.example"}, "toId: the webhook's URL must not contain a username"),
        (HOOK, {"headers": ["Content-Type: CANARY"]}, "toId: the webhook sets the header content-type, which"),
        (None, {"data.timezone": "Mars/Olympus"}, "data.timezone: unknown time zone"),
    ],
)  # fmt: skip
def test_what_the_console_would_refuse_blocks_before_a_sync_is_deleted_to_be_recreated(
    held: str | None, values: dict[str, Any], told: str
) -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    selector = f"destination/{held}" if held else f"{SYNC}/*"
    sandbox.state.objects[HOOK].config["name"] = "Renamed"
    plan = plan_of(sandbox, before, rebind=True, overlay=overlaid(before, selector, values))
    assert any(told in action.reason for action in plan.blocked)
    assert not [action for action in plan.actions if action.kind is ActionKind.DELETE]
    assert not any("CANARY" in action.reason for action in plan.actions)


# -- what is told -------------------------------------------------------------------


def test_what_a_sync_that_cannot_be_deleted_now_uses_is_skipped_with_its_reason_and_the_rest_is_done() -> (
    None
):
    sandbox = newest()
    before = backed_up(sandbox)
    extra_sync(sandbox)
    state = sandbox.state
    warehouse = {**state.objects[WAREHOUSE].config, "name": "Other warehouse"}
    state.add_object(STAGING, "destination", "other-warehouse", warehouse)
    state.add_object(STAGING, "destination", "unused", {**state.objects[HOOK].config, "name": "Unused"})
    state.objects["extra-model"].config["warehouseId"] = "other-warehouse"
    state.attempts.append(AttemptRow("task-1", "retl-extra", "RUNNING", MOMENT, MOMENT))
    result = restored(sandbox, before, prune=True)
    assert [action.key.id for action in result.plan.writes] == ["unused"]
    kept = {line.key.id: line.reason for line in result.found}
    assert kept.keys() == {"retl-extra", "extra-model", "extra-hook", "other-warehouse"}
    assert all(reason.endswith("or run this again once it has ended") for reason in kept.values())
    state.attempts.clear()
    assert not restored(sandbox, before, prune=True).found


def test_nobody_is_told_to_delete_a_sync_that_the_console_cannot_delete() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    extra_sync(sandbox, version=1)
    sandbox.state.objects[WAREHOUSE].config["name"] = "Renamed"
    (blocked,) = plan_of(sandbox, before, rebind=True).blocked
    assert "it can be neither updated nor deleted" in blocked.reason
    assert "delete it first" not in blocked.reason


def test_what_an_overlay_takes_away_of_a_model_is_left_out_where_it_is_made() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    overlay = overlaid(before, "model/*", {"cursor": None, "deleteColumn": None})
    result = restored(sandbox, before, PRODUCTION, overlay=overlay)
    assert not [line for line in result.found if line.key.type in (SYNC, "model")]
    (model,) = backed_up(sandbox, PRODUCTION).of_type("model")
    assert not model.body.keys() & {"cursor", "deleteColumn"}
    assert_silent(sandbox, before, PRODUCTION, overlay=overlay)


def test_syncs_on_the_same_ends_are_told_apart_by_their_given_names_wherever_they_are_named() -> None:
    sandbox = newest()
    state = sandbox.state
    ads = {"name": "Ads", "destinationType": "google-ads", "customerId": "1", "developerToken": "t"}
    state.add_object(STAGING, "destination", "ads", ads)
    (row,) = link_rows(sandbox, STAGING)
    for name in ("One", "Two"):
        data = {**row.data, "stream": "click-conversions", "mapping": {"gclid": "id"}, "name": name}
        state.add_link(STAGING, SYNC, MODEL, "ads", data, f"retl-{name}")
    before = backed_up(sandbox)
    for link in link_rows(sandbox, STAGING):
        link.data = {**link.data, "disabled": True}
    plan = plan_of(sandbox, before)
    assert {"Users → Ads (One)", "Users → Ads (Two)", "Users → CRM webhook"} <= {
        action.name for action in plan.actions if action.key.type == SYNC
    }
    for other in link_rows(sandbox, STAGING)[1:]:
        other.deleted = True
    assert plan_of(sandbox, before, only=("reverse-sync/Users -> Ads",)).writes
    later = replace(before, entities=tuple(e for e in before.entities if e.key.type != SYNC))
    sandbox.state.links["retl-One"].deleted = sandbox.state.links["retl-Two"].deleted = False
    assert {extra.name for extra in plan_of(sandbox, later).extras} >= {"Users → Ads (One)"}


def test_a_blocked_plan_lists_nothing_that_would_follow_from_what_is_not_recreated() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    sandbox.state.objects[WAREHOUSE].config["parameters"] = "only=here"
    plan = plan_of(sandbox, before, recreate=True)
    assert [action.key.id for action in plan.blocked] == [WAREHOUSE]
    assert not plan.writes


def test_a_sync_that_is_switched_on_again_is_told_to_run() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    (row,) = link_rows(sandbox, STAGING)
    row.data = {**row.data, "disabled": True}
    assert action_on(plan_of(sandbox, before), SYNC).reason == "changes data.disabled; it is enabled again"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"enable_reverse_syncs": True, "disable_links": True}, "because of --disable-links"),
        ({"disable_links": True}, "because of --disable-links"),
        ({}, "use --enable-reverse-syncs to create it as in the snapshot"),
    ],
)
def test_a_plan_offers_the_option_only_where_it_would_enable_a_sync(
    options: dict[str, Any], told: str
) -> None:
    sandbox = newest()
    assert action_on(plan_of(sandbox, backed_up(sandbox), PRODUCTION, **options), SYNC).reason.endswith(told)


def test_to_send_secrets_again_with_rebind_is_told_to_happen_in_every_run() -> None:
    sandbox = newest()
    before = backed_up(sandbox)
    notes = plan_of(sandbox, before, rebind=True, resend_secrets=True).notes
    assert [note for note in notes if note.startswith("every run with both --resend-secrets and --rebind")]
    assert not [note for note in plan_of(sandbox, before, rebind=True).notes if "every run with both" in note]


def test_to_go_on_without_secrets_is_offered_only_where_nothing_blocks_then(tmp_path: Path) -> None:
    sandbox = newest()
    offer = "--allow-missing-secrets continues without the missing secrets"
    sandbox.state.objects[MODEL].config["warehouseId"] = HOOK  # which no model can read
    with running(sandbox) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
        command = ("clone", "acme-staging", "acme-production", "--dry-run")
        in_vain = cli(*command, env=env, cwd=tmp_path)
        of_use = cli(*command, "--skip", "model/*", env=env, cwd=tmp_path)
    assert (in_vain.returncode, of_use.returncode) == (7, 7)
    assert (offer in in_vain.stderr, offer in of_use.stderr) == (False, True)
