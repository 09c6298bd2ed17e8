"""The flags of a retention policy, for `prune` and `backup --prune`."""

from collections.abc import Callable
from typing import Any

import click

from jitsu_backup.cli.flags.shared import Command


def _keep(name: str) -> Callable[[Any], Any]:
    words = (
        "the last N"
        if name == "last"
        else f"one {'an' if name == 'hourly' else 'a'} {name[:-2].replace('dai', 'day')} for N of them"
    )
    return click.option(f"--keep-{name}", type=click.IntRange(0), metavar="N", help=f"Keep {words}.")


_OPTIONS = (
    *map(_keep, ("last", "hourly", "daily", "weekly", "monthly", "yearly")),
    click.option("--keep-within", metavar="SPAN", help="Keep all of a time span: 36h, 14d, 8w, 6m, 2y."),
    click.option(
        "--keep-label",
        multiple=True,
        metavar="LABEL",
        help="Keep those with this label, instead of all with any. Repeatable.",
    ),
    click.option(
        "--keep-pre-restore",
        metavar="SPAN",
        help="How long archives of before a restore stay.  [default: 30d]",
    ),
    click.option(
        "--keep-shrunk",
        metavar="SPAN",
        help="How long shrunken archives stay, each with the one before it.  [default: 30d]",
    ),
    click.option("--time-zone", metavar="ZONE", help="When a day begins.  [default: UTC]"),
)


def with_policy_options(command: Command) -> Command:
    """Add the flags of a retention policy to a command; `policy_from` reads them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
