"""Standard output that cannot be written, told apart from other errors of the operating system."""

import os
import sys

from jitsu_backup.errors import MistakeError


def is_of_output(problem: OSError) -> bool:
    """Return whether writing standard output failed: no file is named, and no library raised an error of its own."""
    return problem.filename is None and type(problem).__module__ == OSError.__module__


def unforeseen(problem: OSError) -> str:
    """Say what went wrong with a file or with standard output; an error of a library's own is a mistake of ours."""
    if is_of_output(problem):
        return f"cannot write the output: {problem.strerror or type(problem).__name__}"
    if isinstance(problem.filename, str | bytes | os.PathLike) and problem.strerror:
        return f"{os.fsdecode(problem.filename)}: {problem.strerror.lower()}"
    return str(MistakeError.of(problem))


def give_up_output() -> None:
    """Discard what is still to be written to standard output, so that Python does not stumble over it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
