"""A process that has imported everything and forks one command line per job: a real process that can be killed.

It reads jobs as JSON lines ({"arguments", "environment", "folder", "kill"}), answers each with its process id and, when it
has ended, its wait status. With `kill` the process ends itself before, in or after its nth call of the operating
system's file functions; the number of those that it made is in the file `calls`.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FILE_CALLS = ("open", "write", "fsync", "link", "unlink", "rename", "replace", "mkdir", "listdir", "scandir")


class Zygote:
    """The client: starts commands and waits for them."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(
        self,
        arguments: list[str],
        environment: dict[str, str],
        folder: Path,
        kill: tuple[int, str] | None = None,
    ) -> int:
        job = {"arguments": arguments, "environment": environment, "folder": str(folder), "kill": kill}
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


def kill_at(number: int, when: str) -> None:
    """Kill this process `before`, `in` or `after` its nth call; a kill `in` a write leaves half of it."""
    calls = 0

    def wrap(real: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == number and when == "in" and name == "write":
                real(arguments[0], arguments[1][: len(arguments[1]) // 2])
            if calls == number and when != "after":
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return real(*arguments, **options)
            finally:
                if calls == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                Path("calls").write_text(str(calls))

        return call

    for name in FILE_CALLS:
        setattr(os, name, wrap(getattr(os, name), name))


def main() -> None:
    import jitsu_backup.cli.backup
    import jitsu_backup.cli.clone
    import jitsu_backup.cli.flags.backup
    import jitsu_backup.cli.flags.clone
    import jitsu_backup.cli.flags.prune
    import jitsu_backup.cli.flags.restore
    import jitsu_backup.cli.flags.unpack
    import jitsu_backup.cli.prune
    import jitsu_backup.cli.restore
    import jitsu_backup.cli.unpack  # noqa: F401
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
            if job["kill"] is not None:
                kill_at(*job["kill"])
            code = run(job["arguments"])
            sys.stdout.flush()
            os._exit(code)
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    main()
