"""The clock of this machine, for those who hand it to operations."""

import time


def seconds_of_this_boot() -> float:
    """Return seconds that count on while the machine sleeps, where it has such a clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
