"""An overlay must fit: what it names is there, known to the console, and shown only where it is no secret."""

from typing import Any

import pytest

from jitsu_backup.errors import UsageError
from jitsu_backup.model import MASK
from jitsu_backup.planning import Outside, make_plan, parse_overlay
from tests.planning.scenarios.scenario import (
    BASE,
    CRM,
    RUNS,
    WEB,
    Scenario,
    db,
    elsewhere,
    here,
    in_place,
    link,
    with_,
)

PLAIN = "overlay: {!r}: {!r} is a secret, which is never shown; remove its plain = true"


def refusal(scenario: Scenario) -> str | None:
    try:
        make_plan(scenario.snapshot, scenario.live, scenario.options)
    except UsageError as refused:
        return str(refused)
    return None


def plain(selector: str, *path: str, shown: bool = True, **more: Any) -> Scenario:
    """A plan under an overlay that gives one field a value from outside its file, `plain` if `shown`."""
    patch: Any = "given"
    for part in reversed(path):
        patch = {part: patch}
    outside = (Outside(selector, path, '{ env = "GIVEN" }', "given", plain=shown),)
    rules = parse_overlay({selector: patch}, frozenset(), outside)
    return elsewhere(
        with_(BASE, destination=[db("db-1", host="h")]),
        **{"live": {}, "overlay": rules, "allow_missing_secrets": True, "check_schemas": False, **more},
    )


@pytest.mark.parametrize(
    ("selector", "path"),
    [
        ("destination/db-1", ("password",)),
        ("destination/Db-1", ("password", "inner")),
        ("destination/*", ("deep", "apiKey")),
        ("service/crm-1", ("credentials",)),
        ("link/l1", ("data", "functionsEnv", "HOST")),
    ],
)
def test_a_plain_value_for_a_secret_is_refused(selector: str, path: tuple[str, ...]) -> None:
    assert refusal(plain(selector, *path)) == PLAIN.format(selector, ".".join(path))
    assert refusal(plain(selector, *path, shown=False)) is None


@pytest.mark.parametrize("path", [("host",), ("deep", "must")])
def test_a_plain_value_for_what_is_no_secret_is_taken(path: tuple[str, ...]) -> None:
    assert refusal(plain("destination/db-1", *path)) is None


@pytest.mark.parametrize("path", [("deep",), ("deep", "in"), ("deep", "in", "more")])
def test_what_either_side_masks_is_a_secret_at_above_and_below_the_mask(path: tuple[str, ...]) -> None:
    live = {**db(here("destination", "db-1"), host="h"), "name": "Db-1", "deep": {"must": "m", "in": MASK}}
    refused = PLAIN.format("destination/db-1", ".".join(path))
    assert refusal(plain("destination/db-1", *path, live={"destination": [live]})) == refused
    assert refusal(plain("destination/db-1", *path)) is None
    given = (Outside("service/crm-1", ("list",), '{ env = "GIVEN" }', "given", plain=True),)
    masked = with_(BASE, service=[{**CRM, "list": [{"x": MASK}]}])
    rules = parse_overlay({"service/crm-1": {"list": "given"}}, frozenset(), given)
    assert refusal(elsewhere(masked, {}, overlay=rules)) == PLAIN.format("service/crm-1", "list")


def test_a_plain_value_says_nothing_of_the_secrets_that_another_rule_gives() -> None:
    outside = (Outside("destination/*", ("host",), '{ env = "HOST" }', "given", plain=True),)
    rules = {"destination/*": {"host": "given"}, "destination/db-1": {"password": "given"}}
    assert refusal(in_place(BASE, BASE, overlay=parse_overlay(rules, frozenset(), outside))) is None


def test_a_field_that_no_link_has_is_refused_even_where_the_link_is_blocked() -> None:
    gone = {"functions": [{"functionId": "udf.gone"}]}
    before = with_(BASE, link=[link("l1", "web-1", "db-1", gone)])
    rules = parse_overlay({"link/l1": {"dta": 1}})
    assert refusal(elsewhere(before, {}, overlay=rules, allow_missing_secrets=True)) == (
        "overlay: 'link/l1': the target console has no field 'dta' there; did you mean 'data'?"
    )


def test_what_an_overlay_names_and_is_not_there_is_counted() -> None:
    rules = {f"stream/gone-{n}": {"name": "x"} for n in range(6)}
    named = ", ".join(f"'stream/gone-{n}'" for n in range(5))
    assert refusal(in_place(BASE, BASE, overlay=parse_overlay(rules))) == (
        f"overlay: {named} and 1 more are not in the snapshot (renamed or deleted since?), which has stream/Web; correct the"
        " names, or remove them from the overlay"
    )


def test_a_name_that_several_entities_have_is_refused_with_four_of_their_ids() -> None:
    streams = [{**WEB, "id": f"web-{n}"} for n in range(5)]
    before = with_(BASE, stream=streams, link=[link("l1", "web-0", "db-1", RUNS)])
    ids = ", ".join(f"stream/web-{n}" for n in range(4))
    rules = parse_overlay({"stream/Web": {"name": "x"}})
    assert refusal(in_place(before, before, overlay=rules)) == (
        f"overlay: 'stream/Web' matches 5 entities: {ids}; use the id of one of them"
    )


def test_a_name_that_two_entities_have_is_refused_and_an_id_is_not() -> None:
    before = with_(BASE, stream=[WEB, {**WEB, "id": "web-2"}])
    rules = {"stream/Web": {"name": "x"}}
    told = "overlay: 'stream/Web' matches 2 entities: stream/web-1, stream/web-2; use the id of one of them"
    assert refusal(in_place(before, before, overlay=parse_overlay(rules))) == told
    for selector in ("stream/web-1", "stream/*"):
        assert refusal(in_place(before, before, overlay=parse_overlay({selector: {"name": "x"}}))) is None


def test_an_end_that_is_a_secret_is_not_shown_where_it_leads_nowhere() -> None:
    rules = parse_overlay({"link/l1": {"toId": "hidden-id"}}, frozenset({"hidden-id"}))
    told = refusal(in_place(BASE, BASE, overlay=rules))
    assert told == "overlay: link 'Web → Db-1': toId *** is not an id in the snapshot; use one that is"


def test_the_hint_for_a_field_is_given_once_whatever_else_the_rule_chooses() -> None:
    two = with_(BASE, destination=[db("db-1", host="h"), db("db-2", host="h", extra=5)])
    rules = parse_overlay({"destination/*": {"hots": "x"}})
    told = "overlay: 'destination/*': the target console has no field 'hots' there; did you mean 'host'?"
    assert refusal(in_place(two, two, overlay=rules)) == told
    known = with_(two, destination=[db("db-1", host="h"), {**db("db-2"), "hots": "here"}])
    assert refusal(in_place(known, known, overlay=rules)) is None


@pytest.mark.parametrize("source_has_it", [True, False])
def test_a_field_that_only_newer_consoles_know_is_left_out_and_listed_whatever_the_source_has(
    *, source_has_it: bool
) -> None:
    """One overlay serves sources of any generation; a field that no console knows is a mistake."""
    older = {"id": {}, "name": {}, "destinationType": {}, "url": {}}
    newer = {**older, "signatureSecret": {}}
    schemas, recorded = (
        {"destination": {}, "destination/webhook": {"properties": known, "additionalProperties": False}}
        for known in (older, newer)
    )
    hook = {"id": "hook", "name": "Hook", "destinationType": "webhook", "url": "https://a.example"}
    has = {"signatureSecret": MASK} if source_has_it else {}
    known = {"schemas": schemas, "recorded_schemas": recorded}

    def planned(field: str) -> Scenario:
        rules = parse_overlay({"destination/hook": {field: "given"}})
        return elsewhere(with_(BASE, destination=[{**hook, **has}]), {}, overlay=rules, **known)

    scenario = planned("signatureSecret")
    plan = make_plan(scenario.snapshot, scenario.live, scenario.options)
    (action,) = (one for one in plan.actions if one.key.id == "hook")
    assert [(loss.path, loss.reason) for loss in action.losses] == [
        ("signatureSecret", "the target console does not know this field")
    ]
    assert "has no field 'signatureSecrt' there" in str(refusal(planned("signatureSecrt")))
