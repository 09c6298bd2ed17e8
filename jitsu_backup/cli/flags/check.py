"""The flags of `jitsu-backup check`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place
from jitsu_backup.cli.flags.grouping import declares, group, option
from jitsu_backup.cli.flags.shared import identity_option
from jitsu_backup.cli.paths import PATH


@declares(
    "check",
    "jitsu-backup check acme-staging",
    "jitsu-backup check --config",
)
@click.argument("place", required=False, shell_complete=complete_place)
@runs_command
@identity_option
# below runs_command, so that it replaces the usual --config
@group(
    "What to check",
    option(
        "--config",
        "settings_file",
        is_flag=False,
        flag_value=".",
        metavar="[FILE]",
        type=PATH,
        help="Check the settings file; without PLACE, no connection.",
    ),
)
def command() -> None:
    """Check the connection: console, API key, role, types, limits and store.

    Reads the workspace as backup does, and changes nothing in Jitsu. Without PLACE and a default workspace, lists the workspaces
    that the key can read, and its role in each. With --config, lists every error in the settings file (code 2), and looks up its secrets
    without showing them.
    """
