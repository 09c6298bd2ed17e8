"""`python -m tests.recovery`: recoveries that are killed at random, or with --workspaces the recovery of a large console."""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from jitsu_backup.sandbox import Generation
from tests.recovery.test_kills import killed_and_run_again
from tests.recovery.whole_console import lost_and_recovered


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.recovery", description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=200, metavar="N", help="runs that are killed, over all generations"
    )
    parser.add_argument("--seed", default="kills of", metavar="TEXT")
    parser.add_argument(
        "--workspaces",
        type=int,
        metavar="N",
        help="recover a console of N workspaces instead, which is compared",
    )
    parser.add_argument(
        "--generation", choices=[one.value for one in Generation], help="only this generation"
    )
    given = parser.parse_args()
    generations = [one for one in Generation if given.generation in (None, one.value)]
    if given.workspaces:
        return large_consoles(generations, given.workspaces)
    return kills(generations, given.kills, given.seed)


def large_consoles(generations: list[Generation], workspaces: int) -> int:
    failed = 0
    for generation in generations:
        for person in (False, True):
            began = time.monotonic()
            with TemporaryDirectory() as folder:
                ended = lost_and_recovered(generation, Path(folder) / "store", workspaces, person=person)
            failed += bool(ended.problem)
            print(
                f"{generation.value}, {'a person' if person else 'the operator'}: {workspaces} workspaces, "
                f"{ended.entities:,} entities, {ended.problem or 'equal'}, {ended.run.plan.made_keys} new write keys, "
                f"exit code {ended.run.exit_code}; {ended.run.seconds:,.0f} virtual s of {ended.run.plan.seconds:,.0f} foreseen, "
                f"{ended.refused} times refused; {time.monotonic() - began:.0f} s here",
                flush=True,
            )
    return 1 if failed else 0


def kills(generations: list[Generation], number: int, seed: str) -> int:
    each, failed = -(-number // len(generations)), 0
    for generation in generations:
        began = time.monotonic()
        with TemporaryDirectory() as folder:
            try:
                halves = killed_and_run_again(generation, Path(folder) / "store", each, seed)
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
