"""`jitsu-backup history`."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from jitsu_backup.archive import ArchiveName
from jitsu_backup.catalogue import CATALOGUE, Selector, check_type
from jitsu_backup.cli import DIFFERENT
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.files import check_pages, write_page
from jitsu_backup.cli.log_access import known_archives, log_access
from jitsu_backup.cli.paths import cache_folder
from jitsu_backup.errors import BackupError, IncompleteError, UsageError
from jitsu_backup.model import plural, some_of
from jitsu_backup.operations.history import history as read_history
from jitsu_backup.operations.who import attribute, not_asked, not_elsewhere
from jitsu_backup.planning.history import History
from jitsu_backup.planning.history_ignored import without_ignored
from jitsu_backup.planning.history_steps import named_nowhere, narrowed
from jitsu_backup.reports.history import Command, history_lines, history_stat, history_view, stat_document
from jitsu_backup.reports.history_markdown import history_markdown
from jitsu_backup.reports.history_page import history_page
from jitsu_backup.store import named_archives, period


def history(
    app: App,
    place: str | None,
    selector: str | None,
    patch: bool,
    since: str | None,
    until: str | None,
    who: bool,
    stat: bool,
    exit_code: bool,
    html_out: Path | None,
    markdown_out: Path | None,
) -> int:
    """Show the changes over all snapshots; return the exit code."""
    check_pages(html_out, markdown_out)
    now = utc_now()
    begin, end = (
        None if since is None else period(since, now)[0],
        None if until is None else period(until, now)[1],
    )
    if begin is not None and end is not None and begin >= end:
        raise UsageError(f"--since {since} is not before --until {until}; choose an earlier one")
    archives, chosen = _choice(app, place, selector)
    if any(archive.encrypted for archive in archives):
        app.keys.check_identities()
    cache = cache_folder(os.environ)
    with app.progress() as report:
        found = run_async(
            read_history(
                app.store,
                archives,
                app.keys,
                now=now,
                cache=None if cache is None else cache / "history",
                report=report,
            )
        )
    _check(app, found, chosen)
    named = _attributed(app, found, place, begin, end) if who else found
    told_who = list(zip(found, named, strict=True))
    found, named = ([_without_ignored(app, one) for one in histories] for histories in (found, named))
    shown = [narrowed(one, chosen, begin, end) for one in named]
    command = app.again_with_keys(archives)
    _print(app, shown, command, patch=patch, who=who, stat=stat)
    only = [one.text for one in chosen]
    write_page(app, html_out, lambda: history_page(found, command, shown=shown, only=only))
    write_page(app, markdown_out, lambda: history_markdown(shown, command, patch=patch, who=who))
    unread = [line for one in shown for line in one.unread]
    _tell(app, [narrowed(one, chosen, begin, end) for one in found], unread)
    _tell_who(app, told_who)
    if unread:
        return IncompleteError.exit_code
    return DIFFERENT if exit_code and any(one.steps for one in shown) else 0


def _attributed(
    app: App, found: Sequence[History], place: str | None, since: datetime | None, until: datetime | None
) -> list[History]:
    """Return histories that name who made the changes, with a note if the console could not be asked."""
    known: dict[str, list[ArchiveName]] = defaultdict(list)
    for archive in known_archives(app):
        known[archive.workspace_id].append(archive)
    profile = place if place is not None and place.startswith("@") else None
    named = []
    for one in found:
        if one.newest is None:
            named.append(one)
            continue
        source = one.newest.manifest.source
        try:
            elsewhere = profile and one.console not in ("", app.settings.place(profile).host)
            access = log_access(app, source, None if elsewhere else profile)
        except BackupError as problem:
            changed = narrowed(one, (), since, until).steps
            named.append(replace(one, notes=(*one.notes, not_asked(problem))) if changed else one)
            continue
        own = not_elsewhere(known[one.workspace_id], one, found)
        named.append(run_async(attribute(one, access, own, since=since, until=until)))
    return named


def _without_ignored(app: App, history: History) -> History:
    """Return a history without the fields that the settings ignore in its workspace. Raise UsageError."""
    if history.newest is None:
        return history
    source = history.newest.manifest.source
    guard = app.settings.guard(source.host, (source.workspace_id, source.slug))
    return without_ignored(history, guard.ignore)


def _tell_who(app: App, told: Iterable[tuple[History, History]]) -> None:
    """Print once what the audit log could not answer. Each pair is a history without and with authors."""
    by_note: dict[str, list[str]] = defaultdict(list)
    for before, after in told:
        for note in after.notes[len(before.notes) :]:
            by_note[note].append(after.called)
    for note, slugs in by_note.items():
        app.say(f"{some_of(slugs, 3)}: {note}")


def _choice(app: App, place: str | None, selector: str | None) -> tuple[list[ArchiveName], list[Selector]]:
    """Return the archives and the selector that the arguments mean. A single argument may be either.

    Raise BackupError if the store has no archive.
    """
    known = app.archives()
    app.tell_of_strangers()
    if place is not None and selector is None and _is_selector(place, known):
        place, selector = None, place
    chosen = [] if selector is None else [Selector(selector)]
    if place is None:
        if not known:
            raise BackupError(
                f"the store {app.store.url} is empty; create the first archive with `{app.again('backup')}`"
            )
        return known, chosen
    workspace = app.settings.workspace_named(place)
    return named_archives(known, workspace, app.store.url), chosen


def _is_selector(word: str, known: Iterable[ArchiveName]) -> bool:
    """Return whether a word names entities rather than a workspace of the store."""
    if word.startswith("@") or any(archive.belongs_to(word) for archive in known):
        return False
    return "/" in word or "*" in word or word in CATALOGUE


def _check(app: App, found: Sequence[History], chosen: Iterable[Selector]) -> None:
    """Raise UsageError for a selector with an unknown type, and for one that names a single entity and finds none.

    For any other selector that finds nothing, print a note.
    """
    types = {change.change.type for one in found for step in one.steps for change in step.changes}
    types |= {name for one in found if one.newest is not None for name in one.newest.manifest.counts}
    for selector in chosen:
        check_type(selector, "SELECTOR", types)
        if not named_nowhere(found, selector):
            continue
        message = f"no entity in these snapshots matches {selector.text!r}"
        remedy = "see what exists with `show latest '*'`, or what changed with `jitsu-backup history --stat`"
        if selector.exact:
            raise UsageError(f"{message}; {remedy}")
        app.say(f"{message}; {remedy}")


def _print(
    app: App, shown: Sequence[History], command: Command, *, patch: bool, who: bool, stat: bool
) -> None:
    if app.as_json and stat:
        app.emit(stat_document(shown))
    elif app.as_json:
        for line in history_lines(shown, command, who=who):
            app.emit_line(line)
    else:
        view = history_view(shown, command, patch=patch, who=who, verbose=app.verbose)
        for part in history_stat(shown) if stat else view:
            _print_part(app, part)


def _print_part(app: App, part: RenderableType) -> None:
    """Print a part of a view. Text is not wrapped, because it contains commands."""
    if isinstance(part, Text) and not app.out.is_terminal:  # faster, for thousands of snapshots
        app.out.file.write(f"{part.plain}\n")
    else:
        app.out.print(part, soft_wrap=isinstance(part, Text))


def _tell(app: App, shown: Iterable[History], unread: Iterable[tuple[ArchiveName, str]]) -> None:
    """Print what is ignored and what could not be read, once each."""
    for one in shown:
        for note in one.notes:
            app.say(f"{one.called}: {note}")
    by_reason: dict[str, list[str]] = defaultdict(list)
    for archive, why in unread:
        by_reason[why].append(archive.reference)
    for why, names in by_reason.items():
        app.problem(f"{plural(len(names), 'archive')} not read ({some_of(names, 3)}): {why}")
