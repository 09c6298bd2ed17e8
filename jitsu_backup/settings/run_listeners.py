"""Whom to notify of a run whose settings cannot be used."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.settings.file import config_path, expand, read_document, readable_lines
from jitsu_backup.settings.secret import SecretText, resolve_secret
from jitsu_backup.settings.trust import refuse_file_of_others


@dataclass(frozen=True, slots=True)
class Listeners:
    """Whom to notify of a run: the path of the metrics file, and the URL of a monitor."""

    metrics: str | None
    ping: SecretText | None


def listeners(
    config: Path | None, environment: Mapping[str, str], home: Path | None, working_folder: Path
) -> Listeners:
    """Return whom to notify, from the environment, the settings file or its valid lines. Run no command, never raise."""
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
    """Return the content of a settings file, even a broken one, and its folder. Untrusted files have no content."""
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
    except (BackupError, OSError, ValueError, AttributeError, TypeError):
        return {}, working_folder
    return document, path.parent
