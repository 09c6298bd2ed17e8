"""What a plan of a recovery says is what the run then does."""

from pathlib import Path

import pytest

from jitsu_backup.reports.recovery_values import written
from jitsu_backup.sandbox import Generation
from jitsu_backup.sandbox.state import REVERSE_ETL
from tests.recovery.kit import World


def lost(tmp_path: Path, generation: Generation, into: Generation | None = None, **options: bool) -> World:
    """Return a world whose console had one workspace, and a new, empty console of the generation `into`."""
    world = World(tmp_path, generation, **options)
    world.add("team-blue")
    world.back_up()
    if into is not None:
        world.generation, world.new = into, world.console()
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
