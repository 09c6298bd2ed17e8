"""What the store has lost, or says of a wrong time, reads a workspace whole."""

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from jitsu_backup.errors import AccessError, BackupError
from jitsu_backup.model import canonical
from jitsu_backup.store import FolderStore
from jitsu_backup.store.control import READING
from tests.asking.kit import (
    DAY,
    HOUR,
    REST,
    World,
    archives,
    at_rest,
    create,
    is_up_to_date,
    move_cursor,
    readings,
    readings_of,
)
from tests.support import STAGING


class Kept(FolderStore):
    """A store in which nothing can be removed."""

    async def remove(self, name: str) -> None:
        raise AccessError("no Delete")


def _forget(folder: Path) -> None:
    for path in readings(folder):
        path.unlink()


def _damage(folder: Path) -> None:
    for path in readings(folder):
        path.write_bytes(path.read_bytes()[:-1])


def _change(folder: Path) -> None:
    for path in readings(folder):
        path.write_bytes(path.read_bytes().replace(b'"asked":"2026', b'"asked":"2027'))


def _empty(folder: Path) -> None:
    for path in readings(folder):
        path.write_bytes(b"")


def _no_reading(folder: Path) -> None:
    for path in readings(folder):
        path.write_bytes(b"[]")


def _a_word(folder: Path) -> None:
    for path in readings(folder):
        path.write_bytes(b'"reading"')


def _rewrite(folder: Path, **change: Any) -> None:
    """Change what readings say, checksums too."""
    for path in readings(folder):
        data = canonical({**orjson.loads(path.read_bytes()), **change})
        parts = path.name.split(".")
        path.unlink()
        parts[3] = hashlib.sha256(data).hexdigest()[:16]
        path.with_name(".".join(parts)).write_bytes(data)


def _newer_version(folder: Path) -> None:
    _rewrite(folder, version=2)


def _one_more_member(folder: Path) -> None:
    _rewrite(folder, more=True)


def _odd_syncs(folder: Path) -> None:
    _rewrite(folder, syncs=[1, None])


def _swap(folder: Path) -> None:
    """Another workspace's content under the name of ours."""
    ours, theirs = (next(p for p in readings(folder) if name in p.name) for name in (STAGING, "cacmeprod"))
    ours.write_bytes(theirs.read_bytes())
    ours.rename(ours.with_name(theirs.name.replace("cacmeprod0000000000000002", STAGING)))


def _remove_newest(folder: Path) -> None:
    archives(folder)[-1].unlink()


def _truncate_newest(folder: Path) -> None:
    newest = archives(folder)[-1]
    newest.write_bytes(newest.read_bytes()[:-1])


@pytest.mark.parametrize(
    "befall",
    [
        _forget, _damage, _change, _empty, _no_reading, _a_word, _newer_version, _one_more_member, _odd_syncs, _swap,
        _remove_newest, _truncate_newest,
    ],
)  # fmt: skip
def test_a_reading_that_is_lost_or_damaged_or_whose_archive_is_gone_reads_whole(
    world: World, folder: Path, befall: Callable[[Path], None]
) -> None:
    async def story(world: World) -> None:
        befall(folder)
        assert await world.was_read()
        assert await is_up_to_date(world)
        await asyncio.sleep(HOUR)
        assert not await world.was_read()

    at_rest(world, story)


def test_a_store_restored_from_an_older_copy_is_caught_up(world: World, folder: Path) -> None:
    async def story(world: World) -> None:
        shutil.copytree(folder, folder.with_name("copy"))
        await create(world)
        await world.was_read()
        await asyncio.sleep(REST)
        await world.was_read()
        shutil.rmtree(folder)
        shutil.copytree(folder.with_name("copy"), folder)
        assert await world.was_read()
        assert await is_up_to_date(world)

    at_rest(world, story)


def test_an_older_reading_that_comes_back_beside_a_newer_archive_does_not_count(
    world: World, folder: Path
) -> None:
    async def story(world: World) -> None:
        older = {path.name: path.read_bytes() for path in readings(folder)}
        await create(world)
        await world.was_read()
        _forget(folder)
        for name, data in older.items():
            (folder / name).write_bytes(data)
        await asyncio.sleep(REST)
        assert await world.was_read()

    at_rest(world, story)


@pytest.mark.parametrize("may_remove", [True, False])
def test_a_reading_of_a_day_when_a_console_was_years_ahead_is_passed_over(
    world: World, folder: Path, may_remove: bool
) -> None:
    years = 10 * 365 * DAY

    async def story(world: World) -> None:
        world.store = FolderStore(str(folder)) if may_remove else Kept(str(folder))
        world.console_ahead += years
        assert await world.was_read()
        world.console_ahead -= years
        assert (
            await world.was_read() is may_remove
        )  # else the reading of before that is there, and still true
        await asyncio.sleep(HOUR)
        assert not await world.was_read()
        assert await is_up_to_date(world)
        assert len(readings_of(folder)) == (1 if may_remove else 2)
        await create(world)
        await asyncio.sleep(HOUR)
        assert await world.was_read()
        assert not await world.was_read()
        assert await is_up_to_date(world)

    at_rest(world, story)


@pytest.mark.parametrize("ahead", [240.0, -10 * 365 * DAY])
def test_a_reading_of_a_machine_whose_clock_was_wrong_is_overwritten_by_the_next(
    world: World, folder: Path, ahead: float
) -> None:
    async def story(world: World) -> None:
        for path in readings(folder) + archives(folder):
            path.unlink()
        assert await world.was_read(ahead=ahead)
        await asyncio.sleep(HOUR)
        assert await world.was_read()
        assert len(readings_of(folder)) == 1
        await create(world)
        await asyncio.sleep(HOUR)
        assert await world.was_read()
        assert await is_up_to_date(world)

    at_rest(world, story)


def test_beside_an_archive_of_the_future_all_is_read_every_time_and_nothing_written_twice(
    world: World, folder: Path
) -> None:
    async def story(world: World) -> None:
        assert await world.was_read(ahead=365 * DAY, labels=("ahead",))
        written = []
        for _ in range(3):
            told: list[object] = []
            saved = await world.saved(report=told.append)
            written.append(saved.written)
            assert any("has an archive dated in the future" in str(event) for event in told)
            await asyncio.sleep(HOUR)
        assert written == [False, False, False]

    at_rest(world, story)


def test_two_machines_that_agree_on_the_time_share_what_they_know_and_others_read_whole(world: World) -> None:
    async def story(world: World) -> None:
        assert not await world.was_read(ahead=5.0)
        assert await world.was_read(ahead=200.0)
        await asyncio.sleep(HOUR)
        assert await world.was_read(ahead=0.0)

    at_rest(world, story)


def test_two_machines_at_once_lose_nothing(world: World) -> None:
    async def story(world: World) -> None:
        world.latency = lambda: 0.05
        await create(world)
        await asyncio.gather(world.was_read(), world.was_read(), move_cursor(world))
        await world.was_read()
        assert await is_up_to_date(world)

    at_rest(world, story)


def test_a_store_that_cannot_be_listed_is_compared_with_nothing(world: World, folder: Path) -> None:

    class Unlisted(FolderStore):
        async def listing(self) -> dict[str, int]:
            raise AccessError("no List")

    async def story(world: World) -> None:
        assert await world.was_read(store=Unlisted(str(folder)))

    at_rest(world, story)


def test_where_nothing_can_be_removed_old_readings_stay_and_the_newest_counts(
    world: World, folder: Path
) -> None:

    async def story(world: World) -> None:
        world.store = Kept(str(folder))
        await create(world)
        assert await world.was_read()
        await asyncio.sleep(REST)
        assert await world.was_read()
        await asyncio.sleep(HOUR)
        assert not await world.was_read()
        assert len([path for path in readings(folder) if STAGING in path.name]) == 3

    at_rest(world, story)


def test_a_reading_that_cannot_be_read_reads_whole(world: World, folder: Path) -> None:

    class Closed(FolderStore):
        async def read(self, name: str) -> bytes:
            if READING.fullmatch(name):
                raise AccessError("no Get")
            return await super().read(name)

    async def story(world: World) -> None:
        assert await world.was_read(store=Closed(str(folder)))

    at_rest(world, story)


def test_where_nothing_can_be_written_what_is_unchanged_is_asked_about_and_what_changed_fails(
    world: World, folder: Path
) -> None:

    class ReadOnly(FolderStore):
        async def create(self, name: str, data: bytes) -> bool:
            raise AccessError("read-only")

        async def remove(self, name: str) -> None:
            raise AccessError("read-only")

    async def story(world: World) -> None:
        world.store = ReadOnly(str(folder))
        assert not await world.was_read()
        await create(world)
        run = await world.backup()
        assert [one.exit_code for one in run.outcomes if one.label == "acme-staging"] == [6]
        assert run.exit_code == 3

    at_rest(world, story)


def test_a_reading_that_cannot_be_kept_harms_no_backup(world: World, folder: Path) -> None:

    class Full(FolderStore):
        async def create(self, name: str, data: bytes) -> bool:
            if READING.fullmatch(name):
                raise BackupError("no space left")
            return await super().create(name, data)

    async def story(world: World) -> None:
        world.store = Full(str(folder))
        await create(world)
        told: list[object] = []
        run = await world.backup(report=told.append)
        assert run.exit_code == 0
        assert any("no space left" in str(event) for event in told)
        assert await is_up_to_date(world)

    at_rest(world, story)
