"""A run that ends before its command begins, as with a wrong flag: those who hear of runs hear of this one too."""

import os
from collections.abc import Sequence
from pathlib import Path

from jitsu_backup.cli.paths import home_folder, working_folder
from jitsu_backup.errors import BackupError
from jitsu_backup.settings.file import config_path
from jitsu_backup.store.files import read_text_file

_WATCHED = ("backup", "verify", "prune")
_FLAGS = ("--ping", "--metrics", "--log-format", "--config")


def tell(arguments: Sequence[str], problem: BaseException) -> int | None:
    """Tell the monitor, the figures and the log that a command line ended with a `problem`.

    Return the exit code where the log takes up what else would be printed, else None. Flags are read as they stand:
    the command line as a whole is one that cannot be understood.
    """
    given = {flag: _value(arguments, flag) for flag in _FLAGS}
    name = next((word for word in arguments if word in _WATCHED), "")
    config = Path(given["--config"]) if given["--config"] else None
    heard = given["--ping"] or given["--metrics"] or given["--log-format"] == "json"
    if not (heard or (name == "backup" and _somebody_is_named(config))):
        return None
    from jitsu_backup.cli.app import App  # noqa: PLC0415  slow to import, and nobody else needs it here
    from jitsu_backup.cli.unattended import Hearing, is_address, watched  # noqa: PLC0415

    options = dict.fromkeys(("host", "apikey", "store", "ca_bundle"))
    app = App({**options, "config": config, "as_json": False, "quiet": True, "verbose": False})
    app.logs = given["--log-format"] == "json"
    ping = given["--ping"] if is_address(given["--ping"] or "") else None
    metrics = Path(given["--metrics"]) if given["--metrics"] and name != "prune" else None

    def ended() -> int:
        raise problem

    try:
        return watched(app, name or "jitsu-backup", ended, Hearing(ping, metrics, pings=name == "backup"))
    except type(problem):
        return None  # and is printed as always


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
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word == flag:
            found = following
        elif word.startswith(f"{flag}="):
            found = word.partition("=")[2]
    return found
