"""A few seeds of the random mixes of faults; `python -m tests.fault_seeds` runs many."""

from collections.abc import Iterator

import pytest

from tests import examples
from tests.fault_seeds import Bench, run_seed


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench.open() as made:
        yield made


@pytest.mark.parametrize("seed", range(examples(25)))
def test_whatever_befalls_it_a_command_does_what_it_promised_or_says_so_and_a_plain_run_finishes_it(
    seed: int, bench: Bench
) -> None:
    ending = run_seed(seed, bench)
    assert not ending.problem, f"{ending.job}: {ending.mix}: {ending.problem}"
