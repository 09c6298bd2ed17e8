"""What this run would write or tell otherwise than the last reading reads a workspace whole."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest

from jitsu_backup.archive import archives_in
from jitsu_backup.operations import asking
from jitsu_backup.operations.alarms import What
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.vanished_store import ExpectedStore
from tests.asking.kit import (
    DAY,
    HOUR,
    REST,
    World,
    archives,
    at_rest,
    create,
    is_up_to_date,
    with_console,
)
from tests.support import ANALYST, STAGING

ADMIN = "service:admintoken"


def test_without_its_labels_or_its_protection_the_newest_archive_is_not_enough(world: World) -> None:
    async def story(world: World) -> None:
        assert await world.was_read(labels=("release",))
        await asyncio.sleep(HOUR)
        assert not await world.was_read(labels=("release",))
        assert not await world.was_read()
        recipients = [str(pyrage.x25519.Identity.generate().to_public()) for _ in range(2)]
        sealed = ArchiveKeys(passphrase="a long enough passphrase")
        assert await world.was_read(keys=sealed)
        await asyncio.sleep(HOUR)
        assert not await world.was_read(keys=sealed)  # the name suffices: nothing is opened
        assert await world.was_read()
        await asyncio.sleep(HOUR)
        for recipient in recipients:  # each time to another key
            assert await world.was_read(keys=ArchiveKeys((recipient,)))
            await asyncio.sleep(HOUR)
            assert not await world.was_read(keys=ArchiveKeys((recipient,)))

    at_rest(world, story)


@pytest.mark.parametrize(
    "options",
    [{"full_every": 0.0}, {"full_every": None}, {"full_every": HOUR}, {"accept_shrink": True}, {"if_changed": False},
     {"host": "http://alias.example"}],
)  # fmt: skip
def test_who_asks_for_more_gets_it_read(world: World, options: dict[str, Any]) -> None:
    async def story(world: World) -> None:
        assert await world.was_read(**options)

    at_rest(world, story)


def test_another_key_reads_for_itself(world: World) -> None:
    async def story(world: World) -> None:
        saved = await world.saved(key=ANALYST)
        assert saved.better is not None

    at_rest(world, story)


def test_an_operators_token_is_asked_with_once_a_run(world: World) -> None:
    async def story(world: World) -> None:
        assert await world.was_read(operator=ADMIN)
        await asyncio.sleep(HOUR)
        world.sandbox.requests.clear()
        run = await world.backup(operator=ADMIN)
        assert [one.unchanged is not None for one in run.outcomes] == [True, True]
        asked = [one.path for one in world.sandbox.requests if one.path.startswith("/api/admin/")]
        others, itself = (
            "/api/admin/export/workspaces",
            "/api/admin/export/streams-with-destinations?dateOnly=true",
        )
        assert asked == [
            others,
            itself,
        ]  # which workspaces the key does not see, and whether the token still reads

    at_rest(world, story)


@pytest.mark.parametrize(
    "answer",
    [
        (401, {"message": "no such token"}), (500, {"message": "User u is not an admin", "status": 403}),
        (404, b"<html>"),
    ],
)  # fmt: skip
def test_an_operators_token_that_was_withdrawn_is_reported_as_a_whole_reading_tells_it(
    world: World, answer: tuple[int, Any]
) -> None:
    async def story(world: World) -> None:
        assert await world.was_read(operator=ADMIN)
        with_console(world, lambda scope: answer if scope["path"].startswith("/api/admin/") else None)
        runs = [await world.backup(operator=ADMIN, full_every=hours) for hours in (None, DAY)]
        whole, asked = ([str(one) for one in run.alarms(lambda *words: " ".join(words))] for run in runs)
        assert len(whole) == 2
        assert (asked, runs[1].exit_code) == (whole, runs[0].exit_code)

    at_rest(world, story)


def test_an_operators_token_that_cannot_be_tried_reads_whole(world: World) -> None:
    async def story(world: World) -> None:
        assert await world.was_read(operator=ADMIN)
        with_console(world, lambda scope: (500, b"{") if b"dateOnly" in scope["query_string"] else None)
        assert await world.was_read(operator=ADMIN)

    at_rest(world, story)


def test_another_version_of_this_tool_reads_for_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        monkeypatch.setattr(asking, "__version__", "99.0")
        assert await world.was_read()

    at_rest(world, story)


def test_a_reading_that_set_off_an_alarm_is_not_remembered(world: World, folder: Path) -> None:
    async def story(world: World) -> None:
        for row in list(world.state.live_objects(STAGING, "stream")):
            row.deleted, row.updated_at = True, world.state.now()
        await asyncio.sleep(REST)
        for _ in range(2):
            saved = await world.saved()
            assert saved.falls
            await asyncio.sleep(HOUR)

    at_rest(world, story)


def test_a_stricter_alarm_is_set_off_at_once_and_one_that_is_as_strict_reads_nothing(world: World) -> None:
    for number in range(5):
        world.state.add_object(STAGING, "function", f"more-{number}", {"name": f"More {number}"})

    async def story(world: World) -> None:
        functions = list(world.state.live_objects(STAGING, "function"))
        for row in functions[:2]:
            row.deleted, row.updated_at = True, world.state.now()
        await asyncio.sleep(REST)
        assert await world.was_read()
        await asyncio.sleep(HOUR)
        assert not await world.was_read()
        assert not await world.was_read(shrink_alarm=1)
        for _ in range(2):
            saved = await world.saved(shrink_alarm=0.1)
            assert saved.falls
            await asyncio.sleep(HOUR)

    at_rest(world, story)


def test_an_archive_of_before_that_comes_back_and_had_more_sets_off_its_alarm(
    world: World, folder: Path
) -> None:
    """As where a store is brought together from two copies."""

    async def story(world: World) -> None:
        (archive,) = archives(folder)
        name = next(one for one in archives_in(await world.store.listing()) if str(one) == archive.name)
        more = {**name.counts, "function": 50}
        earlier = replace(
            name, taken_at=name.taken_at - timedelta(days=1), digest_prefix="0" * 12, counts=more,
            total=sum(more.values()), size=1,
        )  # fmt: skip
        (folder / str(earlier)).write_bytes(b"x")
        saved = await world.saved()
        assert saved.falls

    at_rest(world, story)


def test_an_archive_of_a_better_key_that_comes_back_is_reported(world: World, folder: Path) -> None:
    async def story(world: World) -> None:
        (better,) = archives(folder)
        data = better.read_bytes()
        better.unlink()
        assert await world.was_read(key=ANALYST)
        await asyncio.sleep(HOUR)
        assert not await world.was_read(key=ANALYST)
        better.write_bytes(data)
        saved = await world.saved(key=ANALYST)
        assert saved.better is not None

    at_rest(world, story)


def test_an_incomplete_reading_is_not_remembered(world: World) -> None:
    async def story(world: World) -> None:
        await create(world)
        broken = True
        with_console(
            world,
            lambda scope: (
                (500, {"message": "broken"}) if broken and scope["path"].endswith("/function") else None
            ),
        )
        assert await world.was_read()
        await asyncio.sleep(HOUR)
        assert await world.was_read()
        broken = False
        assert await world.was_read()
        assert await is_up_to_date(world)
        await asyncio.sleep(HOUR)
        assert not await world.was_read()

    at_rest(world, story)


def test_an_archive_that_was_read_into_and_that_is_gone_is_reported_once(world: World, folder: Path) -> None:
    """The store itself remembers it: no figures are needed."""

    async def story(world: World) -> None:
        await create(world)
        saved = await world.saved()
        (folder / str(saved.archive)).unlink()
        outcome = await world.outcome()
        assert outcome.alarm is not None
        assert outcome.alarm.what is What.LOST
        assert f" no longer has the archive {saved.archive.digest_prefix}, in which " in outcome.alarm.why
        await asyncio.sleep(HOUR)
        assert (await world.outcome()).alarm is None

    at_rest(world, story)


def test_an_archive_that_the_figures_tell_of_and_that_is_gone_is_reported(world: World) -> None:
    """The alarm of a lost archive is looked for although nothing would have to be read."""

    async def story(world: World) -> None:
        newest = {STAGING: world.loop.now + 1}
        outcome = await world.outcome(expected=ExpectedStore(figures=Path("figures"), newest=newest))
        assert outcome.alarm is not None
        assert outcome.alarm.what is What.LOST

    at_rest(world, story)
