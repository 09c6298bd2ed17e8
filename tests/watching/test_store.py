"""A store that fails is left alone for a while, and caught up with; who is told of changes finds what they are compared with."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import CLONED, ArchiveName, archives_in, parse_name, source_mark
from jitsu_backup.archive.retention import policy_of
from jitsu_backup.errors import BackupError
from jitsu_backup.operations.prune import Retention
from jitsu_backup.operations.watch_store import LISTED_SECONDS, View, WatchedStore
from jitsu_backup.store.control import MARKER, READING, lease_name
from jitsu_backup.store.readings import REMOVAL_SECONDS
from tests.virtual_time import VirtualLoop, run_virtually
from tests.watching.kit import HOUR, Bench
from tests.watching.test_watch import ONE, errors, tell

LAST = Retention(policy_of({"keep_last": 1}), UTC)


@pytest.mark.parametrize("what", ["full", "away"])
def test_a_store_that_fails_costs_the_console_little_and_all_changes_come_once_it_is_back(
    loop: VirtualLoop, tmp_path: Path, what: str
) -> None:
    bench = Bench(loop, str(tmp_path / "some"), 5)

    async def story() -> None:
        await asyncio.sleep(400)
        setattr(bench.disk, what, True)
        bench.sent.clear()
        for number in range(60):
            bench.change(f"cworkspace000000000000{number % 5:04d}")
            await asyncio.sleep(60)
        assert asked(bench) > 0.9 * len(bench.sent) - 15 * 40
        assert (
            len(bench.sent) - asked(bench) < 15 * 40
        )  # a reading in 5 minutes, none where it cannot be listed
        assert list(bench.standings[-1].troubles) == ["the store"]
        setattr(bench.disk, what, False)
        await asyncio.sleep(400)

    asked = count_questions(bench)
    tell(bench, story)
    assert len(errors(bench)) == 1
    assert bench.standings[-1].well
    assert max(bench.delays.values()) < HOUR + 400


def count_questions(bench: Bench) -> Any:
    """Return what counts the questions whether something has changed, since the requests were cleared."""
    app, asked = bench.app, list[float]()

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("/listen"):
            asked.append(bench.loop.now)
        await app(scope, receive, send)

    bench.app = counting  # type: ignore[method-assign]
    return lambda _: sum(at >= bench.sent[0] for at in asked)


def test_a_store_that_takes_archives_and_no_readings_is_well_again_with_the_next_archive(
    bench: Bench,
) -> None:
    create = bench.disk.create

    async def create_no_reading(name: str, data: bytes) -> bool:
        if READING.fullmatch(name):
            raise BackupError("only archives are taken")
        return await create(name, data)

    async def story() -> None:
        await asyncio.sleep(100)
        bench.disk.away = True
        bench.change(ONE)
        await asyncio.sleep(60)
        assert list(bench.standings[-1].troubles) == ["the store"]
        bench.disk.away = False
        await asyncio.sleep(120)
        assert bench.standings[-1].well

    bench.disk.create = create_no_reading  # type: ignore[method-assign]
    tell(bench, story)


def test_one_backup_at_a_time_tries_a_store_in_trouble(loop: VirtualLoop, tmp_path: Path) -> None:
    bench = Bench(loop, str(tmp_path / "some"), 5)
    at_once: list[int] = []
    create, under_way = bench.disk.create, 0

    async def slow(name: str, data: bytes) -> bool:
        nonlocal under_way
        under_way += 1
        at_once.append(under_way)
        await asyncio.sleep(3)
        under_way -= 1
        return await create(name, data)

    async def story() -> None:
        await asyncio.sleep(400)
        bench.disk.full = True
        for number in range(5):
            bench.change(f"cworkspace000000000000{number:04d}")
        await asyncio.sleep(60)
        bench.disk.create = slow  # type: ignore[method-assign]
        await asyncio.sleep(600)

    tell(bench, story)
    assert set(at_once) == {1}


def test_the_store_is_listed_once_for_all_that_begin_within_seconds_and_nothing_written_is_missed(
    bench: Bench, loop: VirtualLoop
) -> None:
    listings = 0

    async def listing() -> dict[str, int]:
        nonlocal listings
        listings += 1
        await asyncio.sleep(1)
        return {MARKER: 3}

    async def story() -> None:
        watched = WatchedStore(bench.disk, loop.time)
        views = [View(watched, f"c{number}") for number in range(20)]
        asking = [asyncio.ensure_future(view.listing()) for view in views]
        await asyncio.sleep(0.5)
        await views[0].create(lease_name("c0", 1), b"written while it is listed")
        found = await asyncio.gather(*asking)
        assert listings == 1
        assert found[0] == {MARKER: 3, lease_name("c0", 1): 26}
        assert found[1] == {MARKER: 3}
        await views[1].create(lease_name("c1", 1), b"written later")
        await views[0].remove(lease_name("c0", 1))
        assert await views[1].listing() == {MARKER: 3, lease_name("c1", 1): 13}
        assert await views[0].listing() == {MARKER: 3}
        assert listings == 1
        await asyncio.sleep(LISTED_SECONDS)
        assert await views[1].listing() == {MARKER: 3}
        assert listings == 2

    bench.disk.listing = listing  # type: ignore[method-assign]
    run_virtually(story(), loop)


def test_a_store_that_is_never_listed_is_reported(bench: Bench) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        bench.disk.listing = hang  # type: ignore[method-assign]
        bench.change(ONE)
        await asyncio.sleep(400)
        assert "was not listed within 300 s" in bench.standings[-1].words
        del bench.disk.listing
        await asyncio.sleep(400)

    async def hang() -> dict[str, int]:
        await asyncio.sleep(1e9)
        return {}

    tell(bench, story)
    assert bench.standings[-1].well
    assert max(bench.delays.values()) < 900


def test_a_store_that_never_takes_what_is_written_is_reported_and_tried_again(bench: Bench) -> None:
    create = bench.disk.create

    async def hang(name: str, data: bytes) -> bool:
        await asyncio.sleep(1e9)
        return await create(name, data)

    async def story() -> None:
        await asyncio.sleep(100)
        bench.disk.create = hang  # type: ignore[method-assign]
        bench.change(ONE)
        await asyncio.sleep(330)
        assert "within 300 s" in bench.standings[-1].troubles["the store"]
        bench.disk.create = create  # type: ignore[method-assign]
        await asyncio.sleep(320)

    tell(bench, story)
    assert bench.standings[-1].well
    assert max(bench.delays.values()) <= 650


# -- pruning ---------------------------------------------------------------------------


def test_it_is_reported_before_old_archives_are_removed_and_pruning_that_hangs_delays_nothing(
    bench: Bench,
) -> None:
    there: list[bool] = []
    told = bench._backed_up

    def backed_up(run: Any) -> None:
        for saved in run.saved:
            compared = [one for one in run.stored_before if one.workspace_id == saved.archive.workspace_id]
            there.extend((Path(bench.folder) / str(one)).is_file() for one in compared)
        told(run)

    async def hang(name: str) -> None:
        await asyncio.sleep(1e9 if parse_name(name) else 0)

    async def story() -> None:
        await asyncio.sleep(100)
        for number in range(20):
            bench.change(ONE)
            await asyncio.sleep(40)
            if number == 10:
                bench.disk.remove = hang  # type: ignore[method-assign]

    bench._backed_up = backed_up  # type: ignore[method-assign]
    tell(bench, story, retention=LAST)
    assert there
    assert all(there)
    assert max(bench.delays.values()) <= 15


def test_what_was_remembered_before_and_cannot_be_removed_holds_up_a_workspace_for_seconds(
    bench: Bench,
) -> None:
    async def hang(_: str) -> None:
        await asyncio.sleep(1e9)

    async def story() -> None:
        await asyncio.sleep(100)
        bench.disk.remove = hang  # type: ignore[method-assign]
        for _ in range(4):
            bench.change(ONE)
            await asyncio.sleep(40)

    tell(bench, story)
    assert max(bench.delays.values()) <= 15 + REMOVAL_SECONDS


def test_what_is_still_needed_is_not_pruned(bench: Bench) -> None:
    first: list[str] = []

    async def story() -> None:
        await asyncio.sleep(100)
        first.extend(await bench.disk.names())
        for _ in range(4):
            bench.change(ONE)
            await asyncio.sleep(40)

    tell(bench, story, retention=LAST, needed=lambda key: first if key == (bench.host, ONE) else ())
    left = archives_in({path.name: 1 for path in Path(bench.folder).iterdir() if parse_name(path.name)})
    assert [str(one) for one in left[1:]] == first


def test_old_archives_that_cannot_be_removed_are_reported_until_they_can(bench: Bench) -> None:
    remove = bench.disk.remove

    async def refuse(name: str) -> None:
        if parse_name(name) is not None:
            raise BackupError("no right to remove")
        await remove(name)

    async def story() -> None:
        await asyncio.sleep(100)
        bench.disk.remove = refuse  # type: ignore[method-assign]
        bench.change(ONE)
        await asyncio.sleep(1000)
        assert (
            "old archives: 1 could not be removed: 1 of them: no right to remove" in bench.standings[-1].words
        )
        bench.disk.remove = remove  # type: ignore[method-assign]
        await asyncio.sleep(330)

    tell(bench, story, retention=LAST)
    assert len(errors(bench)) == 1
    assert bench.standings[-1].well


def test_what_only_the_store_has_is_reported_by_its_id_where_its_slug_lives_and_not_where_it_was_recovered(
    bench: Bench,
) -> None:
    began = datetime.fromtimestamp(bench.loop.time(), UTC)

    def stored(slug: str, workspace_id: str, days: int, *marks: str) -> None:
        kept = ArchiveName(slug, workspace_id, began - timedelta(days=days), f"{days:012x}", marks, total=3)
        (Path(bench.folder) / str(kept)).write_bytes(b"x")

    Path(bench.folder).mkdir(exist_ok=True)
    stored("team-0", "clost", 3)
    stored("team-0", "clater", 1)
    stored("shop", "cshop", 3)
    stored("team-0", ONE, 2, CLONED, source_mark("http://lost.example", "clost"))

    async def story() -> None:
        await asyncio.sleep(400)

    tell(bench, story, allow_unseen=())
    told = [message for _, message in errors(bench) if "--allow-unseen" in message]
    assert len(told) == 2
    assert "its archives are those of team-0; give the owner of the key access to it again" in "".join(told)
    assert all(message.endswith("bring it back with `jitsu-backup recover`") for message in told)
    assert "silence this with --allow-unseen clater" in "".join(told)
    assert "silence this with --allow-unseen shop" in "".join(told)
