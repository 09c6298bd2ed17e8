"""How long the command line takes to begin, beside `import click`."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks.table import Row, alternating, ratio

_TAB = {"_JITSU_BACKUP_COMPLETE": "bash_complete"}
COMMANDS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "--version": (("--version",), {}),
    "--help": (("--help",), {}),
    "completion bash": (("completion", "bash"), {}),
    "Tab behind a command's beginning": ((), {**_TAB, "COMP_WORDS": "jitsu-backup re", "COMP_CWORD": "1"}),
    "Tab behind `restore `": ((), {**_TAB, "COMP_WORDS": "jitsu-backup restore ", "COMP_CWORD": "2"}),
}


def start(folder: Path, *, full: bool) -> Iterator[Row]:
    """Each in a process of its own, in turn."""

    def timed(*arguments: str, env: dict[str, str] | None = None) -> Callable[[], float]:
        def job() -> float:
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, *arguments], env={**os.environ, "HOME": str(folder), **(env or {})},
                check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            return time.perf_counter() - began

        return job

    jobs = [timed("-m", "jitsu_backup", *arguments, env=env) for arguments, env in COMMANDS.values()]
    floor, *found = alternating(41 if full else 15, timed("-c", "import click"), *jobs)
    for name, took in zip(COMMANDS, found, strict=True):
        yield ratio(f"start: {name}", took * 1000, floor * 1000, "ms", "import click", 1.5)
