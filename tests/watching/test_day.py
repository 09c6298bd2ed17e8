"""Hours with outages, limits, a second client, kills and a full disk lose nothing; `python -m tests.watching` runs a day."""

import random
from pathlib import Path

import pytest

from tests.virtual_time import run_virtually
from tests.watching.day import Day
from tests.watching.kit import Bench, TickingLoop


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_happens_every_change_comes_into_the_store(tmp_path: Path, seed: int) -> None:
    loop = TickingLoop()
    bench = Bench(loop, str(tmp_path / "store"))
    day = Day(bench, random.Random(seed), 120.0)
    run_virtually(day.pass_by(2.0, disturbed=True), loop)
    assert day.disturbances
    assert max(bench.delays.values()) < 2 * 1200 + 400
    assert max(day.quiet().values(), default=0) <= 15
