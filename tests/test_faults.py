"""Whatever fails on the way, the end is the same and nothing exists twice."""

import asyncio
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from jitsu_backup.archive import encode
from jitsu_backup.console import Console, Gates
from jitsu_backup.model import Snapshot
from jitsu_backup.planning import Overlay
from jitsu_backup.sandbox import Generation, Sandbox, default_state, example_workspace
from tests import every
from tests.faults import Call, Fault, Faults
from tests.limited import generated, restore_limited
from tests.support import (
    OWNER,
    PRODUCTION,
    STAGING,
    FakeTime,
    comparable,
    console_of,
    example_sandbox,
    id_map,
    read,
    restore,
    run,
    switched_off,
    writes,
)

HOST = "http://other.example"
SURVIVED = (
    *(
        Fault(kind, reached)
        for kind in ("cut-before", "outage", "502", "503", "504")
        for reached in (False, True)
    ),
    *map(
        Fault, ("cut-request", "429", "429-bare", "cut-in", "cut-after", "mistyped", "truncated", "throttle")
    ),
)
"""What a restore outlives without a word, when it comes once."""


@pytest.fixture(scope="module")
def before() -> Snapshot:
    return run(read(console_of(example_sandbox()), "acme-staging"))


def real_console(url: str, time: FakeTime) -> Console:
    """A client over a real socket whose waiting takes no time."""
    gates = Gates(clock=time.clock, sleep=time.sleep)
    return Console(url, OWNER, sleep=time.sleep, clock=time.clock, gates=gates, timeout=10.0)


def example_of(generation: Generation) -> Snapshot:
    state = default_state(generation=generation)
    example_workspace(state, STAGING)
    found: Snapshot = run(read(console_of(Sandbox(state, rate_limit=False)), STAGING))
    return found


def assert_whole(sandbox: Sandbox, before: Snapshot, ids: dict[str, str]) -> None:
    after = run(read(console_of(sandbox, HOST), "acme-production"))
    assert comparable(before, ids) == comparable(after, {})


def at_write(unlucky: int, fault: Fault) -> Callable[[Call], Fault | None]:
    """Choose `fault` for the write number `unlucky`, nothing for all else."""
    seen = 0

    def choose(call: Call) -> Fault | None:
        nonlocal seen
        seen += call.method != "GET"
        return fault if call.method != "GET" and seen == unlucky else None

    return choose


UNCLEAR = (*(Fault(kind, reached=True) for kind in ("cut-before", "outage", "504")), Fault("truncated"))


@pytest.mark.parametrize(
    ("generation", "fault"),
    [
        *((Generation.JULY_2026, fault) for fault in SURVIVED),
        *((Generation.NEWEST, fault) for fault in UNCLEAR),
    ],
    ids=str,
)
def test_one_fault_at_any_write_leaves_the_same_end_state(generation: Generation, fault: Fault) -> None:
    """Each fault comes at every sixth write, and at other writes than the fault before it; deep, at every one."""
    step, faults_of = every(6), SURVIVED if generation is Generation.JULY_2026 else UNCLEAR
    first = 1 + faults_of.index(fault) % step
    before = switched_off(example_of(generation))
    alone = Sandbox(default_state(generation=generation), rate_limit=False)
    run(restore(lambda: console_of(alone, HOST), before))
    faults = Faults(None, lambda _: None)
    with faults.running() as url:
        for unlucky in range(first, writes(alone) + 1, step):
            sandbox = Sandbox(default_state(generation=generation), rate_limit=False)
            faults.app, faults.befallen, faults.choose = sandbox.app, 0, at_write(unlucky, fault)
            result = run(restore(lambda: real_console(url, FakeTime()), before))
            assert faults.befallen == 1
            assert result.failure is None
            assert result.found == []
            assert_whole(sandbox, before, id_map(result))


def test_a_sync_that_a_lost_request_makes_a_second_time_later_is_reported(before: Snapshot) -> None:
    # so that no two syncs are equally old, however fast the machine is
    ticks = itertools.count(1_800_000_000)
    sandbox = Sandbox(default_state(clock=lambda: float(next(ticks))), rate_limit=False)
    late: list[Call] = []

    def choose(call: Call) -> Fault | None:
        syncs = [link for link in sandbox.state.links.values() if link.type == "sync"]
        if call.method == "PUT" and call.target.endswith("/config/link") and not syncs and len(late) < 4:
            late.append(call)
            return Fault("late")
        return None

    only = ("link/CRM -> Warehouse",)
    with Faults(sandbox.app, choose).running() as url:
        result = run(restore(lambda: real_console(url, FakeTime()), before, only=only))
    links = list(sandbox.state.live_links(PRODUCTION))
    assert len(links) > 2
    assert result.found
    assert all(line.reason.startswith("duplicate of ") for line in result.found)
    assert {line.key.id for line in result.found} < {link.id for link in links}
    assert len(links) - len(result.found) == 2


@pytest.mark.parametrize("seed", range(4))
def test_a_random_mix_of_faults_leaves_the_same_end_state(seed: int, before: Snapshot) -> None:
    dice = random.Random(seed)
    sandbox = Sandbox(default_state(), rate_limit=False)

    def choose(call: Call) -> Fault | None:
        return dice.choice(SURVIVED) if call.number > 1 and dice.random() < 0.2 else None

    faults = Faults(sandbox.app, choose)
    with faults.running() as url:
        result = run(restore(lambda: real_console(url, FakeTime()), before))
    assert faults.befallen > 5
    assert result.failure is None
    assert_whole(sandbox, before, id_map(result))


def test_a_restore_killed_after_any_write_is_finished_by_running_it_again(
    before: Snapshot, tmp_path: Path
) -> None:
    archive = tmp_path / "a.json.gz"
    archive.write_bytes(encode(before))
    rules = "".join(f'["{m.type}/{m.id}"]\n"{m.path}" = "stand-in"\n' for m in before.manifest.ledger[:3])
    crm = '["service/CRM".credentials]\npassword = "stand-in"\ntunnel_method.ssh_key = "stand-in"\n'
    (tmp_path / "overlay.toml").write_text(rules + crm)
    for unlucky in (1, 5, 11, 15, 19):
        sandbox = Sandbox(default_state(), rate_limit=False)
        killed = threading.Event()
        process: list[subprocess.Popen[bytes]] = []
        count = 0

        def choose(call: Call, unlucky: int = unlucky) -> Fault | None:
            nonlocal count
            count += call.method != "GET"
            if call.method != "GET" and count == unlucky and not killed.is_set():
                os.kill(process[0].pid, signal.SIGKILL)
                killed.set()
                return Fault("cut-before", reached=True)
            return None

        with Faults(sandbox.app, choose).running() as url:
            command = [
                sys.executable, "-m", "jitsu_backup", "restore", "a.json.gz", "--into", "acme-production", "--yes",
                "--overlay", "overlay.toml", "--keys-out", "keys.json",
            ]  # fmt: skip
            env: dict[str, Any] = {**os.environ, "JITSU_HOST": url, "JITSU_APIKEY": OWNER}
            process.append(
                subprocess.Popen(
                    command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
                )
            )
            assert process[0].wait(60) == -signal.SIGKILL, process[0].communicate()
            process[0].communicate()
            again = subprocess.run(
                command, cwd=tmp_path, env=env, capture_output=True, timeout=60, check=False
            )
            assert again.returncode == 0, again.stderr + again.stdout
        result = run(restore(lambda: console_of(sandbox, HOST), before))
        assert result.plan.writes == ()
        assert_whole(sandbox, before, id_map(result))


class Hesitating(httpx.AsyncBaseTransport):
    """Lets every other request go first, before a destination is changed."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PUT" and "/config/destination/" in request.url.path:
            for _ in range(500):
                await asyncio.sleep(0)
        return await self.inner.handle_async_request(request)


def test_a_reverse_sync_is_made_only_when_the_warehouse_that_it_will_freeze_is_changed() -> None:
    state = default_state(generation=Generation.NEWEST)
    example_workspace(state, STAGING)
    sandbox = Sandbox(state, rate_limit=False)
    snapshot = run(read(console_of(sandbox), STAGING))
    state.objects["warehouse-0001"].config["port"] = 1
    for row in state.reverse_syncs(STAGING):
        row.deleted = True
    result = run(restore(lambda: console_of(sandbox, wrap=Hesitating), snapshot, STAGING, overlay=Overlay()))
    assert result.found == []
    assert len(state.reverse_syncs(STAGING)) == 1


def test_under_the_rate_limit_a_restore_alone_is_never_refused(before: Snapshot) -> None:
    time = FakeTime()
    sandbox = Sandbox(default_state(time.clock), clock=time.clock)
    result = run(restore(lambda: console_of(sandbox, HOST, time=time), before))
    assert result.found == []
    assert all(request.status != 429 for request in sandbox.requests)


def test_500_entities_under_the_real_limits_take_what_the_budgets_allow_and_nothing_is_refused() -> None:
    before = generated(520)
    alone = restore_limited(before)
    assert alone.result.failure is None
    assert alone.refused == []
    print(
        f"{len(before.entities)} entities: {dict(alone.sent)}, {alone.took:.0f} s, floor {alone.floor:.0f} s,"
        f" ratio {alone.took / alone.floor:.3f}"
    )
    assert len(before.entities) >= 500
    assert alone.took <= 1.05 * alone.floor


@pytest.mark.parametrize("others", [0.2, 1.0])
def test_beside_a_second_client_on_the_same_key_a_restore_is_refused_at_most_once_a_minute(
    others: float,
) -> None:
    shared = restore_limited(generated(300), others=others)
    assert shared.result.failure is None
    assert shared.refused_in_a_minute <= 1


def test_a_console_in_maintenance_for_a_while_is_waited_for(before: Snapshot) -> None:
    time = FakeTime()
    sandbox = Sandbox(default_state(), rate_limit=False)
    sandbox.maintenance = True
    end = time.now + 60
    sleep = time.sleep

    async def sleeping(seconds: float) -> None:
        await sleep(seconds)
        sandbox.maintenance = time.now < end

    time.sleep = sleeping  # type: ignore[method-assign]
    result = run(restore(lambda: console_of(sandbox, HOST, time=time), before))
    assert result.found == []


__all__ = ["PRODUCTION"]
