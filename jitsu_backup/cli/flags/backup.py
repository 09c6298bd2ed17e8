"""The flags of `jitsu-backup backup`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place
from jitsu_backup.cli.flags.durations import Duration
from jitsu_backup.cli.flags.policy import with_policy_options
from jitsu_backup.cli.flags.shared import (
    admin_token_option,
    encrypt_option,
    file_option,
    metrics_option,
    notify_options,
    repeatable,
    shrink_alarm_option,
    switch,
    with_unattended_options,
)
from jitsu_backup.cli.paths import PATH


@click.command(
    "backup",
    epilog="Examples: jitsu-backup backup acme-staging · jitsu-backup backup --all --if-changed --prune ·"
    " jitsu-backup backup @production --output before.json.gz",
)
@click.argument("places", metavar="[PLACE]...", nargs=-1, shell_complete=complete_place)
@switch(
    "--all",
    "everything",
    help="Every workspace that the key can read; of the console with the operator's token.",
)
@file_option("--output", help="Write to FILE (- is standard output), not into the store.")
@switch("--if-changed", help="Write nothing where the latest archive holds the same.")
@click.option(
    "--full-every",
    type=Duration(),
    default="24h",
    show_default=True,
    metavar="DURATION",
    help="With --if-changed: read a workspace that says that nothing changed only this often; 0: always.",
)
@repeatable(
    "--label",
    "labels",
    metavar="LABEL",
    help="Mark the archives; a label names them later, as a SNAPSHOT. Repeatable.",
)
@shrink_alarm_option(
    help="End with 3 when more than this share of a type's entities is gone; 1: never.  [default: 0.5]",
)
@switch("--accept-shrink", help="What is there now is enough: compare later backups with it.")
@repeatable(
    "--allow-unseen",
    metavar="WORKSPACE",
    help="No alarm for a workspace that only the store has, or whose slug moved; '*': any. Repeatable.",
)
@click.option("--shard", metavar="I/N", help="Only part I (0 to N-1) of N of the workspaces.")
@click.option(
    "--deadline",
    type=Duration(least=1),
    metavar="DURATION",
    help="Stop then, 45m or 2700 (seconds); what is not done has failed.",
)
@click.option(
    "--unpack",
    "folder",
    type=PATH,
    metavar="DIR",
    help="Then bring DIR, a folder fit for Git, up to date. One workspace only.",
)
@switch("--redact", help="With --unpack: no known secrets in DIR, which then is for reading only.")
@switch("--prune", help="Then apply the retention policy to what was backed up.")
@with_policy_options
@metrics_option
@notify_options
@encrypt_option
@admin_token_option
@switch("--plaintext-secrets", help="Let the archive hold, in clear, what the token can read.")
@runs_command
@with_unattended_options
def command() -> None:
    """Read workspaces and write an archive of each.

    Without PLACE, the default workspace. One that fails harms no other. Ends with code 3 when something is
    missing: an archive lacks what it should have, or a workspace has shrunk (the archive is written all the
    same, and marked), or some workspaces failed and others did not.
    """
