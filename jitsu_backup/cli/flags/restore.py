"""The flags of `jitsu-backup restore`."""

import click

from jitsu_backup.cli.flags.applying import apply_options
from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place, complete_snapshot
from jitsu_backup.cli.flags.grouping import declares, option


@declares(
    "restore",
    "jitsu-backup restore latest --dry-run",
    "jitsu-backup restore 7d --into @production --overlay production.toml --yes",
)
@click.argument("snapshot", required=False, shell_complete=complete_snapshot)
@apply_options(
    "What to restore",
    option(
        "--into",
        metavar="PLACE",
        shell_complete=complete_place,
        help="Another workspace than the one backed up.",
    ),
    source="snapshot",
)
@runs_command
def command() -> None:
    """Restore a workspace to a snapshot.

    Shows the plan, asks, backs up the target, writes, and verifies the result. Run it again to continue an interrupted
    restore. SNAPSHOT may be an edited folder of unpack. SELECTOR is type, type/id or type/name, with * as a wildcard.
    Code 3: something is missing or differs; 7: blocked.
    """
