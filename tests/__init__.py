"""The tests. Hypothesis fails none of them because the machine is slow: speed is measured by the benchmarks.

A run tries every law with a tenth of its examples, others each time. `HYPOTHESIS_PROFILE=deep` tries all, and steps over nothing.
"""

import os

from hypothesis import HealthCheck, settings

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"


def examples(most: int) -> int:
    """Return how many examples a law is tried with: all, or a tenth of them."""
    return most if DEEP else max(2, most // 10)


def every(step: int) -> int:
    """Return the step from one point to the next, where a test takes many points in turn: 1 where it is to take all."""
    return 1 if DEEP else step


settings.register_profile(
    "any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples(100)
)
settings.load_profile("any speed")
