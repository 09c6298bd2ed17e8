"""`jitsu-backup snapshots`."""

from jitsu_backup.archive import named_sources
from jitsu_backup.cli.app import App, utc_now
from jitsu_backup.reports import archive_document, archive_table
from jitsu_backup.store import latest_of_each, named_archives, shown_url


def snapshots(app: App, place: str | None) -> int:
    """List the archives; return the exit code."""
    found = app.archives()
    sources = named_sources(found, app.settings.hosts_named())
    app.tell_of_strangers()
    if place is not None:
        found = named_archives(found, app.settings.workspace_named(place), app.store.url)
    if app.as_json:
        lines = [
            {**archive_document(one), "cloned_from": sources.get(one.cloned_from or "")} for one in found
        ]
        app.emit({"store": app.store.url, "snapshots": lines})
    elif found:
        app.out.print(archive_table(found, sources, latest_of_each(found, utc_now())))
    else:
        app.line(f"The store {shown_url(app.store.url)} is empty. To create the first archive:")
        app.line(f"  {app.again('backup')}")
    return 0
