"""The Python API for programs without an event loop: the same functions, that wait. Notebooks may use them too."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from jitsu_backup import api
from jitsu_backup.api import Connection, Prepared, connect, diff, dump, load
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.restore import Result

T = TypeVar("T")

__all__ = ["Connection", "Prepared", "apply", "connect", "diff", "dump", "load", "plan", "read"]


def read(connection: Connection, workspace: str) -> Snapshot:
    """Do what `api.read` does, and wait for it."""
    return _wait(api.read(connection, workspace))


def plan(connection: Connection, snapshot: Snapshot, into: str, **options: Any) -> Prepared:
    """Do what `api.plan` does, and wait for it."""
    return _wait(api.plan(connection, snapshot, into, **options))


def apply(connection: Connection, prepared: Prepared, **options: Any) -> Result:
    """Do what `api.apply` does, and wait for it."""
    return _wait(api.apply(connection, prepared, **options))


def _wait(job: Coroutine[Any, Any, T]) -> T:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(job)
    # a notebook has a loop already, which cannot be entered twice
    ended: list[T | BaseException] = []
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = []

    async def cancellable() -> T:
        task = asyncio.ensure_future(job)
        loops.append((asyncio.get_running_loop(), task))
        return await task

    def run() -> None:
        try:
            ended.append(asyncio.run(cancellable()))
        except BaseException as problem:  # noqa: BLE001  raised again where it is waited for
            ended.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    caller = asyncio.current_task()
    try:
        while thread.is_alive():
            thread.join(0.1)
            if caller is not None and caller.cancelling():
                raise asyncio.CancelledError  # noqa: TRY301  so asyncio.run tells a task of Ctrl-C
    except BaseException:  # whoever interrupts the cell means the work too
        for loop, task in loops:
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    result = ended[0]
    if isinstance(result, BaseException):
        raise result
    return result
