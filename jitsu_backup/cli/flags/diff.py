"""The flags of `jitsu-backup diff`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_snapshot
from jitsu_backup.cli.flags.grouping import OUTPUT, declares, group
from jitsu_backup.cli.flags.selecting import set_option
from jitsu_backup.cli.flags.shared import (
    file_option,
    html_option,
    identity_option,
    markdown_option,
    repeatable,
    switch,
)


@declares(
    "diff",
    "jitsu-backup diff latest",
    "jitsu-backup diff 2026-11-20 latest --stat",
    "jitsu-backup diff live:@staging live:@production --only 'function/*'",
    "jitsu-backup diff @production/promoted live:@production --exit-code",
)
@click.argument("a", metavar="A", shell_complete=complete_snapshot)
@click.argument("b", metavar="[B]", required=False, shell_complete=complete_snapshot)
@group(
    "What to compare",
    repeatable(
        "--only",
        "selectors",
        metavar="SELECTOR",
        help="Only these: type, type/id or type/name, with *.",
    ),
    set_option,
    file_option("--overlay", help="Apply an overlay to A first."),
)
@group(
    "Pairing",
    switch("--match-by-name", help="Also pair by type and unique name."),
    repeatable(
        "--map",
        "mapping",
        metavar="SOURCE=TARGET",
        help="Pair an entity of A with one of B.",
        more="Write TYPE/SOURCE=TYPE/TARGET, with ids or names.",
    ),
)
@group(
    OUTPUT,
    switch("--stat", help="Only the counts by type."),
    switch(
        "--who",
        help="Name who made each change.",
        more="From the audit log, which owners and the operator can read.",
    ),
    switch("--exit-code", help="End with 4 if there are differences."),
    html_option,
    markdown_option,
)
@identity_option
@runs_command
def command() -> None:
    """Show what changed from A to B, by entity and field.

    A and B are snapshots, live:PLACE for a workspace as it is now, or PLACE/promoted for what the last clone left in it. Without B, compares A with the workspace that it
    came from. Pairs entities as restore and clone do, so a clone shows only real differences. Ignores times, order, ids
    and defaults that Jitsu fills in. Shows of a secret only that it changed.
    """
