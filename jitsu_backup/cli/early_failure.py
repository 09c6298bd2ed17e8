"""A run that fails before its command begins, such as with a wrong flag, is reported to monitor, metrics and log too."""

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from jitsu_backup.cli import signals
from jitsu_backup.cli.paths import home_folder, working_folder
from jitsu_backup.cli.terminal import at_terminal
from jitsu_backup.errors import BackupError
from jitsu_backup.settings.file import config_path
from jitsu_backup.store.files import read_text_file

_FLAGS = ("--ping", "--metrics", "--log-format", "--config")


def tell(arguments: Sequence[str], problem: BaseException) -> int | None:
    """Report to monitor, metrics and log that a command line ended with a `problem`.

    Return the exit code if the log contains what would be printed otherwise, else None. Flags are read one by one,
    because the whole command line cannot be parsed. If the command is unknown, assume a backup. Without arguments,
    report nothing. At a terminal, report it only to those whom the flags name.
    """
    if not arguments:
        return None
    given = {flag: _value(arguments, flag) for flag in _FLAGS}
    name = _command(arguments)
    of_backup = name in ("backup", "watch", "")
    config = Path(given["--config"]) if given["--config"] else None
    heard = given["--ping"] or given["--metrics"] or given["--log-format"] == "json"
    if not (heard or (of_backup and not at_terminal() and _somebody_is_named(config))):
        return None
    from jitsu_backup.cli.app import App  # noqa: PLC0415  slow to import, and nobody else needs it here
    from jitsu_backup.cli.unattended import MonitorFlags, watched  # noqa: PLC0415
    from jitsu_backup.operations.outgoing import is_address  # noqa: PLC0415

    options = dict.fromkeys(("host", "apikey", "store", "ca_bundle"))
    app = App({**options, "config": config, "as_json": False, "quiet": True, "verbose": False})
    app.logs = given["--log-format"] == "json"
    ping = given["--ping"] if is_address(given["--ping"] or "") else None
    metrics = (
        Path(given["--metrics"])
        if given["--metrics"] and (of_backup or name in ("verify", "drill"))
        else None
    )

    def ended() -> int:
        raise problem

    signals.handle_signals()
    try:
        return watched(app, name, ended, MonitorFlags(ping, metrics, heeds_settings=of_backup))
    except type(problem):
        return None  # it is printed as usual


def _command(arguments: Sequence[str]) -> str:
    """Return the command that a line names, or nearly names; an empty string if that is unclear."""
    from jitsu_backup.cli import cli, nearest_command  # noqa: PLC0415  it imports this module

    takes_value = {
        flag
        for option in cli.params
        if not getattr(option, "is_flag", False)
        for flag in (*option.opts, *_FLAGS)
    }
    words = iter(arguments)
    for word in words:
        if word in takes_value:
            next(words, None)
        elif not word.startswith("-"):
            return nearest_command(word)
    return ""


def _somebody_is_named(config: Path | None) -> bool:
    """Return whether environment or settings file seem to name a monitor or metrics; only then are settings read."""
    if any(os.environ.get(name) for name in ("JITSU_BACKUP_METRICS", "JITSU_BACKUP_PING")):
        return True
    try:
        path = config_path(config, os.environ, home_folder(), working_folder())
        text = b"" if path is None else read_text_file(path)
    except (BackupError, OSError, ValueError):
        return False
    return b"ping" in text or b"metrics" in text


def _value(arguments: Sequence[str], flag: str) -> str | None:
    """Return the last value of a flag, written `--flag value` or `--flag=value`; None if the flag is not given."""
    found = None
    for word, following in pairwise([*arguments, ""]):
        if word == flag:
            found = following
        elif word.startswith(f"{flag}="):
            found = word.partition("=")[2]
    return found
