"""What differs, and only that: no phantoms after a restore, nothing missed after a change, no secret shown."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from rich.console import Console as Screen

from jitsu_backup.catalogue import Selector
from jitsu_backup.model import Refusal, Snapshot
from jitsu_backup.planning import ChangeKind, Changes, Overlay, chosen, compare
from jitsu_backup.reports import changes_document, changes_stat, changes_view
from jitsu_backup.sandbox import Generation, Sandbox, default_state, known_schemas
from tests import examples
from tests.generate import Generator
from tests.planning.scenarios.scenario import DB, ENRICH, builder, own, side
from tests.support import (
    PRODUCTION,
    STAGING,
    comparable,
    console_of,
    example_sandbox,
    make_snapshot,
    read,
    restore,
    run,
)

HOST = "http://other.example"
SEEDS, SIZES = st.integers(0, 2**32), st.one_of(st.integers(0, 12), st.integers(0, 120))
LAW = settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))


def differ(before: Snapshot, after: Snapshot) -> Changes:
    return compare(before, after, known_schemas())


def told(changes: Changes) -> list[tuple[str, str, str, list[str]]]:
    return [(c.kind.value, c.type, c.name, [f.path for f in c.fields]) for c in changes.entities]


def texts(changes: Changes) -> str:
    screen = Screen(record=True, width=100, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    screen.print(changes_view(changes))
    screen.print(changes_stat(changes))
    screen.file.close()
    return screen.export_text() + orjson.dumps(changes_document(changes)).decode()


@pytest.mark.parametrize("generation", [Generation.JULY_2026, Generation.OCTOBER_2024])
@given(seed=SEEDS, size=SIZES)
@LAW
def test_after_a_restore_elsewhere_nothing_differs_from_either_side(
    generation: Generation, seed: int, size: int
) -> None:
    state = default_state(generation=generation)
    Generator(state, seed).fill(STAGING, size)
    target = Sandbox(default_state(generation=generation), rate_limit=False)
    before = run(read(console_of(Sandbox(state, rate_limit=False)), STAGING))
    run(restore(lambda: console_of(target, HOST), before))
    after = run(read(console_of(target, HOST), PRODUCTION))
    assert told(differ(before, after)) == told(differ(after, before)) == []


@given(seed=SEEDS, size=SIZES, changes=st.integers(0, 20))
@example(seed=2820, size=11, changes=2)
@LAW
def test_what_was_changed_is_reported_and_seen_from_the_other_side_it_is_the_same_change(
    seed: int, size: int, changes: int
) -> None:
    state = default_state()
    generator = Generator(state, seed)
    generator.fill(STAGING, size)
    sandbox = Sandbox(state, rate_limit=False)
    before = run(read(console_of(sandbox), STAGING))
    generator.mutate(STAGING, changes)
    after = run(read(console_of(sandbox), STAGING))
    there, back = differ(before, after), differ(after, before)
    same = {k: v for k, v in comparable(before, {}).items() if v} == {
        k: v for k, v in comparable(after, {}).items() if v
    }
    assert bool(there.entities) or same or only_cursors(before, after)
    swapped = {ChangeKind.ADDED: ChangeKind.REMOVED, ChangeKind.REMOVED: ChangeKind.ADDED}
    ours = sorted((c.kind.value, str(c.before), str(c.after)) for c in there.entities)
    theirs = sorted((swapped.get(c.kind, c.kind).value, str(c.after), str(c.before)) for c in back.entities)
    assert ours == theirs
    assert there.unchanged == back.unchanged
    texts(there)


def only_cursors(before: Snapshot, after: Snapshot) -> bool:
    return comparable(replace(before, cursors={}), {}) == comparable(replace(after, cursors={}), {})


@given(seed=SEEDS, size=st.integers(0, 60), changes=st.integers(0, 15))
@LAW
def test_after_a_rollback_only_the_named_residue_differs(seed: int, size: int, changes: int) -> None:
    state = default_state()
    generator = Generator(state, seed)
    generator.fill(STAGING, size)
    sandbox = Sandbox(state, rate_limit=False)
    before = run(read(console_of(sandbox), STAGING))
    generator.mutate(STAGING, changes)
    options = {"prune": True, "accept_shrink": True, "overlay": Overlay()}
    result = run(restore(lambda: console_of(sandbox), before, STAGING, **options))
    after = run(read(console_of(sandbox), STAGING))
    residue = {(line.key.type, line.name, line.path.partition(".")[0]) for line in result.found}
    left = {
        (change.type, change.name, found.path.partition(".")[0])
        for change in differ(before, after).entities
        for found in change.fields
    }
    assert {line for line in left if line[2] not in ("publicKeys", "privateKeys")} <= residue


def test_a_clone_within_one_console_shows_only_what_cannot_be_there_twice() -> None:
    sandbox = example_sandbox()
    before = run(read(console_of(sandbox), STAGING))
    run(restore(lambda: console_of(sandbox), before))
    after = run(read(console_of(sandbox), PRODUCTION))
    assert told(differ(before, after)) == [
        ("removed", "domain", "*.track.acme.example", []), ("changed", "stream", "Web site", ["domains"]),
    ]  # fmt: skip


@pytest.fixture
def changed() -> Changes:
    sandbox = example_sandbox()
    before = run(read(console_of(sandbox), STAGING))
    objects = sandbox.state.objects
    objects["hook-0001"].config["headers"] = ["Authorization: Bearer CANARY-1"]
    objects["hook-0001"].config["url"] = "https://user:CANARY-2@hooks.example"
    objects["clicks-0001"].config["cluster"] = "one"
    objects["enrich-0001"].config |= {
        "name": "Enriched",
        "code": objects["enrich-0001"].config["code"] + "\n// more",
    }
    objects["web-0001"].config["publicKeys"].append({"id": "js.new", "hint": "new*key", "hash": "CANARY-3"})
    objects["lake-0001"].deleted = True
    objects["image-0001"].config["name"] = "\x1b[31mevil\u202e"
    link = next(row for row in sandbox.state.links.values() if row.to_id == "warehouse-0001")
    link.data = {
        **link.data,
        "functions": [{"functionId": "udf.filter-0001"}],
        "functionsEnv": {"API_TOKEN": "CANARY-4"},
    }
    sandbox.state.add_object(
        STAGING, "notification", "new", {"name": "N", "slackWebhookUrl": "https://CANARY-5"}
    )
    return differ(before, run(read(console_of(sandbox), STAGING)))


def test_changes_are_reported_by_name_and_field_and_secrets_only_as_changed(changed: Changes) -> None:
    assert [line for line in told(changed) if line[1] != "custom-image"] == [
        ("changed", "destination", "Alerts webhook", ["headers", "url"]),
        ("removed", "destination", "BigQuery", []),
        ("changed", "destination", "ClickHouse", ["cluster"]),
        ("changed", "function", "Enriched", ["code", "name"]),
        ("added", "notification", "N", []),
        ("changed", "stream", "Web site", ["publicKeys"]),
        ("changed", "link", "Web site → Warehouse", ["data.functions", "data.functionsEnv.API_TOKEN"]),
    ]
    fields = {f.path: f for c in changed.entities for f in c.fields}
    assert (fields["headers"].before, fields["headers"].after, fields["headers"].secret) == (
        "***",
        "***",
        True,
    )
    assert fields["data.functions"].after == ["Only known users"]
    assert fields["data.functions"].before == ["Enrich", "builtin.transformation.user-recognition"]
    assert fields["code"].code[-1] == "+// more"
    assert fields["cluster"].before is None
    assert (fields["url"].after, fields["url"].secret) == ("***", True)
    shown = texts(changed)
    assert "CANARY" not in shown
    assert "\x1b" not in shown
    assert "(was Enrich)" in shown
    assert "data.functionsEnv.API_TOKEN: secret changed" in shown


def test_selectors_choose_by_type_name_and_by_the_ends_of_a_link(changed: Changes) -> None:
    def left(*selectors: str) -> list[str]:
        return [c.name for c in chosen(changed, [*map(Selector, selectors)]).entities]

    assert (
        left("function")
        == left("function/Enrich")
        == left("function/Enriched")
        == left("function/enrich-0001")
    )
    assert left("link/Web site -> *", "stream") == ["Web site", "Web site → Warehouse"]
    assert left("misc") == []
    assert left() == [c.name for c in changed.entities]


def test_what_a_builders_function_is_called_chooses_the_builder_that_its_changes_are_reported_with() -> None:
    def of(code: str, name: str) -> Snapshot:
        function = {"id": "pf-1", "name": name, "kind": "profile", "code": code}
        builders = [builder("pb-1", "pf-1", "db-1", code), builder("pb-2", "unlisted", "db-1", code)]
        return side({"destination": [DB], "function": [function, ENRICH], "profile-builder": builders})

    changes = differ(of("one", "Score"), of("two", "Scores"))
    assert [(c.type, c.name) for c in changes.entities] == [
        ("profile-builder", "Pb-1"),
        ("profile-builder", "Pb-2"),
    ]
    for text in ("function/Score", "function/Scores", "function/pf-1", "function"):
        assert [c.name for c in chosen(changes, [Selector(text)]).entities] == ["Pb-1"]
    assert chosen(changes, [Selector("function/Enrich")]).entities == ()
    assert [c.name for c in chosen(changes, [Selector("profile-builder/pb-2")]).entities] == ["Pb-2"]


def test_a_function_that_a_builder_came_to_own_is_no_other_one() -> None:
    function = {"id": "pf-1", "name": "Score", "kind": "profile", "code": "code"}
    alone = side({"destination": [DB], "function": [function]})
    owned = side({
        "destination": [DB], "function": [function], "profile-builder": [builder("pb-1", "pf-1", "db-1")],
    })  # fmt: skip
    assert told(differ(alone, owned)) == [("added", "profile-builder", "Pb-1", [])]
    assert told(differ(owned, alone)) == [("removed", "profile-builder", "Pb-1", [])]


def test_what_one_side_could_not_read_is_no_difference_and_is_reported() -> None:
    lists: dict[str, Any] = {"function": [{"id": "f", "name": "F", "code": "x"}], "stream": []}
    before = make_snapshot(lists)
    after = make_snapshot({"stream": []}, refused=(Refusal("function", "HTTP 500"),))
    changes = differ(before, after)
    assert changes.entities == ()
    assert changes.notes == ("function could not be read on one side, so it is not compared",)


def test_two_syncs_of_one_pair_are_told_apart_by_what_they_do() -> None:
    def links(*schedules: str) -> Snapshot:
        bodies = [
            {"id": f"l{n}", "type": "sync", "fromId": "s", "toId": "d", "data": {"schedule": schedule}}
            for n, schedule in enumerate(schedules)
        ]
        ends = {"service": [{"id": "s", "name": "S"}], "destination": [{"id": "d", "name": "D"}]}
        return make_snapshot({**ends, "link": bodies}, workspace_id="w1")

    assert told(differ(links("1", "2"), links("2", "1"))) == [
        ("changed", "link", "S → D", ["data.schedule"]), ("changed", "link", "S → D", ["data.schedule"]),
    ]  # fmt: skip
    assert told(differ(links("1", "2"), links("1"))) == [("removed", "link", "S → D", [])]


def test_two_functions_of_one_name_are_shown_with_their_ids() -> None:
    def functions(code: str) -> Snapshot:
        alike = [{"id": one, "name": "New function", "code": code} for one in ("f1", "f2")]
        return make_snapshot({"function": alike}, workspace_id="w1")

    shown = texts(differ(functions("1"), functions("2")))
    assert "New function (f1)" in shown
    assert "New function (f2)" in shown


def syncs(place: str, one: dict[str, Any], two: dict[str, Any]) -> Snapshot:
    bodies = [
        {"id": f"{place}{n}", "type": "sync", "fromId": "s", "toId": "d", "data": data}
        for n, data in enumerate((one, two))
    ]
    ends = {"service": [{"id": "s", "name": "S"}], "destination": [{"id": "d", "name": "D"}]}
    return make_snapshot({**ends, "link": bodies}, workspace_id=place)


def test_two_syncs_of_one_pair_that_both_changed_are_paired_with_the_likest() -> None:
    users, orders = {"streams": {"users": {}}, "schedule": "1"}, {"streams": {"orders": {}}, "schedule": "1"}
    changes = differ(
        syncs("a", users, orders), syncs("b", orders | {"schedule": "2"}, users | {"schedule": "3"})
    )
    assert {(c.before.id, c.after.id) for c in changes.entities if c.before and c.after} == {
        ("a0", "b1"),
        ("a1", "b0"),
    }
    assert [path for *_, path in told(changes)] == [["data.schedule"], ["data.schedule"]]


def test_what_was_recreated_in_its_workspace_works_with_the_grant_of_the_old_one() -> None:
    def of(one: str) -> Snapshot:
        granted = {"authorized": True, "oauthConnectionId": "destination.sf-1"}
        return side({"destination": [{"id": one, "name": "S", "destinationType": "salesforce", **granted}]})

    changes = differ(of("sf-1"), of(own("destination", "sf-1")))
    assert (told(changes), [key.id for key in changes.same]) == ([], [own("destination", "sf-1")])


def test_a_truth_value_is_no_number() -> None:
    before, after = (make_snapshot({"stream": [{"id": "s", "strict": value}]}) for value in (True, 1))
    assert told(differ(before, after)) == [("changed", "stream", "s", ["strict"])]
    assert told(differ(before, before)) == []


def test_names_that_two_entities_share_are_reported_with_ids() -> None:
    def of(function: str, *functions: str) -> Snapshot:
        return make_snapshot({
            "stream": [{"id": "s", "name": "S"}], "destination": [{"id": "d", "name": "D"}],
            "function": [{"id": one, "name": "Enrich"} for one in functions],
            "link": [{"id": "l", "fromId": "s", "toId": "d", "data": {"functions": [{"functionId": f"udf.{function}"}]}}],
        })  # fmt: skip

    def functions(changes: Changes) -> list[tuple[Any, Any]]:
        return [(f.before, f.after) for c in changes.entities if c.type == "link" for f in c.fields]

    with_ids = [(["Enrich (f1)"], ["Enrich (f2)"])]
    assert functions(differ(of("f1", "f1", "f2"), of("f2", "f1", "f2"))) == with_ids
    assert functions(differ(of("f1", "f1"), of("f2", "f2"))) == with_ids
