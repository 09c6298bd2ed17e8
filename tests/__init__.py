"""The tests. Hypothesis fails none of them because the machine is slow: speed is measured by the benchmarks."""

from hypothesis import HealthCheck, settings

settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")
