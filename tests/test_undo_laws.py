"""Laws of undoing, over random workspaces: back to what was there before, and an undo of that to what was there after."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from hypothesis import assume, given, settings, strategies as st

from jitsu_backup.catalogue import dangling_references
from jitsu_backup.console import Console
from jitsu_backup.events import silent
from jitsu_backup.model import Snapshot
from jitsu_backup.operations import restore as restoring
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.clone_record import record_finder
from jitsu_backup.operations.restore import PreparedRestore, Result
from jitsu_backup.operations.safeguards import Safeguards, carry_out_safely
from jitsu_backup.operations.third_side import RecordFinder
from jitsu_backup.operations.undo import last_run, undo_options
from jitsu_backup.planning import Overlay, PlanOptions
from jitsu_backup.sandbox import Generation, Sandbox
from jitsu_backup.store import FolderStore, Store, archives
from tests import examples
from tests.generate import Generator
from tests.promotions import KilledError
from tests.support import (
    MOMENT,
    PRODUCTION,
    STAGING,
    comparable,
    console_of,
    read,
    run,
    stand_ins,
    switched_off,
)
from tests.test_restore_laws import LAW, SEEDS, without_residue, workspace

SIZES = st.integers(0, 40)
UNDO_LAW = settings(LAW, max_examples=examples(8))
ROLLBACK = {"prune": True, "accept_shrink": True, "rebind": True, "overlay": Overlay()}
NO_KEYS = ArchiveKeys()


@dataclass
class Bench:
    """A console and a store; every look at the clock finds a second gone."""

    sandbox: Sandbox
    generator: Generator
    store: Store
    seconds: "itertools.count[int]" = field(default_factory=itertools.count)

    def now(self) -> datetime:
        return MOMENT + timedelta(seconds=next(self.seconds))

    def look(self, workspace_id: str) -> Snapshot:
        found: Snapshot = run(read(console_of(self.sandbox), workspace_id))
        return found

    async def _begun(self) -> Store:
        return self.store

    def cut(self, after: int, snapshot: Snapshot, into: str, options: PlanOptions) -> bool:
        """Carry out a plan, and be killed after some writes. Return whether there were as many."""
        left = itertools.count(1)

        class Deadly(httpx.ASGITransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                answer = await super().handle_async_request(request)
                if request.method != "GET" and next(left) >= after:
                    raise KilledError
                return answer

        app = self.sandbox.app
        try:
            self.carry_out(snapshot, into, options, console_of(self.sandbox, wrap=lambda _: Deadly(app)))
        except KilledError:
            return True
        return False

    def carry_out(
        self,
        snapshot: Snapshot,
        into: str,
        options: PlanOptions,
        console: Console | None = None,
        find: RecordFinder | None = None,
    ) -> Result:
        """Carry out a plan; what is blocked in it is left out."""
        while True:
            prepared = self.prepared(snapshot, into, options, find)
            if not prepared.plan.blocked:
                break
            skipped = tuple(str(action.key) for action in prepared.plan.blocked)
            options = replace(options, skip=(*options.skip, *skipped), checks_selectors=False)
        if not prepared.plan.writes:
            return restoring.nothing_to_write(prepared)
        guards = Safeguards(self._begun, NO_KEYS, self.now, lambda: 0.0)
        console = console or console_of(self.sandbox)
        result: Result = run(carry_out_safely(console, prepared, silent, guards))
        assert result.failure is None
        return result

    def prepared(
        self, snapshot: Snapshot, into: str, options: PlanOptions, find: RecordFinder | None = None
    ) -> PreparedRestore:
        find = find or record_finder(lambda: self.store, NO_KEYS, options, now=self.now)
        made = restoring.prepare(
            console_of(self.sandbox), into, snapshot, options, silent, now=self.now, find_record=find
        )
        prepared: PreparedRestore = run(made)
        return prepared

    def undo(self, workspace_id: str, **options: Any) -> Result:
        known = run(archives(self.store))
        last = run(last_run(known, workspace_id, self.store, NO_KEYS, now=self.now(), report=silent))
        assert last.known
        wanted = undo_options(PlanOptions(**options), last)
        # what was broken before the run, such as a connection without its function, is not made so again
        assume(not self.prepared(last.snapshot, workspace_id, wanted, last.left_in).plan.blocked)
        return self.carry_out(last.snapshot, workspace_id, wanted, find=last.left_in)


@pytest.fixture
def bench_of() -> Any:
    """Make benches, each with a store of its own."""
    folders: list[TemporaryDirectory[str]] = []

    def make(seed: int, size: int, generation: Generation) -> Bench:
        folders.append(TemporaryDirectory())
        sandbox, generator = workspace(seed, size, generation)
        return Bench(sandbox, generator, FolderStore(str(Path(folders[-1].name) / "store")))

    yield make
    for folder in folders:
        folder.cleanup()


def flowing(snapshot: Snapshot) -> Snapshot:
    """A snapshot without the links that lost an end, through which nothing flows: no restore makes them."""
    dead = {one.key for one in dangling_references(snapshot) if one.dead}
    return replace(snapshot, entities=tuple(e for e in snapshot.entities if e.key not in dead))


def assert_is(before: Snapshot, after: Snapshot, result: Result) -> None:
    """Assert that a workspace is as it was, up to new ids and what the result tells."""
    ids = {key.id: new for key, new in result.plan.ids.items() if key.type != "link"}
    off = {action.key.id for action in result.plan.actions if action.off}  # told by the plan
    mine = without_residue(switched_off(flowing(before), off), result, ids)
    theirs = without_residue(flowing(after), result, {})
    assert comparable(mine, ids) == comparable(theirs, {})


@pytest.mark.parametrize("generation", Generation)
@given(seed=SEEDS, size=SIZES, changes=st.integers(1, 20))
@UNDO_LAW
def test_an_undone_rollback_is_what_was_there_before_and_an_undo_of_that_what_was_there_after(
    bench_of: Callable[..., Bench], generation: Generation, seed: int, size: int, changes: int
) -> None:
    bench = bench_of(seed, size, generation)
    wanted = bench.look(STAGING)
    bench.generator.mutate(STAGING, changes)
    before = bench.look(STAGING)
    done = bench.carry_out(wanted, STAGING, PlanOptions(**ROLLBACK))
    assume(bool(done.plan.writes))
    after = bench.look(STAGING)
    undone = bench.undo(STAGING)
    assert_is(before, bench.look(STAGING), undone)
    assume(bool(undone.plan.writes))
    again = bench.undo(STAGING)
    assert_is(after, bench.look(STAGING), again)


@pytest.mark.parametrize("generation", Generation)
@given(seed=SEEDS, size=SIZES, own=st.integers(0, 10), changes=st.integers(0, 10))
@UNDO_LAW
def test_an_undone_clone_leaves_what_the_target_had_and_what_others_made_since(
    bench_of: Callable[..., Bench], generation: Generation, seed: int, size: int, own: int, changes: int
) -> None:
    bench = bench_of(seed, size, generation)
    for _ in range(own):
        bench.generator.add(PRODUCTION, "function")
    source, before = bench.look(STAGING), bench.look(PRODUCTION)
    first = bench.carry_out(source, PRODUCTION, PlanOptions(overlay=stand_ins(source)))
    bench.generator.mutate(STAGING, changes)
    again = bench.look(STAGING)
    middle = bench.look(PRODUCTION)
    second = bench.carry_out(
        again, PRODUCTION, PlanOptions(overlay=stand_ins(again), prune=True, accept_shrink=True)
    )
    assume(bool(first.plan.writes or second.plan.writes))
    made = [bench.generator.add(PRODUCTION, "function") for _ in range(2)]
    if second.plan.writes:
        undone = bench.undo(PRODUCTION)
        assert_is(middle, without(bench.look(PRODUCTION), made), undone)
        assert {*made} <= {row.id for row in bench.sandbox.state.live_objects(PRODUCTION, "function")}
    else:
        undone = bench.undo(PRODUCTION)
        assert_is(before, without(bench.look(PRODUCTION), made), undone)


@pytest.mark.parametrize("generation", Generation)
@given(
    seed=SEEDS, size=SIZES, changes=st.integers(1, 20), cuts=st.lists(st.integers(1, 8), min_size=1, max_size=2),
    is_clone=st.booleans(), ends=st.booleans(),
)  # fmt: skip
@UNDO_LAW
def test_a_run_that_was_cut_anywhere_is_undone_with_those_that_continued_it(
    bench_of: Callable[..., Bench],
    generation: Generation,
    seed: int,
    size: int,
    changes: int,
    cuts: list[int],
    is_clone: bool,
    ends: bool,
) -> None:
    bench = bench_of(seed, size, generation)
    wanted = bench.look(STAGING)
    bench.generator.mutate(STAGING, changes)
    target, options = STAGING, PlanOptions(**ROLLBACK)
    if is_clone:
        target, options = PRODUCTION, PlanOptions(overlay=stand_ins(wanted))
    before = bench.look(target)
    assume(bench.cut(cuts[0], wanted, target, options))
    for writes in cuts[1:]:
        bench.cut(writes, wanted, target, options)
    if ends:
        bench.carry_out(wanted, target, options)
    made = bench.generator.add(target, "function")
    undone = bench.undo(target)
    assert_is(before, without(bench.look(target), [made]), undone)
    assert not bench.sandbox.state.objects[made].deleted


def without(snapshot: Snapshot, ids: list[str]) -> Snapshot:
    entities = tuple(entity for entity in snapshot.entities if entity.key.id not in ids)
    return replace(snapshot, entities=entities)
