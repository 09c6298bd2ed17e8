"""SNAPSHOT on the command line: a path, a URL or an archive of the store; and the PLACE that a snapshot came from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from jitsu_backup.addresses import without_credentials
from jitsu_backup.archive import PRE_RESTORE, ArchiveName, parse_name, safe_text
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.paths import home_folder
from jitsu_backup.console import Console
from jitsu_backup.console.workspaces import find_workspace
from jitsu_backup.errors import BackupError, SeveralWorkspacesError, UsageError
from jitsu_backup.model import Snapshot, Source
from jitsu_backup.operations import snapshots
from jitsu_backup.operations.folder import Folder, is_folder, open_folder
from jitsu_backup.operations.promoted import PROMOTED, last_promotion
from jitsu_backup.operations.undo import LastRun, last_run
from jitsu_backup.settings import Place, expand
from jitsu_backup.store import find, of_workspace, shown_url

_PATHS = ("/", "./", "../", "file:")
"""Beginnings that mean a path, never a name in the store."""
_FOLDERS = (".", "..")

LIVE = "live:"
"""Begins a side of `diff` that is the current workspace."""


Live = Callable[[str], Place] | None
"""A function that returns the place that a command reads or writes, for the workspace that SNAPSHOT names; None without one."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What SNAPSHOT means: its name or path, the snapshot, and the folder if it is one of `unpack`."""

    name: str
    snapshot: Snapshot
    folder: Folder | None = None


def open_source(app: App, reference: str, live: Live = None) -> Opened:
    """Return what SNAPSHOT means, which may be a folder of `unpack`. Raise BackupError, UsageError, IntegrityError.

    If it could be of several workspaces, the one that exists at the place `live` is meant.
    """
    text = expand(reference, home_folder())
    path = Path(text.removeprefix("file://localhost").removeprefix("file://"))
    if is_folder(path) or (path.is_dir() and _is_path(text)):
        folder = open_folder(path)
        return Opened(str(path), folder.snapshot, folder)
    try:
        return Opened(*_open_archive(app, text, path, live))
    except UsageError as problem:
        if not path.is_dir():
            raise
        raise problem.with_context(after=f"; the folder {path} was not written by `unpack`") from None


def _is_path(text: str) -> bool:
    """Return whether a text can only be the path of a folder."""
    return text.startswith(_PATHS) or text.endswith("/") or text in _FOLDERS


def open_snapshot(app: App, reference: str, live: Live = None) -> tuple[str, Snapshot]:
    """Return the name or path and the snapshot that SNAPSHOT means, as `open_source` does."""
    found = open_source(app, reference, live)
    return found.name, found.snapshot


def _open_archive(app: App, reference: str, path: Path, live: Live) -> tuple[str, Snapshot]:
    named = parse_name(reference)
    if not path.is_file() and named is not None:
        return open_stored(app, named)
    if "://" in reference and (not reference.startswith("file:") or "@" in reference.split("/")[2]):
        return _open_url(app, reference)
    if path.is_file() or reference.endswith((".gz", ".json", ".age")) or reference.startswith(_PATHS):
        return str(path), snapshots.open_file(path, app.keys)
    reference = _in_words_of_the_store(app, reference)
    known = app.archives()
    workspace, slash, word = reference.rpartition("/")
    if slash and word == PROMOTED:
        kept, record = run_async(
            last_promotion(known, workspace, app.store, app.keys, now=utc_now(), report=app.tell)
        )
        return str(kept), record
    choose = partial(
        snapshots.choose_archive, known, store=app.store, now=utc_now(),
        shrink_alarm=app.settings.shrink_alarm, report=app.tell,
    )  # fmt: skip
    try:
        found = choose(reference=reference)
    except SeveralWorkspacesError as problem:
        if not slash:
            raise
        newest = run_async(snapshots.newest_hosts(problem.workspace_ids, known, app.store, app.keys))
        there = None if live is None else _that_lives(app, live(workspace), newest)
        if there is None:
            raise snapshots.several_workspaces(reference, newest) from None
        app.say(f"{workspace} names several workspaces of the store; the one that exists is used, {there}")
        found = choose(reference=f"{there}/{word}")
    name, snapshot = open_stored(app, found)
    snapshots.check_digest(reference, found, snapshot)
    return name, snapshot


def _that_lives(app: App, place: Place, newest: Iterable[tuple[ArchiveName, str | None]]) -> str | None:
    """Return the id of the workspace at a place if one of the archives is of it, on the same console."""
    try:
        now = run_async(_id_of(app.console(place, app.tell), place.workspace or ""))
    except BackupError:  # only a guess is lost: the person chooses
        return None
    of_place = (one.workspace_id for one, host in newest if host == place.host)
    return next((one for one in of_place if one == safe_text(now)), None)


def open_stored(app: App, archive: ArchiveName) -> tuple[str, Snapshot]:
    """Return the name and the snapshot of an archive of the store. Raise BackupError, IntegrityError."""
    again = app.again_with_keys([archive])
    return str(archive), run_async(snapshots.open_stored(archive, app.store, app.keys, again))


def find_last_run(app: App, place: Place) -> LastRun:
    """Return the last restore or clone that wrote into the workspace of a place. Raise what `last_run` raises.

    A name that the store does not have may be a new slug, and one that several workspaces had may be of another console, so
    the console is asked for the workspace.
    """
    known, workspace, host = app.archives(), place.workspace, None
    if workspace is not None:
        host = place.host
        theirs = of_workspace(known, workspace)
        ambiguous = len({one.workspace_id for one in theirs if PRE_RESTORE in one.marks}) > 1
        if ambiguous or not theirs:
            now = run_async(_id_of(app.console(place, app.tell), workspace))
            workspace = (
                now if ambiguous or of_workspace(known, now) else workspace
            )  # unchanged, for the message
    return run_async(
        last_run(known, workspace, app.store, app.keys, now=utc_now(), report=app.tell, host=host)
    )


async def _id_of(console: Console, workspace: str) -> str:
    async with console:
        return (await find_workspace(console, workspace)).id


def _open_url(app: App, url: str) -> tuple[str, Snapshot]:
    if (shown := without_credentials(url)) != url:
        raise UsageError(
            f"snapshot {shown}: the URL has credentials or options; put them into the environment instead"
        )
    folder, _, last = url.rpartition("/")
    if "://" not in folder:
        shown = shown_url(url)
        raise UsageError(
            f"{shown} is a store, not a snapshot; give --store {shown} and a snapshot such as latest"
        )
    there = App({**app.options, "store": folder}, logs=app.logs, notices=app.notices, gates=app.gates)
    name, snapshot = open_stored(there, parse_name(last) or find(there.archives(), last, utc_now()))
    return f"{folder}/{name}", snapshot


def _in_words_of_the_store(app: App, reference: str) -> str:
    """Return a reference with the workspace that its @profile names. Raise UsageError for a live workspace."""
    workspace, slash, last = reference.rpartition("/")
    if reference.startswith(LIVE) or last.startswith(LIVE):
        place = last.removeprefix(LIVE)
        raise UsageError(
            f"{reference!r} is a live workspace, which only diff accepts; use {place}/latest for its newest snapshot in the store"
        )
    if slash and last.startswith("@"):
        raise UsageError(f"{reference!r} has its workspace after the slash; use {last}/{workspace}")
    if last.startswith("@"):
        named = app.settings.workspace_named(last)
        app.say(
            f"{last} is a workspace, so its latest snapshot is used ({LIVE}{last} means the live workspace, for diff)"
        )
        return f"{named}/latest"
    return f"{app.settings.workspace_named(workspace)}/{last}" if slash else reference


def place_of_origin(app: App, source: Source, *, instead: str) -> tuple[str, Place]:
    """Return the PLACE that a snapshot came from, as text and as settings: a profile that names it, or the default console.

    The workspace is identified by its id, because a slug may belong to another one now. Raise UsageError if the snapshot
    came from another console; its message says what to do `instead`.
    """
    names = (source.workspace_id, source.slug)
    for name in app.settings.places_named():
        try:
            place = app.settings.place(f"@{name}")
        except BackupError:
            continue
        if place.host == source.host and place.workspace in names:
            return f"@{name}", replace(place, workspace=source.workspace_id)
    place = app.settings.place(source.workspace_id)
    if place.host != source.host:
        raise UsageError(
            f"the snapshot came from {source.host}, but the settings name {place.host}; {instead}"
        )
    return source.workspace_id, place
