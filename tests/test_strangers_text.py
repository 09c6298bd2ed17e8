"""Text of strangers on a real terminal: a slug, a name or a message commands nothing, and is no markup."""

from io import StringIO
from pathlib import Path

import pytest
import rich.console

from jitsu_backup.cli.app import App
from jitsu_backup.cli.apply_options import RunOptions
from jitsu_backup.cli.output import Output
from jitsu_backup.cli.restore_report import _show_result
from jitsu_backup.events import Notice, Progress
from jitsu_backup.model import HARMFUL, Key, one_line
from jitsu_backup.operations.restore import Result
from jitsu_backup.planning import Action, ActionKind, Plan
from jitsu_backup.sandbox import Sandbox, running
from tests.restores.kit import typed
from tests.support import STAGING, example_sandbox, make_snapshot

REPAINT = "\x1b[2J\x1b[1;1HNothing will be deleted\x1b]0;title\x07\u202e"
MARKUP = "[/nope] [bold red]loud[/] :bug:"


@pytest.fixture
def sandbox() -> Sandbox:
    made = example_sandbox()
    made.state.workspaces[STAGING].slug = f"acme{REPAINT}{MARKUP}"
    made.state.workspaces[STAGING].name = f"Acme{REPAINT}{MARKUP}"
    made.state.objects["enrich-0001"].config["name"] = f"Enrich{REPAINT}{MARKUP}"
    return made


def test_a_slug_a_name_and_a_notice_command_no_terminal_and_are_no_markup(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    said: list[str] = []
    with running(sandbox) as url:
        for command, answers in (
            (["backup", STAGING], []),
            (["snapshots"], []),
            (["show", "latest"], []),
            (["check", STAGING], []),
            (["restore", "latest"], [lambda: "n"]),
        ):
            if command[0] == "restore":
                sandbox.state.objects["enrich-0001"].config["code"] = f"changed {REPAINT}"
            code, text = typed(url, tmp_path, command, answers)
            assert "mistake" not in text, text
            assert code in (0, 1), (command, code, text)
            said.append(text)
    everything = "".join(said)
    for command in ("\x1b[2J", "\x1b[1;1H", "\x1b]0", "\x07", "\u202e"):
        assert command not in everything, command
    assert "[/nope] [bold red]loud[/] :bug:" in everything.replace("\r\n", " ")
    assert "Apply 1 change" in said[-1]


@pytest.mark.parametrize("text", [REPAINT, MARKUP, "two\nlines", "\x9b31m"])
def test_progress_and_notices_on_a_terminal_show_text_as_it_is_but_for_commands(text: str) -> None:
    output = Output({"color": "always", "quiet": False, "verbose": False, "as_json": False})
    screen = StringIO()
    output.err = rich.console.Console(file=screen, width=400, **output._style)
    with output.progress() as tell:
        tell(Progress(f"reading {text}", 1, 3))
        tell(Notice(f"{text}: trying again"))
    shown = screen.getvalue()
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown
    for piece in ("reading", "trying again"):
        assert piece in shown
    if text == MARKUP:
        assert shown.count(MARKUP) >= 2


def test_a_name_after_verified_commands_no_terminal_and_is_no_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = make_snapshot({}).manifest.source
    name = f"Enrich{REPAINT}{MARKUP}"
    action = Action(ActionKind.UNCHANGED, Key("function", "f"), name, "f", "", kept=("code",))
    result = Result(Plan(source, source, (action,), {}), verified=True)
    _show_result(
        App({"as_json": False, "quiet": False, "verbose": False}),
        result,
        RunOptions(),
        way_back=None,
        doubtful=[],
    )
    told = capsys.readouterr().out
    assert "Verified: everything that was to be restored matches" in " ".join(told.split())
    assert not HARMFUL.search(told.replace("\n", " "))
    assert MARKUP in " ".join(told.split())


def test_one_line_is_one_line_and_printable() -> None:
    assert one_line("a\n b\t\x1b[2J c ") == "a b \ufffd[2J c"
    assert not HARMFUL.search(one_line(REPAINT))
