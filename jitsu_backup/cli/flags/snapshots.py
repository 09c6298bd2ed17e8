"""The flags of `jitsu-backup snapshots`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place
from jitsu_backup.cli.flags.grouping import declares


@declares(
    "snapshots",
    "jitsu-backup snapshots",
    "jitsu-backup snapshots acme-production --json",
)
@click.argument("place", required=False, shell_complete=complete_place)
@runs_command
def command() -> None:
    """List the archives of the store, newest first.

    Reads no archive: the file names have workspace, time, id, counts and marks.
    """
