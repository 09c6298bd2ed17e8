"""From a declaration to its command's body: the function `jitsu_backup.cli.NAME.NAME`, which takes an App first."""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import click

from jitsu_backup.cli import signals
from jitsu_backup.cli.flags.durations import RETRY_FOR, Duration
from jitsu_backup.cli.flags.shared import settle_general_options, switch
from jitsu_backup.cli.paths import PATH

# flags that are as natural behind the command as before it
_ALL_TAKE = {
    "--store": click.option("--store", metavar="URL", help="Where archives live."),
    "--config": click.option("--config", type=PATH, help="Settings file."),
    "--json": switch("--json", "as_json", default=None, help="Print one JSON document."),
    "--quiet": switch("-q", "--quiet", default=None, help="Only results and problems."),
    "--verbose": switch("-v", "--verbose", default=None, help="Say more."),
}

_NEW_STORE = switch(
    "--new-store", default=None, help="Create the store, in a place that is still empty. Needed once."
)
_RETRY_FOR = click.option("--retry-for", type=Duration(), metavar="DURATION", help=RETRY_FOR)
_ASKERS = ("backup", "watch", "clone", "restore", "recover", "undo", "diff", "history", "check")
"""Commands that ask consoles."""
_SERVICES = ("watch",)
"""Commands that a signal ends well, whenever it comes: they let signals in themselves."""
_WRITERS = ("backup", "watch", "clone", "restore", "undo", "pack")
"""Commands that write into the store."""


def runs_command(declared: Callable[[], None]) -> Callable[..., int]:
    """Let a declaration run its command's body, with an App made of the flags before and behind the command's name."""
    name = declared.__module__.rpartition(".")[2]

    @click.pass_context
    @functools.wraps(declared)
    def command(ctx: click.Context, /, **given: Any) -> int:
        if name not in _SERVICES:
            signals.let_in()
        from jitsu_backup.cli.app import App  # noqa: PLC0415  slow to import: only for a command that runs

        options, own = settle_general_options(ctx.find_root().obj, given)
        body = getattr(importlib.import_module(f"jitsu_backup.cli.{name}"), name)
        code: int = body(App(options), **own)
        return code

    taken = {flag for parameter in getattr(command, "__click_params__", ()) for flag in parameter.opts}
    for flag, option in _ALL_TAKE.items():
        if flag not in taken:
            command = option(command)
    command = _RETRY_FOR(command) if name in _ASKERS else command
    return _NEW_STORE(command) if name in _WRITERS else command
