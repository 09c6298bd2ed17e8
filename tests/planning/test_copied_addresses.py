"""Hosts and URLs that a clone takes from its source are named, and stand in the overlay to fill in, without secrets."""

import tomllib
from dataclasses import replace
from typing import Any

import pytest

from jitsu_backup.model import MASK, Key
from jitsu_backup.planning import CopiedHosts, Overlay, Plan, PlanOptions, Since, make_plan, parse_overlay
from jitsu_backup.reports import overlay_text
from tests.support import PRODUCTION, make_snapshot

LIVE = make_snapshot({"destination": [], "service": []}, workspace_id=PRODUCTION, slug="acme-production")
DB = {
    "id": "db",
    "name": "Reporting DB",
    "destinationType": "postgres",
    "host": "pg.staging",
    "password": MASK,
}
HOOK = {"id": "hook", "name": "Hook", "destinationType": "webhook", "url": "https://hooks.example/CANARY"}
CRM = {
    "id": "crm",
    "name": "CRM",
    "credentials": {"tunnel": {"host": "crm.staging", "tunnel_host": "t.staging"}, "password": "CANARY"},
}


def plan_of(*destinations: dict[str, Any], overlay: Overlay | None = None, **options: Any) -> Plan:
    source = make_snapshot({"destination": [*destinations], "service": [CRM]})
    return make_plan(source, LIVE, PlanOptions(overlay=overlay or Overlay(), **options))


def hosts(plan: Plan) -> list[str]:
    return [note for note in plan.notes if isinstance(note, CopiedHosts)]


def test_a_name_that_looks_like_an_address_is_renamed_with_the_source() -> None:
    live = make_snapshot(
        {"destination": [{**HOOK, "name": "Alerts:ops@example.com"}], "service": []},
        workspace_id=PRODUCTION,
        slug="acme-production",
    )
    plan = make_plan(make_snapshot({"destination": [HOOK]}), live, PlanOptions(take=("source",)))
    (action,) = (action for action in plan.actions if action.key.type == "destination")
    assert action.changes == ("name",)


def test_the_hosts_that_new_entities_get_from_the_source_are_named() -> None:
    (note,) = hosts(plan_of(DB, HOOK))
    assert note == (
        "Hosts copied unchanged from the source: host of destination 'Reporting DB', url of destination 'Hook',"
        " credentials.tunnel.host of service 'CRM', credentials.tunnel.tunnel_host of service 'CRM'; give the target's own with --overlay"
    )
    given = {
        "destination/*": {"host": "pg.production"},
        "service/CRM": {"credentials.tunnel": {"host": "t", "tunnel_host": "t"}},
    }
    assert hosts(plan_of(DB, overlay=parse_overlay(given))) == []
    assert hosts(plan_of(DB, since=Since.RECOVERY)) == []
    assert make_plan(LIVE, LIVE, PlanOptions()).addresses == {}


def test_the_overlay_to_fill_in_has_them_as_comments_and_no_secret() -> None:
    text = overlay_text(plan_of(DB, HOOK))
    assert text.split("\n\n")[1:] == [
        '["destination/Reporting DB"]\n# "host" = "pg.staging"\n"password" = { env = "REPORTING_DB_PASSWORD" }',
        '# ["destination/Hook"]\n# "url" = "https://hooks.example/…"',
        (
            '# ["service/CRM"]\n# "credentials.tunnel.host" = "crm.staging"\n# "credentials.tunnel.tunnel_host" = "…"\n'
            '# "credentials.password" = { env = "CRM_CREDENTIALS_PASSWORD" }'
        ),
    ]
    assert tomllib.loads(text) == {"destination/Reporting DB": {"password": {"env": "REPORTING_DB_PASSWORD"}}}
    bare = "\n".join(line.removeprefix("# ") for line in text.splitlines()[4:])
    assert tomllib.loads(bare)["destination/Reporting DB"]["host"] == "pg.staging"
    assert overlay_text(plan_of(HOOK)) == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("pg.staging:5432", '"pg.staging:5432"'), (["a:1", "b:2"], '["a:1", "b:2"]'), ("https://ch.staging/x", '"https://ch.staging/…"'),
        ("https://user:CANARY@ch", '"…"'), (["a", "https://CANARY@ch"], '"…"'), ("https://ch/?token=CANARY", '"https://ch/…"'), ("https://ch", '"https://ch"'),
        ("https://ch/x@y", '"…"'), ("ch/CANARY", '"…"'), (MASK, None),
        ("user:CANARY@ch", '"…"'), ("ch?password=CANARY", '"…"'), ("jdbc:sqlserver://h;password=CANARY", '"…"'),
    ],
)  # fmt: skip
def test_an_address_that_may_hold_a_secret_is_left_out(value: Any, shown: str | None) -> None:
    (line,) = [line for line in overlay_text(plan_of({**DB, "host": value})).splitlines() if '"host"' in line]
    assert line == (f'# "host" = {shown}' if shown else '"host" = { env = "REPORTING_DB_HOST" }')


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("crm.staging:443", True),
        ("https://[::1]:8123/", True),
        ("hooks.example/CANARY", False),
        ("u:CANARY@h", False),
    ],
)
def test_among_credentials_only_a_bare_host_is_shown(host: str, shown: bool) -> None:
    crm = {**CRM, "credentials": {"host": host}}
    source = make_snapshot({"destination": [DB], "service": [crm]})
    text = overlay_text(make_plan(source, LIVE, PlanOptions()))
    assert f'# "credentials.host" = "{host if shown else "…"}"' in text


def test_the_overlay_to_fill_in_has_the_domains_that_another_workspace_uses() -> None:
    web = {"id": "web", "name": "Web", "domains": ["data.example", "Own.example"]}
    source = make_snapshot(
        {"destination": [DB], "stream": [web], "domain": [{"id": "all", "name": "*.example"}]}
    )
    live = make_snapshot({"destination": [], "stream": [], "domain": []}, workspace_id=PRODUCTION)
    options = PlanOptions(domains_elsewhere={"data.example": "acme-staging", "*.example": "acme-staging"})
    _, domain, stream, _ = sorted(overlay_text(make_plan(source, live, options)).split("\n\n"))
    assert domain == '# ["domain/all"]\n# "name" = "*.example"'
    assert stream == '# ["stream/Web"]\n# "domains" = ["data.example", "Own.example"]'
    given = parse_overlay({"stream/Web": {"domains": ["own.example"]}, "domain/all": {"name": "x.example"}})
    assert make_plan(source, live, replace(options, overlay=given)).addresses.keys() == {
        Key("destination", "db")
    }


def test_of_credentials_without_any_field_named_like_a_secret_all_are_in_the_overlay_to_fill_in() -> None:
    crm: dict[str, Any] = {**CRM, "credentials": {"start": "2026", "code": "CANARY"}}
    plan = make_plan(make_snapshot({"destination": [DB], "service": [crm]}), LIVE, PlanOptions())
    *_, table = overlay_text(plan).split("\n\n")
    assert table.split("\n") == [
        '# ["service/CRM"]',
        '# "credentials.code" = { env = "CRM_CREDENTIALS_CODE" }',
        '# "credentials.start" = { env = "CRM_CREDENTIALS_START" }',
    ]
    assert "secrets copied unchanged from the source: credentials of service 'CRM'" in " ".join(plan.notes)
    crm["credentials"] |= {"password": MASK}  # so the console knows which fields are secret
    plan = make_plan(make_snapshot({"service": [crm]}), LIVE, PlanOptions())
    assert overlay_text(plan) == (
        '["service/CRM"]\n"credentials.password" = { env = "CRM_CREDENTIALS_PASSWORD" }'
    )


def test_what_is_copied_may_be_right_where_the_target_may_be_the_same_workspace_recovered() -> None:
    source = make_snapshot({"destination": [DB], "service": [CRM]}, host="https://lost.example")
    target = make_snapshot({"destination": [], "service": []}, workspace_id=PRODUCTION)
    copied = [note for note in make_plan(source, target, PlanOptions()).notes if "copied unchanged" in note]
    assert len(copied) == 2
    assert all(note.endswith("with --overlay, unless it is the same workspace, recovered") for note in copied)
