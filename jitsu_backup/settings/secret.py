"""Secrets that do not show themselves, and references to them."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jitsu_backup.errors import UsageError

COMMAND_SECONDS = 30


@dataclass(frozen=True, slots=True)
class SecretText:
    """A secret whose `repr` and `str` are `***`."""

    _text: str = field(repr=False)

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "***"

    __str__ = __repr__

    def reveal(self) -> str:
        """Give the secret itself."""
        return self._text


def resolve_secret(
    reference: Mapping[str, Any], environment: Mapping[str, str], folder: Path, *, commands: bool = False
) -> str:
    """Give the secret behind `{env = "NAME"}`, `{file = "path"}` or, where allowed, `{command = [...]}`.

    Paths are relative to `folder`. One newline at a file's end is not part of the
    secret. Raises UsageError, which names the place, never the secret.
    """
    if len(reference) == 1:
        (kind, value), *_ = reference.items()
        if kind == "env" and isinstance(value, str):
            if not environment.get(value):
                raise UsageError(f"the environment variable {value} is not set, or empty")
            return environment[value]
        if kind == "file" and isinstance(value, str):
            return _read(folder / Path(value).expanduser())
        if kind == "command" and commands and isinstance(value, list) and value:
            return _run([str(part) for part in value], folder)
    kinds = "{env = …}, {file = …}" + (" or {command = […]}" if commands else "")
    raise UsageError(f"a secret is given as text, or as one of {kinds}")


def _read(path: Path) -> str:
    try:
        text = path.read_text()
    except OSError as problem:
        raise UsageError(f"cannot read the secret file {path}: {(problem.strerror or '').lower()}") from None
    except UnicodeDecodeError:
        raise UsageError(f"the secret file {path} is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")


def _run(arguments: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(  # noqa: S603  the operator's own command, without a shell
            arguments, cwd=folder, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as problem:
        raise UsageError(
            f"the command for a secret, {arguments[0]}, failed ({type(problem).__name__})"
        ) from None
    return done.stdout.strip()
