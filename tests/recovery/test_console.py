"""A console is lost, and brought back whole into a new one."""

from pathlib import Path

import pytest

from jitsu_backup.operations.recovery import Presence, RecoveryRun
from jitsu_backup.sandbox import Generation
from jitsu_backup.sandbox.state import OWNER as OWNER_USER, REVERSE_ETL
from tests.recovery.kit import OLD, SLUGS, World, add_workspace, left, problems, tables
from tests.support import OWNER

NEVER_BY_API = "the feature reverse-etl is switched off in the target"


def equal(world: World, *slugs: str) -> None:
    for slug in slugs or SLUGS:
        assert tables(world.new.state, slug) == tables(world.old.state, slug)


def lost(tmp_path: Path, generation: Generation = Generation.JULY_2026, **options: bool) -> World:
    world = World(tmp_path, generation, **options)
    world.add(*SLUGS)
    world.back_up()
    return world


@pytest.mark.parametrize("generation", [Generation.OCTOBER_2024, Generation.JULY_2026])
def test_a_lost_console_comes_back_equal_with_its_ids_and_write_keys(
    generation: Generation, tmp_path: Path
) -> None:
    world = lost(tmp_path, generation)
    run = world.recover(world.job(maker=world.connection(world.new, OWNER)))
    assert problems(run) == {}
    for planned, outcome in zip(run.plan.workspaces, run.outcomes, strict=True):
        was, came = planned.prepared, outcome.recovery.prepared
        assert was is not None
        assert came is not None
        assert [(a.kind, a.key) for a in was.plan.actions] == [(a.kind, a.key) for a in came.plan.actions]
    for outcome in run.outcomes:
        assert left(outcome) == []
        assert outcome.made
        assert not outcome.memberless
    equal(world)
    assert run.plan.made_keys == 0
    assert run.plan.source_host == OLD
    assert (run.plan.exit_code, run.exit_code) == (0, 0)


def test_what_needs_a_feature_that_no_key_can_switch_on_is_reported_and_comes_once_it_is_on(
    tmp_path: Path,
) -> None:
    world = lost(tmp_path, Generation.NEWEST)
    first = world.recover()
    assert {NEVER_BY_API in line or "is skipped" in line for one in first.outcomes for line in left(one)} == {
        True
    }
    assert (first.plan.exit_code, first.exit_code) == (3, 3)
    for row in world.new.state.workspaces.values():
        row.features = [REVERSE_ETL]
    second = world.recover()
    assert problems(second) == {}
    for slug in SLUGS:
        there, was = tables(world.new.state, slug), tables(world.old.state, slug)
        assert there["objects"] == was["objects"]
        assert len(there["links"]) == len(was["links"])  # reverse syncs come back disabled
    assert [line for one in second.outcomes for line in left(one) if "reverse-sync" not in line] == []


@pytest.mark.parametrize("generation", Generation)
def test_a_second_run_writes_nothing(generation: Generation, tmp_path: Path) -> None:
    world = lost(tmp_path, generation)
    world.recover()
    before = world.writes()
    again = world.recover()
    assert problems(again) == {}
    assert world.writes() == before
    assert not any(one.made for one in again.outcomes)
    assert {one.presence for one in again.plan.workspaces} == {Presence.THERE}


def test_the_operators_token_alone_makes_workspaces_too_and_says_that_nobody_is_a_member(
    tmp_path: Path,
) -> None:
    world = lost(tmp_path)
    run = world.recover()
    equal(world)
    assert all(one.made and one.memberless for one in run.outcomes)
    assert run.exit_code == 0
    assert [str(one.email) for one in run.outcomes[0].recovery.members] == [
        "owner@example.com",
        "reader@example.com",
    ]


def test_a_person_who_makes_workspaces_is_no_longer_to_be_invited(tmp_path: Path) -> None:
    world = lost(tmp_path)
    run = world.recover(world.job(OWNER))
    assert [[str(m.email) for m in one.members] for one in run.plan.workspaces] == [
        ["reader@example.com"]
    ] * 3
    assert [[str(m.email) for m in one.recovery.members] for one in run.outcomes] == [
        ["reader@example.com"]
    ] * 3
    assert [one.recovery.members[0].role for one in run.outcomes] == ["analyst"] * 3
    equal(world)
    for row in world.new.state.workspaces.values():
        assert row.access == {OWNER_USER.id: "owner"}


def test_options_are_set_again_where_the_console_can(tmp_path: Path) -> None:
    world = World(tmp_path, Generation.NEWEST)
    workspace_id = add_workspace(world.old.state, "team-blue", filled=False)
    world.old.state.workspaces[workspace_id].options = {
        "data-retention": {"kafkaRetentionHours": 24, "backupRetentionHours": 30 * 24},
        "observability-exports": {"enabled": True, "endpoint": "https://logs.example/in", "headers": []},
    }
    world.back_up()
    run = world.recover()
    (row,) = world.new.state.workspaces.values()
    assert row.options["data-retention"]["kafkaRetentionHours"] == 24
    assert row.options["data-retention"]["backupRetentionHours"] == 30 * 24
    assert row.options["observability-exports"]["endpoint"] == "https://logs.example/in"
    assert set(run.outcomes[0].options_set) == {"data-retention", "backup-retention", "observability-exports"}
    before = world.writes()
    world.recover()
    assert world.writes() == before


def test_an_option_that_the_archive_cannot_hold_is_left_to_a_person(tmp_path: Path) -> None:
    world = World(tmp_path, Generation.NEWEST)
    workspace_id = add_workspace(world.old.state, "team-blue", filled=False)
    headers = [{"name": "Authorization", "value": "Bearer not-to-be-told"}]
    world.old.state.workspaces[workspace_id].options = {
        "observability-exports": {"enabled": True, "endpoint": "https://logs.example/in", "headers": headers}
    }
    world.back_up()
    (outcome,) = world.recover().outcomes
    assert [one.section for one in outcome.options_left] == ["observability-exports"]
    assert "Authorization" in outcome.options_left[0].problem
    assert outcome.exit_code == 3


def test_workspaces_are_made_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    world = lost(tmp_path)
    world.recover(world.job(first=("team-red", "team-green")))
    assert [row.slug for row in world.new.state.workspaces.values()] == [
        "team-red",
        "team-green",
        "team-blue",
    ]


def limited(tmp_path: Path, count: int) -> tuple[World, RecoveryRun]:
    world = World(tmp_path)
    for number in range(count):
        add_workspace(world.old.state, f"team-{number:03d}")
    world.back_up()
    world.new.access.rate_limit = True
    return world, world.recover(world.job(OWNER))


def test_within_a_persons_limits_workspaces_are_made_as_fast_as_the_console_lets_a_key_make_them(
    tmp_path: Path,
) -> None:
    world, run = limited(tmp_path, 8)
    assert problems(run) == {}
    equal(world, *(f"team-{number:03d}" for number in range(8)))
    assert not [one for one in world.new.requests if one.status == 429]
    # two at once, then one a window; windows are aligned to the clock, which may cost one more
    assert run.plan.seconds == 6 * 300
    assert run.plan.seconds - 300 <= run.seconds <= run.plan.seconds + 300


@pytest.mark.parametrize("generation", Generation)
def test_a_plan_foresees_the_limits_of_the_console_that_it_is_for(
    generation: Generation, tmp_path: Path
) -> None:
    world = World(tmp_path, generation)
    for number in range(4):
        add_workspace(world.old.state, f"team-{number:03d}", filled=False)
    world.back_up()
    world.new.access.rate_limit = not generation.is_2024
    person = world.connection(world.new, OWNER)
    foreseen = 0 if generation.is_2024 else 2 * 300
    assert world.plan(world.job(OWNER)).seconds == foreseen
    assert world.plan(world.job(maker=person)).seconds == foreseen
    assert world.plan().seconds == 0


def test_what_waits_for_a_workspace_holds_up_none_that_is_there(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue", "team-green", "team-red", "team-white", "team-zero")
    world.back_up()
    add_workspace(world.new.state, "team-zero", filled=False)
    world.new.access.rate_limit = True
    ended: list[tuple[str, float]] = []
    began = world.seconds
    world.recover(
        world.job(OWNER), on_outcome=lambda one: ended.append((one.recovery.slug, world.time() - began))
    )
    times = dict(ended)
    assert times["team-zero"] < 120
    assert times["team-white"] > 120
