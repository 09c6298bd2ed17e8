"""What click knows of `jitsu-backup diff`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_snapshot
from jitsu_backup.cli.flags.selecting import set_option
from jitsu_backup.cli.flags.shared import (
    file_option,
    html_option,
    identity_option,
    markdown_option,
    repeatable,
    switch,
)


@click.command(
    "diff",
    epilog="Examples: jitsu-backup diff latest · jitsu-backup diff 2026-11-20 latest --stat ·"
    " jitsu-backup diff live:@staging live:@production --only 'function/*'",
)
@click.argument("a", metavar="A", shell_complete=complete_snapshot)
@click.argument("b", metavar="[B]", required=False, shell_complete=complete_snapshot)
@repeatable(
    "--only",
    "selectors",
    metavar="SELECTOR",
    help="Only these: type, type/id or type/name, with *. Repeatable.",
)
@set_option
@file_option("--overlay", help="Compare A as it would be under an overlay.")
@repeatable(
    "--map",
    "mapping",
    metavar="TYPE/SOURCE=TYPE/TARGET",
    help="Compare an entity of A with one of B. Repeatable.",
)
@switch("--match-by-name", help="Compare what has no pair yet by type and unique name.")
@switch("--stat", help="Only how many, by type.")
@switch("--who", help="Say who made each change, as the console's audit log tells owners and the operator.")
@switch("--exit-code", help="End with 4 where there are differences.")
@html_option
@markdown_option
@identity_option
@runs_command
def command() -> None:
    """Show what changed from A to B, in words: entity by entity, field by field.

    A and B are snapshots, or live:PLACE for a workspace as it is now; without B, the workspace that A came
    from, as it is now. Paired as a restore would pair them, and by the record of the last clone, so that a clone shows
    only what really differs.
    Times, order, ids and what Jitsu fills in by itself are no differences; secrets show as changed, never as they are.
    """
