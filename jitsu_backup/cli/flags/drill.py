"""What click knows of `jitsu-backup drill`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.shared import (
    file_option,
    html_option,
    identity_option,
    markdown_option,
    metrics_option,
    switch,
    which_archives,
    with_unattended_options,
)


@click.command(
    "drill",
    epilog="Examples: jitsu-backup drill · jitsu-backup drill s3://backups/jitsu --identity identity.txt --metrics"
    " jitsu_backup.prom",
)
@click.argument("archives", metavar="[STORE]", required=False)
@which_archives
@file_option("--overlay", help="The overlay of the recovery, TOML or JSON: what it gives is not lacking.")
@switch(
    "--fail-on-losses",
    help="End with 3 where a real recovery would lack secrets, grants, features or write keys.",
)
@metrics_option
@html_option
@markdown_option
@identity_option
@runs_command
@with_unattended_options
def command() -> None:
    """Rehearse the recovery of a whole console, as recover would do it, in memory.

    Takes the archives that recover would take, brings all workspaces of the store into one empty console of the right
    version, in memory, reads them back and compares them, down to secrets and cursors. Says what comes back and what does
    not, what workspaces claim of each other, what a real recovery would lack, how long it would take under the console's limits,
    how old the data would be, and how many senders would have to change. Needs no console and no key, and writes nothing
    into the store.

    Ends with 3 when something does not come back, 5 when an archive that should be taken is damaged.
    """
