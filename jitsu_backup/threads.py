"""Blocking calls in daemon threads."""

import asyncio
import threading
from collections.abc import Callable
from concurrent import futures
from typing import TypeVar

T = TypeVar("T")


async def in_thread(job: Callable[[], T], name: str) -> T:
    """Run a blocking call in a daemon thread called `name`, and return its result.

    A caller that is cancelled leaves the thread behind. The process can end before the thread does.
    """
    done = futures.Future[T]()
    done.set_running_or_notify_cancel()  # a cancelled caller no longer matters

    def run() -> None:
        try:
            done.set_result(job())
        except BaseException as failure:  # noqa: BLE001  raised again where it is awaited
            done.set_exception(failure)

    threading.Thread(target=run, daemon=True, name=name).start()
    return await asyncio.wrap_future(done)
