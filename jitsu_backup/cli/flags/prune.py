"""The flags of `jitsu-backup prune`."""

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.grouping import declares, group, option
from jitsu_backup.cli.flags.policy import with_policy_options
from jitsu_backup.cli.flags.shared import identity_option, switch, with_unattended_options


@declares(
    "prune",
    "jitsu-backup prune --keep-daily 14 --keep-monthly 12 --dry-run",
    "jitsu-backup prune --keep-within 30d --workspace acme-production",
    "jitsu-backup prune --quarantine",
)
@group(
    "What to prune",
    option("--workspace", metavar="PLACE", help="Only the archives of this workspace."),
    switch("--dry-run", help="Show what would be deleted, and stop."),
    switch(
        "--quarantine",
        help="Only move damaged archives to quarantine/ in the store.",
        more="Reads every archive, encrypted ones with --identity. Deletes nothing by retention, unless a rule such as --keep-daily is given too.",
    ),
)
@with_policy_options
@with_unattended_options
@identity_option
@runs_command
def command() -> None:
    """Delete old archives by a retention policy.

    Deletes what no rule keeps, and shows the reason for each archive. Never deletes the newest complete archive of a
    workspace, a labelled archive (unless --keep-label names other labels), or a damaged one. Flags replace the [retention] of
    the settings.
    """
