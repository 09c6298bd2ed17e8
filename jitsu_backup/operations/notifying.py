"""Notifications about changes: by Slack or a compatible service, by mail, or as JSON to another program."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from jitsu_backup.errors import UsageError, advice_on
from jitsu_backup.model import one_line
from jitsu_backup.operations.outgoing import TOO_MANY, Outgoing, host_of, is_address, is_of_server

SECONDS, ATTEMPTS = 10.0, 3
_MAIL_SECONDS = 30

_SLACK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
_DISCORD_HOSTS = ("discord.com", "discordapp.com")
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "XDG_CONFIG_HOME")
"""The variables that `sendmail` gets besides those of the locale. Any other may hold a secret of this run."""
_MAIL_ADDRESS = re.compile(
    r"[A-Za-z0-9._%+=][A-Za-z0-9._%+=-]{0,63}@[A-Za-z0-9][A-Za-z0-9.-]{0,253}", re.ASCII
)
_WHERE = (
    "not a supported address; give https://hooks.slack.com/…, slack:https://… (for a compatible service), another"
    " https:// address (gets JSON), or mailto:a@example.com"
)


class Form(Enum):
    """The form of what is sent to an address."""

    SLACK = "slack"
    JSON = "json"
    MAIL = "mail"


@dataclass(frozen=True, slots=True)
class Address:
    """Where notifications go. A webhook's URL is a secret, so only its host and port are `shown`."""

    form: Form
    shown: str
    _target: str = field(repr=False)
    _recipients: tuple[str, ...] = field(default=(), repr=False)

    @property
    def url(self) -> str:
        """The URL of a webhook, a secret."""
        return self._target

    @property
    def recipients(self) -> tuple[str, ...]:
        """The mail addresses. A webhook has none."""
        return self._recipients


@dataclass(frozen=True, slots=True)
class Message:
    """A notification in each form: a `subject` and a `text` for mail, one for Slack, and a JSON document for programs."""

    subject: str
    text: str = field(repr=False)
    slack: str = field(repr=False)
    document: Mapping[str, Any] = field(repr=False)


def address_of(text: str) -> Address:
    """Return the address that a text names. Raise UsageError, which does not show the text, if it names none."""
    given = text.strip()
    if given.startswith("mailto:"):
        recipients = tuple(part.strip() for part in given.removeprefix("mailto:").split(","))
        if not all(_MAIL_ADDRESS.fullmatch(one) for one in recipients):
            raise UsageError(
                "--notify: not a valid list of mail addresses; write mailto: with addresses separated by commas"
            )
        return Address(Form.MAIL, ", ".join(recipients), given, recipients)
    url = given.removeprefix("slack:")
    if not is_address(url):
        raise UsageError(f"--notify: {_WHERE}")
    slack = url != given or _takes_slack(url)
    return Address(Form.SLACK if slack else Form.JSON, host_of(url), url)


def _takes_slack(url: str) -> bool:
    """Return whether a URL is known to accept Slack's form."""
    parts = urlsplit(url)
    if parts.hostname in _DISCORD_HOSTS:
        return parts.path.rstrip("/").endswith("/slack")
    return parts.hostname in _SLACK_HOSTS


class NotSentError(Exception):
    """A notification could not be sent. The message says why, without the address.

    With `no_answer`, the next one to the same address would fail too.
    """

    def __init__(self, why: str, *, no_answer: bool = False) -> None:
        """Create the error. `why` is one line."""
        super().__init__(why)
        self.no_answer = no_answer


def send(message: Message, address: Address, environment: Mapping[str, str]) -> None:
    """Send a message to an address. `environment` may name proxies and certificates. Raise NotSentError."""
    if address.form is Form.MAIL:
        _mail(message, address, environment)
        return
    outgoing = Outgoing(environment, SECONDS)
    body = {"text": message.slack} if address.form is Form.SLACK else message.document
    try:
        outgoing.post(address.url, orjson.dumps(body), "application/json", attempts=ATTEMPTS)
    except Exception as problem:  # noqa: BLE001  a proxy or certificate set wrong must not make a backup fail
        why = outgoing.reason_of(problem)
        if _is_limit(problem):
            limited = f"its server limits the number of messages ({why})"
            raise NotSentError(limited, no_answer=True) from None
        if is_of_server(problem):
            raise NotSentError(f"its server reports an error ({why})") from None
        slack = why == "HTTP 400" and address.form is Form.JSON
        hint = "for a Slack-compatible service, write slack:https://…" if slack else "check its address"
        unanswered = isinstance(problem, httpx.HTTPError) and not isinstance(problem, httpx.HTTPStatusError)
        raise NotSentError(f"{why}; {hint}", no_answer=unanswered) from None


def _is_limit(problem: Exception) -> bool:
    """Return whether a message was not accepted because there were too many."""
    return isinstance(problem, httpx.HTTPStatusError) and problem.response.status_code == TOO_MANY


def _mail(message: Message, address: Address, environment: Mapping[str, str]) -> None:
    """Send a mail with the machine's own `sendmail`. Raise NotSentError."""
    path = os.pathsep.join(filter(None, (environment.get("PATH"), "/usr/sbin", "/usr/lib")))
    program = shutil.which("sendmail", path=path)
    if program is None:
        raise NotSentError(
            "sendmail is not installed on this machine; install it, or give another address", no_answer=True
        )
    try:
        done = subprocess.run(  # noqa: S603  recipients are checked, and none looks like a flag
            [program, "-i", *address.recipients],
            input=as_mail(message, address),
            env={name: text for name, text in environment.items() if name in _KEPT or name.startswith("LC_")},
            capture_output=True,
            timeout=_MAIL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotSentError(
            f"sendmail took longer than {_MAIL_SECONDS} seconds; run it by hand to see why", no_answer=True
        ) from None
    except OSError as problem:
        raise NotSentError(
            f"sendmail cannot be started: {(problem.strerror or '').lower()}; {advice_on(problem)}"
        ) from None
    if done.returncode:
        raise NotSentError(f"sendmail failed with exit status {done.returncode}; run it by hand to see why")


def as_mail(message: Message, address: Address) -> bytes:
    """Return a message as a mail. Names in it cannot add headers."""
    mail = EmailMessage(policy=default)
    for name, value in _headers(message, address):
        mail[name] = value
    mail.set_content(message.text, cte="quoted-printable")
    return mail.as_bytes()


def _headers(message: Message, address: Address) -> Iterator[tuple[str, str]]:
    yield "To", ", ".join(address.recipients)
    # a line end in it would begin another header, even if encoded as a word of RFC 2047
    yield "Subject", one_line(message.subject).replace("=?", "= ?")
    yield "Auto-Submitted", "auto-generated"
