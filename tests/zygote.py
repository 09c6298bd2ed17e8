"""A process that has everything imported and forks one command line a job: each is a real process, to be killed.

Reads jobs as JSON lines ({"arguments", "environment", "folder"}), answers each with its process id and, when it
has ended, its wait status.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Zygote:
    """The other end: starts commands and waits for them."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, arguments: list[str], environment: dict[str, str], folder: Path) -> int:
        job = {"arguments": arguments, "environment": environment, "folder": str(folder)}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())


@contextmanager
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    try:
        yield made
    finally:
        made.process.stdin.close()  # type: ignore[union-attr]
        made.process.wait(20)
        made.process.stdout.close()  # type: ignore[union-attr]


def main() -> None:
    import jitsu_backup.cli.clone
    import jitsu_backup.cli.restore  # noqa: F401
    from jitsu_backup.cli import run

    for line in sys.stdin:
        job: dict[str, Any] = json.loads(line)
        child = os.fork()
        if not child:
            os.chdir(job["folder"])
            os.environ.update(job["environment"])
            log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            code = run(job["arguments"])
            sys.stdout.flush()
            os._exit(code)
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    main()
