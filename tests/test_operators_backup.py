"""The operator's backup of many workspaces: how it spends requests, and a token that is withdrawn in the middle."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from jitsu_backup.console import Console, Gates
from jitsu_backup.errors import RejectedKeyError
from jitsu_backup.operations.backup_outcome import BackupRun, WorkspaceOutcome
from jitsu_backup.sandbox import Sandbox
from jitsu_backup.settings import SecretText
from tests.many import VirtualConnection, VirtualConsole, back_up, backed_up, job, many
from tests.virtual_time import VirtualLoop, run_virtually

TOKEN = "service:admintoken"
LATENCY = 0.05


class Distant(httpx.AsyncBaseTransport):
    """A sandbox that is LATENCY seconds away; `most` is how many requests were under way at once."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.inner, self.now, self.most = httpx.ASGITransport(sandbox.app), 0, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(LATENCY)
        response = await self.inner.handle_async_request(request)
        self.now -= 1
        return response


@dataclass(frozen=True, kw_only=True)
class DistantConnection(VirtualConnection):
    """A connection with a latency."""

    distant: Distant

    def open(self) -> Console:
        return Console(
            self.host, self.key.reveal(), transport=self.distant, gates=self.gates, clock=self.loop.time,
            concurrency=self.concurrency,
        )  # fmt: skip


def console_of(sandbox: Sandbox, loop: VirtualLoop, store: Path, concurrency: int) -> VirtualConsole:
    console = VirtualConsole(sandbox, loop, store)
    console.connection = DistantConnection(
        console.connection.host, SecretText(TOKEN), sandbox=sandbox, loop=loop, gates=Gates(clock=loop.time),
        concurrency=concurrency, distant=Distant(sandbox),
    )  # fmt: skip
    return console


@pytest.mark.parametrize("concurrency", [1, 16, 64])
def test_all_requests_that_may_be_under_way_are_and_no_more(tmp_path: Path, concurrency: int) -> None:
    loop = VirtualLoop()
    sandbox = many(100, loop)
    console, began = console_of(sandbox, loop, tmp_path, concurrency), loop.now
    outcomes = backed_up(console, job(plaintext=True), loop)
    assert BackupRun(outcomes).exit_code == 0
    assert console.connection.distant.most == concurrency  # type: ignore[attr-defined]
    floor = len(sandbox.requests) * LATENCY / concurrency
    assert loop.now - began < 1.2 * floor


def test_each_export_is_read_once_and_what_is_the_same_for_all_is_asked_once(tmp_path: Path) -> None:
    loop = VirtualLoop()
    sandbox = many(12, loop)
    console = console_of(sandbox, loop, tmp_path, 16)
    backed_up(console, job(plaintext=True), loop)
    asked = Counter(request.path for request in sandbox.requests)
    exports = {path: count for path, count in asked.items() if path.startswith("/api/admin/export/")}
    assert len(exports) == 6
    assert {*exports.values()} == {1}
    assert [asked[path] for path in ("/api/schema", "/api/version", "/api/me", "/api/workspace")] == [1] * 4


def test_a_token_that_is_withdrawn_in_the_middle_keeps_what_was_read(tmp_path: Path) -> None:
    loop = VirtualLoop()
    sandbox = many(12, loop)
    real = sandbox.app

    async def withdrawn(scope: Any, receive: Any, send: Any) -> None:
        if len(sandbox.requests) == 150:
            sandbox.state.admin_secret = "another"
        await real(scope, receive, send)

    sandbox.app = withdrawn  # type: ignore[assignment]
    outcomes = backed_up(console_of(sandbox, loop, tmp_path, 16), job(plaintext=True), loop)
    kept = [one for one in outcomes if one.saved is not None and one.whole]
    failed = [one for one in outcomes if one.failure is not None]
    assert kept
    assert failed
    assert {type(one.failure) for one in failed} == {RejectedKeyError}
    assert "Invalid API key id service" in failed[0].problem
    assert BackupRun(outcomes).exit_code == 3


@pytest.mark.parametrize(
    "ends", [("streams-with-destinations",), ("rotor-connections", "bulker-connections")]
)
def test_an_export_that_ends_early_every_time_leaves_archives_that_say_so(
    ends: tuple[str, ...], tmp_path: Path
) -> None:
    loop = VirtualLoop()
    sandbox = many(2, loop)
    real = sandbox.app
    asked: list[str] = []

    async def cut(scope: Any, receive: Any, send: Any) -> None:
        if not scope["path"].endswith(ends):
            await real(scope, receive, send)
            return
        asked.append(scope["path"])
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'[{"id": "one"}, {"id'})

    sandbox.app = cut  # type: ignore[assignment]
    outcomes = backed_up(console_of(sandbox, loop, tmp_path, 16), job(plaintext=True), loop)
    assert len(asked) > 1
    assert all(one.saved is not None and not one.saved.archive.complete for one in outcomes)
    for one in outcomes:
        assert one.saved is not None
        told = {
            refusal.what: refusal.reason for refusal in one.saved.snapshot.manifest.refused if refusal.missing
        }
        assert told.keys() == {f"export {export}" for export in ends}
        assert all("the reply was truncated" in reason for reason in told.values())
    assert BackupRun(outcomes).exit_code == 3


def test_an_export_that_is_cut_off_once_is_read_again(tmp_path: Path) -> None:
    loop = VirtualLoop()
    sandbox = many(2, loop)
    real = sandbox.app
    cut_off: list[str] = []

    async def cut(scope: Any, receive: Any, send: Any) -> None:
        if "/admin/export/" not in scope["path"] or scope["path"] in cut_off:
            await real(scope, receive, send)
            return
        cut_off.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'[{"id'})

    sandbox.app = cut  # type: ignore[assignment]
    outcomes = backed_up(console_of(sandbox, loop, tmp_path, 16), job(plaintext=True), loop)
    assert len(cut_off) > 4
    assert all(one.whole for one in outcomes)


def test_unchanged_workspaces_are_asked_about_and_no_secret_is_read(tmp_path: Path) -> None:
    loop = VirtualLoop()
    sandbox = many(5, loop)
    console = console_of(sandbox, loop, tmp_path, 16)
    wanted = job(save={"if_changed": True}, full_every=timedelta(days=1), plaintext=True)

    async def twice() -> tuple[WorkspaceOutcome, ...]:
        await asyncio.sleep(120)
        await back_up(console, wanted)
        await asyncio.sleep(3600)
        sandbox.requests.clear()
        return await back_up(console, wanted)

    outcomes: tuple[WorkspaceOutcome, ...] = run_virtually(twice(), loop)
    assert all(one.unchanged is not None for one in outcomes)
    exports = [request.path for request in sandbox.requests if "/admin/" in request.path]
    assert exports == ["/api/admin/export/workspaces"]
