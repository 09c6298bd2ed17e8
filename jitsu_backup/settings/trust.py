"""Trust in settings files: a file that others can write must not name a command, a console or a key."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.model import members_of
from jitsu_backup.settings.schema import SECRET_KEYS, decides_who_is_trusted, tables_of
from jitsu_backup.settings.secret import open_to_others
from jitsu_backup.store.files import read_text_file


def refuse_file_of_others(path: Path, document: Mapping[str, Any], environment: Mapping[str, str]) -> None:
    """Raise UsageError for a possibly harmful file that was found, not named, and that others may have written."""
    why = _why_not_trusted(path, environment)
    if why is None:  # before the content is considered, which may be unchecked
        return
    harmful = decides_who_is_trusted(document)
    if harmful:
        message = _distrust(path, why, harmful, "name it with --config if you trust it")
        raise UsageError(f"settings file {message}")


def _distrust(path: Path, why: str, harmful: list[str], remedy: str) -> str:
    """Return the message that an untrusted file has possibly harmful settings, and what to do."""
    mend = "" if why.startswith("belongs") else "run chmod go-w on it, or "
    return f"{path}: it {why}, and sets {', '.join(harmful)}; {mend}{remedy}"


def _why_not_trusted(path: Path, environment: Mapping[str, str]) -> str | None:
    """Return how others may have written a file, or None if they cannot.

    Git treats repositories of other users in the same way. A user who calls us with sudo is trusted.
    """
    status, user = path.stat(), os.geteuid()
    caller = environment.get("SUDO_UID", "")
    trusted = {0, user, *([int(caller)] if user == 0 and caller.isascii() and caller.isdigit() else [])}
    if status.st_uid not in trusted:
        return f"belongs to another user ({status.st_uid})"
    return "can be written by others" if status.st_mode & 0o022 else None


def refuse_to_take_key_elsewhere(
    path: Path, host: str, values: Iterable[object], environment: Mapping[str, str]
) -> None:
    """Raise UsageError if a key in `values` is one of the environment, which a file in the working folder sends to `host`.

    `host` is a console that nothing but this file names.
    """
    for variable in ("JITSU_APIKEY", "JITSU_ADMIN_TOKEN"):
        if {"env": variable} in values and environment.get(variable):
            raise UsageError(
                f"settings file {path}: it would send {variable} to {host}, which nothing else names; if you trust the file, name"
                " it with --config, or set JITSU_HOST to that console too; if that console is the lost one, correct `host` in the"
                " file, and set JITSU_HOST to the new one"
            )


def warnings_of_open_file(path: Path, document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a warning about a file that others can read and that holds a secret, if it does."""
    found = (
        name for table in tables_of(document) for name in SECRET_KEYS if isinstance(table.get(name), str)
    )
    field = next(found, None)
    return (open_to_others(path, field),) if field and path.stat().st_mode & 0o077 else ()


def read_official_file(
    home: Path | None, environment: Mapping[str, str]
) -> tuple[Mapping[str, Any], str | None]:
    """Return the settings of the official jitsu-cli, and why its console and key must not be used, or None.

    A broken file of another tool counts as missing.
    """
    if home is None:
        return {}, None
    path = home / ".jitsu" / "jitsu-cli.json"
    try:
        document = json.loads(read_text_file(path))
        why = _why_not_trusted(path, environment)
    except (BackupError, OSError, ValueError, RecursionError):
        return {}, None
    names = {"host": "host", "key": "apikey", "workspace": "defaultWorkspace"}
    given = {name: members_of(document).get(theirs) for name, theirs in names.items()}
    found = {name: text for name, text in given.items() if isinstance(text, str)}
    harmful = decides_who_is_trusted(found)
    if why is None or not harmful:
        return found, None
    message = _distrust(path, why, harmful, "set JITSU_HOST and JITSU_APIKEY")
    return {name: text for name, text in found.items() if name not in harmful}, message
