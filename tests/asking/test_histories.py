"""No random history of a workspace loses a change; `python -m tests.asking` runs 10,000 interleavings."""

from collections import Counter

from tests import DEEP
from tests.asking.random_histories import run_history


def test_after_every_interleaving_the_newest_archive_is_the_workspace() -> None:
    made = sum((run_history(seed, 25) for seed in range(4 if DEEP else 2)), Counter[str]())
    assert made["only asked"]
    assert made["read whole"]
