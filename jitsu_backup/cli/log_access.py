"""How the audit log of a workspace is asked, as the settings tell it."""

from dataclasses import replace

from jitsu_backup.archive import ArchiveName
from jitsu_backup.cli.app import App
from jitsu_backup.cli.snapshot_argument import place_of_origin
from jitsu_backup.errors import BackupError
from jitsu_backup.model import Source
from jitsu_backup.operations.who import LogAccess


def log_access(app: App, source: Source, place: str | None = None) -> LogAccess:
    """Return how to ask the audit log of the workspace that snapshots came from.

    `place` is the PLACE by which the workspace was named, where it was. Raise BackupError, UsageError where the settings name no
    key to its console.
    """
    if place is None:
        found = place_of_origin(app, source, instead="the settings have to name its console, too")[1]
    else:
        found = app.settings.place(place or None)
    connection = app.connection(found, app.tell)
    token = found.admin_token
    return LogAccess(connection, None if token is None else replace(connection, key=token))


def known_archives(app: App) -> list[ArchiveName]:
    """Return what the store has, whose marks tell when this tool wrote; nothing where there is no store to ask."""
    try:
        return app.archives()
    except BackupError:
        return []
