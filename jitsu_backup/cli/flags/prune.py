"""The flags of `jitsu-backup prune`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.policy import with_policy_options
from jitsu_backup.cli.flags.shared import switch, with_unattended_options


@click.command(
    "prune",
    epilog="Examples: jitsu-backup prune --keep-daily 14 --keep-monthly 12 --dry-run ·"
    " jitsu-backup prune --keep-within 30d --workspace acme-production",
)
@with_policy_options
@click.option("--workspace", metavar="PLACE", help="Only this workspace's archives.")
@switch("--dry-run", help="Show what would go and stop.")
@switch("--quarantine", help="Also move damaged archives into quarantine/ under the store; needs no policy.")
@runs_command
@with_unattended_options
def command() -> None:
    """Apply a retention policy to the store: what no rule keeps is removed, each with its reason.

    Never removes the newest complete archive of a workspace, one with a label (unless --keep-label names others), or a
    damaged one. Flags take the place of the settings' [retention].
    """
