"""Replies of a hostile or broken console, over real sockets: what they cost is bounded, in memory and in time."""

import asyncio
import gzip
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import orjson
import pytest

from jitsu_backup.console import Console, bodies
from jitsu_backup.console.admin_exports import read_exports
from jitsu_backup.console.console_info import read_schemas
from jitsu_backup.errors import BackupError, ConsoleError, UnreachableError
from tests.support import STAGING, Meddling, console_of, example_sandbox, read, run

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


async def no_time(_seconds: float) -> None:
    """Wait for nothing."""


def ask(answer: Answer, *, timeout: float = 60.0, key: str = "k:s") -> object:
    """GET the list of workspaces of a console that answers so."""

    async def job() -> object:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while await reader.readuntil(b"\r\n\r\n"):
                    await answer(writer)
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            port = server.sockets[0].getsockname()[1]
            async with Console(f"http://127.0.0.1:{port}", key, sleep=no_time, timeout=timeout) as console:
                return await console.get("/api/workspace")
        finally:
            server.close()

    return run(job())


def with_body(body: bytes, *headers: str) -> Answer:
    lines = "".join(f"{line}\r\n" for line in headers).encode()

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + lines + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    return answer


def test_a_compressed_reply_is_read() -> None:
    for body, coding in (
        (gzip.compress(b'{"a": 1}'), "gzip"),
        (zlib.compress(b'{"a": 1}'), "deflate"),
        (b'{"a": 1}', "identity"),
    ):
        assert ask(with_body(body, f"Content-Encoding: {coding}")) == {"a": 1}


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Encoding: gzip, gzip"],
        ["Content-Encoding: gzip", "Content-Encoding: gzip"],
        ["Content-Encoding: br"],
    ],
)
def test_layers_of_coding_and_unknown_ones_are_refused_before_they_are_decoded(lines: list[str]) -> None:
    bomb = gzip.compress(gzip.compress(b"0" * 2**24))
    tracemalloc.start()
    try:
        with pytest.raises(UnreachableError, match="could not be decoded"):
            ask(with_body(bomb, *lines))
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_one_layer_is_decoded_in_steps_under_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_REPLY_BYTES", 2**20)
    bomb = gzip.compress(b"0" * 2**28)
    tracemalloc.start()
    try:
        with pytest.raises(BackupError, match="more than"):
            ask(with_body(bomb, "Content-Encoding: gzip"))
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_replies_that_are_held_together_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_REPLY_BYTES", 2**20)
    sandbox = example_sandbox()

    def huge(_number: int, request: httpx.Request) -> httpx.Response | None:
        if request.url.path.endswith(("/function", "/service", "/destination", "/link", "/notification")):
            body = {"objects": [{"id": "a", "code": "x" * (2**20 - 100)}], "links": []}
            return httpx.Response(200, json=body)
        return None

    snapshot = run(read(console_of(sandbox, wrap=lambda inner: Meddling(inner, huge)), STAGING))
    refused = {refusal.what for refusal in snapshot.manifest.refused if "together with" in refusal.reason}
    assert len(refused) >= 3, snapshot.manifest.refused
    assert not snapshot.manifest.complete
    assert sum(len(orjson.dumps(entity.body)) for entity in snapshot.entities) < 2**21
    assert snapshot.manifest.counts["stream"] == 3


def test_what_a_reply_is_in_the_place_of_is_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_REPLY_BYTES", 2**20)
    sandbox = example_sandbox()
    number = 0

    def growing(_number: int, request: httpx.Request) -> httpx.Response | None:
        nonlocal number
        if request.url.path.endswith("/function") and number < 4:
            number += 1
            return httpx.Response(200, json={"objects": [{"id": f"a{number}", "code": "x" * 2**18}]})
        return None

    assert run(
        read(console_of(sandbox, wrap=lambda inner: Meddling(inner, growing)), STAGING)
    ).manifest.complete
    assert number == 4


def test_values_of_replies_are_counted_before_they_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_VALUES", 1000)
    with pytest.raises(BackupError, match="more than 1,000 values"):
        ask(with_body(b"[" + b"[]," * 1000 + b"0]"))


_CHILD = """
import gzip, sys
from pathlib import Path
from jitsu_backup.console import bodies
from tests.console.test_bodies import ask, with_body
bodies.MAX_VALUES //= 16
bodies.MAX_REPLY_BYTES //= 16
values, size = bodies.MAX_VALUES, bodies.MAX_REPLY_BYTES
body = {
    "objects": lambda: b"[" + b",".join([b"{}"] * (values // 2 - 1)) + b"]",
    "numbers": lambda: b"[" + b",".join([b'{"a":1.5}'] * (values // 2 - 1)) + b"]",
    "strings": lambda: b"[" + b",".join(b'"%d"' % number for number in range(values - 1)) + b"]",
    "text": lambda: b'["' + b"x" * (size - 10) + b'"]',
    "foxes": lambda: b'["' + "🦊".encode() * (size // 4 - 10) + b'"]',
}[sys.argv[1]]()
answer = with_body(gzip.compress(body), "Content-Encoding: gzip")
held = lambda name: int(Path("/proc/self/status").read_text().partition(name + ":")[2].split()[0]) * 1024
before = held("VmRSS")
ask(answer)
print(16 * (held("VmHWM") - before))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
@pytest.mark.parametrize("kind", ["objects", "numbers", "strings", "text", "foxes"])
def test_the_worst_reply_takes_a_bounded_amount_of_memory(kind: str) -> None:
    command = [sys.executable, "-c", _CHILD, kind]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    most = int(done.stdout)
    print(f"{kind}: {most / 2**20:.0f} MiB for the worst reply")
    assert most < 2 * 2**30


@pytest.mark.parametrize("body", [gzip.compress(b"{}", mtime=0)[:-3], b"no gzip", b"\x1f\x8b"])
def test_a_damaged_compressed_reply_is_no_reply(body: bytes) -> None:
    with pytest.raises(UnreachableError, match="could not be decoded"):
        ask(with_body(body, "Content-Encoding: gzip"))


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def endless_hints(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("answer", [drip, endless_hints])
def test_a_reply_that_never_ends_is_given_up_however_steadily_it_continues(answer: Answer) -> None:
    with pytest.raises(UnreachableError, match="no reply in time"):
        ask(answer, timeout=0.02)


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_a_console_that_echoes_our_key_puts_it_into_no_message(status: int) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        body = b'{"message": "q Bearer key1:CANARY-secret", "error": "CANARY-secret"}'
        head = f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)

    with pytest.raises(BackupError) as told:
        ask(answer, key="key1:CANARY-secret")
    assert "CANARY" not in str(told.value)


def answering(path: str, body: bytes) -> Callable[[int, httpx.Request], httpx.Response | None]:
    def answer(_number: int, request: httpx.Request) -> httpx.Response | None:
        headers = {"content-type": "application/json"}
        return httpx.Response(200, content=body, headers=headers) if path in request.url.path else None

    return answer


def test_schemas_are_bounded_together_and_those_beyond_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_REPLY_BYTES", 32 * 2**16)
    huge = b'{"x": "' + b"x" * 2**15 + b'"}'
    console = console_of(
        example_sandbox(), wrap=lambda inner: Meddling(inner, answering("/api/schema/", huge))
    )
    found = run(read_schemas(console, ["stream", "function", "service", "link"]))
    assert len(found) == 1


def test_the_operators_exports_are_bounded_together_and_too_much_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "MAX_REPLY_BYTES", 2**16)
    huge = b'[{"x": "' + b"x" * (2**16 - 20) + b'"}]'
    console = console_of(
        example_sandbox(), wrap=lambda inner: Meddling(inner, answering("/api/admin/export/", huge))
    )
    with pytest.raises(ConsoleError, match=r"export .*more than"):
        run(read_exports(console))


def test_what_is_read_side_by_side_from_one_console_is_bounded_together() -> None:
    run_of_several = bodies.Size(share=2)
    sizes = [bodies.Size(within=run_of_several) for _ in range(3)]
    for size in sizes:
        size.add(bodies.Size(bytes=bodies.MAX_REPLY_BYTES * 2 // 3))
        size.check()
    sizes[0].add(bodies.Size(bytes=10))
    with pytest.raises(bodies.TooLargeError):
        sizes[1].check()
    sizes[2].subtract(bodies.Size(bytes=bodies.MAX_REPLY_BYTES // 2))
    sizes[1].check()
