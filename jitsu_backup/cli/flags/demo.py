"""What click knows of `jitsu-backup demo`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command


@click.command("demo", epilog="Example: jitsu-backup demo")
@runs_command
def command() -> None:
    """See the main job, end to end, on the sandbox.

    Starts an embedded console with a workspace of every type, backs it up, restores it
    into a second workspace, restores again and reads back. Touches nothing of yours.
    """
