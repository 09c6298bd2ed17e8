"""Reverse syncs of the newest console, beyond the recordings: what they demand, what they hold, and how they end."""

import hashlib
from typing import Any

import orjson
import pytest

from jitsu_backup.sandbox.state import AttemptRow
from tests.sandbox.kit import (
    ADMIN,
    ANALYST,
    HOOK,
    MODEL,
    OPTIONS,
    PRODUCTION,
    STAGING,
    SYNC,
    SYNCS,
    WAREHOUSE,
    Caller,
    add_sync,
    config,
    request_id,
    told,
    with_model,
)

BOUND = (
    409,
    "Configuration is bound to a reverse sync. Remove that sync before changing its delivery configuration.",
)
REFERENCED = (409, "Object is referenced by a reverse sync. Remove that sync first.")
LOCKED = "Delivery settings are locked to preserve saved state."
GOOGLE = {"id": "ads", "name": "Ads", "destinationType": "google-ads", "customerId": "123-456-7890"}
META = {"id": "meta", "name": "Meta", "destinationType": "facebook-conversions", "accessToken": "t"}


@pytest.fixture
def call() -> Caller:
    return with_model()


def update(call: Caller, sync_id: str, body: Any) -> tuple[int, str]:
    reply = call("PUT", f"{SYNC}?syncId={sync_id}", body)
    return (200, "") if reply.status_code == 200 else told(reply)


def delete(call: Caller, sync_id: str, key: str | None = None) -> tuple[int, str]:
    reply = call("DELETE", f"{SYNC}?syncId={sync_id}", **({"key": key} if key else {}))
    return (200, "") if reply.status_code == 200 else told(reply)


# -- creation ------------------------------------------------------------------------


def test_the_id_follows_from_workspace_and_request(call: Caller) -> None:
    text = orjson.dumps([STAGING, request_id(7)])
    assert add_sync(call, 7).json() == {"id": f"retl-{hashlib.sha256(text).hexdigest()[:32]}"}


def test_the_same_request_may_be_sent_again_with_defaults_spelled_out_or_not(call: Caller) -> None:
    first = add_sync(call).json()
    same = add_sync(
        call, disabled=False, checkpointEvery=50_000, version=2, mapping={"email": "email", "id": "id"}
    )
    assert same.json() == first
    assert add_sync(call, checkpointEvery=1).status_code == 409
    assert len(call("GET", SYNCS).json()) == 1


def test_another_workspace_makes_another_sync_of_the_same_request(call: Caller) -> None:
    first = add_sync(call).json()["id"]
    path = SYNCS.replace(STAGING, PRODUCTION)
    body = {"requestId": request_id(1), "sync": {"fromId": "users", "toId": "hook", "data": OPTIONS}}
    assert told(call("POST", path, body)) == (409, "Choose a model and destination in this workspace")
    assert first in {row.id for row in call.sandbox.state.reverse_syncs(STAGING)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timezone": "Mars/Olympus"}, "Invalid cron schedule or IANA timezone"),
        ({"schedule": "0 24 * * *"}, "Invalid cron schedule or IANA timezone"),
        ({"schedule": "@every 5m"}, "Use a five-field cron expression or supported Kubernetes schedule"),
        ({"schedule": "* * * *"}, "Schedule must have five cron fields"),
        ({"stream": "audience"}, "This destination stream is not supported"),
        ({"streamOptions": {"deliveryAttested": True, "other": 1}}, "The stream settings are not valid"),
        (
            {"streamOptions": {"deliveryAttested": True, "recordsPerRequest": 201}},
            "Records per request: Number must be less than or equal to 200",
        ),
        (
            {"streamOptions": {"deliveryAttested": True, "concurrency": 0}},
            "Concurrent requests: Number must be greater than or equal to 1",
        ),
        (
            {"mapping": {"email": "email"}},
            "The primary key column id must be part of the model's selected columns",
        ),
        ({"mapping": {}}, "The model has no columns to send"),
    ],
)
def test_settings_that_do_not_fit_are_conflicts(call: Caller, options: dict[str, Any], message: str) -> None:
    assert told(add_sync(call, **options)) == (409, message)


@pytest.mark.parametrize("schedule", ["@daily", "*/5 0-6,12 1 JAN-MAR mon", "0 0 * * 7", "", "59 23 31 12 0"])
def test_schedules_that_the_console_knows_are_taken(call: Caller, schedule: str) -> None:
    assert add_sync(call, schedule=schedule).status_code == 200


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": "http://crm.example/in"}, "This URL uses http://"),
        ({"url": "ftp://crm.example/in"}, "The webhook URL must start with http:// or https://"),
        ({"url": "https://u:p@crm.example/in"}, "The webhook URL must not contain a username or password"),
        ({"method": "PUT"}, "Reverse ETL sends POST requests; the destination method is PUT."),
        ({"headers": ["Host: other"]}, "Header Host is set by Jitsu and cannot be overridden"),
        ({"headers": ["A: 1", "a: 2"]}, "Header a is listed more than once"),
        ({"headers": ["nothing"]}, 'Header "nothing" must look like "Name: value"'),
        ({"signatureMethod": "hmac"}, "Request signing is HMAC but no signing secret is set"),
        ({"signatureMethod": "ed25519"}, "Request signing is Ed25519 but no private key is set"),
        (
            {"signatureMethod": "hmac", "signatureSecret": "s", "signatureHeader": "host"},
            "The signature header host is set by Jitsu or the transport",
        ),
    ],
)
def test_a_webhook_must_be_fit_for_reverse_syncs(call: Caller, changes: dict[str, Any], message: str) -> None:
    assert call("PUT", f"{config('destination')}/hook", changes).status_code == 200
    status, words = told(add_sync(call))
    assert (status, words[: len(message)]) == (409, message)


def test_insecure_http_can_be_allowed(call: Caller) -> None:
    call("PUT", f"{config('destination')}/hook", {"url": "http://crm.example/in"})
    assert (
        add_sync(call, streamOptions={"deliveryAttested": True, "allowInsecureHttp": True}).status_code == 200
    )


@pytest.mark.parametrize(
    ("options", "status", "found"),
    [
        ({"conversionActionId": "x"}, 500, "Invalid"),
        ({"conversionActionId": "7", "api": "rest"}, 500, "Invalid enum value."),
        ({"conversionActionId": "7", "more": 1}, 500, "Unrecognized key(s) in object: 'more'"),
        ({"conversionActionId": "7"}, 200, ""),
    ],
)
def test_settings_against_a_providers_schema_end_as_a_list_of_issues(
    call: Caller, options: dict[str, Any], status: int, found: str
) -> None:
    call("POST", config("destination"), GOOGLE)
    reply = add_sync(
        call,
        ends=("users", "ads"),
        stream="click-conversions",
        mapping={"gclid": "id"},
        streamOptions=options,
    )
    assert reply.status_code == status
    if status == 500:
        (issue,) = reply.json()["error"]
        assert issue["message"].startswith(found)


@pytest.mark.parametrize(
    ("destination", "mode", "options", "message"),
    [
        (
            GOOGLE, "upsert",
            {"audience": {"kind": "managed", "displayName": "A"}, "exclusiveManagementConfirmed": True},
            "Managed audiences require mirror mode",
        ),
        (
            GOOGLE, "mirror", {"audience": {"kind": "existing", "audienceId": "1"}},
            "Existing audiences require full replacement for mirror mode",
        ),
        (META, "upsert", {"audience": {"kind": "managed", "name": "A"}}, "Managed Meta audiences require mirror mode"),
        (
            META, "mirror", {"audience": {"kind": "managed", "name": "A"}},
            "Confirm exclusive management before mirroring a Meta audience",
        ),
    ],
)  # fmt: skip
def test_an_audience_must_fit_its_mode(
    call: Caller, destination: dict[str, Any], mode: str, options: dict[str, Any], message: str
) -> None:
    call("POST", config("destination"), destination)
    more = {"accountId": "act_12"} if destination is META else {"customerMatchTermsAccepted": True}
    reply = add_sync(
        call, ends=("users", destination["id"]), stream="audience", mode=mode, mapping={"email": "email"},
        streamOptions={**options, **more},
    )  # fmt: skip
    assert told(reply) == (409, message)


def test_a_model_with_a_delete_column_sends_no_conversions(call: Caller) -> None:
    call("POST", config("destination"), META)
    call("PUT", f"{config('model')}/users", {"deleteColumn": "gone"})
    reply = add_sync(
        call,
        ends=("users", "meta"),
        stream="conversions",
        mapping={"em": "email"},
        streamOptions={"pixelId": "1"},
    )
    assert told(reply) == (409, "Meta conversions require insert mode and a model without a delete column")


def test_an_audience_of_an_unknown_kind_is_an_issue(call: Caller) -> None:
    call("POST", config("destination"), GOOGLE)
    options = {"audience": {"kind": "other"}, "customerMatchTermsAccepted": True}
    reply = add_sync(call, ends=("users", "ads"), stream="audience", streamOptions=options)
    assert reply.json()["error"][0] == {
        "code": "invalid_union_discriminator",
        "options": ["managed", "existing"],
        "path": ["audience", "kind"],
        "message": "Invalid discriminator value. Expected 'managed' | 'existing'",
    }


def test_a_body_is_read_before_the_role_is_asked(call: Caller) -> None:
    assert call("POST", SYNCS, {}, key=ANALYST).status_code == 500
    sync = {"fromId": "users", "toId": "hook", "data": OPTIONS}
    reply = call("POST", SYNCS, {"requestId": request_id(1), "sync": sync}, key=ANALYST)
    assert (reply.status_code, reply.json()["requiredPermission"]) == (403, "editEntities")


# -- changes and the end -------------------------------------------------------------


def test_a_name_or_schedule_can_be_taken_away_by_a_whole_put_only(call: Caller) -> None:
    sync_id = add_sync(call, name="Hourly", schedule="0 * * * *").json()["id"]
    assert update(call, sync_id, {"name": None})[0] == 500
    assert update(call, sync_id, {"disabled": True}) == (200, "")
    assert call("GET", SYNCS).json()[0]["options"]["name"] == "Hourly"
    assert update(call, sync_id, {"fromId": "users", "toId": "hook", "data": OPTIONS}) == (200, "")
    options = call("GET", SYNCS).json()[0]["options"]
    assert not {"name", "schedule"} & set(options)
    assert options["disabled"] is False


def test_a_body_that_is_neither_settings_nor_a_sync_is_reported_what_both_miss(call: Caller) -> None:
    sync_id = add_sync(call).json()["id"]
    reply = call("PUT", f"{SYNC}?syncId={sync_id}", {"name": 5})
    (issue,) = reply.json()["zodError"]["issues"]
    assert (reply.status_code, issue["code"], len(issue["unionErrors"])) == (500, "invalid_union", 2)
    assert call("PUT", SYNC, {"disabled": True}).json()["zodError"]["issues"][0]["path"] == ["syncId"]


def test_a_missing_sync_is_not_found(call: Caller) -> None:
    missing = (404, "Reverse sync not found in this workspace")
    assert update(call, "retl-x", {"disabled": True}) == delete(call, "retl-x") == missing


def test_a_sync_keeps_its_own_webhook_and_takes_none_of_another(call: Caller) -> None:
    call("POST", config("destination"), {**HOOK, "id": "hook-2"})
    add_sync(call)
    second = add_sync(call, 2, ends=("users", "hook-2")).json()["id"]
    assert (
        update(call, second, {"fromId": "users", "toId": "hook-2", "data": {**OPTIONS, "name": "x"}})[0]
        == 200
    )
    assert update(call, second, {"fromId": "users", "toId": "hook", "data": OPTIONS})[0] == 409


@pytest.mark.parametrize("why", ["ran", "audience", "attempt"])
def test_what_has_run_or_is_about_to_is_locked_but_for_its_timing(call: Caller, why: str) -> None:
    sync_id = add_sync(call).json()["id"]
    state = call.sandbox.state
    if why == "ran":
        state.phases[sync_id] = "failed"
    elif why == "audience":
        state.sync_states[sync_id] = {"_REVERSE_ETL_GOOGLE_AUDIENCE_": "{}"}
    else:
        state.attempts.append(AttemptRow("t", sync_id, "PENDING", state.now(), state.now()))
    assert call("GET", SYNCS).json()[0]["settingsLocked"] is True
    narrow = {"fromId": "users", "toId": "hook", "data": {**OPTIONS, "mapping": {"id": "id"}}}
    status, words = update(call, sync_id, narrow)
    assert (status, words[: len(LOCKED)]) == (409, LOCKED)
    timed = {
        "fromId": "users",
        "toId": "hook",
        "data": {**OPTIONS, "schedule": "@hourly", "checkpointEvery": 9},
    }
    assert update(call, sync_id, timed) == (200, "")


def test_a_sync_ends_once_it_is_disabled_and_rests_and_its_request_serves_never_again(call: Caller) -> None:
    sync_id = add_sync(call, disabled=True).json()["id"]
    state = call.sandbox.state
    state.attempts.append(AttemptRow("t", sync_id, "RUNNING", state.now(), state.now(), "manual"))
    assert delete(call, sync_id)[0] == 409
    state.attempts[0].status = "FAILED"
    assert delete(call, sync_id, ANALYST)[0] == 403
    assert delete(call, sync_id) == (200, "")
    assert delete(call, sync_id)[0] == 404
    assert add_sync(call, disabled=True).status_code == 409
    assert add_sync(call, 2, disabled=True).json()["id"] != sync_id


def test_without_the_feature_a_sync_can_be_paused_and_deleted_only(call: Caller) -> None:
    sync_id = add_sync(call).json()["id"]
    call.sandbox.state.workspaces[STAGING].features = []
    assert [update(call, sync_id, body)[0] for body in ({"disabled": False}, {"name": "x"}, {})] == [403] * 3
    assert add_sync(call, 2).status_code == 403
    assert update(call, sync_id, {"disabled": True}) == (200, "")
    assert [line["id"] for line in call("GET", SYNCS).json()] == [sync_id]
    assert delete(call, sync_id) == (200, "")


def test_attempts_are_listed_newest_first_and_run_nothing_here(call: Caller) -> None:
    sync_id = add_sync(call).json()["id"]
    state = call.sandbox.state
    for number in range(2):
        moment = f"2026-11-25T10:0{number}:00.000Z"
        state.attempts.append(AttemptRow(f"t{number}", sync_id, "SUCCESS", moment, moment))
    path = f"/api/{STAGING}/reverse-etl/tasks?syncId={sync_id}"
    assert [task["task_id"] for task in call("GET", path).json()["tasks"]] == ["t1", "t0"]
    assert call("GET", f"{path}&taskId=t0").json()["logs"] == []
    act = f"{SYNC}?syncId={sync_id}"
    assert told(call("POST", act, {"action": "run"})) == (503, "Sync controller is not configured")
    cancel = {"action": "cancel", "taskId": "t0"}
    assert told(call("POST", act, cancel)) == (409, "No active attempt to cancel")
    update(call, sync_id, {"disabled": True})
    assert told(call("POST", act, {"action": "run"})) == (409, "Enable the sync before running it")
    assert call("POST", act, {"action": "stop"}).status_code == 500


# -- what a sync holds ---------------------------------------------------------------


def test_while_a_sync_is_there_its_ends_and_its_warehouse_are_frozen_even_while_it_is_disabled(
    call: Caller,
) -> None:
    add_sync(call, disabled=True)
    for kind, object_id in (("model", "users"), ("destination", "hook"), ("destination", "wh")):
        assert told(call("PUT", f"{config(kind)}/{object_id}", {})) == BOUND
    for kind, object_id in (("model", "users"), ("destination", "hook")):
        for query in ("", "?cascade=true", "?strict=true"):
            assert told(call("DELETE", f"{config(kind)}/{object_id}{query}")) == REFERENCED
    assert told(call("DELETE", f"{config('destination')}/wh"))[0] == 409


def test_what_a_sync_does_not_deliver_by_stays_free(call: Caller) -> None:
    call("POST", config("model"), {**MODEL, "id": "others"})
    call("POST", config("stream"), {"id": "web", "name": "Web"})
    add_sync(call)
    assert call("PUT", f"{config('model')}/others", {"name": "Others"}).status_code == 200
    assert call("POST", config("link"), {"fromId": "web", "toId": "hook", "data": {}}).status_code == 200
    assert call("DELETE", f"{config('model')}/others").status_code == 200


def test_a_warehouse_of_models_may_be_edited_while_models_can_go_on_reading_it(call: Caller) -> None:
    path = f"{config('destination')}/wh"
    counted = (409, "Warehouse is referenced by 1 model(s). Delete or reassign those models first.")
    assert call("PUT", path, {"password": "rotated"}).status_code == 200
    assert told(call("PUT", path, {"authenticationMethod": "google-psc"})) == counted
    assert told(call("DELETE", path)) == counted
    call("DELETE", f"{config('model')}/users")
    assert call("DELETE", path).status_code == 200


def test_the_link_route_lists_reverse_syncs_oldest_first_and_writes_none(call: Caller) -> None:
    call("POST", config("destination"), {**HOOK, "id": "hook-2"})
    ids = [add_sync(call).json()["id"], add_sync(call, 2, ends=("users", "hook-2")).json()["id"]]
    assert [link["id"] for link in call("GET", config("link")).json()["links"]] == ids
    assert [line["id"] for line in call("GET", SYNCS).json()] == ids[::-1]
    change = "Use the Reverse ETL sync endpoint to change this connection"
    end = "Use the Reverse ETL sync endpoint to pause and delete this connection safely"
    ends = {"fromId": "users", "toId": "hook"}
    assert told(call("POST", config("link"), {**ends, "id": "x"})) == (400, change)
    assert told(call("PUT", config("link"), {**ends, "id": ids[0], "type": "sync"})) == (400, change)
    assert told(call("DELETE", f"{config('link')}?fromId=users&toId=hook")) == (400, end)
    assert told(call("DELETE", f"{config('link')}?id={ids[0]}")) == (400, end)


# -- where else they stand -----------------------------------------------------------


def test_one_sync_that_does_not_parse_takes_the_list_down_and_cuts_the_export(call: Caller) -> None:
    add_sync(call)
    state = call.sandbox.state
    state.add_link(STAGING, "reverse-sync", "users", "hook", {"version": 1}, "retl-0-old")
    reply = call("GET", SYNCS)
    assert (reply.status_code, reply.headers["cache-control"]) == (500, "no-store")
    assert {tuple(issue["path"]) for issue in reply.json()["error"]} >= {("options", "version")}
    assert len(call("GET", config("link")).json()["links"]) == 2
    export = call("GET", "/api/admin/export/reverse-syncs", key=ADMIN)
    assert (export.status_code, export.content) == (200, b"[")


def test_the_export_has_what_may_run_of_every_workspace_in_clear(call: Caller) -> None:
    def exported() -> Any:
        return call("GET", "/api/admin/export/reverse-syncs", key=ADMIN).json()

    sync_id = add_sync(call).json()["id"]
    (line,) = exported()
    assert line["warehouse"]["password"] == WAREHOUSE["password"]
    assert line["timezone"] == "Etc/UTC"
    revision = line["configRevision"]
    update(call, sync_id, {"schedule": "@daily", "name": "Daily"})
    (line,) = exported()
    assert line["schedule"] == "@daily"
    assert line["configRevision"] != revision  # by its name
    call.sandbox.state.workspaces[STAGING].features = []
    assert exported() == []
    call.sandbox.state.workspaces[STAGING].features = ["reverse-etl"]
    update(call, sync_id, {"disabled": True})
    assert exported() == []
    assert call("GET", "/api/admin/export/reverse-syncs").status_code == 403


def test_every_change_of_a_sync_is_in_the_log_as_that_of_a_link_and_counts_as_a_change(call: Caller) -> None:
    sync_id = add_sync(call).json()["id"]
    update(call, sync_id, {"disabled": True})
    before = call("GET", f"/api/{STAGING}/listen?ifModifiedSince=2020-01-01T00:00:00Z&maxWaitMs=0").json()
    delete(call, sync_id)
    after = call("GET", f"/api/{STAGING}/listen?ifModifiedSince=2020-01-01T00:00:00Z&maxWaitMs=0").json()
    assert after["lastModified"] >= before["lastModified"]
    items = call("GET", f"/api/audit-log?workspaceId={STAGING}&limit=3").json()["items"]
    assert [item["type"].rpartition("-")[2] for item in items] == ["delete", "update", "create"]
    assert {item["objectId"] for item in items} == {sync_id}
    assert all(item["changes"] == {"objectType": "link", "objectName": "Users → CRM"} for item in items)
    assert [item.get("diff") for item in items] == [
        None,
        [{"field": "disabled", "kind": "added", "next": "true"}],
        [],
    ]


def test_a_sync_has_no_cursor(call: Caller) -> None:
    sync_id = add_sync(call).json()["id"]
    path = f"/api/{STAGING}/sources/state?syncId={sync_id}"
    assert call("GET", path).json() == {"ok": False, "error": "sync not found"}
    assert call("POST", f"{path}&stream=rows", {"x": 1}).json()["ok"] is False
