"""The flags of `jitsu-backup history`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place
from jitsu_backup.cli.flags.grouping import OUTPUT, declares, group, option
from jitsu_backup.cli.flags.shared import html_option, identity_option, markdown_option, switch


@declares(
    "history",
    "jitsu-backup history --since 7d",
    "jitsu-backup history @production 'function/Enrich' --patch",
    "jitsu-backup history --since 2026-11-01 --until yesterday --stat",
)
@click.argument("place", metavar="[PLACE]", required=False, shell_complete=complete_place)
@click.argument("selector", metavar="[SELECTOR]", required=False)
@group(
    "What to show",
    option(
        "--since",
        metavar="TIME",
        help="Only changes since then: a date, yesterday, 7d.",
        more="Dates are in UTC.",
    ),
    option("--until", metavar="TIME", help="Only changes up to the end of that time."),
    switch("-p", "--patch", help="Show whole fields, and code as unified diffs."),
    switch(
        "--who",
        help="Name who made each change.",
        more="From the audit log, which owners and the operator can read.",
    ),
    switch("--stat", help="Only the counts by day and by entity."),
)
@group(
    OUTPUT,
    switch("--exit-code", help="End with 4 if there are changes."),
    html_option,
    markdown_option,
)
@identity_option
@runs_command
def command() -> None:
    """Show what changed across all snapshots, newest first.

    Shows under each change the restore command that brings the earlier version back. Follows an entity when it is renamed
    or re-created. SELECTOR is type, type/id or type/name, with * as a wildcard.

    With --json, prints one line per change. Code 3: some archives could not be read; they are listed.
    """
