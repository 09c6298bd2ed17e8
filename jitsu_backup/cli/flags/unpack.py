"""What click knows of `jitsu-backup unpack`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_snapshot
from jitsu_backup.cli.flags.shared import encrypt_option, identity_option, switch
from jitsu_backup.cli.paths import PATH


@click.command(
    "unpack",
    epilog="Examples: jitsu-backup unpack latest ./workspace · jitsu-backup unpack acme-staging/latest~2 ./before --redact",
)
@click.argument("snapshot", shell_complete=complete_snapshot)
@click.argument("folder", metavar="DIR", type=PATH)
@switch("--redact", help="Show known secrets as ***, which stands for what the workspace has.")
@switch("--plaintext-secrets", help="Let DIR hold, in clear, what the operator's token has read.")
@switch("--keep-base", help="Keep the archive in DIR too, as .base, for where no store has it.")
@identity_option
@encrypt_option
@runs_command
def command() -> None:
    """Write an archive as a folder fit for Git: a JSON file an entity, code as .js beside it.

    DIR is new, empty or what unpack wrote before: then only what differs is touched, and what is
    gone is removed. Edited or not, it is a SNAPSHOT for diff, restore, show and verify: what people changed in the
    console since DIR was unpacked is kept. `pack` makes an archive of it again.
    """
