"""An event loop in virtual time: when nothing is left to do, its clock jumps to when the next sleeper wakes.

Sleepers side by side take the time of the longest, as in real time, but nobody waits.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` begins at `start`, in seconds since 1970."""

    def __init__(self, start: float = 1_795_460_400.0) -> None:
        self.now = start
        selector = selectors.DefaultSelector()
        super().__init__(selector)
        self._clock_resolution = 1e-3  # at such numbers, floats are coarser than a real clock
        wait = selector.select

        def jump(timeout: float | None = None) -> Any:
            found = wait(0 if timeout is not None else None)
            if not found and timeout:
                self.now += timeout
            return found

        selector.select = jump  # type: ignore[method-assign]

    def time(self) -> float:
        return self.now


def run_virtually(job: Coroutine[Any, Any, Any], loop: VirtualLoop | None = None) -> Any:
    """Run a coroutine to its end in virtual time; return its result."""
    with asyncio.Runner(loop_factory=lambda: loop or VirtualLoop()) as runner:
        return runner.run(job)
