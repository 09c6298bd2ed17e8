"""Two runs at once make nothing twice: a few rounds of `python -m tests.at_once`."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from jitsu_backup.sandbox import Generation
from tests import DEEP
from tests.at_once import BLOCKED, DONE, INCOMPLETE, PAIRS, STORES, Round, play
from tests.zygote import Zygote, zygote

GENERATIONS = dict(
    zip(STORES, (Generation.JULY_2026, Generation.OCTOBER_2024, Generation.NEWEST), strict=True)
)


@pytest.fixture(scope="module")
def forges() -> Iterator[list[Zygote]]:
    with ExitStack() as stack:
        yield [stack.enter_context(zygote()) for _ in range(2)]


@pytest.mark.parametrize(
    ("store", "killed"),
    [
        (store, killed)
        for store in STORES
        for killed in (False, True)
        if DEEP or not killed or store == STORES[1]
    ],
)
@pytest.mark.parametrize("pair", PAIRS)
def test_two_runs_at_once_make_nothing_twice(
    pair: str, store: str, killed: bool, forges: list[Zygote], tmp_path: Path
) -> None:
    in_place = pair.endswith("in place")
    seed = 10 * PAIRS.index(pair) + STORES.index(store)
    generation = GENERATIONS[store]
    one = Round(seed, pair.removesuffix(" in place"), in_place, generation, store, killed)
    ending = play(one, forges, tmp_path / "round")
    assert ending.well(one), (ending.codes, ending.twice, ending.twice_at_last, ending.log)
    assert all(code in (DONE, INCOMPLETE, BLOCKED, -9) for code in ending.codes), ending.log
    assert killed or any(code in (DONE, INCOMPLETE) for code in ending.codes)
