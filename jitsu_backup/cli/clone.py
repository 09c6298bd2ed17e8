"""`jitsu-backup clone`."""

from dataclasses import replace
from typing import Any

from jitsu_backup.alarms import reasons_in_words
from jitsu_backup.catalogue import names_of_refused
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.applying import apply, refuse_own_keys, split_options
from jitsu_backup.cli.files import check_page
from jitsu_backup.errors import IncompleteError
from jitsu_backup.events import Reporter
from jitsu_backup.exporter import read_workspace
from jitsu_backup.model import Snapshot
from jitsu_backup.settings import Place


def clone(app: App, source: str, target: str, **given: Any) -> int:
    """Read one workspace and apply it to the other; give the exit code."""
    check_page(given["html_out"])
    origin, place = app.settings.place(source), app.settings.place(target)
    options, run = split_options(given, target, given["overlay"] or place.overlay)
    refuse_own_keys(options, origin)
    with app.progress() as report:
        snapshot = run_async(_read(app, origin, report))
    if not snapshot.manifest.complete:
        names = names_of_refused(snapshot)
        lacking = [(names[r.what], r.reason) for r in snapshot.manifest.refused if r.missing]
        what = reasons_in_words(lacking) or "it kept changing while it was read"
        raise IncompleteError(f"{source} could not be read whole, so nothing was cloned: {what}")
    return apply(app, place, snapshot, options, replace(run, elsewhere=True, command="clone"))


async def _read(app: App, origin: Place, report: Reporter) -> Snapshot:
    async with app.console(origin, report) as console:
        return await read_workspace(console, origin.workspace or "", now=utc_now, report=report)
