"""What a snapshot can hold, everything can show, plan and compare: the console takes odd shapes where it checks none."""

import copy
import io
from collections.abc import Iterator
from typing import Any

import pytest
import rich.console
from hypothesis import given, settings, strategies as st

from jitsu_backup.archive import decode, digest, encode, to_tree
from jitsu_backup.catalogue import dangling_references
from jitsu_backup.errors import BackupError
from jitsu_backup.model import Snapshot
from jitsu_backup.planning import Ids, PlanOptions, compare, make_plan
from jitsu_backup.reports import changes_view, entity_table, plan_view, snapshot_view
from jitsu_backup.reports.html import changes_page, plan_page, snapshot_page
from jitsu_backup.sandbox import known_schemas
from tests import examples
from tests.support import make_snapshot, recorded_snapshot

ODD: list[Any] = [
    5,
    None,
    "x",
    True,
    [],
    {},
    [5],
    [None],
    [[]],
    [{}],
    {"a": 5},
    {"functionId": 5},
    [{"functionId": None}],
    [{"id": 5}],
    1e300,
    -1,
]


def lists_of(snapshot: Snapshot) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in snapshot.manifest.counts}
    for entity in snapshot.entities:
        found[entity.key.type].append(copy.deepcopy(dict(entity.body)))
    return found


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every path inside an entity's body but its id."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        if (*at, step) != ("id",):
            yield (*at, step)
            yield from places(inner, (*at, step))


def put(value: Any, path: tuple[Any, ...], odd: Any) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = odd


def look_at_all_of(snapshot: Snapshot, plain: Snapshot) -> None:
    console = rich.console.Console(file=io.StringIO(), width=80)
    again = decode(encode(snapshot))
    to_tree(again)
    dangling_references(again)
    console.print(snapshot_view(again, digest(again)), entity_table(again.entities, again))
    snapshot_page(again, digest(again))
    empty = make_snapshot({name: [] for name in plain.manifest.counts}, workspace_id="elsewhere")
    for one, other in ((again, plain), (plain, again), (again, empty)):
        changes = compare(one, other, known_schemas())
        console.print(changes_view(changes))
        changes_page(changes)
        for options in (
            PlanOptions(schemas=known_schemas(), prune=True),
            PlanOptions(schemas=known_schemas(), allow_missing_secrets=True, ids=Ids.NEW, match_by_name=True),
        ):
            try:
                plan = make_plan(one, other, options)
            except BackupError:
                continue
            console.print(plan_view(plan, verbose=True))
            plan_page(plan, one, other)


RECORDED = recorded_snapshot()
PLACES = [
    (name, at, path)
    for name, bodies in lists_of(RECORDED).items()
    for at, body in enumerate(bodies)
    for path in places(body)
]


@settings(deadline=None, max_examples=examples(25))  # each plans and compares ten times
@given(st.sampled_from(PLACES), st.sampled_from(ODD))
def test_any_value_at_any_place_is_shown_planned_and_compared(place: Any, odd: Any) -> None:
    name, at, path = place
    lists = lists_of(RECORDED)
    put(lists[name][at], path, odd)
    look_at_all_of(make_snapshot(lists), RECORDED)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("link", ("data", "functions")), ("link", ("data", "functionsEnv")), ("link", ("data",)), ("link", ("fromId",)),
        ("stream", ("publicKeys",)), ("stream", ("privateKeys",)), ("stream", ("domains",)), ("misc", ("value",)),
        ("profile-builder", ("functions",)), ("profile-builder", ("connectionOptions",)), ("function", ("code",)),
        ("destination", ("destinationType",)), ("service", ("credentials",)), ("domain", ("name",)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("odd", [5, None, "x", [5], {"a": 5}, [{"id": 5}]], ids=repr)
def test_fields_that_are_read_may_hold_anything(name: str, field: tuple[str, ...], odd: Any) -> None:
    lists = lists_of(RECORDED)
    for body in lists[name]:
        holder = body
        for step in field[:-1]:
            holder[step] = holder[step] if isinstance(holder.get(step), dict) else {}
            holder = holder[step]
        holder[field[-1]] = copy.deepcopy(odd)
    look_at_all_of(make_snapshot(lists), RECORDED)
