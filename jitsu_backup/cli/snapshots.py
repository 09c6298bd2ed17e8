"""`jitsu-backup snapshots`."""

import click

from jitsu_backup.cli.common import App, pass_app
from jitsu_backup.cli.completing import complete_place
from jitsu_backup.errors import BackupError
from jitsu_backup.reports import archive_document, archive_table
from jitsu_backup.store import of_workspace


@click.command(
    "snapshots",
    epilog="Examples: jitsu-backup snapshots · jitsu-backup snapshots acme-production --json",
)
@click.argument("place", required=False, shell_complete=complete_place)
@pass_app
def command(app: App, place: str | None) -> int:
    """List the archives of the store, newest first, of one workspace or of all.

    Reads no archive: their names carry workspace, time, id, counts and marks.
    """
    found = app.archives()
    app.tell_of_strangers()
    if place is not None:
        workspace = app.settings.workspace_named(place)
        found = of_workspace(found, workspace)
        if not found:
            raise BackupError(f"no snapshot of workspace {workspace!r} in the store {app.store.url}")
    if app.as_json:
        app.emit({"store": app.store.url, "snapshots": [archive_document(archive) for archive in found]})
    elif found:
        app.out.print(archive_table(found))
    else:
        app.line(f"the store {app.store.url} is empty; jitsu-backup backup makes the first archive")
    return 0
