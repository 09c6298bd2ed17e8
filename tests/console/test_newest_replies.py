"""Every reply of the newest console is known, and says what a caller has to do."""

from typing import Any

import httpx
import orjson
import pytest

from jitsu_backup.console import Console, Done, Gates, Permanent, RefusalKind, RefusedError, RetryAfter
from jitsu_backup.console.client import BILLING_ATTEMPTS, LIMITED_ATTEMPTS
from jitsu_backup.console.replies import BillingAway, classify
from jitsu_backup.errors import AccessError, UnreachableError
from jitsu_backup.events import Event, Notice
from tests.support import FIXTURES, FakeTime, run

RECORDED = {
    exchange["name"]: exchange
    for exchange in orjson.loads((FIXTURES / "recordings-newest.json").read_bytes())["exchanges"]
}
KINDS = {
    RefusalKind.UNKNOWN_TYPE: {
        "schema/unknown-type", "schema/reverse-sync", "discovery/unknown-type", "discovery/unknown-type-create",
        "discovery/reverse-sync-is-no-config-type",
    },
    RefusalKind.NOT_FOUND: {
        "schema/unknown-destination-type", "schema/link-of-unknown-destination-type", "discovery/workspace-unknown",
        "stream/get-missing-object", "function/get-through-other-route", "link/create-unknown-stream",
        "link/create-unknown-destination", "model/create-unknown-warehouse", "model/put-missing-object",
        "reverse-sync/delete-again",
    },
    RefusalKind.ID_TAKEN: {
        "stream/create-duplicate-id", "model/create-duplicate-id", "model/recreate-same-id",
        "reverse-sync/create-same-request-other-settings", "reverse-sync/create-request-id-of-a-deleted-one",
    },
    RefusalKind.LINK_EXISTS: {"link/create-duplicate"},
    RefusalKind.IN_USE: {
        "destination/put-bound", "destination/delete-bound", "destination/delete-bound-cascade",
        "destination/put-bound-warehouse", "destination/delete-warehouse", "model/put-bound", "model/delete-bound",
        "destination/delete-bound-by-unreadable",
    },
    RefusalKind.CONFLICT: {
        "reverse-sync/create-webhook-already-used", "reverse-sync/create-unknown-model",
        "reverse-sync/create-unsupported-destination", "reverse-sync/create-mirror-on-webhook",
        "reverse-sync/create-not-attested", "reverse-sync/create-renaming-mapping",
        "reverse-sync/create-six-field-schedule", "reverse-sync/put-settings-bad-schedule",
        "reverse-sync/put-full-locked", "reverse-sync/delete-enabled", "reverse-sync/delete-with-waiting-attempt",
    },
    RefusalKind.INVALID: {
        "stream/create-without-id", "link/create-meta-without-pixel", "destination/put-meta-pixel-emptied",
        "model/create-without-id", "model/create-not-a-select", "model/create-syntax-error", "model/create-unknown-table",
        "model/create-key-not-selected", "model/create-delete-column-of-wrong-type", "model/create-schema-violation",
        "model/create-warehouse-without-password", "model/put-null-for-description", "reverse-sync/create-bad-schedule",
        "reverse-sync/create-bad-google-settings", "link/create-reverse-sync", "link/put-reverse-sync",
        "link/put-reverse-sync-as-sync", "link/delete-reverse-sync-by-id", "reverse-sync/list-with-an-unreadable-one",
        "reverse-sync/disable-unreadable", "reverse-sync/delete-unreadable", "workspace/create-bad-slug", "listen/no-date",
    },
    RefusalKind.FEATURE_OFF: {
        "model/create-feature-off", "reverse-sync/create-feature-off", "reverse-sync/put-feature-off",
    },
    RefusalKind.FORBIDDEN: {
        "discovery/unknown-type-as-no-member", "model/create-as-analyst", "reverse-sync/delete-as-analyst",
        "readonly/create", "readonly/delete", "admin/export-as-owner", "audit-log/as-analyst",
    },
    RefusalKind.REFUSED: {
        "gate/stream-domain-added", "gate/stream-created", "gate/domain-created", "gate/stitching",
        "reverse-sync/create-unknown-option", "reverse-sync/create-request-id-no-uuid",
        "reverse-sync/put-settings-unknown", "reverse-sync/get-one", "reverse-sync/run-without-controller",
    },
}  # fmt: skip
SECRETS = (
    "whsecret",
    "signsecret",
    "devsecret",
    "metasecret",
    "envsecret",
    "pubsecret",
    "secret1",
    "stack trace",
)


def verdict_of(name: str) -> Any:
    reply = RECORDED[name]["response"]
    body = reply["body"].encode() if isinstance(reply["body"], str) else orjson.dumps(reply["body"])
    return classify(RECORDED[name]["request"]["method"], reply["status"], reply["headers"], body)


@pytest.mark.parametrize("name", RECORDED)
def test_every_reply_of_the_newest_console_is_known(name: str) -> None:
    verdict, reply = verdict_of(name), RECORDED[name]["response"]
    if reply["status"] in (200, 304):
        done = Done(not_modified=True) if reply["status"] == 304 else Done(reply["body"])
        assert verdict == done
    elif name == "maintenance/write-model":
        assert verdict == RetryAfter("maintenance, or a read-only console", 15.0)
    elif name == "gate/billing-down":
        assert isinstance(verdict, BillingAway)
    else:
        assert isinstance(verdict, Permanent)
        assert name in KINDS[verdict.kind]
        assert "\n" not in verdict.message
        assert not any(secret in verdict.message for secret in SECRETS)


def test_all_174_exchanges_are_played() -> None:
    assert len(RECORDED) == 174


def test_a_list_of_issues_is_a_refusal_that_names_the_fields_and_no_value() -> None:
    issues = [
        {
            "code": "too_small",
            "path": ["audience", "id"],
            "message": "s3cret is too small",
            "received": "s3cret",
        },
        {"code": "unrecognized_keys", "keys": ["colour"], "path": ["sync"], "message": "s3cret"},
    ]
    said = Permanent(
        RefusalKind.INVALID, "Invalid settings (audience.id: too small; sync: unrecognized keys colour)"
    )
    for method in ("GET", "PUT"):
        assert classify(method, 500, {}, orjson.dumps({"error": issues, "details": "s3cret"})) == said


def test_of_a_rule_of_the_consoles_own_its_words_are_kept_in_one_line_of_sane_length() -> None:
    def said(**issue: Any) -> Any:
        return classify("POST", 500, {}, orjson.dumps({"error": [{"code": "custom", "path": [], **issue}]}))

    words = "Confirm exclusive audience management"
    assert said(message=words) == Permanent(RefusalKind.INVALID, f"Invalid settings ({words})")
    assert said(message=f" {words}\nat parse", path=["mode"]).message == f"Invalid settings (mode: {words})"
    assert said(message="x" * 999).message == f"Invalid settings ({'x' * 200})"
    for nothing in ("", " \n", None, 7):
        assert said(message=nothing).message == "Invalid settings (it: custom)"


def test_words_about_one_field_do_not_decide_what_a_refusal_is() -> None:
    issues = [{"code": "custom", "path": ["model"], "message": "Column not found"}]
    body = {"message": "Can't parse request body for POST /x", "zodError": {"issues": issues}}
    refused = classify("POST", 400, {}, orjson.dumps(body))
    assert isinstance(refused, Permanent)
    assert refused.kind is RefusalKind.INVALID


def test_a_refused_body_is_no_outage_whatever_its_path_is_called() -> None:
    body = {
        "message": "Can't parse request body for PUT /api/ws/reverse-etl/sync?syncId=timeout",
        "zodError": {"issues": [{"code": "unrecognized_keys", "keys": ["mapping"], "path": []}]},
        "body": {"password": "s3cret"},
    }
    verdict = classify("PUT", 500, {}, orjson.dumps(body))
    assert isinstance(verdict, Permanent)
    assert verdict.message.endswith("syncId=timeout (it: unrecognized keys mapping)")


def console(answer: Any, time: FakeTime, heard: list[Event] | None = None, **options: Any) -> Console:
    gates = Gates(clock=time.clock, sleep=time.sleep)
    report = (heard if heard is not None else []).append
    return Console(
        "http://jitsu.example", "key:secret", transport=httpx.MockTransport(answer), gates=gates, clock=time.clock,
        sleep=time.sleep, report=report, **options,
    )  # fmt: skip


def replay(name: str) -> httpx.Response:
    reply = RECORDED[name]["response"]
    return httpx.Response(reply["status"], json=reply["body"])


def test_a_read_only_workspace_is_a_matter_of_access_with_the_reason_in_words() -> None:
    client = console(lambda _: replay("readonly/create"), FakeTime())
    with pytest.raises(AccessError, match="Workspace is in read-only mode due to billing issues") as raised:
        run(client.write("POST", "/api/ws/config/function", {}, repeatable=False))
    assert raised.value.exit_code == 6


@pytest.mark.parametrize("name", ["gate/stream-created", "model/create-feature-off"])
def test_what_plan_or_features_do_not_include_is_refused_once_and_ends_no_run(name: str) -> None:
    asked: list[httpx.Request] = []
    client = console(lambda request: (asked.append(request), replay(name))[1], FakeTime())
    with pytest.raises(RefusedError):
        run(client.write("POST", "/api/ws/config/stream", {}, repeatable=False))
    assert len(asked) == 1


def test_a_billing_service_that_comes_back_is_waited_for() -> None:
    time = FakeTime()
    back = time.now + 40
    client = console(
        lambda _: replay("gate/billing-down" if time.now < back else "gate/business-domain"),
        time,
        heard := [],
    )
    assert run(client.write("POST", "/api/ws/config/domain", {}, repeatable=False)) == {"id": "dom-b"}
    assert {event.text.split("; ")[0] for event in heard if isinstance(event, Notice)} == {
        "console http://jitsu.example: the console cannot verify the workspace's Jitsu subscription, because its billing service is down"
    }


@pytest.mark.parametrize("retry_for", [None, 60.0])
def test_a_billing_service_that_stays_away_costs_one_wait_and_the_writes_that_need_it(
    retry_for: float | None,
) -> None:
    time, asked = FakeTime(), list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return replay("gate/billing-down" if request.url.path.endswith("domain") else "function/create")

    async def write() -> None:
        client, begun = console(answer, time, retry_for=retry_for), time.now
        with pytest.raises(RefusedError, match="billing service is down"):
            await client.write("POST", "/api/ws/config/domain", {}, repeatable=False)
        assert time.now - begun == pytest.approx(retry_for or 15 * (BILLING_ATTEMPTS - 1))
        assert client.trouble is None, "the console itself answers"
        waited, tried = time.now, len(asked)
        with pytest.raises(RefusedError, match="billing service is down"):
            await client.write("POST", "/api/ws/config/domain", {}, repeatable=False)
        assert (time.now, len(asked)) == (waited, tried + 1)
        await client.write("POST", "/api/ws/config/function", {}, repeatable=False)

    run(write())


@pytest.mark.parametrize("retry_for", [None, 90.0])
def test_a_console_that_stays_read_only_is_given_up_and_the_message_names_both_causes(
    retry_for: float | None,
) -> None:
    time = FakeTime()
    begun = time.now

    def answer(request: httpx.Request) -> httpx.Response:
        return replay("maintenance/write-model" if request.method == "POST" else "conditional/list")

    async def write() -> None:
        client = console(answer, time, retry_for=retry_for)

        async def look() -> None:  # reads are answered all the while
            await client.get("/api/ws/config/model")

        await client.write("POST", "/api/ws/config/model", {}, repeatable=False, check=look)

    with pytest.raises(UnreachableError, match="maintenance, or a read-only console"):
        run(write())
    assert time.now - begun == pytest.approx(retry_for or 15 * (LIMITED_ATTEMPTS - 1))
