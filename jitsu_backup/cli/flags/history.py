"""What click knows of `jitsu-backup history`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place
from jitsu_backup.cli.flags.shared import html_option, identity_option, markdown_option, switch


@click.command(
    "history",
    epilog="Examples: jitsu-backup history --since 7d · jitsu-backup history @production 'function/Enrich' -p ·"
    " jitsu-backup history --since 2026-11-01 --until yesterday --stat",
)
@click.argument("place", metavar="[PLACE]", required=False, shell_complete=complete_place)
@click.argument("selector", metavar="[SELECTOR]", required=False)
@switch("-p", "--patch", help="Fields whole, and code as unified diffs.")
@click.option("--since", metavar="TIME", help="Only changes since then: a date, yesterday, 7d; UTC.")
@click.option("--until", metavar="TIME", help="Only changes up to the end of that time.")
@switch("--who", help="Say who made each change, as the console's audit log tells owners and the operator.")
@switch("--stat", help="Only how many, by day and by entity.")
@switch("--exit-code", help="End with 4 where there are changes.")
@html_option
@markdown_option
@identity_option
@runs_command
def command() -> None:
    """Show what changed over all snapshots of the store, newest first, and how to bring each state of before back.

    Of one workspace or of all; of the entities that SELECTOR names (type, type/id or type/name, with *), whatever else
    they were called. An entity is followed when it is renamed, and when a restore makes it again.

    With --json, a line a change. Ends with 3 where archives could not be read, which are listed.
    """
