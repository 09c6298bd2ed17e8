"""How long a run tells of changes at most, whatever hangs."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jitsu_backup.archive import archive_name
from jitsu_backup.cli import notifying
from jitsu_backup.cli.app import App
from jitsu_backup.cli.notifying import RUN_SECONDS, Notifier, NotifyFlags, Who, nobody
from jitsu_backup.model import Source
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.news import News
from jitsu_backup.operations.notifying import Message, NotSentError
from jitsu_backup.operations.save import Saved
from jitsu_backup.store import FolderStore
from tests.support import MOMENT, make_snapshot
from tests.virtual_time import VirtualLoop, run_virtually


class Channel:
    """Whom a run tells of `count` workspaces; `send` is what happens to a message, and `waits` how long it takes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, waits: float = 0.0) -> None:
        self.told: list[str] = []
        self.problems: list[str] = []
        self.said: list[str] = []
        self.waits, self.fails = waits, False
        settings = SimpleNamespace(notify_every=None, guard=lambda *_: SimpleNamespace(ignore=()))
        app = SimpleNamespace(
            settings=settings,
            store=FolderStore(str(folder)),
            keys=ArchiveKeys(),
            warn=lambda text, **_: self.problems.append(text),
            say=self.said.append,
            again_with_keys=lambda _: lambda *words: " ".join(words),
        )
        monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
        monkeypatch.setattr(notifying, "utc_now", lambda: MOMENT)
        monkeypatch.setattr(notifying, "in_thread", self.slowly)
        monkeypatch.setattr(notifying, "send", self.send)
        self.notifier = Notifier(cast("App", app), NotifyFlags("https://chat.example/CANARY"))

    async def slowly(self, job: Callable[[], Any], _: str) -> Any:
        await asyncio.sleep(self.waits)
        return job()

    def send(self, message: Message, *_: Any) -> None:
        if self.fails:
            raise NotSentError("cannot be reached", no_answer=True)
        self.told.append(message.subject)

    def tell(self, count: int, who: Who = nobody, seconds: float = RUN_SECONDS) -> tuple[int, float]:
        """Return how many are to be told later, and how long it took."""
        loop = VirtualLoop()
        began = loop.now
        saved = [workspace(number) for number in range(count)]
        later = run_virtually(self.notifier.tell(saved, [], who, seconds=seconds), loop)
        return len(later), loop.now - began


def workspace(number: int, host: str = "http://console.example") -> Saved:
    made = make_snapshot({"function": [{"id": "f", "name": "F", "code": "x"}]})
    source = Source(host, f"id-{number}", f"team-{number}", f"Team {number}", "1")
    made = replace(made, manifest=replace(made.manifest, source=source))
    return Saved(made, "", archive_name(made))


@pytest.fixture
def channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Channel:
    return Channel(tmp_path, monkeypatch)


def test_messages_that_hang_take_a_minute_in_all_and_the_rest_is_reported_later(channel: Channel) -> None:
    channel.waits = 25.0
    assert channel.tell(10) == (8, pytest.approx(RUN_SECONDS))
    assert len(channel.told) == 2
    (problem,) = channel.problems
    assert problem == (
        "no time left to send a notification about team-2, team-3, team-4, team-5, team-6 and 3 more;"
        " the next message includes the changes"
    )


def test_looking_up_who_counts_too(channel: Channel) -> None:
    async def hang(_: News) -> Any:
        await asyncio.sleep(1e6)

    assert channel.tell(3, hang) == (3, pytest.approx(RUN_SECONDS))


def test_a_run_that_is_late_tells_nothing_and_forgets_nothing(channel: Channel) -> None:
    assert channel.tell(3, seconds=-1.0)[0] == 3
    assert channel.tell(3) == (0, pytest.approx(0.0))
    assert len(channel.told) == 3


def test_an_address_that_does_not_answer_is_tried_once_a_run(channel: Channel) -> None:
    channel.fails, channel.waits = True, 20.0
    assert channel.tell(30) == (30, pytest.approx(20.0))
    (problem,) = channel.problems
    assert problem.startswith(
        "the notification about team-0 could not be sent to chat.example: cannot be reached"
    )


def test_of_two_runs_at_the_same_time_one_tells(channel: Channel) -> None:
    async def ask(_: News) -> Any:
        await asyncio.sleep(1)
        return {}

    async def both() -> list[Any]:
        runs = (channel.notifier.tell([workspace(0)], [], ask) for _ in range(2))
        return await asyncio.gather(*runs)

    channel.waits = 1.0
    assert [len(later) for later in run_virtually(both())] == [0, 1]
    assert len(channel.told) == 1


def test_copies_of_a_workspace_on_two_consoles_have_a_silence_each(channel: Channel) -> None:
    one, other = workspace(1), workspace(1, "http://copy.example/")
    for saved in (one, other, one, other):
        run_virtually(channel.notifier.tell([saved], []), VirtualLoop())
    assert len(channel.told) == 2
    assert all(channel.notifier.needed(saved.source.key) for saved in (one, other))


def test_a_message_that_waits_is_said_once_with_its_time(channel: Channel) -> None:
    for _ in range(3):
        channel.tell(1)
    until = f"{MOMENT + timedelta(minutes=15):%H:%M}"
    assert channel.said == [f"the message about team-0 waits until {until} UTC (notify_every)"]
