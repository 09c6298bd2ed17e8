"""Secrets that are not shown, and references to secrets."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jitsu_backup.errors import EMPTY_IN_CI, BackupError, UsageError, advice_on
from jitsu_backup.settings.file import expand
from jitsu_backup.store.files import read_text_file

COMMAND_SECONDS = 30

_LONG = 8

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*|[A-Za-z_]+", re.ASCII)

OWN_SECRETS = (
    "JITSU_APIKEY", "JITSU_ADMIN_TOKEN", "JITSU_BACKUP_PASSPHRASE", "JITSU_BACKUP_PING", "JITSU_BACKUP_NOTIFY",
)  # fmt: skip
"""The variables with our own secrets, which are withheld from the commands that we run."""


@dataclass(frozen=True, slots=True)
class SecretText:
    """A secret whose `repr` and `str` are `***`.

    `if_rejected` says what to do if a console does not know it, and `called` is what a message calls it, without the secret.
    `read_again` reads it again from its file or command, whose content may have changed. It is None for any other secret.
    """

    _text: str = field(repr=False)
    if_rejected: str = field(default="", repr=False, compare=False)
    called: str = field(default="", repr=False, compare=False)
    read_again: "Callable[[], SecretText] | None" = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        """Return `***`."""
        return "***"

    __str__ = __repr__

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._text


def shown_variable(name: str) -> str:
    """Return what a message calls an environment variable: not by its name if that may be the secret itself."""
    return name if _VARIABLE.fullmatch(name) else "named in {env = …}"


def open_to_others(path: Path, field: str) -> str:
    """Return the warning that others can read a file with a secret in plain text, which is the value of a `field`."""
    return (
        f"{path} contains an unencrypted secret ({field}), and others can read it; run chmod 600 on it, or use {{env}} or"
        " {file} for the secret"
    )


def own_secrets(
    environment: Mapping[str, str], settings: Iterable[object] = (), folder: Path = Path()
) -> list[str]:
    """Return our own secrets in the environment and in `settings`. References are relative to `folder`.

    Run no command, and skip secrets that cannot be read.
    """
    found = [environment.get(name, "") for name in OWN_SECRETS]
    for value in settings:
        with suppress(UsageError):
            read = resolve_secret(value, environment, folder) if isinstance(value, Mapping) else value
            found.append(str(read or ""))
    return [secret for secret in found if secret.strip()]


def holds(text: str, secret: str) -> bool:
    """Return whether a text is a secret, or contains a secret that is too long to occur by chance."""
    return text.strip() == secret.strip() or (len(secret.strip()) >= _LONG and secret.strip() in text)


def resolve_secret(
    reference: Mapping[str, Any],
    environment: Mapping[str, str],
    folder: Path,
    *,
    commands: bool = False,
    may_be_empty: bool = False,
    own: Collection[str] = (),
) -> str:
    """Return the secret behind `{env = "NAME"}`, `{file = "path"}` or, where allowed, `{command = [...]}`.

        Paths are relative to `folder`. One newline at the end of a file is not part of the secret. A command gets the
    environment without our own secrets and without the variables in `own`. With `may_be_empty`, an empty variable or
    file is a valid secret. Raise UsageError, which names the place but never the secret.
    """
    if len(reference) == 1:
        (kind, value), *_ = reference.items()
        if kind == "env" and isinstance(value, str):
            variable = f"the environment variable {shown_variable(value)}"
            if value not in environment:
                raise UsageError(f"{variable} is not set; set it to the secret")
            if not environment[value] and not may_be_empty:
                raise UsageError(f"{variable} is empty; set it to the secret ({EMPTY_IN_CI})")
            return environment[value]
        if kind == "file" and isinstance(value, str):
            return _read(folder / expand(value, environment.get("HOME")), may_be_empty=may_be_empty)
        if kind == "command" and commands and isinstance(value, list) and value:
            hidden = {*OWN_SECRETS, *own}
            kept = {name: text for name, text in environment.items() if name not in hidden}
            return _run([str(part) for part in value], kept, folder)
    kinds = "{env = …}, {file = …}" + (" or {command = […]}" if commands else "")
    raise UsageError(f"a secret has the wrong form; give it as text, or as one of {kinds}")


def _read(path: Path, *, may_be_empty: bool) -> str:
    try:
        text = read_text_file(path).decode().replace("\r\n", "\n")
    except BackupError as problem:
        message = str(problem).removeprefix("cannot read ")
        raise UsageError(f"cannot read the secret file {message}") from None
    except UnicodeDecodeError:
        raise UsageError(f"the secret file {path} is not UTF-8 text; save it as UTF-8") from None
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret.strip() and not may_be_empty:
        raise UsageError(f"the secret file {path} is empty; write the secret into it")
    return secret


def _run(arguments: list[str], environment: Mapping[str, str], folder: Path) -> str:
    import subprocess  # noqa: PLC0415  few settings need it, and completion waits for every import

    # only its name, because the rest may contain a secret
    command_text = f"the command for a secret, {arguments[0]}"
    try:
        done = subprocess.run(  # noqa: S603  the operator's own command, without a shell
            arguments,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8-sig",
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"{command_text}, took longer than {COMMAND_SECONDS} seconds; run it by hand to see why"
        ) from None
    except OSError as problem:
        raise UsageError(
            f"{command_text}, cannot be started: {(problem.strerror or '').lower()}; {advice_on(problem)}"
        ) from None
    except ValueError:  # not UTF-8, or an argument with a null byte
        raise UsageError(
            f"{command_text}, failed: its arguments and its output must be text; run it by hand to see them"
        ) from None
    if done.returncode:
        raise UsageError(
            f"{command_text}, failed with exit status {done.returncode}; run it by hand to see why"
        )
    if not done.stdout.strip():
        raise UsageError(f"{command_text}, printed nothing on standard output; run it by hand to see why")
    return done.stdout.strip()
