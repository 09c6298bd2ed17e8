"""What click knows of `jitsu-backup unpack`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_snapshot
from jitsu_backup.cli.flags.shared import identity_option, switch
from jitsu_backup.cli.paths import PATH


@click.command(
    "unpack",
    epilog="Examples: jitsu-backup unpack latest ./workspace · jitsu-backup unpack acme-staging/latest~2 ./before --redact",
)
@click.argument("snapshot", shell_complete=complete_snapshot)
@click.argument("folder", metavar="DIR", type=PATH)
@switch("--redact", help="Show known secrets as ***; DIR is then for reading only.")
@switch("--plaintext-secrets", help="Let DIR hold, in clear, what the operator's token has read.")
@identity_option
@runs_command
def command() -> None:
    """Write an archive as a folder fit for Git: a JSON file an entity, code as .js beside it.

    DIR is new, empty or what unpack wrote before: then only what differs is touched, and what is
    gone is removed. `pack` makes the same archive of it again.
    """
