"""A recovery that is killed anywhere is finished by the same command, and makes no workspace twice."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import cast

import httpx
import pytest

from jitsu_backup.events import silent
from jitsu_backup.operations.recovery import RecoveryOutcome
from jitsu_backup.operations.restore import Result, prepare
from jitsu_backup.operations.safeguards import carry_out_safely
from jitsu_backup.operations.undo import LastRun, last_run, undo_options
from jitsu_backup.planning import PlanOptions
from jitsu_backup.sandbox import Generation
from jitsu_backup.sandbox.state import REVERSE_ETL, WorkspaceRow
from jitsu_backup.store import archives
from tests.recovery.kit import ADMIN_KEY, NEW, OLD, SLUGS, World, add_workspace, problems, tables
from tests.recovery.samples import snapshot
from tests.recovery.test_choice import archive
from tests.recovery.test_console import equal, lost
from tests.support import OWNER, Meddling

KILLS = 2
"""How many runs of each generation are killed here; `python -m tests.recovery` kills many."""


def small(tmp_path: Path, generation: Generation) -> World:
    tmp_path.mkdir(exist_ok=True)
    world = World(tmp_path, generation, features=(REVERSE_ETL,) if generation.is_newest else ())
    world.add(*SLUGS[:2])
    world.back_up()
    return world


def kill_at(world: World, request: int, *, reply: bool) -> None:
    """Run until a request, whose reply is lost or which is never sent, and end the process there: nothing is tidied up."""

    class Killing(httpx.AsyncBaseTransport):
        def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
            self.inner, self.number = inner, 0

        async def handle_async_request(self, sent: httpx.Request) -> httpx.Response:
            self.number += 1
            if self.number == request and reply:
                await self.inner.handle_async_request(sent)
            if self.number >= request:
                killed.set()
                await asyncio.Event().wait()
            return await self.inner.handle_async_request(sent)

    killed = asyncio.Event()

    async def until_killed() -> None:
        one = Killing(httpx.ASGITransport(world.new.app))
        run = asyncio.ensure_future(world.recovering(world.job(ADMIN_KEY, wrap=lambda _: one)))
        await asyncio.wait({run, asyncio.ensure_future(killed.wait())}, return_when=asyncio.FIRST_COMPLETED)
        left = dict(await dead_store(world))
        for task in asyncio.all_tasks() - {asyncio.current_task()}:  # type: ignore[arg-type]
            task.cancel()
        await asyncio.gather(run, return_exceptions=True)
        put_back(world, left)

    world.run(until_killed())
    world.seconds += 3600  # its leases expire


async def dead_store(world: World) -> dict[str, bytes]:
    """Return the files of the store as a process leaves them that is killed at once."""
    return {path.name: path.read_bytes() for path in world.folder.iterdir() if path.is_file()}


def put_back(world: World, files: dict[str, bytes]) -> None:
    for path in world.folder.iterdir():
        if path.is_file():
            path.unlink()
    for name, data in files.items():
        (world.folder / name).write_bytes(data)


def killed_and_run_again(generation: Generation, folder: Path, kills: int, seed: str = "kills of") -> int:
    """Kill runs at random, and run them again; return how many left a console half full. Raise AssertionError."""
    dice = random.Random(f"{seed} {generation.value}")
    world = small(folder, generation)
    world.recover()
    total, whole, halves = len(world.new.requests), world.writes(), 0
    for number in range(kills):
        world = small(folder / str(number), generation)
        at = [dice.randrange(1, total) for _ in range(dice.choice((1, 1, 1, 2, 3)))]
        for one in at:
            kill_at(world, one, reply=dice.random() < 0.5)
            halves += 0 < world.writes() < whole
            if dice.random() < 0.3:  # a cron job backs up what is there meanwhile
                for row in world.new.state.workspaces.values():
                    row.access.setdefault("u-owner", "owner")
                world.back_up(world.new)
        run = world.recover()
        where = (generation.value, seed, number, at)
        assert problems(run) == {}, where
        assert sorted(row.slug for row in world.new.state.workspaces.values()) == list(SLUGS[:2]), where
        for slug in SLUGS[:2]:
            assert tables(world.new.state, slug) == tables(world.old.state, slug), where
        before = world.writes()
        again = world.recover()
        assert (problems(again), world.writes()) == ({}, before), where
    return halves


@pytest.mark.parametrize("generation", Generation)
def test_killed_anywhere_and_run_again_it_ends_the_same_with_no_workspace_twice(
    generation: Generation, tmp_path: Path
) -> None:
    assert killed_and_run_again(generation, tmp_path, KILLS) > 0


def undone(world: World, slug: str) -> LastRun:
    """Undo the last run into a workspace of the new console, and return it."""
    last, row = last_of(world, slug)
    connection = world.connection(world.new)

    async def undoing() -> Result:
        options = undo_options(PlanOptions(accept_shrink=True), last)
        prepared = await prepare(
            connection.open(), row.id, last.snapshot, options, silent, now=world.now, find_record=last.left_in
        )
        assert not prepared.plan.blocked, [(one.key, one.reason) for one in prepared.plan.blocked]
        guards = replace(world.safeguards(), undoes=last.archive)
        return await carry_out_safely(connection.open(), prepared, silent, guards)

    assert world.run(undoing()).failure is None
    return last


def last_of(world: World, slug: str) -> tuple[LastRun, WorkspaceRow]:
    """The last run into a workspace of the new console, and that workspace."""
    known, row = world.run(archives(world.store)), world.new.state.find_workspace(slug)
    assert row is not None
    mine = [one for one in known if one.workspace_id == row.id]
    last = world.run(
        last_run(mine, row.id, world.store, world.keys, now=world.now(), report=silent, host=NEW)
    )
    return cast("LastRun", last), row


def test_a_recovery_that_only_updates_is_known_by_its_console(tmp_path: Path) -> None:
    world = small(tmp_path, Generation.JULY_2026)
    world.recover()
    functions = [one for one in world.new.state.objects.values() if one.type == "function"]
    for one in functions:
        one.config["code"] = "of today"
    assert problems(world.recover(replace(world.job(), over_existing=True))) == {}
    assert all(one.config["code"] != "of today" for one in functions)
    last, _ = last_of(world, SLUGS[0])
    assert (last.created, last.recovered_from) == (0, None)
    assert last.brought_from is not None
    assert last.brought_from.host == OLD


def test_only_the_undo_of_a_run_that_created_streams_needs_new_write_keys() -> None:
    left = snapshot("acme")
    before = replace(left, entities=())
    without = replace(left, entities=tuple(one for one in left.entities if one.key.type != "stream"))
    assert LastRun(archive(), before, left=left).created_streams
    assert not LastRun(archive(), before, left=without).created_streams


@pytest.mark.parametrize("ends", [False, True])
def test_killed_and_continued_it_is_undone_as_one_run(ends: bool, tmp_path: Path) -> None:
    world = small(tmp_path, Generation.JULY_2026)
    for request in (235, 235):
        kill_at(world, request, reply=True)
    if ends:
        world.recover()
    runs = [undone(world, slug) for slug in SLUGS[:2]]
    assert any(run.continued for run in runs)
    assert all(run.recovered_from is not None and run.recovered_from.host == OLD for run in runs)
    for slug in SLUGS[:2]:
        left = tables(world.new.state, slug)
        assert (left["objects"], left["links"], left["builders"]) == ({}, [], {})


def test_interrupted_it_begins_nothing_more_tells_what_is_left_and_continues_next_time(
    tmp_path: Path,
) -> None:
    world = lost(tmp_path)
    for number in range(9):
        add_workspace(world.old.state, f"team-{number:03d}")
    world.back_up()
    stop, ended = asyncio.Event(), list[RecoveryOutcome]()

    def after_two(outcome: RecoveryOutcome) -> None:
        ended.append(outcome)
        if len(ended) == 2:
            stop.set()

    run = world.recover(stop=stop, on_outcome=after_two)
    assert run.exit_code == 130
    assert any(not one.begun for one in run.outcomes)
    assert len(ended) == len(run.outcomes)
    assert problems(run) == {}
    again = world.recover()
    assert problems(again) == {}
    equal(world)


def test_interrupted_while_it_waits_for_the_limit_it_ends_at_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(4):
        add_workspace(world.old.state, f"team-{number:03d}")
    world.back_up()
    world.new.access.rate_limit = True
    stop = asyncio.Event()

    def after_two(_: RecoveryOutcome) -> None:
        if len(world.new.state.workspaces) == 2:
            asyncio.get_running_loop().call_later(30, stop.set)

    run = world.recover(world.job(OWNER), stop=stop, on_outcome=after_two)
    assert run.seconds < 120
    assert [one.begun for one in run.outcomes] == [True, True, False, False]
    assert run.exit_code == 130
    assert problems(world.recover(world.job(OWNER))) == {}
    assert len(world.new.state.workspaces) == 4


def test_cancelled_it_has_told_of_what_has_ended(tmp_path: Path) -> None:
    world = lost(tmp_path)
    ended = list[RecoveryOutcome]()

    async def cancelled() -> None:
        def cancel(number: int, _: httpx.Request) -> None:
            if number == 400:
                run.cancel()

        run = asyncio.ensure_future(
            world.recovering(world.job(wrap=lambda inner: Meddling(inner, cancel)), on_outcome=ended.append)
        )
        with pytest.raises(asyncio.CancelledError):
            await run

    world.run(cancelled())
    assert ended
    assert problems(world.recover()) == {}
    equal(world)
