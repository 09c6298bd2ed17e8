"""Ignored fields are the target's own: they never differ, and no run writes another value there."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from jitsu_backup.catalogue import field_selector
from jitsu_backup.errors import UsageError
from jitsu_backup.model import MASK, Key, value_at
from jitsu_backup.planning import ActionKind, PlanOptions, compare, make_plan, parse_overlay
from jitsu_backup.planning.ignored import OwnFields
from jitsu_backup.planning.json_diff import has_value, paths_that_differ
from tests import examples
from tests.planning.random_scenarios import SEEDS, random_scenario
from tests.support import make_snapshot

NAMES = st.sampled_from(["a", "b", "c"])
BODIES: Any = st.dictionaries(
    NAMES,
    st.recursive(
        st.none() | st.integers(0, 2),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)
PATTERNS = st.lists(st.sampled_from(["a", "b", "c", "*"]), min_size=1, max_size=3).map(tuple)


@settings(max_examples=examples(300))
@given(BODIES, BODIES, st.lists(PATTERNS, max_size=3))
def test_what_is_kept_is_as_in_the_target_and_all_else_is_as_intended(
    body: Any, live: Any, patterns: list[tuple[str, ...]]
) -> None:
    own = OwnFields(tuple(patterns))
    kept = own.kept_in(body, live)
    assert own.kept_in(kept, live) == kept
    for path in paths_that_differ(kept, live):
        assert not own.cover(path)
    for pattern in patterns:
        if "*" not in pattern and has_value(live, pattern):
            assert has_value(kept, pattern)
            assert value_at(kept, pattern) == value_at(live, pattern)
    if not patterns:
        assert kept == body


@pytest.mark.parametrize(
    ("body", "live", "pattern", "kept"),
    [
        ({"a": 1, "b": 2}, {"a": 3, "b": 4}, "a", {"a": 3, "b": 2}),
        ({"a": 1}, {}, "a", {}),
        ({}, {"a": {"b": 1, "c": 2}}, "a.b", {"a": {"b": 1}}),
        ({"a": None}, {"a": {"b": 1, "c": 2}}, "a.b", {"a": {"b": 1}}),
        ({"a": {"b": 1, "c": 2}}, {"a": None}, "a.b", {"a": {"c": 2}}),
        ({"a": {"x": {"b": 1}, "y": {"b": 2}}}, {"a": {"x": {"b": 3}}}, "a.*.b", {"a": {"x": {"b": 3}, "y": {}}}),
        ({"a": [1, 2]}, {"a": [3]}, "a.0", {"a": [3]}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}, {"b": 3}]}, "a.*.b", {"a": [{"b": 2}, {"b": 3}]}),
    ],
)  # fmt: skip
def test_a_field_is_kept_whatever_stands_around_it(body: Any, live: Any, pattern: str, kept: Any) -> None:
    assert OwnFields((tuple(pattern.split(".")),)).kept_in(body, live) == kept


@pytest.mark.parametrize("seed", SEEDS)
def test_no_plan_changes_an_ignored_field(seed: int) -> None:
    one = random_scenario(seed)
    ignored = ("*/*:name", "destination/*:hosts", "service/*:credentials", "link/*:data", "function/*:code")
    plan = make_plan(one.snapshot, one.live, replace(one.options, ignored=ignored))
    tops = {"name", "hosts", "credentials", "data", "code"}
    for action in plan.actions:
        if action.kind is ActionKind.UPDATE:
            chosen = {name for name in tops if _ignores(ignored, action.key.type, name)}
            assert chosen.isdisjoint(path.partition(".")[0] for path in action.changes), action
    again = compare(one.snapshot, one.live, {}, PlanOptions(ignored=ignored))
    for change in again.entities:
        chosen = {name for name in tops if _ignores(ignored, change.type, name)}
        assert chosen.isdisjoint(field.path.partition(".")[0] for field in change.fields), change


def _ignores(ignored: tuple[str, ...], kind: str, field: str) -> bool:
    return any(text in (f"*/*:{field}", f"{kind}/*:{field}") for text in ignored)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("destination/*", "has no field; write SELECTOR:FIELD.PATH"),
        (":name", "has no field"),
        ("destination/*:", "has no field"),
        ("service/*:credentials..host", "has no field"),
        ("/x:name", "has no type"),
        ("link/*:toId", "the field 'toId' cannot be chosen"),
        ("stream/*:id", "the field 'id' cannot be chosen"),
        ("stream/*:*", "cannot be chosen"),
    ],
)
def test_what_is_no_field_of_entities_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        field_selector(text)


def test_a_name_may_hold_a_colon() -> None:
    found = field_selector("destination/DB: main:credentials.host")
    assert (found.entities.text, found.path) == ("destination/DB: main", ("credentials", "host"))


HOST = {"id": "d1", "name": "Warehouse", "type": "destination", "destinationType": "postgres", "host": "a"}
ONE = make_snapshot({"destination": [HOST]})


def test_an_entity_whose_name_is_ignored_is_called_as_the_target_calls_it() -> None:
    live = make_snapshot({"destination": [{**HOST, "name": "Main", "host": "b"}]})
    for ignored, name in ((("destination/*:name",), "Main"), ((), "Warehouse")):
        (action,) = make_plan(ONE, live, PlanOptions(ignored=ignored)).actions
        assert action.name == name


def test_a_field_is_chosen_by_the_name_on_either_side() -> None:
    live = make_snapshot({"destination": [{**HOST, "name": "Main", "host": "b"}]})
    for name in ("Warehouse", "Main", "d1", "*"):
        changes = compare(ONE, live, {}, PlanOptions(ignored=(f"destination/{name}:host",)))
        assert [field.path for change in changes.entities for field in change.fields] == ["name"]
        assert changes.notes == ("1 field differs but is ignored by the setting ignore",)
    assert compare(ONE, ONE, {}, PlanOptions(ignored=("destination/*:host",))).notes == ()
    with pytest.raises(UsageError, match=r"ignore: unknown type 'destinatoin'; did you mean 'destination'\?"):
        compare(ONE, live, {}, PlanOptions(ignored=("destinatoin/*:host",)))


@pytest.mark.parametrize(
    "path", ["credentials", "credentials.host", "credentials.host.deep", "credentials.*"]
)
def test_an_overlay_for_an_ignored_field_is_a_contradiction(path: str) -> None:
    service = {"id": "s1", "name": "CRM", "type": "service", "credentials": {"host": "a"}}
    snapshot = make_snapshot({"service": [service], "destination": [HOST]})
    live = make_snapshot({"service": [{**service, "name": "Main"}], "destination": [HOST]})
    overlay = parse_overlay({"service/CRM": {"credentials": {"host": "x"}}})
    for kind, name in (("service", "*"), ("service", "Main"), ("*", "CRM")):
        options = PlanOptions(overlay=overlay, ignored=(f"{kind}/{name}:{path}",))
        with pytest.raises(UsageError) as raised:
            make_plan(snapshot, live, options)
        assert str(raised.value) == (
            "overlay: 'service/CRM' sets 'credentials.host', which the setting ignore leaves to the target"
            f" ('{kind}/{name}:{path}'); remove one of them"
        )
    options = replace(options, ignored=("service/*:credentials.port", "destination/*:credentials.host"))
    make_plan(snapshot, live, options)


def test_a_mask_in_an_ignored_field_is_never_sent() -> None:
    secrets = {Key("destination", "d1"): {"password": "of the archive"}}
    masked = {**HOST, "password": MASK}
    snapshot = replace(make_snapshot({"destination": [masked]}), secrets=secrets)
    live = make_snapshot({"destination": [{**masked, "host": "b"}]})
    options = PlanOptions(ignored=("destination/*:password",), check_schemas=False)
    (action,) = make_plan(snapshot, live, options).actions
    assert (action.kind, action.changes, "password" in action.body) == (ActionKind.UPDATE, ("host",), False)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("function/*:nmae", "nothing in the target or the snapshot has the field of 'function/*:nmae'; did you mean 'name'?"),
        ("function/f1:a.c", "nothing in the target or the snapshot has the field of 'function/f1:a.c'; correct or remove it"),
        ("function/Gone:name", "'function/Gone' is not in the target or the snapshot; correct or remove 'function/Gone:name'"),
        ("function/*:a.b", ""), ("function/*:a.*", ""), ("function/F*:list.0", ""), ("stream/*:name", ""), ("function/*:known", ""),
    ],
)  # fmt: skip
def test_a_field_that_nothing_has_is_noted_because_it_may_be_misspelt(text: str, note: str) -> None:
    body = {"id": "f1", "name": "F", "code": "x", "a": {"b": 1}, "list": [1]}
    side = make_snapshot({"function": [body], "stream": []})
    schemas = {"function": {"properties": {"known": {}, "a": {}}}}
    plan = make_plan(side, side, PlanOptions(ignored=(text,), schemas=schemas))
    assert plan.notes == ((f"ignore: {note}",) if note else ())
