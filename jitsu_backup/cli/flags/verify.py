"""The flags of `jitsu-backup verify`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_snapshot
from jitsu_backup.cli.flags.shared import identity_option, metrics_option, switch, with_unattended_options


@click.command(
    "verify",
    epilog="Examples: jitsu-backup verify latest before.json.gz · jitsu-backup verify --all ·"
    " jitsu-backup verify --latest --rehearse",
)
@click.argument("snapshots", metavar="[SNAPSHOT]...", nargs=-1, shell_complete=complete_snapshot)
@switch("--all", "everything", help="Every archive of the store.")
@switch("--latest", help="The latest archive of every workspace.")
@switch("--rehearse", help="Restore each into a fresh sandbox too, read it back and compare.")
@switch(
    "--fail-on-losses",
    help="With --rehearse: end with 3 where a recovery on an empty console would lack secrets, grants or write keys.",
)
@metrics_option
@identity_option
@runs_command
@with_unattended_options
def command() -> None:
    """Check that archives are whole: digest, schema, counts, references.

    Ends with code 5 when one is damaged, 3 when one is whole but marked incomplete, or when a rehearsal
    could not bring all of it back. A rehearsal also says what a recovery on an empty console would lack: secrets that
    Jitsu masks, grants that somebody has to authorise again, write keys that have to be made anew.
    """
