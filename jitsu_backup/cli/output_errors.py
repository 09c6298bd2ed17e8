"""What is printed of failures that are no errors of ours: of click, of the operating system, and bugs."""

import os
import sys

import click

from jitsu_backup.addresses import without_secrets
from jitsu_backup.errors import REPORT, MistakeError, advice_on


def of_usage(problem: click.ClickException) -> str:
    """Return click's message about a wrong command line. What it repeats of that may be a URL with credentials."""
    return without_secrets(problem.format_message())


def is_of_output(problem: OSError) -> bool:
    """Return whether writing standard output failed: the error names no file and is not a library's own."""
    return problem.filename is None and type(problem).__module__ == OSError.__module__


def unforeseen(problem: OSError) -> str:
    """Return what went wrong with a file or standard output; a library's own error is a mistake of ours."""
    if is_of_output(problem):
        return f"cannot write the output: {problem.strerror or type(problem).__name__}; {advice_on(problem)}"
    if isinstance(problem.filename, str | bytes | os.PathLike) and problem.strerror:
        return f"{os.fsdecode(problem.filename)}: {problem.strerror.lower()}; {advice_on(problem)}"
    return of_bug(problem)


def of_bug(bug: BaseException) -> str:
    """Return the message for a bug of ours, with what to do about it."""
    return str(MistakeError.of(bug).with_remedy(REPORT))


def give_up_output() -> None:
    """Discard what is still to be written to standard output, so that Python does not fail on it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
