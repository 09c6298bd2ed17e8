"""Blocking calls in threads that nobody has to wait for."""

import asyncio
import threading
from collections.abc import Callable
from concurrent import futures
from typing import TypeVar

T = TypeVar("T")


async def in_thread(job: Callable[[], T], name: str) -> T:
    """Run a blocking call in a daemon thread of a name; return its result.

    Whoever is cancelled while it waits leaves the thread behind, and the process can end before it.
    """
    done = futures.Future[T]()
    done.set_running_or_notify_cancel()  # from here on a caller that has gone changes nothing

    def run() -> None:
        try:
            done.set_result(job())
        except BaseException as failure:  # noqa: BLE001  raised again where it is awaited
            done.set_exception(failure)

    threading.Thread(target=run, daemon=True, name=name).start()
    return await asyncio.wrap_future(done)
