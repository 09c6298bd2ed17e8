"""Scenarios: OAuth grants."""

from typing import Any

from tests.planning.scenarios.scenario import (
    NARROW,
    SCHEMAS,
    TEXT,
    WEB,
    WIDE,
    Lists,
    Scenario,
    db,
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
    given = overlay(
        {"link/l1": {"data": {"disabled": False}}, "link/s1": {"data": {"schedule": "0 * * * *"}}}
    )
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


def revived() -> Lists:
    """What a restore makes of objects that were deleted: nobody has authorised them yet, and nothing runs."""
    lists = connected()
    return {
        **lists, "destination": [without(force("sf-1"))], "service": [without(sheets("sh-1"))],
        "link": [link("l1", "web-1", "sf-1", {"batchSize": 1, "disabled": True}), sync("s1", "sh-1", "sf-1", {"streams": {}})],
    }  # fmt: skip


def running(**more: Any) -> Lists:
    """The other workspace, authorised and running."""
    one, two, web = here("destination", "sf-1"), here("service", "sh-1"), here("stream", "web-1")
    return {
        "stream": [{**WEB, "id": web}], "destination": [force(one)], "service": [sheets(two)],
        "link": [
            link("x1", web, one, {"batchSize": 1}), sync("x2", two, one, {"streams": {}, "schedule": "0 * * * *"}),
        ], **more,
    }  # fmt: skip


@scenario
def what_is_off_for_want_of_a_grant_stays_on_where_there_is_one() -> Scenario:
    return elsewhere(revived(), running(), schemas=KNOWN)


@scenario
def what_is_off_for_want_of_a_grant_stays_on_where_ids_are_kept() -> Scenario:
    on = [link("x1", "web-1", "sf-1", {"batchSize": 1}), sync("x2", "sh-1", "sf-1", {"schedule": "@daily"})]
    return other_console(revived(), connected(link=on), schemas=KNOWN)


@scenario
def what_is_off_for_want_of_a_grant_stays_on_in_place_when_it_was_authorised_since() -> Scenario:
    now = connected(
        link=[
            link("l1", "web-1", "sf-1", {"batchSize": 2}),
            sync("s1", "sh-1", "sf-1", {"streams": {}, "schedule": "0 * * * *"}),
        ]
    )
    return in_place(revived(), now, schemas=KNOWN)


@scenario
def an_overlay_switches_off_what_a_grant_keeps_on() -> Scenario:
    given = overlay({"link/l1": {"data": {"disabled": True}}, "link/s1": {"data": {"schedule": ""}}})
    return elsewhere(revived(), running(), schemas=KNOWN, overlay=given)


@scenario
def a_connection_that_moves_to_an_end_made_anew_runs_on() -> Scenario:
    before = {**revived(), "stream": [WEB], "destination": [without(force("sf-1")), NARROW]}
    before["link"] = [*before["link"], sync("s2", "sh-1", "db-1", {})]
    now = connected(
        destination=[force("sf-1"), WIDE],
        link=[
            link("l1", "web-1", "sf-1", {"batchSize": 1}),
            sync("s2", "sh-1", "db-1", {"schedule": "@daily"}),
        ],
    )
    return in_place(before, now, schemas=KNOWN, recreate=True)


@scenario
def syncs_of_one_pair_are_told_apart_though_only_the_targets_run() -> Scenario:
    one, two = here("destination", "sf-1"), here("service", "sh-1")
    off = [sync(f"s{n}", "sh-1", "sf-1", {"streams": {n: {}}}) for n in "ab"]
    on = [sync(f"x{n}", two, one, {"streams": {n: {}}, "schedule": f"{n} * * * *"}) for n in "ba"]
    return elsewhere({**revived(), "link": off}, running(link=on), schemas=KNOWN)


@scenario
def what_runs_without_a_grant_in_the_source_or_is_off_in_both_comes_as_it_is() -> Scenario:
    source, target = revived(), running()
    source["link"] = [
        link("l1", "web-1", "sf-1", {"batchSize": 1, "disabled": True}),
        sync("s1", "sh-1", "sf-1", {"schedule": "@daily"}),
    ]
    target["link"][0]["data"]["disabled"] = True
    return elsewhere(source, target, schemas=KNOWN)


@scenario
def another_type_has_no_grant_to_run_by() -> Scenario:
    source, target = revived(), running()
    source["destination"] = [db("sf-1", name="Salesforce", host="h")]
    return elsewhere(source, target, schemas=KNOWN, allow_missing_secrets=True)


@scenario
def what_needs_a_grant_and_had_none_in_the_snapshot_either_is_noted() -> Scenario:
    return elsewhere(revived(), {}, schemas=KNOWN)


@scenario
def what_never_had_a_grant_in_place_is_no_news() -> Scenario:
    more = without(force("sf-2", name="Gone"))
    then = {**revived(), "destination": [without(force("sf-1")), more]}
    return in_place(then, revived(), schemas=KNOWN)
