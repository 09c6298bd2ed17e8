"""What several tests need: the recorded workspace, consoles without time, comparison up to ids."""

import asyncio
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson

from jitsu_backup.console import Console, Gates
from jitsu_backup.console.reader import read_workspace
from jitsu_backup.model import Entity, Key, Manifest, Snapshot, Source, counts_by_type, masked_fields
from jitsu_backup.operations import restore as restoring
from jitsu_backup.operations.come_back import Rehearsal
from jitsu_backup.operations.rehearse import rehearse
from jitsu_backup.operations.restore import Result
from jitsu_backup.planning import Overlay, PlanOptions, parse_overlay
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace
from tests.advice import assert_advice
from tests.zygote import forked

FIXTURES = Path(__file__).parents[1] / "fixtures"
OWNER = "key1:secret1secret1secret1"
ANALYST = "key2:secret2secret2secret2"
STAGING, PRODUCTION = "cacmestaging0000000000001", "cacmeprod0000000000000002"
INTERPRETERS = ("PYTHON", "LC_", "LANG", "LOCPATH", "TZ")
"""How variables begin that an interpreter reads when it starts."""
MOMENT = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)


prepare = functools.partial(restoring.prepare, now=lambda: datetime.now(UTC))
carry_out = functools.partial(restoring.carry_out, now=lambda: datetime.now(UTC))


def run(job: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(job)


class FakeTime:
    """A clock that only sleeping moves. Nobody really sleeps."""

    def __init__(self, start: float = 1_795_460_400.0) -> None:
        self.now = start

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


class Meddling(httpx.AsyncBaseTransport):
    """Does something to the sandbox, or to the reply, before some requests."""

    def __init__(self, inner: httpx.AsyncBaseTransport, meddle: Any) -> None:
        self.inner, self.meddle, self.number = inner, meddle, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.number += 1
        return self.meddle(self.number, request) or await self.inner.handle_async_request(request)


def console_of(
    sandbox: Sandbox, host: str = "http://sandbox.example", key: str = OWNER, *, time: FakeTime | None = None,
    wrap: Callable[[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport] = lambda inner: inner, **options: Any,
) -> Console:  # fmt: skip
    time = time or FakeTime()
    gates = options.pop("gates", None) or Gates(clock=time.clock, sleep=time.sleep)
    transport = wrap(httpx.ASGITransport(sandbox.app))
    return Console(host, key, transport=transport, sleep=time.sleep, clock=time.clock, gates=gates, **options)


def example_sandbox(*, rate_limit: bool = False) -> Sandbox:
    state = default_state()
    example_workspace(state, STAGING)
    return Sandbox(state, rate_limit=rate_limit)


async def read(console: Console, workspace: str) -> Snapshot:
    async with console:
        return await read_workspace(console, workspace, now=lambda: MOMENT)


async def restore(
    make_console: Callable[[], Console], snapshot: Snapshot, workspace: str = PRODUCTION, **options: Any
) -> Result:
    plan_options = PlanOptions(**{"overlay": stand_ins(snapshot), **options})
    prepared = await prepare(make_console(), workspace, snapshot, plan_options, lambda _: None)
    assert not prepared.plan.blocked, prepared.plan.blocked
    return await carry_out(make_console(), prepared, lambda _: None)


def rehearsed(snapshot: Snapshot) -> Rehearsal:
    return asyncio.run(rehearse(snapshot, now=lambda: MOMENT, monotonic=time.monotonic))


def stand_ins(snapshot: Snapshot) -> Overlay:
    """An overlay with a secret for every masked field."""
    rules: dict[str, dict[str, str]] = {}
    for line in snapshot.manifest.ledger:
        if line.type == "workspace":
            continue  # a section of the options, which is not restored
        rules.setdefault(f"{line.type}/{line.id}", {})[line.path] = "stand-in"
    return parse_overlay(rules)


def writes(sandbox: Sandbox) -> int:
    return sum(request.method != "GET" for request in sandbox.requests)


def recorded_snapshot() -> Snapshot:
    """The workspace that the real console listed."""
    document = orjson.loads((FIXTURES / "recorded-workspace.json").read_bytes())
    return make_snapshot(document["lists"], cursors=document["cursors"], workspace=document["workspace"])


def make_snapshot(
    lists: dict[str, list[dict[str, Any]]], *, cursors: Any = None, workspace: Any = None,
    host: str = "https://jitsu.example.com", workspace_id: str = STAGING, slug: str = "acme-staging", **manifest: Any,
) -> Snapshot:  # fmt: skip
    entities = tuple(
        sorted(
            (Entity(Key(name, b["id"]), b) for name, bodies in lists.items() for b in bodies),
            key=lambda e: e.key,
        )
    )
    return Snapshot(
        manifest=Manifest(
            source=Source(host, workspace_id, slug, slug.title(), "dev", "owner"),
            counts=counts_by_type(entities, lists),
            ledger=masked_fields(entities),
            **manifest,
        ),
        taken_at=MOMENT,
        entities=entities,
        cursors=cursors or {},
        workspace=workspace or {},
    )


VOLATILE = {"createdAt", "updatedAt", "workspaceId", "profileBuilderId"}


def comparable(
    snapshot: Snapshot, ids: dict[str, str], *, leave_out: Callable[[Entity], bool] = lambda e: False
) -> Any:
    """What a snapshot holds, with `ids` put in place of its own, without what only a server makes."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items() if k not in VOLATILE}
        if isinstance(value, list):
            return [plain(v) for v in value]
        if isinstance(value, str):
            for old, new in ids.items():
                if value in (old, f"udf.{old}"):
                    return value.replace(old, new)
            return "\n".join(
                ids.get(line.partition("=")[0], line.partition("=")[0]) + "=" + line.partition("=")[2]
                if "=" in line
                else line
                for line in value.split("\n")
            )
        return value

    found: dict[str, list[str]] = {}
    for entity in snapshot.entities:
        if leave_out(entity):
            continue
        body = plain(dict(entity.body))
        if entity.key.type == "link":
            body["data"] = body.get("data") or {}  # a PUT without data leaves what is there
        if entity.key.type == "stream":
            body.pop("publicKeys", None)
            body.pop("privateKeys", None)
        if entity.key.type == "link":
            body.pop("id")
            body["cursors"] = {k: json.loads(v) for k, v in snapshot.cursors.get(entity.key.id, {}).items()}
        if entity.key.type == "profile-builder":
            body["functions"] = [f["function"]["config"] for f in entity.body["functions"]]
        if entity.body.get("kind") == "profile":
            body.pop("id")
        found.setdefault(entity.key.type, []).append(orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode())
    return {name: sorted(bodies) for name, bodies in found.items()}


def switched_off(snapshot: Snapshot, only: Collection[str] | None = None) -> Snapshot:
    """A snapshot with its reverse syncs disabled, or `only` those of some ids."""
    off = {"disabled": True}
    entities = tuple(
        Entity(e.key, {**e.body, "data": {**e.body["data"], **off}})
        if e.key.type == "reverse-sync" and (only is None or e.key.id in only)
        else e
        for e in snapshot.entities
    )
    return replace(snapshot, entities=entities)


def id_map(result: Result) -> dict[str, str]:
    return {key.id: new for key, new in result.plan.ids.items() if key.type != "link"}


def cli(
    *arguments: str,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    fresh: bool = False,
    **options: Any,
) -> Any:
    """Run the command line as a user does, in a process of its own, without a terminal.

    It is a fork of one that has loaded everything; `fresh`, or where `options` or variables are meant for the
    interpreter, it starts from nothing.
    """
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JITSU")}
    given = {**clean, "HOME": str(cwd or "/nonexistent"), **(env or {})}
    command = [sys.executable, "-m", "jitsu_backup", *arguments]
    if fresh or options or any(name.startswith(INTERPRETERS) for name in env or {}):
        return subprocess.run(
            command, env=given, cwd=cwd, capture_output=True, text=True, timeout=120, check=False,
            stdin=subprocess.DEVNULL, **options,
        )  # fmt: skip
    code, output, errors = forked([*arguments], given, cwd or Path.cwd(), timeout=120)
    assert_advice(arguments, code, errors, output)
    return subprocess.CompletedProcess(command, code, output, errors)
