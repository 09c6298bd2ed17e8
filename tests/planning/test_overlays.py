"""What an overlay may hold, and what of the target's fields may hold nothing."""

import math
from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from jitsu_backup.errors import UsageError
from jitsu_backup.model import Entity, Key, format_path
from jitsu_backup.planning import PlanOptions, make_plan, parse_overlay
from jitsu_backup.planning.overlays import overlay_selectors
from jitsu_backup.planning.schema_rules import may_be_null
from tests.support import make_snapshot

SELECTOR = "destination/db-1"


def values_of(patch: Any) -> Any:
    return parse_overlay({SELECTOR: patch}).rules[0].patch


def nested(depth: int, innermost: Any) -> Any:
    for _ in range(depth):
        innermost = {"a": innermost}
    return innermost


def test_dates_and_times_are_text_as_json_writes_them() -> None:
    given = {
        "day": date(2026, 1, 2), "moment": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "hour": time(3, 4),
        "list": [date(2026, 1, 2), {"in": time(1)}], "plain": [1, 1.5, True, None, "x"],
    }  # fmt: skip
    assert values_of(given) == {
        "day": "2026-01-02", "moment": "2026-01-02T03:04:05+00:00", "hour": "03:04:00",
        "list": ["2026-01-02", {"in": "01:00:00"}], "plain": [1, 1.5, True, None, "x"],
    }  # fmt: skip


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 0, -0.5])
def test_numbers_that_json_can_hold_are_taken(number: float) -> None:
    assert values_of({"n": [number]}) == {"n": [number]}


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, math.inf, math.nan, b"bytes", object()])
def test_what_json_cannot_hold_is_refused_with_its_kind(value: Any) -> None:
    words = f"overlay: '{SELECTOR}' contains a value that JSON cannot represent: {type(value).__name__}; write it as text"
    for patch in ({"n": value}, {"n": [value]}, {"n": {"in": value}}):
        with pytest.raises(UsageError, match=f"^{words}$"):
            values_of(patch)


@pytest.mark.parametrize(
    "patch", [{"n": "\ud800"}, {"\udfff": 1}, {"n": ["a\udc00"]}, {"n": {"in": "\udbff"}}]
)
def test_text_that_is_none_is_refused(patch: Any) -> None:
    with pytest.raises(
        UsageError,
        match=f"^overlay: '{SELECTOR}' contains a name or a value that is not valid Unicode text; correct it$",
    ):
        values_of(patch)


def test_nesting_ends_at_two_hundred_whether_by_tables_lists_or_dots() -> None:
    deepest = 200
    assert values_of(nested(deepest, 1)) == nested(deepest, 1)
    values_of({".".join(["a"] * deepest): 1})
    too_deep = f"^overlay: '{SELECTOR}' is nested too deeply; use fewer levels$"
    for patch in (
        nested(deepest + 1, 1),
        {".".join(["a"] * (deepest + 1)): 1},
        {"a": nested(deepest, 1)},
    ):
        with pytest.raises(UsageError, match=too_deep):
            values_of(patch)
    lists: Any = 1
    for _ in range(deepest):
        lists = [lists]
    with pytest.raises(UsageError, match=too_deep):
        values_of({"a": lists})
    values_of({"a": lists[0]})


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (None, True),
        ({"properties": {"a": {}}}, True),
        ({"properties": {"a": {"type": "null"}}}, True),
        ({"properties": {"a": {"type": ["string", "null"]}}}, True),
        ({"properties": {"a": {"type": "string"}}}, False),
        ({"properties": {"a": {"type": ["string", "number"]}}}, False),
        ({"properties": {"b": {"type": "string"}}}, True),
    ],
)
def test_null_fits_where_the_schema_takes_it_or_says_nothing(schema: Any, expected: bool) -> None:
    assert may_be_null(schema, ("a",)) is expected


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ({"host": "a"}, {"host": "b"}, "host"),
        ({"credentials.host": "a"}, {"credentials": {"host": "b"}}, "credentials.host"),
        ({"credentials": {}}, {"credentials.host": "b"}, "credentials"),
        ({"host": "a"}, {"port": 5}, None),
    ],
)
def test_one_field_of_one_entity_given_by_its_name_and_by_its_id_is_refused(
    one: Any, other: Any, told: str | None
) -> None:
    entity = Entity(Key("destination", "db-1"), {"id": "db-1", "name": "Warehouse"})
    overlay = parse_overlay({"destination/*": {"host": "z"}, "destination/Warehouse": one, SELECTOR: other})
    found = overlay.contradiction(entity, "Warehouse")
    if told is None:
        assert found is None
    else:
        assert found is not None
        assert (*found[:2], format_path(found[2])) == ("destination/Warehouse", SELECTOR, told)


def test_an_entity_is_selected_by_its_name_where_that_can_be_written_and_is_its_own() -> None:
    names = {
        Key("stream", "a"): "Web", Key("stream", "b"): "App", Key("stream", "c"): "App", Key("function", "d"): "App",
        Key("stream", "e"): "", Key("stream", "f"): "all*", Key("stream", "g"): "bad\u202e", Key("stream", "h"): "x" * 101,
        Key("stream", "i"): "a", Key("stream", "j"): "j", Key("stream", "k"): "y" * 100,
        Key("link", "l"): "Web -> Db", Key("link", "m"): "Web → Db", Key("link", "n"): "Web → App",
    }  # fmt: skip
    assert {str(key): text for key, text in overlay_selectors(names).items()} == {
        "stream/a": "stream/Web", "stream/b": "stream/b", "stream/c": "stream/c", "function/d": "function/App",
        "stream/e": "stream/e", "stream/f": "stream/f", "stream/g": "stream/g", "stream/h": "stream/h",
        "stream/i": "stream/i", "stream/j": "stream/j", "stream/k": f"stream/{'y' * 100}",
        "link/l": "link/l", "link/m": "link/m", "link/n": "link/Web → App",
    }  # fmt: skip


def test_a_plan_refuses_an_overlay_that_contradicts_itself() -> None:
    snapshot = make_snapshot({"destination": [{"id": "db-1", "name": "Warehouse", "host": "h"}]})
    overlay = parse_overlay({SELECTOR: {"host": "a"}, "destination/Warehouse": {"host": "b"}})
    with pytest.raises(UsageError, match="select the same entity, and both set 'host'; remove one of them"):
        make_plan(snapshot, snapshot, PlanOptions(overlay=overlay))


def test_a_value_from_outside_stands_in_no_reason_and_no_note() -> None:
    name = "tracking.hidden.example"
    overlay = parse_overlay({"stream/*": {"domains": [name]}}, secrets=frozenset({name}))
    stream = {"id": "s", "type": "stream", "name": "S", "domains": ["mine.example"]}
    target = make_snapshot({"stream": []}, workspace_id="cother000000000000000001", slug="other")
    options = PlanOptions(overlay=overlay, domains_elsewhere={name: "acme-elsewhere"})
    plan = make_plan(make_snapshot({"stream": [stream]}), target, options)
    assert "acme-elsewhere" in repr(plan.actions[0].losses)
    assert name not in repr((plan.actions[0].reason, plan.actions[0].losses, plan.notes))
