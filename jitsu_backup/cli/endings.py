"""How a run ends: by a signal, where a loop runs by cancelling what it does; and where its output cannot be written."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from jitsu_backup.errors import MistakeError

is_told = False
"""Whether those who hear of a run have been told how it ended."""

_cancel: list[Callable[[], object]] = []


@contextmanager
def cancelled_by(cancel: Callable[[], object]) -> Iterator[None]:
    """Let the first signal call `cancel` while this lasts."""
    _cancel.append(cancel)
    try:
        yield
    finally:
        _cancel.clear()


def interrupt(*_: object) -> None:
    """Be the handler of SIGTERM and SIGHUP: they end a run as Ctrl-C does, also where Ctrl-C is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a background job of a script
        if _cancel:
            _cancel.pop()()
            return
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


def ignore_signals() -> None:
    """Let no signal change how the process ends: all is done and told, and the interpreter has only to stop."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with suppress(ValueError):  # not the main thread
            signal.signal(number, signal.SIG_IGN)


def is_of_output(problem: OSError) -> bool:
    """Tell whether writing standard output failed: then no file is named, and it is no error of a library's own."""
    return problem.filename is None and type(problem).__module__ == OSError.__module__


def unforeseen(problem: OSError) -> str:
    """Say what went wrong with a file, or with standard output; what a library raised of its own is a mistake of ours."""
    if is_of_output(problem):
        return f"cannot write the output: {problem.strerror or type(problem).__name__}"
    if isinstance(problem.filename, str | bytes | os.PathLike) and problem.strerror:
        return f"{os.fsdecode(problem.filename)}: {problem.strerror.lower()}"
    return str(MistakeError.of(problem))


def give_up_output() -> None:
    """Send what is still to be written on standard output nowhere, so that Python does not stumble over it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
