"""What the console refuses to save as a reverse sync, told before anything is sent."""

from typing import Any

import pytest

from jitsu_backup.model import Entity, Key
from jitsu_backup.planning.reverse_sync_rules import is_readable, refusals, runs

WEBHOOK = {"destinationType": "webhook", "url": "https://crm.example/in"}
MODEL = {"primaryKey": ["id"]}
DATA: dict[str, Any] = {
    "version": 2, "name": "Users", "stream": "rows", "mode": "upsert", "mapping": {"id": "id"}, "schedule": "0 * * * *",
    "timezone": "Etc/UTC", "checkpointEvery": 1, "errorPolicy": "fail", "disabled": False,
    "streamOptions": {"deliveryAttested": True},
}  # fmt: skip


def refused(data: dict[str, Any], model: Any = MODEL, destination: Any = WEBHOOK) -> list[str]:
    return refusals({**DATA, **data}, model, destination)


def options(**more: Any) -> dict[str, Any]:
    return {"streamOptions": {"deliveryAttested": True, **more}}


@pytest.mark.parametrize("missing", [(), ("schedule", "disabled")])
def test_a_whole_sync_between_a_model_and_a_webhook_is_taken(missing: tuple[str, ...]) -> None:
    data = {name: value for name, value in DATA.items() if name not in missing}
    assert refusals(data, MODEL, WEBHOOK) == []
    assert refusals(data, None, None) == refusals(data, None, WEBHOOK) == []


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"b": 1, "a": 2}, ["data.a: there is no such setting", "data.b: there is no such setting"]),
        ({"disabled": "yes"}, ["data.disabled: it must be true or false"]),
        ({"disabled": None}, ["data.disabled: it must be true or false"]),
        ({"disabled": True}, []),
        ({"mode": "mirror"}, ["data.mode: a webhook takes upsert only"]),
        ({"mapping": {"id": "id", "mail": "email"}}, ["data.mapping: columns are sent under their own names"]),
        ({"mapping": {"mail": "mail"}}, ["data.mapping: it lacks the primary key id"]),
        ({"streamOptions": {}}, ["data.streamOptions.deliveryAttested: somebody has to confirm it"]),
        ({"streamOptions": {"deliveryAttested": "yes"}}, ["data.streamOptions.deliveryAttested: somebody has to confirm it"]),
        ({"streamOptions": None}, ["data.streamOptions.deliveryAttested: somebody has to confirm it"]),
        (options(recordsPerRequest=1, concurrency=1), []),
        (options(recordsPerRequest=200, concurrency=10), []),
        (options(recordsPerRequest=0, concurrency=0), [
            "data.streamOptions.recordsPerRequest: it must be from 1 to 200", "data.streamOptions.concurrency: it must be from 1 to 10",
        ]),
        (options(recordsPerRequest=201, concurrency=11), [
            "data.streamOptions.recordsPerRequest: it must be from 1 to 200", "data.streamOptions.concurrency: it must be from 1 to 10",
        ]),
        (options(concurrency="5"), ["data.streamOptions.concurrency: it must be from 1 to 10"]),
        ({"stream": "audience"}, ["data.stream: a webhook destination takes rows"]),
    ],
)  # fmt: skip
def test_a_sync_to_a_webhook_is_refused_with_every_reason(data: dict[str, Any], told: list[str]) -> None:
    assert refused(data) == told


def test_several_columns_of_the_primary_key_may_be_missing() -> None:
    assert refused({}, {"primaryKey": ["a", "id", "b"]}) == ["data.mapping: it lacks the primary key a, b"]
    assert refused({"mapping": {}}, {}) == refused({"mapping": None}, {"primaryKey": None}) == []


@pytest.mark.parametrize(
    ("destination", "told"),
    [
        ({"url": "http://crm.example"}, ["data.streamOptions.allowInsecureHttp: the webhook's URL is http://"]),
        ({"url": "HTTP://crm.example"}, ["data.streamOptions.allowInsecureHttp: the webhook's URL is http://"]),
        ({"url": "https://a.example/?to=http://b.example"}, []),
        ({"method": "POST"}, []),
        ({"method": "PUT"}, ["toId: the webhook's method must be POST"]),
    ],
)  # fmt: skip
def test_a_webhook_is_held_against_what_a_sync_needs(destination: dict[str, Any], told: list[str]) -> None:
    assert refused({}, MODEL, {**WEBHOOK, **destination}) == told


def test_an_insecure_webhook_is_taken_where_somebody_allowed_it() -> None:
    insecure = {**WEBHOOK, "url": "http://crm.example"}
    assert refused(options(allowInsecureHttp=True), MODEL, insecure) == []
    assert len(refused(options(allowInsecureHttp="yes"), MODEL, insecure)) == 1


STREAMS = {
    "webhook": ["rows"],
    "google-ads": ["audience", "click-conversions", "call-conversions", "conversion-adjustments"],
    "facebook-conversions": ["audience", "conversions"],
}


@pytest.mark.parametrize("kind", STREAMS)
def test_each_kind_of_destination_takes_its_own_streams(kind: str) -> None:
    destination = {**WEBHOOK, "destinationType": kind}
    for stream in STREAMS[kind]:
        assert refused({"stream": stream}, MODEL, destination) == []
    told = [f"data.stream: a {kind} destination takes {', '.join(STREAMS[kind])}"]
    assert refused({"stream": "other"}, MODEL, destination) == told
    without = {name: value for name, value in DATA.items() if name != "stream"}
    assert refusals(without, MODEL, destination) == told


def test_only_a_webhook_is_held_against_the_rules_of_webhooks() -> None:
    unlike = {"stream": "audience", "mode": "mirror", "mapping": {"email": "mail"}, "streamOptions": {}}
    assert refused(unlike, MODEL, {"destinationType": "google-ads"}) == []


def test_other_kinds_of_destinations_take_no_reverse_syncs() -> None:
    told = "toId: a postgres destination takes no reverse syncs, only webhook, google-ads, facebook-conversions do"
    assert refused({"mode": "mirror"}, MODEL, {"destinationType": "postgres"}) == [told]


TAKEN = [
    *(None, "", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"),
    *("* * * * *", "0 0 1 1 0", "59 23 31 12 7", "  5   4 * * *  ", "? ? ? ? ?"),
    *("*/1 * * * *", "*/5 * * * *", "?/5 * * * *", "1-5/2 * * * *", "3/7 * * * *", "1,2,50-59 * * * *", "5-5 * * * *", "0/999999999 * * * *"),
    *("* * * JAN-DEC *", "* * * jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec *", "* * * JAN-2 *", "* * * 11-DEC *"),
    *("* * * * sun,mon,tue,wed,thu,fri,sat", "* * * * SUN-SAT", "* * * * FRI-6", "* * * * SAT-7", "* * * * 0-SUN", "* * * * 6-SAT"),
]  # fmt: skip


@pytest.mark.parametrize("schedule", TAKEN)
def test_a_schedule_is_a_macro_or_five_cron_fields(schedule: Any) -> None:
    assert refused({"schedule": schedule}) == []


@pytest.mark.parametrize("schedule", ["hourly", "@reboot", "* * * *", "* * * * * *", 5])
def test_a_schedule_of_other_than_five_fields_is_refused(schedule: Any) -> None:
    assert refused({"schedule": schedule}) == ["data.schedule: it must have five cron fields"]


NONE = [
    *("60", "-1", "1-", "-", "5-4", "1-60", "*/0", "*/", "*-5", "*/-1", "1/2/3", "0/1234567890", "x", "1,", ",1", "1,60"),
    *("JAN", "SUN", "٣", "1.5", "?5", "1-2-3", "a-b"),
]  # fmt: skip


@pytest.mark.parametrize("minute", NONE)
def test_a_field_that_is_none_is_named(minute: str) -> None:
    assert refused({"schedule": f"{minute} * * * *"}) == [f"data.schedule: {minute!r} is no valid cron field"]


@pytest.mark.parametrize(
    ("schedule", "wrong"),
    [
        ("* 24 * * *", ["24"]),
        ("* * 0 * *", ["0"]),
        ("* * 32 * *", ["32"]),
        ("* * * 0 *", ["0"]),
        ("* * * 13 *", ["13"]),
        ("* * * SUN *", ["SUN"]),
        ("* * * FEB-JAN *", ["FEB-JAN"]),
        ("* * * 2-JAN *", ["2-JAN"]),
        ("* * * * 8", ["8"]),
        ("* * * * JAN", ["JAN"]),
        ("* * * * MON-SUN", ["MON-SUN"]),
        ("61 24 * * 9", ["61", "24", "9"]),
    ],
)
def test_each_field_has_its_bounds_and_its_names(schedule: str, wrong: list[str]) -> None:
    assert refused({"schedule": schedule}) == [
        f"data.schedule: {field!r} is no valid cron field" for field in wrong
    ]


def test_of_unknown_settings_a_bad_switch_a_bad_schedule_and_a_bad_end_all_are_told() -> None:
    found = refused({"x": 1, "disabled": 1, "schedule": "daily"}, MODEL, {"destinationType": "postgres"})
    assert [reason.partition(":")[0] for reason in found] == [
        *("data.x", "data.disabled", "data.schedule", "toId"),
    ]


@pytest.mark.parametrize(
    ("data", "readable", "running"),
    [
        ({"version": 2}, True, True),
        ({}, True, True),
        ({"version": 2, "disabled": False}, True, True),
        ({"version": 2, "disabled": True}, True, False),
        ({"version": 1}, False, False),
        ({"version": 3, "disabled": False}, False, False),
        ({"version": None}, False, False),
        (None, False, False),
        ("text", False, False),
    ],
)
def test_a_sync_runs_where_it_can_be_read_and_is_not_off(data: Any, readable: bool, running: bool) -> None:
    body = {"data": data}
    assert is_readable(body) is readable
    assert runs(Entity(Key("reverse-sync", "x"), body)) is running
