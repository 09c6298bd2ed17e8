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
from jitsu_backup.sandbox import Sandbox, State, default_state, seed_snapshot, serve
from jitsu_backup.sandbox.state import OWNER
from tests.generate import Generator

PATH = "/_benchmark"


class Recorder:
    """An ASGI application around a sandbox, which it makes anew when it is told so."""

    def __init__(self) -> None:
        self.latency, self.log = 0.0, [dict[str, Any]() for _ in range(0)]
        self.known: dict[tuple[str, str, str], list[Any]] | None = None
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
        target = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        etag = dict(scope["headers"]).get(b"if-none-match", b"").decode()
        asked = (scope["method"], target, etag)
        if self.known is None:
            await self.sandbox.app(scope, listen, send)
        else:
            await self._answer(self.known.setdefault(asked, []), scope, listen, send)
        self.log.append(
            {"method": scope["method"], "target": target, "body": body.decode(), "began": began,
             "ended": time.perf_counter(), "etag": etag}
        )  # fmt: skip

    async def _answer(self, known: list[Any], scope: Any, listen: Any, send: Any) -> None:
        """Answer as before where the same was asked before."""
        if known:
            for message in known:
                await send(message)
            return

        async def keep(message: Any) -> None:
            known.append(message)
            await send(message)

        await self.sandbox.app(scope, listen, keep)

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
        if "same_answers" in given:
            self.known = {} if given["same_answers"] else None
        if "workspaces" in given:
            self.sandbox = Sandbox(_filled(*given["workspaces"]), rate_limit=False)
        return {}


def _filled(count: int, size: int) -> State:
    """Give a console of `count` workspaces of about `size` entities, whose only member is its owner."""
    state = default_state()
    state.workspaces.clear()
    for number in range(count):
        workspace_id = f"cworkspace000000000000{number:04d}"
        state.add_workspace(workspace_id, f"Team {number}", f"team-{number}", {OWNER.id: "owner"})
        Generator(state, number).fill(workspace_id, size)
    return state


class Served:
    """The console as a benchmark sees it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def begin(self, **settings: Any) -> None:
        """Forget what was asked; set `latency` in seconds, and with `archive` (a path, or None) begin anew.

        With `workspaces`, a number and how many entities each has about, begin anew with so many. With `same_answers`, what
        was asked before is answered as it was then, at no cost: the sandbox takes longer for a request than a client does.
        """
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
