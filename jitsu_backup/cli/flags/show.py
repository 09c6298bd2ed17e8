"""The flags of `jitsu-backup show`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_snapshot
from jitsu_backup.cli.flags.grouping import OUTPUT, declares, group, option
from jitsu_backup.cli.flags.shared import html_option, identity_option, switch


@declares(
    "show",
    "jitsu-backup show latest",
    "jitsu-backup show latest 'destination/*' --json",
    "jitsu-backup show 7d function/Enrich --code > enrich.js",
)
@click.argument("snapshot", shell_complete=complete_snapshot)
@click.argument("selector", required=False)
@group(
    "What to show",
    switch("--code", help="Only the code of a function or profile builder."),
    switch("--draft", help="Only the draft of that code."),
    option(
        "--field", metavar="PATH", help="Only one field, as JSON.", more="Example: functions.0.functionId."
    ),
    switch("--secrets", help="Show secrets in plain text instead of as ***."),
)
@group(OUTPUT, html_option)
@identity_option
@runs_command
def command() -> None:
    """Show what a snapshot contains.

    Without SELECTOR, shows a summary. SELECTOR is type, type/id or type/name, with * as a wildcard. One matching entity
    is shown whole; several are listed, or shown whole with --json.
    """
