"""`jitsu-backup diff`."""

from pathlib import Path

from jitsu_backup.catalogue import Selector
from jitsu_backup.cli import DIFFERENT
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.files import check_pages, write_page
from jitsu_backup.cli.snapshot_argument import LIVE, open_snapshot, place_of_origin
from jitsu_backup.errors import UsageError
from jitsu_backup.operations import diff as comparing
from jitsu_backup.operations.diff import Side, read_side
from jitsu_backup.reports import changes_document, changes_stat, changes_view
from jitsu_backup.reports.html import changes_page
from jitsu_backup.reports.markdown import changes_markdown
from jitsu_backup.settings import Place


def diff(
    app: App,
    a: str,
    b: str | None,
    selectors: tuple[str, ...],
    stat: bool,
    exit_code: bool,
    html_out: Path | None,
    markdown_out: Path | None,
) -> int:
    """Compare two sides and show what differs; return the exit code."""
    check_pages(html_out, markdown_out)
    selects = [Selector(text) for text in selectors]
    changes = comparing.diff(*_sides(app, a, b), selects)
    if app.as_json:
        app.emit(changes_document(changes))
    elif stat:
        app.out.print(changes_stat(changes))
    else:
        app.out.print(changes_view(changes))
    write_page(app, html_out, lambda: changes_page(changes, only=selectors))
    write_page(app, markdown_out, lambda: changes_markdown(changes))
    return DIFFERENT if exit_code and changes.entities else 0


def _sides(app: App, a: str, b: str | None) -> tuple[Side, Side]:
    """Return both sides. What can be refused without asking a console is looked at first."""
    if b is None:
        if a.startswith(LIVE):
            raise UsageError(f"{a} is one side only; give the other one too, such as latest or {LIVE}PLACE")
        one = _side(app, a)
        instead = f"say which workspace to compare with: {LIVE}PLACE"
        return one, _read(app, place_of_origin(app, one.snapshot.manifest.source, instead=instead)[1])
    if a.startswith(LIVE) and not b.startswith(LIVE):
        app.settings.place(a.removeprefix(LIVE) or None)
        other = _side(app, b)
        return _side(app, a), other
    return _side(app, a), _side(app, b)


def _side(app: App, reference: str) -> Side:
    if reference.startswith(LIVE):
        return _read(app, app.settings.place(reference.removeprefix(LIVE) or None))
    return Side(open_snapshot(app, reference)[1])


def _read(app: App, place: Place) -> Side:
    with app.progress() as report:
        return run_async(read_side(app.connection(place, report), place.workspace or "", now=utc_now))
