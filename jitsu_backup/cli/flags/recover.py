"""The flags of `jitsu-backup recover`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place
from jitsu_backup.cli.flags.grouping import OUTPUT, declares, group
from jitsu_backup.cli.flags.shared import (
    encrypt_option,
    file_option,
    html_option,
    identity_option,
    markdown_option,
    repeatable,
    switch,
    which_archives,
)


@declares(
    "recover",
    "jitsu-backup recover --dry-run",
    "jitsu-backup recover s3://backups/jitsu --into @new --keys-out keys.json",
)
@click.argument("archives", metavar="[STORE]", required=False)
@group(
    "What to recover",
    repeatable(
        "--into",
        metavar="PLACE",
        shell_complete=complete_place,
        help="The console, as @profile, or SLUG=OTHER.",
        more="SLUG=OTHER recovers the workspace SLUG into OTHER.",
    ),
    which_archives,
    repeatable("--first", metavar="SLUG", help="Begin with this workspace."),
    file_option(
        "--overlay",
        help="Apply secrets and other values of all workspaces.",
        more="FILE is TOML or JSON.",
    ),
    rare=[
        switch(
            "--resend-secrets", help="Send the overlay's secrets even where Jitsu hides those of the target."
        )
    ],
)
@group(
    "Safety",
    switch("--dry-run", help="Show the plan and stop."),
    switch("--yes", help="Apply without asking."),
    switch(
        "--over-existing",
        help="Also write into workspaces that are in use.",
        more="Deletes nothing.",
    ),
    switch("--allow-missing-secrets", help="Continue without unavailable secrets."),
    rare=[switch("--wait", help="Wait until another run on the same console has ended.")],
)
@group(
    OUTPUT,
    file_option("--keys-out", help="Write new write keys to FILE.", more="Required if any are created."),
    file_option("--overlay-out", help="Write an overlay to fill in missing secrets."),
    html_option,
    markdown_option,
)
@encrypt_option
@identity_option
@runs_command
def command() -> None:
    """Recover a whole console: every workspace of the store, in one run.

    Takes the newest complete archive of each workspace and creates missing workspaces. Shows one plan and asks. Skips
    workspaces that are in use, and deletes nothing. A workspace that fails does not stop the others. Run it again to
    continue an interrupted recovery.

    With a person's API key, that person owns new workspaces. The operator's token has no rate limits. With both, each is
    used for what it does best. Code 3: something is missing or differs; 7: a workspace is blocked.
    """
