"""What is surely unchanged is asked about and not read; every doubt reads the workspace whole."""

import asyncio
import hashlib
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pyrage
import pytest

from jitsu_backup.archive import archives_in
from jitsu_backup.errors import AccessError, BackupError
from jitsu_backup.model import canonical
from jitsu_backup.operations import asking
from jitsu_backup.operations.alarms import What
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.vanished_store import ExpectedStore
from jitsu_backup.sandbox import Generation
from jitsu_backup.store import FolderStore
from jitsu_backup.store.control import READING
from tests.asking.kit import DAY, HOUR, REST, World, at_rest, is_up_to_date, with_console, world_in
from tests.support import ANALYST, STAGING

ADMIN = "service:admintoken"

Story = Callable[[World], Awaitable[Any]]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_in(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


def readings(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if READING.fullmatch(path.name))


def archives(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*.{STAGING}.*.json.gz"))


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


FUNCTION = {"id": "new-1", "name": "New", "code": "export default 1"}
BUILDER = {
    "id": "pb-new", "name": "New", "workspaceId": STAGING, "version": 1, "createdAt": "2026-01-01T00:00:00.000Z",
    "updatedAt": "2026-01-01T00:00:00.000Z", "intermediateStorageCredentials": {}, "connectionOptions": {},
}  # fmt: skip


async def _create(world: World) -> None:
    await world.ask("POST", "config/function", FUNCTION)


async def _put_without_change(world: World) -> None:
    await world.ask("PUT", "config/function/enrich-0001", {"id": "enrich-0001"})


async def _delete(world: World) -> None:
    await world.ask("DELETE", "config/function/filter-0001")


async def _delete_link(world: World) -> None:
    link = next(row.id for row in world.state.live_links(STAGING) if row.type == "push")
    await world.ask("DELETE", f"config/link?id={link}")


async def _cursor(world: World) -> None:
    sync = next(iter(world.state.sync_states))
    await world.ask("POST", f"sources/state?syncId={sync}&stream=public.users", {"cursor": "2026-02-02"})


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
        _create, _put_without_change, _delete, _delete_link, _cursor, _no_cursor, _new_builder, _builder_gone,
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
        await _create(world)
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
        await _create(world)
        assert await world.was_read()
        await _delete(world)  # no time has passed
        assert await world.was_read()
        assert await is_up_to_date(world)

    at_rest(world, story)


async def _console_clock_back(world: World) -> None:
    world.console_ahead -= 600
    await _create(world)
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
        run = await world.backup()
        (outcome,) = (one for one in run.outcomes if one.label == "acme-staging")
        assert outcome.saved is not None
        assert not outcome.saved.whole

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


# -- what the store says ---------------------------------------------------------------


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
        await _create(world)
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
        await _create(world)
        await world.was_read()
        _forget(folder)
        for name, data in older.items():
            (folder / name).write_bytes(data)
        await asyncio.sleep(REST)
        assert await world.was_read()

    at_rest(world, story)


def readings_of(folder: Path) -> list[Path]:
    return [path for path in readings(folder) if STAGING in path.name]


@pytest.mark.parametrize("may_remove", [True, False])
def test_a_reading_of_a_day_when_a_console_was_years_ahead_is_passed_over(
    world: World, folder: Path, may_remove: bool
) -> None:

    class Kept(FolderStore):
        async def remove(self, name: str) -> None:
            raise AccessError("no Delete")

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
        await _create(world)
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
        await _create(world)
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
            run = await world.backup(report=told.append)
            (outcome,) = (one for one in run.outcomes if one.label == "acme-staging")
            assert outcome.saved is not None
            written.append(outcome.saved.written)
            assert any("a clock is or was wrong" in str(event) for event in told)
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
        await _create(world)
        await asyncio.gather(world.was_read(), world.was_read(), _cursor(world))
        await world.was_read()
        assert await is_up_to_date(world)

    at_rest(world, story)


# -- what this run would write ---------------------------------------------------------


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
        run = await world.backup(key=ANALYST)
        (outcome,) = (one for one in run.outcomes if one.label == "acme-staging")
        assert outcome.saved is not None
        assert outcome.saved.better is not None

    at_rest(world, story)


def test_an_operators_token_is_asked_with_once_a_run(world: World) -> None:
    async def story(world: World) -> None:
        assert await world.was_read(operator=ADMIN)
        await asyncio.sleep(HOUR)
        world.sandbox.requests.clear()
        run = await world.backup(operator=ADMIN)
        assert [one.unchanged is not None for one in run.outcomes] == [True, True]
        asked = [one.path for one in world.sandbox.requests if one.path.startswith("/api/admin/")]
        assert asked == ["/api/admin/export/streams-with-destinations?dateOnly=true"]

    at_rest(world, story)


@pytest.mark.parametrize(
    "answer",
    [
        (401, {"message": "no such token"}), (500, {"message": "User u is not an admin", "status": 403}),
        (404, b"<html>"),
    ],
)  # fmt: skip
def test_an_operators_token_that_was_withdrawn_is_told_as_a_whole_reading_tells_it(
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
            run = await world.backup()
            (outcome,) = (one for one in run.outcomes if one.label == "acme-staging")
            assert outcome.saved is not None
            assert outcome.saved.falls
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
            run = await world.backup(shrink_alarm=0.1)
            (outcome,) = (one for one in run.outcomes if one.label == "acme-staging")
            assert outcome.saved is not None
            assert outcome.saved.falls
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
        run = await world.backup()
        (outcome,) = (one for one in run.outcomes if one.label == "acme-staging")
        assert outcome.saved is not None
        assert outcome.saved.falls

    at_rest(world, story)


def test_an_archive_of_a_better_key_that_comes_back_is_told(world: World, folder: Path) -> None:
    async def story(world: World) -> None:
        (better,) = archives(folder)
        data = better.read_bytes()
        better.unlink()
        assert await world.was_read(key=ANALYST)
        await asyncio.sleep(HOUR)
        assert not await world.was_read(key=ANALYST)
        better.write_bytes(data)
        run = await world.backup(key=ANALYST)
        (outcome,) = (one for one in run.outcomes if one.label == "acme-staging")
        assert outcome.saved is not None
        assert outcome.saved.better is not None

    at_rest(world, story)


def test_an_incomplete_reading_is_not_remembered(world: World) -> None:
    async def story(world: World) -> None:
        await _create(world)
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


def test_an_archive_that_the_figures_tell_of_and_that_is_gone_is_told(world: World) -> None:
    """The alarm of a lost archive is looked for although nothing would have to be read."""

    async def story(world: World) -> None:
        newest = {STAGING: world.loop.now + 1}
        run = await world.backup(expected=ExpectedStore(figures=Path("figures"), newest=newest))
        (outcome,) = (one for one in run.outcomes if one.label == "acme-staging")
        assert outcome.alarm is not None
        assert outcome.alarm.what is What.LOST

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

    class Kept(FolderStore):
        async def remove(self, name: str) -> None:
            raise AccessError("no Delete")

    async def story(world: World) -> None:
        world.store = Kept(str(folder))
        await _create(world)
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
        await _create(world)
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
        await _create(world)
        told: list[object] = []
        run = await world.backup(report=told.append)
        assert run.exit_code == 0
        assert any("no space left" in str(event) for event in told)
        assert await is_up_to_date(world)

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


def test_a_sync_that_reads_all_anew_is_asked_for_its_cursor_once_it_has_one_or_may_keep_one(
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
