"""A restore killed before and after every one of its requests, or robbed of every reply, ends the same.

Real processes, real sockets. The tests take every 24th request, or every 60th, and after which they kill is another one than
before which. `python -m tests.test_kills` takes all, of the jobs that are named or of every one, and prints the table.
"""

import copy
import functools
import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from jitsu_backup.archive import archive_name, encode
from jitsu_backup.model import Entity, Snapshot, counts_by_type
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.clone_record import record_finder, recorded
from jitsu_backup.planning import Overlay, PlanOptions
from jitsu_backup.sandbox import Generation, Sandbox, State, default_state
from jitsu_backup.store import FolderStore, archives
from tests.faults import Call, Fault, Faults
from tests.generate import Generator, no_mask_is_stored
from tests.promotions import THERE, changed_on_both_sides, edit, key_named
from tests.support import (
    OWNER,
    PRODUCTION,
    STAGING,
    FakeTime,
    carry_out,
    comparable,
    console_of,
    id_map,
    prepare,
    read,
    restore,
    run,
    stand_ins,
    writes,
)
from tests.test_faults import real_console
from tests.zygote import Zygote, zygote

HOST = "http://other.example"
STEP = 24
LOST = ("cut-before", "504")


@dataclass
class Job:
    """A restore to be disturbed: where it begins, what is asked, and what must be there at the end."""

    name: str
    snapshot: Snapshot
    begin: Callable[[], State]
    workspace: str
    flags: list[str]
    options: dict[str, Any]
    expected: Any = None
    ids: dict[str, str] = field(default_factory=dict)
    requests: int = 0
    host: str = HOST
    step: int = STEP
    record: Snapshot | None = None
    moved: Snapshot | None = None
    """What the source has become when the run is repeated."""

    def __post_init__(self) -> None:
        """A clone goes by the record of the last one."""
        if self.record is not None:
            self.options = {**self.options, "record": self.record}

    def put_store(self, folder: Path) -> None:
        """Leave nothing in the store but the record of the last clone, as a killed run leaves it."""
        for name in ("store", "jitsu-backups"):
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / "store").mkdir()
        if self.record is not None:
            data = encode(self.record)
            (folder / "store" / str(archive_name(self.record, size=len(data)))).write_bytes(data)

    def prepare(self) -> "Job":
        """Do it once undisturbed, to know the end state and the number of requests."""
        sandbox = Sandbox(self.begin(), rate_limit=False)
        result = run(
            restore(lambda: console_of(sandbox, self.host), self.snapshot, self.workspace, **self.options)
        )
        assert result.failure is None
        self.requests = len(sandbox.requests)
        if self.moved is not None:
            sandbox = Sandbox(self.begin(), rate_limit=False)
            run(restore(lambda: console_of(sandbox, self.host), self.moved, self.workspace, **self.options))
        self.expected = self.state_of(sandbox)
        self.ids = id_map(result)
        return self

    def state_of(self, sandbox: Sandbox) -> Any:
        after = run(read(console_of(sandbox, self.host), self.workspace))
        stored = sorted(
            str(row.config.get("password"))
            for row in sandbox.state.live_objects(self.workspace, "destination")
        )
        return comparable(after, {}), stored

    def check(self, sandbox: Sandbox, folder: Path) -> None:
        """Run it again, undisturbed: the end is as ever, and once more nothing is left to do."""
        if self.moved is not None:
            self._check_moved(sandbox, FolderStore(str(folder / "store")), self.moved)
            return
        result = run(
            restore(lambda: console_of(sandbox, self.host), self.snapshot, self.workspace, **self.options)
        )
        assert result.failure is None
        assert self.state_of(sandbox) == self.expected
        assert no_mask_is_stored(sandbox.state)
        sandbox.requests.clear()
        run(restore(lambda: console_of(sandbox, self.host), self.snapshot, self.workspace, **self.options))
        assert writes(sandbox) == 0

    def _check_moved(self, sandbox: Sandbox, store: FolderStore, moved: Snapshot) -> None:
        """Run it for a source that has changed meanwhile, by what the store knows of the last clone."""
        for _ in range(2):
            sandbox.requests.clear()
            options = PlanOptions(**{"overlay": stand_ins(moved), **self.options, "record": None})
            find = record_finder(lambda: store, ArchiveKeys(), options, now=now)
            console = functools.partial(console_of, sandbox, self.host)
            prepared = run(
                prepare(console(), self.workspace, moved, options, lambda _: None, find_record=find)
            )
            assert not prepared.plan.blocked, [(a.key, a.reason) for a in prepared.plan.blocked]
            result = run(carry_out(console(), prepared, lambda _: None))
            assert self.state_of(sandbox) == self.expected
            run(recorded(result, prepared, lambda: opened(store), ArchiveKeys(), now))
        assert writes(sandbox) == 0
        assert not any(archive.is_intent for archive in run(archives(store)))


def now() -> datetime:
    return datetime.now(UTC)


async def opened(store: FolderStore) -> FolderStore:
    return store


def into_an_empty_workspace() -> Job:
    """At least 60 entities of every type, with syncs, their cursors and a profile builder."""
    state = default_state()
    Generator(state, 7).fill(STAGING, 66)
    before = run(read(console_of(Sandbox(state, rate_limit=False)), STAGING))
    assert sum(before.manifest.counts.values()) >= 60
    assert before.manifest.counts["profile-builder"] == 1
    assert len(before.cursors) >= 3
    flags = ["--into", "acme-production", "--overlay", "overlay.json"]
    return Job("into an empty workspace", before, default_state, PRODUCTION, flags, {})


def rolled_back() -> Job:
    """A workspace rolled back in place, with deletions, things made anew and secrets revived."""

    def begin(mutated: bool = True) -> State:
        state = default_state()
        generator = Generator(state, 5)
        generator.fill(STAGING, 24)
        if mutated:
            generator.mutate(STAGING, 25)
        return state

    before = run(read(console_of(Sandbox(begin(False), rate_limit=False)), STAGING))
    options = {"prune": True, "recreate": True, "overlay": Overlay()}
    flags = ["--prune", "--recreate", "--no-safety-backup"]
    return Job("rolled back in place", before, begin, STAGING, flags, options, host="http://sandbox.example")


def newest(seed: int, size: int) -> tuple[State, Generator]:
    """A workspace of the newest console, with at least three reverse syncs."""
    state = default_state(generation=Generation.NEWEST)
    generator = Generator(state, seed)
    generator.fill(STAGING, size)
    while len(state.reverse_syncs(STAGING)) < 3:
        generator.syncs.fill(STAGING)
    return state, generator


def with_reverse_syncs() -> Job:
    """Models and reverse syncs, among others, brought into an empty workspace of the newest console."""
    state, _ = newest(3, 12)
    before = run(read(console_of(Sandbox(state, rate_limit=False)), STAGING))
    flags = ["--into", "acme-production", "--overlay", "overlay.json"]
    begin = functools.partial(default_state, generation=Generation.NEWEST)
    return Job("models and reverse syncs", before, begin, PRODUCTION, flags, {}, step=60)


def rebound() -> Job:
    """What reverse syncs hold is changed, one is an extra, and one was lost."""

    def begin(mutated: bool = True) -> State:
        state, generator = newest(3, 6)
        if mutated:
            for row in state.live_objects(STAGING, "model"):
                row.config = {**row.config, "name": "Renamed"}
            lost, enabled, *_ = state.reverse_syncs(STAGING)
            lost.deleted, enabled.data = True, {**enabled.data, "disabled": False}
            generator.syncs.add_sync(STAGING, generator.syncs.add_model(STAGING))
        return state

    before = run(read(console_of(Sandbox(begin(False), rate_limit=False)), STAGING))
    options = {"prune": True, "rebind": True, "accept_shrink": True, "overlay": Overlay()}
    flags = ["--prune", "--rebind", "--accept-shrink", "--no-safety-backup"]
    return Job(
        "reverse syncs bound anew",
        before,
        begin,
        STAGING,
        flags,
        options,
        host="http://sandbox.example",
        step=60,
    )


def promoted() -> Job:
    """A clone with three sides: what each changed, added and deleted since the last one."""
    made = changed_on_both_sides(Generation.JULY_2026)
    enrich = key_named(made.snapshot(), "function", "Enrich")
    edit(made.target.state, made.id_in_target(enrich), code="// a hot fix")
    begin = functools.partial(copy.deepcopy, made.target.state)
    flags = ["--into", "acme-production", "--overlay", "overlay.json", "--prune", "--no-safety-backup"]
    return Job(
        "promoted with three sides", made.snapshot(), begin, PRODUCTION, flags, {"prune": True},
        host=THERE, step=60, record=made.record,
    )  # fmt: skip


def moved_on() -> Job:
    """The same, but the source has changed once more when the run that was killed is repeated."""
    job = promoted()
    return replace(job, name="promoted, and the source moved on", moved=changed_again(job.snapshot))


def changed_again(snapshot: Snapshot) -> Snapshot:
    """A snapshot of which all functions, streams and destinations have changed, and the new function is gone."""

    def changed(entity: Entity) -> Entity:
        fields = ["name"]
        if entity.key.type == "function":  # the code of this one has a hot fix
            fields += ["description"] if entity.name == "Enrich" else ["description", "code"]
        more = {name: f"{entity.body.get(name)} again" for name in fields}
        return replace(entity, body={**entity.body, **more})

    entities = tuple(
        changed(entity) if entity.key.type in ("function", "stream", "destination") else entity
        for entity in snapshot.entities
        if entity.key.id != "new-function"
    )
    counts = counts_by_type(entities, snapshot.manifest.counts)
    return replace(snapshot, entities=entities, manifest=replace(snapshot.manifest, counts=counts))


JOBS = {
    "promoted": promoted,
    "moved-on": moved_on,
    "empty": into_an_empty_workspace,
    "in-place": rolled_back,
    "reverse-syncs": with_reverse_syncs,
    "rebound": rebound,
}


@pytest.fixture(scope="module")
def forge() -> Iterator[Zygote]:
    with zygote() as made:
        yield made


def killed_everywhere(job: Job, forge: Zygote, folder: Path, step: int = 1) -> dict[str, int]:
    """Kill a process before and after each request, or each `step`th; give how many points there were."""
    overlay: dict[str, dict[str, str]] = {}
    for line in job.snapshot.manifest.ledger:
        overlay.setdefault(f"{line.type}/{line.id}", {})[line.path] = "stand-in"
    (folder / "overlay.json").write_text(json.dumps(overlay))
    faults = Faults(None, lambda _: None)
    points = {"before": 0, "after": 0}
    with faults.running() as url:
        # in place, a snapshot says which console it came from
        source = job.snapshot.manifest.source
        (folder / "a.json.gz").write_bytes(encode(job.snapshot))
        into = [] if "--into" in job.flags else ["--into", source.workspace_id]
        command = [
            "-q",
            *(() if job.record is None else ("--store", "store")),
            "restore",
            "a.json.gz",
            "--yes",
            "--keys-out",
            "keys.json",
            *into,
            *job.flags,
        ]
        environment = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
        for moment, first in (("before", 1), ("after", 1 + step // 2)):
            for unlucky in range(first, job.requests + 60, step):
                sandbox = Sandbox(job.begin(), rate_limit=False)
                victim: list[int] = []
                job.put_store(folder)

                def choose(call: Call, moment: str = moment, unlucky: int = unlucky) -> Fault | None:
                    if call.number != unlucky:
                        return None
                    if moment == "before":
                        os.kill(victim[0], signal.SIGKILL)
                        return Fault("cut-before")
                    return Fault("kill")

                faults.app, faults.number, faults.choose = sandbox.app, 0, choose
                faults.victim = victim
                victim.append(forge.start(command, environment, folder))
                status = forge.answer()
                faults.drain()
                if status == 0 and faults.number < unlucky:
                    break  # it has fewer requests than that
                assert os.WIFSIGNALED(status), (unlucky, moment, status, (folder / "log").read_text()[-2000:])
                points[moment] += 1
                job.check(sandbox, folder)
    return points


@pytest.mark.parametrize("name", JOBS)
def test_killed_before_and_after_every_request_it_is_finished_by_running_it_again(
    name: str, forge: Zygote, tmp_path: Path
) -> None:
    job = JOBS[name]().prepare()
    points = killed_everywhere(job, forge, tmp_path, job.step)
    print(job.name, points)
    assert min(points.values()) >= 60 // job.step


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *itertools.product(("empty", "in-place"), LOST),
        ("reverse-syncs", LOST[0]),
        ("rebound", LOST[1]),
        ("promoted", LOST[0]),
    ],
)
def test_a_reply_lost_after_the_server_acted_at_any_request_changes_nothing(name: str, kind: str) -> None:
    job = JOBS[name]().prepare()
    points = robbed_everywhere(job, kind, job.step)
    print(job.name, kind, points)
    assert points >= 60 // job.step


def robbed_everywhere(job: Job, kind: str, step: int = 1) -> int:
    """Lose the reply to each request in turn, or each `step`th; give how many points there were."""
    faults = Faults(None, lambda _: None)
    points = 0
    with faults.running() as url:
        for unlucky in range(1, job.requests + 60, step):
            sandbox = Sandbox(job.begin(), rate_limit=False)
            faults.app, faults.number, faults.befallen = sandbox.app, 0, 0
            faults.choose = lambda call, unlucky=unlucky: (
                Fault(kind, reached=True) if call.number == unlucky else None
            )
            result = run(
                restore(lambda: real_console(url, FakeTime()), job.snapshot, job.workspace, **job.options)
            )
            if not faults.befallen:
                break
            points += 1
            assert result.failure is None
            assert job.state_of(sandbox) == job.expected
    return points


def main() -> None:
    """Take every point of all jobs, or of those that are named, and print how many there were."""
    for name in sys.argv[1:] or JOBS:
        job = JOBS[name]().prepare()
        with zygote() as forge, TemporaryDirectory() as folder:
            points: dict[str, int] = killed_everywhere(job, forge, Path(folder))
        if job.moved is None:  # else nothing is repeated, for which a reply could have been lost
            points |= {f"robbed, {kind}": robbed_everywhere(job, kind) for kind in LOST}
        print(f"{job.name}: {points}")


if __name__ == "__main__":
    main()
