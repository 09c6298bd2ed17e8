"""Scenarios: a part of a snapshot."""

from tests.planning.scenarios.scenario import (
    BASE,
    DB,
    ENRICH,
    WEB,
    Scenario,
    builder,
    elsewhere,
    in_place,
    link,
    scenario,
    with_,
)


@scenario
def only_takes_what_is_needed_along() -> Scenario:
    before = with_(BASE, destination=[{**DB, "password": "p"}], profile_builder=[builder("pb-1", "pf-1", "db-1")],
                   function=[ENRICH, {"id": "pf-1", "name": "P", "kind": "profile"}])  # fmt: skip
    before["link"] = [
        link(
            "l1", "web-1", "db-1", {"functions": [{"functionId": "udf.pf-1"}, {"functionId": "udf.enrich"}]}
        ),
        link("l2", "web-1", "gone"),
    ]
    return elsewhere(before, {}, only=("link/Web -> Db-1", "custom-image/*"))


@scenario
def only_and_skip_leave_the_rest_alone() -> Scenario:
    before = with_(BASE, function=[ENRICH, {"id": "filter", "name": "Filter", "code": "y"}])
    live = with_(
        BASE,
        function=[
            {**ENRICH, "code": "x"},
            {"id": "extra", "name": "Extra"},
            {"id": "spared", "name": "Spared"},
        ],
        stream=[{**WEB, "name": "x"}],
    )
    return in_place(
        before, live, only=("function", "link"), skip=("function/Filter", "function/spared"), prune=True
    )


@scenario
def what_still_names_a_deleted_one_outside_the_selection_is_told() -> Scenario:
    before = with_(BASE, profile_builder=[builder("pb-1", "pf-1", "db-1")])
    return in_place(
        before, with_(before, destination=[], function=[]), only=("destination/db-1", "function/enrich")
    )


@scenario
def a_profile_builder_outside_the_selection_blocks_nothing() -> Scenario:
    before = with_(BASE, profile_builder=[builder("pb-1", "pf-1", "db-1")])
    return elsewhere(before, {}, only=("profile-builder",), allow_missing_secrets=True)


@scenario
def a_chosen_function_of_a_builder_is_written_with_its_builder() -> Scenario:
    owned = {"id": "pf-1", "name": "P", "kind": "profile"}
    before = with_(BASE, profile_builder=[builder("pb-1", "pf-1", "db-1")], function=[ENRICH, owned])
    live = with_(before, profile_builder=[builder("pb-1", "pf-1", "db-1", "broken")])
    return in_place(before, live, only=("function/pf-1",))


@scenario
def a_chosen_function_of_a_builder_that_the_target_lacks_is_left_out() -> Scenario:
    owned = {"id": "pf-1", "name": "P", "kind": "profile"}
    before = with_(BASE, profile_builder=[builder("pb-1", "pf-1", "db-1")], function=[ENRICH, owned])
    return elsewhere(before, {}, only=("function",))


@scenario
def a_chosen_function_brings_its_builder_and_what_that_needs() -> Scenario:
    owned = {"id": "pf-1", "name": "P", "kind": "profile"}
    before = with_(BASE, profile_builder=[builder("pb-1", "pf-1", "db-1")], function=[ENRICH, owned])
    return elsewhere(before, {}, only=("function/P",), allow_missing_secrets=True)


@scenario
def a_skipped_function_of_a_builder_is_told_to_go_with_it() -> Scenario:
    owned = {"id": "pf-1", "name": "P", "kind": "profile"}
    before = with_(BASE, profile_builder=[builder("pb-1", "pf-1", "db-1")], function=[ENRICH, owned])
    return elsewhere(before, {}, skip=("function/P",), allow_missing_secrets=True)


@scenario
def a_custom_image_comes_along_with_a_service_that_runs_it() -> Scenario:
    image = {"id": "own", "name": "Own", "package": "acme/own", "version": "1.0.0"}
    service = {"id": "s", "name": "S", "package": "acme/own"}
    return elsewhere({"custom-image": [image], "service": [service]}, {}, only=("service",))


@scenario
def a_service_without_its_custom_image_is_noted() -> Scenario:
    image = {"id": "own", "name": "Own", "package": "acme/own", "version": "1.0.0"}
    service = {"id": "s", "name": "S", "package": "acme/own"}
    return elsewhere({"custom-image": [image], "service": [service]}, {}, skip=("custom-image",))
