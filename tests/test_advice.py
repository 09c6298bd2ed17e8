"""Every message that ends a run says what happened, where, and what to do; a command to run stands on a line of its own."""

import ast
import errno
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from jitsu_backup.cli.files import check_page
from jitsu_backup.errors import (
    AccessError,
    BackupError,
    ConsoleError,
    LockedError,
    MistakeError,
    StorageAccessError,
    UnreachableError,
    UsageError,
    advice_on,
)
from jitsu_backup.model import laid_out
from jitsu_backup.operations.alarms import advised, remedy_for
from jitsu_backup.store.files import failure
from tests.advice import advises, assert_advice, last_message

ROOT = Path(__file__).parents[1]
BY_ITSELF = {
    "BackupError", "UsageError", "IncompleteError", "IntegrityError", "FolderError", "LockedError", "BlockedError",
    "TargetChangedError",
}  # fmt: skip
"""Errors whose message says what to do. The others get it from their class: `alarms.advised`."""
SINKS = {**dict.fromkeys(BY_ITSELF, 0), "_refuse": 1}
"""What takes a message, and which of its arguments it is."""
NO_FAILURE = ("answered with no; nothing was written",)
"""What a person chose."""


@functools.cache
def trees() -> dict[Path, ast.Module]:
    """The modules that make errors, except the sandbox, whose messages are the console's own."""
    sinks = re.compile(rf"\b(?:{'|'.join(SINKS)})\(")
    texts = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "jitsu_backup").rglob("*.py"))}
    return {
        path: ast.parse(text)
        for path, text in texts.items()
        if path.relative_to(ROOT).parts[1] != "sandbox" and sinks.search(text)
    }


@functools.cache
def constants() -> dict[str, str]:
    """The texts of modules that have a name, such as `_HINT`."""
    return {
        node.targets[0].id: node.value.value
        for tree in trees().values()
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


@functools.cache
def returned() -> dict[str, str]:
    """The texts that functions of modules return, such as `advice_on`."""
    return {
        function.name: " ".join(texts_in(n.value) for n in ast.walk(function) if isinstance(n, ast.Return) and n.value)
        for tree in trees().values()
        for function in tree.body
        if isinstance(function, ast.FunctionDef)
    }  # fmt: skip


def again(*arguments: str) -> str:
    return " ".join(("jitsu-backup", *arguments))


def texts_in(node: ast.AST) -> str:
    """All texts of an expression, whatever it chooses between."""
    return " ".join(
        n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    )


def literal(node: ast.expr, own: dict[str, str]) -> str:
    """The text of a message, with `own` names and those of modules replaced by theirs, others left out."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(literal(part, own) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return literal(node.value, own)
    if isinstance(node, ast.BinOp):
        return literal(node.left, own) + literal(node.right, own)
    if isinstance(node, ast.IfExp):
        return literal(node.body, own) + literal(node.orelse, own)
    if isinstance(node, ast.BoolOp):
        return "".join(literal(value, own) for value in node.values)
    if isinstance(node, ast.Name):
        return own.get(node.id) or constants().get(node.id, "…")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return returned().get(node.func.id, "…")
    return "…"


def names_of(function: ast.AST) -> dict[str, str]:
    """The texts that the names of a function may have."""
    found: dict[str, str] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                for name, value in zip(
                    target.elts if isinstance(target, ast.Tuple) else [target],
                    node.value.elts if isinstance(node.value, ast.Tuple) else [node.value],
                    strict=False,
                ):
                    if isinstance(name, ast.Name):
                        before = "; " if isinstance(value, ast.Call) else ""
                        called = value.func if isinstance(value, ast.Call) else None
                        known = returned().get(called.id, "") if isinstance(called, ast.Name) else ""
                        text = f"{known}{before}{texts_in(value)}"
                        found[name.id] = f"{found.get(name.id, '')} {text}".lstrip()
    return found


def passed_on(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The names of a function that hold another message, which says what to do: errors of ours that it catches."""
    found = {
        node.name
        for node in ast.walk(function)
        if isinstance(node, ast.ExceptHandler) and node.name and {"OSError", "ValueError"}.isdisjoint(names_in(node.type))
        and any(name in BY_ITSELF for name in names_in(node.type))
    }  # fmt: skip
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and found & names_in(node.value)
        ):
            found.add(node.targets[0].id)
    return found


def names_in(node: ast.AST | None) -> set[str]:
    return set() if node is None else {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def is_given(message: ast.expr, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a message ends with what a caller gave, as `instead`: the run is checked, not the text."""
    last = message.values[-1] if isinstance(message, ast.JoinedStr) else None
    parameters = {one.arg for one in (*function.args.args, *function.args.kwonlyargs)}
    return (
        isinstance(last, ast.FormattedValue)
        and isinstance(last.value, ast.Name)
        and last.value.id in parameters
    )


def messages(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the messages of errors that have words of their own, with their lines."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        calls = [
            (node, node.args[SINKS[node.func.id]])
            for node in ast.walk(function)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SINKS
        ]
        if not calls:
            continue
        own, others = names_of(function), passed_on(function)
        for node, message in calls:
            if (
                not names_in(message) & others
                and " " in texts_in(message)
                and not is_given(message, function)
            ):
                text = literal(message, own)
                if text.strip("…; ") and text not in NO_FAILURE:
                    yield node.lineno, text


def test_every_message_with_words_of_its_own_says_what_to_do() -> None:
    found = [(path.name, *one) for path, tree in trees().items() for one in messages(tree)]
    assert len(found) > 250
    assert [one for one in found if not advises(one[2])] == []


@pytest.mark.parametrize(
    "message",
    [
        "cannot read x: it is a folder",
        "--prune is unknown",
        "the set 'use' is unknown; known: run, write",
        "jitsu-backup: console https://x: no answer\nHTTP 502",
    ],
)
def test_words_that_only_name_something_are_no_advice(message: str) -> None:
    assert not advises(message)
    with pytest.raises(AssertionError):
        assert_advice(["check"], 1, message)
    assert_advice(["check"], 3, message)


def test_what_to_do_of_an_earlier_message_does_not_count() -> None:
    assert last_message("jitsu-backup: a; use b\njitsu-backup: c\n") == "jitsu-backup: c"
    with pytest.raises(AssertionError):
        assert_advice(["check"], 1, "jitsu-backup: a; use b\njitsu-backup: c\n")
    with pytest.raises(AssertionError):
        assert_advice(["check"], 1, '{"alarms": []}')


@pytest.mark.parametrize(
    ("message", "printed"),
    [
        ("it is empty; create it with `jitsu-backup backup a`", "it is empty; create it with:\n  jitsu-backup backup a"),
        ("it is\nempty; run: `jitsu-backup backup`", "it is empty; run:\n  jitsu-backup backup"),
        ("`jitsu-backup backup` failed; use `prune`", "`jitsu-backup backup` failed; use `prune`"),
        ("an entity 'x `jitsu-backup prune`'", "an entity 'x `jitsu-backup prune`'"),
    ],
)  # fmt: skip
def test_a_command_at_the_end_stands_on_a_line_of_its_own(message: str, printed: str) -> None:
    assert laid_out(message) == printed


@pytest.mark.parametrize("checks", [False, True], ids=["any", "check"])
@pytest.mark.parametrize(
    "failure",
    [
        ConsoleError("console x: HTTP 502"), AccessError("console x: rejected"), UnreachableError("no answer"),
        StorageAccessError("not permitted"), MistakeError("bug in jitsu-backup"),
    ],
    ids=lambda failure: type(failure).__name__,
)  # fmt: skip
def test_what_depends_on_a_console_or_a_store_says_once_what_to_do(
    failure: BackupError, checks: bool
) -> None:
    found = advised(failure, again, checks=checks)
    assert str(found).startswith(f"{failure}; ")
    assert advises(str(found))
    assert "next run" not in str(found)  # a person runs it
    assert str(advised(found, again)) == str(found)
    assert type(found) is type(failure)
    assert not (checks and "jitsu-backup check" in str(found))  # what just failed


def test_a_page_that_may_not_be_written_says_nothing_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(AccessError) as caught:
        check_page(tmp_path / "page.html", "--html")
    person, unattended = advised(caught.value, again), remedy_for(caught.value, again)
    assert str(person).endswith(f"permission denied in {tmp_path}; {unattended}")
    assert unattended == "correct its permissions, or name another place"


@pytest.mark.parametrize("failure", [UsageError("x; use y"), LockedError("x; give y")], ids=repr)
def test_a_message_that_says_what_to_do_stays_as_it_is(failure: BackupError) -> None:
    assert advised(failure, again) is failure


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOSPC, errno.EACCES, errno.EIO, errno.EROFS, None])
def test_every_problem_of_a_file_has_its_advice(number: int | None) -> None:
    problem = OSError() if number is None else OSError(number, "")
    assert advises(f"cannot write x: it failed; {advice_on(problem)}")


def test_a_file_without_permission_gets_its_advice_once() -> None:
    found = failure("cannot read x", PermissionError(errno.EACCES, "Permission denied"))
    assert str(advised(found, again)) == "cannot read x: permission denied; change its permissions"
    assert remedy_for(found, again) == "test the store with `jitsu-backup check`"
