"""A flag that a message of `undo` names is one that `undo` has."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import jitsu_backup
from jitsu_backup.cli.flags.undo import command

ROOT = Path(jitsu_backup.__file__).parent
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
GLOBAL = {"--config", "--store", "--json", "--verbose", "--quiet"}

WHOSE = {
    "planning/comparison.py": "diff",
    "planning/history_steps.py": "history",
    "operations/saved_plan.py": "restore --plan",
}
"""Modules whose messages are those of another command."""

NEVER = {
    "both --resend-secrets and --rebind": "undo sends hidden secrets again only once",
    "so it is sent empty; provide it later with --overlay and --resend-secrets": "undo has words of its own for that",
    "may have been set: if not, provide it with --overlay and --resend-secrets": "what an undo goes by names no empty secrets",
    "created disabled, because of --disable-links": "undo cannot be told so",
    " without --disable-links": "undo cannot be told so",
    "; to send new values, add --resend-secrets": "undo sends them in any case",
    "--with-links adds connections": "undo cannot be told so",
    "--into": "the way back is a whole command of restore",
    "--from": "what redoes a recovery is a whole command of recover",
    "--workspace": "what redoes a recovery is a whole command of recover",
    "--at and --keys-out of that run": "what redoes a recovery is a whole command of recover",
    "--set ": "undo has no sets of the settings",
    "; --no-safety-backup writes without a": "undo has another remedy",
}
"""Parts of messages that cannot come out of `undo`, and why."""


def texts() -> Iterator[tuple[str, int, str]]:
    """Every text of what plans and carries out an undo, but for docstrings."""
    paths = [path for room in ("planning", "console") for path in (ROOT / room).rglob("*.py")]
    names = (
        "undo",
        "restore",
        "safeguards",
        "safety_backup",
        "clone_record",
        "apply_plan",
        "third_side",
        "freeing",
    )
    paths += [ROOT / "operations" / f"{name}.py" for name in names]
    paths += [
        ROOT / "cli" / f"{name}.py"
        for name in ("undo", "applying", "apply_options", "restore_report", "write_keys")
    ]
    paths += [ROOT / "reports" / f"{name}.py" for name in ("summary", "overlay", "write_keys", "terminal")]
    for path in paths:
        if not path.exists():
            continue
        where = path.relative_to(ROOT).as_posix()
        tree = ast.parse(path.read_text())
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
                yield where, node.lineno, node.value


@pytest.fixture(scope="module")
def flags() -> set[str]:
    """The flags that `undo --help-all` and the help of the program list."""
    said = CliRunner().invoke(command, ["--help-all"]).output
    return {*FLAG.findall(said), *GLOBAL}


def test_every_flag_that_a_message_of_undo_names_is_in_its_help(flags: set[str]) -> None:
    assert {"--only", "--take", "--overlay"} <= flags
    wrong = [
        (where, line, sorted(lacking), text)
        for where, line, text in texts()
        if where not in WHOSE
        and not any(part in text for part in NEVER)
        and (lacking := {*FLAG.findall(text)} - flags)
    ]
    assert wrong == []


def test_what_is_exempt_is_still_there() -> None:
    told = [text for _, _, text in texts()]
    assert [part for part in NEVER if not any(part in text for text in told)] == []
