"""From a declaration to the function that does the work: `jitsu_backup.cli.NAME.NAME`, which takes an App first."""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import click

from jitsu_backup.cli.flags.durations import RETRY_FOR, Duration
from jitsu_backup.cli.paths import PATH

# flags that are as natural behind the command as before it
_LATE_OPTIONS = tuple(
    (flags, click.option(*flags, name, **attributes))
    for flags, name, attributes in (
        (("--store",), "late_store", {"metavar": "URL", "help": "Where archives live."}),
        (("--config",), "late_config", {"type": PATH, "help": "Settings file."}),
        (("--json",), "late_as_json", {"is_flag": True, "default": None, "help": "Print one JSON document."}),
        (
            ("-q", "--quiet"),
            "late_quiet",
            {"is_flag": True, "default": None, "help": "Only results and problems."},
        ),
        (("-v", "--verbose"), "late_verbose", {"is_flag": True, "default": None, "help": "Say more."}),
    )
)

_NEW_STORE = click.option(
    "--new-store",
    "late_new_store",
    is_flag=True,
    default=None,
    help="Create the store, in a place that is still empty. Needed once.",
)
_RETRY_FOR = click.option(
    "--retry-for", "late_retry_for", type=Duration(), metavar="DURATION", help=RETRY_FOR
)
_ASKERS = ("backup", "clone", "restore", "diff", "check")
"""Commands that ask consoles."""
_WRITERS = ("backup", "clone", "restore", "pack")
"""Commands that write into the store."""


def with_body(declared: Callable[[], None]) -> Callable[..., int]:
    """Let a declaration run its command's body, with an App made of the flags before and behind the command's name."""
    name = declared.__module__.rpartition(".")[2]

    @click.pass_context
    @functools.wraps(declared)
    def command(ctx: click.Context, /, **given: Any) -> int:
        from jitsu_backup.cli.app import App  # noqa: PLC0415  slow to import: only for a command that runs

        late = {name[5:]: given.pop(name) for name in list(given) if name.startswith("late_")}
        options = {
            **ctx.find_root().obj,
            **{name: value for name, value in late.items() if value is not None},
        }
        body = getattr(importlib.import_module(f"jitsu_backup.cli.{name}"), name)
        code: int = body(App(options), **given)
        return code

    own = {flag for parameter in getattr(command, "__click_params__", ()) for flag in parameter.opts}
    for flags, option in _LATE_OPTIONS:
        if own.isdisjoint(flags):
            command = option(command)
    command = _RETRY_FOR(command) if name in _ASKERS else command
    return _NEW_STORE(command) if name in _WRITERS else command
