"""Scenarios: connections and syncs."""

from typing import Any

from tests.planning.scenarios.scenario import (
    BASE,
    CRM,
    DB,
    ENRICH,
    WEB,
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
def links_lack_ends_functions_and_permission() -> Scenario:
    links = [
        link("l1", "web-1", "db-1", {"functions": [{"functionId": "udf.enrich"}, {"functionId": "udf.gone"}, {"functionId": "udf.pf-1"}]}),
        link("l2", "web-1", "gone"), link("l3", "gone", "db-1"), link("l4", "web-1", "blocked"), link("l5", "left-out", "db-1"),
        link("l6", "web-1", "unknown"),
    ]  # fmt: skip
    before = with_(
        BASE, link=links, stream=[WEB, {"id": "left-out", "name": "Left out"}], destination=[{**DB, "password": "p"}, db("blocked")],
        profile_builder=[builder("pb-1", "pf-1", "db-1")], function=[ENRICH, {"id": "pf-1", "name": "P", "kind": "profile"}],
    )  # fmt: skip
    before["gadget"] = [{"id": "unknown", "name": "Unknown"}]
    links[5]["toId"], links[5]["fromId"] = "db-1", "unknown"
    return elsewhere(before, {}, skip=("stream/left-out", "function/enrich"))


@scenario
def links_are_paired_by_content_and_cursors() -> Scenario:
    one, two, three = (
        {"schedule": "1", "streams": {"a": {}}},
        {"schedule": "2", "streams": {"b": {}}},
        {"schedule": "3"},
    )
    before = with_(BASE, link=[
        sync("y1", "crm-1", "db-1", one, createdAt="2026-01-03"), sync("y2", "crm-1", "db-1", one, createdAt="2026-01-02"),
        sync("y3", "crm-1", "db-1", two, createdAt="2026-01-01"), sync("y4", "crm-1", "db-1", three),
    ])  # fmt: skip
    s, d = here("service", "crm-1"), here("destination", "db-1")
    live = {
        "service": [{**CRM, "id": s}], "destination": [{**DB, "id": d}],
        "link": [
            sync("x1", s, d, one, createdAt="2026-02-02"), sync("x2", s, d, one, createdAt="2026-02-01"),
            sync("x3", s, d, {**two, "schedule": "9"}), sync("x4", s, d, {"schedule": "3", "disabled": True}), sync("x5", s, d, {"other": 1}),
        ],
    }  # fmt: skip
    return elsewhere(
        before, live, prune=True, of_snapshot={"cursors": {"y1": {"a": '{"n": 1}'}, "y3": {"b": "{}", "c": "[1]"}}},
        of_live={"cursors": {"x2": {"a": "1"}, "x3": {"b": "2"}}},
    )  # fmt: skip


@scenario
def cursors_are_not_carried_when_asked_or_where_the_overlay_moves_an_end() -> Scenario:
    before = with_(
        BASE,
        destination=[DB, db("db-2")],
        link=[
            sync("y1", "crm-1", "db-1"),
            sync("y2", "crm-1", "db-2"),
            sync("y3", "crm-1", "db-2", {"schedule": "x"}),
        ],
    )
    rules = {"destination/db-1": {"host": "moved"}, "destination/db-2": {"name": "Renamed"}}
    cursors = {
        "cursors": {
            "y1": {"a": "1"},
            "y2": {"a": "1", "z": "{}"},
            "y3": {"a": "1", "bad": "{no json", "also": "", "z": "2"},
        }
    }
    return elsewhere(before, {}, overlay=overlay(rules), of_snapshot=cursors, allow_missing_secrets=True)


@scenario
def cursors_stay_behind_when_asked() -> Scenario:
    before = with_(BASE, link=[sync("y1", "crm-1", "db-1")])
    return elsewhere(
        before, {}, of_snapshot={"cursors": {"y1": {"a": "1"}}}, cursors=False, allow_missing_secrets=True
    )


@scenario
def a_sync_that_another_run_made_gets_the_cursors_that_it_lacks() -> Scenario:
    s, d = here("service", "crm-1"), here("destination", "db-1")
    live = {
        "service": [{**CRM, "id": s}],
        "destination": [{**DB, "id": d}],
        "link": [sync("x1", s, d, {"schedule": "1"})],
    }
    before = with_(BASE, link=[sync("y1", "crm-1", "db-1", {"schedule": "1"})])
    return elsewhere(
        before,
        live,
        of_snapshot={"cursors": {"y1": {"a": "1", "b": "2"}}},
        of_live={"cursors": {"x1": {"b": "9"}}},
    )


@scenario
def links_are_switched_off_but_for_those_the_target_has() -> Scenario:
    s, c, d, d2 = (
        here("stream", "web-1"),
        here("service", "crm-1"),
        here("destination", "db-1"),
        here("destination", "db-2"),
    )
    before = with_(BASE, destination=[DB, db("db-2"), db("db-3")], link=[
        link("l1", "web-1", "db-1", {"mode": "batch"}), link("l2", "web-1", "db-2"), link("l3", "web-1", "db-3"),
        sync("y1", "crm-1", "db-1", {"schedule": "1", "n": 1}), sync("y2", "crm-1", "db-2", {"schedule": "2"}), sync("y3", "crm-1", "db-3", {"schedule": "3"}),
    ])  # fmt: skip
    live = {
        "stream": [{**WEB, "id": s}], "service": [{**CRM, "id": c}], "destination": [{**DB, "id": d}, {**db("db-2"), "id": d2}],
        "link": [
            link("x1", s, d, {"mode": "batch", "disabled": False}), link("x2", s, d2),
            sync("z1", c, d, {"schedule": "9", "n": 2}), sync("z2", c, d2, {}),
        ],
    }  # fmt: skip
    return elsewhere(before, live, disable_links=True, allow_missing_secrets=True)


@scenario
def links_made_again_stay_switched_as_they_were() -> Scenario:
    before = with_(
        BASE,
        link=[link("l1", "web-1", "db-1", {"mode": "batch"})],
        destination=[db("db-1", host="then", mode="a")],
    )
    gone = own("destination", "db-1")
    live = with_(before, destination=[db("db-1", host="then"), {**db("db-1", host="then", mode="a"), "id": gone}],
                 link=[link("l1", "web-1", "db-1", {"mode": "stream", "disabled": False})])  # fmt: skip
    return in_place(before, live, disable_links=True, prune=True)


@scenario
def the_targets_own_environment_is_kept() -> Scenario:
    s, d, d2 = here("stream", "web-1"), here("destination", "db-1"), here("destination", "db-2")
    env = {"A": "staging", "B": "staging", "C": "staging"}
    before = with_(
        BASE,
        destination=[DB, db("db-2")],
        link=[link("l1", "web-1", "db-1", {"functionsEnv": env}), link("l2", "web-1", "db-2")],
    )
    live = {
        "stream": [{**WEB, "id": s}], "destination": [{**DB, "id": d}, {**db("db-2"), "id": d2}],
        "link": [link("x1", s, d, {"functionsEnv": {"A": "prod", "B": "prod", "D": "prod"}}), link("x2", s, d2, {"functionsEnv": {"A": "prod"}})],
    }  # fmt: skip
    rules = {"link/Web -> Db-1": {"data": {"functionsEnv": {"B": "given"}}}}
    return elsewhere(before, live, overlay=overlay(rules, "given"), allow_missing_secrets=True)


@scenario
def classic_keys_of_the_target_stay_and_new_lines_are_added() -> Scenario:
    s = here("stream", "web-1")
    before = {"stream": [WEB, {"id": "app-1", "name": "App"}], "misc": [
        {"id": "m1", "name": "Lines", "value": "web-1=js.a\n\napp-1 = js.b\n# two words\nother"}, {"id": "m2", "name": "None there", "value": "web-1=js.a"},
        {"id": "m3", "name": "No text", "value": 7},
    ]}  # fmt: skip
    live = {"stream": [{**WEB, "id": s}], "misc": [
        {"id": here("misc", "m1"), "name": "Lines", "value": f"# mine\n{s} = js.own"}, {"id": here("misc", "m2"), "name": "None there", "value": "nothing"},
        {"id": here("misc", "m3"), "name": "No text", "value": f"{s}=js.own"},
    ]}  # fmt: skip
    return elsewhere(before, live, schemas={})


@scenario
def a_link_whose_functions_are_on_neither_side_is_blocked() -> Scenario:
    data = {
        "functions": [{"functionId": "udf.nowhere"}, {"functionId": "udf.also", "functionOptions": {"a": 1}}]
    }
    return in_place(with_(BASE, link=[link("l1", "web-1", "db-1", data)]), BASE)


@scenario
def a_link_that_lacks_its_function_already_is_written_as_it_was() -> Scenario:
    runs = {"functions": [{"functionId": "udf.gone"}]}
    before = with_(BASE, link=[link("l1", "web-1", "db-1", {**runs, "mode": "batch"})])
    return in_place(before, with_(BASE, link=[link("l1", "web-1", "db-1", runs)]))


@scenario
def a_link_whose_function_only_the_target_has_is_made() -> Scenario:
    before = with_(BASE, link=[link("l1", "web-1", "db-1", {"functions": [{"functionId": "udf.there"}]})])
    there = {"function": [{"id": "there", "name": "There", "code": "x"}]}
    return other_console(before, there, allow_missing_secrets=True)


@scenario
def a_link_is_blocked_where_its_function_is_left_out() -> Scenario:
    return elsewhere(BASE, {}, skip=("function/enrich",), allow_missing_secrets=True)


@scenario
def links_without_a_type_are_connections() -> Scenario:
    bare = {"id": "l1", "fromId": "web-1", "toId": "db-1", "data": {"mode": "batch"}}
    live = with_(BASE, link=[link("x1", "web-1", "db-1", {"mode": "batch"}), sync("x2", "web-1", "db-1")])
    return in_place(with_(BASE, link=[bare]), live, prune=True)


@scenario
def an_end_must_be_of_the_right_type() -> Scenario:
    links = [
        link("l1", "web-1", "web-1"),
        link("l2", "db-1", "db-1", {"functions": [{"functionId": "udf.web-1"}, {"functionId": "enrich"}]}),
    ]
    return elsewhere(with_(BASE, link=links), {}, allow_missing_secrets=True)


@scenario
def unlike_syncs_are_paired_by_their_cursors() -> Scenario:
    before = with_(BASE, link=[sync("y1", "crm-1", "db-1", {"n": 1}), sync("y2", "crm-1", "db-1", {"n": 2})])
    live = with_(BASE, link=[sync("x1", "crm-1", "db-1", {"n": 3}), sync("x2", "crm-1", "db-1", {"n": 4})])
    return in_place(
        before,
        live,
        of_snapshot={"cursors": {"y1": {"b": "1", "c": "1"}, "y2": {"a": "1"}}},
        of_live={"cursors": {"x1": {"b": "1", "c": "2"}, "x2": {"a": "2"}}},
    )


@scenario
def syncs_switched_off_are_paired_whatever_the_schedule_that_each_has() -> Scenario:
    s, d = here("service", "crm-1"), here("destination", "db-1")
    before = with_(
        BASE,
        link=[
            sync("y1", "crm-1", "db-1", {"schedule": "1", "n": 1}),
            sync("y2", "crm-1", "db-1", {"schedule": "2", "n": 2}),
        ],
    )
    live = {
        "service": [{**CRM, "id": s}],
        "destination": [{**DB, "id": d}],
        "link": [
            sync("x1", s, d, {"schedule": "7", "n": 2}),
            sync("x2", s, d, {"n": 1, "schedule": "8", "m": 1}),
        ],
    }
    return elsewhere(before, live, disable_links=True)


@scenario
def an_overlay_that_moves_a_source_leaves_its_cursors_behind_and_gives_a_link_options() -> Scenario:
    before = with_(BASE, link=[sync("y1", "crm-1", "db-1"), {"id": "l1", "fromId": "web-1", "toId": "db-1"}])
    rules = {"service/CRM": {"credentials.host": "moved"}, "link/l1": {"data": {"mode": "batch"}}}
    cursors = {"cursors": {"y1": {"a": "1"}}}
    return elsewhere(before, {}, overlay=overlay(rules), of_snapshot=cursors, allow_missing_secrets=True)


@scenario
def the_targets_own_environment_stands_beside_other_options() -> Scenario:
    s, d = here("stream", "web-1"), here("destination", "db-1")
    ends = {"stream": [{**WEB, "id": s}], "destination": [{**DB, "id": d}]}
    data = {"mode": "batch", "functionsEnv": {"A": "staging"}}
    theirs = {"mode": "stream", "functionsEnv": {"A": "production"}}
    return elsewhere(
        with_(BASE, link=[link("l1", "web-1", "db-1", data)]), {**ends, "link": [link("x1", s, d, theirs)]}
    )


@scenario
def an_environment_that_is_none_is_replaced() -> Scenario:
    s, ids = here("stream", "web-1"), [here("destination", f"db-{n}") for n in range(3)]
    mine: list[Any] = [{"A": "1"}, "odd", {"A": "1"}]
    theirs: list[Any] = ["odd", {"A": "2"}, {}]
    before = with_(
        BASE,
        destination=[db(f"db-{n}") for n in range(3)],
        link=[link(f"l{n}", "web-1", f"db-{n}", {"functionsEnv": env}) for n, env in enumerate(mine)],
    )
    live = {
        "stream": [{**WEB, "id": s}],
        "destination": [{**db(f"db-{n}"), "id": one} for n, one in enumerate(ids)],
        "link": [link(f"x{n}", s, ids[n], {"functionsEnv": env}) for n, env in enumerate(theirs)],
    }
    return elsewhere(before, live)


@scenario
def a_sync_that_an_overlay_moves_begins_without_cursors() -> Scenario:
    two = with_(BASE, destination=[DB, db("db-2")], link=[sync("y1", "crm-1", "db-1")])
    moved = overlay({"link/y1": {"toId": "db-2"}})
    cursors = {"cursors": {"y1": {"a": "1"}}}
    return elsewhere(two, {}, of_snapshot=cursors, overlay=moved, allow_missing_secrets=True)


@scenario
def a_sync_to_jitsus_own_warehouse_of_another_workspace_begins_without_cursors() -> Scenario:
    given = {"id": "p-1", "name": "P", "provisioned": True, "destinationType": "clickhouse"}
    before = {"service": [CRM], "destination": [given], "link": [sync("y1", "crm-1", "p-1")]}
    live = {"destination": [{**given, "id": "p-2"}]}
    cursors = {"cursors": {"y1": {"a": "1"}}}
    return elsewhere(before, live, of_snapshot=cursors, allow_missing_secrets=True)


@scenario
def a_sync_of_a_service_with_secrets_of_its_own_begins_without_cursors() -> Scenario:
    service = {"id": "crm-1", "name": "CRM", "package": "a/b", "credentials": {"connection_string": "a"}}
    theirs = {**service, "id": here("service", "crm-1"), "credentials": {"connection_string": "b"}}
    before = {"service": [service], "destination": [DB], "link": [sync("y1", "crm-1", "db-1")]}
    live = {"service": [theirs], "destination": [{**DB, "id": here("destination", "db-1")}]}
    return elsewhere(before, live, of_snapshot={"cursors": {"y1": {"a": "1"}}})


@scenario
def two_connections_that_an_overlay_gives_the_same_ends_are_blocked() -> Scenario:
    two = with_(
        BASE,
        destination=[DB, db("db-2")],
        link=[link("l1", "web-1", "db-1"), link("l2", "web-1", "db-2", {"mode": "x"})],
    )
    return elsewhere(two, {}, overlay=overlay({"link/l2": {"toId": "db-1"}}), allow_missing_secrets=True)


@scenario
def of_two_connections_with_the_same_ends_one_is_made() -> Scenario:
    two = with_(BASE, link=[link("l1", "web-1", "db-1"), link("l2", "web-1", "db-1", {"mode": "x"})])
    return elsewhere(two, {}, allow_missing_secrets=True)


@scenario
def a_connection_without_data_takes_away_what_the_target_has() -> Scenario:
    before = with_(
        BASE,
        link=[link("l1", "web-1", "db-1"), link("l2", "web-2", "db-1", {})],
        stream=[WEB, {**WEB, "id": "web-2"}],
    )
    live = with_(
        before, link=[link("l1", "web-1", "db-1", {"disabled": True}), link("l2", "web-2", "db-1", None)]
    )
    return in_place(before, live)
