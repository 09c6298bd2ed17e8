"""Scenarios: models and reverse syncs. Nothing starts by itself, and what a sync uses is frozen."""

from typing import Any

from jitsu_backup.model import MASK
from tests.planning.scenarios.scenario import (
    MODERN,
    SCHEMAS,
    TEXT,
    TYPES,
    Lists,
    Scenario,
    db,
    elsewhere,
    here,
    in_place,
    overlay,
    own,
    scenario,
    with_,
)

OPEN = {"type": "object", "properties": {**MODERN, "name": TEXT}}
KINDS = ("postgres", "clickhouse", "bigquery", "webhook", "google-ads", "facebook-conversions")
KNOWN = {**SCHEMAS, "model": OPEN, **{f"destination/{kind}": OPEN for kind in KINDS}}
NEWEST = (*TYPES, "model", "reverse-sync")
SWITCHED_ON = {"featuresEnabled": ["reverse-etl"]}

WAREHOUSE = {"id": "dwh", "name": "Warehouse", "destinationType": "postgres", "host": "h", "password": MASK}
HOOK = {"id": "hook", "name": "CRM", "destinationType": "webhook", "url": "https://crm.example/in"}
USERS = {
    "id": "users", "name": "Users", "warehouseId": "dwh", "query": "SELECT id FROM users", "primaryKey": ["id"],
}  # fmt: skip
DATA: dict[str, Any] = {
    "version": 2, "name": "Users to the CRM", "stream": "rows", "mode": "upsert", "mapping": {"id": "id"},
    "streamOptions": {"deliveryAttested": True}, "schedule": "0 * * * *", "checkpointEvery": 50_000, "errorPolicy": "fail",
    "disabled": False,
}  # fmt: skip


def sync(one: str = "retl-1", source: str = "users", target: str = "hook", **data: Any) -> dict[str, Any]:
    return {"id": one, "type": "reverse-sync", "fromId": source, "toId": target, "data": {**DATA, **data}}


ONE: Lists = {"destination": [WAREHOUSE, HOOK], "model": [USERS], "reverse-sync": [sync()]}
TWO = with_(
    ONE,
    destination=[WAREHOUSE, HOOK, {**HOOK, "id": "hook-2", "name": "Shop"}],
    model=[USERS, {**USERS, "id": "orders", "name": "Orders"}],
    reverse_sync=[sync(), sync("retl-2", "orders", "hook-2", name="Orders to the shop")],
)
GIVEN = overlay({"destination/Warehouse": {"password": "secret"}})


def again(before: Lists, live: Lists, **options: Any) -> Scenario:
    """The same workspace of a console that has models."""
    sides = {name: {"types": NEWEST, "workspace": SWITCHED_ON, **options.pop(name, {})} for name in SIDES}
    return in_place(before, live, **{"schemas": KNOWN, **sides, **options})


def clone(before: Lists, live: Lists, **options: Any) -> Scenario:
    """Another workspace of it; the warehouse's password is given."""
    sides = {name: {"types": NEWEST, "workspace": SWITCHED_ON, **options.pop(name, {})} for name in SIDES}
    return elsewhere(before, live, **{"schemas": KNOWN, "overlay": GIVEN, **sides, **options})


SIDES = ("of_snapshot", "of_live")


def cloned(lists: Lists) -> Lists:
    """What a clone of `lists` has made in the other workspace."""
    types = {"id": None, "fromId": "model", "toId": "destination", "warehouseId": "destination"}
    return {
        kind: [
            {
                name: here(types[name] or kind, value) if name in types else value
                for name, value in body.items()
            }
            for body in bodies
        ]
        for kind, bodies in lists.items()
    }


def changed(lists: Lists, one: str, **more: Any) -> Lists:
    """`lists` where the entity `one` has other fields."""
    return {
        kind: [{**body, **more} if body["id"] == one else body for body in bodies]
        for kind, bodies in lists.items()
    }


# -- nothing starts by itself ----------------------------------------------------


@scenario
def a_reverse_sync_is_made_disabled_elsewhere() -> Scenario:
    return clone(ONE, {})


@scenario
def a_reverse_sync_that_was_disabled_is_made_disabled_without_a_word() -> Scenario:
    return clone(with_(ONE, reverse_sync=[sync(disabled=True)]), {})


@scenario
def a_reverse_sync_is_made_as_it_was_when_asked() -> Scenario:
    return clone(ONE, {}, enable_reverse_syncs=True)


@scenario
def no_reverse_sync_is_enabled_where_connections_are_switched_off() -> Scenario:
    return clone(ONE, {}, enable_reverse_syncs=True, disable_links=True)


@scenario
def an_overlay_switches_reverse_syncs() -> Scenario:
    rules = {
        "destination/Warehouse": {"password": "secret"},
        "reverse-sync/Users -> CRM": {"data": {"disabled": False, "name": "  Padded ", "schedule": None}},
        "reverse-sync/Orders -> Shop": {"data": {"disabled": True}},
    }
    return clone(TWO, {}, overlay=overlay(rules), enable_reverse_syncs=True)


@scenario
def an_overlay_enables_a_reverse_sync_by_itself() -> Scenario:
    rules = {"destination/Warehouse": {"password": "secret"}, "reverse-sync/*": {"data": {"disabled": False}}}
    return clone(ONE, {}, overlay=overlay(rules))


@scenario
def what_an_overlay_switches_off_is_not_named() -> Scenario:
    live = cloned(with_(ONE, reverse_sync=[sync(disabled=True)]))
    return clone(ONE, live, overlay=overlay({"reverse-sync/*": {"data": {"disabled": True}}}))


@scenario
def a_reverse_sync_that_was_made_again_in_place_stays_disabled() -> Scenario:
    return again(ONE, with_(ONE, reverse_sync=[sync(own("reverse-sync", "retl-1"), disabled=True)]))


@scenario
def a_reverse_sync_of_a_clone_that_does_not_say_whether_it_is_off_runs() -> Scenario:
    live = cloned(ONE)
    (body,) = live["reverse-sync"]
    data = {name: value for name, value in body["data"].items() if name != "disabled"}
    before = with_(ONE, reverse_sync=[sync(disabled=True, schedule="@daily")])
    return clone(before, {**live, "reverse-sync": [{**body, "data": data}]})


@scenario
def a_reverse_sync_that_was_deleted_comes_back_disabled_under_the_next_id() -> Scenario:
    return again(ONE, with_(ONE, reverse_sync=[]))


@scenario
def a_reverse_sync_to_what_lacks_its_grant_is_made_disabled_even_when_asked() -> Scenario:
    options = {
        "customerMatchTermsAccepted": True,
        "audience": {"kind": "existing", "audienceId": "1"},
        "exclusiveManagementConfirmed": True,
    }
    ads = {"id": "hook", "name": "Ads", "destinationType": "google-ads", "authorized": True}
    ads |= {"oauthIntegrationId": "jitsu-cloud-dst-google-ads", "oauthConnectionId": "destination.hook"}
    to_ads = sync(stream="audience", streamOptions=options)
    before = with_(ONE, destination=[WAREHOUSE, ads], reverse_sync=[to_ads])
    return clone(before, {}, enable_reverse_syncs=True)


@scenario
def a_clones_reverse_sync_stays_switched_as_it_is_and_what_stands_still_is_named() -> Scenario:
    live = cloned(TWO)
    off = [{**body, "data": {**body["data"], "disabled": True}} for body in live["reverse-sync"][:1]]
    return clone(TWO, {**live, "reverse-sync": [*off, *live["reverse-sync"][1:]]}, enable_reverse_syncs=True)


@scenario
def a_clones_reverse_sync_that_somebody_enabled_is_kept_enabled() -> Scenario:
    live = cloned(ONE)
    return clone(with_(ONE, reverse_sync=[sync(disabled=True, schedule="@daily")]), live)


@scenario
def a_reverse_sync_in_place_is_switched_back() -> Scenario:
    live = with_(TWO, reverse_sync=[sync(disabled=True), sync("retl-2", "orders", "hook-2", name="Other")])
    before = with_(TWO, reverse_sync=[sync(), sync("retl-2", "orders", "hook-2", disabled=True)])
    return again(before, live)


@scenario
def what_the_console_fills_in_is_no_difference_of_a_reverse_sync() -> Scenario:
    whole, filled_in = sync(), ("version", "checkpointEvery", "errorPolicy", "disabled")
    lean = {name: value for name, value in DATA.items() if name not in filled_in}
    return again(with_(ONE, reverse_sync=[{**whole, "data": lean}]), with_(ONE, reverse_sync=[whole]))


@scenario
def an_update_that_newly_confirms_something_in_a_persons_name_is_noted() -> Scenario:
    ads = {**HOOK, "destinationType": "google-ads"}
    options = {"audience": {"kind": "existing"}, "customerMatchTermsAccepted": True}
    confirmed = {**options, "exclusiveManagementConfirmed": True}
    before, now = (
        with_(
            ONE, destination=[WAREHOUSE, ads], reverse_sync=[sync(stream="audience", streamOptions=streamed)]
        )
        for streamed in (confirmed, options)
    )
    return clone(before, cloned(now))


# -- what the target cannot take -------------------------------------------------


@scenario
def models_and_reverse_syncs_are_skipped_where_the_feature_is_off() -> Scenario:
    return clone(ONE, {}, of_live={"workspace": {"featuresEnabled": ["misc"]}})


@scenario
def an_update_of_a_reverse_sync_is_skipped_where_the_feature_is_off() -> Scenario:
    live = with_(ONE, reverse_sync=[sync(schedule="@daily")])
    return again(ONE, live, of_live={"workspace": {}})


@scenario
def an_older_console_has_neither_models_nor_reverse_syncs() -> Scenario:
    return clone(ONE, {}, of_live={"types": TYPES})


@scenario
def settings_that_an_older_console_saved_are_left_as_they_are() -> Scenario:
    old, new = sync(version=1), sync("retl-2", "orders", "hook-2", schedule="@daily")
    before = with_(TWO, reverse_sync=[old, sync("retl-2", "orders", "hook-2")])
    live = with_(TWO, reverse_sync=[sync(version=1, disabled=True), {**new, "data": None}])
    return again(before, live)


@scenario
def settings_that_no_console_reads_any_more_make_no_reverse_sync() -> Scenario:
    return clone(with_(ONE, reverse_sync=[sync(version=1)]), {})


@scenario
def a_reverse_sync_that_the_console_would_refuse_is_blocked() -> Scenario:
    return clone(with_(ONE, reverse_sync=[sync(mode="mirror", schedule="hourly", colour="red")]), {})


@scenario
def an_update_of_a_reverse_sync_that_the_console_would_refuse_is_blocked() -> Scenario:
    given = overlay({"reverse-sync/*": {"data": {"mapping": {"mail": "email"}}}})
    return again(ONE, ONE, overlay=given)


@scenario
def a_model_whose_warehouse_lacks_its_secrets_is_left_out() -> Scenario:
    return clone(changed(ONE, "dwh", sslKey=MASK), {}, overlay=overlay({}), allow_missing_secrets=True)


@scenario
def a_model_whose_warehouse_is_blocked_is_blocked_too() -> Scenario:
    return clone(ONE, {}, overlay=overlay({}))


@scenario
def a_model_is_changed_whose_warehouse_is_left_out() -> Scenario:
    live = cloned(changed(with_(ONE, reverse_sync=[]), "users", query="SELECT 1"))
    return clone(ONE, live, overlay=overlay({}), skip=("destination/dwh", "reverse-sync/*"))


@scenario
def what_has_the_id_of_a_warehouse_is_none() -> Scenario:
    return clone({**ONE, "stream": [{"id": "dwh", "name": "Web", "domains": []}]}, {})


@scenario
def a_reverse_sync_is_changed_though_the_snapshot_lacks_its_ends() -> Scenario:
    before = {**ONE, "destination": [WAREHOUSE], "model": []}
    return again(before, with_(ONE, reverse_sync=[sync(schedule="@daily")]))


@scenario
def only_some_kinds_of_destinations_are_warehouses_that_models_read() -> Scenario:
    kinds: dict[str, dict[str, Any]] = {
        "pg-password": {"destinationType": "postgres", "authenticationMethod": "password"},
        "pg-iam": {"destinationType": "postgres", "authenticationMethod": "iam"},
        "ch-http": {"destinationType": "clickhouse", "protocol": "http"},
        "ch-https": {"destinationType": "clickhouse", "protocol": "https"},
        "ch-native": {"destinationType": "clickhouse", "protocol": "clickhouse-secure"},
        "bq": {"destinationType": "bigquery"},
        "webhook": {"destinationType": "webhook"},
    }
    models = [{**USERS, "id": f"of-{one}", "name": f"Of {one}", "warehouseId": one} for one in kinds]
    warehouses = [{"id": one, "name": one, **body} for one, body in kinds.items()]
    return clone({"destination": warehouses, "model": models}, {}, overlay=overlay({}))


@scenario
def a_provisioned_clickhouse_is_a_warehouse_and_so_is_what_only_the_target_has() -> Scenario:
    given = {"id": "given", "name": "Own", "destinationType": "clickhouse", "provisioned": True}
    before: Lists = {"destination": [given], "model": [{**USERS, "warehouseId": "given", "query": " SELECT 1 \n"}]}  # fmt: skip
    return clone(before, {"destination": [{**given, "id": "theirs"}]}, overlay=overlay({}))


@scenario
def a_model_is_stored_trimmed_and_its_fields_are_taken_away() -> Scenario:
    cursor = {"column": "at", "type": "timestamp"}
    live = with_(ONE, model=[{**USERS, "cursor": cursor, "deleteColumn": "gone", "description": "x"}], reverse_sync=[])  # fmt: skip
    before = with_(
        ONE, model=[{**USERS, "name": " Users ", "query": "\nSELECT id FROM users "}], reverse_sync=[]
    )
    return again(before, live)


# -- deletions ---------------------------------------------------------------------


@scenario
def prune_takes_reverse_syncs_but_none_with_an_attempt_or_unreadable_settings() -> Scenario:
    live = with_(
        TWO,
        destination=[*TWO["destination"], *({**HOOK, "id": f"h{n}", "name": f"H{n}"} for n in range(2))],
        reverse_sync=[
            *TWO["reverse-sync"],
            sync("retl-3", "users", "h0", version=1),
            sync("retl-4", "orders", "h1"),
        ],
    )
    options = {
        "locked_syncs": frozenset({"retl-1", "retl-2"}),
        "busy_syncs": frozenset({"retl-4", "retl-9"}),
    }
    return again(
        with_(TWO, reverse_sync=TWO["reverse-sync"][:1]), live, prune=True, accept_shrink=True, **options
    )


# -- webhooks ----------------------------------------------------------------------


@scenario
def swapped_webhooks_are_blocked() -> Scenario:
    one, two = TWO["reverse-sync"]
    return again(TWO, with_(TWO, reverse_sync=[{**one, "toId": "hook-2"}, {**two, "toId": "hook"}]))


@scenario
def rebinding_makes_reverse_syncs_of_swapped_webhooks_again() -> Scenario:
    one, two = TWO["reverse-sync"]
    live = with_(TWO, reverse_sync=[{**one, "toId": "hook-2"}, {**two, "toId": "hook"}])
    return again(TWO, live, rebind=True)


@scenario
def swapped_webhooks_are_blocked_under_prune_too() -> Scenario:
    one, two = TWO["reverse-sync"]
    live = with_(TWO, reverse_sync=[{**one, "toId": "hook-2"}, {**two, "toId": "hook"}])
    return again(TWO, live, prune=True)


@scenario
def a_reverse_sync_moves_back_to_a_webhook_that_serves_none() -> Scenario:
    one, two = TWO["reverse-sync"]
    before = with_(TWO, destination=[*TWO["destination"], {**HOOK, "id": "hook-3", "name": "Old"}])
    return again(before, with_(before, reverse_sync=[{**one, "toId": "hook-3"}, two]))


@scenario
def a_reverse_sync_moves_to_a_webhook_that_a_pruned_one_leaves() -> Scenario:
    one, two = TWO["reverse-sync"]
    before = with_(TWO, reverse_sync=[one])
    live = with_(TWO, reverse_sync=[{**one, "toId": "hook-2"}, {**two, "toId": "hook"}])
    return again(before, live, prune=True, accept_shrink=True)


@scenario
def a_reverse_sync_moves_to_what_is_no_webhook_whatever_that_serves() -> Scenario:
    meta = {"id": "meta", "name": "Meta", "destinationType": "facebook-conversions"}
    to_meta = {"stream": "conversions"}
    one, two = sync("retl-1", "users", "meta", **to_meta), sync("retl-2", "orders", "meta", **to_meta)
    before = with_(TWO, destination=[*TWO["destination"], meta], reverse_sync=[one, two])
    return again(before, with_(before, reverse_sync=[{**one, "toId": "hook"}, two]))


@scenario
def a_webhook_that_serves_one_that_only_the_target_has_is_not_shared() -> Scenario:
    live = cloned(TWO)
    theirs = sync("retl-hand", here("model", "orders"), here("destination", "hook"))
    return clone(ONE, {**live, "reverse-sync": [theirs]})


@scenario
def a_webhook_that_serves_one_that_is_pruned_is_free() -> Scenario:
    live = cloned(TWO)
    theirs = sync("retl-hand", here("model", "orders"), here("destination", "hook"))
    return clone(ONE, {**live, "reverse-sync": [theirs]}, prune=True, accept_shrink=True)


@scenario
def of_two_new_reverse_syncs_to_one_webhook_one_is_made() -> Scenario:
    before = with_(TWO, reverse_sync=[sync(), sync("retl-2", "orders", "hook")])
    return clone(before, {})


@scenario
def of_two_reverse_syncs_the_one_that_is_there_keeps_the_webhook() -> Scenario:
    before = with_(TWO, reverse_sync=[sync(), sync("retl-2", "orders", "hook")])
    live = cloned(TWO)
    there = sync(here("reverse-sync", "retl-2"), here("model", "orders"), here("destination", "hook"))
    return clone(before, {**live, "reverse-sync": [there]})


@scenario
def other_destinations_serve_several_reverse_syncs() -> Scenario:
    meta = {"id": "meta", "name": "Meta", "destinationType": "facebook-conversions"}
    before = with_(
        TWO,
        destination=[WAREHOUSE, meta],
        reverse_sync=[
            sync("retl-1", "users", "meta", stream="audience"),
            sync("retl-2", "orders", "meta", stream="audience"),
        ],
    )
    return clone(before, {})


# -- which reverse sync stands for which -----------------------------------------


@scenario
def a_reverse_sync_of_the_same_model_and_webhook_is_the_same_one() -> Scenario:
    return clone(ONE, {**cloned(ONE), "reverse-sync": [sync("retl-hand", here("model", "users"), here("destination", "hook"))]}, prune=True)  # fmt: skip


def to_ads(**options: Any) -> Scenario:
    """The source's sync to Google Ads was made again, and so the clone's own is a namesake."""
    ads = {"id": "ads", "name": "Ads", "destinationType": "google-ads", "customerId": "1"}
    audience = {"audience": {"kind": "existing"}, "customerMatchTermsAccepted": True}
    settings = {"stream": "audience", "streamOptions": audience}
    before = with_(
        ONE, destination=[WAREHOUSE, ads], reverse_sync=[sync("retl-new", "users", "ads", **settings)]
    )
    live = cloned(with_(before, reverse_sync=[sync("retl-old", "users", "ads", **settings)]))
    return clone(before, live, **options)


@scenario
def a_reverse_sync_of_the_same_ends_is_another_one_where_no_webhook_tells() -> Scenario:
    return to_ads()


@scenario
def prune_takes_no_namesake_of_a_reverse_sync() -> Scenario:
    return to_ads(prune=True)


@scenario
def a_namesake_of_a_reverse_sync_is_paired_when_asked() -> Scenario:
    return to_ads(prune=True, match_by_name=True)


@scenario
def a_webhooks_reverse_sync_that_stands_for_one_already_pairs_no_other() -> Scenario:
    live = cloned(ONE)
    before = with_(ONE, reverse_sync=[sync("retl-0"), sync()])
    return clone(before, live)


@scenario
def a_reverse_sync_never_keeps_its_id_even_on_another_console() -> Scenario:
    return clone(ONE, {}, of_live={"host": "https://other.example.com"})


@scenario
def other_destinations_are_warehouses_of_nothing() -> Scenario:
    other = changed(with_(ONE, destination=[*ONE["destination"], db("db-9", host="h")]), "db-9", host="x")
    return again(with_(ONE, destination=[*ONE["destination"], db("db-9", host="h")]), other)
