"""What click knows of `jitsu-backup restore`."""

import click

from jitsu_backup.cli.flags.applying import with_apply_options
from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place, complete_snapshot
from jitsu_backup.cli.flags.shared import identity_option


@click.command(
    "restore",
    epilog="Examples: jitsu-backup restore latest --dry-run ·"
    " jitsu-backup restore acme-staging/latest --into @production --overlay production.toml --yes ·"
    " jitsu-backup restore latest --only 'link/Web site -> *'",
)
@click.argument("snapshot", required=False, shell_complete=complete_snapshot)
@click.option(
    "--into",
    metavar="PLACE",
    shell_complete=complete_place,
    help="Another workspace than the one that the snapshot came from.",
)
@with_apply_options
@identity_option
@runs_command
def command() -> None:
    """Bring a workspace to a snapshot's state: the one it came from, or --into another.

    SNAPSHOT may be a folder of unpack, edited: then what people changed in the console meanwhile is kept.

    Shows the plan, asks, backs up the target, writes, reads back and lists what still differs. Running it
    again continues or does nothing: ids are computed, not invented. Ends with code 3 when
    something is missing or differs, 7 when the plan is blocked.
    """
