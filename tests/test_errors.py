"""The error tree: what every branch can do."""

import errno
import importlib
import pkgutil
import socket
import ssl

import pytest

import jitsu_backup
from jitsu_backup.cli import run
from jitsu_backup.console import RefusalKind, RefusedError
from jitsu_backup.errors import BackupError, MistakeError


def whole_tree() -> list[type[BackupError]]:
    for module in pkgutil.walk_packages(jitsu_backup.__path__, "jitsu_backup."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = [BackupError]
    for kind in found:
        found += kind.__subclasses__()
    return sorted(set(found), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", whole_tree(), ids=lambda kind: kind.__name__)
def test_every_error_can_be_raised_again_with_more_context(kind: type[BackupError]) -> None:
    first = (RefusalKind.IN_USE,) if issubclass(kind, RefusedError) else ()
    error = kind(*first, "the message")
    again = error.with_context(before="where: ", after="; what to do")
    assert type(again) is kind
    assert str(again) == "where: the message; what to do"
    assert again.exit_code == error.exit_code
    assert again.__dict__ == error.__dict__
    assert str(again.with_context(before="twice: ")) == "twice: where: the message; what to do"
    assert str(error) == "the message"


def test_a_mistake_of_ours_says_where_it_was_met_and_nothing_that_it_may_hold() -> None:
    try:
        raise ValueError("CANARY-7f3a")  # noqa: TRY301
    except ValueError as bug:
        error = MistakeError.of(bug)
    assert "CANARY" not in str(error)
    assert "ValueError at test_errors.py:" in str(error)
    assert isinstance(error.__cause__, ValueError)


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "cannot write the output: No space left on device",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "/x: permission denied"),
        (ssl.SSLError(1, "no start line"), "bug in jitsu-backup (SSLError"),
        (socket.gaierror(-2, "Name or service not known"), "bug in jitsu-backup (gaierror"),
    ],
)
def test_only_what_writing_raises_is_reported_as_an_output_that_cannot_be_written(
    problem: OSError, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given_up: list[bool] = []

    def fail(_: list[str]) -> None:
        raise problem

    monkeypatch.setattr("jitsu_backup.cli._told", fail)
    monkeypatch.setattr("jitsu_backup.cli.output_errors.give_up_output", lambda: given_up.append(True))
    assert run([]) == 1
    assert told in capsys.readouterr().err
    assert bool(given_up) == told.startswith("cannot write")
