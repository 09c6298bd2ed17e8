"""`watch --notify`: people hear of what a watch wrote, once in a while, and no backup and no end waits for it."""

import asyncio
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from jitsu_backup.cli import notifying
from jitsu_backup.cli.app import App
from jitsu_backup.cli.courier import LAST_SECONDS, Courier
from jitsu_backup.cli.notifying import Notifier, NotifyFlags
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.notifying import Message, NotSentError
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from tests.support import OWNER, STAGING
from tests.unattended.workbench import Bench as Process, monitor
from tests.virtual_time import run_virtually
from tests.watching.kit import Bench
from tests.watching.test_command_line import until, watching
from tests.watching.test_store import LAST
from tests.watching.test_watch import ONE, tell

MINUTE = 60.0


class Channel:
    """Where messages go: what was told and when, and what happens instead."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[tuple[float, Message]] = []
        self.problems: list[str] = []
        self.fails = self.hangs = False
        self.loop = bench.loop
        settings = SimpleNamespace(notify_every=None, guard=lambda *_: SimpleNamespace(ignore=()))
        self.warnings: list[str] = []
        self.app = SimpleNamespace(
            settings=settings,
            store=bench.disk,
            keys=ArchiveKeys(),
            say=lambda _: None,
            warn=lambda text, always=False: (self.problems if always else self.warnings).append(text),
            again_with_keys=lambda _: lambda *words: " ".join(words),
        )
        monkeypatch.setattr(notifying, "utc_now", lambda: datetime.fromtimestamp(bench.loop.now, UTC))
        monkeypatch.setattr(notifying, "in_thread", self.at_once)
        monkeypatch.setattr(notifying, "send", self.send)
        monkeypatch.setenv("XDG_STATE_HOME", f"{bench.folder}-state")
        self.begin(bench)

    def begin(self, bench: Bench) -> Courier:
        """Let a watch begin to tell, as the first or after another has ended."""
        flags = NotifyFlags("https://chat.example/CANARY")
        bench.courier = Courier(Notifier(cast("App", self.app), flags), ())
        return bench.courier

    async def at_once(self, job: Callable[[], Any], _: str) -> Any:
        if self.hangs:
            await asyncio.sleep(1e6)
        return job()

    def send(self, message: Message, *_: Any) -> None:
        if self.fails:
            raise NotSentError("HTTP 500")
        self.told.append((self.loop.now, message))

    @property
    def subjects(self) -> list[str]:
        return [message.subject.rpartition(": ")[2] for _, message in self.told]


@pytest.fixture
def channel(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Channel:
    return Channel(bench, monkeypatch)


@pytest.mark.parametrize("writable", [True, False])
def test_what_is_held_back_is_reported_once_the_silence_is_over_though_nothing_else_changes(
    bench: Bench, channel: Channel, *, writable: bool
) -> None:
    if not writable:
        Path(f"{bench.folder}-state").write_text("no folder")

    async def story() -> None:
        await asyncio.sleep(100)
        bench.change(ONE)
        await asyncio.sleep(100)
        bench.state.objects["hook-0000"].config["name"] = "Renamed"
        bench.state.objects["hook-0000"].updated_at = bench.state.now()
        await asyncio.sleep(100)
        assert channel.subjects == ["backed up for the first time"]
        await asyncio.sleep(60 * MINUTE)

    tell(bench, story)
    assert channel.subjects == ["backed up for the first time", "2 changes"]
    (first, _), (second, _) = channel.told
    assert 15 * MINUTE <= second - first <= 17.1 * MINUTE
    assert channel.problems == []
    assert len(channel.warnings) == (not writable)


@pytest.mark.parametrize("ending", ["by a signal", "killed", "killed while it tells"])
def test_what_is_held_back_when_it_ends_is_reported_by_the_next_once_and_pruned_is_nothing_that_this_needs(
    bench: Bench, channel: Channel, ending: str
) -> None:
    while_it_tells = ending == "killed while it tells"
    channel.app.settings.notify_every = 0.0 if while_it_tells else None

    async def changes() -> None:
        await asyncio.sleep(100)
        channel.hangs = while_it_tells
        for _ in range(3):
            bench.change(ONE)
            await asyncio.sleep(40)

    async def rest() -> None:
        await asyncio.sleep(40 * MINUTE)

    async def watch(story: Callable[[], Any], *, kill: bool = False) -> None:
        courier, stop = channel.begin(bench), asyncio.Event()
        job = bench.watch(retention=LAST, needed=courier.notifier.needed).run(stop)
        running_watch = asyncio.ensure_future(job)
        await story()
        stop.set()
        if kill:
            running_watch.cancel()
        with suppress(asyncio.CancelledError):
            await running_watch
        await courier.end()

    async def both() -> None:
        await watch(changes, kill=ending != "by a signal")
        assert len(await bench.disk.names()) == 2  # the newest, and the one that the next message needs
        assert channel.subjects == ["backed up for the first time"]
        channel.hangs = False
        await watch(rest)

    run_virtually(both(), bench.loop)
    assert channel.subjects == ["backed up for the first time", "1 change"]
    message = channel.told[-1][1]
    assert "Enrich" in str(message.text)
    assert "Earlier changes are not shown" not in message.text


def test_what_was_not_taken_is_reported_with_the_next_and_the_watch_continues(
    bench: Bench, channel: Channel
) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        channel.fails = True
        await asyncio.sleep(16 * MINUTE)
        bench.change(ONE)
        await asyncio.sleep(5 * MINUTE)
        channel.fails = False
        await asyncio.sleep(30 * MINUTE)

    tell(bench, story)
    assert channel.subjects == ["backed up for the first time", "1 change"]
    (problem,) = channel.problems
    assert "HTTP 500; the next message includes the changes" in problem
    assert "CANARY" not in problem
    assert all(standing.well for standing in bench.standings)


def test_a_message_that_hangs_delays_no_backup_and_no_end(bench: Bench, channel: Channel) -> None:
    channel.hangs = True

    async def story() -> None:
        for _ in range(3):
            await asyncio.sleep(100)
            bench.change(ONE)
        await asyncio.sleep(100)
        began = bench.loop.now
        assert bench.courier is not None
        await bench.courier.end()
        assert bench.loop.now - began < LAST_SECONDS + 0.1

    took = tell(bench, story)
    assert max(bench.delays.values()) < 15
    assert took < 4


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    state = default_state()
    example_workspace(state, STAGING)
    with running(Sandbox(state)) as url:
        yield Process(state, url, tmp_path)


def change(bench: Process, code: str) -> None:
    address = f"{bench.url}/api/{STAGING}/config/function/enrich-0001"
    answer = httpx.put(address, json={"code": code}, headers={"Authorization": f"Bearer {OWNER}"})
    assert answer.status_code == 200, answer.text


FLAGS = ("acme-staging", "--new-store", "--settle", "1s")


def test_a_change_is_reported_with_who_made_it_to_whom_the_settings_name(process: Process) -> None:
    (process.folder / "jitsu-backup.toml").write_text('notify = {env = "TEAM"}\nnotify_every = "0s"\n')
    with monitor() as (url, told), watching(process, *FLAGS, TEAM=url) as running_watch:
        until(lambda: len(told) == 1)
        change(process, "// changed")
        until(lambda: len(told) == 2)
        running_watch.send_signal(signal.SIGTERM)
        _, err = running_watch.communicate(timeout=60)
    assert running_watch.returncode == 0, err
    assert "CANARY" not in err
    first, second = (json.loads(body) for _, body in told)
    assert (first["event"], second["event"]) == ("first", "changed")
    assert [(one["name"], one["who"]) for one in second["changes"]] == [("Enrich", "Owner (API, key key1)")]


def test_it_ends_in_time_while_a_message_hangs(process: Process) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/CANARY"
        with watching(process, *FLAGS, "--notify", address) as running_watch:
            silent.settimeout(60)
            hanging, _ = silent.accept()
            change(process, "// changed")
            until(lambda: len(process.archives) == 2)
            began = time.monotonic()
            running_watch.send_signal(signal.SIGTERM)
            _, err = running_watch.communicate(timeout=60)
            took = time.monotonic() - began
            hanging.close()
    assert running_watch.returncode == 0, err
    assert took < 5


def test_what_is_no_address_ends_it_with_2(process: Process) -> None:
    done = process.run("watch", *FLAGS, "--notify", "CANARY")
    assert done.returncode == 2
    assert "CANARY" not in done.stderr
