"""The flags of `jitsu-backup watch`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place
from jitsu_backup.cli.flags.durations import Duration
from jitsu_backup.cli.flags.shared import (
    admin_token_option,
    encrypt_option,
    metrics_option,
    notify_options,
    repeatable,
    shrink_alarm_option,
    switch,
    with_unattended_options,
)


@click.command(
    "watch",
    epilog="Examples: jitsu-backup watch --all · jitsu-backup watch acme-production acme-staging --settle 10s",
)
@click.argument("places", metavar="[PLACE]...", nargs=-1, shell_complete=complete_place)
@switch(
    "--all",
    "everything",
    help="Every workspace that the key can read, new ones too; of the console with the operator's token.",
)
@click.option(
    "--settle",
    type=Duration(),
    default="5s",
    show_default=True,
    metavar="DURATION",
    help="Back up a workspace that was left alone for so long; one that keeps changing, after a minute.",
)
@click.option(
    "--full-every",
    type=Duration(least=60),
    default="24h",
    show_default=True,
    metavar="DURATION",
    help="Read each workspace whole at least this often, whatever the console says.",
)
@shrink_alarm_option(
    help="Tell when more than this share of a type's entities is gone; 1: never.  [default: 0.5]",
)
@repeatable(
    "--allow-unseen",
    metavar="WORKSPACE",
    help="No alarm for a workspace that only the store has; '*': any. Repeatable.",
)
@switch("--no-prune", help="Remove no old archives, though the settings have a [retention].")
@metrics_option
@notify_options
@encrypt_option
@admin_token_option
@switch("--plaintext-secrets", help="Let the archives hold, in clear, what the token can read.")
@runs_command
@with_unattended_options
def command() -> None:
    """Keep the store seconds behind: ask what has changed, and back that up; a service that ends on SIGTERM.

    Spends at most half of a key's read budget, and says what delay that makes. A console or a store that is away is
    told once, and caught up with. Where the settings have a [retention], old archives of what was backed up go.
    """
