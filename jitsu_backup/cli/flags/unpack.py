"""The flags of `jitsu-backup unpack`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_snapshot
from jitsu_backup.cli.flags.grouping import declares, group
from jitsu_backup.cli.flags.shared import encrypt_option, identity_option, switch
from jitsu_backup.cli.paths import PATH


@declares(
    "unpack",
    "jitsu-backup unpack latest ./workspace",
    "jitsu-backup unpack acme-staging/latest~2 ./before --redact",
)
@click.argument("snapshot", shell_complete=complete_snapshot)
@click.argument("folder", metavar="DIR", type=PATH)
@group(
    "What to write",
    switch(
        "--redact",
        help="Write known secrets as ***.",
        more="A restore of DIR keeps the secrets of the workspace.",
    ),
    switch("--plaintext-secrets", help="Allow the operator's secrets in plain text in DIR."),
    switch(
        "--keep-base",
        help="Also write the archive into DIR, as .base.",
        more="For a DIR that is used without the store.",
    ),
)
@identity_option
@encrypt_option
@runs_command
def command() -> None:
    """Write an archive as a folder for Git.

    DIR has one JSON file per entity, with code in .js files. DIR must be new, empty, or written by unpack before; then only
    what differs is changed. Edited or not, it is a SNAPSHOT for diff, restore, show and verify; restore keeps what people
    changed in the console since. pack writes it as an archive again.
    """
