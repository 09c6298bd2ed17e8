"""The lease of a workspace: one run at a time, whatever becomes of the others."""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from jitsu_backup.errors import BackupError, BlockedError
from jitsu_backup.events import Event
from jitsu_backup.store import FolderStore, Lease
from jitsu_backup.store.lease import CLOCK, LEASE_SECONDS, RENEW_SECONDS, Holder, this_process
from tests import examples
from tests.support import run

WORKSPACE = "cacmeprod0000000000000002"
ELSEWHERE = Holder("ann@laptop", "another machine", 1, "run-1")


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 25, 12, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(str(tmp_path))


@pytest.fixture
def time() -> Time:
    return Time()


def lease(store: Any, time: Time, holder: Holder | None = None, **options: Any) -> Lease:
    return Lease(
        store, WORKSPACE, "restore", now=time.now, monotonic=time.monotonic, sleep=time.sleep, holder=holder, **options
    )  # fmt: skip


def files(store: FolderStore) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def test_the_second_run_is_refused_and_told_who_has_it_and_since_when(store: FolderStore, time: Time) -> None:
    assert run(lease(store, time, ELSEWHERE).take(wait=False)) is False
    with pytest.raises(BlockedError) as refused:
        run(lease(store, time).take(wait=False))
    assert refused.value.exit_code == 7
    assert "restore by ann@laptop since 2026-11-25 12:00:00 UTC" in str(refused.value)
    assert "--wait" in str(refused.value)


def test_it_is_given_back_at_the_end_and_leaves_nothing(store: FolderStore, time: Time) -> None:
    async def job() -> None:
        mine = lease(store, time)
        await mine.take(wait=False)
        async with mine:
            assert mine.held()
            assert len(files(store)) == 1

    run(job())
    assert files(store) == []


def test_a_waiting_run_continues_when_the_other_has_ended_and_says_that_it_waited(
    store: FolderStore, time: Time
) -> None:
    told: list[Event] = []

    async def job() -> bool:
        other = lease(store, time, ELSEWHERE)
        await other.take(wait=False)

        async def sleep(seconds: float) -> None:
            await time.sleep(seconds)
            if time.seconds > 20:
                await other.release()

        second = Lease(
            store, WORKSPACE, "clone", now=time.now, monotonic=time.monotonic, sleep=sleep, report=told.append
        )
        return await second.take(wait=True)

    assert run(job()) is True
    assert len(told) == 1
    assert "ann@laptop" in str(told[0])


def test_a_run_of_another_machine_that_died_ends_by_the_clock(store: FolderStore, time: Time) -> None:
    run(lease(store, time, ELSEWHERE).take(wait=False))
    time.seconds = LEASE_SECONDS + CLOCK.total_seconds() - 1  # the clocks of two machines may differ
    with pytest.raises(BlockedError):
        run(lease(store, time).take(wait=False))
    time.seconds += 2
    assert run(lease(store, time).take(wait=False)) is False


def test_a_process_of_this_machine_that_was_killed_ends_at_once(store: FolderStore, time: Time) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    run(lease(store, time, replace(this_process(), process=child.pid)).take(wait=False))
    with pytest.raises(BlockedError):
        run(lease(store, time).take(wait=False))
    child.kill()
    child.wait()
    child.stdin.close()  # type: ignore[union-attr]
    assert run(lease(store, time).take(wait=False)) is False


def test_it_is_renewed_while_it_is_used(store: FolderStore, time: Time) -> None:
    async def job() -> None:
        mine = lease(store, time)
        await mine.take(wait=False)
        async with mine:
            first = files(store)
            while time.seconds < 4 * LEASE_SECONDS:
                await asyncio.sleep(0)
                assert mine.held()
            assert files(store) != first
            assert len(files(store)) == 1
            with pytest.raises(BlockedError):
                await lease(store, time, ELSEWHERE).take(wait=False)

    run(job())


def test_a_process_that_was_stopped_for_long_may_not_go_on(store: FolderStore, time: Time) -> None:
    async def job() -> None:
        mine = lease(store, time)
        await mine.take(wait=False)
        time.seconds += LEASE_SECONDS + 1  # such as a laptop that slept
        assert not mine.held()
        time.seconds += CLOCK.total_seconds()
        other = lease(store, time, ELSEWHERE)
        await other.take(wait=False)
        async with mine:
            for _ in range(10):
                await asyncio.sleep(0)
        assert other.held()
        assert len(files(store)) == 1  # whoever lost it does not remove the other's

    run(job())


def test_a_slow_taker_whose_number_is_an_old_one_backs_off(store: FolderStore, time: Time) -> None:
    async def job() -> None:
        slow, other = lease(store, time), lease(store, time, ELSEWHERE)
        assert await slow._advance([5])  # takes number 6, as after a lease that was over
        assert not await other._advance([])  # begins anew at 1, and sees the 6
        await slow.release()
        assert await other._advance([])
        assert not await slow._advance([5])
        assert other.held()

    run(job())
    assert len(files(store)) == 1


@given(st.lists(st.sampled_from("tgrd"), max_size=30), st.randoms())
@settings(max_examples=examples(60), deadline=None)
def test_never_do_two_runs_hold_it(tmp_path_factory: Any, steps: list[str], dice: Any) -> None:
    store, time = FolderStore(str(tmp_path_factory.mktemp("store"))), Time()

    async def job() -> None:
        leases = [lease(store, time, Holder(f"run {n}", f"machine {n}", 1, str(n))) for n in range(3)]
        for step in steps:
            one = dice.choice(leases)
            if step == "t" and not one.held():
                with suppress(BlockedError):
                    await one.take(wait=False)
            elif step == "g":
                await one.release()
            elif step == "r" and one.held():
                await one._advance([one._number])
            elif step == "d":
                time.seconds += dice.choice([1, RENEW_SECONDS, LEASE_SECONDS, LEASE_SECONDS + 61])
            assert sum(other.held() for other in leases) <= 1

    run(job())


def test_a_lease_that_cannot_be_read_is_named(store: FolderStore, time: Time) -> None:
    (store.folder / f"jitsu-backup-lease.{WORKSPACE}.3.json").write_text("not ours")
    with pytest.raises(BlockedError, match=f"remove jitsu-backup-lease.{WORKSPACE}.3.json"):
        run(lease(store, time).take(wait=False))


def test_a_store_that_takes_no_file_is_an_error_and_no_lease(tmp_path: Path, time: Time) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackupError):
        run(lease(FolderStore(str(tmp_path / "file" / "store")), time).take(wait=False))


def test_this_process_is_named_without_its_environment() -> None:
    holder = this_process()
    assert holder.process == os.getpid()
    assert "@" in holder.name


class NoDeletes(FolderStore):
    """A store that lets nobody delete."""

    async def remove(self, name: str) -> None:
        raise BackupError(f"cannot remove {name}: permission denied")


def test_in_a_store_that_lets_nobody_delete_it_is_renewed_given_back_and_taken_again(
    tmp_path: Path, time: Time
) -> None:
    store = NoDeletes(str(tmp_path))

    async def job() -> None:
        for holder in (ELSEWHERE, replace(ELSEWHERE, run="run-2"), replace(ELSEWHERE, run="run-3")):
            mine = lease(store, time, holder)
            await mine.take(wait=False)
            async with mine:
                ends = time.seconds + 5 * RENEW_SECONDS
                while time.seconds < ends:
                    await asyncio.sleep(0)
                    assert mine.held()

    run(job())
