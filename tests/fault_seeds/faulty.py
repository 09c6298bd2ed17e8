"""What befalls the consoles of a seed while a command runs."""

import asyncio
import contextlib
import io
import json
import os
import random
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

from jitsu_backup.cli import run as command_line
from jitsu_backup.console import Console, Gates, bodies
from jitsu_backup.model import Snapshot
from jitsu_backup.operations import connection
from jitsu_backup.sandbox import Generation, Sandbox, State
from jitsu_backup.sandbox.bindings import refuse_bound, refuse_referenced
from jitsu_backup.sandbox.refusals import Refusal
from jitsu_backup.sandbox.state import REVERSE_ETL, ObjectRow
from jitsu_backup.sandbox.warehouse import ACME_WAREHOUSE
from tests.fault_seeds.bench import JOBS, TIMEOUT, Bench, Events, Run
from tests.faults import EITHER, KINDS, Call, Fault
from tests.generate import Generator
from tests.support import (
    PRODUCTION,
    STAGING,
    FakeTime,
    comparable,
    console_of,
    read,
)


def is_held(state: State, row: ObjectRow) -> bool:
    """Return whether nobody can change or delete an object now."""
    try:
        refuse_bound(state, row)
        refuse_referenced(state, row)
    except Refusal:
        return True
    return False


class Faulty:
    """The consoles of one seed, what befalls them, and the command line that runs meanwhile."""

    def __init__(self, number: int, bench: Bench, folder: Path) -> None:
        self.number, self.bench, self.folder = number, bench, folder
        self.dice = random.Random(number)
        self.job = JOBS[number % len(JOBS)]
        self.generation = Generation.NEWEST if number % 2 else Generation.JULY_2026
        self.time = FakeTime()
        self.befell: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.kinds: tuple[str, ...] = ()
        self.often = 0.0
        self.asked = 0
        self.single: dict[int, str] = {}  # by number of the request
        self.states: list[Any] = []  # what the workspace held, as somebody else changed it
        self.sources: list[Snapshot] = []  # what the first workspace was, whenever it was read
        self.mix = ""

    # -- running ----------------------------------------------------------------------

    def run(self, *arguments: str, faults: bool, options: tuple[str, ...] = ("-q",)) -> Run:
        """Run the command line in this process, with waits that take no time."""
        gates = Gates(clock=self.time.clock, sleep=self.time.sleep)

        def console(host: str, key: str, **given: Any) -> Console:
            gates.report = given["report"]
            given |= {"gates": gates, "sleep": self.time.sleep, "clock": self.time.clock}
            return Console(host, key, **given)

        out, err = io.StringIO(), io.StringIO()
        timeout = str(TIMEOUT if faults else 20)
        clean = {k: v for k, v in os.environ.items() if not k.startswith("JITSU")}
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
        for proxy in (self.bench.source, self.bench.target):
            proxy.choose = self.choose if faults else lambda _: None
        with (
            mock.patch.object(connection, "Console", console),
            mock.patch.object(bodies, "MAX_REPLY_BYTES", 2**20),
            mock.patch.dict(os.environ, {**clean, "HOME": str(self.folder), "COLUMNS": "200"}, clear=True),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = command_line([*options, "--timeout", timeout, *arguments])
        for proxy in (self.bench.source, self.bench.target):
            proxy.drain()
        for number, handler in handlers.items():
            with contextlib.suppress(ValueError):  # not the main thread
                signal.signal(number, handler)
        return Run(code, out.getvalue(), err.getvalue())

    def choose(self, call: Call) -> Fault | None:
        """Choose by what the request is, not by when it comes: only so a seed can be repeated."""
        self.asked += 1
        if self.single:
            if self.asked not in self.single:
                return None
            kind = self.single[self.asked]
            self.befell[kind] += 1
            return Fault(kind, kind in EITHER and self.number % 2 == 0, self.number * 0.37 % 1)
        what = f"{call.method} {call.target.partition('?')[0]}"
        self.seen[what] += 1
        dice = random.Random(f"{self.number} {what} {self.seen[what]}")
        if dice.random() >= self.often:
            return None
        kind = dice.choice(self.kinds)
        self.befell[kind] += 1
        return Fault(kind, kind in EITHER and dice.random() < 0.5, dice.random())

    # -- what befalls -----------------------------------------------------------------

    def mixed(self, events: list[Events]) -> None:
        """Choose the kinds of fault, how often they come, and what else happens in the middle."""
        dice = self.dice
        if dice.random() < 0.3:  # one or two faults alone, of those too that a crowd would hide
            self.single = {dice.randint(1, 70): dice.choice(KINDS) for _ in range(dice.randint(1, 2))}
            self.mix = " and ".join(f"{kind} at request {number}" for number, kind in self.single.items())
            return
        ends = ("redirect", "page", "oversized", "404", "500", "stranger")  # these end a run at once
        common_kinds = tuple(kind for kind in KINDS if kind not in ends)
        pool = KINDS if dice.random() < 0.4 else common_kinds
        self.kinds = tuple(dice.sample(pool, dice.randint(1, len(pool))))
        if "stall" in self.kinds and len(self.kinds) < 4:  # costs real time
            self.kinds = (*self.kinds, "cut-before", "502")
        self.often = dice.choice([0.0, 0.03, 0.1, 0.25, 0.5])
        told = [f"{self.often:.0%} of {'/'.join(self.kinds)}"]
        at = events[-1] if dice.random() < 0.8 else events[0]
        by_write = "backup" not in self.job and at is events[-1] and dice.random() < 0.7
        number = dice.randint(1, 30)
        row = at.sandbox.state.workspaces[self.workspace_of(at)]
        user = at.sandbox.state.users
        choices = ["", "maintenance", "expired", "lowered", "somebody", "somebody", "gone"]
        choices += ["feature", "warehouse", "attempt"] if self.generation.is_newest else []
        match dice.choice(choices):
            case "maintenance":
                seconds = dice.choice([20.0, 200.0, 2000.0])
                at.planned.append((number, by_write, "maintenance", lambda: at.maintain(seconds)))
                told.append(f"maintenance of {seconds:.0f} s")
            case "expired":
                at.planned.append((number, by_write, "expired key", user.clear))
                told.append("the key expires")
            case "lowered":
                lowered = dict.fromkeys(row.access, "analyst")
                at.planned.append((number, by_write, "lowered role", lambda: row.access.update(lowered)))
                told.append("the role is lowered")
            case "somebody":
                for _ in range(dice.randint(1, 3)):
                    at.planned.append((number, by_write, "somebody else", lambda: self.somebody(at)))
                    number += dice.randint(0, 8)
                told.append("somebody else makes changes")
            case "gone":
                at.planned.append((number, by_write, "console gone", lambda: self.gone(at)))
                told.append("the console goes away for good")
            case "feature":
                at.planned.append((number, by_write, "feature off", row.features.clear))
                told.append("the feature is switched off")
            case "warehouse":
                warehouses = at.sandbox.state.warehouses
                at.planned.append((number, by_write, "warehouse down", warehouses.clear))
                told.append("the warehouse goes down")
            case "attempt":
                syncs = Generator(at.sandbox.state, self.number).syncs
                at.planned.append((number, by_write, "attempt", lambda: syncs.let_run(row.id)))
                told.append("a reverse sync runs")
        self.mix = ", ".join(told) + f" ({'write' if by_write else 'request'} {number})"

    def workspace_of(self, events: Events) -> str:
        return PRODUCTION if events.sandbox is self.target and self.job in self.elsewhere else STAGING

    elsewhere = ("restore elsewhere", "clone", "clone again")

    def gone(self, at: Events) -> None:
        async def nothing(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 502, "headers": []})
            await send({"type": "http.response.body", "body": b"<html>Bad gateway</html>"})

        (self.bench.target if at.sandbox is self.target else self.bench.source).app = nothing

    def somebody(self, at: Events) -> None:
        """Do what a person does in the console meanwhile: one change, whole."""
        state, workspace = at.sandbox.state, self.workspace_of(at)
        dice = random.Random(f"{self.number} somebody {len(at.happened)}")
        rows = [
            row
            for kind in state.types
            for row in state.live_objects(workspace, kind)
            if row.config.get("kind") != "profile" and kind != "domain"
        ]
        links = list(state.live_links(workspace))
        generator = Generator(state, dice.randrange(2**32))
        generator.number = 10**6 + len(state.objects)
        choices = ["rename", "delete", "unlink", "link", "add", "relink"]
        syncs = generator.syncs
        if self.generation.is_newest:
            rows = [row for row in rows if not is_held(state, row)]
            choices += ["sync"] * 3
        choice = dice.choice(choices)
        if choice == "sync":
            own = (syncs.switch, syncs.reschedule, syncs.redeliver, syncs.delete_sync, syncs.fill)
            dice.choice(own)(workspace)
        elif choice == "rename" and rows:
            row = dice.choice(rows)
            row.config = {**row.config, "name": f"Renamed {dice.randrange(99)}"}
        elif choice == "delete" and rows:
            row = dice.choice(rows)
            used = any(row.id in json.dumps(builder.fields) for builder in state.builders.values())
            if not used:
                row.deleted = True
                for link in links:
                    link.deleted = link.deleted or row.id in (link.from_id, link.to_id)
        elif choice == "unlink" and links:
            dice.choice(links).deleted = True
        elif choice == "link":
            generator.add_link(workspace)
        elif choice == "relink" and links:
            generator.edit_link(workspace)
        else:
            generator.add(workspace, dice.choice(["function", "destination", "notification"]))
        self.states.append(self.held(at.sandbox, workspace))

    def held(self, sandbox: Sandbox, workspace: str) -> Any:
        return comparable(self.read(sandbox, workspace), {})

    def read(self, sandbox: Sandbox, workspace: str) -> Snapshot:
        """What a workspace holds, by the console's own lists."""
        quiet = Sandbox(sandbox.state, rate_limit=False)
        done: list[Snapshot] = []

        def ask() -> None:  # a loop of its own, for the server's is running
            done.append(asyncio.run(read(console_of(quiet), workspace)))

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        if sandbox is self.source:
            self.sources.append(done[0])
        return done[0]

    def heal(self, events: list[Events], access: list[dict[str, dict[str, str]]], users: list[Any]) -> None:
        """Let all be well again: key, role, maintenance, proxy."""
        for at, known, people in zip(events, access, users, strict=True):
            at.planned.clear()
            at.maintained_until = 0.0
            at.sandbox.maintenance = False
            state = at.sandbox.state
            state.users.update(people)
            if self.generation.is_newest:
                state.attempts.clear()
                state.warehouses[:] = [ACME_WAREHOUSE]
            for workspace, roles in known.items():
                state.workspaces[workspace].access.update(roles)
                state.workspaces[workspace].features[:] = [REVERSE_ETL] if self.generation.is_newest else []
        self.bench.source.app, self.bench.target.app = events[0], events[-1]
        self.time.now += 3600
