"""Random mixes of faults, by seed: `python -m tests.fault_seeds` runs many."""

from tests.fault_seeds.bench import Bench
from tests.fault_seeds.seed import run_seed

__all__ = ["Bench", "run_seed"]
