"""Scenarios: ids and pairing."""

from jitsu_backup.planning import Ids, derived_id
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
    with_,
)
from tests.support import PRODUCTION, STAGING


@scenario
def ids_are_kept_on_another_console() -> Scenario:
    return other_console({"function": [ENRICH]}, {}, ids=Ids.KEEP)


@scenario
def ids_cannot_be_kept_within_one_console() -> Scenario:
    return elsewhere({"function": [ENRICH], "stream": [WEB]}, {}, ids=Ids.KEEP)


@scenario
def ids_are_new_on_another_console_when_asked() -> Scenario:
    return other_console({"function": [ENRICH]}, {}, ids=Ids.NEW)


@scenario
def a_kept_id_that_is_taken_gives_way() -> Scenario:
    dangling = link("l9", "web-1", "db-1", {"functions": [{"functionId": "udf.enrich"}]})
    return other_console({"function": [ENRICH], "stream": [WEB]}, {"link": [dangling]})


@scenario
def names_pair_what_is_alone_and_block_what_is_not() -> Scenario:
    before = {
        "function": [{"id": "f1", "name": "Same"}, {"id": "f2", "name": "Twice"}, {"id": "f3", "name": "Here"}, {"id": "f4", "name": "Here"}],
        "destination": [db("db-1", apiKey="a"), db("db-2")], "service": [CRM],
    }  # fmt: skip
    live = {
        "function": [{"id": "g1", "name": "Same"}, *({"id": f"g{n}", "name": "Twice"} for n in range(2, 8)), {"id": "h", "name": "Here"}],
        "destination": [{**db("x"), "name": "Db-1", "apiKey": "b"}, {**db("y"), "name": "Db-2", "destinationType": "other"},
                        {**db("z"), "name": "Db-2", "provisioned": True}],
        "service": [{**CRM, "id": "other-crm", "package": "c/d"}],
    }  # fmt: skip
    return elsewhere(before, live, match_by_name=True, allow_missing_secrets=True)


@scenario
def mappings_pair_and_say_when_they_are_not_needed() -> Scenario:
    before = {"function": [ENRICH, {"id": "filter", "name": "Filter", "code": "y"}], "stream": [WEB]}
    live = {
        "function": [
            {"id": "mine", "name": "Mine", "code": "x"},
            {"id": here("function", "filter"), "name": "Filter"},
            {"id": "spare", "name": "Spare"},
        ]
    }
    mapping = (("function/filter", "function/Spare"), ("function/Enrich", "function/Mine"))
    return elsewhere(before, live, mapping=mapping)


@scenario
def provisioned_destinations_pair_with_the_only_one_of_their_kind() -> Scenario:
    given = {"provisioned": True, "password": "x"}
    before = [
        db("p-1", **given),
        db(
            "q-1",
            **given,
        ),
        {**db("r-1", **given), "destinationType": "none"},
    ]
    before[1]["destinationType"] = "several"
    live = [
        db("mine", **given),
        {**db("m2", **given), "destinationType": "several"},
        {**db("m3", **given), "destinationType": "several"},
        db("plain"),
    ]
    lists = {
        "destination": before,
        "stream": [WEB],
        "link": [link("l1", "web-1", "q-1"), link("l2", "web-1", "p-1")],
    }
    return elsewhere(lists, {"destination": live}, prune=True, schemas={})


@scenario
def a_profile_builder_is_paired_with_its_function() -> Scenario:
    profile = {"id": "pf-1", "name": "Pb", "kind": "profile", "code": "code"}
    before = with_(BASE, profile_builder=[builder("pb-1", "pf-1", "db-1")], function=[ENRICH, profile])
    pb, target = here("profile-builder", "pb-1"), here("destination", "db-1")
    live = {
        "destination": [db(target, host="mine")],
        "profile-builder": [builder(pb, "their-pf", target, "other code", version=5, name="Mine")],
        "function": [{**profile, "id": "their-pf", "code": "other code"}],
    }
    return elsewhere(before, live, allow_missing_secrets=True)


def twice(type_name: str, source_id: str, workspace_id: str = PRODUCTION) -> str:
    """The id of what was made again in a workspace, for what had been made there of `source_id`."""
    return derived_id(workspace_id, type_name, derived_id(workspace_id, type_name, source_id))


@scenario
def what_was_made_again_twice_is_the_same_one() -> Scenario:
    again = {**ENRICH, "id": twice("function", "enrich", STAGING)}
    return in_place({"function": [ENRICH]}, {"function": [again]})


@scenario
def what_the_target_made_again_is_still_the_sources_counterpart() -> Scenario:
    return elsewhere(
        {"function": [ENRICH]}, {"function": [{**ENRICH, "id": twice("function", "enrich"), "code": "x"}]}
    )


@scenario
def what_came_of_another_entity_of_the_snapshot_is_that_ones() -> Scenario:
    again = {**ENRICH, "id": own("function", "enrich"), "name": "Again"}
    live = {**again, "id": own("function", again["id"])}
    return in_place({"function": [ENRICH, again]}, {"function": [live]})


@scenario
def cloned_there_and_back_an_entity_meets_its_origin() -> Scenario:
    there = {**ENRICH, "id": derived_id(STAGING, "function", "enrich"), "code": "mended"}
    return elsewhere({"function": [there]}, {"function": [ENRICH]}, prune=True)


@scenario
def cloned_back_what_was_made_again_there_an_entity_meets_its_origin() -> Scenario:
    return elsewhere(
        {"function": [{**ENRICH, "id": twice("function", "enrich", STAGING)}]}, {"function": [ENRICH]}
    )


@scenario
def a_namesake_connected_elsewhere_is_only_told() -> Scenario:
    before = with_(BASE, link=[link("l1", "web-1", "db-1")])
    live = {
        "stream": [{**WEB, "id": here("stream", "web-1")}, {**WEB, "id": "other", "name": "Other"}],
        "destination": [{**DB, "id": "theirs"}],
        "link": [link("k", "other", "theirs")],
    }
    return elsewhere(before, live, allow_missing_secrets=True)


@scenario
def made_by_hand_again_and_connected_in_place_it_blocks_too() -> Scenario:
    return in_place(
        BASE,
        with_(
            BASE,
            service=[{**CRM, "id": "hand"}],
            destination=[{**DB, "id": "hand-2"}],
            link=[link("k", "web-1", "hand-2")],
        ),
    )


@scenario
def after_ids_new_the_targets_own_one_of_the_same_id_is_never_taken_for_an_old_one() -> Scenario:
    hook = {"id": "db-1", "name": "Hook", "destinationType": "hook"}
    own_one = {"id": here("destination", "db-1"), "name": "Hook", "destinationType": "hook"}
    return other_console(
        {"destination": [hook]}, {"destination": [{**DB, "name": "Mine"}, own_one]}, recreate=True
    )


@scenario
def a_snapshot_of_a_recreate_half_way_is_two_entities() -> Scenario:
    again = {**ENRICH, "id": own("function", "enrich"), "code": "again"}
    return in_place({"function": [ENRICH, again]}, {"function": [ENRICH, {**again, "code": "x"}]}, prune=True)


@scenario
def a_streams_own_domains_in_another_workspace_stay() -> Scenario:
    live = {"stream": [{**WEB, "id": here("stream", "web-1"), "domains": ["prod.example"]}]}
    return elsewhere({"stream": [WEB]}, live, prune=True)


@scenario
def a_domain_that_the_overlay_moves_to_another_stream_leaves_the_first() -> Scenario:
    two = {**WEB, "id": "web-2", "name": "Two"}
    live = [
        {**WEB, "id": here("stream", "web-1"), "domains": ["a.example", "b.example"]},
        {**two, "id": here("stream", "web-2")},
    ]
    given = overlay({"stream/Two": {"domains": ["A.example"]}})
    return elsewhere({"stream": [WEB, two]}, {"stream": live}, overlay=given)


@scenario
def an_overlay_that_gives_the_domains_of_the_snapshot_gives_them_all_the_same() -> Scenario:
    live = {"stream": [{**WEB, "id": here("stream", "web-1"), "domains": ["old.example"]}]}
    return elsewhere({"stream": [WEB]}, live, overlay=overlay({"stream/Web": {"domains": []}}))


@scenario
def on_another_console_domains_follow_the_snapshot() -> Scenario:
    live = {"stream": [{**WEB, "id": "web-1", "domains": ["old.example"]}]}
    return other_console({"stream": [{**WEB, "domains": ["new.example"]}]}, live)


@scenario
def of_two_that_came_of_each_other_each_gets_an_id_of_its_own() -> Scenario:
    again = {**ENRICH, "id": own("function", "enrich"), "name": "Again"}
    return in_place({"function": [ENRICH, again]}, {"function": [again]})


@scenario
def a_streams_own_domains_in_another_workspace_go_where_the_overlay_gives_others() -> Scenario:
    live = {"stream": [{**WEB, "id": here("stream", "web-1"), "domains": ["old.example"]}]}
    given = overlay({"stream/Web": {"domains": ["new.example"]}})
    return elsewhere({"stream": [WEB]}, live, overlay=given)


@scenario
def a_namesake_that_differs_is_told() -> Scenario:
    pb, live = builder("pb-2", "pf-2", "db-1"), {**builder("pb-9", "pf-9", "x", "other code"), "name": "Pb-2"}
    return elsewhere(
        {"function": [ENRICH], "profile-builder": [pb], "destination": [{"id": "db-1", "name": "X"}]},
        {"function": [{**ENRICH, "id": "theirs", "code": "x"}], "profile-builder": [live]},
    )


@scenario
def namesakes_in_place_are_told_and_never_taken_for_what_was_deleted() -> Scenario:
    return in_place({"function": [ENRICH]}, {"function": [{**ENRICH, "id": "by-hand"}]})
