"""Who hears of a run whose settings cannot be used."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.settings.file import (
    config_path,
    expand,
    read_document,
    readable_lines,
)
from jitsu_backup.settings.secret import SecretText, resolve_secret
from jitsu_backup.settings.trust import refuse_file_of_others


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who hears of a run whose settings cannot be used: the file of figures, and the URL of a monitor."""

    metrics: str | None
    ping: SecretText | None


def listeners(
    config: Path | None, environment: Mapping[str, str], home: Path | None, working_folder: Path
) -> Listeners:
    """Return who hears of a run, as the environment says, else a settings file, or its lines that are TOML. Run no command."""
    document, folder = _document_for_listeners(config, environment, home, working_folder)
    metrics = environment.get("JITSU_BACKUP_METRICS") or document.get("metrics")
    ping: Any = environment.get("JITSU_BACKUP_PING") or document.get("ping")
    if isinstance(ping, Mapping):
        try:
            ping = resolve_secret(ping, environment, folder)
        except UsageError:
            ping = None
    return Listeners(
        expand(metrics, home) if isinstance(metrics, str) and metrics else None,
        SecretText(ping) if isinstance(ping, str) and ping else None,
    )


def _document_for_listeners(
    config: Path | None, environment: Mapping[str, str], home: Path | None, working_folder: Path
) -> tuple[Mapping[str, Any], Path]:
    """Return what a settings file says, whatever is wrong with it, and its folder; nothing of one that is not trusted."""
    try:
        path = config_path(config, environment, home, working_folder)
        if path is None:
            return {}, working_folder
        try:
            document = read_document(path)
        except UsageError:
            document = readable_lines(path)
        if config is None and not environment.get("JITSU_BACKUP_CONFIG"):
            refuse_file_of_others(path, document, environment)
    except (BackupError, OSError, ValueError, AttributeError):
        return {}, working_folder
    return document, path.parent
