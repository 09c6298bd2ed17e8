"""A secret, or an odd text, in place of any argument or value of any command: it is not repeated, and no bug shows."""

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from itertools import cycle
from pathlib import Path

import click
import pytest

from jitsu_backup.cli import cli, run

SECRET = "CANARY7f3a9b2c4d6e8f0a1b2c"
KEY = f"clx1abcdefghijk2345:{SECRET}"
SECRETS = (KEY, f"AGE-SECRET-KEY-1{SECRET.upper()}", f"@x:{SECRET}@y", f"https://u:{SECRET} 'x@h:port/p")
ODD = ("", "a\udcff\udc80b", "line\nbreak\U0001f986", "~nobody-here/x", "99999999999999999999999")
SERVICES = frozenset({"watch", "sandbox", "demo", "drill", "completion"})
"""Commands that serve or compute until they are ended, so only wrong usage of them is tried."""


def run_with(*arguments: str) -> tuple[int, str]:
    shown = io.StringIO()
    with redirect_stdout(shown), redirect_stderr(shown):
        code = run(list(arguments))
    return code, shown.getvalue()


def lines_with(texts: Iterable[str]) -> Iterator[list[str]]:
    """Command lines with one of the texts in place of each value, a command, each argument, and after mistyped flags."""
    text = cycle(texts)
    yield from ([next(text)] for _ in SECRETS)
    yield from ([f"{flag}={next(text)}", "snapshots"] for flag in flags_of(cli))
    for name in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        yield [name, f"--keyy={next(text)}"]
        yield [name, f"-{next(text)}"]
        if name not in SERVICES:
            takes = any(isinstance(one, click.Argument) for one in command.params)
            yield from ([name, *before, "--", next(text)] for before in ([], ["x"], ["x"]))
            yield from ([name, f"{flag}={next(text)}", *["x"] * takes] for flag in flags_of(command))


def flags_of(command: click.Command) -> list[str]:
    return [one.opts[0] for one in command.params if isinstance(one, click.Option) and not one.is_flag]


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings, no key and so no request."""
    for name in [name for name in os.environ if name.startswith("JITSU")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jitsu_backup.cli.signals.handle_signals", lambda: None)


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("texts", [SECRETS, ODD], ids=["a secret", "an odd text"])
def test_a_slip_in_any_place_of_a_command_line_is_no_bug_and_repeats_no_secret(
    texts: tuple[str, ...],
) -> None:
    for arguments in lines_with(texts):
        _, shown = run_with(*arguments)
        assert SECRET.lower() not in shown.lower(), (arguments, shown)
        assert "bug in jitsu-backup" not in shown, (arguments, shown)
        assert "Traceback" not in shown, (arguments, shown)


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(
    "text",
    [
        f'apikey = "{KEY}"', f'"{KEY}" = 1', f'key = ["{KEY}"]', f'key = {{env = "{SECRET}"}}', f'key = {{command = ["{KEY}"]}}',
        f"key = {KEY}", f'key = "{KEY}', f'host = "u:{SECRET}@h:443"', f'workspace = "{KEY}"', f'store = "x:{SECRET}@b"',
        f'encrypt_to = "AGE-SECRET-KEY-1{SECRET}"', f'notify_every = "{KEY}"', f'protect = "{KEY}"', 'key = {file = "broken"}',
    ],
)  # fmt: skip
def test_a_slip_in_the_settings_file_repeats_no_secret(text: str, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text(f"clx1abcdefghijk\n2345:{SECRET}\n")
    (tmp_path / "jitsu-backup.toml").write_text(text)
    for arguments in (["check", "--config"], ["check", "x"], ["snapshots"], []):
        _, shown = run_with(*arguments)
        assert SECRET not in shown
        assert "bug in jitsu-backup" not in shown
