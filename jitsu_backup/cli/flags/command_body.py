"""From a declaration to its command's body: the function `jitsu_backup.cli.NAME.NAME`, which takes an App first."""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import click

from jitsu_backup.cli import signals
from jitsu_backup.cli.flags.durations import RETRY_FOR, Duration
from jitsu_backup.cli.flags.grouping import OUTPUT, STORE, group, option
from jitsu_backup.cli.flags.shared import settle_general_options, switch
from jitsu_backup.cli.paths import PATH
from jitsu_backup.errors import BackupError

# options that are accepted before the command, too
_STORE = option(
    "--store", metavar="URL", help="Folder or bucket of the archives.", more=" [default: ./jitsu-backups]"
)
_CONFIG = option("--config", type=PATH, metavar="FILE", help="Settings file.  [default: jitsu-backup.toml]")
_NEW_STORE = switch(
    "--new-store",
    default=None,
    help="Create the store in an empty place. Needed once if you named the store.",
)
_RETRY_FOR = option("--retry-for", type=Duration(), metavar="DURATION", help=RETRY_FOR)
_ADMIN_TOKEN = option(
    "--admin-token",
    metavar="TOKEN",
    help="The operator's token. It also reads masked secrets and hashes of write keys. Without --apikey, it is the API"
    " key too. Other users may see it in the process list; JITSU_ADMIN_TOKEN is safer.",
)
_JSON = switch("--json", "as_json", default=None, help="Print one JSON document.")
_QUIET = switch("-q", "--quiet", default=None, help="Print results and problems only: no progress, no notes.")
_VERBOSE = switch("-v", "--verbose", default=None, help="Print more details.")

_ASKERS = ("backup", "watch", "clone", "restore", "recover", "undo", "diff", "history", "check")
"""Commands that connect to a console."""
_SERVICES = ("watch",)
"""Commands that end well on a signal at any time: they let signals in themselves."""
_WRITERS = ("backup", "watch", "clone", "restore", "undo", "pack")
"""Commands that write into the store."""


def runs_command(declared: Callable[[], None]) -> Callable[..., int]:
    """Make a declaration run its command's body, with an App made of the flags before and after the command's name."""
    name = declared.__module__.rpartition(".")[2]

    @click.pass_context
    @functools.wraps(declared)
    def command(ctx: click.Context, /, **given: Any) -> int:
        if name not in _SERVICES:
            signals.let_in()
        from jitsu_backup.cli.app import App  # noqa: PLC0415  slow to import: only for a command that runs

        options, own = settle_general_options(ctx.find_root().obj, given)
        body = getattr(importlib.import_module(f"jitsu_backup.cli.{name}"), name)
        app = App(options)
        signals.handle_signals()
        try:
            code: int = body(app, **own)
        except BackupError as problem:
            raise app.advised(problem, name) from problem.__cause__
        return code

    declared_already = {flag for known in getattr(command, "__click_params__", ()) for flag in known.opts}
    store = group(
        STORE,
        _STORE,
        rare=[
            *(() if "--config" in declared_already else (_CONFIG,)),
            *((_NEW_STORE,) if name in _WRITERS else ()),
            *((_RETRY_FOR, _ADMIN_TOKEN) if name in _ASKERS else ()),
        ],
    )
    output = group(OUTPUT, _JSON, rare=[_QUIET, _VERBOSE])
    complete: Callable[..., int] = output(store(command))
    return complete
