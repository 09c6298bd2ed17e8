"""The real rate limits, on a simulated clock, beside the time that they make anybody take."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.table import Row, count, ratio
from tests.limited import generated, restore_limited
from tests.many import VirtualConsole, backed_up, floor_of, job, many
from tests.virtual_time import VirtualLoop

OTHERS = (0.2, 0.5, 1.0)


def limited(folder: Path, *, full: bool) -> Iterator[Row]:
    """A restore of 500 entities, alone and beside a second client with the same key."""
    before = generated(520)
    alone = restore_limited(before)
    yield ratio(f"restore of {len(before.entities)}, limited", alone.took, alone.floor, "s", "floor", 1.05)
    yield count("  refused, alone", len(alone.refused), 0, "requests")
    for others in OTHERS if full else OTHERS[1:2]:
        shared = restore_limited(before, others=others)
        found = shared.refused_in_a_minute if shared.result.failure is None else float("inf")
        yield count(f"  refused in a minute, another one sends {others}/s", found, 1, "requests")


def everything(folder: Path, *, full: bool) -> Iterator[Row]:
    """`backup --all` of 300 workspaces."""
    loop = VirtualLoop()
    sandbox = many(300, loop)
    began = loop.now
    outcomes = backed_up(VirtualConsole(sandbox, loop, folder / "store"), job(), loop)
    took = loop.now - began
    assert all(outcome.failure is None for outcome in outcomes)
    floor = floor_of(Counter(request.method for request in sandbox.requests), began)
    yield ratio(
        f"backup --all, 300 workspaces ({len(sandbox.requests):,} requests)", took, floor, "s", "floor", 1.1
    )
