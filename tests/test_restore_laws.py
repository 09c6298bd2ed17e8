"""Laws of restoring, over random workspaces: from every generation of the console to every other."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from jitsu_backup.model import Entity, Snapshot
from jitsu_backup.operations.restore import Result
from jitsu_backup.planning import ActionKind, BeyondUpdate, Overlay, PlanOptions
from jitsu_backup.sandbox import Generation, Sandbox, default_state
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
    writes,
)

HOST = "http://other.example"
SEEDS, SIZES = st.integers(0, 2**32), st.one_of(st.integers(0, 12), st.integers(0, 200))
LAW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def workspace(
    seed: int, size: int, generation: Generation = Generation.JULY_2026
) -> tuple[Sandbox, Generator]:
    state = default_state(generation=generation)
    generator = Generator(state, seed)
    generator.fill(STAGING, size)
    return Sandbox(state, rate_limit=False), generator


@pytest.mark.parametrize("generation", [Generation.JULY_2026, Generation.OCTOBER_2024])
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
    assert comparable(before, id_map(result)) == comparable(after, {})
    assert no_mask_is_stored(target.state)
    target.requests.clear()
    again = run(restore(lambda: console_of(target, HOST), before))
    assert (writes(target), again.plan.writes) == (0, ())


@pytest.mark.parametrize("generation", [Generation.JULY_2026, Generation.OCTOBER_2024])
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
    options = {"prune": True, "accept_shrink": True, "recreate": recreate, "overlay": Overlay()}
    result = run(restore(lambda: console_of(sandbox), before, STAGING, **options))
    reasons = {line.reason for line in result.found}
    unreachable = {BeyondUpdate.UNREACHABLE} if not recreate else set()
    by_ends = (
        {"not in the snapshot, but the console deletes connections by their ends and another has the same"}
        if generation.is_2024
        else set()
    )
    assert reasons <= unreachable | by_ends, result.found
    after = run(read(console_of(sandbox), STAGING))
    ids = {k.id: new for k, new in result.plan.ids.items() if k.type != "link"}
    mine, theirs = without_residue(before, result, ids), without_residue(after, result, {})
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


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [(Generation.JULY_2026, Generation.OCTOBER_2024), (Generation.OCTOBER_2024, Generation.JULY_2026)],
)
@given(seed=SEEDS, size=st.integers(0, 40))
@LAW
def test_between_generations_everything_that_the_target_can_take_arrives_and_the_rest_is_named(
    theirs: Generation, ours: Generation, seed: int, size: int
) -> None:
    source, _ = workspace(seed, size, theirs)
    target = Sandbox(default_state(generation=ours), rate_limit=False)
    before = run(read(console_of(source), STAGING))
    options = PlanOptions(overlay=stand_ins(before))
    plan = run(prepare(console_of(target, HOST), PRODUCTION, before, options, lambda _: None)).plan
    assert all("would refuse it" in a.reason or "is blocked" in a.reason for a in plan.blocked), plan.blocked
    skip = tuple(str(action.key) for action in plan.blocked)
    result = run(restore(lambda: console_of(target, HOST), before, skip=skip))
    told = (
        "does not know this type", "does not know this field", "keeps no profile builders", "keeps no cursors",
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
