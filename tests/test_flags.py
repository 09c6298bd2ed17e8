"""What click knows of the commands is what their bodies take, and what is loaded late is what was meant."""

import ast
import importlib
import inspect
from dataclasses import fields
from pathlib import Path

import click
import pytest

from jitsu_backup.cli import cli
from jitsu_backup.cli.app import App
from jitsu_backup.cli.apply_options import RunOptions
from jitsu_backup.cli.flags.shared import GENERAL
from jitsu_backup.durations import seconds_in
from jitsu_backup.events import silent
from jitsu_backup.operations.saved_plan import LISTS, SWITCHES
from jitsu_backup.planning import Ids
from jitsu_backup.settings import Place, SecretText

COMMANDS = cli.list_commands(click.Context(cli))


def declared(name: str) -> dict[str, click.Parameter]:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return {str(parameter.name): parameter for parameter in command.params}


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "completion"])
def test_the_body_of_a_command_takes_what_is_declared(name: str) -> None:
    body = getattr(importlib.import_module(f"jitsu_backup.cli.{name}"), name)
    given = {name: None for name in declared(name) if name not in GENERAL}
    if hasattr(body, "__wrapped__"):  # `unattended` takes these
        del given["ping"], given["log_format"]
    inspect.signature(body).bind("app", **given)


@pytest.mark.parametrize("name", ["backup", "clone", "restore", "undo", "diff", "check"])
def test_every_command_that_asks_a_console_can_wait_for_it(name: str) -> None:
    wait = declared(name)["retry_for"]
    for text, seconds in {"0": 0, "90": 90, "30s": 30, "10m": 600, "1.5h": 5400}.items():
        assert wait.type.convert(text, None, None) == seconds
    place = Place("http://127.0.0.1:9", "w1", SecretText("key:secret"))
    options = {"timeout": 1.0, "concurrency": 1, "retry_for": 600.0}
    assert App(options).console(place, silent).retry_for == 600


def test_ids_are_of_the_kinds_that_a_plan_knows() -> None:
    kinds = declared("restore")["ids"].type
    assert isinstance(kinds, click.Choice)
    assert list(kinds.choices) == [ids.value for ids in Ids]


def test_every_flag_of_clone_says_what_to_plan_or_how_to_carry_it_out() -> None:
    flags = {name for name in declared("clone") if name not in GENERAL} - {
        "source",
        "target",
        "plan_in",
        "plan_out",
    }
    planned = {*SWITCHES, *LISTS, "ids", "mapping", "overlay", "sets"}
    own = {"into", "target", "elsewhere", "command", "unrecorded", "plan_out", "saved"}
    assert flags == planned | {f.name for f in fields(RunOptions)} - own


@pytest.mark.parametrize("name", ["archive", "settings", "store"])
def test_a_package_gives_late_what_it_says_to_the_type_checker(name: str) -> None:
    package = importlib.import_module(f"jitsu_backup.{name}")
    rooms = [
        node
        for node in ast.walk(ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(f"{package.__name__}.")
    ]
    given = {alias.name: str(room.module) for room in rooms for alias in room.names}
    assert sorted(given) == sorted(package.__all__)
    for thing, room in given.items():
        assert getattr(package, thing) is getattr(importlib.import_module(room), thing), thing
    assert not hasattr(package, "no_such_thing")


def test_a_duration_is_written_as_elsewhere_too() -> None:
    spellings = {"90": 90, "90s": 90, "10m": 600, "10min": 600, "2h": 7200, "1mo": None, "mi": None}
    assert {text: seconds_in(text) for text in spellings} == spellings


@pytest.mark.parametrize(
    ("name", "flag", "called"),
    [
        ("watch", "shrink_alarm", "number"),
        ("prune", "keep_daily", "whole number"),
        ("sandbox", "port", "whole number"),
    ],
)
def test_what_is_no_number_is_called_that_in_plain_words(name: str, flag: str, called: str) -> None:
    with pytest.raises(click.BadParameter, match=f"'x' is not a valid {called}"):
        declared(name)[flag].type.convert("x", None, None)
