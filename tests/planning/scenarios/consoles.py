"""Scenarios: types and consoles of other generations."""

from tests.planning.scenarios.scenario import (
    BASE,
    ENRICH,
    TYPES,
    Scenario,
    builder,
    db,
    elsewhere,
    in_place,
    other_console,
    scenario,
    sync,
    with_,
)
from tests.support import STAGING


@scenario
def an_older_target_knows_fewer_types() -> Scenario:
    before = with_(
        BASE, misc=[{"id": "misc-1", "name": "M", "value": "web-1=k"}], profile_builder=[builder("pb-1", "pf-1", "db-1")],
        notification=[{"id": "ops-1", "name": "Ops"}],
    )  # fmt: skip
    types = ("stream", "destination", "function", "service", "link", "profile-builder")
    live = {"types": types, "not_offered": ("sync-cursor",)}
    before["link"] = [*before["link"], sync("y1", "crm-1", "db-1")]
    stranger = {"id": "old", "name": "Old"}
    return other_console(
        before, {"stream": [stranger]}, of_live=live, of_snapshot={"cursors": {"y1": {"users": "1"}}}, schemas={},
        allow_missing_secrets=True,
    )  # fmt: skip


@scenario
def a_type_that_the_table_lacks_is_carried_and_what_it_names_follows() -> Scenario:
    model = {
        "id": "model-1", "name": "web-1", "to": "db-1", "deep": [{"fn": "udf.enrich", "sql": "from db-1, db-1 and web-1"}, "enrich", 5], "zz": "from db-1",
    }  # fmt: skip
    types = {"types": (*TYPES, "gadget"), "generic": ("gadget",)}
    return elsewhere(
        with_(BASE, gadget=[model]), {}, of_live=types, of_snapshot=types, allow_missing_secrets=True
    )


@scenario
def texts_that_name_what_gets_another_id_are_told() -> Scenario:
    code = f"call('db-1', \"web-1\", {STAGING}, x, db-1)"
    before = with_(
        BASE, function=[{**ENRICH, "code": code}, {"id": "x", "name": "Short", "code": "enrich"}],
        profile_builder=[builder("pb-1", "pf-1", "db-1", "web-1 in a builder")],
        misc=[{"id": "misc-1", "name": "M", "value": "web-1=enrich", "note": "db-1"}],
    )  # fmt: skip
    return elsewhere(before, {}, allow_missing_secrets=True)


@scenario
def texts_in_place_name_only_what_was_made_anew() -> Scenario:
    before = with_(BASE, function=[{**ENRICH, "code": f"db-1 web-1 {STAGING}"}])
    return in_place(before, with_(before, destination=[], link=[]))


@scenario
def what_the_console_would_refuse_is_blocked() -> Scenario:
    rows = [
        db("bad-1", password="p", port="many", mode="c", kind="z", deep={"other": 3}, list={}, name=5),
        db("bad-2", password="p", token=5, port=99),
        {**db("bad-3", password="p"), "destinationType": "oracle"},
        {k: v for k, v in db("bad-4").items() if k != "password"},
        db("good", password="p", host="2026-01-01T00:00:00Z", closed={"in": "x", "out": "y"}, strange=1),
    ]
    functions = [
        {"id": "f1", "name": "2026-01-01T00:00:00Z", "code": "2026-01-01T00:00:00.123-05:00", "since": "2026-01-01T00:00:00Z"},
        {"id": "f2", "name": "2026-01-01", "code": "2026-01-01T00:00:00"},
    ]  # fmt: skip
    return elsewhere({"destination": rows, "function": functions}, {})


@scenario
def an_update_is_blocked_only_for_what_it_sends() -> Scenario:
    before = [
        db("db-1", host="then", mode="bad"),
        db("db-2", mode="bad", host="then"),
        db("db-3", deep={"must": "m", "more": "bad"}),
    ]
    live = [
        db("db-1", host="now", mode="bad"),
        db("db-2", mode="a", host="then"),
        db("db-3", deep={"must": "x", "more": 1}),
    ]
    return in_place({"destination": before}, {"destination": live})


@scenario
def unchecked_when_the_operator_says_so() -> Scenario:
    return elsewhere({"destination": [db("db-1", password="p", port="many")]}, {}, check_schemas=False)
