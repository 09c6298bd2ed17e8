"""The flags of `jitsu-backup verify`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_snapshot
from jitsu_backup.cli.flags.grouping import declares, group
from jitsu_backup.cli.flags.shared import identity_option, metrics_option, switch, with_unattended_options


@declares(
    "verify",
    "jitsu-backup verify latest",
    "jitsu-backup verify --latest --rehearse --fail-on-losses",
)
@click.argument("snapshots", metavar="[SNAPSHOT]...", nargs=-1, shell_complete=complete_snapshot)
@group(
    "What to verify",
    switch("--all", "everything", help="Every archive of the store."),
    switch("--latest", help="The latest archive of every workspace."),
    switch("--rehearse", help="Also restore each into a sandbox and compare."),
    switch(
        "--fail-on-losses",
        help="With --rehearse: end with 3 if anything would be lost.",
        more="This includes secrets, grants and write keys that a recovery on an empty console could not restore.",
    ),
)
@metrics_option
@with_unattended_options
@identity_option
@runs_command
def command() -> None:
    """Check archives: digest, schema, counts and references.

    A rehearsal also reports what a recovery on an empty console could not restore: secrets that Jitsu hides, grants that
    somebody must authorise again, and write keys that must be replaced.

    Code 5: an archive is damaged; 3: an archive is marked incomplete, or a rehearsal could not restore everything.
    """
