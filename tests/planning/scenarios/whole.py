"""Scenarios: nothing to do, everything to do, and a workspace in place."""

from jitsu_backup.model import MASK
from tests.planning.scenarios.scenario import (
    BASE,
    CRM,
    ENRICH,
    OTHER,
    RUNS,
    WEB,
    Lists,
    Scenario,
    builder,
    db,
    elsewhere,
    here,
    in_place,
    link,
    other_console,
    overlay,
    own,
    scenario,
    sync,
    with_,
)


@scenario
def nothing_differs() -> Scenario:
    return in_place(BASE, BASE)


@scenario
def everything_is_new_on_another_console() -> Scenario:
    rich = with_(
        BASE,
        link=[link("l1", "web-1", "db-1", RUNS), sync("y1", "crm-1", "db-1", {"schedule": "1", "streams": {}})],
        notification=[{"id": "ops-1", "name": "Ops", "slackWebhookUrl": "https://hooks/T0P", "events": ["b", "a"]}],
        misc=[{"id": "misc-1", "name": "Classic", "value": "web-1=js.k\n# note"}],
        domain=[{"id": "dom-1", "name": "*.Acme.example"}],
        profile_builder=[builder("pb-1", "pf-1", "db-1", intermediateStorageCredentials={"mongoUrl": "m://u:p@h"})],
        custom_image=[{"id": "img-1", "name": "Image", "package": "acme/x"}],
    )  # fmt: skip
    rich["function"] = [ENRICH, {"id": "pf-1", "name": "Pb-1", "kind": "profile", "code": "code"}]
    return other_console(
        rich, {}, allow_missing_secrets=True, of_snapshot={"cursors": {"y1": {"users": '{"c": 1}', "gone": "{}"}}},
    )  # fmt: skip


@scenario
def everything_is_new_in_another_workspace() -> Scenario:
    rich = with_(
        BASE,
        misc=[{"id": "misc-1", "name": "Classic", "value": "web-1=js.k"}],
        notification=[{"id": "ops-1", "name": "Ops", "slackWebhookUrl": "https://hooks/T0P", "apiKey": ""}],
        domain=[{"id": "dom-1", "name": "*.Acme.example"}, {"id": "dom-2", "name": "Free.example"}],
        destination=[db("db-1", apiKey="in-clear", headers=["Authorization: x"], host="web-1 and db-1")],
    )
    return elsewhere(
        rich, {}, allow_missing_secrets=True, domains_elsewhere={"*.acme.example": "acme-staging"}
    )


@scenario
def secrets_nobody_has_block_their_entity_and_its_links() -> Scenario:
    return elsewhere(BASE, {})


@scenario
def many_secrets_in_clear_are_named_up_to_six() -> Scenario:
    rows = [
        {"id": f"hook-{n}", "name": f"Hook {n}", "apiKey": f"k{n}", "list": [{"secret": "s"}]}
        for n in range(4)
    ]
    ops = [{"id": "ops-1", "name": "Ops", "slackWebhookUrl": "https://hooks/T0P"}]
    env = link("l1", "web-1", "hook-0", {"functionsEnv": {"A": "1", "B": "2"}, "password": "pw"})
    changed = overlay({"destination/hook-1": {"apiKey": "another"}}, "another")
    stream = {**WEB, "publicKeys": [{"id": "js.k", "hash": "h"}]}
    lists: Lists = {"stream": [stream], "destination": rows, "notification": ops, "link": [env]}
    return elsewhere(lists, {}, overlay=changed, schemas={})


@scenario
def what_was_deleted_is_revived_under_another_id() -> Scenario:
    live = with_(BASE, destination=[], service=[], stream=[])
    cursors = {"cursors": {"y1": {"users": '{"c": 1}'}}}
    before = with_(BASE, link=[*BASE["link"], sync("y1", "crm-1", "db-1", {"schedule": "1"})])
    live["link"] = before["link"]
    return in_place(
        before, live, of_snapshot=cursors, of_live={"cursors": {"y1": {"users": '{"c": 2}', "new": "[]"}}}
    )


@scenario
def ids_of_earlier_attempts_are_taken_for_ever() -> Scenario:
    dangling = link("l9", "web-1", own("destination", "db-1"), None)
    live = with_(BASE, destination=[], link=[dangling])
    return in_place(BASE, live)


@scenario
def an_older_console_revives_nothing() -> Scenario:
    return in_place(BASE, with_(BASE, destination=[]), schemas={})


@scenario
def fields_are_changed_removed_and_out_of_reach() -> Scenario:
    before = with_(
        BASE,
        destination=[db("db-1", host="then", deep={"must": "m"}, list=[1, 2], testConnectionError="old")],
        function=[{**ENRICH, "code": "one\r\ntwo\nthree", "kind": None}],
        service=[{**CRM, "credentials": {"host": "h", "password": MASK, "tunnel": {"port": 1}}}],
        custom_image=[{"id": "img-1", "name": "Image", "deep": {"a": 1}}],
    )
    live = with_(
        BASE,
        destination=[
            db("db-1", host="now", deep={"must": "m", "more": 7, "extra": "e"}, list=[1], ssl="off", mode="a",
               testConnectionError="new"),
        ],
        function=[{**ENRICH, "description": "somebody's", "kind": "event"}],
        service=[{**CRM, "credentials": {"host": "x", "password": MASK, "tunnel": {"port": 1, "ssh": True}}}],
        custom_image=[{"id": "img-1", "name": "Image", "deep": {"a": 1, "b": {"c": 2}}}],
    )  # fmt: skip
    return in_place(before, live)


@scenario
def an_older_console_replaces_whole_fields() -> Scenario:
    before = with_(BASE, destination=[db("db-1", host="then", deep={"must": "m"})])
    live = with_(BASE, destination=[db("db-1", host="then", deep={"must": "m", "x": "y"}, mode="a")])
    live["stream"] = [{**WEB, "extra": {"a": 1}, "authorizedJavaScriptDomains": "acme.example"}]
    return in_place(before, live, schemas={})


@scenario
def a_streams_update_keeps_its_javascript_domains() -> Scenario:
    before = {
        **WEB,
        "authorizedJavaScriptDomains": "acme.example",
        "name": "Then",
        "domains": ["B.example", "a.example"],
    }
    before["extra"] = {"a": 1}
    return in_place({"stream": [before]}, {"stream": [{**before, "extra": {"a": 1, "b": 2}, "name": "Now", "domains": ["a.example", "b.example"], "x": 1}]})  # fmt: skip


@scenario
def a_domain_in_use_elsewhere_is_left_out_and_those_of_the_target_stay() -> Scenario:
    one = {**WEB, "domains": ["Used.example", "free.example", 7]}
    two = {"id": "app-1", "name": "App", "domains": ["used.example"]}
    live = {here("stream", "web-1"): ["own.example", "free.example"]}
    rows = [{"id": key, "name": "Web", "domains": value} for key, value in live.items()]
    return elsewhere(
        {"stream": [one, two]}, {"stream": rows}, domains_elsewhere={"used.example": "acme-staging"}
    )


@scenario
def a_dangling_link_stays_as_it_was() -> Scenario:
    links = [link("l1", "web-1", "gone"), link("l2", "nowhere", "db-1"), link("l3", "web-1", "db-1")]
    live = with_(
        BASE, link=[link("l1", "web-1", "gone"), link("l2", "elsewhere", "db-1"), link("l4", "web-1", "gone")]
    )
    return in_place(with_(BASE, link=links), live, prune=True)


@scenario
def the_same_workspace_under_another_host_name() -> Scenario:
    moment = {"workspace": {"createdAt": "2026-01-01T00:00:00Z"}}
    return in_place(
        BASE,
        with_(BASE, function=[{**ENRICH, "code": "x"}]),
        of_snapshot=moment,
        of_live={"host": OTHER, **moment},
    )


@scenario
def a_workspace_of_the_same_id_made_at_another_time_is_another_one() -> Scenario:
    return in_place(
        BASE, {}, of_snapshot={"workspace": {"createdAt": "2026-01-01T00:00:00Z"}},
        of_live={"workspace": {"createdAt": "2026-05-05T00:00:00Z"}}, same_console=False,
    )  # fmt: skip
