"""Which snapshot SNAPSHOT means, read and checked; and which place it came from."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from jitsu_backup.archive import (
    INCOMPLETE,
    SHRUNK,
    WEAKER,
    ArchiveName,
    check_name,
    check_size,
    digest,
    is_encrypted,
    parse_name,
    safe_text,
)
from jitsu_backup.archive.shrinkage import compared_with, falls_since, with_most
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.paths import home_folder
from jitsu_backup.errors import BackupError, IntegrityError, UsageError
from jitsu_backup.model import Snapshot, Source
from jitsu_backup.settings import Place, expand
from jitsu_backup.store import OBJECT_STORES, exists, find, names_archive, of_workspace, read_file

LIVE = "live:"
"""Begins a side of `diff` that is a workspace as it is now."""


def open_snapshot(app: App, reference: str) -> tuple[str, Snapshot, bytes]:
    """Read the snapshot that SNAPSHOT names: a path, or what the store has."""
    reference = expand(reference, home_folder())
    path = Path(reference.removeprefix("file://localhost").removeprefix("file://"))
    named = parse_name(reference)
    if not path.is_file() and named is not None:
        return open_stored(app, named)
    folder, _, last = reference.rpartition("/")
    if reference.startswith(OBJECT_STORES):  # a whole URL
        if not folder.startswith(OBJECT_STORES):
            raise UsageError(
                f"{reference} is a store: say --store {reference}, and a snapshot such as latest"
            )
        there = App({**app.options, "store": folder}, logs=app.logs, notices=app.notices, gates=app.gates)
        name, snapshot, data = open_stored(there, parse_name(last) or find(there.archives(), last, utc_now()))
        return f"{folder}/{name}", snapshot, data
    if (
        path.is_file()
        or reference.endswith((".gz", ".json", ".age"))
        or reference.startswith(("/", "./", "file:"))
    ):
        data = read_file(path)
        with named_in_errors(str(path)):
            return str(path), app.keys.open(data), data
    reference = _in_words_of_the_store(app, reference)
    last = reference.rpartition("/")[2]
    known = app.archives()
    if not known:
        missing = "" if exists(app.store) else " (there is no such folder)"
        raise BackupError(f"no snapshot {reference!r}: the store {app.store.url} is empty{missing}")
    found = find(known, reference, utc_now())
    if not names_archive(reference, found):
        _tell_of_choice(app, known, found, reference)
    if found.is_from_the_future(utc_now()):
        app.say(
            f"the snapshot is of {found.taken_at:%Y-%m-%d %H:%M:%S} UTC, which is yet to come: a clock is wrong"
        )
    if SHRUNK in found.marks:
        app.say(f"warning: {found.slug}/{found.digest_prefix} is marked shrunk: {before_loss(app, found)}")
    stored = open_stored(app, found)
    if re.fullmatch(r"[0-9a-fA-F]{13,64}", last) and not digest(stored[1]).startswith(last.lower()):
        raise BackupError(f"no snapshot {last!r} in the store: {found.digest_prefix} goes on in another way")
    return stored


def _in_words_of_the_store(app: App, reference: str) -> str:
    """Return a reference with the workspace that its @profile names. Raises UsageError for a workspace as it is now."""
    workspace, slash, last = reference.rpartition("/")
    if reference.startswith(LIVE) or last.startswith(LIVE):
        place = last.removeprefix(LIVE)
        raise UsageError(
            f"{reference!r} is a workspace as it is now, which diff alone takes: write {place}/latest for what the store has of it"
        )
    if slash and last.startswith("@"):
        raise UsageError(f"{reference!r} has its workspace behind the slash: write {last}/{workspace}")
    if last.startswith("@"):
        named = app.settings.workspace_named(last)
        app.say(
            f"{last} is a workspace: its latest snapshot is taken ({LIVE}{last} is it as it is now, for diff)"
        )
        return f"{named}/latest"
    return f"{app.settings.workspace_named(workspace)}/{last}" if slash else reference


def _tell_of_choice(app: App, known: list[ArchiveName], found: ArchiveName, reference: str) -> None:
    """Tell what a word was taken for where it could have been another archive: a workspace, a label of several, newer ones."""
    last = reference.rpartition("/")[2]
    named = f"{found.slug}/{found.digest_prefix}, of {found.taken_at:%Y-%m-%d %H:%M:%S} UTC"
    if last in found.labels:
        others = [a for a in of_workspace(known, found.workspace_id) if last in a.labels and a != found]
        if others:
            app.say(
                f"{len(others) + 1} snapshots have the label {last}: {named}, is the newest"
                + ("" if all(a.age < found.age for a in others) else " that is whole")
            )
        return
    if found.belongs_to(reference):
        app.say(f"{reference} is a workspace: its latest snapshot, {named}, is taken")
    _tell_of_newer(app, known, found)


def _tell_of_newer(app: App, known: list[ArchiveName], found: ArchiveName) -> None:
    """Tell of newer archives that `latest` and dates pass over."""
    newer = [
        a for a in known if a.workspace_id == found.workspace_id and a.age > found.age and not a.set_aside
    ]
    for archive in newer[:1]:
        if archive.is_from_the_future(utc_now()):
            why = "it is dated in the future: a clock is wrong"
        elif archive.key_class == WEAKER != found.key_class:
            why = "a weaker key read it, and it has fewer secrets"
        elif INCOMPLETE in archive.marks and found.complete:
            why = "it is incomplete"
        else:
            continue
        app.problem(
            f"{archive.slug}/{archive.digest_prefix}, of {archive.taken_at:%Y-%m-%d %H:%M:%S} UTC, is newer, and passed over:"
            f" {why}; name it by its id to take it all the same"
        )


def before_loss(app: App, archive: ArchiveName) -> str:
    """Say how much a shrunken archive holds, and which one is of before."""
    own = [a for a in app.archives() if a.workspace_id == archive.workspace_id and a.age < archive.age]
    window = compared_with(own, archive.taken_at)
    before = with_most(window, falls_since(window, archive.counts, app.settings.shrink_alarm))
    told = f"it has {archive.total} entities"
    return (
        told
        if before is None
        else f"{told}; {before.slug}/{before.digest_prefix}, of before, has {before.total}"
    )


def open_stored(app: App, archive: ArchiveName) -> tuple[str, Snapshot, bytes]:
    """Read an archive of the store, and check that it is what its name says. Raises IntegrityError."""
    name = str(archive)
    data = run_async(app.store.read(name))
    with named_in_errors(name):
        check_size(archive, len(data))  # else what was cut off is told as what it seems to be
        if archive.encrypted != is_encrypted(data):
            raise IntegrityError("the archive is not what its name says: one of them is not encrypted")
        snapshot = app.keys.open(data)
        check_name(archive, snapshot)
    return name, snapshot, data


async def slug_owners(app: App, host: str, slug: str, known: Iterable[ArchiveName]) -> list[str]:
    """Return the ids, as names spell them, of the workspaces that had a slug when they were backed up; the newest first.

    One that was read from another console is left out. Where this machine has no key to tell, it counts.
    """
    newest: dict[str, ArchiveName] = {}
    for archive in sorted(known, key=lambda archive: archive.age, reverse=True):
        if archive.slug == safe_text(slug) and not archive.damaged:
            newest.setdefault(archive.workspace_id, archive)
    owners = []
    for workspace_id, archive in newest.items():
        try:
            elsewhere = app.keys.open(await app.store.read(str(archive))).manifest.source.host != host
        except BackupError:
            elsewhere = False
        if not elsewhere:
            owners.append(workspace_id)
    return owners


@contextmanager
def named_in_errors(name: str) -> Iterator[None]:
    """Put the name of what was read before what is wrong with it."""
    try:
        yield
    except BackupError as problem:
        raise problem.with_context(before=f"{name}: ") from None


def place_of_origin(app: App, source: Source, *, instead: str) -> tuple[str, Place]:
    """Give the place that a snapshot came from, and its PLACE: a profile that names it, or the default console.

    The workspace is the snapshot's own, by its id: a slug may have moved to another one since. Raises UsageError where
    the snapshot came from elsewhere, telling what to write `instead`.
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
