"""Flags that several commands have."""

import functools
from collections.abc import Mapping
from typing import Any

import click

from jitsu_backup.cli.flags.durations import Duration
from jitsu_backup.cli.flags.grouping import STORE, UNATTENDED, Decorator, group, option
from jitsu_backup.cli.flags.numbers import Number
from jitsu_backup.cli.paths import PATH

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
"""Parameters of commands that are about the whole run, like the flags before the command's name."""

switch = functools.partial(option, is_flag=True)
file_option = functools.partial(option, type=PATH, metavar="FILE")
repeatable = functools.partial(option, multiple=True)


def together(*options: Decorator) -> Decorator:
    """Return a decorator that adds several flags to a command, in this order."""

    def add(command: Any) -> Any:
        for one in reversed(options):
            command = one(command)
        return command

    return add


# of the commands that read archives, and of those that write them
identity_option = group(
    STORE,
    repeatable("--identity", metavar="FILE", help="age or SSH key to decrypt with."),
)
_encrypt_to = repeatable(
    "--encrypt-to",
    metavar="RECIPIENT",
    help="Encrypt with age to this public key.",
    more="RECIPIENT is age1…, an SSH public key, or a file of these.",
)
encrypt_option = group(STORE, _encrypt_to)
encrypt_rarely = group(STORE, rare=[_encrypt_to])

html_option = file_option("--html", "html_out", help="Also write an HTML page.", more="It has no secrets.")
markdown_option = file_option(
    "--markdown", "markdown_out", help="Also write Markdown for a pull request.", more="It has no secrets."
)

# of the commands that back up
shrink_alarm_option = functools.partial(option, "--shrink-alarm", type=Number(0, 1), metavar="SHARE")
secrets_options = group(
    STORE,
    _encrypt_to,
    rare=[
        switch("--plaintext-secrets", help="Allow archives with the operator's secrets in plain text."),
    ],
)

# of the commands that take a whole store
which_archives = together(
    option(
        "--at",
        metavar="TIME",
        help="The archives of that time: a date, yesterday, 12h.",
        more="Dates are in UTC.  [default: now]",
    ),
    repeatable("--workspace", "workspaces", metavar="SLUG", help="Only this workspace."),
    option(
        "--from",
        "from_host",
        metavar="HOST",
        help="Only archives of this console.",
        more="Needed if workspaces of several consoles are lost.",
    ),
)

metrics_option = group(UNATTENDED, file_option("--metrics", help="Write metrics for Prometheus to FILE."))

# what `unattended` reads
with_unattended_options = group(
    UNATTENDED,
    option(
        "--ping",
        metavar="URL",
        help="Report to a monitor such as healthchecks.io.",
        more="Requests URL/start, then URL, or URL/fail with the exit code.",
    ),
    rare=[
        option(
            "--log-format",
            type=click.Choice(["text", "json"]),
            default="text",
            show_default=True,
            help="json: write one line per run to standard error, and no other text.",
        )
    ],
)


# of the commands that report to people what changed
notify_options = group(
    UNATTENDED,
    option(
        "--notify",
        metavar="URL",
        help="Report what changed to Slack, by mail, or as JSON.",
        more="URL is a Slack webhook, slack:URL for a compatible one, mailto:ADDRESS, or any other URL for JSON.",
    ),
    rare=[
        option(
            "--notify-every",
            type=Duration(),
            metavar="DURATION",
            help="Send at most one message per workspace in this time. The next message has what changed meanwhile."
            "  [default: 15m]",
        )
    ],
)


def settle_general_options(
    before: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of the whole run, and the parameters that are the command's own.

    `before` are the flags before the command's name, `given` the parameters after it, which take precedence.
    """
    general = {name: value for name, value in given.items() if name in GENERAL and value is not None}
    return {**before, **general}, {name: value for name, value in given.items() if name not in GENERAL}
