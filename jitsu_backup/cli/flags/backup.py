"""The flags of `jitsu-backup backup`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place
from jitsu_backup.cli.flags.durations import Duration
from jitsu_backup.cli.flags.grouping import OUTPUT, declares, group, option
from jitsu_backup.cli.flags.policy import with_policy_options
from jitsu_backup.cli.flags.shared import (
    file_option,
    metrics_option,
    notify_options,
    repeatable,
    secrets_options,
    shrink_alarm_option,
    switch,
    with_unattended_options,
)
from jitsu_backup.cli.paths import PATH


@declares(
    "backup",
    "jitsu-backup backup acme-staging",
    "jitsu-backup backup --all --if-changed --prune --keep-daily 14",
    "jitsu-backup backup @production --output before.json.gz",
)
@click.argument("places", metavar="[PLACE]...", nargs=-1, shell_complete=complete_place)
@group(
    "What to back up",
    switch(
        "--all",
        "everything",
        help="Every workspace that the API key can read.",
        more="With the operator's token: every workspace of the console.",
    ),
    switch("--if-changed", help="Write no archive if nothing has changed."),
    repeatable(
        "--label",
        "labels",
        metavar="LABEL",
        help="Label the archives.",
        more="A label can be used as SNAPSHOT later.",
    ),
    rare=[
        option(
            "--full-every",
            type=Duration(),
            default="24h",
            show_default=True,
            metavar="DURATION",
            help="With --if-changed: read a workspace that reports no change only this often; 0: always.",
        ),
        option("--shard", metavar="I/N", help="Only part I (0 to N-1) of N parts of the workspaces."),
        option(
            "--deadline",
            type=Duration(least=1),
            metavar="DURATION",
            help="Stop after this time; unfinished workspaces count as failed.",
            more="45m, or 2700 (seconds).",
        ),
    ],
)
@group(
    "Alarms",
    switch("--accept-shrink", help="Accept what is left; compare later backups with it."),
    rare=[
        shrink_alarm_option(
            help="End with 3 if more than this share of a type is deleted; 1: never.  [default: 0.5]"
        ),
        repeatable(
            "--allow-unseen",
            metavar="WORKSPACE",
            help="No alarm if the API key no longer sees this workspace, or its slug moved; '*': any.",
        ),
    ],
)
@group(
    "Retention",
    switch("--prune", help="Then apply the retention policy to these workspaces."),
    with_policy_options,
)
@group(
    OUTPUT,
    file_option("--output", help="Write to FILE instead of the store.", more="- is standard output."),
    option(
        "--unpack",
        "folder",
        type=PATH,
        metavar="DIR",
        help="Then update DIR, a folder for Git.",
        more="One workspace only.",
    ),
    rare=[
        switch(
            "--redact",
            help="With --unpack: write known secrets as ***.",
            more="A restore of DIR keeps the secrets of the workspace.",
        )
    ],
)
@metrics_option
@notify_options
@with_unattended_options
@secrets_options
@runs_command
def command() -> None:
    """Read workspaces and write an archive of each.

    Without PLACE, reads the default workspace. A workspace that fails does not stop the others. Code 3: an archive is incomplete, a workspace has shrunk (its archive is
    written and marked), or only some workspaces failed.
    """
