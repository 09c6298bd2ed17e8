"""The Python API for programs without an event loop: the same functions, but blocking. They work in notebooks too."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from concurrent import futures
from typing import Any, ParamSpec, TypeVar

from anyio.from_thread import start_blocking_portal

from jitsu_backup import api
from jitsu_backup.api import (  # noqa: F401  these do not wait, and are exported as they are
    ArchiveKeys,
    Connection,
    Folder,
    Prepared,
    Recovery,
    connect,
    diff,
    dump,
    load,
    open_folder,
)

P = ParamSpec("P")
T = TypeVar("T")

POLL_SECONDS = 0.1

__all__ = []
__all__ += api.__all__


def _waiting(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Return a blocking version of a coroutine function."""

    @functools.wraps(work)
    def wait(*args: P.args, **options: P.kwargs) -> T:
        return _wait(work(*args, **options))

    return wait


def _wait(job: Coroutine[Any, Any, T]) -> T:
    try:
        caller = asyncio.current_task()
    except RuntimeError:
        return asyncio.run(job)

    async def work() -> T:
        return await job

    # a notebook already runs an event loop, which cannot be entered twice
    with start_blocking_portal() as portal:  # cancels the work if anything is raised here
        ended = portal.start_task_soon(work)
        while not futures.wait([ended], POLL_SECONDS).done:
            if caller is not None and caller.cancelling():  # how asyncio.run tells a task of Ctrl-C
                raise asyncio.CancelledError
        return ended.result()


apply = _waiting(api.apply)
backup = _waiting(api.backup)
clone = _waiting(api.clone)
drill = _waiting(api.drill)
fetch = _waiting(api.fetch)
history = _waiting(api.history)
plan = _waiting(api.plan)
plan_recovery = _waiting(api.plan_recovery)
prune = _waiting(api.prune)
read = _waiting(api.read)
recover = _waiting(api.recover)
restore = _waiting(api.restore)
verify = _waiting(api.verify)
watch = _waiting(api.watch)
