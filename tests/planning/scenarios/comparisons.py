"""Scenarios: what a comparison needs beyond a plan."""

from jitsu_backup.model import Key, Refusal
from tests.planning.scenarios.scenario import (
    BASE,
    CRM,
    DB,
    ENRICH,
    EXTRA,
    WEB,
    Scenario,
    builder,
    db,
    elsewhere,
    here,
    in_place,
    link,
    scenario,
    with_,
)


@scenario
def what_one_side_could_not_read() -> Scenario:
    refused = (
        Refusal("destination", "HTTP 500"),
        Refusal("profile-builder", "HTTP 500"),
        Refusal("workspace/users", "403", missing=False),
    )
    before = with_(EXTRA, notification=[{"id": "n", "name": "N"}])
    return in_place(before, BASE, of_snapshot={"refused": refused})


@scenario
def what_one_side_of_two_workspaces_could_not_read() -> Scenario:
    refused = (Refusal("stream", "HTTP 500"),)
    before = with_(BASE, misc=[{"id": "m", "name": "M", "value": "web-1=k"}])
    live = {"service": [{**CRM, "id": here("service", "crm-1"), "name": "Mine"}]}
    return elsewhere(before, live, of_live={"refused": refused}, allow_missing_secrets=True)


@scenario
def functions_of_builders_that_were_refused_are_not_made_as_plain_ones() -> Scenario:
    refused = (Refusal("profile-builder", "HTTP 500"),)
    functions = [
        {"id": "fn-1", "name": "Plain", "code": "a"},
        {"id": "pf-1", "name": "Owned", "code": "b", "kind": "profile"},
    ]
    return elsewhere({"function": functions}, {}, of_snapshot={"refused": refused})


@scenario
def functions_of_builders_that_were_refused_are_updated_where_they_live() -> Scenario:
    refused = (Refusal("profile-builder", "HTTP 500"),)
    owned = {"id": "pf-1", "name": "Owned", "code": "b", "kind": "profile"}
    return in_place(
        {"function": [owned]}, {"function": [{**owned, "code": "c"}]}, of_snapshot={"refused": refused}
    )


@scenario
def a_function_of_kind_profile_without_a_builder_is_a_plain_one() -> Scenario:
    return elsewhere({"function": [{"id": "pf-1", "name": "Left", "code": "b", "kind": "profile"}]}, {})


@scenario
def secrets_that_the_console_masks_since_are_not_compared() -> Scenario:
    return in_place({"destination": [db("db-1", password="then")]}, {"destination": [db("db-1")]})


@scenario
def secrets_that_the_console_masks_since_go_back_with_another_change() -> Scenario:
    then = {"destination": [db("db-1", password="then", host="h")]}
    return in_place(then, {"destination": [db("db-1", host="now")]})


@scenario
def secrets_that_the_console_masks_since_are_sent_when_asked() -> Scenario:
    return in_place(
        {"destination": [db("db-1", password="then")]}, {"destination": [db("db-1")]}, resend_secrets=True
    )


@scenario
def secrets_in_clear_never_replace_those_that_another_workspace_hides() -> Scenario:
    before = {"destination": [db("db-1", password="staging", host="h")]}
    live = {"destination": [{**db("db-1", host="now"), "id": here("destination", "db-1")}]}
    return elsewhere(before, live, resend_secrets=True)


@scenario
def functions_of_builders_that_one_side_could_not_read() -> Scenario:
    refused = (Refusal("profile-builder", "HTTP 500"),)
    functions = [
        ENRICH,
        {"id": "pf-1", "name": "P", "kind": "profile"},
        {"id": "f", "name": "F", "kind": "event"},
    ]
    live = with_(BASE, function=[{**ENRICH, "code": "x"}, {"id": "pf-2", "name": "P", "kind": "profile"}])
    return in_place(with_(BASE, function=functions), live, of_snapshot={"refused": refused})


@scenario
def removed_ones_of_one_name_are_told_apart() -> Scenario:
    alike = [{"id": one, "name": "Same", "code": "x"} for one in ("f-1", "f-2")]
    runs = link("l1", "web-1", "db-1", {"functions": [{"functionId": "udf.f-2"}]})
    return in_place(with_(BASE, function=alike, link=[runs]), with_(BASE, function=[], link=[]))


@scenario
def differences_that_are_none() -> Scenario:
    before = {
        "stream": [{"id": "s", "publicKeys": [{"id": "b", "lastUsed": 1}, {"id": "a"}], "domains": ["b", "a"], "x": None, "y": ""}],
        "destination": [db("d", ssl="off", deep={"must": "m", "more": 7}, testConnectionError="x", closed={})],
        "notification": [{"id": "n", "events": ["b", "a"], "emails": ["y", 5]}], "domain": [{"id": "x", "name": "A.Example"}],
        "profile-builder": [builder("p", "f", "d", version=2, config={"draft": "d"})], "link": [{"id": "l", "fromId": "s", "toId": "d", "data": None}],
        "function": [{"id": "f", "kind": "profile"}, {"id": "o", "profileBuilderId": "p", "deleted": False, "at": "2026-01-01T00:00:00Z"}],
    }  # fmt: skip
    live = {
        "stream": [{"id": "s", "publicKeys": [{"id": "a"}, {"id": "b", "lastUsed": 2}], "domains": ["a", "b"]}],
        "destination": [db("d", deep={"must": "m"}, password="shown")],
        "notification": [{"id": "n", "events": ["a", "b"], "emails": [5, "y"]}], "domain": [{"id": "x", "name": "a.example"}],
        "profile-builder": [builder("p", "f", "d", version=3, config={"draft": "d"})], "link": [{"id": "l", "type": "push", "fromId": "s", "toId": "d"}],
        "function": [{"id": "f", "kind": "profile"}, {"id": "o", "at": "2026-01-01T00:00:00.000Z"}],
    }  # fmt: skip
    return in_place(before, live)


@scenario
def differences_of_every_kind() -> Scenario:
    before = {
        "stream": [{"id": "s", "name": "S", "publicKeys": [{"id": "a"}], "privateKeys": [{"id": "p"}, "odd"]}],
        "destination": [db("d", host="a", headers=["X: 1"], deep={"must": "m"}), db("e", url="https://u:pw@h")],
        "domain": [{"id": "x", "name": "A.Example"}], "misc": [{"id": "m", "name": "M", "value": "s=1\nt=2", "key": "k"}], "service": [{**CRM, "id": "c"}],
        "profile-builder": [builder("p", "f", "d", "old", config={"draft": "one"})],
        "function": [{"id": "f", "kind": "profile"}, {"id": "g", "name": "G", "code": "a\r\nb"}, {"id": "h", "name": "G", "code": "x", "draft": "d"}],
        "link": [link("l", "s", "d", {"functions": [{"functionId": "udf.g"}, {"functionId": "udf.h"}], "functionsEnv": {"K": "1"}}), link("k", "s", "gone")],
    }  # fmt: skip
    live = {
        "stream": [{"id": "s", "name": "S2", "publicKeys": [{"id": "b"}]}],
        "destination": [db("d", host="b", headers=["X: 2"], deep={"must": "m", "new": [1, {"secret": "s"}]}, password="shown")],
        "domain": [{"id": "x", "name": "B.example"}], "misc": [{"id": "m", "name": "M", "value": "t=2\ns=3"}], "service": [{**CRM, "id": "c", "credentials": {"host": "h", "password": ""}}],
        "profile-builder": [builder("p", "f", "d", "new", config={"draft": "two"})],
        "function": [{"id": "f", "kind": "profile"}, {"id": "g", "name": "G", "code": "a\nb"}, {"id": "h", "name": "H", "code": ""}],
        "link": [link("l", "s", "d", {"functions": [{"functionId": "udf.h"}], "functionsEnv": {"K": "2"}})],
        "notification": [{"id": "n", "name": "N", "slackWebhookUrl": "https://x"}],
    }  # fmt: skip
    secrets = {Key("destination", "d"): {"password": "1", "token": "2", "x.hash": "3"}}
    after = {Key("destination", "d"): {"password": "1", "token": "9", "x.hash": "9"}}
    return in_place(before, live, of_snapshot={"secrets": secrets}, of_live={"secrets": after})


@scenario
def two_workspaces_differ_in_what_each_has_of_its_own() -> Scenario:
    s, d = here("stream", "web-1"), here("destination", "db-1")
    pb, pf = here("profile-builder", "pb-1"), "their-pf"
    before = with_(
        BASE, stream=[{**WEB, "publicKeys": [{"id": "a"}, {"id": "b"}]}], misc=[{"id": "m1", "name": "M", "value": "web-1=js.a\nx=1"}],
        profile_builder=[builder("pb-1", "pf-1", "db-1", config={"draft": "one"})],
        function=[ENRICH, {"id": "pf-1", "name": "P", "kind": "profile"}],
        link=[link("l1", "web-1", "db-1", {"functions": [{"functionId": "udf.pf-1"}, {"functionId": "udf.enrich"}]})],
    )  # fmt: skip
    live = {
        "stream": [{**WEB, "id": s, "publicKeys": [{"id": "c"}]}], "destination": [{**DB, "id": d, "host": "db.production"}],
        "misc": [{"id": here("misc", "m1"), "name": "M", "value": f"x=2\n{s}=js.b"}],
        "profile-builder": [builder(pb, pf, d, config={"draft": "two"})],
        "link": [link("x1", s, d, {"functions": [{"functionId": f"udf.{pf}"}, {"functionId": "udf.theirs"}]})],
        "function": [{"id": pf, "name": "P", "kind": "profile"}, {"id": "theirs", "name": "Enrich"}],
    }  # fmt: skip
    return elsewhere(before, live, allow_missing_secrets=True)
