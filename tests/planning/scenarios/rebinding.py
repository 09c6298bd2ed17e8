"""Scenarios: what a reverse sync uses is frozen, and `--rebind` makes the sync again."""

from typing import Any

from tests.planning.scenarios.reverse_syncs import (
    HOOK,
    ONE,
    TWO,
    WAREHOUSE,
    again,
    changed,
    clone,
    cloned,
    sync,
)
from tests.planning.scenarios.scenario import TYPES, Scenario, here, overlay, own, scenario, with_

# -- what a reverse sync uses is frozen -----------------------------------------


def renamed(one: str, **options: Any) -> Scenario:
    return again(ONE, changed(ONE, one, name="Renamed"), **options)


@scenario
def a_reverse_sync_freezes_its_model() -> Scenario:
    return renamed("users")


@scenario
def a_reverse_sync_freezes_its_destination() -> Scenario:
    return renamed("hook")


@scenario
def a_reverse_sync_freezes_the_warehouse_of_its_model() -> Scenario:
    return renamed("dwh")


@scenario
def a_reverse_sync_that_prune_keeps_freezes_its_destination() -> Scenario:
    return renamed("hook", prune=True)


@scenario
def rebinding_makes_a_reverse_sync_again_for_its_model() -> Scenario:
    return renamed("users", rebind=True)


@scenario
def rebinding_makes_a_reverse_sync_again_for_its_destination() -> Scenario:
    return renamed("hook", rebind=True)


@scenario
def rebinding_makes_a_reverse_sync_again_for_the_warehouse_and_enabled_when_asked() -> Scenario:
    return renamed("dwh", rebind=True, enable_reverse_syncs=True)


@scenario
def rebinding_a_disabled_reverse_sync_of_a_clone_says_that_it_is_disabled() -> Scenario:
    live = cloned(with_(ONE, reverse_sync=[sync(disabled=True)]))
    return clone(ONE, changed(live, here("model", "users"), query="SELECT 1"), rebind=True)


@scenario
def a_reverse_sync_whose_model_is_gone_freezes_the_warehouse() -> Scenario:
    return again(ONE, changed(with_(ONE, model=[]), "dwh", host="other"))


@scenario
def a_reverse_sync_that_only_the_target_has_freezes_what_it_uses() -> Scenario:
    return again(with_(ONE, reverse_sync=[]), changed(ONE, "hook", url="https://other.example"), rebind=True)


@scenario
def a_reverse_sync_that_is_pruned_freezes_nothing() -> Scenario:
    live = changed(ONE, "hook", url="https://other.example")
    return again(with_(ONE, reverse_sync=[]), live, prune=True, accept_shrink=True)


@scenario
def a_reverse_sync_that_is_not_pruned_freezes_what_it_uses() -> Scenario:
    live = changed(ONE, "hook", url="https://other.example")
    return again(with_(ONE, reverse_sync=[]), live, prune=True, skip=("reverse-sync/*",))


@scenario
def reverse_syncs_that_the_snapshot_could_not_read_are_not_pruned() -> Scenario:
    before = {"destination": ONE["destination"], "model": ONE["model"]}
    live = changed(ONE, "hook", url="https://other.example")
    return again(before, live, prune=True, of_snapshot={"types": (*TYPES, "model")})


@scenario
def several_reverse_syncs_that_hold_one_model_are_named() -> Scenario:
    hooks = [{**HOOK, "id": f"hook-{n}", "name": f"Hook {n}"} for n in range(5)]
    syncs = [sync(f"retl-{n}", "users", f"hook-{n}") for n in range(5)]
    before = with_(ONE, destination=[WAREHOUSE, *hooks], reverse_sync=syncs)
    return again(before, changed(before, "users", query="SELECT 1"))


@scenario
def one_of_two_reverse_syncs_on_a_model_is_in_the_way_of_rebinding() -> Scenario:
    before = with_(TWO, reverse_sync=[sync(), sync("retl-2", "users", "hook-2")])
    live = changed(before, "users", query="SELECT 1")
    return again(before, live, rebind=True, skip=("reverse-sync/retl-2",))


@scenario
def making_a_webhook_again_counts_as_a_change_of_it() -> Scenario:
    live = changed(ONE, "hook", headers=["X-Env: test"])
    return again(ONE, live, recreate=True)


@scenario
def making_a_webhook_again_makes_its_reverse_sync_again() -> Scenario:
    live = changed(ONE, "hook", headers=["X-Env: test"])
    return again(ONE, live, recreate=True, rebind=True)


@scenario
def of_a_reverse_sync_that_has_run_only_some_settings_change() -> Scenario:
    edited = sync(name="Other", schedule="@daily", timezone="Etc/UTC", disabled=True, checkpointEvery=1000)
    other = sync("retl-2", "orders", "hook-2", mapping={"id": "id", "mail": "mail"})
    live = with_(TWO, reverse_sync=[edited, other])
    return again(TWO, live, locked_syncs=frozenset({"retl-1", "retl-2"}))


@scenario
def a_webhook_that_new_reverse_syncs_could_not_use_keeps_none_from_being_rescheduled() -> Scenario:
    before = changed(ONE, "hook", url="https://mia:pass@crm.example")
    return again(before, with_(before, reverse_sync=[sync(schedule="@daily")]))


@scenario
def a_bad_time_zone_blocks_whatever_else_changes() -> Scenario:
    given = overlay({"reverse-sync/*": {"data": {"timezone": "Mars/Olympus"}}})
    return again(ONE, ONE, overlay=given)


@scenario
def of_a_reverse_sync_that_never_ran_everything_changes() -> Scenario:
    return again(ONE, with_(ONE, reverse_sync=[sync(mapping={"id": "id", "mail": "mail"})]))


@scenario
def rebinding_makes_a_reverse_sync_that_has_run_again() -> Scenario:
    live = with_(ONE, reverse_sync=[sync(mapping={"id": "id", "mail": "mail"})])
    return again(ONE, live, locked_syncs=frozenset({"retl-1"}), rebind=True)


@scenario
def a_change_of_a_reverse_sync_that_may_have_run_is_noted() -> Scenario:
    edited = sync("retl-2", "orders", "hook-2", name="Orders to the shop", schedule="@daily")
    live = with_(TWO, reverse_sync=[sync(mapping={"id": "id", "mail": "mail"}), edited])
    return again(TWO, live, knows_syncs=False)


@scenario
def rebinding_makes_a_reverse_sync_that_may_have_run_again_where_it_is_disabled() -> Scenario:
    live = with_(ONE, reverse_sync=[sync(mapping={"id": "id", "mail": "mail"}, disabled=True)])
    return again(ONE, live, knows_syncs=False, rebind=True)


# -- what keeps a reverse sync from being made again -----------------------------


@scenario
def an_enabled_reverse_sync_that_may_be_running_is_not_made_again() -> Scenario:
    return renamed("hook", rebind=True, knows_syncs=False)


@scenario
def a_disabled_reverse_sync_is_made_again_whatever_the_console_can_tell() -> Scenario:
    before = with_(ONE, reverse_sync=[sync(disabled=True)])
    return again(before, changed(before, "hook", name="Renamed"), rebind=True, knows_syncs=False)


@scenario
def an_enabled_reverse_sync_that_may_be_running_is_not_pruned() -> Scenario:
    before = with_(TWO, reverse_sync=[])
    live = with_(TWO, reverse_sync=[sync(), sync("retl-2", "orders", "hook-2", disabled=True)])
    return again(before, live, prune=True, accept_shrink=True, knows_syncs=False)


@scenario
def of_two_reverse_syncs_the_one_that_has_another_change_too_is_made_again() -> Scenario:
    before = with_(TWO, reverse_sync=[sync(), sync("retl-2", "users", "hook-2")])
    live = changed(changed(before, "users", query="SELECT 1"), "hook", name="Renamed")
    return again(before, live, rebind=True, skip=("reverse-sync/retl-2",))


@scenario
def a_reverse_sync_that_would_share_its_webhook_is_not_deleted_to_be_made_again() -> Scenario:
    before = with_(TWO, reverse_sync=[sync("retl-1", "orders", "hook"), sync("retl-2", "users", "hook")])
    live = with_(TWO, reverse_sync=[sync("retl-1", "orders", "hook-2"), sync("retl-2", "users", "hook")])
    return again(before, changed(live, "hook-2", name="Renamed"), rebind=True)


@scenario
def a_reverse_sync_that_is_made_again_keeps_its_webhook_before_a_new_one() -> Scenario:
    before = with_(TWO, reverse_sync=[sync("retl-1", "orders", "hook"), sync("retl-2", "users", "hook")])
    live = with_(TWO, reverse_sync=[sync("retl-2", "users", "hook")])
    return again(before, changed(live, "hook", name="Renamed"), rebind=True)


@scenario
def a_reverse_sync_with_an_attempt_is_not_made_again() -> Scenario:
    return renamed("hook", rebind=True, busy_syncs=frozenset({"retl-1"}))


@scenario
def a_reverse_sync_that_the_console_cannot_read_is_not_made_again() -> Scenario:
    before = with_(ONE, reverse_sync=[sync(version=1)])
    return again(before, changed(before, "hook", url="https://other.example"), rebind=True)


@scenario
def a_reverse_sync_that_has_used_up_its_ids_is_not_made_again() -> Scenario:
    live = with_(ONE, reverse_sync=[sync(own("reverse-sync", "retl-1", 15))])
    return again(ONE, changed(live, "hook", url="https://other.example"), rebind=True)


@scenario
def a_reverse_sync_that_was_made_again_often_gets_its_last_id() -> Scenario:
    live = with_(ONE, reverse_sync=[sync(own("reverse-sync", "retl-1", 14))])
    return again(ONE, changed(live, "hook", url="https://other.example"), rebind=True)


@scenario
def a_reverse_sync_is_not_made_again_without_the_feature() -> Scenario:
    return renamed("hook", rebind=True, of_live={"workspace": {}})


@scenario
def a_reverse_sync_that_would_be_refused_is_not_made_again() -> Scenario:
    given = overlay({"reverse-sync/*": {"data": {"mode": "mirror"}}})
    return renamed("hook", rebind=True, overlay=given)


@scenario
def a_reverse_sync_that_would_be_refused_as_a_new_one_is_not_made_again() -> Scenario:
    before = with_(ONE, reverse_sync=[sync(mode="mirror")])
    return again(before, changed(before, "hook", url="https://other.example"), rebind=True)


@scenario
def a_reverse_sync_outside_the_restore_is_not_made_again() -> Scenario:
    return renamed("hook", rebind=True, only=("destination/*",))


@scenario
def a_reverse_sync_whose_model_is_blocked_is_not_made_again() -> Scenario:
    before = changed(ONE, "dwh", authenticationMethod="iam")
    live = changed(with_(before, model=[]), "hook", url="https://other.example")
    return again(before, live, rebind=True)


@scenario
def a_reverse_sync_whose_model_is_left_out_is_not_made_again() -> Scenario:
    live = changed(with_(ONE, model=[]), "hook", url="https://other.example")
    return again(ONE, live, rebind=True, skip=("model/*",))


@scenario
def a_reverse_sync_of_a_model_that_only_the_target_has_freezes_the_warehouse() -> Scenario:
    before = with_(ONE, model=[], reverse_sync=[])
    return again(before, changed(ONE, "dwh", host="other"))
