"""A proxy with faults: raw sockets in front of a console, of which the client knows nothing."""

import asyncio
import contextlib
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from jitsu_backup.sandbox.server import _listen, _url

Scope = MutableMapping[str, Any]

OUTAGES = (
    "Can't reach database server at `postgres:5432`\n\nPlease make sure your database server is running at `postgres:5432`.",
    "Timed out fetching a new connection from the connection pool. More info: http://pris.ly/d/connection-pool",
    "Server has closed the connection.",
    "Transaction API error: Transaction already closed: the timeout for this transaction was 5000 ms",
    "Transaction failed due to a write conflict or a deadlock. Please retry your transaction",
    "FATAL: sorry, too many clients already",
    "FATAL: the database system is starting up",
    "FATAL: terminating connection due to administrator command",
    "connect ECONNREFUSED 10.0.0.5:5432",
    "getaddrinfo EAI_AGAIN postgres",
    "fetch failed",
)
"""The console's answer, with status 500, while its database is away."""

EITHER = ("cut-before", "stall", "outage", "500", "502", "503", "504", "page", "oversized")
"""The kinds of faults that occur whether the console has received the request or not."""

UNREACHED = ("cut-request", "429", "429-bare", "redirect", "404", "stranger")
REACHED = ("delay", "throttle", "cut-in", "cut-after", "mistyped", "truncated")
KINDS = (*EITHER, *UNREACHED, *REACHED)

_PAGE = b"<!DOCTYPE html><html><head><title>Sorry</title></head><body><h1>Sorry</h1></body></html>"
_HTML = [(b"content-type", b"text/html; charset=utf-8")]
_JSON = [(b"content-type", b"application/json; charset=utf-8")]
_SLICE = 64
_STALL = 5.0


@dataclass(frozen=True, slots=True)
class Call:
    """A request before it is forwarded; `number` counts from 1."""

    number: int
    method: str
    target: str


@dataclass(frozen=True, slots=True)
class Fault:
    """The fault of a request: one of KINDS, `kill`, or `late`, where the console receives it after the next one like it.

    `reached` says whether the console receives it nevertheless.

    `share`, from 0 to 1, says how much, how long, or which.
    """

    kind: str
    reached: bool = False
    share: float = 0.5


@dataclass(slots=True)
class _Reply:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def sent(self, length: int | None = None) -> bytes:
        lines = [b"HTTP/1.1 %d x" % self.status, *(b"%s: %s" % pair for pair in self.headers)]
        if self.status != 304:
            lines.append(b"content-length: %d" % (len(self.body) if length is None else length))
        return b"\r\n".join(lines) + b"\r\n\r\n" + self.body


class Faults:
    """A proxy to the ASGI application `app` that asks `choose` for the fault of every request."""

    oversize = 2**20

    def __init__(self, app: Any, choose: Callable[[Call], Fault | None]) -> None:
        self.app, self.choose, self.number, self.befallen = app, choose, 0, 0
        self.victim: list[int] = []
        self.url, self._open = "", 0
        self._late: list[tuple[bytes, bytes]] = []
        self._tasks: set[asyncio.Task[Any]] = set()  # an event loop keeps no reference to its tasks

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        await self.app(scope, receive, send)

    @contextlib.contextmanager
    def running(self) -> Iterator[str]:
        """Listen on a free loopback port in a separate thread while the context lasts; yield the base URL."""
        with contextlib.closing(_listen("127.0.0.1", 0)) as own:
            self.url = _url(own)
            ready: list[Callable[[], None]] = []
            began = threading.Event()

            async def serve() -> None:
                over = asyncio.Event()
                loop = asyncio.get_running_loop()
                ready.append(lambda: loop.call_soon_threadsafe(over.set))
                async with await asyncio.start_server(self._connected, sock=own) as server:
                    began.set()
                    await over.wait()
                    server.close()  # first, because another request may come while the others end
                    while left := (asyncio.all_tasks() | self._tasks) - {asyncio.current_task()}:
                        for task in left:
                            task.cancel()
                        await asyncio.gather(*left, return_exceptions=True)

            thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
            thread.start()
            assert began.wait(20)
            try:
                yield self.url
            finally:
                ready[0]()
                thread.join(20)

    def drain(self) -> None:
        """Wait, once the client is gone, until the console has received everything that it sent."""
        ends = time.monotonic() + 10
        while self._open and time.monotonic() < ends:
            time.sleep(0.002)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the proxy ends
        finally:
            self._open -= 1
            with contextlib.suppress(asyncio.CancelledError):
                await _closed(writer)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection stays open."""
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")),
            0,
        )
        fault = None
        if not target.startswith("/_sandbox"):
            self.number += 1
            fault = self.choose(Call(self.number, method, target))
        self.befallen += fault is not None
        if fault is not None and fault.kind == "cut-request":
            await reader.readexactly(length // 2)
            return _reset(writer)
        body = await reader.readexactly(length)
        if fault is not None and fault.kind == "late":
            self._late.append((head, body))
            return _reset(writer)
        reply = None
        if fault is None or fault.reached or fault.kind in REACHED or fault.kind == "kill":
            reply = await self._forwarded(head, body)
            for late in [late for late in self._late if late[0].split(b"\r\n")[0] == head.split(b"\r\n")[0]]:
                self._late.remove(late)
                await self._forwarded(*late)
        if fault is None:
            writer.write(_reply_of(reply).sent())
            await writer.drain()
            return True
        return await self._befall(fault, reply, reader, writer)

    async def _befall(
        self,
        fault: Fault,
        reply: _Reply | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        made = self._made(fault)
        if made is None and reply is not None:
            made = reply
        match fault.kind:
            case "kill":
                os.kill(self.victim[0], signal.SIGKILL)
                return _reset(writer)
            case "cut-before":
                return _reset(writer) if fault.share < 0.5 else False
            case "stall":  # until the client gives up
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), _STALL)
                return _reset(writer)
            case "delay":
                await asyncio.sleep(0.05 * fault.share)
            case "cut-in":
                sent = _reply_of(made).sent()
                writer.write(sent[: max(1, int(len(sent) * fault.share))])
                await writer.drain()
                return False
            case "throttle":
                sent = _reply_of(made).sent()
                step = max(_SLICE, len(sent) // 40)
                for begin in range(0, len(sent), step):
                    writer.write(sent[begin : begin + step])
                    await writer.drain()
                    await asyncio.sleep(0.005)
                return True
            case "mistyped":
                kind = (b"text/plain", b"text/html", b"application/octet-stream", b"")[
                    int(fault.share * 3.99)
                ]
                headers = [pair for pair in _reply_of(made).headers if pair[0] != b"content-type"]
                made = _Reply(
                    _reply_of(made).status, [*headers, (b"content-type", kind)], _reply_of(made).body
                )
            case "truncated":
                whole = _reply_of(made)
                made = _Reply(whole.status, whole.headers, whole.body[: int(len(whole.body) * fault.share)])
        writer.write(_reply_of(made).sent())
        await writer.drain()
        return fault.kind != "cut-after"

    def _made(self, fault: Fault) -> _Reply | None:
        """Return the answer that replaces that of the console."""
        match fault.kind:
            case "502" | "503" | "504":
                return _Reply(int(fault.kind), _HTML, _PAGE)
            case "429":
                seconds = b"%d" % (1 + int(fault.share * 40))
                return _Reply(429, [*_HTML, (b"retry-after", seconds)], _PAGE)
            case "429-bare":
                return _Reply(429, _HTML, _PAGE)
            case "outage":
                text = OUTAGES[int(fault.share * (len(OUTAGES) - 0.01))]
                invocation = f"\nInvalid `prisma.configurationObject.findMany()` invocation:\n\n\n{text}"
                message = invocation if fault.share < 0.5 else text
                body = {"error": message, "details": message, "stackArray": ["at x"], "status": 500}
                return _Reply(500, _JSON, orjson.dumps(body))
            case "500":  # an answer that nobody has foreseen
                return _Reply(
                    500, _JSON, orjson.dumps({"error": "x is not a function", "stackArray": ["at x"]})
                )
            case "404":  # an ingress without a console behind it
                return _Reply(404, [(b"content-type", b"text/plain")], b"default backend - 404")
            case "stranger":  # another server at that address
                return _Reply(200, _JSON, b'{"status": "ok"}' if fault.share < 0.5 else b"[]")
            case "page":
                return _Reply(200, _HTML if fault.share < 0.7 else _JSON, _PAGE)
            case "oversized":
                return _Reply(200, _JSON, b'{"objects": [' + b" " * (self.oversize + 1) + b"]}")
            case "redirect":
                where = b"https://login.example.com/?next=x"
                return _Reply(302 if fault.share < 0.5 else 308, [(b"location", where)], b"")
        return None

    async def _forwarded(self, head: bytes, body: bytes) -> _Reply:
        """Hand a request to the application; return the whole answer."""
        first, *lines = head.rstrip(b"\r\n").split(b"\r\n")
        method, target, _ = first.decode().split(" ")
        headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
        request = httpx.Request(method, f"{self.url}{target}", headers=headers, content=body)
        answer = await httpx.ASGITransport(self).handle_async_request(request)
        content = await answer.aread()
        return _Reply(
            answer.status_code,
            [
                (name.lower(), value)
                for name, value in answer.headers.raw
                if name.lower() != b"content-length"
            ],
            content,
        )


def _reply_of(reply: _Reply | None) -> _Reply:
    assert reply is not None
    return reply


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _reset(writer: asyncio.StreamWriter) -> bool:
    """Drop a connection at once, with a reset."""
    own = writer.get_extra_info("socket")
    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False
