"""Random mixes of faults, by seed, over backup, restore, clone and prune: real sockets, the command line, virtual waits.

At the end of each the target is as promised, or the report is clear and a plain run without faults gets there.
`python -m tests.fault_seeds --seeds 500` runs many and prints what befell and how it ended.
"""

import argparse
import sys
import time
from collections import Counter

from tests.fault_seeds.bench import JOBS, Bench, Ending
from tests.fault_seeds.seed import run_seed


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
