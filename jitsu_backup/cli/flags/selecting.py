"""The flag that names selectors which the settings keep."""

from jitsu_backup.cli.flags.completing import complete_set
from jitsu_backup.cli.flags.shared import repeatable

set_option = repeatable(
    "--set",
    "sets",
    metavar="NAME",
    shell_complete=complete_set,
    help="Only what [sets.NAME] of the settings selects.",
)
