"""Two consoles that faults befall, and how commands and seeds end."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from jitsu_backup.sandbox import Sandbox
from tests.faults import Faults
from tests.support import (
    FakeTime,
)

JOBS = ("backup", "backup and prune", "backup all", "restore elsewhere", "rollback", "clone", "clone again")
TIMEOUT = 0.4
"""Seconds that the client waits for an answer; how long waiting takes between tries is virtual."""

CODES = (0, 1, 3, 6)
WRITING_CODES = (*CODES, 7)
"""How a command may end, of the documented exit codes."""


@dataclass
class Events:
    """What happens to a console in the middle of a run, at its nth request (or write), in the server's own thread."""

    sandbox: Sandbox
    time: FakeTime
    planned: list[tuple[int, bool, str, Callable[[], None]]] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)
    maintained_until: float = 0.0
    requests: int = 0
    writes: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests += 1
        self.writes += scope["method"] != "GET"
        self.sandbox.maintenance = self.time.now < self.maintained_until
        for event in list(self.planned):
            number, of_writes, name, happen = event
            if (self.writes if of_writes else self.requests) >= number:
                self.planned.remove(event)
                happen()
                self.happened.append(name)
        await self.sandbox.app(scope, receive, send)

    def maintain(self, seconds: float) -> None:
        self.maintained_until = self.time.now + seconds
        self.sandbox.maintenance = True


class Bench:
    """Two consoles, each behind a proxy that stays, and the folder that the command line runs in."""

    def __init__(self, source: Faults, target: Faults, urls: tuple[str, str]) -> None:
        self.source, self.target = source, target
        self.urls = urls

    @classmethod
    @contextlib.contextmanager
    def open(cls) -> Iterator["Bench"]:
        source, target = Faults(None, lambda _: None), Faults(None, lambda _: None)
        source.oversize = target.oversize = 2**20
        with source.running() as one, target.running() as two:
            yield cls(source, target, (one, two))


@dataclass
class Run:
    """How one command line ended."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("jitsu-backup: ")]


@dataclass
class Ending:
    """What became of a seed. `problem` is empty where all held."""

    seed: int
    job: str
    mix: str
    befell: Counter[str] = field(default_factory=Counter)
    code: int = 0
    problem: str = ""

    @property
    def outcome(self) -> str:
        if self.problem:
            return "FAILED"
        return "as promised" if self.code == 0 else f"told with {self.code}, then finished by a plain run"
