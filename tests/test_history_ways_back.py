"""The line under each change of a history brings back the state of before, on every generation of the console."""

import json
import random
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from jitsu_backup.archive import ArchiveName, decode
from jitsu_backup.catalogue import known_schemas
from jitsu_backup.model import Snapshot
from jitsu_backup.planning import KEY_FIELDS, ChangeKind, compare
from jitsu_backup.planning.history import HistoryChange, Step
from jitsu_backup.sandbox import Generation, Sandbox, default_state, running
from tests.generate import Generator
from tests.support import OWNER, STAGING, cli, console_of, read, run
from tests.test_history_laws import read_history

FEW = settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
AT_ONCE = 5
IMPOSSIBLE = (
    "cannot change: ",
    "a webhook serves only one",
    "is neither in the snapshot nor in the target",
    "both would receive the same events",
)
"""Why a plan is blocked: by a reverse sync, which --rebind makes again, because no line does that unasked; and where what was
before named something that was missing then, which nobody can make. Where the target has a twin of what a link needs, a person
says whether it is the same."""

REFUSED = (
    "dangling",
    "dead",
    "Could not inspect model columns",
    "this console deletes connections by their ends",  # of two connections with the same ends, none can go alone
    "requires a",
    "require mirror",
    "require insert",
    "which failed",
)
"""Why something could not be made: what it needs was missing then too, or does not suit it by now, as the console alone can tell."""


class Bench:
    """A sandbox that is served, and the store of its backups."""

    def __init__(self, folder: Path, url: str, sandbox: Sandbox) -> None:
        self.folder, self.url, self.sandbox = folder, url, sandbox
        self.env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER, "XDG_CACHE_HOME": str(folder / "cache")}

    def cli(self, *arguments: str) -> Any:
        return cli("--store", str(self.folder / "store"), *arguments, env=self.env, cwd=self.folder)

    def backup(self) -> None:
        assert self.cli("--new-store", "backup", STAGING).returncode in (0, 3)

    def changes(self) -> list[tuple[Step, HistoryChange]]:
        found = read_history(self.folder / "store", now=datetime.now(UTC))
        return [(step, one) for step in found.steps for one in step.changes]

    def archived(self, archive: ArchiveName) -> Snapshot:
        return decode((self.folder / "store" / str(archive)).read_bytes())

    def live(self) -> Snapshot:
        snapshot: Snapshot = run(read(console_of(self.sandbox, self.url), STAGING))
        return snapshot


def left_of(bench: Bench, step: Step, one: HistoryChange, told: dict[str, Any]) -> list[str]:
    """What of a change is not as it was before, beside what the restore names."""
    before, now = bench.archived(step.before), bench.live()
    named = {line["path"].partition(".")[0] for line in told["residue"]}
    if "" in named:
        return [
            line["reason"]
            for line in told["residue"]
            if not any(words in line["reason"] for words in REFUSED)
        ]
    if one.change.kind is ChangeKind.ADDED:
        (current,) = {
            text for flag, text in zip(one.way_back, one.way_back[1:], strict=False) if flag == "--only"
        } & {str(e.key) for e in now.entities} or {""}
        return [current] if current and not named else []
    key = one.change.before
    if key is not None and key.type == "function":
        owners = [
            e.key
            for e in before.of_type("profile-builder")
            for f in e.body["functions"]
            if f["functionId"] == key.id
        ]
        key = owners[0] if owners else key
    there = {e.key for e in now.entities}
    # nothing tells which of two equal links is back, but that the other one was not asked for
    asked = [e for e in before.entities if e.key == key or e.key in there or e.key.type != "link"]
    before = replace(before, entities=tuple(asked))
    found = [c for c in compare(before, now, known_schemas()).entities if c.before == key]
    # what is made again: reverse syncs switched off, streams with new write keys, because Jitsu shows no old ones
    new = {"reverse-sync": {"data"}, "stream": {*KEY_FIELDS}}.get("" if key is None else key.type, set())
    paths = [(c.kind.value, field.path) for c in found for field in c.fields]
    paths += [(c.kind.value, "") for c in found if not c.fields]
    return [f"{kind} {path}" for kind, path in paths if path.partition(".")[0] not in named | new]


@pytest.mark.parametrize("generation", Generation)
@given(seed=st.integers(0, 2**32))
@FEW
def test_the_line_under_each_change_brings_back_the_state_of_before(
    generation: Generation, seed: int
) -> None:
    follow_some_lines(generation, seed)


def test_the_line_under_one_of_two_twins_brings_back_that_one() -> None:
    follow_some_lines(Generation.JULY_2026, 16961)


def follow_some_lines(generation: Generation, seed: int) -> None:
    dice = random.Random(seed)
    state = default_state(generation=generation)
    generator = Generator(state, seed)
    generator.fill(STAGING, 14)
    sandbox = Sandbox(state, rate_limit=False)
    with tempfile.TemporaryDirectory() as made, running(sandbox) as url:
        bench = Bench(Path(made), url, sandbox)
        bench.backup()
        tried = 0
        for _ in range(AT_ONCE):
            generator.mutate(STAGING, 2)
            bench.backup()
            known = [(step, one) for step, one in bench.changes() if one.way_back]
            if not known:
                continue
            step, one = dice.choice(known)
            keys = str(bench.folder / f"keys-{dice.random()}")
            done = bench.cli("--json", "restore", *one.way_back, "--yes", "--keys-out", keys)
            if done.returncode == 7 and any(words in done.stdout + done.stderr for words in IMPOSSIBLE):
                continue
            tried += 1
            assert done.returncode in (0, 3), (one, done.stdout[-3000:], done.stderr)
            assert left_of(bench, step, one, json.loads(done.stdout)) == [], (one, done.stdout[-3000:])
            bench.backup()
        assert tried
