"""The flags of `jitsu-backup undo`."""

import click

from jitsu_backup.cli.flags.applying import with_undo_options
from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place
from jitsu_backup.cli.flags.grouping import declares


@declares(
    "undo",
    "jitsu-backup undo acme-production --dry-run",
    "jitsu-backup undo @production --only 'function/Enrich' --yes",
)
@click.argument("place", required=False, metavar="[PLACE]", shell_complete=complete_place)
@with_undo_options
@runs_command
def command() -> None:
    """Take back what the last restore or clone changed in a workspace.

    Finds the backup made before that run, shows the plan and asks. Keeps what others changed or created since. If
    both the run and others changed something, the plan is blocked (code 7) until --take source (the earlier version) or
    --take target (the current one). Run undo again to take the undo back.
    """
