"""`jitsu-backup diff`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jitsu_backup.catalogue import Selector, known_schemas
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.files import check_page, write_page
from jitsu_backup.cli.opening import LIVE, open_snapshot, place_of_origin
from jitsu_backup.console.reader import read_schemas, read_workspace
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Snapshot, Source
from jitsu_backup.planning import Schemas, chosen, compare, schemas_needed
from jitsu_backup.reports import changes_document, changes_stat, changes_view
from jitsu_backup.reports.html import changes_page
from jitsu_backup.settings import Place

DIFFERENT = 4
"""How `--exit-code` says that there are differences."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: a snapshot, and the schemas of its console where that was asked."""

    snapshot: Snapshot
    schemas: Schemas | None = None


def diff(
    app: App,
    a: str,
    b: str | None,
    selectors: tuple[str, ...],
    stat: bool,
    exit_code: bool,
    html_out: Path | None,
) -> int:
    """Compare two sides and tell; give the exit code."""
    check_page(html_out)
    selects = [Selector(text) for text in selectors]
    if b is None and a.startswith(LIVE):
        raise UsageError(f"{a} is one side only; give the other one too, such as latest or {LIVE}PLACE")
    if b is not None and not b.startswith(LIVE) and a.startswith(LIVE):
        # what can be told without asking a console comes first
        app.settings.place(a.removeprefix(LIVE) or None)
        other = _side(app, b)
        one = _side(app, a)
    else:
        one = _side(app, a)
        other = _side(app, b) if b is not None else _read(app, _origin(app, one.snapshot.manifest.source))
    schemas = _widest(known_schemas(), one.schemas or {}, other.schemas or {})
    changes = chosen(compare(one.snapshot, other.snapshot, schemas), selects)
    if app.as_json:
        app.emit(changes_document(changes))
    elif stat:
        app.out.print(changes_stat(changes))
    else:
        app.out.print(changes_view(changes))
    write_page(app, html_out, lambda: changes_page(changes, only=selectors))
    return DIFFERENT if exit_code and changes.entities else 0


def _widest(*known: Schemas) -> Schemas:
    """Give of each schema the one that knows most fields: what it fills in is no difference on either side."""
    merged: dict[str, Any] = {}
    for schemas in known:
        for name, schema in schemas.items():
            if len(schema.get("properties", ())) >= len(merged.get(name, {}).get("properties", ())):
                merged[name] = schema
    return merged


def _origin(app: App, source: Source) -> Place:
    return place_of_origin(app, source, instead=f"say which workspace to compare with: {LIVE}PLACE")[1]


def _side(app: App, reference: str) -> Side:
    if reference.startswith(LIVE):
        place = reference.removeprefix(LIVE)
        return _read(app, app.settings.place(place or None))
    return Side(open_snapshot(app, reference)[1])


def _read(app: App, place: Place) -> Side:
    with app.progress() as report:

        async def read() -> Side:
            async with app.console(place, report) as console:
                snapshot = await read_workspace(console, place.workspace or "", now=utc_now, report=report)
                return Side(snapshot, await read_schemas(console, schemas_needed(snapshot.entities)))

        return run_async(read())
