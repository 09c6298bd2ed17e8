"""Flags of several commands."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import click

from jitsu_backup.cli.flags.durations import Duration
from jitsu_backup.cli.paths import PATH

Decorator = Callable[[Any], Any]

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

switch = functools.partial(click.option, is_flag=True)
file_option = functools.partial(click.option, type=PATH, metavar="FILE")
repeatable = functools.partial(click.option, multiple=True)


def together(*options: Decorator) -> Decorator:
    """Return a decorator that adds several flags to a command, in this order."""

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


# for the commands that read archives, and for those that write them
identity_option = repeatable("--identity", metavar="FILE", help="age or SSH key to decrypt with. Repeatable.")
encrypt_option = repeatable(
    "--encrypt-to",
    metavar="RECIPIENT",
    help="Encrypt with age to age1…, an SSH public key, or a file of these. Repeatable.",
)

html_option = file_option(
    "--html", "html_out", help="Also write one self-contained HTML page, without secrets."
)

markdown_option = file_option(
    "--markdown",
    "markdown_out",
    help="Also write Markdown, fit for a comment on GitHub or GitLab, without secrets.",
)

# of the commands that back up
shrink_alarm_option = functools.partial(
    click.option, "--shrink-alarm", type=click.FloatRange(0, 1), metavar="SHARE"
)
admin_token_option = click.option(
    "--admin-token",
    metavar="TOKEN",
    help="The operator's service token: also read masked secrets and key hashes; without --apikey, the key. Better in"
    " JITSU_ADMIN_TOKEN.",
)

# of the commands that take a whole store
which_archives = together(
    click.option("--at", metavar="TIME", help="As it was then: a date, yesterday, 12h; UTC.  [default: now]"),
    repeatable(
        "--workspace", "workspaces", metavar="SLUG", help="Only this workspace, by slug or id. Repeatable."
    ),
    click.option(
        "--from",
        "from_host",
        metavar="HOST",
        help="The console whose archives are meant, where there are several.",
    ),
)

metrics_option = file_option("--metrics", help="Write figures for Prometheus' textfile collector.")

# what `unattended` reads
with_unattended_options = together(
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


# of the commands that tell people what changed
notify_options = together(
    click.option(
        "--notify",
        metavar="URL",
        help="Send a message about each workspace that changed. URL is a webhook of Slack, slack:URL for one that takes what"
        " Slack's take, any other URL for JSON, or mailto:ADDRESS.",
    ),
    click.option(
        "--notify-every",
        type=Duration(),
        metavar="DURATION",
        help="Send at most one message about a workspace in this time. What changes meanwhile is in the next one."
        "  [default: 15m]",
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
