"""What click knows of `jitsu-backup recover`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place
from jitsu_backup.cli.flags.shared import (
    encrypt_option,
    file_option,
    html_option,
    identity_option,
    markdown_option,
    repeatable,
    switch,
    together,
    which_archives,
)

_lacking = together(
    file_option("--overlay", help="Secrets and other values of all workspaces, TOML or JSON."),
    file_option(
        "--overlay-out", help="Write an overlay to FILE with all secrets that nobody has, to be filled in."
    ),
    switch("--allow-missing-secrets", help="Go on without the secrets that nobody has."),
    switch("--resend-secrets", help="Send the overlay's secrets also where the target hides its own."),
)
_how = together(
    switch(
        "--over-existing",
        help="Write into workspaces that are in use too, as restore would; nothing is deleted.",
    ),
    file_option("--keys-out", help="Write new write keys to FILE. Needed where any are made."),
    html_option,
    markdown_option,
    switch("--wait", help="Where another run writes, wait until it has ended."),
    switch("--dry-run", help="Show the plan and stop."),
    switch("--yes", help="Do not ask."),
    encrypt_option,
    identity_option,
)


@click.command(
    "recover",
    epilog="Examples: jitsu-backup recover --dry-run · jitsu-backup recover s3://backups/jitsu --into @new --first"
    " acme-production --keys-out keys.json",
)
@click.argument("archives", metavar="[STORE]", required=False)
@repeatable(
    "--into",
    metavar="PLACE",
    shell_complete=complete_place,
    help="The console: @profile. Or SLUG=SLUG, which workspace goes into which. Repeatable.",
)
@which_archives
@repeatable("--first", metavar="SLUG", help="Begin with this workspace. Repeatable.")
@_lacking
@_how
@runs_command
def command() -> None:
    """Bring a whole console to what the store has of it: every workspace, in one go.

    Takes the newest whole archive of each workspace, makes the workspaces that are missing, and restores them side by
    side. Shows one plan first, and asks. What is in use is not written into unasked, and nothing is ever deleted. One
    workspace that fails harms no other. Killed anywhere, the same command goes on; a second run writes nothing.

    The key is a person's, who becomes the owner of what is made, or the operator's token, which has no limits; with both,
    each does what it is best at. Ends with the code of the worst workspace: 3 when something is missing or differs, 7 when
    one needs a decision.
    """
