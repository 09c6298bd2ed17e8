"""Scenarios: what is taken away, and what is made anew."""

from jitsu_backup.model import MASK
from tests.planning.scenarios.scenario import (
    BASE,
    CRM,
    DB,
    ENRICH,
    EXTRA,
    NARROW,
    RUNS,
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
def prune_takes_what_only_the_target_has_but_nothing_provisioned_or_unknown() -> Scenario:
    return in_place(BASE, EXTRA, prune=True, skip=("profile-builder/kept-pb",))


@scenario
def without_prune_what_only_the_target_has_stays() -> Scenario:
    return in_place(BASE, EXTRA)


@scenario
def prune_on_an_older_console_spares_links_of_equal_ends() -> Scenario:
    before = with_(BASE, link=[sync("y1", "crm-1", "db-1", {"schedule": "1"})])
    live = with_(BASE, link=[
        sync("y1", "crm-1", "db-1", {"schedule": "1"}), sync("y2", "crm-1", "db-1", {"schedule": "2"}),
        link("l5", "web-1", "db-1"),
    ])  # fmt: skip
    return in_place(before, live, prune=True, schemas={})


@scenario
def prune_on_an_older_console_takes_links_that_all_go() -> Scenario:
    live = with_(
        BASE,
        link=[sync("y1", "crm-1", "db-1", {"schedule": "1"}), sync("y2", "crm-1", "db-1", {"schedule": "2"})],
    )
    return in_place(with_(BASE, link=[]), live, prune=True, schemas={})


@scenario
def prune_is_blocked_where_a_link_of_the_snapshot_names_what_it_would_take() -> Scenario:
    names = with_(BASE, link=[link("l1", "web-1", "db-1", {"functions": [{"functionId": "udf.ghost"}]})])
    live = with_(names, function=[ENRICH, {"id": "ghost", "name": "Ghost"}])
    return in_place(names, live, prune=True)


@scenario
def prune_is_blocked_where_a_link_that_only_the_target_has_would_stay_without_its_end() -> Scenario:
    live = with_(BASE, destination=[DB, db("old-2")], link=[*BASE["link"], link("old-l", "web-1", "old-2")])
    return in_place(BASE, live, prune=True, only=("destination",))


@scenario
def prune_is_blocked_where_a_link_that_is_left_out_still_runs_what_it_would_take() -> Scenario:
    live = with_(BASE, function=[ENRICH, {"id": "new", "name": "New"}],
                 link=[link("l1", "web-1", "db-1", {"functions": [{"functionId": "udf.new"}]})])  # fmt: skip
    return in_place(BASE, live, prune=True, only=("function",))


@scenario
def prune_takes_a_function_that_its_link_runs_no_more() -> Scenario:
    live = with_(BASE, function=[ENRICH, {"id": "new", "name": "New"}],
                 link=[link("l1", "web-1", "db-1", {"functions": [{"functionId": "udf.new"}]})])  # fmt: skip
    return in_place(BASE, live, prune=True)


@scenario
def recreate_makes_anew_what_an_update_cannot_reach_and_moves_its_links() -> Scenario:
    links = [link("l1", "web-1", "db-1", RUNS), sync("y1", "crm-1", "db-1", {"schedule": "1"})]
    return recreate(
        before={"link": links},
        live={"link": links},
        of_live={"cursors": {"y1": {"a": "5"}}},
        of_snapshot={"cursors": {"y1": {"a": "1"}}},
    )


@scenario
def recreate_is_not_done_unasked() -> Scenario:
    return recreate(recreate=False)


@scenario
def recreate_spares_what_a_link_that_the_snapshot_lacks_uses() -> Scenario:
    app = {"id": "app-1", "name": "App", "domains": []}
    return recreate(live={"stream": [WEB, app], "link": [*BASE["link"], link("l7", "app-1", "db-1")]})


@scenario
def recreate_under_prune_takes_such_a_link_away() -> Scenario:
    app = {"id": "app-1", "name": "App", "domains": []}
    return recreate(
        live={"stream": [WEB, app], "link": [*BASE["link"], link("l7", "app-1", "db-1")]}, prune=True
    )


@scenario
def recreate_under_prune_spares_such_a_link_that_is_skipped() -> Scenario:
    app = {"id": "app-1", "name": "App", "domains": []}
    live = {"stream": [WEB, app], "link": [*BASE["link"], link("l7", "app-1", "db-1")]}
    return recreate(live=live, prune=True, skip=("link/App -> *",))


@scenario
def recreate_spares_what_something_outside_the_restore_uses() -> Scenario:
    pb = [builder("pb-1", "pf-1", "db-1")]
    return recreate(before={"profile_builder": pb}, live={"profile_builder": pb}, skip=("profile-builder",))


@scenario
def recreate_spares_what_a_builder_that_the_snapshot_lacks_uses() -> Scenario:
    return recreate(live={"profile_builder": [builder("pb-1", "pf-1", "db-1")]})


@scenario
def recreate_under_prune_takes_such_a_builder_away() -> Scenario:
    return recreate(live={"profile_builder": [builder("pb-1", "pf-1", "db-1")]}, prune=True)


@scenario
def recreate_moves_a_builder_that_uses_it() -> Scenario:
    pb = [builder("pb-1", "pf-1", "db-1")]
    return recreate(before={"profile_builder": pb}, live={"profile_builder": pb})


@scenario
def recreate_in_another_workspace_keeps_the_targets_secrets() -> Scenario:
    d = here("destination", "db-1")
    live = {
        "destination": [
            {
                **db("db-1", host="h", mode="a", apiKey="production", token=MASK, closed={"in": MASK}),
                "deep": {"must": "m", "password": MASK, "token": MASK},
                "id": d,
            }
        ]
    }
    rules = {"destination/db-1": {"deep.token": "given"}}
    before = db(
        "db-1",
        host="h",
        apiKey="staging",
        token="",
        deep={"must": "m", "password": "staging", "token": "staging"},
    )
    return elsewhere({"destination": [before]}, live, recreate=True, overlay=overlay(rules, "given"))


@scenario
def recreate_needs_the_secrets() -> Scenario:
    d = here("destination", "db-1")
    live = {"destination": [{**db("db-1", host="h", mode="a", password=""), "id": d}]}
    return elsewhere(
        {"destination": [db("db-1", host="h", list=[{"secret": MASK}])]},
        live,
        recreate=True,
        allow_missing_secrets=False,
    )


@scenario
def recreate_that_has_used_up_its_ids_leaves_the_old_one() -> Scenario:
    last = own("destination", "db-1", 15)
    live = with_(BASE, destination=[{**WIDE, "id": last}], link=[link("l1", "web-1", last, RUNS)])
    return in_place(with_(BASE, destination=[NARROW]), live, recreate=True)


@scenario
def recreate_makes_a_builder_anew_whose_function_is_gone() -> Scenario:
    pb = builder("pb-1", "pf-1", "db-1")
    gone = builder("pb-1", "pf-1", "db-1")
    gone["functions"][0]["function"]["deleted"] = True
    return in_place(with_(BASE, profile_builder=[pb]), with_(BASE, profile_builder=[gone]), recreate=True)


@scenario
def a_builder_whose_function_is_gone_is_told() -> Scenario:
    pb = builder("pb-1", "pf-1", "db-1", "then")
    pb["functions"].append({"functionId": "pf-2", "function": {"config": {"code": "second"}}})
    gone = builder("pb-1", "pf-1", "db-1", "now", version=7)
    gone["functions"][0]["function"]["deleted"] = True
    twice = builder("pb-2", "pf-3", "db-1", "then", version=2)
    given = overlay({"profile-builder/pb-2": {"code": "given"}})
    bare = {**builder("pb-3", "pf-4", "db-1"), "functions": None}
    live = [gone, builder("pb-2", "pf-3", "db-1", "then", version=3), bare]
    return in_place(
        with_(BASE, profile_builder=[pb, twice, bare]), with_(BASE, profile_builder=live), overlay=given
    )


HALF = with_(
    BASE, destination=[WIDE, {**NARROW, "id": own("destination", "db-1")}],
    link=[link("l1", "web-1", "db-1", RUNS), sync("y1", "crm-1", "db-1", {"schedule": "1"}),
          sync("y9", "crm-1", own("destination", "db-1"), {"schedule": "1"})],
)  # fmt: skip
HALF_BEFORE = with_(
    BASE,
    destination=[NARROW],
    link=[link("l1", "web-1", "db-1", RUNS), sync("y1", "crm-1", "db-1", {"schedule": "1"})],
)
HALF_CURSORS = {"of_live": {"cursors": {"y1": {"a": "5", "b": "[]"}, "y9": {"b": "1"}}}}


@scenario
def a_recreate_stopped_half_way_is_finished() -> Scenario:
    return in_place(HALF_BEFORE, HALF, recreate=True, **HALF_CURSORS)


@scenario
def a_recreate_stopped_half_way_is_told() -> Scenario:
    return in_place(HALF_BEFORE, HALF, **HALF_CURSORS)


@scenario
def a_recreate_stopped_half_way_is_finished_by_prune_but_not_what_is_skipped() -> Scenario:
    return in_place(HALF_BEFORE, HALF, prune=True, skip=("destination",), **HALF_CURSORS)


@scenario
def a_recreate_stopped_half_way_leaves_an_old_one_that_somebody_uses_since() -> Scenario:
    app = {"id": "app-1", "name": "App", "domains": []}
    live = with_(HALF, stream=[WEB, app], link=[*HALF["link"], link("l7", "app-1", "db-1")])
    return in_place(HALF_BEFORE, live, recreate=True, **HALF_CURSORS)


@scenario
def a_recreate_stopped_half_way_is_finished_by_prune_with_what_uses_the_old_one() -> Scenario:
    app = {"id": "app-1", "name": "App", "domains": []}
    live = with_(HALF, stream=[WEB, app], link=[*HALF["link"], link("l7", "app-1", "db-1")])
    return in_place(HALF_BEFORE, live, prune=True, **HALF_CURSORS)


@scenario
def recreate_that_is_not_safe_leaves_other_losses_as_they_are() -> Scenario:
    app = {"id": "app-1", "name": "App", "domains": []}
    live = {"stream": [WEB, app], "link": [*BASE["link"], link("l7", "app-1", "db-1")]}
    return recreate(before={"destination": [{**NARROW, "strange": 1}]}, live=live)


@scenario
def recreate_spares_a_service_that_a_sync_which_the_snapshot_lacks_reads() -> Scenario:
    wide = {**CRM, "credentials": {**CRM["credentials"], "more": 1}}
    live = with_(BASE, service=[wide], link=[*BASE["link"], sync("y1", "crm-1", "db-1")])
    return in_place(BASE, live, recreate=True)


@scenario
def recreate_does_not_mind_what_is_left_out_and_does_not_use_it() -> Scenario:
    return recreate(only=("destination", "link", "stream"))


@scenario
def recreate_under_prune_looks_at_all_that_use_it() -> Scenario:
    kept, extra = builder("pb-1", "pf-1", "db-1"), builder("a-pb", "pf-2", "db-1")
    both = {"profile_builder": [extra, kept]}
    return recreate(before={"profile_builder": [kept]}, live=both, prune=True, skip=("profile-builder/pb-1",))


@scenario
def recreate_of_a_builder_needs_its_secrets() -> Scenario:
    pb, gone = (
        builder("pb-1", "pf-1", "db-1", intermediateStorageCredentials={"mongoUrl": MASK}) for _ in range(2)
    )
    gone["functions"][0]["function"]["deleted"] = True
    return in_place(with_(BASE, profile_builder=[pb]), with_(BASE, profile_builder=[gone]), recreate=True)


@scenario
def a_recreate_stopped_half_way_with_several_syncs_is_finished() -> Scenario:
    new = own("destination", "db-1")
    one, two = {"schedule": "1"}, {"schedule": "2"}
    syncs = [
        sync("y1", "crm-1", "db-1", one),
        sync("y2", "crm-1", "db-1", two),
        sync("y3", "crm-1", "db-1", one),
    ]
    before = with_(BASE, destination=[NARROW], link=syncs)
    live = with_(
        BASE,
        destination=[WIDE, {**NARROW, "id": new}],
        link=[*syncs, sync("z1", "crm-1", new, one), sync("z2", "crm-1", new, {**two, "n": 1})],
    )
    return in_place(before, live, recreate=True, of_live={"cursors": {"y1": {"a": "1"}, "y2": {"b": "2"}}})


@scenario
def prune_takes_spare_syncs_of_several_pairs() -> Scenario:
    before = with_(
        BASE,
        destination=[DB, db("db-2")],
        link=[sync("y1", "crm-1", "db-1", {"n": 1}), sync("y2", "crm-1", "db-2", {"n": 1})],
    )
    spare = [sync("x1", "crm-1", "db-1", {"n": 2}), sync("x2", "crm-1", "db-2", {"n": 2})]
    return in_place(before, with_(before, link=[*before["link"], *spare]), prune=True)


@scenario
def connections_that_a_deletion_left_behind_are_named_by_either_end() -> Scenario:
    two = with_(
        BASE,
        stream=[WEB, {**WEB, "id": "web-2", "name": "Two"}],
        link=[link("l1", "web-1", "db-1"), link("l2", "web-2", "db-1")],
    )
    return in_place(two, with_(two, stream=[WEB]))


@scenario
def connections_that_somebody_made_between_what_lives_are_none_that_a_deletion_left_behind() -> Scenario:
    before = with_(BASE, destination=[DB, db("db-2")], link=[link("l1", "web-1", "db-1")])
    return in_place(before, with_(before, link=[link("l1", "web-1", "db-2")]))


@scenario
def prune_is_blocked_where_a_builder_of_the_snapshot_names_what_it_would_take() -> Scenario:
    names_it = {"connectionOptions": {"functions": [{"functionId": "udf.gone"}]}}
    before = with_(BASE, profile_builder=[builder("pb-1", "pf-1", "db-1", **names_it)])
    return in_place(
        before, with_(before, function=[ENRICH, {"id": "gone", "name": "Gone", "code": "x"}]), prune=True
    )


@scenario
def prune_is_blocked_where_a_mapping_that_stays_names_a_stream_that_it_would_take() -> Scenario:
    live = {
        "stream": [{"id": "strx", "name": "X"}],
        "misc": [{"id": "m", "name": "M", "value": "strx=js.old.key"}],
    }
    return elsewhere({}, live, prune=True, skip=("misc",))


@scenario
def prune_takes_a_stream_that_its_mapping_names_no_more() -> Scenario:
    x = {"id": "strx", "name": "X", "domains": []}
    then = {"stream": [WEB], "misc": [{"id": "m", "name": "M", "value": "web-1=js.one"}]}
    now = {"stream": [WEB, x], "misc": [{"id": "m", "name": "M", "value": "web-1=js.one\nstrx=js.two"}]}
    return in_place(then, now, prune=True)


@scenario
def prune_is_blocked_where_a_service_that_stays_runs_a_custom_image_that_it_would_take() -> Scenario:
    image = {"name": "Own", "package": "acme/own", "version": "1.0.0"}
    live = {
        "custom-image": [{"id": "own", **image}],
        "service": [{"id": "s", "name": "S", "package": "acme/own"}],
    }
    return elsewhere({}, live, prune=True, skip=("service",))


@scenario
def prune_takes_a_custom_image_that_another_of_its_package_stands_for() -> Scenario:
    image = {"name": "Own", "package": "acme/own", "version": "1.0.0"}
    service = {"id": "s", "name": "S", "package": "acme/own"}
    then = {"custom-image": [{"id": "one", **image}], "service": [service]}
    return in_place(then, {**then, "custom-image": [{"id": "two", **image}]}, prune=True)


@scenario
def prune_notes_what_an_unknown_type_that_stays_may_need() -> Scenario:
    model = {"id": "model-1", "name": "Model", "warehouseId": "old-2"}
    live = with_(BASE, destination=[DB, db("old-2")], gadget=[model])
    return in_place(BASE, live, prune=True)
