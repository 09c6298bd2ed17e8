"""The flags of `jitsu-backup demo`."""

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.grouping import declares


@declares("demo", "jitsu-backup demo", "jitsu-backup demo --json")
@runs_command
def command() -> None:
    """See a backup and a restore on an embedded console.

    Starts a sandbox with entities of every type, backs it up, restores it into a second workspace, restores again and
    verifies the result. Touches none of your data.
    """
