"""Laws of restoring, over random workspaces: from every generation of the console to every other."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from jitsu_backup.model import Entity, Snapshot
from jitsu_backup.operations.restore import Result
from jitsu_backup.planning import Action, ActionKind, BeyondUpdate, Overlay, PlanOptions
from jitsu_backup.sandbox import Generation, Sandbox, default_state
from tests import examples
from tests.generate import Generator, no_mask_is_stored
from tests.support import (
    PRODUCTION,
    STAGING,
    comparable,
    console_of,
    id_map,
    prepare,
    read,
    restore,
    run,
    stand_ins,
    switched_off,
    writes,
)

HOST = "http://other.example"
SEEDS, SIZES = st.integers(0, 2**32), st.one_of(st.integers(0, 12), st.integers(0, 200))
LAW = settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
OF_MANY = settings(LAW, max_examples=examples(6))
"""For a law with a test for each of many pairs of consoles."""


def workspace(
    seed: int, size: int, generation: Generation = Generation.JULY_2026
) -> tuple[Sandbox, Generator]:
    state = default_state(generation=generation)
    generator = Generator(state, seed)
    # the newest console asks a warehouse for every model
    generator.fill(STAGING, min(size, 40) if generation.is_newest else size)
    return Sandbox(state, rate_limit=False), generator


@pytest.mark.parametrize("generation", Generation)
@given(seed=SEEDS, size=SIZES)
@LAW
def test_a_backup_restored_elsewhere_and_backed_up_is_equal_up_to_the_id_map(
    generation: Generation, seed: int, size: int
) -> None:
    source, _ = workspace(seed, size, generation)
    target = Sandbox(default_state(generation=generation), rate_limit=False)
    before = run(read(console_of(source), STAGING))
    result = run(restore(lambda: console_of(target, HOST), before))
    assert result.found == []
    after = run(read(console_of(target, HOST), PRODUCTION))
    assert comparable(switched_off(before), id_map(result)) == comparable(after, {})
    assert no_mask_is_stored(target.state)
    target.requests.clear()
    again = run(restore(lambda: console_of(target, HOST), before))
    assert (writes(target), again.plan.writes) == (0, ())


@pytest.mark.parametrize("generation", Generation)
@pytest.mark.parametrize("recreate", [False, True], ids=["", "recreate"])
@given(seed=SEEDS, size=SIZES, changes=st.integers(0, 30))
@LAW
def test_a_workspace_changed_at_random_and_rolled_back_is_equal_up_to_ids_and_the_named_residue(
    generation: Generation, recreate: bool, seed: int, size: int, changes: int
) -> None:
    sandbox, generator = workspace(seed, size, generation)
    before = run(read(console_of(sandbox), STAGING))
    secrets = {i: row.config.get("password") for i, row in sandbox.state.objects.items()}
    generator.mutate(STAGING, changes)
    options = {
        "prune": True,
        "accept_shrink": True,
        "recreate": recreate,
        "overlay": Overlay(),
        "rebind": True,
    }
    result = run(restore(lambda: console_of(sandbox), before, STAGING, **options))
    reasons = {line.reason for line in result.found}
    unreachable = {BeyondUpdate.UNREACHABLE} if not recreate else set()
    by_ends = (
        {
            "not in the snapshot, but this console deletes connections by their ends, and another one has the same ends"
        }
        if generation.is_2024
        else set()
    )
    assert reasons <= unreachable | by_ends, result.found
    after = run(read(console_of(sandbox), STAGING))
    ids = {k.id: new for k, new in result.plan.ids.items() if k.type != "link"}
    again_off = made_again(result)
    mine = without_residue(switched_off(before, again_off), result, ids)
    theirs = without_residue(after, result, {})
    assert comparable(mine, ids) == comparable(theirs, {})
    assert no_mask_is_stored(sandbox.state)
    for (kind, old_id), new_id in result.plan.ids.items():
        if kind == "destination":  # no hidden password was lost on the way
            assert sandbox.state.objects[new_id].config.get("password") == secrets[old_id]
    for outcome in result.outcomes:  # a sync that was made again goes on where it was
        key = outcome.action.key
        if (
            key.type == "link"
            and outcome.action.kind is ActionKind.CREATE
            and outcome.action.target_id is None
        ):
            assert after.cursors.get(str(outcome.target_id), {}) == before.cursors.get(key.id, {})
    sandbox.requests.clear()
    again = run(restore(lambda: console_of(sandbox), before, STAGING, **options))
    assert (writes(sandbox), again.plan.writes) == (0, ())


def made_again(result: Result) -> set[str]:
    """The ids of the snapshot's reverse syncs that were made again, and so must be off."""
    return {
        o.action.key.id
        for o in result.outcomes
        if o.action.key.type == "reverse-sync" and o.action.kind is ActionKind.CREATE
    }


def without_residue(snapshot: Snapshot, result: Result, ids: dict[str, str]) -> Snapshot:
    """A snapshot without the fields that the report names, and without cursors."""
    named = {(r.key.type, i): {} for r in result.found for i in (r.key.id, ids.get(r.key.id))}
    for line in result.found:
        for key_id in (line.key.id, result.plan.ids.get(line.key)):
            named.setdefault((line.key.type, key_id), {})[line.path.partition(".")[0]] = True
    entities = tuple(
        Entity(e.key, {n: v for n, v in e.body.items() if n not in named.get(tuple(e.key), {})})
        for e in snapshot.entities
        if "" not in named.get(tuple(e.key), {})
    )
    return replace(snapshot, entities=entities, cursors={})


def blocked_by(sandbox: Sandbox, before: Snapshot, options: dict[str, Any]) -> tuple[Action, ...]:
    """What a rollback in place could not do."""
    plan = run(prepare(console_of(sandbox), STAGING, before, PlanOptions(**options), lambda _: None)).plan
    found: tuple[Action, ...] = plan.blocked
    return found


def rows_of(sandbox: Sandbox, workspace_id: str) -> dict[str, tuple[Any, ...]]:
    """What stands in the console's rows of a workspace, by id."""
    state = sandbox.state
    rows = {
        o.id: (dict(o.config), o.deleted) for o in state.objects.values() if o.workspace_id == workspace_id
    }
    links = [link for link in state.links.values() if link.workspace_id == workspace_id]
    return rows | {link.id: (link.from_id, link.to_id, dict(link.data or {}), link.deleted) for link in links}


@pytest.mark.parametrize("rebind", [False, True], ids=["", "rebind"])
@given(seed=SEEDS, size=SIZES, changes=st.integers(0, 30))
@OF_MANY
def test_what_a_sync_holds_or_runs_with_is_blocked_and_left_and_all_else_is_rolled_back(
    rebind: bool, seed: int, size: int, changes: int
) -> None:
    sandbox, generator = workspace(seed, size, Generation.NEWEST)
    before = run(read(console_of(sandbox), STAGING))
    generator.mutate(STAGING, changes)
    for _ in range(3):
        generator.syncs.let_run(STAGING)
    options: dict[str, Any] = {
        "prune": True, "accept_shrink": True, "overlay": Overlay(), "rebind": rebind, "skip": (),
    }  # fmt: skip
    known = (
        "cannot change: ", "is blocked", "uses it and stays", "use it and stay", "a webhook serves only one",
    )  # fmt: skip
    while blocked := blocked_by(sandbox, before, options):
        assert all(any(words in a.reason for words in known) for a in blocked), blocked
        options["skip"] += tuple(str(action.key) for action in blocked)
    was = rows_of(sandbox, STAGING)
    result = run(restore(lambda: console_of(sandbox), before, STAGING, **options))
    told = (BeyondUpdate.UNREACHABLE, "one of its attempts is running or waiting")
    # the console alone can tell that what is left as it is does not suit what was to be made beside it
    unsuitable = ("Could not inspect model columns", "requires a", "require mirror", "require insert")
    assume(
        not (options["skip"] and any(words in line.reason for words in unsuitable for line in result.found))
    )
    assert all(any(words in line.reason for words in told) for line in result.found), result.found
    now, skipped = rows_of(sandbox, STAGING), {text.partition("/")[2] for text in options["skip"]}
    skipped |= {new for key, new in result.plan.ids.items() if key.id in skipped}
    assert {i: row for i, row in was.items() if i in skipped} == {
        i: row for i, row in now.items() if i in skipped
    }
    ids = {k.id: new for k, new in result.plan.ids.items() if k.type != "link"}
    after = run(read(console_of(sandbox), STAGING))
    mine = without_residue(switched_off(before, made_again(result)), result, ids)
    theirs = without_residue(after, result, {})
    mine, theirs = (
        replace(side, entities=tuple(e for e in side.entities if e.key.id not in skipped))
        for side in (mine, theirs)
    )
    assert comparable(mine, ids) == comparable(theirs, {})
    sandbox.requests.clear()
    again = run(restore(lambda: console_of(sandbox), before, STAGING, **options))
    assert (writes(sandbox), again.plan.writes) == (0, ())


BETWEEN = [(one, other, True) for one in Generation for other in Generation if one is not other]


@pytest.mark.parametrize(
    ("theirs", "ours", "feature"), [*BETWEEN, (Generation.NEWEST, Generation.NEWEST, False)]
)
@given(seed=SEEDS, size=st.integers(0, 40))
@OF_MANY
def test_between_generations_everything_that_the_target_can_take_arrives_and_the_rest_is_named(
    theirs: Generation, ours: Generation, feature: bool, seed: int, size: int
) -> None:
    source, _ = workspace(seed, size, theirs)
    target = Sandbox(default_state(generation=ours), rate_limit=False)
    if not feature:
        target.state.workspaces[PRODUCTION].features = []
    before = run(read(console_of(source), STAGING))
    options = PlanOptions(overlay=stand_ins(before))
    plan = run(prepare(console_of(target, HOST), PRODUCTION, before, options, lambda _: None)).plan
    known = (
        "would reject it",
        "the target console requires",
        "is blocked",
        "accepts no events without",
        "does not know the destination",
    )
    assert all(any(words in a.reason for words in known) for a in plan.blocked), plan.blocked
    skip = tuple(str(action.key) for action in plan.blocked)
    result = run(restore(lambda: console_of(target, HOST), before, skip=skip))
    told = (
        "does not support this type", "does not know this field", "does not support profile builders", "does not store cursors",
        *(() if feature else ("the feature reverse-etl is switched off in the target", "is skipped")),
    )  # fmt: skip
    assert all(any(words in line.reason for words in told) for line in result.found), result.found
    acted = {action.key for action in result.plan.actions if action.kind is ActionKind.CREATE}
    after = run(read(console_of(target, HOST), PRODUCTION))
    owned = len(after.of_type("profile-builder"))
    assert len(after.entities) == len(acted) + owned
    skipped = {a.key for a in result.plan.actions if a.kind is ActionKind.SKIPPED}
    functions = {f["functionId"] for e in before.of_type("profile-builder") for f in e.body["functions"]}
    left = {e.key for e in before.entities if e.key.id not in functions} - acted - skipped
    assert {str(key) for key in left} <= {*skip}
    assert no_mask_is_stored(target.state)
    target.requests.clear()
    again = run(restore(lambda: console_of(target, HOST), before, skip=skip))
    assert (writes(target), again.plan.writes) == (0, ())
