"""The flags of `jitsu-backup watch`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place
from jitsu_backup.cli.flags.durations import Duration
from jitsu_backup.cli.flags.grouping import declares, group, option
from jitsu_backup.cli.flags.shared import (
    metrics_option,
    notify_options,
    repeatable,
    secrets_options,
    shrink_alarm_option,
    switch,
    with_unattended_options,
)


@declares(
    "watch",
    "jitsu-backup watch --all",
    "jitsu-backup watch acme-production acme-staging --settle 10s",
)
@click.argument("places", metavar="[PLACE]...", nargs=-1, shell_complete=complete_place)
@group(
    "What to watch",
    switch(
        "--all",
        "everything",
        help="Every workspace that the API key can read.",
        more="Includes new ones. With the operator's token: every workspace of the console.",
    ),
    option(
        "--settle",
        type=Duration(),
        default="5s",
        show_default=True,
        metavar="DURATION",
        help="Back up after this long without changes.",
        more="A workspace that keeps changing is backed up after a minute.",
    ),
    option(
        "--full-every",
        type=Duration(least=60),
        default="24h",
        show_default=True,
        metavar="DURATION",
        help="Read everything at least this often.",
    ),
    switch("--no-prune", help="Keep old archives, even if the settings have a [retention]."),
)
@group(
    "Alarms",
    shrink_alarm_option(help="Alarm if more than this share of a type is deleted; 1: never.  [default: 0.5]"),
    repeatable(
        "--allow-unseen",
        metavar="WORKSPACE",
        help="No alarm if the API key no longer sees this workspace.",
        more="'*': any workspace.",
    ),
)
@metrics_option
@notify_options
@with_unattended_options
@secrets_options
@runs_command
def command() -> None:
    """Back up every change within seconds, as a service.

    Asks the console what has changed, with at most half of the API key's read budget, and backs that up. Reports once if
    the console or the store is unreachable, and catches up later. Prunes what it backs up if the settings have a
    [retention]. Ends on SIGTERM or Ctrl-C.
    """
