"""The flags of `jitsu-backup check`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place
from jitsu_backup.cli.paths import PATH


@click.command(
    "check",
    epilog="Examples: jitsu-backup check acme-staging · jitsu-backup check --config",
)
@click.argument("place", required=False, shell_complete=complete_place)
@runs_command
# below runs_command, so that it stands in the place of the usual --config
@click.option(
    "--config",
    "settings_file",
    is_flag=False,
    flag_value=".",
    metavar="[FILE]",
    type=PATH,
    help="Check the settings file, and no connection unless PLACE is given.",
)
def command() -> None:
    """Try the connection: the console, the key and its role, the types, the limits, and the store.

    Reads the workspace as `backup` would and writes nothing; without PLACE and a default workspace, says which ones
    the key can read. With --config everything that is wrong with the
    settings file is told at once (code 2); its secrets are looked up, and shown nowhere.
    """
