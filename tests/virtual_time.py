"""An event loop whose clock only jumps: as soon as nothing is left to do, to where the next sleeper wakes.

So sleepers side by side take the time of the longest, as they do for real, and nobody waits.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` begins at `start`, seconds since 1970."""

    def __init__(self, start: float = 1_795_460_400.0) -> None:
        self.now = start
        selector = selectors.DefaultSelector()
        super().__init__(selector)
        self._clock_resolution = 1e-3  # so far from zero, floats round more than a real clock does
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
    """Run a coroutine to its end on a clock that jumps."""
    with asyncio.Runner(loop_factory=lambda: loop or VirtualLoop()) as runner:
        return runner.run(job)
