"""Scenarios: fields, defaults and losses of objects."""

from typing import Any

from jitsu_backup.model import MASK, Key
from tests.planning.scenarios.scenario import (
    BASE,
    CRM,
    DB,
    ENRICH,
    NARROW,
    SCHEMAS,
    TEXT,
    WEB,
    WIDE,
    Scenario,
    builder,
    db,
    elsewhere,
    here,
    in_place,
    link,
    overlay,
    own,
    recreate,
    scenario,
    sync,
    with_,
)


@scenario
def names_are_compared_only_among_what_is_not_paired() -> Scenario:
    before = {
        "function": [{"id": "f1", "name": "Same"}, {"id": "f2", "name": "Same"}, {"id": "f3", "name": "Two"}]
    }
    live = {
        "function": [
            {"id": here("function", "f1"), "name": "Same"},
            {"id": "mine", "name": "Same"},
            {"id": "g1", "name": "Two"},
            {"id": "g2", "name": "Two"},
        ]
    }
    return elsewhere(before, live, match_by_name=True)


@scenario
def classic_keys_that_an_overlay_gives_or_that_are_no_text() -> Scenario:
    s = here("stream", "web-1")
    values: dict[str, tuple[Any, Any]] = {
        "given": ("web-1=js.a", f"{s}=js.own"),
        "none": ("web-1=js.a", None),
        "equals": ("app-1=a=b\nweb-1=c=d", f"{s}=x=y\n# last"),
    }
    before = [{"id": one, "name": one, "value": mine} for one, (mine, _) in values.items()]
    live = [{"id": here("misc", one), "name": one, "value": theirs} for one, (_, theirs) in values.items()]
    lists = {"stream": [WEB, {"id": "app-1", "name": "App"}], "misc": before}
    rules = {"misc/given": {"value": "web-1=js.given"}}
    return elsewhere(lists, {"stream": [{**WEB, "id": s}], "misc": live}, overlay=overlay(rules), schemas={})


@scenario
def a_domain_in_use_elsewhere_is_left_out_of_a_stream_without_any() -> Scenario:
    live = {"id": here("stream", "web-1"), "name": "Web"}
    before = {**WEB, "domains": ["used.example", "free.example"]}
    return elsewhere(
        {"stream": [before]}, {"stream": [live]}, domains_elsewhere={"used.example": "acme-staging"}
    )


@scenario
def a_domain_under_a_wildcard_of_another_workspace_is_left_out() -> Scenario:
    under = [
        "a.track.example",
        "b.a.track.example",
        "*.c.track.example",
        "Track.example",
        "x.track.example.com",
    ]
    return elsewhere(
        {"stream": [{**WEB, "domains": under}]}, {}, domains_elsewhere={"*.track.example": "acme-staging"}
    )


@scenario
def only_the_first_of_several_functions_of_a_builder_is_written() -> Scenario:
    pb = builder("pb-1", "pf-1", "db-1")
    for n in (2,):
        pb["functions"].append({"functionId": f"pf-{n}", "function": {"config": {"code": f"code {n}"}}})
    pb["functions"].append({"functionId": "pf-4", "function": {"config": {}}})
    given = overlay({"profile-builder/*": {"code": "given"}})
    return elsewhere(with_(BASE, profile_builder=[pb]), {}, overlay=given, allow_missing_secrets=True)


@scenario
def programs_that_differ_only_in_their_line_ends() -> Scenario:
    before = {
        "function": [
            {"id": f"f{n}", "code": code} for n, code in enumerate(["a\r\nb", "a\n\n", "\na", "x a", "a"])
        ]
    }
    live = {
        "function": [
            {"id": f"f{n}", "code": code} for n, code in enumerate(["a\nb", "a", "a", "x a\nX", "a "])
        ]
    }
    return in_place(before, live)


@scenario
def an_entity_that_has_used_up_its_ids_gets_the_last_one_again() -> Scenario:
    data = {"functions": [{"functionId": f"udf.{here('function', 'enrich', n)}"} for n in range(16)]}
    return elsewhere({"function": [ENRICH]}, {"link": [link("x1", "web-1", "db-1", data)]})


@scenario
def the_archives_secrets_do_not_replace_hidden_ones_elsewhere() -> Scenario:
    d = here("destination", "db-1")
    secrets = {Key("destination", "db-1"): {"password": "pw", "deep.token": "tk"}}
    before = db("db-1", host="then", deep={"must": "then", "token": MASK})
    live = {**db("db-1", host="now", deep={"must": "now", "token": MASK}), "id": d}
    return elsewhere(
        {"destination": [before]},
        {"destination": [live]},
        of_snapshot={"secrets": secrets},
        same_console=False,
        resend_secrets=True,
    )


@scenario
def items_of_lists_are_replaced_with_their_list() -> Scenario:
    before = [db("db-1", list=[{"a": 1}, 2]), db("db-2", deep={"must": "m", "more": 1, "free": "x"})]
    live = [db("db-1", list=[{"a": 1, "b": 2}, 2]), db("db-2", deep={"must": "m", "more": 2, "free": "y"})]
    return in_place({"destination": before}, {"destination": live})


@scenario
def every_loss_of_a_stream_is_told() -> Scenario:
    live = {
        "id": here("stream", "web-1"),
        "name": "Web",
        "publicKeys": [{"id": "js.mine"}],
        "privateKeys": [{"id": "s.mine"}],
    }
    before = {**WEB, "domains": ["used.example"], "publicKeys": []}
    return elsewhere(
        {"stream": [before]},
        {"stream": [live]},
        prune=True,
        domains_elsewhere={"used.example": "acme-staging"},
    )


@scenario
def a_secret_and_several_of_a_deleted_one_are_revived() -> Scenario:
    return in_place({"destination": [db("db-1", token=MASK, deep={"must": MASK})]}, {})


@scenario
def a_sync_never_stands_for_a_connection() -> Scenario:
    data = {"n": 1}
    before = with_(BASE, link=[{"id": "l1", "fromId": "crm-1", "toId": "db-1", "data": data}])
    return in_place(before, with_(BASE, link=[sync("x1", "crm-1", "db-1", data)]), prune=True)


@scenario
def secrets_in_clear_that_the_console_hides_now() -> Scenario:
    before = db("db-1", password="in-clear", deep={"must": "then", "token": "in-clear"}, host="h")
    live = db("db-1", password=MASK, deep={"must": "now", "token": MASK}, host="h")
    return in_place({"destination": [before]}, {"destination": [live]}, resend_secrets=True)


@scenario
def a_secret_that_the_target_has_emptied_comes_from_the_snapshot() -> Scenario:
    live = {**db("db-1", apiKey="", headers=[]), "id": here("destination", "db-1")}
    return elsewhere(
        {"destination": [db("db-1", apiKey="staging", headers=["A: staging"])]}, {"destination": [live]}
    )


@scenario
def recreate_spares_what_a_link_outside_the_restore_uses() -> Scenario:
    return recreate(skip=("link/l1",))


@scenario
def recreate_leaves_a_sync_that_is_there_twice() -> Scenario:
    one = sync("y1", "crm-1", "db-1", {"n": 1})
    live = with_(BASE, link=[one, {**one, "id": "y2"}])
    return in_place(with_(BASE, link=[one]), live, recreate=True)


@scenario
def a_recreate_stopped_half_way_takes_away_one_for_one() -> Scenario:
    new, one = own("destination", "db-1"), {"schedule": "1"}
    syncs = [
        sync("y1", "crm-1", "db-1", one),
        sync("y2", "crm-1", "db-1", one),
        sync("z1", "crm-1", new, one),
    ]
    live = with_(BASE, destination=[WIDE, {**NARROW, "id": new}], link=syncs)
    return in_place(with_(BASE, destination=[NARROW], link=syncs[:1]), live, recreate=True)


@scenario
def a_recreate_stopped_half_way_prefers_what_has_the_new_end() -> Scenario:
    new = own("destination", "db-1")
    syncs = [
        sync("y1", "crm-1", "db-1", {"n": 1, "m": 1}),
        sync("z1", "crm-1", new, {"n": 2, "o": 1, "p": 1}),
    ]
    live = with_(BASE, destination=[WIDE, {**NARROW, "id": new}], link=syncs)
    before = with_(BASE, destination=[NARROW], link=[sync("y1", "crm-1", "db-1", {"n": 1})])
    return in_place(before, live, recreate=True)


@scenario
def syncs_switched_off_are_alike_whatever_their_schedules_and_cursors() -> Scenario:
    s, d = here("service", "crm-1"), here("destination", "db-1")
    one, two = {"schedule": "7", "n": 1}, {"schedule": "8", "n": 2}
    before = with_(BASE, link=[sync("y1", "crm-1", "db-1", one), sync("y2", "crm-1", "db-1", two)])
    live = {
        "service": [{**CRM, "id": s}],
        "destination": [{**DB, "id": d}],
        "link": [sync("x1", s, d, {**one, "schedule": "8"}), sync("x2", s, d, {**two, "schedule": "7"})],
    }
    cursors = {"of_snapshot": {"cursors": {"y1": {"a": "1"}}}, "of_live": {"cursors": {"x2": {"a": "1"}}}}
    return elsewhere(before, live, disable_links=True, **cursors)


@scenario
def one_side_provisioned_is_enough_to_leave_it_alone() -> Scenario:
    before = [
        db("db-1", host="then", provisioned=True),
        db("db-2", host="then"),
        db("db-3", provisioned=False),
    ]
    live = [db("db-1", host="now"), db("db-2", host="now", provisioned=True), db("db-3", provisioned=False)]
    return in_place({"destination": before}, {"destination": live})


@scenario
def several_recreates_stopped_half_way_are_all_finished() -> Scenario:
    rows = [{**NARROW, "id": own("destination", "db-1", n)} for n in (0, 1)]
    other = db("db-2", host="h")
    live = with_(
        BASE,
        destination=[WIDE, *rows, {**other, "mode": "a"}, {**other, "id": own("destination", "db-2")}],
        link=[],
    )
    return in_place(with_(BASE, destination=[NARROW, other], link=[]), live, recreate=True)


@scenario
def equal_syncs_are_paired_in_the_order_in_which_they_were_made() -> Scenario:
    s, d, one = here("service", "crm-1"), here("destination", "db-1"), {"n": 1}
    before = with_(
        BASE, link=[sync(f"y{n}", "crm-1", "db-1", one, createdAt=f"2026-01-0{9 - n}") for n in (1, 2)]
    )
    links = [sync(f"x{n}", s, d, one, createdAt=f"2026-02-0{n}") for n in (1, 2)]
    return elsewhere(before, {"service": [{**CRM, "id": s}], "destination": [{**DB, "id": d}], "link": links})


@scenario
def null_is_no_value_and_is_sent_only_where_the_schema_takes_it() -> Scenario:
    then, now = {**CRM, "credentials": {"a": None, "b": None}}, {**CRM, "credentials": {"a": 1, "n": None}}
    return in_place(
        {"service": [then], "destination": [db("db-1", host=None)]},
        {"service": [now], "destination": [db("db-1", host="h")]},
    )


@scenario
def what_a_builder_lacked_cannot_be_taken_from_it() -> Scenario:
    then = builder("pb-1", "pf-1", "db-1")
    del then["destinationId"]
    return in_place(
        with_(BASE, profile_builder=[then]), with_(BASE, profile_builder=[builder("pb-1", "pf-1", "db-1")])
    )


@scenario
def a_builders_unpublished_code_comes_back() -> Scenario:
    def pb(one: str, **config: str) -> dict[str, Any]:
        return builder(one, f"pf-{one}", "db-1", **config.pop("more", {}), config=config)  # type: ignore[arg-type]

    then = [
        pb("a", draft="work"),
        pb("b", draft="code"),
        pb("c", draft="only", code=None),
        pb("d", code="old"),
    ]
    now = [
        pb("a", draft="other"),
        pb("b", draft="theirs"),
        pb("c", draft="done", code="done"),
        pb("d", code="new", draft="new"),
    ]
    return in_place(with_(BASE, profile_builder=then), with_(BASE, profile_builder=now))


@scenario
def one_of_another_kind_loses_what_only_the_old_kind_had() -> Scenario:
    then = {"id": "db-1", "name": "Db-1", "destinationType": "hook", "url": "https://h"}
    now = db("db-1", password="p", host="h", ssl="on")
    hook = {
        "type": "object",
        "properties": {"name": TEXT, "destinationType": TEXT, "url": TEXT},
        "additionalProperties": False,
    }
    return in_place(
        {"destination": [then]}, {"destination": [now]}, schemas={**SCHEMAS, "destination/hook": hook}
    )
