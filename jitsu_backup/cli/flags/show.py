"""The flags of `jitsu-backup show`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_snapshot
from jitsu_backup.cli.flags.shared import html_option, identity_option, switch


@click.command(
    "show",
    epilog="Examples: jitsu-backup show latest · jitsu-backup --json show latest 'destination/*' ·"
    " jitsu-backup show 7d function/Enrich --code > enrich.js",
)
@click.argument("snapshot", shell_complete=complete_snapshot)
@click.argument("selector", required=False)
@switch("--code", help="Write the code of one function or profile builder as it is, and nothing else.")
@switch("--draft", help="The same of its draft.")
@click.option("--field", metavar="PATH", help="Write one field as JSON, such as functions.0.functionId.")
@switch("--secrets", help="Show secrets in clear.")
@html_option
@identity_option
@runs_command
def command() -> None:
    """Look inside a snapshot.

    Without SELECTOR its summary. SELECTOR is type, type/id or type/name, with * for
    any text; one chosen entity is shown whole, several are listed, or with --json shown whole. Secrets
    show as *** unless --secrets is given.
    """
