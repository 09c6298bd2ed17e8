"""Random mixes of faults, by seed, over backup, restore, clone and prune: real sockets, the command line, virtual waits.

At the end of each the target is as promised, or the report is clear and a plain run without faults gets there.
`python -m tests.fault_seeds --seeds 500` runs many and prints what befell and how it ended.
"""

import argparse
import asyncio
import contextlib
import copy
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import orjson

from jitsu_backup.archive import decode, encode, parse_name
from jitsu_backup.cli import run as command_line
from jitsu_backup.console import Console, Gates, bodies
from jitsu_backup.model import MASK, Entity, Key, Snapshot
from jitsu_backup.operations import connection
from jitsu_backup.operations.restore import prepare
from jitsu_backup.planning import Overlay, PlanOptions
from jitsu_backup.sandbox import Sandbox, State, default_state
from jitsu_backup.store.control import MARKER
from tests.faults import EITHER, KINDS, Call, Fault, Faults
from tests.generate import Generator, no_mask_is_stored
from tests.support import (
    MOMENT,
    OWNER,
    PRODUCTION,
    STAGING,
    FakeTime,
    comparable,
    console_of,
    read,
    stand_ins,
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


class Seed:
    """One seed: a job, its consoles, and what befalls them."""

    def __init__(self, number: int, bench: Bench, folder: Path) -> None:
        self.number, self.bench, self.folder = number, bench, folder
        self.dice = random.Random(number)
        self.job = JOBS[number % len(JOBS)]
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
        match dice.choice(["", "maintenance", "expired", "lowered", "somebody", "somebody", "gone"]):
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
        choice = dice.choice(["rename", "delete", "unlink", "link", "add", "relink"])
        if choice == "rename" and rows:
            row = dice.choice(rows)
            row.config = {**row.config, "name": f"Renamed {dice.randrange(99)}"}
        elif choice == "delete" and rows:
            row = dice.choice(rows)
            used = any(row.id == b.fields.get("destinationId") for b in state.builders.values())
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
            at.sandbox.state.users.update(people)
            for workspace, roles in known.items():
                at.sandbox.state.workspaces[workspace].access.update(roles)
        self.bench.source.app, self.bench.target.app = events[0], events[-1]
        self.time.now += 3600

    # -- the jobs ---------------------------------------------------------------------

    def prepare_workspace(self) -> None:
        """Make consoles and folder for the job, from the first workspace that can be brought over whole."""
        dice = self.dice
        self.limited = dice.random() < 0.3
        self.target = self.source = self.sandbox(default_state())
        if self.job in self.elsewhere:
            self.target = self.sandbox(default_state())
        size = dice.choice([5, 12, 25])
        generator = Generator(self.source.state, dice.randrange(2**32))
        generator.fill(STAGING, size)
        self.generator = generator
        if self.job == "backup all":
            Generator(self.source.state, dice.randrange(2**32)).fill(PRODUCTION, size)

    def sandbox(self, state: State) -> Sandbox:
        return Sandbox(state, clock=self.time.clock, rate_limit=self.limited)

    def go(self) -> Ending:
        ending = Ending(self.number, self.job, "")
        try:
            self.prepare_workspace()
            (self.backup if self.job.startswith("backup") else self.apply)(ending)
        except AssertionError as problem:
            ending.problem = str(problem) or "assertion"
        ending.mix = f"{self.mix}{', limited' if self.limited else ''}"
        ending.befell = self.befell + Counter(name for at in self.events for name in at.happened)
        return ending

    def begin(self) -> None:
        consoles = [self.source] if self.source is self.target else [self.source, self.target]
        self.events = [Events(sandbox, self.time) for sandbox in consoles]
        self.bench.source.app, self.bench.target.app = self.events[0], self.events[-1]
        self.access = [{w: dict(r.access) for w, r in s.state.workspaces.items()} for s in consoles]
        self.users = [dict(s.state.users) for s in consoles]

    def afflicted(self, arguments: list[str], ending: Ending) -> Run:
        """Run with the faults, then let all be well again; check the report."""
        self.mixed(self.events)
        done = self.run(*arguments, faults=True)
        self.heal(self.events, self.access, self.users)
        ending.code = done.code
        says = f"\n--- code {done.code}\n{done.out[-3000:]}\n{done.err[-3000:]}"
        assert done.code in (CODES if self.job.startswith("backup") else WRITING_CODES), (
            f"code {done.code}{says}"
        )
        for bad in ("Traceback", "a mistake in jitsu-backup", "never retrieved", "Warning:"):
            assert bad not in done.err + done.out, f"{bad}{says}"
        assert len(done.told) <= 5, f"too long a report{says}"
        assert done.code == 0 or done.told or (done.code == 3 and done.out.strip()), f"no report{says}"
        leftovers = [p.name for p in self.folder.rglob(".jitsu-backup-*")]
        assert not leftovers, f"left over: {leftovers}{says}"
        self.says = says
        return done

    # -- backup

    def backup(self, ending: Ending) -> None:
        self.begin()
        at = ["--host", self.bench.urls[0], "--apikey", OWNER]
        what = ["--all"] if self.job == "backup all" else ["acme-staging"]
        policy = ["--prune", "--keep-last", "2"] if self.job == "backup and prune" else []
        command = [*at, "backup", *what, *policy]
        if self.dice.random() < 0.4:
            command.append("--if-changed")
        for _ in range(self.dice.choice([0, 3]) if policy else self.dice.choice([0, 1])):
            first = self.run(*at, "backup", *what, faults=False)
            assert first.code == 0, first.err
            self.generator.edit_link(STAGING)
        before = self.stored()
        workspaces = [STAGING, PRODUCTION] if self.job == "backup all" else [STAGING]
        truths = {w: [self.held(self.source, w)] for w in workspaces}
        self.states = truths[STAGING]
        done = self.afflicted(command, ending)
        after = self.stored()
        if (
            "lowered role" in self.events[0].happened
        ):  # what a reader is shown is true too, and the ledger says so
            for known in truths.values():
                known += [without_environments(state) for state in known]
        self.check_store(before, after, truths, whole=done.code == 0)
        if done.code:
            again = self.run(*command, faults=False)
            if again.code == 3 and "has shrunk" in again.err:  # by what somebody else deleted meanwhile
                again = self.run(*command, "--accept-shrink", faults=False)
            assert again.code == 0, f"a plain run ends with {again.code}: {again.err}{self.says}"
            truths = {w: [self.held(self.source, w)] for w in workspaces}
            self.check_store(after, self.stored(), truths, whole=True)

    def stored(self) -> dict[str, Snapshot]:
        """Every archive that is there; one that cannot be read is a failure."""
        found = {}
        store = self.folder / "jitsu-backups"
        for path in sorted(store.iterdir()) if store.is_dir() else ():
            if path.name == MARKER:
                continue
            if parse_name(path.name) is None:
                raise AssertionError(f"foreign file in the store: {path.name}")
            found[path.name] = decode(path.read_bytes())
        return found

    def check_store(
        self,
        before: dict[str, Snapshot],
        after: dict[str, Snapshot],
        truths: dict[str, list[Any]],
        *,
        whole: bool,
    ) -> None:
        for workspace, states in truths.items():
            mine = [s for s in after.values() if s.manifest.source.workspace_id == workspace]
            new = [s for name, s in after.items() if name not in before and s in mine]
            gone = [
                n for n, s in before.items() if n not in after and s.manifest.source.workspace_id == workspace
            ]
            complete = [s for s in mine if s.manifest.complete]
            for one in new:
                if one.manifest.complete:
                    told = f"an archive says it is complete, and is not true{difference(comparable(one, {}), states)}"
                    assert comparable(one, {}) in states, f"{told}{self.says}"
            if whole:
                newest = complete[-1] if complete else None  # by name: they tell of more than seconds
                assert newest is not None, f"no complete archive{self.says}"
                told = f"success, but no true archive{difference(comparable(newest, {}), states)}"
                assert comparable(newest, {}) in states, f"{told}{self.says}"
            if gone:
                assert any(s.manifest.complete for s in new) or whole, (
                    f"pruned without a new archive{self.says}"
                )
            if any(
                s.manifest.complete for n, s in before.items() if s.manifest.source.workspace_id == workspace
            ):
                assert complete, f"no complete archive is left{self.says}"

    # -- restore and clone

    def apply(self, ending: Ending) -> None:
        self.begin()
        dice = self.dice
        source_url, target_url = self.bench.urls[0], self.bench.urls[-1 if self.job in self.elsewhere else 0]
        snapshot: Snapshot = asyncio.run(read(console_of(quiet(self.source), source_url), STAGING))
        self.workspace = PRODUCTION if self.job in self.elsewhere else STAGING
        prune, recreate = self.job != "restore elsewhere" or dice.random() < 0.5, self.job == "rollback"
        flags = ["--yes", "--keys-out", "keys.json"]
        flags += (
            ["--prune"] * prune + ["--recreate"] * recreate + ["--no-safety-backup"] * (dice.random() < 0.3)
        )
        if self.job != "rollback":
            flags += ["--overlay", "overlay.json"]
            self.write_overlay(snapshot)
        self.secrets = {i: row.config.get("password") for i, row in self.source.state.objects.items()}
        if self.job.startswith("clone"):
            (self.folder / "jitsu-backup.toml").write_text(
                f'[profiles.one]\nhost = "{source_url}"\nkey = "{OWNER}"\nworkspace = "acme-staging"\n'
                f'[profiles.two]\nhost = "{target_url}"\nkey = "{OWNER}"\nworkspace = "acme-production"\n'
            )
            command = ["clone", "@one", "@two", *flags]
        else:
            (self.folder / "a.json.gz").write_bytes(encode(snapshot))
            where = ["--host", target_url, "--apikey", OWNER]
            command = [*where, "restore", "a.json.gz", "--into", self.workspace, *flags]
        if self.job == "clone again":
            first = self.run(*command, faults=False)
            assert first.code == 0, f"undisturbed, it ends with {first.code}: {first.err}{first.out}"
            for number in range(4):
                self.somebody(Events(self.source, self.time, happened=[""] * (100 + number)))
            snapshot = asyncio.run(read(console_of(quiet(self.source), source_url), STAGING))
            self.write_overlay(snapshot)
        if self.job == "rollback":
            self.generator.mutate(STAGING, dice.choice([0, 5, 15]))
        overlay = Overlay() if self.job == "rollback" else stand_ins(snapshot)
        self.options = PlanOptions(overlay=overlay, prune=prune, recreate=recreate)
        self.sources = [snapshot]
        baseline = self.undisturbed(command)
        done = self.afflicted(command, ending)
        truths = self.sources if self.job.startswith("clone") else [snapshot]
        if done.code == 0:
            self.check(*truths)
            return
        if len(truths) > 1:
            self.write_overlay(truths[-1])  # a secret that has come in meanwhile needs a value
        again = self.run(*command, faults=False)
        assert again.code == baseline, (
            f"a plain run ends with {again.code}: {again.err}{again.out}{self.says}"
        )
        self.check(truths[-1])

    def write_overlay(self, snapshot: Snapshot) -> None:
        rules: dict[str, dict[str, str]] = {}
        for line in snapshot.manifest.ledger:
            rules.setdefault(f"{line.type}/{line.id}", {})[line.path] = "stand-in"
        (self.folder / "overlay.json").write_text(json.dumps(rules))

    def undisturbed(self, command: list[str]) -> int:
        """How it ends when nothing befalls it, on copies of the consoles."""
        source = self.sandbox(copy.deepcopy(self.source.state))
        target = source if self.source is self.target else self.sandbox(copy.deepcopy(self.target.state))
        files = {p: p.read_bytes() for p in self.folder.iterdir() if p.is_file()}
        self.bench.source.app, self.bench.target.app = source.app, target.app
        code = self.run(*command, faults=False)
        self.bench.source.app, self.bench.target.app = self.events[0], self.events[-1]
        for path in list(self.folder.iterdir()):
            if path.is_dir():
                shutil.rmtree(path)
            elif path not in files:
                path.unlink()
        for path, data in files.items():
            path.write_bytes(data)
        assert code.code in (0, 3), f"undisturbed, it ends with {code.code}: {code.err}{code.out}"
        return code.code

    def check(self, *snapshots: Snapshot) -> None:
        """The target holds what one of the snapshots holds, each once, and nothing is left to do."""
        for number, snapshot in enumerate(snapshots):
            try:
                self.check_one(snapshot)
            except AssertionError:
                if number == len(snapshots) - 1:
                    raise
            else:
                return

    def check_one(self, snapshot: Snapshot) -> None:
        target = quiet(self.target)
        prepared = asyncio.run(
            prepare(
                console_of(target, self.bench.urls[-1]), self.workspace, snapshot, self.options,
                lambda _: None, now=lambda: MOMENT,
            )
        )  # fmt: skip
        plan, live = prepared.plan, prepared.live
        assert not plan.writes, (
            f"success, but there is more to do: {[(a.kind, a.key, a.changes) for a in plan.writes]}{self.says}"
        )
        ids = {key.id: new for key, new in plan.ids.items() if key.type != "link"}
        ours = set(plan.ids.values())

        def foreign(entity: Entity) -> bool:  # made by somebody else meanwhile, and nobody asked to prune
            return not self.options.prune and entity.key.id not in ours

        lost = {loss.path.partition(".")[0]: True for a in plan.actions for loss in a.losses}
        mine = comparable(trimmed(snapshot, lost), ids)
        theirs = comparable(trimmed(live, lost), {}, leave_out=foreign)
        changed = any("somebody else" in at.happened for at in self.events)
        if self.job in ("clone again", "rollback") or (changed and self.job in self.elsewhere):
            in_place = self.job == "rollback"
            mine, theirs = (without_own(state, in_place=in_place) for state in (mine, theirs))
        if mine != theirs:
            raise AssertionError(f"the target is not as promised: {difference(theirs, [mine])}{self.says}")
        assert no_mask_is_stored(self.target.state), f"a mask is stored{self.says}"
        for key, new in plan.ids.items():
            if self.job == "rollback" and key.type == "destination":
                stored = self.target.state.objects[new].config.get("password")
                assert stored == self.secrets[key.id], f"a hidden password was lost{self.says}"
        self.stored()


def difference(found: Any, states: list[Any]) -> str:
    """In what `found` differs from the last of the states that there were."""
    last = states[-1]
    when = {n: [i for i, s in enumerate(states) if s.get(n, []) == found.get(n, [])] for n in found}
    return f"\n  {len(states)} states; {when}" + "".join(
        f"\n  {name}: {sorted(set(found.get(name, [])) ^ set(last.get(name, [])))}"
        for name in sorted({*found, *last})
        if found.get(name, []) != last.get(name, [])
    )


def without_own(state: Any, *, in_place: bool) -> Any:
    """A workspace without what its entities keep of their own: cursors; elsewhere environments and classic keys too."""
    links = [json.loads(link) for link in state.get("link", [])]
    misc = [json.loads(one) for one in state.get("misc", [])]
    for link in links:
        link.pop("cursors")
        if not in_place:
            link["data"] = {n: v for n, v in (link["data"] or {}).items() if n != "functionsEnv"} or None
    for one in () if in_place else misc:
        one.pop("value")
    return {**state, "link": as_lines(links), "misc": as_lines(misc)}


def as_lines(bodies: list[Any]) -> list[str]:
    return sorted(orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode() for body in bodies)


def without_environments(state: Any) -> Any:
    """A workspace as a key that may not write is shown it [link/list-as-analyst]."""
    links = [json.loads(link) for link in state.get("link", [])]
    for link in links:
        environment = (link["data"] or {}).get("functionsEnv")
        if environment:
            link["data"]["functionsEnv"] = dict.fromkeys(environment, MASK)
    return {**state, **({"link": as_lines(links)} if links else {})}


def quiet(sandbox: Sandbox) -> Sandbox:
    """The same console without limits, beside the one that was served."""
    return Sandbox(sandbox.state, rate_limit=False)


def trimmed(snapshot: Snapshot, fields: dict[str, bool]) -> Snapshot:
    """A snapshot without the fields that the console cannot bring back, as the report says."""
    entities = tuple(
        Entity(Key(*e.key), {n: v for n, v in e.body.items() if n not in fields}) for e in snapshot.entities
    )
    return replace(snapshot, entities=entities)


def run_seed(number: int, bench: Bench) -> Ending:
    """Run one seed in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return Seed(number, bench, Path(folder)).go()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fault_seeds", description=__doc__)
    parser.add_argument(
        "--seeds", type=int, default=500, metavar="N", help="how many, from 0 (or --first) on"
    )
    parser.add_argument("--first", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, metavar="N", help="only this one, with what it says")
    parser.add_argument("--seconds", type=float, help="begin no more after so long")
    given = parser.parse_args()
    numbers = [given.seed] if given.seed is not None else range(given.first, given.first + given.seeds)
    began, endings = time.monotonic(), []
    with Bench.open() as bench:
        for number in numbers:
            if given.seconds and time.monotonic() - began > given.seconds:
                break
            ending = run_seed(number, bench)
            endings.append(ending)
            if ending.problem or given.seed is not None:
                print(
                    f"seed {number}: {ending.job}: {ending.mix}\n  {dict(ending.befell)}\n  {ending.outcome}"
                )
                print(
                    f"  {ending.problem}\n  repeat it: python -m tests.fault_seeds --seed {number}",
                    flush=True,
                )
    print(table(endings, time.monotonic() - began))
    return 1 if any(ending.problem for ending in endings) else 0


def table(endings: list[Ending], seconds: float) -> str:
    """What befell, and how each job ended."""
    befell: Counter[str] = sum((ending.befell for ending in endings), Counter())
    lines = [f"{len(endings)} seeds in {seconds:.0f} s", "", "what befell, times"]
    lines += [f"  {name:16}{count:7}" for name, count in befell.most_common()]
    for job in JOBS:
        outcomes = Counter(ending.outcome for ending in endings if ending.job == job)
        lines += ["", job, *(f"  {count:5}  {outcome}" for outcome, count in sorted(outcomes.items()))]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
