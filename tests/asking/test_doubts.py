"""What is surely unchanged is asked about and not read; every doubt reads the workspace whole."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import archives_in
from jitsu_backup.sandbox import Generation
from tests.asking.kit import (
    HOUR,
    REST,
    World,
    at_rest,
    create,
    is_up_to_date,
    move_cursor,
    readings,
    with_console,
    world_in,
)
from tests.support import ANALYST, STAGING

ADMIN = "service:admintoken"

Story = Callable[[World], Awaitable[Any]]


def test_what_is_surely_unchanged_takes_two_requests_and_one_a_sync_that_keeps_cursors(world: World) -> None:
    async def story(world: World) -> None:
        world.sandbox.requests.clear()
        assert not await world.was_read()
        asked = [request.path for request in world.sandbox.requests if STAGING in request.path]
        assert sorted(path.partition("?")[0].removeprefix(f"/api/{STAGING}/") for path in asked) == [
            "config/profile-builder", "listen", "sources/state",
        ]  # fmt: skip

    at_rest(world, story)


def test_the_newest_archive_stands_for_what_is_unchanged(world: World) -> None:
    async def story(world: World) -> None:
        run = await world.backup()
        (outcome,) = (one for one in run.outcomes if one.label == "acme-staging")
        assert (outcome.exit_code, outcome.whole, run.exit_code) == (0, True, 0)
        newest = next(a for a in archives_in(await world.store.listing()) if a.workspace_id == STAGING)
        assert outcome.archive == newest
        assert outcome.source is not None
        assert (outcome.source.workspace_id, outcome.source.slug) == (STAGING, "acme-staging")

    at_rest(world, story)


def test_a_workspace_by_its_slug_is_asked_about_too(world: World) -> None:
    async def story(world: World) -> None:
        assert not await world.was_read(everything=False)

    at_rest(world, story)


@pytest.mark.parametrize("generation", [Generation.JULY_2026, Generation.NEWEST])
def test_hour_by_hour_it_is_read_once_a_day(tmp_path: Path, generation: Generation) -> None:
    async def story(world: World) -> list[bool]:
        found = []
        for _ in range(49):
            await asyncio.sleep(HOUR)
            found.append(await world.was_read())
        return found

    read = at_rest(world_in(tmp_path / "store", generation=generation), story)
    assert sum(read) == 2


def test_a_console_without_listen_is_read_every_time(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        assert await world.was_read()
        assert readings(tmp_path / "store") == []

    at_rest(world_in(tmp_path / "store", generation=Generation.OCTOBER_2024), story)


BUILDER = {
    "id": "pb-new", "name": "New", "workspaceId": STAGING, "version": 1, "createdAt": "2026-01-01T00:00:00.000Z",
    "updatedAt": "2026-01-01T00:00:00.000Z", "intermediateStorageCredentials": {}, "connectionOptions": {},
}  # fmt: skip


async def _put_without_change(world: World) -> None:
    await world.ask("PUT", "config/function/enrich-0001", {"id": "enrich-0001"})


async def _delete(world: World) -> None:
    await world.ask("DELETE", "config/function/filter-0001")


async def _delete_link(world: World) -> None:
    link = next(row.id for row in world.state.live_links(STAGING) if row.type == "push")
    await world.ask("DELETE", f"config/link?id={link}")


async def _no_cursor(world: World) -> None:
    sync = next(iter(world.state.sync_states))
    await world.ask("POST", f"sources/state?syncId={sync}&stream=public.users", {})


async def _new_builder(world: World) -> None:
    await world.ask("POST", "config/profile-builder", {"profileBuilder": BUILDER, "code": "export default 1"})


async def _builder_gone(world: World) -> None:
    await world.ask("DELETE", "config/profile-builder?id=profiles-0001")


async def _builder_changed(world: World) -> None:
    world.state.builders["profiles-0001"].fields["name"] = "Renamed"  # the console stamps nothing


async def _renamed(world: World) -> None:
    row = world.state.workspaces[STAGING]
    row.name, row.updated_at = "Renamed", world.state.now()


@pytest.mark.parametrize(
    "change",
    [
        create, _put_without_change, _delete, _delete_link, move_cursor, _no_cursor, _new_builder, _builder_gone,
        _builder_changed, _renamed,
    ],
)  # fmt: skip
@pytest.mark.parametrize("late", [0.0, 29.0])
def test_every_change_is_read_however_late_it_is_committed(world: World, change: Story, late: float) -> None:
    async def story(world: World) -> None:
        world.state.lateness = lambda: late
        await change(world)
        assert await world.was_read()
        assert await is_up_to_date(world)

    at_rest(world, story)


@pytest.mark.parametrize("late", [0.0, 29.0])
def test_a_change_right_before_a_reading_is_no_rest(world: World, late: float) -> None:
    """Else one that is committed later, with an earlier time stamp, would be missed."""

    async def story(world: World) -> None:
        await create(world)
        assert await world.was_read()
        world.state.lateness = lambda: late  # committed after the reading, dated before it
        await _put_without_change(world)
        assert await world.was_read()
        assert await is_up_to_date(world)
        await asyncio.sleep(REST)
        assert await world.was_read()  # nothing is known of the time since
        assert not await world.was_read()

    at_rest(world, story)


def test_two_changes_in_one_millisecond_are_both_read(world: World) -> None:
    async def story(world: World) -> None:
        await create(world)
        assert await world.was_read()
        await _delete(world)  # no time has passed
        assert await world.was_read()
        assert await is_up_to_date(world)

    at_rest(world, story)


async def _console_clock_back(world: World) -> None:
    world.console_ahead -= 600
    await create(world)
    await asyncio.sleep(HOUR)


async def _our_clock_back(world: World) -> None:
    world.ours_ahead -= 600


async def _our_clock_forward(world: World) -> None:
    world.ours_ahead += 600


async def _other_machine(world: World) -> None:
    world.ours_ahead = -300.0


async def _other_console(world: World) -> None:
    world.state.workspaces[STAGING].created_at = "2025-01-01T00:00:00.000Z"


async def _console_restored(world: World) -> None:
    newest = max(world.state.objects.values(), key=lambda row: row.updated_at)
    for row in world.state.objects.values():
        row.updated_at = "2026-01-01T00:00:00.000Z"
    for link in world.state.links.values():
        link.updated_at = "2026-01-01T00:00:00.000Z"
    world.state.workspaces[STAGING].updated_at = "2026-01-01T00:00:00.000Z"
    assert newest.updated_at < world.state.now()


async def _other_version(world: World) -> None:
    with_console(world, lambda scope: (200, {"version": "2.99"}) if scope["path"] == "/api/version" else None)


async def _new_type(world: World) -> None:
    world.state.extra_types = ("gadget",)


async def _features(world: World) -> None:
    world.state.workspaces[STAGING].features.append("reverse-etl")


async def _slug(world: World) -> None:
    world.state.workspaces[STAGING].name = "Without a time stamp"


@pytest.mark.parametrize(
    "doubt",
    [
        _console_clock_back, _our_clock_back, _our_clock_forward, _other_machine, _other_console, _console_restored,
        _other_version, _new_type, _features, _slug,
    ],
)  # fmt: skip
def test_a_doubt_about_the_console_or_a_clock_reads_whole(world: World, doubt: Story) -> None:
    async def story(world: World) -> None:
        await doubt(world)
        assert await world.was_read()
        assert await is_up_to_date(world)

    at_rest(world, story)


@pytest.mark.parametrize(
    "answer",
    [
        (304, b""), (404, {"error": "API route not found"}), (500, {"error": "Can't get last modification date"}),
        (502, b"<html>"), (200, {}), (200, []), (200, {"modified": True, "lastModified": "soon", "now": "now"}),
        (200, {"modified": True, "lastModified": "2026-01-01T00:00:00", "now": "2026-01-01T00:00:00"}),
        (200, {"modified": True, "lastModified": "2026-01-01T00:00:00Z", "now": "9999-12-31T23:59:59.999Z"}),
        (200, {"modified": True, "lastModified": "0001-01-01T00:00:00Z", "now": "0001-01-01T00:00:00Z"}),
        (200, b"{"), (403, {"message": "no"}), (429, {"error": "rate_limit_exceeded"}),
    ],
)  # fmt: skip
def test_an_answer_that_tells_nothing_reads_whole(world: World, answer: tuple[int, Any]) -> None:
    async def story(world: World) -> None:
        with_console(world, lambda scope: answer if scope["path"].endswith("/listen") else None)
        assert await world.was_read()

    at_rest(world, story)


@pytest.mark.parametrize("path", ["/config/profile-builder", "/sources/state"])
@pytest.mark.parametrize(
    "answer", [(500, {"message": "broken"}), (200, {"ok": False}), (403, {"message": "no"})]
)
def test_what_cannot_be_asked_for_reads_whole(world: World, path: str, answer: tuple[int, Any]) -> None:
    async def story(world: World) -> None:
        with_console(world, lambda scope: answer if scope["path"].endswith(path) else None)
        saved = await world.saved()
        assert not saved.whole

    at_rest(world, story)


@pytest.mark.parametrize("answer", [(404, {"error": "API route not found: /api/me"}), (200, {"auth": True})])
def test_where_nobody_knows_who_reads_all_is_read(tmp_path: Path, answer: tuple[int, Any]) -> None:
    """Another key may be shown less."""
    world = world_in(tmp_path / "store")
    with_console(world, lambda scope: answer if scope["path"] == "/api/me" else None)

    async def story(world: World) -> None:
        saved = await world.saved(key=ANALYST)
        assert saved.better is not None

    at_rest(world, story)


def test_a_slow_answer_is_no_measure_of_time(world: World) -> None:
    async def story(world: World) -> None:
        async def slow(scope: Any, receive: Any, send: Any) -> None:
            await real(scope, receive, send)
            if scope["path"].endswith("/listen"):
                await asyncio.sleep(40)

        real, world.app = world.app, slow
        assert await world.was_read()

    at_rest(world, story)


# -- types -----------------------------------------------------------------------------


def test_of_an_unknown_type_nobody_knows_whether_listen_tells_so_it_is_listed(tmp_path: Path) -> None:
    world = world_in(tmp_path / "store")
    world.state.extra_types = ("gadget",)
    row = world.state.add_object(STAGING, "gadget", "g1", {"name": "One"})

    async def story(world: World) -> None:
        assert not await world.was_read()
        row.config["name"] = "Two"  # without a time stamp
        assert await world.was_read()
        assert await is_up_to_date(world)

    at_rest(world, story)


def test_a_sync_that_reads_all_again_is_asked_for_its_cursor_once_it_has_one_or_may_keep_one(
    world: World,
) -> None:
    sync = next(
        row
        for row in world.state.live_links(STAGING)
        if row.type == "sync" and "public.orders" in str(row.data)
    )

    async def story(world: World) -> None:
        assert not await world.was_read()
        sync.data["streams"]["public.orders"]["sync_mode"] = "incremental"
        sync.updated_at = world.state.now()
        await asyncio.sleep(REST)
        assert await world.was_read()
        world.state.sync_states[sync.id] = {"public.orders": '{"cursor": 1}'}
        assert await world.was_read()
        assert await is_up_to_date(world)

    at_rest(world, story)


def test_a_reading_holds_no_secret(world: World, folder: Path) -> None:
    async def story(world: World) -> None:
        for path in readings(folder):
            text = path.read_text()
            assert "mongo" not in text
            assert "2026-01-01\\" not in text

    at_rest(world, story)
