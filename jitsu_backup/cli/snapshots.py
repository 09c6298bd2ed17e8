"""`jitsu-backup snapshots`."""

import click

from jitsu_backup.archive import ArchiveName, parse_name
from jitsu_backup.cli.common import App, pass_app
from jitsu_backup.errors import BackupError
from jitsu_backup.reports import archive_table


@click.command(
    "snapshots",
    epilog="Examples: jitsu-backup snapshots · jitsu-backup snapshots acme-production --json",
)
@click.argument("place", required=False)
@pass_app
def command(app: App, place: str | None) -> int:
    """List the archives of the store, newest first, of one workspace or of all.

    Reads no archive: their names carry workspace, time, id and marks.
    """
    workspace = app.settings.place(place).workspace if place and place.startswith("@") else place
    found = archives(app)
    if workspace is not None:
        found = [archive for archive in found if workspace in (archive.slug, archive.workspace_id)]
        if not found:
            raise BackupError(f"no snapshot of workspace {workspace!r} in the store {app.store.url}")
    if app.as_json:
        app.emit({"store": app.store.url, "snapshots": [archive_document(archive) for archive in found]})
    elif found:
        app.out.print(archive_table(found))
    else:
        app.line(f"the store {app.store.url} is empty; jitsu-backup backup makes the first archive")
    return 0


def archives(app: App) -> list[ArchiveName]:
    """Give what the store has, newest first."""
    named = (parse_name(name) for name in app.store.names())
    return sorted((a for a in named if a is not None), key=lambda a: (a.taken_at, str(a)), reverse=True)


def archive_document(archive: ArchiveName) -> dict[str, object]:
    """Describe an archive by its name."""
    return {
        "id": archive.digest_prefix,
        "workspace": archive.slug,
        "workspace_id": archive.workspace_id,
        "taken_at": archive.taken_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "marks": list(archive.marks),
        "encrypted": archive.encrypted,
        "archive": str(archive),
    }
