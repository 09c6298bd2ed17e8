"""`jitsu-backup diff`."""

from dataclasses import replace
from pathlib import Path

from jitsu_backup.catalogue import Selector
from jitsu_backup.cli import DIFFERENT
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.apply_options import sets_beside
from jitsu_backup.cli.files import check_outside, check_pages, opened_overlay, write_page
from jitsu_backup.cli.log_access import known_archives, log_access
from jitsu_backup.cli.snapshot_argument import LIVE, Live, open_snapshot, place_of_origin
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.model import Snapshot, some_of
from jitsu_backup.operations import diff as comparing
from jitsu_backup.operations.clone_record import record_between
from jitsu_backup.operations.diff import Side, read_side
from jitsu_backup.operations.folder import is_folder
from jitsu_backup.operations.saved_plan import split_mapping
from jitsu_backup.operations.who import attribute_diff, not_asked
from jitsu_backup.planning import Changes, Overlay, PlanOptions, same_workspace
from jitsu_backup.planning.attribution import Attribution, chosen_passing
from jitsu_backup.reports import changes_document, changes_stat, changes_view
from jitsu_backup.reports.html import changes_page
from jitsu_backup.reports.markdown import changes_markdown
from jitsu_backup.settings import Guard, Place


def diff(
    app: App,
    a: str,
    b: str | None,
    selectors: tuple[str, ...],
    sets: tuple[str, ...],
    overlay: Path | None,
    mapping: tuple[str, ...],
    match_by_name: bool,
    stat: bool,
    who: bool,
    exit_code: bool,
    html_out: Path | None,
    markdown_out: Path | None,
) -> int:
    """Compare two sides and show what differs; return the exit code."""
    check_pages(html_out, markdown_out)
    for side in (a, b or ""):
        if is_folder(Path(side)):
            check_outside(Path(side), {"--html": html_out, "--markdown": markdown_out})
    only, skip = app.settings.selection(sets)
    named = sets_beside(app.settings, sets, selectors)
    selectors = (*selectors, *only)
    before, after = _sides(app, a, b)
    guards = [_guard(app, side) for side in (before, after)]
    ignored = tuple(dict.fromkeys(text for guard in guards for text in guard.ignore))
    rules = Overlay() if overlay is None else opened_overlay(app, overlay).parse()
    if elsewhere := rules.of(before.snapshot.manifest.source).elsewhere:
        others = some_of(list(elsewhere), 3)
        if rules.rules:
            app.warn(
                f"of overlay {overlay}, only the tables for all workspaces are used: the others are for {others}"
            )
        else:
            app.warn(f"overlay {overlay} is not used: its tables are for {others}")
    options = PlanOptions(
        overlay=rules,
        mapping=tuple(map(split_mapping, mapping)),
        match_by_name=match_by_name,
        ignored=ignored,
        record=_record(app, before, after),
        sets=named,
    )
    changes = comparing.diff(
        before, after, map(Selector, selectors), skip=map(Selector, skip), options=options
    )
    found = _who(app, (a, b), changes) if who else None
    if found is not None:
        passing = chosen_passing(found.passing, list(map(Selector, selectors)), list(map(Selector, skip)))
        found = replace(found, passing=passing)
    if app.as_json:
        app.emit(changes_document(changes, found))
    elif stat:
        app.out.print(changes_stat(changes))
    else:
        app.out.print(changes_view(changes, found))
    write_page(app, html_out, lambda: changes_page(changes, only=selectors, who=found))
    write_page(app, markdown_out, lambda: changes_markdown(changes, found))
    return DIFFERENT if exit_code and changes.entities else 0


def _sides(app: App, a: str, b: str | None) -> tuple[Side, Side]:
    """Return both sides. Check first what can be checked without a console."""
    if b is None:
        if a.startswith(LIVE):
            latest = app.again("diff", a.removeprefix(LIVE) or "latest")
            raise UsageError(
                f"{a} is only one side; name the other one before it, or compare the latest snapshot with it: `{latest}`"
            )
        one = _side(app, a, app.settings.place)
        source = one.snapshot.manifest.source
        command = app.again("diff", a, f"{LIVE}{source.slug or 'PLACE'}")
        instead = f"name the workspace to compare with, such as `{command}`"
        return one, _read(app, place_of_origin(app, source, instead=instead)[1])
    if a.startswith(LIVE) and not b.startswith(LIVE):
        place = app.settings.place(a.removeprefix(LIVE) or None)
        other = _side(app, b, lambda _: place)
        return _side(app, a), other
    live = None if not b.startswith(LIVE) else lambda _: app.settings.place(b.removeprefix(LIVE) or None)
    return _side(app, a, live), _side(app, b)


def _who(app: App, sides: tuple[str, str | None], changes: Changes) -> Attribution:
    """Return who made the changes; if the audit log cannot be read, a note says why. Raise UsageError for two workspaces."""
    if not same_workspace(changes.before, changes.after):
        raise UsageError(
            "--who compares two states of one workspace, but these are two workspaces; leave it out"
        )
    live = next((side.removeprefix(LIVE) for side in sides if side and side.startswith(LIVE)), None)
    try:
        access = log_access(app, changes.after.manifest.source, live)
    except BackupError as problem:
        return Attribution(notes=(not_asked(problem),))
    return run_async(attribute_diff(changes, access, known_archives(app)))


def _record(app: App, before: Side, after: Side) -> Snapshot | None:
    """Return the record of the last clone between both sides, if any, which says which entities correspond."""
    one, other = before.snapshot, after.snapshot
    if same_workspace(one, other):
        return None
    return run_async(record_between(app.store, app.keys, one, other, now=utc_now(), report=app.tell))


def _guard(app: App, side: Side) -> Guard:
    source = side.snapshot.manifest.source
    return app.settings.guard(source.host, (source.workspace_id, source.slug))


def _side(app: App, reference: str, live: Live = None) -> Side:
    if reference.startswith(LIVE):
        return _read(app, app.settings.place(reference.removeprefix(LIVE) or None))
    return Side(open_snapshot(app, reference, live)[1])


def _read(app: App, place: Place) -> Side:
    with app.progress() as report:
        return run_async(read_side(app.connection(place, report), place.workspace or "", now=utc_now))
