"""What click knows of `jitsu-backup clone`."""

import click

from jitsu_backup.cli.flags.applying import with_apply_options
from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place
from jitsu_backup.cli.flags.shared import identity_option


@click.command(
    "clone",
    epilog="Examples: jitsu-backup clone acme-staging acme-production --overlay production.toml --disable-links ·"
    " jitsu-backup clone @staging @production --overlay production.toml --prune --yes",
)
@click.argument("source", required=False, metavar="[PLACE]", shell_complete=complete_place)
@click.argument("target", required=False, metavar="[PLACE]", shell_complete=complete_place)
@with_apply_options
@identity_option
@runs_command
def command() -> None:
    """Make a workspace like another, again and again: the second PLACE like the first.

    The first run creates, later ones update what differs; what was removed goes with --prune.
    An entity that the target has keeps its own secrets.
    """
