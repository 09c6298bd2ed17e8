"""A console that fails: an ASGI application around the sandbox's, which cuts real connections."""

import os
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
KINDS = ("cut-before", "cut-after", "502-before", "504-after", "429", "truncated-after")


class Faults:
    """Asks `choose(number, method)` for every request which of KINDS befalls it, or `kill-after`, or None."""

    def __init__(self, app: Any, choose: Callable[[int, str], str | None]) -> None:
        self.app, self.choose, self.number, self.befallen = app, choose, 0, 0
        self.victim: list[int] = []

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        if scope["path"].startswith("/_sandbox"):
            await self.app(scope, receive, send)
            return
        self.number += 1
        fault = self.choose(self.number, scope["method"])
        if fault is None:
            await self.app(scope, receive, send)
            return
        self.befallen += 1
        if fault.endswith("-after"):
            await self.app(scope, receive, _swallow)
        if fault == "kill-after":
            os.kill(self.victim[0], signal.SIGKILL)
            raise ConnectionAbortedError
        if fault.startswith(("cut", "truncated")):
            body = b'{"objects": [{"id"' if fault.startswith("truncated") else b""
            await _begin(send, 200, body, (b"content-length", b"100000"))
            raise ConnectionAbortedError  # the server drops the connection in the middle of the reply
        status = 429 if fault == "429" else int(fault[:3])
        extra = ((b"retry-after", b"2"),) if status == 429 else ()
        await _begin(send, status, b"<html>no</html>", (b"content-type", b"text/html"), *extra)
        await send({"type": "http.response.body", "body": b""})


async def _begin(
    send: Callable[[Any], Awaitable[None]], status: int, body: bytes, *headers: tuple[bytes, bytes]
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _swallow(_message: Any) -> None:
    return
