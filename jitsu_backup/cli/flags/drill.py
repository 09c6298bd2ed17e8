"""The flags of `jitsu-backup drill`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.grouping import OUTPUT, declares, group
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


@declares(
    "drill",
    "jitsu-backup drill",
    "jitsu-backup drill s3://backups/jitsu --identity key.txt --html drill.html",
)
@click.argument("archives", metavar="[STORE]", required=False)
@group(
    "What to rehearse",
    which_archives,
    file_option(
        "--overlay",
        help="The overlay of the recovery, TOML or JSON.",
        more="Its values do not count as missing.",
    ),
    switch(
        "--fail-on-losses",
        help="End with 3 if a real recovery could not restore everything.",
        more="This includes secrets, grants, features and write keys.",
    ),
)
@group(OUTPUT, html_option, markdown_option)
@metrics_option
@with_unattended_options
@identity_option
@runs_command
def command() -> None:
    """Rehearse the recovery of a whole console, in memory.

    Restores every workspace of the store into an empty in-memory console, reads it back and compares it, including
    secrets and sync cursors. Reports what is restored and what is not, what a real recovery could not restore, how long it
    would take, how old the data would be, and how many senders would need a new write key. Needs no console and no API
    key, and writes nothing into the store.

    Code 3: something is not restored; 5: an archive is damaged; 2 or 6: a key to open an archive is missing or wrong.
    """
