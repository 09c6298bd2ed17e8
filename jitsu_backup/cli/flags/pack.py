"""The flags of `jitsu-backup pack`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.grouping import OUTPUT, declares, group
from jitsu_backup.cli.flags.shared import encrypt_option, file_option
from jitsu_backup.cli.paths import PATH


@declares(
    "pack",
    "jitsu-backup pack ./workspace",
    "jitsu-backup pack ./workspace --output edited.json.gz",
)
@click.argument("folder", metavar="DIR", type=PATH)
@group(
    OUTPUT, file_option("--output", help="Write to FILE instead of the store.", more="- is standard output.")
)
@encrypt_option
@runs_command
def command() -> None:
    """Write a folder of unpack as an archive.

    An unedited folder has the digest of the archive that it came from. An edited one is checked like any archive; an error
    names the file (code 5).
    """
