"""A run that ends before its command begins, as with a wrong flag: those who hear of runs hear of this one too."""

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from jitsu_backup.cli.paths import home_folder, working_folder
from jitsu_backup.errors import BackupError
from jitsu_backup.settings.file import config_path
from jitsu_backup.store.files import read_text_file

_FLAGS = ("--ping", "--metrics", "--log-format", "--config")


def tell(arguments: Sequence[str], problem: BaseException) -> int | None:
    """Tell the monitor, the figures and the log that a command line ended with a `problem`.

    Return the exit code where the log takes up what else would be printed, else None. Flags are read as they stand:
    the command line as a whole is one that cannot be understood. One whose command cannot even be guessed may have been
    meant as a backup. Without any argument nothing was to be run, and nobody is told.
    """
    if not arguments:
        return None
    given = {flag: _value(arguments, flag) for flag in _FLAGS}
    name = _command(arguments)
    of_backup = name in ("backup", "")
    config = Path(given["--config"]) if given["--config"] else None
    heard = given["--ping"] or given["--metrics"] or given["--log-format"] == "json"
    if not (heard or (of_backup and _somebody_is_named(config))):
        return None
    from jitsu_backup.cli.app import App  # noqa: PLC0415  slow to import, and nobody else needs it here
    from jitsu_backup.cli.unattended import Hearing, is_address, watched  # noqa: PLC0415

    options = dict.fromkeys(("host", "apikey", "store", "ca_bundle"))
    app = App({**options, "config": config, "as_json": False, "quiet": True, "verbose": False})
    app.logs = given["--log-format"] == "json"
    ping = given["--ping"] if is_address(given["--ping"] or "") else None
    metrics = Path(given["--metrics"]) if given["--metrics"] and (of_backup or name == "verify") else None

    def ended() -> int:
        raise problem

    try:
        return watched(app, name, ended, Hearing(ping, metrics, pings=of_backup))
    except type(problem):
        return None  # and is printed as always


def _command(arguments: Sequence[str]) -> str:
    """Return the command that a line names, or nearly; empty where nobody can tell which."""
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
    """Tell whether environment or settings file seem to name a monitor or figures; only then are the settings looked at."""
    if any(os.environ.get(name) for name in ("JITSU_BACKUP_METRICS", "JITSU_BACKUP_PING")):
        return True
    try:
        path = config_path(config, os.environ, home_folder(), working_folder())
        text = b"" if path is None else read_text_file(path)
    except (BackupError, OSError, ValueError):
        return False
    return b"ping" in text or b"metrics" in text


def _value(arguments: Sequence[str], flag: str) -> str | None:
    """Return what the last of a flag says, written `--flag value` or `--flag=value`; None without one."""
    found = None
    for word, following in pairwise([*arguments, ""]):
        if word == flag:
            found = following
        elif word.startswith(f"{flag}="):
            found = word.partition("=")[2]
    return found
