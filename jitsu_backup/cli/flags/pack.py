"""What click knows of `jitsu-backup pack`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.shared import encrypt_option, file_option
from jitsu_backup.cli.paths import PATH


@click.command(
    "pack",
    epilog="Examples: jitsu-backup pack ./workspace · jitsu-backup pack ./workspace --output edited.json.gz",
)
@click.argument("folder", metavar="DIR", type=PATH)
@file_option("--output", help="Write to FILE (- is standard output), not into the store.")
@encrypt_option
@runs_command
def command() -> None:
    """Make an archive of a folder that unpack wrote, edited or not.

    Untouched, it has the digest of the archive that it came from. Edited, it is checked as any archive is;
    what is wrong ends with code 5 and the name of the file.
    """
