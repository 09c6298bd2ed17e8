"""Scenarios: ids and pairing."""

from jitsu_backup.planning import Ids
from tests.planning.scenarios.kit import (
    BASE,
    CRM,
    ENRICH,
    WEB,
    Scenario,
    builder,
    db,
    elsewhere,
    here,
    link,
    other_console,
    scenario,
    with_,
)


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
