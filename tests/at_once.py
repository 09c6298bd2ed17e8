"""Two processes write into one workspace at the same time, over real sockets; in half of the rounds one is killed at random.

`python -m tests.at_once --rounds 200` plays many rounds and prints a table; the tests play a few.
"""

import argparse
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jitsu_backup.archive import encode
from jitsu_backup.model import Snapshot, canonical
from jitsu_backup.planning import Overlay
from jitsu_backup.sandbox import Generation, Sandbox, State, default_state
from tests.faults import Call, Fault, Faults
from tests.generate import Generator
from tests.support import OWNER, PRODUCTION, STAGING, console_of, read, restore, run
from tests.zygote import Zygote, zygote

SOURCE = "http://sandbox.example"
DONE, INCOMPLETE, BLOCKED = 0, 3, 7
PAIRS = ("restore+restore", "clone+clone", "clone+restore", "restore+restore in place")
STORES = ("one store", "one store, --wait", "a store each")


@dataclass(frozen=True, slots=True)
class Round:
    """The setting of one round."""

    seed: int
    pair: str  # restore+restore, clone+clone, clone+restore
    in_place: bool
    generation: Generation
    store: str  # shared, shared and waited for, each its own
    killed: bool

    def __str__(self) -> str:
        where = "in place" if self.in_place else "elsewhere"
        return f"{self.pair} {where}, {self.generation}, {self.store}{', killed' if self.killed else ''}"


@dataclass(slots=True)
class Ending:
    """The end of a round: both exit codes (negative for a signal), and duplicates before and after one more run."""

    codes: list[int]
    twice: dict[str, int] = field(default_factory=dict)
    named: bool = True
    twice_at_last: dict[str, int] = field(default_factory=dict)
    last_code: int = 0
    log: str = ""

    def well(self, one: Round) -> bool:
        """Nothing is there twice.

        Without a lease it can only be told where a console of 2024 deletes no link by its id, or where the run was killed
        whose sync is the one too many.
        """
        told = one.store == STORES[2] and (one.generation.is_2024 or one.killed) and self.named
        return (told or not (self.twice or self.twice_at_last)) and self.last_code in (DONE, INCOMPLETE)


def rounds(count: int, first: int = 0) -> Iterator[Round]:
    for seed in range(first, first + count):
        dice = random.Random(seed)
        pair = dice.choice(PAIRS)
        yield Round(
            seed, pair.removesuffix(" in place"), pair.endswith("in place"), dice.choice(list(Generation)),
            store=dice.choice(STORES), killed=dice.random() < 0.5,
        )  # fmt: skip


def play(one: Round, forges: list[Zygote], folder: Path) -> Ending:
    """Play one round, to the end of both processes; then one more run, alone."""
    folder.mkdir(parents=True)
    dice = random.Random(one.seed)
    state, snapshot = _begin(one)
    target = STAGING if one.in_place else PRODUCTION
    limit = _contents(_alone(one, snapshot), target) | _contents(state, target)  # what was there before, too
    sandbox = Sandbox(state, rate_limit=False)
    overlay: dict[str, dict[str, str]] = {}
    for line in snapshot.manifest.ledger:
        overlay.setdefault(f"{line.type}/{line.id}", {})[line.path] = "stand-in"
    (folder / "overlay.json").write_text(json.dumps(overlay))
    (folder / "a.json.gz").write_bytes(encode(snapshot))
    (folder / "shared").mkdir()
    pids: list[int] = []
    unlucky, victim = dice.randrange(20, 140), dice.randrange(2)

    def choose(call: Call) -> Fault | None:
        if one.killed and call.number == unlucky and len(pids) == 2:
            os.kill(pids[victim], signal.SIGKILL)
        return None

    faults = Faults(sandbox.app, choose)
    with faults.running() as url:
        for number, command in enumerate(one.pair.split("+")):
            arguments = _arguments(one, command, "shared" if one.store != STORES[2] else f"own-{number}")
            pids.append(forges[number].start(arguments, {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}, folder))
        statuses = [forge.answer() for forge in forges]
        faults.drain()
        codes = [-os.WTERMSIG(s) if os.WIFSIGNALED(s) else os.WEXITSTATUS(s) for s in statuses]
        ending = Ending(codes, _twice(limit, _contents(state, target)))
        told = (folder / "log").read_text()
        ending.named = not ending.twice or "twice" in told
        last = _arguments(one, one.pair.split("+")[0], "shared")
        forges[0].start(last, {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}, folder)
        status = forges[0].answer()
    ending.last_code = os.WEXITSTATUS(status) if not os.WIFSIGNALED(status) else -1
    ending.log = (folder / "log").read_text()
    ending.named = ending.named or "exists twice" in ending.log
    ending.twice_at_last = _twice(limit, _contents(state, target))
    return ending


def _begin(one: Round, *, changed: bool = True) -> tuple[State, Snapshot]:
    state = default_state(generation=one.generation)
    generator = Generator(state, one.seed)
    generator.fill(STAGING, 14)
    snapshot = run(read(console_of(Sandbox(state, rate_limit=False), SOURCE), STAGING))
    if one.in_place and changed:
        generator.mutate(STAGING, 10)
    return state, snapshot


def _alone(one: Round, snapshot: Snapshot) -> State:
    """What one run makes when it is alone."""
    state, _ = _begin(one)
    options: dict[str, Any] = {"prune": True, "accept_shrink": True, "rebind": True} if one.in_place else {}
    if one.in_place:
        options |= {"overlay": Overlay(), "allow_missing_secrets": True}
    sandbox = Sandbox(state, rate_limit=False)
    target = STAGING if one.in_place else PRODUCTION
    result = run(restore(lambda: console_of(sandbox, SOURCE), snapshot, target, **options))
    assert result.failure is None
    return state


def _arguments(one: Round, command: str, store: str) -> list[str]:
    wait = ["--wait"] if one.store == STORES[1] else []
    flags = ["--yes", "--keys-out", "keys.json", *wait]
    if one.in_place:
        flags += ["--into", STAGING, "--prune", "--accept-shrink", "--allow-missing-secrets"]
        flags += ["--rebind"] * one.generation.is_newest
        return ["--store", store, "--new-store", "restore", "a.json.gz", *flags]
    flags += ["--overlay", "overlay.json"]
    if command == "clone":
        return ["--store", store, "--new-store", "clone", "acme-staging", "acme-production", *flags]
    return ["--store", store, "--new-store", "restore", "a.json.gz", "--into", "acme-production", *flags]


def _contents(state: State, workspace: str) -> Counter[str]:
    """The content of a workspace, keyed by what makes two entities the same."""
    objects = [row for row in state.objects.values() if row.workspace_id == workspace and not row.deleted]
    names = {row.id: f"{row.type} {row.config.get('name')}" for row in objects}
    found = Counter(
        f"{row.type} {row.config.get('destinationType')} {row.config.get('name')}" for row in objects
    )
    found.update(
        f"link {link.type} {names.get(link.from_id, '-')} {names.get(link.to_id, '-')} {_data(link.data, names)}"
        for link in state.live_links(workspace)
    )
    builders = [b for b in state.builders.values() if b.workspace_id == workspace and not b.deleted]
    found.update(f"builder {builder.fields.get('name')}" for builder in builders)
    return found


def _data(data: Any, names: dict[str, str]) -> str:
    text = canonical({name: value for name, value in (data or {}).items() if name != "disabled"}).decode()
    for object_id, name in names.items():
        text = text.replace(object_id, name)
    return text


def _twice(limit: Counter[str], found: Counter[str]) -> dict[str, int]:
    return {name: number for name, number in found.items() if name in limit and number > limit[name]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    table: dict[str, Counter[str]] = {}
    bad = 0
    with ExitStack() as stack:
        forges = [stack.enter_context(zygote()) for _ in range(2)]
        folder = Path(stack.enter_context(TemporaryDirectory()))
        for one in rounds(given.rounds, given.first):
            ending = play(one, forges, folder / str(one.seed))
            counts = table.setdefault(
                f"{one.pair}{' in place' if one.in_place else ''}, {one.store}", Counter()
            )
            counts.update(
                {
                    "rounds": 1,
                    "killed": int(any(code < 0 for code in ending.codes)),
                    "both done": int(all(code in (DONE, INCOMPLETE) for code in ending.codes)),
                    "one refused": int(BLOCKED in ending.codes),
                    "twice": int(bool(ending.twice)),
                    "twice, unnamed": int(bool(ending.twice) and not ending.named),
                    "twice at last": int(bool(ending.twice_at_last)),
                }
            )
            if not ending.well(one):
                bad += 1
                print(
                    one.seed,
                    one,
                    ending.codes,
                    ending.last_code,
                    ending.twice,
                    ending.twice_at_last,
                    file=sys.stderr,
                )
                print(
                    ending.log[-1500:] if ending.last_code not in (DONE, INCOMPLETE) else "", file=sys.stderr
                )
    for name, counts in sorted(table.items()):
        print(f"{name}: " + ", ".join(f"{number} {what}" for what, number in counts.items() if number))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
