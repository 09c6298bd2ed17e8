"""Many workspaces in one run: within the rate budget, one that fails harms no other, shards and deadlines."""

import asyncio
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import parse_name
from jitsu_backup.errors import BackupError, ConsoleError, LateError, UnreachableError
from jitsu_backup.operations.backup_outcome import BackupRun
from jitsu_backup.operations.save import GIVE_UP_AFTER, side_by_side
from tests.many import VirtualConsole, backed_up, floor_of, job, many
from tests.support import run
from tests.virtual_time import VirtualLoop


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def test_300_workspaces_take_what_the_rate_budget_allows_and_one_broken_one_harms_no_other(
    tmp_path: Path,
) -> None:
    loop = VirtualLoop()
    sandbox = many(300, loop)
    real = sandbox.app

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/api/workspace/cworkspace0000000000000123"):
            start = {"type": "http.response.start", "status": 500, "headers": []}
            await send(start)
            await send({"type": "http.response.body", "body": b'{"message": "its row is broken"}'})
        else:
            await real(scope, receive, send)

    sandbox.app = broken  # type: ignore[assignment]
    console, began, cpu = VirtualConsole(sandbox, loop, tmp_path / "store"), loop.now, time.process_time()
    outcomes = backed_up(console, job(), loop)
    took, cpu = loop.now - began, time.process_time() - cpu
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    assert [outcome.label for outcome in failed] == ["team-123"]
    assert "its row is broken" in failed[0].problem
    assert BackupRun(outcomes).exit_code == 3
    stored = [parse_name(path.name) for path in (tmp_path / "store").iterdir()]
    assert len({archive.workspace_id for archive in stored if archive is not None}) == 299
    statuses = Counter(request.status for request in sandbox.requests)
    assert statuses[429] == 0
    floor = floor_of(Counter(request.method for request in sandbox.requests), began)
    print(
        f"300 workspaces, {len(sandbox.requests)} requests: {took:.0f} s, floor {floor:.0f} s,"
        f" ratio {took / floor:.3f}, refused {statuses[429]}, our own time {cpu:.0f} s"
    )
    assert took < 1.05 * floor


def test_what_is_the_same_for_all_workspaces_of_a_console_is_asked_once(tmp_path: Path) -> None:
    loop = VirtualLoop()
    sandbox = many(5, loop)
    backed_up(VirtualConsole(sandbox, loop, tmp_path / "store"), job(), loop)
    asked = Counter(request.path for request in sandbox.requests)
    assert [asked[path] for path in ("/api/schema", "/api/version", "/api/me", "/api/workspace")] == [1] * 4


def test_shards_part_the_workspaces_and_a_new_one_moves_no_other(tmp_path: Path) -> None:
    seen: dict[int, set[str]] = {}
    for count in (24, 25):
        parts = []
        for index in range(3):
            loop = VirtualLoop()
            console = VirtualConsole(many(count, loop), loop, tmp_path / f"store-{count}-{index}")
            labels = {outcome.label for outcome in backed_up(console, job(shard=(index, 3)), loop)}
            parts.append(labels)
            assert seen.setdefault(index, labels) <= labels
        assert sum(map(len, parts)) == len(set.union(*parts)) == count


def test_at_the_deadline_what_is_done_stays_and_the_rest_has_failed(tmp_path: Path) -> None:
    loop = VirtualLoop()
    sandbox = many(60, loop)
    console = VirtualConsole(sandbox, loop, tmp_path / "store")
    began = loop.now
    outcomes = backed_up(console, job(deadline=70.0), loop)
    assert loop.now - began <= 70.0
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    assert 0 < len(failed) < 60
    assert {outcome.problem for outcome in failed} == {"not done before the deadline of 70 s"}
    assert len(list((tmp_path / "store").glob("*.json.gz"))) == 60 - len(failed)


def test_a_deadline_before_anything_was_begun_is_one_clear_failure(tmp_path: Path) -> None:
    loop = VirtualLoop()
    sandbox = many(1, loop)

    async def hangs(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(3600)

    sandbox.app = hangs  # type: ignore[assignment]
    with pytest.raises(BackupError, match="nothing was backed up before the deadline of 5 s"):
        backed_up(VirtualConsole(sandbox, loop, tmp_path / "store"), job(deadline=5.0), loop)


def test_a_deadline_that_ends_a_wait_for_the_rate_limit_says_so(tmp_path: Path) -> None:
    loop = VirtualLoop()
    sandbox = many(1, loop)

    async def limits(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"retry-after", b"60")]
        await send({"type": "http.response.start", "status": 429, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    sandbox.app = limits  # type: ignore[assignment]
    with pytest.raises(LateError, match=r"5 s, because it waited for the rate limit of console ") as late:
        backed_up(VirtualConsole(sandbox, loop, tmp_path / "store"), job(deadline=5.0), loop)
    assert late.value.limited


@pytest.mark.parametrize("away_from", [0, 30])
def test_a_deadline_before_the_end_of_waiting_ends_the_run_and_says_what_was_wrong(
    tmp_path: Path, away_from: int
) -> None:
    loop = VirtualLoop()
    sandbox, began = many(3, loop), loop.now
    real, asked = sandbox.app, []

    async def restarts(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        if len(asked) <= away_from:
            return await real(scope, receive, send)
        await send({"type": "http.response.start", "status": 502, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return None

    sandbox.app = restarts  # type: ignore[assignment]
    console = VirtualConsole(sandbox, loop, tmp_path / "store", retry_for=600.0)
    why = r"before the deadline of 45 s \(console https?://\S+: HTTP 502 from the console or a proxy in front of it\)"
    if away_from == 0:
        with pytest.raises(LateError, match=why):
            backed_up(console, job(deadline=45.0), loop)
    else:
        told = [outcome.problem for outcome in backed_up(console, job(deadline=45.0), loop)]
        assert told
        assert all(re.search(why, problem) for problem in told)
    assert loop.now - began == pytest.approx(45)


def test_once_a_console_is_gone_for_several_in_a_row_the_rest_is_not_tried() -> None:
    tried = []

    async def one(number: int) -> int:
        tried.append(number)
        if number >= 2:
            raise UnreachableError("gone")
        return number

    jobs = [("gone", lambda number=number: one(number)) for number in range(20)]
    ended = run(side_by_side([*jobs, ("there", lambda: one(0))], at_once=1))
    assert ended[:2] == [0, 1]
    assert len(tried) == 2 + GIVE_UP_AFTER + 1
    assert "not tried" in str(ended[-2])
    assert ended[-1] == 0  # another console's is tried all the same


def test_one_that_fails_in_a_way_nobody_foresaw_harms_no_other() -> None:
    async def one(number: int) -> int:
        if number == 1:
            raise ZeroDivisionError
        if number == 2:
            raise ConsoleError("refused")
        return number

    ended = run(side_by_side([("h", lambda number=number: one(number)) for number in range(4)], at_once=2))
    assert [type(end) for end in ended] == [int, ZeroDivisionError, ConsoleError, int]
