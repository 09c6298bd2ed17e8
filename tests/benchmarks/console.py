"""A sandbox in a process of its own, with a latency, that writes down what it is asked.

`python -m tests.benchmarks.console` serves until its standard input ends; the settings come by POST to /_benchmark.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson

from jitsu_backup.archive import decode
from jitsu_backup.sandbox import Sandbox, default_state, seed_snapshot, serve

PATH = "/_benchmark"


class Recorder:
    """An ASGI application around a sandbox, which it makes anew when it is told so."""

    def __init__(self) -> None:
        self.latency, self.log = 0.0, [dict[str, Any]() for _ in range(0)]
        self.sandbox = Sandbox(default_state(), rate_limit=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = bytearray()

        async def listen() -> Any:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        if scope["path"] == PATH:
            while (await listen()).get("more_body"):
                pass
            answer = self._settings(scope["method"], bytes(body))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": orjson.dumps(answer)})
            return
        began = time.perf_counter()
        if self.latency:
            await asyncio.sleep(self.latency)
        await self.sandbox.app(scope, listen, send)
        target = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        self.log.append(
            {"method": scope["method"], "target": target, "body": body.decode(), "began": began,
             "ended": time.perf_counter(), "etag": dict(scope["headers"]).get(b"if-none-match", b"").decode()}
        )  # fmt: skip

    def _settings(self, method: str, body: bytes) -> Any:
        if method == "GET":
            return sorted(self.log, key=lambda line: line["began"])
        given = orjson.loads(body)
        self.log.clear()
        self.latency = given.get("latency", self.latency)
        if "archive" in given:
            state = default_state()
            if given["archive"]:
                seed_snapshot(state, decode(Path(given["archive"]).read_bytes()))
            self.sandbox = Sandbox(state, rate_limit=False)
        return {}


class Served:
    """The console as a benchmark sees it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def begin(self, **settings: Any) -> None:
        """Forget what was asked; set `latency` in seconds, and with `archive` (a path, or None) begin anew."""
        httpx.post(self.url + PATH, json=settings, timeout=120).raise_for_status()

    def log(self) -> list[dict[str, Any]]:
        """Give what was asked since, in order."""
        found: list[dict[str, Any]] = httpx.get(self.url + PATH, timeout=120).json()
        return found


@contextmanager
def console() -> Iterator[Served]:
    """Serve while the context lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.console"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Served(json.loads(process.stdout.readline())["url"])
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def round_trips(log: list[dict[str, Any]]) -> int:
    """Give the length of the longest chain of requests of which each began when the one before had ended."""
    chain, end = 0, 0.0
    for line in sorted(log, key=lambda line: line["ended"]):
        if line["began"] >= end:
            chain, end = chain + 1, line["ended"]
    return chain


def main() -> None:
    def until_closed() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGTERM)

    recorder = Recorder()
    served = Sandbox(default_state())
    served.app = recorder  # type: ignore[assignment]
    threading.Thread(target=until_closed, daemon=True).start()
    serve(served, "127.0.0.1", 0, lambda url: print(json.dumps({"url": url}), flush=True))


if __name__ == "__main__":
    main()
