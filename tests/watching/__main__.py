"""`python -m tests.watching [--hours H] [--workspaces N]`: how long a change takes into the store, on good and bad days."""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter

from tests.virtual_time import run_virtually
from tests.watching.day import Day
from tests.watching.kit import Bench, TickingLoop, median_and_worst
from tests.watching.test_watch import rounds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.watching", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, metavar="H")
    parser.add_argument("--workspaces", type=int, default=1, metavar="N")
    parser.add_argument(
        "--gap", type=float, default=180.0, metavar="SECONDS", help="between two changes, on average"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--memory",
        type=float,
        metavar="H",
        help="only tell what H quiet hours add to memory; 84: 100,000 rounds",
    )
    given = parser.parse_args()
    if given.memory:
        with tempfile.TemporaryDirectory() as folder:
            print(
                f"{rounds(Bench(TickingLoop(), folder), given.memory):,} bytes more after the second half of {given.memory:g} h"
            )
        return 0
    began, loop = time.monotonic(), TickingLoop()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(loop, f"{folder}/store", given.workspaces)
        day = Day(bench, random.Random(given.seed), given.gap)
        run_virtually(day.pass_by(given.hours, disturbed=True), loop)
    delays, quiet = bench.delays, day.quiet()
    lost = sum(delay == float("inf") for delay in delays.values())
    print(
        f"{given.workspaces} workspaces, {given.hours:g} h in {time.monotonic() - began:.0f} s: {dict(Counter(w for w, *_ in day.disturbances))}"
    )
    print(f"  {len(delays)} changes, {lost} lost, {bench.per_minute:.0f} requests a minute")
    for name, found in (("undisturbed", quiet), ("all", delays)):
        if found:
            print(
                f"  {name:12} {len(found):5}  median {median_and_worst(found)[0]:6.1f} s, worst {median_and_worst(found)[1]:7.1f} s"
            )
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
