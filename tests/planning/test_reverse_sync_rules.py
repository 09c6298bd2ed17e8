"""What the console refuses to save as a reverse sync, told before anything is sent."""

from typing import Any

import pytest

from jitsu_backup.model import MASK, Entity, Key
from jitsu_backup.planning.reverse_sync_rules import is_readable, refusals, runs

WEBHOOK = {"destinationType": "webhook", "url": "https://crm.example/in"}
MODEL = {"primaryKey": ["id"]}
NO_LOGIN = "toId: the webhook's URL must not contain a username or password"
NO_SCHEME = "toId: the webhook's URL must start with http:// or https://"
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
        ({"b": 1, "a": 2}, ["data.a: unknown setting", "data.b: unknown setting"]),
        ({"disabled": "yes"}, ["data.disabled: it must be true or false"]),
        ({"disabled": None}, ["data.disabled: it must be true or false"]),
        ({"disabled": True}, []),
        ({"mode": "mirror"}, ["data.mode: a webhook accepts upsert only"]),
        ({"mapping": {"id": "id", "mail": "email"}}, ["data.mapping: each field must have the name of its column"]),
        ({"mapping": {"mail": "mail"}}, ["data.mapping: the primary key is missing: id"]),
        ({"streamOptions": {}}, ["data.streamOptions.deliveryAttested: somebody must confirm it"]),
        ({"streamOptions": {"deliveryAttested": "yes"}}, ["data.streamOptions.deliveryAttested: somebody must confirm it"]),
        ({"streamOptions": None}, [
            "data.streamOptions: it must be an object", "data.streamOptions.deliveryAttested: somebody must confirm it",
        ]),
        (options(retries=3), ["data.streamOptions.retries: unknown setting"]),
        (options(concurrency=True), ["data.streamOptions.concurrency: it must be from 1 to 10"]),
        (options(recordsPerRequest=1, concurrency=1), []),
        (options(recordsPerRequest=200, concurrency=10), []),
        (options(recordsPerRequest=0, concurrency=0), [
            "data.streamOptions.recordsPerRequest: it must be from 1 to 200", "data.streamOptions.concurrency: it must be from 1 to 10",
        ]),
        (options(recordsPerRequest=201, concurrency=11), [
            "data.streamOptions.recordsPerRequest: it must be from 1 to 200", "data.streamOptions.concurrency: it must be from 1 to 10",
        ]),
        (options(concurrency="5"), ["data.streamOptions.concurrency: it must be from 1 to 10"]),
        ({"stream": "audience"}, ["data.stream: a webhook destination accepts rows"]),
    ],
)  # fmt: skip
def test_a_sync_to_a_webhook_is_refused_with_every_reason(data: dict[str, Any], told: list[str]) -> None:
    assert refused(data) == told


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"version": 1}, "data.version: it must be 2"),
        ({"name": " "}, "data.name: it must be text of 1 to 200 characters"),
        ({"name": 5}, "data.name: it must be text of 1 to 200 characters"),
        ({"name": "x" * 201}, "data.name: it must be text of 1 to 200 characters"),
        ({"name": f" {'x' * 200} "}, ""),
        ({"stream": 5}, "data.stream: it must be text"),
        ({"mode": "insert"}, "data.mode: it must be upsert or mirror"),
        ({"mode": None}, "data.mode: it must be upsert or mirror"),
        ({"mode": "mirror"}, ""),
        ({"mapping": None}, "data.mapping: it must name a column for each field"),
        ({"mapping": {"id": ""}}, "data.mapping: it must name a column for each field"),
        ({"mapping": {"id": 5}}, "data.mapping: it must name a column for each field"),
        ({"timezone": ""}, ""),
        ({"timezone": "europe/berlin"}, ""),
        ({"timezone": "US/Pacific"}, ""),
        ({"timezone": "+05:30"}, ""),
        ({"timezone": "-08"}, ""),
        ({"timezone": "Mars/Olympus"}, "data.timezone: unknown time zone"),
        ({"timezone": "+5"}, "data.timezone: unknown time zone"),
        ({"timezone": 5}, "data.timezone: unknown time zone"),
        ({"checkpointEvery": 1_000_000}, ""),
        ({"checkpointEvery": 1_000_001}, "data.checkpointEvery: it must be from 1 to 1000000"),
        ({"checkpointEvery": 0}, "data.checkpointEvery: it must be from 1 to 1000000"),
        ({"checkpointEvery": "5"}, "data.checkpointEvery: it must be from 1 to 1000000"),
        ({"checkpointEvery": True}, "data.checkpointEvery: it must be from 1 to 1000000"),
        ({"errorPolicy": "skip"}, "data.errorPolicy: it must be fail"),
    ],
)  # fmt: skip
def test_each_setting_has_its_form_whatever_the_destination_is(data: dict[str, Any], told: str) -> None:
    assert refusals({**DATA, **data}, None, None) == ([told] if told else [])


@pytest.mark.parametrize("missing", ["mode", "mapping"])
def test_a_sync_cannot_do_without_mode_and_mapping(missing: str) -> None:
    data = {name: value for name, value in DATA.items() if name != missing}
    (told,) = refusals(data, None, None)
    assert told.startswith(f"data.{missing}: ")


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (["id", "_mail2"], []),
        ([], ["data.mapping: a webhook accepts 1 to 200 columns"]),
        (["id", *(f"c{n}" for n in range(200))], ["data.mapping: a webhook accepts 1 to 200 columns"]),
        (["id", *(f"c{n}" for n in range(199))], []),
        (["id", "e-mail"], ["data.mapping: the column 'e-mail' is not a valid field name"]),
        (["id", "2nd"], ["data.mapping: the column '2nd' is not a valid field name"]),
        (["id", "x" * 128], []),
        (["id", "x" * 129], [f"data.mapping: the column '{'x' * 129}' is not a valid field name"]),
    ],
)  # fmt: skip
def test_a_webhook_takes_some_columns_by_names_that_are_fields(columns: list[str], told: list[str]) -> None:
    assert refused({"mapping": {column: column for column in columns}}, {}) == told


def test_several_columns_of_the_primary_key_may_be_missing() -> None:
    assert refused({}, {"primaryKey": ["a", "id", "b"]}) == ["data.mapping: the primary key is missing: a, b"]
    assert refused({"mapping": {"mail": "mail"}}, {}) == []
    assert refused({"mapping": {"mail": "mail"}}, {"primaryKey": None}) == []


@pytest.mark.parametrize(
    ("destination", "told"),
    [
        ({"url": "http://crm.example"}, ["data.streamOptions.allowInsecureHttp: the webhook's URL is http://"]),
        ({"url": "HTTP://crm.example"}, ["data.streamOptions.allowInsecureHttp: the webhook's URL is http://"]),
        ({"url": "https://a.example/?to=http://b.example"}, []),
        ({"method": "POST"}, []),
        ({"method": "post"}, []),
        ({"method": "PUT"}, ["toId: the webhook's method must be POST"]),
        ({"url": " https://crm.example/in?user:pass@x "}, []),
        ({"url": "https://@crm.example"}, []),
        ({"url": "https://mia:hidden@crm.example"}, [NO_LOGIN]),
        ({"url": "https://mia@crm.example"}, [NO_LOGIN]),
        ({"url": "https://:hidden@crm.example"}, [NO_LOGIN]),
        ({"url": "ftp://crm.example"}, [NO_SCHEME]),
        ({"url": "crm.example/in"}, [NO_SCHEME]),
        ({"url": "https://[crm"}, [NO_SCHEME]),
        ({"headers": ["X-Env: test", " ", "Authorization: Bearer a:b"]}, []),
        ({"headers": [f"X-{n}: 1" for n in range(20)]}, []),
        ({"headers": [f"X-{n}: 1" for n in range(21)]}, ["toId: the webhook sets more than 20 headers"]),
        ({"headers": ["X-Env: test", "hidden"]}, ["toId: header 2 of the webhook is not of the form 'Name: value'"]),
        ({"headers": ["X Env: hidden"]}, ["toId: header 1 of the webhook is not of the form 'Name: value'"]),
        ({"headers": ["X-Env: hid\nden"]}, ["toId: header 1 of the webhook is not of the form 'Name: value'"]),
        ({"headers": ["Content-Type: hidden"]}, ["toId: the webhook sets the header content-type, which Jitsu sets itself"]),
        ({"headers": ["Jitsu-Run: hidden"]}, ["toId: the webhook sets the header jitsu-run, which Jitsu sets itself"]),
        ({"headers": ["X-Env: 1", "x-env: 2"]}, ["toId: the webhook sets the header x-env twice"]),
        ({"signatureMethod": "none"}, []),
        ({"signatureMethod": "hmac", "signatureSecret": MASK}, []),
        ({"signatureMethod": "hmac"}, ["toId: the webhook signs its requests, but has no signatureSecret"]),
        ({"signatureMethod": "ed25519", "signatureSecret": MASK}, ["toId: the webhook signs its requests, but has no signaturePrivateKey"]),
        ({"signatureHeader": "X Signature"}, ["toId: the webhook's signatureHeader is not a valid header name"]),
    ],
)  # fmt: skip
def test_a_webhook_is_held_against_what_a_sync_needs(destination: dict[str, Any], told: list[str]) -> None:
    assert refused({}, MODEL, {**WEBHOOK, **destination}) == told


def test_an_insecure_webhook_is_taken_where_somebody_allowed_it() -> None:
    insecure = {**WEBHOOK, "url": "http://crm.example"}
    assert refused(options(allowInsecureHttp=True), MODEL, insecure) == []
    assert len(refused(options(allowInsecureHttp="yes"), MODEL, insecure)) == 1


AUDIENCE = {"audience": {"kind": "existing", "audienceId": "1"}, "customerMatchTermsAccepted": True}
STREAMS = {
    "webhook": ["rows"],
    "google-ads": ["audience", "click-conversions", "call-conversions", "conversion-adjustments"],
    "facebook-conversions": ["audience", "conversions"],
}


@pytest.mark.parametrize("kind", STREAMS)
def test_each_kind_of_destination_takes_its_own_streams(kind: str) -> None:
    destination = {**WEBHOOK, "destinationType": kind}
    settings = {"streamOptions": AUDIENCE if kind == "google-ads" else DATA["streamOptions"]}
    for stream in STREAMS[kind]:
        assert refused({"stream": stream, **settings}, MODEL, destination) == []
    told = [f"data.stream: a {kind} destination accepts {', '.join(STREAMS[kind])}"]
    assert refused({"stream": "other"}, MODEL, destination) == told
    without = {name: value for name, value in DATA.items() if name != "stream"}
    assert refusals(without, MODEL, destination) == told


def test_only_a_webhook_is_held_against_the_rules_of_webhooks() -> None:
    unlike = {
        "stream": "audience",
        "mode": "mirror",
        "mapping": {"e-mail": "mail"},
        "streamOptions": AUDIENCE,
    }
    assert refused(unlike, MODEL, {"destinationType": "google-ads"}) == []


def test_an_audience_of_google_needs_its_settings_and_somebody_who_confirms_them() -> None:
    audience, terms = "data.streamOptions.audience", "data.streamOptions.customerMatchTermsAccepted"
    told = [f"{audience}: required", f"{terms}: somebody must confirm it"]
    ads = {"destinationType": "google-ads"}
    assert refused({"stream": "audience", "streamOptions": {}}, MODEL, ads) == told
    assert (
        refused({"stream": "audience", "streamOptions": {**AUDIENCE, "audience": "1"}}, MODEL, ads)
        == told[:1]
    )
    unconfirmed = {**AUDIENCE, "customerMatchTermsAccepted": "yes"}
    assert refused({"stream": "audience", "streamOptions": unconfirmed}, MODEL, ads) == told[1:]
    assert refused({"stream": "click-conversions", "streamOptions": {}}, MODEL, ads) == []


def test_other_kinds_of_destinations_take_no_reverse_syncs() -> None:
    told = "toId: a postgres destination accepts no reverse syncs, only webhook, google-ads, facebook-conversions do"
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


@pytest.mark.parametrize("schedule", ["hourly", "@reboot", "* * * *", "* * * * * *"])
def test_a_schedule_of_other_than_five_fields_is_refused(schedule: Any) -> None:
    assert refused({"schedule": schedule}) == ["data.schedule: it must have five cron fields"]


@pytest.mark.parametrize("schedule", [5, ["0", "*"], {"cron": "*"}])
def test_a_schedule_that_is_no_text_is_refused_as_such(schedule: Any) -> None:
    assert refused({"schedule": schedule}) == ["data.schedule: it must be text"]


NONE = [
    *("60", "-1", "1-", "-", "5-4", "1-60", "*/0", "*/", "*-5", "*/-1", "1/2/3", "0/1234567890", "x", "1,", ",1", "1,60"),
    *("JAN", "SUN", "٣", "1.5", "?5", "1-2-3", "a-b"),
]  # fmt: skip


@pytest.mark.parametrize("minute", NONE)
def test_a_field_that_is_none_is_named(minute: str) -> None:
    assert refused({"schedule": f"{minute} * * * *"}) == [
        f"data.schedule: {minute!r} is not a valid cron field"
    ]


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
        f"data.schedule: {field!r} is not a valid cron field" for field in wrong
    ]


def test_of_unknown_settings_a_bad_switch_a_bad_schedule_and_a_bad_end_all_are_reported() -> None:
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
