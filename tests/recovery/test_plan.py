"""What a plan of a recovery says is what the run then does."""

from pathlib import Path

import pytest

from jitsu_backup.reports.recovery import plan_summary
from jitsu_backup.reports.recovery_remarks import not_known
from jitsu_backup.reports.recovery_values import RecoveryReport, written
from jitsu_backup.sandbox import Generation
from jitsu_backup.sandbox.state import REVERSE_ETL
from tests.recovery.golden import shown
from tests.recovery.kit import World


def lost(tmp_path: Path, generation: Generation, into: Generation | None = None, **options: bool) -> World:
    """Return a world whose console had one workspace, and a new, empty console of the generation `into`."""
    world = World(tmp_path, generation, **options)
    world.add("team-blue")
    world.back_up()
    if into is not None:
        world.generation = into
        world.new = world.console()
    return world


@pytest.mark.parametrize("generation", Generation)
def test_the_plan_and_the_run_count_every_entity_of_an_archive(generation: Generation, tmp_path: Path) -> None:
    world = lost(tmp_path, generation)
    world.features = (REVERSE_ETL,) if generation.is_newest else ()
    run = world.recover()
    (planned,), (outcome,) = run.plan.workspaces, run.outcomes
    entities = planned.snapshot.entities
    needing = [one for one in entities if one.key.type in ("model", "reverse-sync")]  # a feature, off until made
    assert planned.writes == len(entities) - len(needing)
    assert written(outcome) == len(entities)


@pytest.mark.parametrize(
    ("generation", "into"),
    [
        (Generation.JULY_2026, Generation.OCTOBER_2024),
        (Generation.NEWEST, Generation.OCTOBER_2024),
        (Generation.NEWEST, Generation.JULY_2026),
    ],
)
def test_the_plan_for_an_older_and_empty_console_names_all_that_will_differ(
    generation: Generation, into: Generation, tmp_path: Path
) -> None:
    world = lost(tmp_path, generation, into)
    run = world.recover()
    (planned,), (outcome,) = run.plan.workspaces, run.outcomes
    assert outcome.result is not None
    assert set(planned.shortfalls) == set(outcome.result.found)
    assert written(outcome) == planned.writes
    told = " ".join(shown(plan_summary(RecoveryReport(run.plan, world.now())), verbose=True).split())
    assert ("so the sync starts over" in told) == into.is_2024
    assert ("does not support profile builders" in told) == into.is_2024
    assert "does not know this field" in told
    types = {line.key.type for line in planned.shortfalls if not line.path} - {"profile-builder"}
    assert set(not_known(planned)) == types
