"""The flags of a retention policy, for `prune` and `backup --prune`."""

import click

from jitsu_backup.cli.flags.shared import Decorator, repeatable, together


def _keep(name: str) -> Decorator:
    words = (
        "the last N"
        if name == "last"
        else f"one {'an' if name == 'hourly' else 'a'} {name[:-2].replace('dai', 'day')} for N of them"
    )
    return click.option(f"--keep-{name}", type=click.IntRange(0), metavar="N", help=f"Keep {words}.")


# what `policy_from` reads
with_policy_options = together(
    *map(_keep, ("last", "hourly", "daily", "weekly", "monthly", "yearly")),
    click.option("--keep-within", metavar="SPAN", help="Keep all of a time span: 36h, 14d, 8w, 6m, 2y."),
    repeatable(
        "--keep-label",
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
