"""No random history of a workspace loses a change; `python -m tests.asking` runs 10,000 interleavings."""

import pytest

from tests.asking.random_histories import run_history


@pytest.mark.parametrize("seed", range(4))
def test_after_every_interleaving_the_newest_archive_is_the_workspace(seed: int) -> None:
    made = run_history(seed, 25)
    assert made["only asked"]
    assert made["read whole"]
