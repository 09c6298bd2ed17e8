"""Random scenarios: seeded workspaces of the console's own schemas, later changed, restored in place or elsewhere."""

import random
from functools import cache
from typing import Any
from unittest.mock import patch

from jitsu_backup.planning import Ids, PlanOptions
from jitsu_backup.sandbox import Generation, Sandbox, State, default_state
from jitsu_backup.sandbox.validation import schemas_of
from tests.generate import Generator
from tests.planning.scenarios import Scenario
from tests.support import PRODUCTION, STAGING, FakeTime, console_of, read, restore, run

SEEDS = range(12)
OTHER = "http://other.example"


class Predictable(random.Random):
    """Stands for `secrets`, from which the sandbox takes the ids that a server makes."""

    def token_hex(self, size: int) -> str:
        return self.randbytes(size).hex()


@cache  # planning does not change it, and it takes some tenths of a second to make
def random_scenario(seed: int) -> Scenario:
    with patch("jitsu_backup.sandbox.state.secrets", Predictable(seed)):
        return _made(random.Random(seed), seed)


def _state(generation: Generation) -> State:
    return default_state(FakeTime().clock, generation)


def _made(dice: random.Random, seed: int) -> Scenario:
    two = [Generation.JULY_2026, Generation.OCTOBER_2024]
    generation = two[dice.random() < 0.25]
    state = _state(generation)
    Generator(state, seed).fill(STAGING, dice.randrange(4, 11))
    sandbox = Sandbox(state, rate_limit=False)
    snapshot = run(read(console_of(sandbox), STAGING))
    options: dict[str, Any] = {
        name: dice.random() < 0.4 for name in ("prune", "recreate", "disable_links", "match_by_name", "resend_secrets")
    }  # fmt: skip
    options |= {"allow_missing_secrets": dice.random() < 0.7, "cursors": dice.random() < 0.8}
    place = dice.choice(["in place", "elsewhere", "other console", "other generation"])
    if place == "in place":
        changed = Generator(state, seed + 1000)
        changed.mutate(STAGING, dice.randrange(1, 8))
        live = run(read(console_of(sandbox), STAGING))
    else:
        if place == "other generation":
            generation = two[two.index(generation) - 1]
        target = sandbox if place == "elsewhere" else Sandbox(_state(generation), rate_limit=False)
        host = "http://sandbox.example" if place == "elsewhere" else OTHER
        if dice.random() < 0.6:
            run(restore(lambda: console_of(target, host), snapshot, check_schemas=False))
        Generator(target.state, seed + 2000).mutate(PRODUCTION, dice.randrange(1, 8))
        live = run(read(console_of(target, host), PRODUCTION))
        options["ids"] = dice.choice(list(Ids))
    keys = [str(entity.key) for entity in snapshot.entities]
    if dice.random() < 0.3:
        options["skip"] = tuple(dice.sample(keys, min(2, len(keys))))
    if dice.random() < 0.2:
        options["only"] = tuple(dice.sample(keys, min(4, len(keys))))
    return Scenario(snapshot, live, PlanOptions(schemas=schemas_of(generation), **options), large=True)
