"""The flags of `jitsu-backup init`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.grouping import declares, group, option
from jitsu_backup.cli.flags.policy import with_policy_options
from jitsu_backup.cli.flags.shared import encrypt_option, file_option, repeatable, switch


@declares(
    "init",
    "jitsu-backup init",
    "jitsu-backup init --all --store /backups --new-identity key.txt --yes",
)
@group(
    "Answers",
    repeatable("--workspace", "workspaces", metavar="SLUG", help="Back up this workspace."),
    switch("--all", "everything", help="Back up every workspace that the API key can read."),
    encrypt_option,
    file_option("--new-identity", help="Create an age key, write it to FILE and encrypt to it."),
    option("--ping", metavar="URL", help="Report every backup to a monitor such as healthchecks.io."),
    option(
        "--schedule",
        type=click.Choice(["cron", "systemd", "kubernetes"]),
        default="cron",
        show_default=True,
        help="Print the lines for this scheduler.",
    ),
    switch("--yes", help="Ask nothing. What no flag sets is left out: encryption, retention, monitor."),
)
@group("Retention", with_policy_options)
@runs_command
def command() -> None:
    """Write the settings, step by step, and print the lines for a scheduler.

    Asks for console, API key, workspaces, store, encryption, retention and monitor, and tests each answer at once. Writes
    jitsu-backup.toml, and secrets into files beside it; overwrites no file. --host and --apikey go before the command.
    """
