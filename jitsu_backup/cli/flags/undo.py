"""What click knows of `jitsu-backup undo`."""

import click

from jitsu_backup.cli.flags.applying import with_undo_options
from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place
from jitsu_backup.cli.flags.shared import identity_option


@click.command(
    "undo",
    epilog="Examples: jitsu-backup undo acme-production --dry-run · jitsu-backup undo @production --yes ·"
    " jitsu-backup undo @production --only 'function/Enrich'",
)
@click.argument("place", required=False, metavar="[PLACE]", shell_complete=complete_place)
@with_undo_options
@identity_option
@runs_command
def command() -> None:
    """Take back what the last restore or clone changed in a workspace.

    Finds the backup that was made before that run, shows the plan, asks, and goes on as restore does. What others
    changed or made since is kept; what they changed and the run changed too blocks (code 7) until --take source, the
    state of before, or --take target, that of now, settles it. An undo is a restore as well: undo again takes it back.
    """
