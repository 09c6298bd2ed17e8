"""What planning refuses, in words that tell what to write instead."""

from typing import Any

import pytest

from jitsu_backup.catalogue import Selector
from jitsu_backup.errors import UsageError
from jitsu_backup.model import MASK, Refusal
from jitsu_backup.planning import Ids, Outside, PlanOptions, chosen, compare, make_plan, parse_overlay
from tests.planning.scenarios.scenario import (
    BASE,
    CRM,
    DB,
    ENRICH,
    SCHEMAS,
    WEB,
    Scenario,
    db,
    elsewhere,
    here,
    in_place,
    link,
    other_console,
    side,
    with_,
)
from tests.support import PRODUCTION


def refusal(scenario: Scenario) -> str:
    with pytest.raises(UsageError) as caught:
        make_plan(scenario.snapshot, scenario.live, scenario.options)
    return str(caught.value)


def test_prune_needs_a_complete_snapshot() -> None:
    words = (
        "--prune needs a complete snapshot: this one is incomplete, and --prune would delete what it lacks; choose another snapshot, or leave"
        " out --prune"
    )
    for lacks in ({"refused": (Refusal("link", "HTTP 500"),)}, {"consistent": False}):
        assert refusal(in_place(BASE, BASE, prune=True, of_snapshot=lacks)) == words
        make_plan(side(BASE, **lacks), side(BASE), PlanOptions())  # type: ignore[arg-type]


OVERLAYS: list[tuple[Any, str]] = [
    ({"destination/None": {"a": 1}}, "overlay: 'destination/None' is not in the snapshot (renamed or deleted since?), which has destination/Db-1; correct the name, or remove it from the overlay"),
    ({"destination/Db-1": {"hots": "x"}},
     "overlay: 'destination/Db-1': the target console has no field 'hots' there; did you mean 'host'?"),
    ({"destination/Db-1": {"zzzz.y": "x"}}, "overlay: 'destination/Db-1': the target console has no field 'zzzz.y' there; remove it"),
    ({"destination/Db-1": {"closed.inn": "x"}}, "overlay: 'destination/Db-1': the target console has no field 'closed.inn' there; remove it"),
    ({"link/Web -> Db-1": {"dta": 1}}, "overlay: 'link/Web -> Db-1': the target console has no field 'dta' there; did you mean 'data'?"),
    ({"link/*": {"dta": {}}}, "overlay: 'link/*': the target console has no field 'dta' there; did you mean 'data'?"),
    ({"link/l1": {"toId": "nowhere"}}, "overlay: link 'Web → Db-1': toId 'nowhere' is not an id in the snapshot; use one that is"),
    ({"link/l1": {"fromId": "l1"}}, "overlay: link 'Web → Db-1': fromId 'l1' is not an id in the snapshot; use one that is"),
    ({"destination/db-1": {"list": {"2": "x"}}}, "overlay: destination/db-1 has no item 2 there, only 2 items; use a smaller number"),
    ({"destination/db-1": {"list": {"0": {"1": "x"}}}}, "overlay: destination/db-1 has no item 1 there, only 1 item; use a smaller number"),
    ({"destination/db-1": {"deep.list": {"3": "x"}}}, "overlay: destination/db-1 has no item 3 there, only 1 item; use a smaller number"),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "words"), OVERLAYS)
def test_an_overlay_that_fits_nothing_is_refused(rules: Any, words: str) -> None:
    before = with_(BASE, destination=[db("db-1", list=[[1], 2], deep={"must": "m", "list": [1]})])
    assert (
        refusal(
            elsewhere(
                before, {}, overlay=parse_overlay(rules), allow_missing_secrets=True, check_schemas=False
            )
        )
        == words
    )


def test_an_overlay_may_join_a_link_to_another_end_of_the_snapshot() -> None:
    before = with_(BASE, destination=[DB, db("db-2")])
    scenario = in_place(before, before, overlay=parse_overlay({"link/l1": {"toId": "db-2"}}))
    plan = make_plan(scenario.snapshot, scenario.live, scenario.options)
    assert [(a.kind.value, str(a.key), a.body.get("toId")) for a in plan.writes] == [
        ("create", "link/l1", "db-2")
    ]


DOCUMENTS: list[tuple[Any, str]] = [
    ([], "an overlay must be a table that maps selectors, such as 'destination/Warehouse', to values; write one"),
    ({"a": 1}, "overlay: 'a' must be a table of fields and their new values; write it as one"),
    ({"stream/x": {"id": "y"}}, "overlay: 'stream/x' cannot change 'id'; remove that line"),
    ({"stream/x": {"type": "y"}}, "overlay: 'stream/x' cannot change 'type'; remove that line"),
    ({"link/x": {"workspaceId": "y"}}, "overlay: 'link/x' cannot change 'workspaceId'; remove that line"),
    ({"stream/x": {"a": {"b": MASK}}}, f"overlay: 'stream/x' contains Jitsu's mask {MASK}; provide the secret itself"),
    ({"destination/x": {"authorized": True}},
     "overlay: 'destination/x' cannot change 'authorized'; remove that line, and authorise the entity in the UI"),
    ({"destination/x": {"name": "N", "oauthConnectionId.a.b": 1}},
     "overlay: 'destination/x' cannot change 'oauthConnectionId'; remove that line, and authorise the entity in the UI"),
    ({"stream/x": {"a.b": 1, "a": {"b": 2}, "c": 3}}, "overlay: 'stream/x' sets 'a.b' twice; remove one of them"),
    ({"stream/" + "x" * 60: {"a": "\ud800"}}, f"overlay: 'stream/{'x' * 53}' contains a name or a value that is not valid Unicode text; correct it"),
    ({"": {}}, "selector '' has no type; write type, type/id or type/name"),
    ({"/x": {}}, "selector '/x' has no type; write type, type/id or type/name"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "words"), DOCUMENTS)
def test_what_is_no_overlay_is_refused(document: Any, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_overlay(document)
    assert str(caught.value) == words


def test_what_means_a_grant_for_one_type_is_a_field_like_others_for_another() -> None:
    for selector in ("stream/x", "stream/a/b"):
        assert parse_overlay({selector: {"authorized": "yes"}}).rules[0].patch == {"authorized": "yes"}


def test_an_overlay_knows_what_it_took_from_outside_its_file() -> None:
    outside = (Outside("stream/x", ("name",), '{ env = "NAME" }', "N", plain=True),)
    assert parse_overlay({"stream/x": {"name": "N"}}, frozenset(), outside).outside == outside


def test_an_overlay_shows_no_value_and_keeps_its_secrets() -> None:
    overlay = parse_overlay({"link/x": {"type": "sync", "data": {"TOKEN": "s3cret"}}}, frozenset({"s3cret"}))
    assert "s3cret" not in repr(overlay)
    assert overlay.secrets == {"s3cret"}
    assert parse_overlay({}).secrets == frozenset()
    assert [path for rule in overlay.rules for path in rule.paths()] == [("type",), ("data", "TOKEN")]


TYPES = "custom-image, destination, domain, function, link, misc, model, notification, profile-builder, reverse-sync, service, stream"
SELECTIONS: list[tuple[dict[str, Any], str]] = [
    ({"only": ("stream/None",)}, "--only: 'stream/None' is not in the snapshot; correct it, or leave it out"),
    ({"skip": ("stream/None",)}, "--skip: 'stream/None' is not in the snapshot; correct it, or leave it out"),
    ({"only": ("stream/None",), "prune": True}, "--only: 'stream/None' is neither in the snapshot nor in the target; correct it, or leave it out"),
    ({"only": ("streams",)}, "--only: unknown type 'streams'; did you mean 'stream'?"),
    ({"skip": ("streams/*",)}, "--skip: unknown type 'streams'; did you mean 'stream'?"),
    ({"only": ("streams/Web",)}, "--only: unknown type 'streams'; did you mean 'stream'?"),
    ({"skip": ("Geo",)}, f"--skip: unknown type 'Geo'; use one of {TYPES}"),
    ({"overlay": parse_overlay({"streams/Web": {"name": "x"}})}, "overlay: unknown type 'streams'; did you mean 'stream'?"),
    ({"overlay": parse_overlay({"functions/*": {"name": "x"}})}, "overlay: unknown type 'functions'; did you mean 'function'?"),
    ({"only": ("stream/Extra",)}, "--only: 'stream/Extra' is not in the snapshot; correct it, or leave it out"),
    ({"only": ("",)}, "selector '' has no type; write type, type/id or type/name"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "words"), SELECTIONS)
def test_a_selector_that_finds_nothing_is_refused(options: dict[str, Any], words: str) -> None:
    live = with_(BASE, stream=[WEB, {"id": "extra", "name": "Extra"}])
    assert refusal(in_place(BASE, live, **options)) == words


def test_a_selector_may_name_what_only_the_target_has_under_prune_and_types_of_the_console() -> None:
    live = with_(BASE, stream=[WEB, {"id": "extra", "name": "Extra"}], gadget=[{"id": "m"}])
    for options in (
        {"prune": True, "only": ("stream/Extra", "gadget")},
        {"skip": ("gadget/*", "gad*", "str*/none")},
    ):
        scenario = in_place(BASE, live, **options)
        make_plan(scenario.snapshot, scenario.live, scenario.options)


MAPPINGS: list[tuple[tuple[tuple[str, str], ...], str]] = [
    ((("functions/None", "function/f-1"),),
     "--map functions/None=function/f-1: unknown type 'functions'; did you mean 'function'?"),
    ((("function/None", "function/f-1"),), "--map function/None=function/f-1: 'function/None' is not in the snapshot; correct it"),
    ((("function/enrich", "function/None"),), "--map function/enrich=function/None: 'function/None' is not in the target; correct it"),
    ((("function/enrich", "function/T*"),),
     "--map function/enrich=function/T*: 'function/T*' matches 5 entities of the target: function/t0, function/t1, function/t2, function/t3; use the id of one of them"),
    ((("function/*", "function/t0"),),
     "--map function/*=function/t0: 'function/*' matches 2 entities of the snapshot: function/enrich, function/f-2; use the id of one of them"),
    ((("function/enrich", "functions/x"),),
     "--map function/enrich=functions/x: unknown type 'functions'; did you mean 'function'?"),
    ((("function/enrich", "stream/x"),), "--map function/enrich=stream/x: a function cannot be mapped to a stream; choose the same type"),
    ((("function/enrich", "function/t0"), ("function/enrich", "function/t1")),
     "--map function/enrich=function/t0: 'function/enrich' is mapped twice; leave out one"),
    ((("function/enrich", "function/t0"), ("function/f-2", "function/t0")),
     "--map function/f-2=function/t0: the target's function/t0 is already paired with another entity; choose another"),
    ((("service/CRM", "service/other"),), "--map service/CRM=service/other: a a/b service cannot be mapped to a c/d one; choose another"),
    ((("destination/Db-1", "destination/other"),), "--map destination/Db-1=destination/other: a db destination cannot be mapped to a x one; choose another"),
    ((("link/Web -> Db-1", "link/x1"),), "--map link/Web -> Db-1=link/x1: connections are paired by their ends; map the ends instead"),
    ((("link/l1", "link/x1"),), "--map link/l1=link/x1: connections are paired by their ends; map the ends instead"),
]  # fmt: skip


@pytest.mark.parametrize(("mapping", "words"), MAPPINGS)
def test_a_mapping_that_fits_nothing_is_refused(mapping: Any, words: str) -> None:
    before = with_(BASE, function=[ENRICH, {"id": "f-2", "name": "Two"}])
    live = {
        "function": [{"id": f"t{n}", "name": f"T{n}"} for n in range(5)], "service": [{**CRM, "id": "other", "package": "c/d"}],
        "destination": [{**db("other"), "destinationType": "x"}], "link": [link("x1", "a", "b")],
    }  # fmt: skip
    assert refusal(elsewhere(before, live, mapping=mapping)) == words


def test_a_mapping_settles_whether_what_has_the_same_id_is_another_one() -> None:
    other = {**db("db-1"), "name": "Quite another", "destinationType": "x"}
    live = {"destination": [other, db("mine")]}
    scenario = other_console({"destination": [db("db-1")]}, live)
    (blocked,) = make_plan(scenario.snapshot, scenario.live, scenario.options).blocked
    assert blocked.reason.startswith("the target's destination/db-1 is a different entity, 'Quite another'")
    scenario = other_console(
        {"destination": [db("db-1")]}, live, mapping=(("destination/db-1", "destination/mine"),)
    )
    plan = make_plan(scenario.snapshot, scenario.live, scenario.options)
    assert plan.blocked == ()
    assert [*plan.ids.values()] == ["mine"]


def test_ids_can_be_kept_elsewhere_and_are_then_fixed() -> None:
    scenario = elsewhere(BASE, {}, same_console=False, ids=Ids.KEEP, allow_missing_secrets=True)
    plan = make_plan(scenario.snapshot, scenario.live, scenario.options)
    assert plan.fixed_ids
    assert (plan.source, plan.target) == (scenario.snapshot.manifest.source, scenario.live.manifest.source)
    assert all(key.id == new_id for key, new_id in plan.ids.items())


CHOICES = [
    (("streams/Web",), "--only: unknown type 'streams'; did you mean 'stream'?"),
    (("stream/None",), "--only: 'stream/None' matches nothing on either side; correct it"),
    (("streams",), "--only: unknown type 'streams'; did you mean 'stream'?"),
]


@pytest.mark.parametrize(("selectors", "words"), CHOICES)
def test_a_selector_of_differences_that_finds_nothing_is_refused(selectors: Any, words: str) -> None:
    changes = compare(side(BASE), side(with_(BASE, stream=[])), SCHEMAS)
    with pytest.raises(UsageError) as caught:
        chosen(changes, [*map(Selector, selectors)])
    assert str(caught.value) == words


def test_differences_are_chosen_counted_and_reported_with_both_names() -> None:
    before = with_(BASE, function=[ENRICH, {"id": "f-2", "name": "Two"}], gadget=[{"id": "m"}])
    after = with_(BASE, function=[{**ENRICH, "name": "Better"}, {"id": "f-3", "name": "Three"}], service=[])
    changes = compare(side(before), side(after), SCHEMAS)
    assert changes.counts() == {
        "function": {"changed": 1, "removed": 1, "added": 1}, "gadget": {"removed": 1}, "service": {"removed": 1},
    }  # fmt: skip
    assert list(changes.counts()) == ["function", "gadget", "service"]
    assert changes.unchanged == {"destination": 1, "link": 1, "stream": 1}
    assert list(changes.unchanged) == sorted(changes.unchanged)
    assert [source.workspace_id for source in changes.sources] == [
        side(before).manifest.source.workspace_id
    ] * 2
    assert chosen(changes, []) is changes

    def left(*texts: str) -> tuple[list[str], list[str]]:
        found = chosen(changes, [*map(Selector, texts)])
        return [change.name for change in found.entities], [str(key) for key in found.same]

    assert left("function/Enrich") == left("function/Better") == left("function/enrich") == (["Better"], [])
    assert left("function/Two", "function/Three") == (["Three", "Two"], [])
    assert left("link/Web -> Db-1") == left("link/l1") == ([], ["link/l1"])
    assert left("stream/Web", "service") == (["CRM"], ["stream/web-1"])
    assert left("gadget") == (["m"], [])


def test_differences_are_chosen_by_the_ids_of_either_side() -> None:
    theirs = here("function", "enrich")
    both = [{**ENRICH, "id": theirs}, {"id": "f-1", "name": "One"}, {"id": "f-2", "name": "Two"}]
    changes = compare(
        side({"function": [ENRICH]}), side({"function": both}, workspace_id=PRODUCTION), SCHEMAS
    )
    assert changes.counts() == {"function": {"added": 2}}
    for one in ("enrich", theirs):
        assert [key.id for key in chosen(changes, [Selector(f"function/{one}")]).same] == [theirs]


@pytest.mark.parametrize("package", [["a"], {"a": 1}, None])
def test_a_custom_image_whose_package_is_no_text_is_planned(package: Any) -> None:
    images = {"custom-image": [{"id": "image", "name": "Image", "package": package}]}
    scenario = elsewhere(images, images, match_by_name=True)
    make_plan(scenario.snapshot, scenario.live, scenario.options)
