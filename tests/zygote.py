"""A process that has imported everything and forks one command line per job: a real process that can be killed.

It reads jobs as JSON lines ({"arguments", "environment", "folder", "output", "kill"}), answers each with its process id
and, when it has ended, its wait status. Output goes to two files and the environment is only the given one; without
`output`, to the file `log`, and the environment is added to. With `kill` the process ends itself before, in or after its
nth call of the operating system's file functions; the number of those that it made is in the file `calls`.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import threading
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
        return self._send(
            {"arguments": arguments, "environment": environment, "folder": str(folder), "output": None, "kill": kill}
        )  # fmt: skip

    def run(
        self, arguments: list[str], environment: dict[str, str], folder: Path, timeout: float
    ) -> tuple[int, str, str]:
        """Run a command to its end; return its exit code, output and errors."""
        with (
            tempfile.NamedTemporaryFile("r", encoding="utf-8") as output,
            tempfile.NamedTemporaryFile("r", encoding="utf-8") as errors,
        ):
            child = self._send(
                {"arguments": arguments, "environment": environment, "folder": str(folder),
                 "output": (output.name, errors.name), "kill": None}
            )  # fmt: skip
            timer = threading.Timer(timeout, os.kill, (child, signal.SIGKILL))
            timer.start()
            status = self.answer()
            timer.cancel()
            return os.waitstatus_to_exitcode(status), output.read(), errors.read()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _send(self, job: dict[str, Any]) -> int:
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
        made.close()


_idle: list[Zygote] = []


@atexit.register
def _close_idle() -> None:
    while _idle:
        _idle.pop().close()


def forked(
    arguments: list[str], environment: dict[str, str], folder: Path, timeout: float
) -> tuple[int, str, str]:
    """Run a command line to its end, in a fork of a process that is kept for it: one for each that runs at once."""
    made = _idle.pop() if _idle else Zygote()
    try:
        return made.run(arguments, environment, folder, timeout)
    finally:
        _idle.append(made)


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


LATE = (
    "anyio._backends._asyncio", "anyio.streams.tls", "h11", "httpcore", "jsonschema", "pprint",
    "rich._emoji_codes", "zipfile",
)  # fmt: skip
"""Modules of others that a command loads only where it needs them."""


def load_everything() -> None:
    import jitsu_backup
    from jitsu_backup.network import trusted

    ours = (module.name for module in pkgutil.walk_packages(jitsu_backup.__path__, "jitsu_backup."))
    for name in (*LATE, *ours):
        if not name.endswith("__main__"):  # it handles signals
            importlib.import_module(name)
    trusted(os.environ)
    importlib.import_module("light_phrases").install()


def carry_out(job: dict[str, Any]) -> int:
    """Run a command line in this process; return its exit code."""
    from jitsu_backup.cli import main as command_line, run

    os.chdir(job["folder"])
    if job["output"] is None:
        os.environ.update(job["environment"])
        output = errors = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    else:
        os.environ.clear()
        os.environ.update(job["environment"])
        output, errors = (os.open(path, os.O_WRONLY | os.O_APPEND) for path in job["output"])
    for number, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), output, errors)):
        os.dup2(descriptor, number)
    if job["kill"] is not None:
        kill_at(*job["kill"])
    if job["output"] is None:
        return run(job["arguments"])
    try:
        command_line(job["arguments"])
    except SystemExit as end:
        return int(str(end.code))
    raise AssertionError("the command line ends its process")


def main() -> None:
    load_everything()
    gc.freeze()  # else each child copies the pages of all that is loaded
    for line in sys.stdin:
        child = os.fork()
        if not child:
            code = carry_out(json.loads(line))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    main()
