"""Schemas are a stranger's: what they say can neither stop a plan, nor fetch, nor read a file."""

import json
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from jitsu_backup.planning import Ids, PlanOptions, make_plan
from jitsu_backup.planning.capabilities import capabilities
from jitsu_backup.planning.schema_rules import (
    UnusableSchemaError,
    default_at,
    dropped,
    is_required,
    may_be_null,
    refusals,
)
from tests.support import make_snapshot

BODY = {"id": "x", "name": "Geo", "code": "x", "nested": {"a": [1, {"b": None}]}}
UNUSABLE = {
    "properties is null": {"properties": None},
    "a factor of zero": {"properties": {"name": {"type": "string"}}, "multipleOf": 0},
    "a bad pattern": {"properties": {"name": {"pattern": "("}}},
    "a reference to nothing": {"properties": {"name": {"$ref": "#/definitions/none"}}},
    "a reference to itself": {"$ref": "#"},
    "references in a circle": {
        "properties": {"name": {"$ref": "#/definitions/a"}},
        "definitions": {
            "a": {"allOf": [{"$ref": "#/definitions/b"}]},
            "b": {"allOf": [{"$ref": "#/definitions/a"}]},
        },
    },
    "references that multiply": {
        "$ref": "#/definitions/a0",
        "definitions": {f"a{n}": {"allOf": [{"$ref": f"#/definitions/a{n + 1}"}] * 2} for n in range(40)}
        | {"a40": {}},
    },
    "a type that is none": {"type": 5},
    "too deep": json.loads('{"not":' * 900 + "{}" + "}" * 900),
}


@pytest.mark.parametrize("schema", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_schema_that_cannot_be_used_is_reported_as_that(schema: Any) -> None:
    with pytest.raises(UnusableSchemaError, match="function"):
        refusals({"function": schema}, "function", BODY)


@pytest.mark.parametrize(
    "pattern", ["^(([A-Za-z ]+)+)+[!]$", "^([a-z]|[a-z]|[A-Z ])+[!]$", "^.*.*.*.*.*.*.*.*!$"]
)
def test_a_pattern_that_could_take_for_ever_is_not_tried(pattern: str) -> None:
    body = {**BODY, "name": "a" * 5000}
    assert refusals({"function": {"properties": {"name": {"pattern": pattern}}}}, "function", body) == []


@pytest.mark.parametrize(
    ("pattern", "name"), [("^[1-9]\\d*$", "05"), ("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", "a b")]
)
def test_the_patterns_that_consoles_have_are_tried(pattern: str, name: str) -> None:
    schema = {"properties": {"name": {"pattern": pattern}}}
    assert refusals({"function": schema}, "function", {**BODY, "name": name}) == [
        "name: does not fit (pattern)"
    ]


@pytest.mark.parametrize(
    ("pattern", "tried"),
    [
        ("^a+b*$", True),  # two repetitions
        ("^a+b*c?$", False),
        ("^a{1,2}b{3}$", True),
        ("^a?b+c{2}$", False),
        ("^XX+X*X$", True),
        ("^[()|*+{?]+$", True),  # as the items of a class these repeat and group nothing
        (r"^\(\|\)\*\+\{\?$", True),
        ("^(ab)$", False),
        ("^ab|cd$", False),
    ],
)
def test_a_pattern_is_tried_that_has_no_groups_and_repeats_at_most_twice(pattern: str, tried: bool) -> None:
    found = refusals({"function": {"properties": {"name": {"pattern": pattern}}}}, "function", BODY)
    assert found == (["name: does not fit (pattern)"] if tried else [])


def test_a_schema_is_given_up_after_its_steps_and_no_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = {"function": {"properties": {"name": {"type": "string"}, "code": {"type": "string"}}}}
    monkeypatch.setattr("jitsu_backup.planning.schema_rules._MOST_STEPS", 3)  # the properties and two types
    assert refusals(schema, "function", BODY) == []
    monkeypatch.setattr("jitsu_backup.planning.schema_rules._MOST_STEPS", 2)
    with pytest.raises(UnusableSchemaError, match="function"):
        refusals(schema, "function", BODY)


def test_uniqueness_and_patterns_of_names_which_no_console_asks_for_take_no_time() -> None:
    schema = {"uniqueItems": True, "patternProperties": {"(a+)+!": False}}
    body = {**BODY, "nested": [{"a": n} for n in range(20_000)], "a" * 60: 1}
    whole = {"properties": {"nested": schema}, "patternProperties": {"^(a+)+!$": False}}
    assert refusals({"function": whole}, "function", body) == []


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_reference_is_never_followed_out_of_the_schema(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(*_: Any, **__: Any) -> Any:
        raise AssertionError("it asked for something")

    monkeypatch.setattr(urllib.request, "urlopen", fetch)
    local = tmp_path / "local.json"
    local.write_text('{"const": "a local secret"}')
    target = local.as_uri() if scheme == "file" else "http://127.0.0.1:9/schema"
    with pytest.raises(UnusableSchemaError):
        refusals({"function": {"properties": {"name": {"$ref": target}}}}, "function", BODY)


def test_a_plan_tells_of_an_unusable_schema_once_and_continues() -> None:
    functions = [{"id": name, "name": name, "code": "x"} for name in ("one", "two")]
    options = PlanOptions(ids=Ids.NEW, schemas={"function": {"$ref": "#"}})
    plan = make_plan(make_snapshot({"function": functions}), make_snapshot({"function": []}), options)
    assert len(plan.writes) == 2, [action.reason for action in plan.actions]
    assert len([note for note in plan.notes if "schema of function is unusable" in note]) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["string", "object", "#", "(", "name", "file:///x"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            [
                "properties", "name", "nested", "type", "required", "enum", "const", "$ref", "pattern", "multipleOf",
                "additionalProperties", "allOf", "anyOf", "not", "items", "definitions", "default", "patternProperties",
                "dependencies", "if", "then", "format", "minLength", "$id", "$schema",
            ]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(["properties", "required", "type", "$ref", "allOf", "additionalProperties"]), JSON
    )
)
def test_no_schema_can_stop_a_plan(schema: dict[str, Any]) -> None:
    for path in ((), ("name",), ("nested", "a", 0), ("nested", "a", 1, "b")):
        default_at(schema, path)
        is_required(schema, path)
        may_be_null(schema, path)
    list(dropped(schema, BODY))
    capabilities(make_snapshot({"function": [BODY]}), {"function": schema})
    with suppress(UnusableSchemaError):
        assert all(isinstance(problem, str) for problem in refusals({"function": schema}, "function", BODY))
