"""Flags of several commands."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from jitsu_backup.cli.paths import PATH

Command = TypeVar("Command", bound=Callable[..., Any])

GENERAL = frozenset(
    (
        "store",
        "config",
        "as_json",
        "quiet",
        "verbose",
        "new_store",
        "retry_for",
        "identity",
        "encrypt_to",
        "admin_token",
    )
)
"""Parameters of commands that say something about the whole run, as the flags before the command's name do."""

# for the commands that read archives, and for those that write them
identity_option = click.option(
    "--identity",
    multiple=True,
    metavar="FILE",
    help="age or SSH key to decrypt with. Repeatable.",
)
encrypt_option = click.option(
    "--encrypt-to",
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


def settle_general_options(
    before: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of the whole run, and the parameters that are the command's own.

    `before` are the flags before the command's name, `given` the parameters behind it, which win where they are given.
    """
    general = {name: value for name, value in given.items() if name in GENERAL and value is not None}
    return {**before, **general}, {name: value for name, value in given.items() if name not in GENERAL}


def with_unattended_options(command: Command) -> Command:
    """Add the flags of a run that nobody watches to a command; `unattended` reads them."""
    for option in reversed(_UNATTENDED_OPTIONS):
        command = option(command)
    return command
