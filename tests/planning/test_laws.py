"""Laws of planning and restoring, over random workspaces."""

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st

from jitsu_backup.catalogue import entity_type, find_references, rewrite
from jitsu_backup.console import Gates
from jitsu_backup.model import MASK, UNDEFINED, value_at
from jitsu_backup.planning import ATTEMPTS, Capabilities, capabilities, derived_id, same_workspace
from jitsu_backup.planning.json_diff import paths_that_differ
from jitsu_backup.planning.schema_rules import default_at, is_required, refusals, schemas_needed
from jitsu_backup.sandbox import Sandbox, default_state
from tests import examples
from tests.support import (
    PRODUCTION,
    STAGING,
    comparable,
    console_of,
    id_map,
    make_snapshot,
    read,
    restore,
    run,
    writes,
)

# the console's own markers are drawn too, as any constant of the program is, and no console keeps one as a value
NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(
    lambda s: s.strip() and not s[:4].isdigit() and s not in (MASK, UNDEFINED)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def workspaces(draw: Any) -> Sandbox:
    """A workspace of random streams, destinations, functions, services, links and builders."""
    state = default_state()

    def some(kind: str, most: int, make: Any) -> list[str]:
        ids = [f"{kind}-{n}" for n in range(draw(st.integers(0, most)))]
        for object_id in ids:
            state.add_object(STAGING, kind, object_id, {"name": draw(NAMES), **make()})
        return ids

    keys = st.lists(st.sampled_from(["k1", "k2", "k3"]), unique=True)
    streams = some("stream", 4, lambda: {
        "domains": [], "publicKeys": [{"id": f"js.{k}", "plaintext": k} for k in draw(keys)], "privateKeys": [],
        "extra": draw(JSON),
    })  # fmt: skip
    destinations = some("destination", 4, lambda: {
        "destinationType": "clickhouse", "hosts": draw(st.lists(NAMES, min_size=1, max_size=3)), "username": "u",
        "password": "p", "database": "d", "protocol": "https", "loadAsJson": draw(st.booleans()),
        "parameters": draw(st.dictionaries(NAMES, NAMES, max_size=2)),
    })  # fmt: skip
    functions = some("function", 4, lambda: {"code": draw(NAMES)})
    services = some("service", 2, lambda: {
        "package": "a/b", "version": "1", "protocol": "airbyte",
        "credentials": {"host": draw(NAMES), "password": "s", "deep": draw(st.dictionaries(NAMES, JSON, max_size=2))},
    })  # fmt: skip
    pairs = [(s, d) for s in streams for d in destinations]
    for source, target in draw(st.lists(st.sampled_from(pairs), unique=True, max_size=6)) if pairs else []:
        chosen = draw(st.lists(st.sampled_from(functions), unique=True)) if functions else []
        data = {"functions": [{"functionId": f"udf.{f}"} for f in chosen], "functionsEnv": {"A": draw(NAMES)}}
        state.add_link(
            STAGING, "push", source, target, draw(st.sampled_from([data, None, {"mode": "batch"}]))
        )
    syncs = [(s, d) for s in services for d in destinations]
    for source, target in draw(st.lists(st.sampled_from(syncs), max_size=5)) if syncs else []:
        data = {
            "schedule": draw(st.sampled_from(["0 * * * *", "5 * * * *"])),
            "streams": {"s": {"sync_mode": "incremental"}},
        }
        link = state.add_link(STAGING, "sync", source, target, data)
        if draw(st.booleans()):
            state.sync_states[link.id] = {"s": '{"cursor": 1}'}
    if destinations and draw(st.booleans()):
        state.add_builder(STAGING, "pb", {
            "name": draw(NAMES), "version": 1, "destinationId": destinations[0], "intermediateStorageCredentials": {},
            "connectionOptions": {"profileWindow": 3}, "createdAt": "2026-01-01T00:00:00.000Z",
            "updatedAt": "2026-01-01T00:00:00.000Z",
        }, draw(NAMES))  # fmt: skip
    if streams and draw(st.booleans()):
        state.add_object(STAGING, "misc", "misc-1", {
            "name": "m", "objectType": "classic-mapping", "value": "\n".join(f"{s}=js.{s}" for s in streams),
        })  # fmt: skip
    return Sandbox(state, rate_limit=False)


@given(workspaces())
@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
def test_backup_restore_backup_is_equal_up_to_ids_and_a_second_restore_writes_nothing(
    sandbox: Sandbox,
) -> None:
    gates = Gates()

    def console() -> Any:
        return console_of(sandbox, gates=gates)

    before = run(read(console(), STAGING))
    result = run(restore(console, before))
    assert result.found == []
    after = run(read(console(), PRODUCTION))
    assert comparable(before, id_map(result)) == comparable(after, {})
    sandbox.requests.clear()
    run(restore(console, before))
    assert writes(sandbox) == 0
    assert run(read(console(), STAGING)) == before


@given(st.text(max_size=30), st.text(max_size=30), st.integers(0, ATTEMPTS))
def test_derived_ids_have_jitsus_shape_and_differ_by_every_part(
    workspace: str, source: str, attempt: int
) -> None:
    made = derived_id(workspace, "stream", source, attempt)
    assert len(made) == 25
    assert made[0] == "c"
    assert made.isalnum()
    assert made.islower()
    others = (
        derived_id(workspace + "x", "stream", source, attempt),
        derived_id(workspace, "service", source, attempt),
        derived_id(workspace, "stream", source + "x", attempt),
        derived_id(workspace, "stream", source, attempt + 1),
    )
    assert made not in others


def test_derived_ids_are_the_same_for_ever() -> None:
    assert derived_id("cacmeprod0000000000000002", "stream", "web-site") == "c4osdbpodc7oqx4kousld11eq"


@given(JSON)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert list(paths_that_differ(value, value)) == []


LINK = {
    "fromId": "s", "toId": "d",
    "data": {"functions": [{"functionId": "udf.f"}, {"functionId": "builtin.x"}, {"functionId": "udf.gone"}]},
}  # fmt: skip


def test_every_reference_of_a_link_is_found_and_rewritten_and_nothing_else() -> None:
    references = entity_type("link").references
    assert [i for _, i in find_references(references, LINK)] == ["s", "d", "f", "gone"]
    new = {"s": "S", "d": "D", "f": "F"}
    assert rewrite(references, LINK, lambda _types, old: new.get(old)) == {
        "fromId": "S", "toId": "D",
        "data": {"functions": [{"functionId": "udf.F"}, {"functionId": "builtin.x"}, {"functionId": "udf.gone"}]},
    }  # fmt: skip
    assert LINK["fromId"] == "s"


def test_a_moment_is_the_same_with_and_without_thousandths_and_no_other_text_is() -> None:
    short, long = "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000Z"
    for one, other in ((short, long), (long, short)):
        assert list(paths_that_differ({"at": one}, {"at": other})) == []
    for one, other in ((short, short.replace("1T", "2T")), ("aZ", "bZ"), ("a.000", "a"), (short, 5)):
        assert list(paths_that_differ([one], [other])) == [(0,)]


def test_a_value_beyond_the_end_of_a_list_is_none() -> None:
    assert [value_at({"a": [1, 2]}, ("a", n)) for n in (0, 1, 2)] == [1, 2, None]
    assert value_at({"a": "text"}, ("a", 0)) is value_at({"a": "text"}, ("a", "b")) is None


def test_what_a_console_can_do_is_reported_from_its_schemas_and_else_from_its_bodies() -> None:
    older, newer = Capabilities(False, False, False, False), Capabilities(True, True, True, True)
    dated, plain = (make_snapshot({"function": [{"id": "f", **body}]}) for body in ({"updatedAt": "x"}, {}))
    with_builder = make_snapshot({"profile-builder": [{"id": "p"}]})
    assert [capabilities(live, {}) for live in (dated, plain)] == [newer, older]
    assert capabilities(plain, {"function": {"properties": {"cloneId": {}}}}) == newer
    assert capabilities(dated, {"function": {"properties": {}}, "x": {}}) == older
    assert capabilities(with_builder, {"x": {}}) == Capabilities(False, False, True, False)


def test_a_workspace_is_the_same_by_id_and_when_it_was_made_or_else_by_host() -> None:
    def of(created: str | None = None, **more: Any) -> Any:
        return make_snapshot({}, workspace={} if created is None else {"createdAt": created}, **more)

    assert same_workspace(of("1"), of("1", host="http://other"))
    assert not same_workspace(of("1"), of("2"))
    assert not same_workspace(of("1"), of("1", workspace_id="w2"))
    for one, other in ((of("1"), of()), (of(), of("1")), (of(), of())):
        assert same_workspace(one, other)
        assert not same_workspace(one, replace(other, manifest=of(host="http://other").manifest))


def test_a_plan_consults_the_schemas_of_its_types_and_of_their_kinds() -> None:
    bodies = {
        "destination": [{"id": "d", "destinationType": "db"}],
        "stream": [{"id": "s", "destinationType": "x"}],
    }
    entities = make_snapshot({**bodies, "link": [{"id": "l"}], "profile-builder": [{"id": "p"}]}).entities
    assert schemas_needed(entities) == ["destination", "destination/db", "stream"]


def test_what_a_schema_refuses_of_a_whole_body_is_reported_too() -> None:
    schema = {
        "minProperties": 3,
        "required": ["a", "b"],
        "properties": {"c": {"required": ["d"]}, ".e": {"type": "null"}},
    }
    assert refusals({"stream": schema}, "stream", {"c": {}}) == [
        "a: required", "b: required", "c.d: required", "it: does not fit (minProperties)",
    ]  # fmt: skip
    assert refusals({"stream": schema}, "function", {}) == refusals({}, "stream", {}) == []


def test_a_whole_body_has_no_default_and_is_not_required() -> None:
    schema = {
        "default": 1,
        "required": ["a"],
        "properties": {"a": {"properties": {"b": {"default": 2}}, "required": ["b"]}},
    }
    assert [default_at(schema, path) for path in ((), ("a",), ("a", "b"), ("x", "b"), ("a", 0))] == [
        None,
        None,
        2,
        None,
        None,
    ]
    assert [is_required(schema, path) for path in ((), ("a",), ("a", "b"), ("b",), ("x", "b"))] == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_the_lines_of_a_classic_mapping_are_rewritten() -> None:
    body = {"value": "web=js.1\n# a comment\nweb=s2s.2\nother=x=y"}
    new = rewrite(entity_type("misc").references, body, lambda _types, old: {"web": "W"}.get(old))
    assert new == {"value": "W=js.1\n# a comment\nW=s2s.2\nother=x=y"}
