"""`python -m tests.recovery [--kills N] [--seed TEXT]`: a recovery that is killed at random ends the same when it is run again."""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from jitsu_backup.sandbox import Generation
from tests.recovery.test_kills import killed_and_run_again


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.recovery", description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=200, metavar="N", help="runs that are killed, over all generations"
    )
    parser.add_argument("--seed", default="kills of", metavar="TEXT")
    given = parser.parse_args()
    each, failed = -(-given.kills // len(Generation)), 0
    for generation in Generation:
        began = time.monotonic()
        with TemporaryDirectory() as folder:
            try:
                halves = killed_and_run_again(generation, Path(folder) / "store", each, given.seed)
            except AssertionError as problem:
                failed += 1
                print(f"{generation.value}: {problem}", flush=True)
                continue
        print(
            f"{generation.value}: {each} runs killed, {halves} times half way, {time.monotonic() - began:.0f} s",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
