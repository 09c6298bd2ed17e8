"""Somebody else changes the target while a restore plans, asks and writes: nothing of that is lost.

`python -m tests.restores.test_colleague --rounds 200` plays many moments and counts how they ended.
"""

import argparse
import copy
import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from jitsu_backup.errors import TargetChangedError
from jitsu_backup.model import Entity, Key, Snapshot
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.operations.restore import Result
from jitsu_backup.planning import Overlay, PlanOptions, essence
from jitsu_backup.sandbox import Generation, Sandbox, State, default_state
from tests import examples
from tests.generate import Generator
from tests.support import STAGING, carry_out, console_of, prepare, read, run

SEEDS = st.integers(0, 2**32)
LAW = settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))


class Watched(httpx.AsyncBaseTransport):
    """Lets a colleague act before the nth request, and writes down what each write of ours meets."""

    def __init__(self, inner: httpx.AsyncBaseTransport, test: "Interleaving") -> None:
        self.inner, self.test = inner, test

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.test.about_to(request)
        return await self.inner.handle_async_request(request)


class Interleaving:
    """One restore in place, and a colleague who acts at the nth request of it."""

    def __init__(self, seed: int, at: int, generation: Generation) -> None:
        self.dice, self.at, self.number = random.Random(seed), at, 0
        self.state = default_state(generation=generation)
        generator = Generator(self.state, seed)
        generator.fill(STAGING, 16)
        self.sandbox = Sandbox(self.state, rate_limit=False)
        self.before = self.listed()
        generator.mutate(STAGING, 12)
        self.kept: list[Snapshot] = []
        self.first: Snapshot | None = None
        self.met: list[tuple[int, Entity]] = []
        self.looked: dict[str, int] = {}
        self.window: dict[int, int] = {}
        self.begun_to_look = self.first_at = 0
        self.acted = ""

    def listed(self, state: State | None = None) -> Snapshot:
        sandbox = Sandbox(state or self.state, rate_limit=False)
        found: Snapshot = run_apart(read(console_of(sandbox), STAGING))
        return found

    def about_to(self, request: httpx.Request) -> None:
        self.number += 1
        parts = request.url.path.split("/")
        if request.method == "GET" and "config" in parts:
            self.looked[parts[4]] = self.number
        if request.method == "GET" and parts[2] == "workspace" and len(parts) == 4 and self.first is None:
            self.begun_to_look = self.number
        if request.method != "GET" and self.first is None:
            self.first, self.first_at = self.listed(copy.deepcopy(self.state)), self.number
        if self.number == self.at:
            self.acted = self.colleague()
        if request.method in ("PUT", "DELETE"):
            self.met += [(self.number, entity) for entity in self.touched(request)]
            self.window[self.number] = self.looked.get(parts[4], 0)

    def touched(self, request: httpx.Request) -> list[Entity]:
        """What a PUT or DELETE of ours finds there."""
        parts = request.url.path.split("/")
        named = {parts[-1], request.url.params.get("id")}
        if request.content and parts[-1] == "link":
            named.add(json.loads(request.content).get("id"))
        return [e for e in self.listed().entities if e.key.id in named]

    def colleague(self) -> str:
        """Edit, add or delete something."""
        objects = [
            o for o in self.state.live_objects(STAGING, "function") if o.config.get("kind") != "profile"
        ]
        objects += list(self.state.live_objects(STAGING, "destination"))
        what = self.dice.choice(["edit", "edit", "add", "delete"])
        if what == "add" or not objects:
            self.state.add_object(STAGING, "function", "of-a-colleague", {"name": "Theirs", "code": "x"})
            return "added of-a-colleague"
        row = self.dice.choice(objects)
        if what == "edit":
            row.config = {**row.config, "name": f"{row.config.get('name')} (edited)"}
        else:
            row.deleted = True
        return f"{what} {row.id}"

    async def keep(self, live: Snapshot) -> None:
        self.kept.append(live)

    def restore(self, **options: Any) -> Result:
        """Plan and carry out; raises TargetChangedError as the command line does under --yes."""

        def make() -> Any:
            return console_of(self.sandbox, wrap=lambda inner: Watched(inner, self))

        wanted = PlanOptions(overlay=Overlay(), prune=True, accept_shrink=True, **options)

        async def job() -> Result:
            prepared = await prepare(make(), STAGING, self.before, wanted, lambda _: None)
            assert not prepared.plan.blocked, prepared.plan.blocked
            return await carry_out(make(), prepared, lambda _: None, keep=self.keep)

        result: Result = run(job())
        return result


def run_apart(job: Any) -> Any:
    """Run a coroutine to its end in a thread of its own, while the loop of this one stands still."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run, job).result()


def state_of(snapshot: Snapshot) -> dict[Key, Any]:
    return {entity.key: essence(entity) for entity in snapshot.entities}


@pytest.mark.parametrize("generation", [Generation.JULY_2026, Generation.OCTOBER_2024])
@given(seed=SEEDS, at=st.integers(1, 160))
@LAW
def test_what_a_colleague_does_at_any_moment_is_kept_or_left_and_the_way_back_leads_to_the_first_write(
    generation: Generation, seed: int, at: int
) -> None:
    check(Interleaving(seed, at, generation))


def check(test: Interleaving) -> str:
    """Play it, check what must hold, and say how it ended."""
    try:
        result = test.restore()
    except TargetChangedError:
        assert test.first is None  # nothing was written
        return "refused"
    assert result.failure is None
    if test.first is None:
        return "nothing to write"
    # no console compares before it writes, so what happens between a look and the write that follows it is not seen
    in_the_gap = test.begun_to_look < test.at <= test.first_at
    unseen = result.plan.touches and state_of(test.kept[-1]) != state_of(test.first)
    overwritten = False
    assert not unseen or in_the_gap
    archived = [state_of(kept) for kept in test.kept]
    for number, entity in test.met:
        archived_too = any(known.get(entity.key) == essence(entity) for known in archived)
        gap = test.window[number] < test.at <= number
        assert archived_too or gap, (test.acted, entity.key)
        overwritten |= not archived_too
    if overwritten:
        return "overwritten between a look and its write"
    if unseen:
        return "between the last look and the first write, and left as it is"
    overtaken = any(outcome.status is Status.OVERTAKEN for outcome in result.outcomes)
    if not test.acted:
        assert not overtaken
        return "undisturbed"
    return "left to the colleague" if overtaken else "beside"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=200)
    dice = random.Random(0)
    ended: Counter[str] = Counter()
    for number in range(parser.parse_args().rounds):
        seed, at = dice.randrange(2**32), dice.randrange(1, 160)
        generation = Generation.OCTOBER_2024 if number % 3 == 2 else Generation.JULY_2026
        try:
            ended[check(Interleaving(seed, at, generation))] += 1
        except AssertionError:
            print(f"seed {seed}, at request {at}")
            raise
    print(dict(ended))


if __name__ == "__main__":
    main()
