"""Scenarios: OAuth grants."""

from typing import Any

from tests.planning.scenarios.kit import (
    SCHEMAS,
    TEXT,
    WEB,
    Lists,
    Scenario,
    elsewhere,
    here,
    in_place,
    link,
    other_console,
    overlay,
    scenario,
    sync,
)

FORCE = dict.fromkeys(("id", "type", "workspaceId", "name", "destinationType", "cloneId", "extra"), TEXT)
GRANT = {
    "authorized": {"type": "boolean", "default": False},
    "oauthIntegrationId": TEXT,
    "oauthConnectionId": TEXT,
}
KNOWN = {**SCHEMAS, "destination/salesforce": {"type": "object", "properties": {**FORCE, **GRANT}}}


def force(one: str, **more: Any) -> dict[str, Any]:
    grant = {
        "authorized": True, "oauthIntegrationId": "jitsu-cloud-dst-salesforce", "oauthConnectionId": f"destination.{one}",
    }  # fmt: skip
    return {"id": one, "name": "Salesforce", "destinationType": "salesforce", **grant, **more}


def sheets(one: str, **more: Any) -> dict[str, Any]:
    return {
        "id": one,
        "name": "Sheets",
        "package": "airbyte/source-google-sheets",
        "authorized": True,
        **more,
    }


def connected(one: str = "sf-1", two: str = "sh-1", **more: Any) -> Lists:
    return {
        "stream": [WEB], "destination": [force(one)], "service": [sheets(two)],
        "link": [link("l1", "web-1", one, {"batchSize": 1}), sync("s1", two, one, {"schedule": "0 * * * *"})], **more,
    }  # fmt: skip


def without(body: dict[str, Any]) -> dict[str, Any]:
    grant = ("authorized", "oauthIntegrationId", "oauthConnectionId")
    return {name: value for name, value in body.items() if name not in grant}


@scenario
def a_grant_is_left_out_of_what_is_new_and_its_connections_are_switched_off() -> Scenario:
    return elsewhere(connected(), {}, schemas=KNOWN)


@scenario
def what_an_overlay_connects_runs_without_a_grant() -> Scenario:
    given = overlay({"link/l1": {"data": {"disabled": False}}, "link/s1": {"data": {"schedule": "@daily"}}})
    return elsewhere(connected(), {}, schemas=KNOWN, overlay=given)


@scenario
def a_grant_is_left_out_where_the_id_is_kept_too() -> Scenario:
    return other_console(connected(), {}, schemas=KNOWN)


@scenario
def the_targets_own_grant_stays_and_its_connections_run() -> Scenario:
    one, two = here("destination", "sf-1"), here("service", "sh-1")
    own = force(one, name="Other", oauthIntegrationId="own")
    live = connected(one, two, destination=[own])
    live["stream"] = [{**WEB, "id": here("stream", "web-1")}]
    live["link"] = [
        link("x1", here("stream", "web-1"), one, {"batchSize": 1, "disabled": True}),
        sync("x2", two, one, {}),
    ]
    return elsewhere(connected(), live, schemas=KNOWN)


@scenario
def a_grant_of_another_object_is_told() -> Scenario:
    one = here("destination", "sf-1")
    return elsewhere(
        {"destination": [force("sf-1")]}, {"destination": [{**force("sf-1"), "id": one}]}, schemas=KNOWN
    )


@scenario
def what_is_not_authorised_yet_stays_switched_off_and_is_told() -> Scenario:
    one, two, web = here("destination", "sf-1"), here("service", "sh-1"), here("stream", "web-1")
    live = {
        "stream": [{**WEB, "id": web}], "destination": [without(force(one))], "service": [without(sheets(two))],
        "link": [link("x1", web, one, {"batchSize": 1, "disabled": True}), sync("x2", two, one, {})],
    }  # fmt: skip
    return elsewhere(connected(), live, schemas=KNOWN)


@scenario
def a_grant_revoked_since_is_told_in_place_and_one_given_since_stays() -> Scenario:
    then = {
        "destination": [force("sf-1"), without(force("sf-2", name="Second"))],
        "service": [sheets("sh-1")],
    }
    now = {"destination": [without(force("sf-1")), force("sf-2", name="Second")], "service": [sheets("sh-1")]}
    return in_place(then, now, schemas=KNOWN)


@scenario
def what_was_deleted_comes_back_without_its_grant() -> Scenario:
    return in_place(connected(), {"stream": [WEB]}, schemas=KNOWN)


@scenario
def an_authorised_object_is_not_made_anew() -> Scenario:
    then, now = force("sf-1"), force("sf-1", extra="only here")
    return in_place({"destination": [then]}, {"destination": [now]}, recreate=True, schemas=KNOWN)
