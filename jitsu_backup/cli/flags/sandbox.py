"""The flags of `jitsu-backup sandbox`."""

import click

from jitsu_backup.cli.flags.command_body import runs_command
from jitsu_backup.cli.flags.grouping import declares, group, option
from jitsu_backup.cli.flags.numbers import WholeNumber
from jitsu_backup.cli.flags.shared import identity_option, switch
from jitsu_backup.cli.paths import PATH


class _Consoles(click.Choice):  # type: ignore[type-arg,unused-ignore]  # generic in newer versions of click only
    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        # up to 0.5, the console of July was called 2026
        version: str = super().convert("2026-07" if value == "2026" else value, param, ctx)
        return version


@declares(
    "sandbox",
    "jitsu-backup sandbox --port 3000 --example",
    "jitsu-backup sandbox --port 0 --seed before.json.gz --json",
)
@group(
    "What to run",
    option(
        "--port",
        type=WholeNumber(0, 65535),
        default=3000,
        show_default=True,
        metavar="PORT",
        help="Port to listen on; 0 takes a free one.",
    ),
    option("--bind", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on."),
    switch("--example", help="Fill acme-staging with an entity of every type."),
    option("--seed", type=PATH, metavar="ARCHIVE", help="Begin with the workspace of an archive."),
    option(
        "--console",
        "generation",
        type=_Consoles(["2024", "2026-07", "newest"]),
        default="newest",
        show_default=True,
        help="Version of Jitsu: of October 2024, July 2026 or autumn 2026.",
    ),
    switch("--no-rate-limit", help="Answer any number of requests."),
)
@identity_option
@runs_command
def command() -> None:
    """Run an embedded Jitsu console to try things on.

    It answers as the real console does, begins with two empty workspaces, keeps everything in memory, and stops with
    Ctrl-C.
    """
