"""`python -m tests.asking [--interleavings N] [--first SEED]`: no random history of a workspace loses a change."""

import argparse
import sys
import time
from collections import Counter

from tests.asking.random_histories import run_history

IN_A_HISTORY = 50


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.asking", description=__doc__)
    parser.add_argument("--interleavings", type=int, default=10_000, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    given = parser.parse_args()
    began, made, lost = time.monotonic(), Counter[str](), 0
    histories = -(-given.interleavings // IN_A_HISTORY)
    for seed in range(given.first, given.first + histories):
        try:
            made += run_history(seed, IN_A_HISTORY)
        except AssertionError as problem:
            lost += 1
            print(problem, flush=True)
    print(
        f"{histories * IN_A_HISTORY} interleavings in {time.monotonic() - began:.0f} s, {lost} histories lost a change"
    )
    for name, count in made.most_common():
        print(f"  {name:20}{count:8}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
