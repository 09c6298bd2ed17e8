"""Flags of several commands."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from jitsu_backup.cli.paths import PATH

Command = TypeVar("Command", bound=Callable[..., Any])

# for the commands that read archives, and for those that write them
identity_option = click.option(
    "--identity",
    "late_identity",
    multiple=True,
    metavar="FILE",
    help="age or SSH key to decrypt with. Repeatable.",
)
encrypt_option = click.option(
    "--encrypt-to",
    "late_encrypt_to",
    multiple=True,
    metavar="RECIPIENT",
    help="Encrypt with age to age1…, an SSH public key, or a file of these. Repeatable.",
)

html_option = click.option(
    "--html",
    "html_out",
    type=PATH,
    metavar="FILE",
    help="Also write one self-contained HTML page, without secrets.",
)

metrics_option = click.option(
    "--metrics",
    type=PATH,
    metavar="FILE",
    help="Write figures for Prometheus' textfile collector.",
)

_UNATTENDED_OPTIONS = (
    click.option(
        "--ping",
        metavar="URL",
        help="Tell a monitor, healthchecks.io style: URL/start, then URL or URL/fail with the exit code.",
    ),
    click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="json: one line a run on standard error, and no other text.",
    ),
)


def with_unattended_options(command: Command) -> Command:
    """Give a command the flags of a run that nobody watches; `unattended` reads them."""
    for option in reversed(_UNATTENDED_OPTIONS):
        command = option(command)
    return command
