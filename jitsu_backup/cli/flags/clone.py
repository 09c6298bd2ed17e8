"""The flags of `jitsu-backup clone`."""

import click

from jitsu_backup.cli.flags.applying import apply_options
from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.completing import complete_place
from jitsu_backup.cli.flags.grouping import declares


@declares(
    "clone",
    "jitsu-backup clone acme-staging acme-production --dry-run",
    "jitsu-backup clone @staging @production --overlay production.toml --prune",
)
@click.argument("source", required=False, metavar="[SOURCE]", shell_complete=complete_place)
@click.argument("target", required=False, metavar="[TARGET]", shell_complete=complete_place)
@apply_options("What to clone", source="source")
@runs_command
def command() -> None:
    """Make the workspace TARGET like SOURCE, as often as needed. Each is a PLACE.

    The first run creates entities. Later runs update what differs, and delete what was deleted only with --prune.
    Existing entities keep their own secrets. Code 3: something is missing or differs; 7: blocked.
    SELECTOR is type, type/id or type/name, with * as a wildcard.
    """
