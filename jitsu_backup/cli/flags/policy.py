"""The flags of a retention policy, for `prune` and `backup --prune`."""

from jitsu_backup.cli.flags.grouping import Decorator, group, option
from jitsu_backup.cli.flags.numbers import WholeNumber
from jitsu_backup.cli.flags.shared import repeatable


def _keep(name: str, what: str) -> Decorator:
    return option(f"--keep-{name}", type=WholeNumber(0), metavar="N", help=f"Keep {what}.")


# what `policy_from` reads
with_policy_options = group(
    "Retention",
    option(
        "--keep-within",
        metavar="SPAN",
        help="Keep all of a time span, such as 14d.",
        more="Units: 36h, 14d, 8w, 6mo, 2y.",
    ),
    _keep("last", "the last N"),
    _keep("daily", "one a day, for N days that have one"),
    _keep("monthly", "one a month, for N months that have one"),
    rare=[
        _keep("hourly", "one an hour, for N hours that have one"),
        _keep("weekly", "one a week, for N weeks that have one"),
        _keep("yearly", "one a year, for N years that have one"),
        repeatable(
            "--keep-label",
            metavar="LABEL",
            help="Keep those with this label, instead of those with any label.",
        ),
        option(
            "--keep-pre-restore",
            metavar="SPAN",
            help="Keep archives made before a restore this long.  [default: 30d]",
        ),
        option(
            "--keep-shrunk",
            metavar="SPAN",
            help="Keep shrunk archives, each with the one before it, this long.  [default: 30d]",
        ),
        option("--time-zone", metavar="ZONE", help="Time zone in which a day begins.  [default: UTC]"),
    ],
)
