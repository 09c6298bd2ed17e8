"""How to read the audit log of a workspace, according to the settings."""

from dataclasses import replace

from jitsu_backup.archive import ArchiveName
from jitsu_backup.cli.app import App
from jitsu_backup.cli.snapshot_argument import place_of_origin
from jitsu_backup.errors import BackupError
from jitsu_backup.model import Source
from jitsu_backup.operations.who import LogAccess


def log_access(app: App, source: Source, place: str | None = None) -> LogAccess:
    """Return how to read the audit log of the workspace that snapshots came from.

    `place` is the PLACE by which the workspace was named, None if it was not. Raise BackupError, UsageError if the settings
    name no key for its console.
    """
    if place is None:
        found = place_of_origin(app, source, instead="add a profile for the first one to the settings")[1]
    else:
        found = app.settings.place(place or None)
    connection = app.connection(found, app.tell)
    token = found.admin_token
    return LogAccess(connection, None if token is None else replace(connection, key=token))


def known_archives(app: App) -> list[ArchiveName]:
    """Return the archives of the store, whose marks show when this tool wrote; empty if there is no store."""
    try:
        return app.archives()
    except BackupError:
        return []
