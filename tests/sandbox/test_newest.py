"""The newest console beyond the recordings: routes by type, connections, gates, locks, settings, examples and seeds."""

from datetime import UTC, datetime
from typing import Any

import pytest

from jitsu_backup.model import MASK, Entity, Key, Manifest, Snapshot, Source
from jitsu_backup.sandbox import (
    Generation,
    Sandbox,
    default_state,
    example_workspace,
    fresh_console_for,
    seed_snapshot,
    unknown_to,
)
from jitsu_backup.sandbox.state import REVERSE_ETL
from jitsu_backup.sandbox.validation import schemas_of
from tests.sandbox.kit import (
    ADMIN,
    ANALYST,
    HOOK,
    OPTIONS,
    PRODUCTION,
    STAGING,
    SYNC,
    SYNCS,
    Caller,
    add_sync,
    config,
    newest,
    told,
    with_model,
)

RETENTION, EXPORTS = (
    f"/api/workspace/{STAGING}/{section}" for section in ("backup-retention", "observability-exports")
)
STITCHING = {"functions": [{"functionId": "builtin.transformation.user-recognition"}]}


@pytest.fixture
def call() -> Caller:
    return newest()


def stream(object_id: str, *domains: str) -> dict[str, Any]:
    return {"id": object_id, "name": object_id, "domains": list(domains)}


# -- generations ---------------------------------------------------------------------


def test_generations_are_named_as_on_the_command_line_and_follow_each_other() -> None:
    assert [str(generation) for generation in Generation] == ["2024", "2026-07", "newest"]
    assert Generation.NEWEST.includes(Generation.JULY_2026)
    assert not Generation.OCTOBER_2024.includes(Generation.JULY_2026)


@pytest.mark.parametrize("generation", Generation)
def test_the_types_of_a_console_are_those_of_its_schemas(generation: Generation) -> None:
    state = default_state(generation=generation)
    listed = {line["type"] for line in schemas_of(generation)["index"]["schemas"]}
    assert listed == {*state.types, "link"}


@pytest.mark.parametrize("generation", Generation)
def test_the_example_has_every_type_that_its_console_knows(generation: Generation) -> None:
    state = default_state(generation=generation)
    example_workspace(state, STAGING)
    assert {row.type for row in state.objects.values()} == set(state.types)
    assert bool(state.reverse_syncs(STAGING)) == generation.is_newest


def test_the_examples_model_and_reverse_sync_can_be_saved_again() -> None:
    state = default_state(generation=Generation.NEWEST)
    example_workspace(state, STAGING)
    call = Caller(Sandbox(state, rate_limit=False))
    (line,) = call("GET", SYNCS).json()
    assert (line["modelName"], line["destinationName"]) == ("Users", "CRM webhook")
    call("PUT", f"{SYNC}?syncId={line['id']}", {"disabled": True})
    assert call("DELETE", f"{SYNC}?syncId={line['id']}").status_code == 200
    (model,) = call.objects("model")
    assert call("PUT", f"{config('model')}/{model['id']}", {"name": "Users"}).status_code == 200
    again = add_sync(call, ends=(line["fromId"], line["toId"]))
    assert again.status_code == 200, again.text


# -- objects -------------------------------------------------------------------------


def test_an_object_is_found_by_the_route_of_its_type_only(call: Caller) -> None:
    call("POST", config("function"), {"id": "f", "name": "F", "code": "x"})
    path = f"{config('stream')}/f"
    assert (
        told(call("GET", path))
        == told(call("PUT", path, {"name": "x"}))
        == (404, "stream with id f does not exist")
    )
    assert call("DELETE", path).json() == {"success": True}
    assert call("GET", f"{config('function')}/f").json()["name"] == "F"


def test_a_body_of_another_type_or_workspace_goes_where_the_path_says(call: Caller) -> None:
    body = {"id": "f", "type": "stream", "workspaceId": PRODUCTION, "name": "F", "code": "x"}
    assert call("POST", config("function"), body).status_code == 200
    row = call.sandbox.state.objects["f"]
    assert (row.type, row.workspace_id) == ("function", STAGING)


def test_a_change_turns_no_object_into_another_type() -> None:
    call = with_model()
    call("POST", config("function"), {"id": "f", "name": "F", "code": "x"})
    assert (
        call("PUT", f"{config('function')}/f", {"type": "stream", "workspaceId": PRODUCTION}).status_code
        == 200
    )
    assert call("GET", f"{config('function')}/f").json()["type"] == "function"
    reply = call("PUT", f"{config('model')}/users", {"type": "function"})
    (issue,) = reply.json()["error"]["issues"]
    assert (reply.status_code, issue["code"], issue["path"]) == (500, "invalid_literal", ["type"])


def test_a_slug_lists_nothing_and_writes_nothing(call: Caller) -> None:
    path = "/api/acme-staging/config/function"
    assert call("GET", path).json() == {"objects": []}
    reply = call("POST", path, {"id": "f", "name": "F", "code": "x"})
    assert (reply.status_code, reply.json()["error"]) == (500, "Workspace acme-staging not found")
    assert call("GET", "/api/acme-staging/config/link").json() == {"links": []}


@pytest.mark.parametrize(
    ("destination", "field", "secret"),
    [
        ({**HOOK, "signatureMethod": "ed25519"}, "signaturePrivateKey", "pem"),
        ({"id": "hook", "name": "A", "destinationType": "google-ads", "customerId": "1234567890"}, "developerToken", "t"),
    ],
)  # fmt: skip
def test_the_new_secrets_are_masked_and_a_mask_keeps_them(
    call: Caller, destination: dict[str, Any], field: str, secret: str
) -> None:
    call("POST", config("destination"), {**destination, field: secret})
    (shown,) = call.objects("destination")
    assert shown[field] == MASK
    assert call("PUT", f"{config('destination')}/hook", shown).status_code == 200
    assert call.sandbox.state.objects["hook"].config[field] == secret


def test_a_strict_deletion_refuses_what_is_linked_but_cascade_comes_first(call: Caller) -> None:
    call("POST", config("stream"), stream("web"))
    call("POST", config("destination"), HOOK)
    call("POST", config("link"), {"fromId": "web", "toId": "hook", "data": {}})
    assert call("DELETE", f"{config('stream')}/web?strict=true").status_code == 409
    assert call("DELETE", f"{config('stream')}/web?strict=true&cascade=true").status_code == 200
    assert call("GET", config("link")).json() == {"links": []}


# -- connections ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ready", "status"),
    [
        ({}, 400),
        ({"conversionActionId": "  "}, 400),
        ({"conversionActions": ["Purchase=abc", "=12"]}, 400),
        ({"conversionActions": ["Purchase= 12"]}, 200),
        ({"conversionActionId": "77"}, 200),
    ],
)
def test_events_go_to_google_ads_once_it_knows_a_conversion_action(
    call: Caller, ready: dict[str, Any], status: int
) -> None:
    ads = {"id": "ads", "name": "Ads", "destinationType": "google-ads", "customerId": "1234567890", **ready}
    assert call("POST", config("destination"), ads).status_code == 200
    call("POST", config("stream"), stream("web"))
    body = {"fromId": "web", "toId": "ads", "data": {}}
    for query in ("", "?strict=true"):
        assert call("PUT", config("link") + query, body).status_code == status


def test_an_event_destination_cannot_lose_its_pixel_while_a_stream_is_connected(call: Caller) -> None:
    meta = {
        "id": "m",
        "name": "M",
        "destinationType": "facebook-conversions",
        "accessToken": "t",
        "pixelId": "1",
    }
    call("POST", config("destination"), meta)
    call("POST", config("stream"), stream("web"))
    link = call("POST", config("link"), {"fromId": "web", "toId": "m", "data": {}}).json()["id"]
    path = f"{config('destination')}/m"
    assert call("PUT", path, {"pixelId": " "}).status_code == 400
    assert call("DELETE", f"{config('link')}?id={link}").json() == {"deleted": True}
    assert call("PUT", path, {"pixelId": " "}).status_code == 200


def test_a_connection_is_deleted_by_its_id_or_its_ends_and_not_by_both(call: Caller) -> None:
    call("POST", config("destination"), HOOK)
    call(
        "POST",
        config("service"),
        {"id": "s", "name": "S", "package": "a/b", "credentials": {}, "version": "1", "protocol": "airbyte"},
    )
    for _ in range(2):
        assert (
            call(
                "POST", config("link"), {"type": "sync", "fromId": "s", "toId": "hook", "data": {}}
            ).status_code
            == 200
        )
    both = f"{config('link')}?id=x&fromId=s&toId=hook"
    assert told(call("DELETE", both)) == (400, "You can't specify 'fromId' or 'toId' with 'id'")
    assert call("DELETE", f"{config('link')}?id=x").json() == {"deleted": False}
    assert call("DELETE", f"{config('link')}?fromId=s&toId=hook").json() == {"deleted": True}
    assert call("GET", config("link")).json() == {"links": []}


# -- gates and locks -----------------------------------------------------------------


def test_the_plan_counts_what_is_new_and_a_feature_grants_domains_without_it(call: Caller) -> None:
    state = call.sandbox.state
    call("POST", config("stream"), stream("web", "old.acme.example"))
    state.plans = {STAGING: "free"}
    path = f"{config('stream')}/web"
    assert call("PUT", path, {"domains": ["OLD.acme.example"]}).status_code == 200
    assert call("PUT", path, {"domains": []}).status_code == 200
    assert told(call("PUT", path, {"domains": ["old.acme.example"]}))[0] == 403
    state.workspaces[STAGING].features.append("misc")
    state.billing_down = True
    assert call("PUT", path, {"domains": ["old.acme.example"]}).status_code == 200
    assert call("GET", f"/api/{STAGING}/entitlements").json() == {
        "customDomains": True,
        "identityStitching": None,
    }


def test_identity_stitching_may_stay_where_it_was(call: Caller) -> None:
    call("POST", config("destination"), HOOK)
    call("POST", config("stream"), stream("web"))
    body = {"fromId": "web", "toId": "hook", "data": STITCHING}
    assert call("PUT", config("link"), body).status_code == 200
    call.sandbox.state.plans = {STAGING: "business"}
    assert call("PUT", config("link"), {**body, "data": {**STITCHING, "mode": "stream"}}).status_code == 200
    assert call("PUT", config("link"), {**body, "data": {}}).status_code == 200
    assert call("PUT", config("link"), body).status_code == 403
    call.sandbox.state.plans = {STAGING: "enterprise"}
    assert call("PUT", config("link"), body).status_code == 200


def test_billing_that_is_down_stops_only_what_needs_it(call: Caller) -> None:
    call.sandbox.state.plans, call.sandbox.state.billing_down = {}, True
    assert call("POST", config("stream"), stream("web")).status_code == 200
    assert call("POST", config("stream"), stream("shop", "shop.acme.example")).status_code == 503


def test_a_read_only_workspace_is_written_by_the_operator_only() -> None:
    call = with_model()
    sync_id = add_sync(call).json()["id"]
    call.sandbox.state.workspaces[STAGING].features.append("readonly")
    path = f"{SYNC}?syncId={sync_id}"
    writes: list[tuple[str, str, Any]] = [
        ("POST", config("function"), {"id": "f", "name": "F", "code": "x"}),
        ("PUT", f"{config('model')}/users", {"name": "x"}),
        ("PUT", config("link"), {"fromId": "a", "toId": "b"}),
        ("PUT", path, {"disabled": True}),
        ("DELETE", path, None),
        ("POST", f"/api/{STAGING}/config/profile-builder", {}),
    ]
    for method, where, body in writes:
        reply = call(method, where, body)
        assert (reply.status_code, reply.json()["readonly"]) == (403, True), where
        assert "readonly" not in call(method, where, body, key=ANALYST).json()
    assert call("GET", SYNCS).status_code == 200
    assert call("PUT", path, {"disabled": True}, key=ADMIN).status_code == 200
    assert (
        call("POST", f"/api/{PRODUCTION}/config/function", {"id": "f", "name": "F", "code": "x"}).status_code
        == 200
    )


def test_maintenance_stops_every_new_route_that_writes(call: Caller) -> None:
    call.sandbox.maintenance = True
    for method, path in (
        ("POST", SYNCS),
        ("PUT", SYNC),
        ("DELETE", SYNC),
        ("PUT", RETENTION),
        ("PUT", EXPORTS),
    ):
        assert call(method, path, {}).json()["error"] == "maintenance"
    assert call("GET", SYNCS).status_code == call("GET", EXPORTS).status_code == 200


# -- settings of a workspace ---------------------------------------------------------


def test_the_retention_of_backups_follows_the_plan(call: Caller) -> None:
    assert call("GET", RETENTION).json() == {"retentionHours": 2160, "source": "default", "locked": False}
    assert call("PUT", RETENTION, {"retentionDays": 30}).json()["retentionHours"] == 720
    assert call("GET", f"/api/workspace/{STAGING}/data-retention").json() == {"backupRetentionHours": 720}
    state = call.sandbox.state
    state.plans = {STAGING: "free"}
    codes = [
        call("PUT", RETENTION, body)
        for body in ({"retentionDays": 90}, {"retentionDays": 8}, {"retentionDays": 0})
    ]
    assert [(reply.status_code, reply.json()["code"]) for reply in codes] == [
        (403, "plan_cap"), (400, "not_preset"), (400, "ack_required"),
    ]  # fmt: skip
    assert call("PUT", RETENTION, {"retentionDays": 7}).status_code == 200
    state.billing_down = True
    assert call("PUT", RETENTION, {"retentionDays": 30}).status_code == 503
    assert (
        call("PUT", RETENTION, {"retentionDays": 0, "acknowledgeDataLoss": True}).json()["retentionHours"]
        == 0
    )
    assert call("PUT", RETENTION, {"retentionDays": 7}, key=ANALYST).status_code == 403


def test_backups_that_jitsu_switched_off_cannot_be_switched_on(call: Caller) -> None:
    call.sandbox.state.workspaces[STAGING].features.append("nobackup")
    assert call("GET", RETENTION).json() == {"retentionHours": 0, "source": "nobackup", "locked": True}
    assert call("PUT", RETENTION, {"retentionDays": 7}).json()["code"] == "locked"


def test_headers_of_exports_are_masked_and_a_mask_keeps_them(call: Caller) -> None:
    assert call("GET", EXPORTS).json() == {"enabled": False, "endpoint": "", "headers": []}
    sent = {
        "enabled": True,
        "endpoint": "https://otlp.example",
        "headers": [{"name": "Key", "value": "secret"}],
    }
    masked = {**sent, "headers": [{"name": "Key", "value": MASK}]}
    assert call("PUT", EXPORTS, sent).json() == masked == call("GET", EXPORTS, key=ANALYST).json()
    more = [*masked["headers"], {"name": "Other", "value": MASK}]
    call("PUT", EXPORTS, {**masked, "headers": more})
    stored = call.sandbox.state.workspaces[STAGING].options["observability-exports"]["headers"]
    assert stored == [{"name": "Key", "value": "secret"}, {"name": "Other", "value": ""}]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"enabled": True}, "Invalid URL"),
        ({"endpoint": "ftp://x"}, "Endpoint must be an http(s) URL"),
        ({"headers": [{"name": "a", "value": ""}, {"name": "A", "value": ""}]}, "Duplicate header name: A"),
    ],
)
def test_exports_to_nowhere_are_refused(call: Caller, body: dict[str, Any], message: str) -> None:
    reply = call("PUT", EXPORTS, body)
    assert (reply.status_code, reply.json()["zodError"]["issues"][0]["message"]) == (500, message)


def test_older_consoles_keep_such_sections_as_any_other() -> None:
    call = Caller(Sandbox(default_state(generation=Generation.JULY_2026), rate_limit=False))
    assert call("PUT", EXPORTS, {}).status_code == 405
    assert call("POST", EXPORTS, {"x": 1}).json() == {"success": True}
    assert call("GET", f"/api/{STAGING}/entitlements").status_code == 404


def test_workspaces_are_listed_with_their_features_the_one_used_last_first(call: Caller) -> None:
    call("GET", f"/api/workspace/{PRODUCTION}")
    first, second = call("GET", "/api/workspace").json()
    assert (first["id"], "lastUsed" in first, "lastUsed" in second) == (PRODUCTION, True, False)
    assert second["featuresEnabled"] == [REVERSE_ETL]
    exported = call("GET", "/api/admin/export/workspaces", key=ADMIN).json()
    assert exported[0]["featuresEnabled"] == [REVERSE_ETL, "functionsClasses=free"]


# -- seeds ---------------------------------------------------------------------------


def snapshot_of(*entities: Entity, **counts: int) -> Snapshot:
    source = Source("https://jitsu.example", "cseeded000000000000000001", "seeded", "Seeded")
    return Snapshot(Manifest(source, counts), datetime(2026, 11, 25, tzinfo=UTC), entities)


def entities(sync_type: str = "reverse-sync") -> tuple[Entity, ...]:
    sync = {
        "id": "retl-1", "type": "reverse-sync", "workspaceId": "w", "fromId": "m", "toId": "hook",
        "data": {**OPTIONS, "version": 2}, "createdAt": "2026-11-25T10:00:00.000Z",
    }  # fmt: skip
    model = {
        "id": "m", "name": "M", "type": "model", "warehouseId": "wh", "query": "SELECT k FROM theirs",
        "primaryKey": ["k"], "pageSize": 1000,
    }  # fmt: skip
    warehouse = {"id": "wh", "name": "W", "destinationType": "postgres", "host": "h", "password": MASK}
    return (
        Entity(Key(sync_type, "retl-1"), sync),
        Entity(Key("model", "m"), model),
        Entity(Key("destination", "hook"), HOOK),
        Entity(Key("destination", "wh"), warehouse),
    )


@pytest.mark.parametrize("sync_type", ["reverse-sync", "link"])
def test_an_archive_with_models_and_reverse_syncs_is_seeded_into_the_newest_console(sync_type: str) -> None:
    snapshot = snapshot_of(*entities(sync_type))
    state = default_state(generation=Generation.NEWEST)
    workspace_id = seed_snapshot(state, snapshot)
    call = Caller(Sandbox(state, rate_limit=False))
    path = f"/api/{workspace_id}"
    (line,) = call("GET", f"{path}/reverse-etl/syncs").json()
    assert (line["id"], line["fromId"], line["toId"]) == ("retl-1", "m", "hook")
    assert told(call("PUT", f"{path}/config/model/m", {"name": "x"}))[0] == 409
    assert call("PUT", f"{path}/reverse-etl/sync?syncId=retl-1", {"disabled": True}).status_code == 200
    assert call("DELETE", f"{path}/reverse-etl/sync?syncId=retl-1").status_code == 200
    assert call("PUT", f"{path}/config/model/m", {"name": "x"}).status_code == 200
    assert state.extra_types == ()


@pytest.mark.parametrize("generation", [Generation.OCTOBER_2024, Generation.JULY_2026])
def test_older_consoles_are_seeded_without_reverse_syncs(generation: Generation) -> None:
    state = default_state(generation=generation)
    seed_snapshot(state, snapshot_of(*entities()))
    assert not state.links


@pytest.mark.parametrize(
    ("snapshot", "generation"),
    [
        (snapshot_of(model=0, stream=0), Generation.NEWEST),
        (snapshot_of(*entities()), Generation.NEWEST),
        (snapshot_of(stream=0), Generation.JULY_2026),
    ],
)
def test_a_fresh_console_is_of_the_generation_that_the_archive_was_read_from(
    snapshot: Snapshot, generation: Generation
) -> None:
    state, workspace_id = fresh_console_for(snapshot)
    assert state.generation is generation
    assert (REVERSE_ETL in state.workspaces[workspace_id].features) == generation.is_newest


def test_a_console_tells_what_of_a_snapshot_it_cannot_hold() -> None:
    snapshot = snapshot_of(*entities("reverse-sync"))
    syncs = len(snapshot.of_type("reverse-sync"))
    assert unknown_to(default_state(generation=Generation.JULY_2026), snapshot) == {"reverse-sync": syncs}
    assert unknown_to(default_state(generation=Generation.NEWEST), snapshot) == {}
