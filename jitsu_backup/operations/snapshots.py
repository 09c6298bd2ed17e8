"""Snapshots of a store: which archive SNAPSHOT means, opened and checked."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
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
    safe_text,
)
from jitsu_backup.archive.shrinkage import compared_with, falls_since, with_most
from jitsu_backup.errors import BackupError, IntegrityError
from jitsu_backup.events import Notice, Problem, Reporter
from jitsu_backup.model import Snapshot, shown_time
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.store import Store, exists, find, names_archive, of_workspace, read_file

_LONG_ID = re.compile(r"[0-9a-fA-F]{13,64}", re.ASCII)
"""An id prefix that is longer than the digest in a file name."""


def open_file(path: Path, keys: ArchiveKeys) -> Snapshot:
    """Return the snapshot of an archive file of any name. Raise BackupError, which names the file."""
    data = read_file(path)
    with named_in_errors(str(path)):
        return keys.open(data)


def open_archive(
    archive: ArchiveName,
    data: bytes,
    keys: ArchiveKeys,
    *,
    check: Callable[[ArchiveName, Snapshot], None] = check_name,
    like: Snapshot | None = None,
) -> Snapshot:
    """Return the snapshot of an archive of a store. Raise IntegrityError where it is not what its name says.

    `check` compares both; `like` is a snapshot that was read before, which makes it faster.
    """
    with named_in_errors(str(archive)):
        check_size(archive, len(data))  # else a truncated one would be reported as damaged in another way
        if archive.encrypted != is_encrypted(data):
            raise IntegrityError("the archive is not what its name says: one of them is not encrypted")
        snapshot = keys.open(data, like)
        check(archive, snapshot)
    return snapshot


def choose_archive(
    known: list[ArchiveName],
    reference: str,
    store: Store,
    *,
    now: datetime,
    shrink_alarm: float,
    report: Reporter,
) -> ArchiveName:
    """Return which of the `known` archives of a store SNAPSHOT means, as `store.find` does.

    Report what may surprise: that a word had several meanings, newer archives that were passed over, a wrong clock, a
    sudden loss. Raise BackupError, UsageError, IntegrityError.
    """
    if not known:
        missing = "" if exists(store) else " (there is no such folder)"
        raise BackupError(f"no snapshot {reference!r}: the store {store.url} is empty{missing}")
    found = find(known, reference, now)
    if not names_archive(reference, found):
        _report_choice(known, found, reference, now, report)
    if found.is_from_the_future(now):
        when = shown_time(found.taken_at)
        report(Notice(f"the snapshot is of {when}, which is yet to come: a clock is wrong"))
    if SHRUNK in found.marks:
        loss = before_loss(found, known, shrink_alarm)
        report(Notice(f"warning: {found.reference} is marked shrunk: {loss}"))
    return found


def check_digest(reference: str, archive: ArchiveName, snapshot: Snapshot) -> None:
    """Raise BackupError where SNAPSHOT is a longer id prefix than the file name tells, and not that of the snapshot."""
    last = reference.rpartition("/")[2]
    if _LONG_ID.fullmatch(last) and not digest(snapshot).startswith(last.lower()):
        differs = f"{archive.digest_prefix} goes on in another way"
        raise BackupError(f"no snapshot {last!r} in the store: {differs}")


def _report_choice(
    known: list[ArchiveName], found: ArchiveName, reference: str, now: datetime, report: Reporter
) -> None:
    """Report which archive a word means where it could have been another: a workspace, a label of several, newer ones."""
    last = reference.rpartition("/")[2]
    named = f"{found.reference}, of {shown_time(found.taken_at)}"
    if last in found.labels:
        others = [a for a in of_workspace(known, found.workspace_id) if last in a.labels and a != found]
        if others:
            newest = "is the newest" + (
                "" if all(a.sort_key < found.sort_key for a in others) else " that is whole"
            )
            report(Notice(f"{len(others) + 1} snapshots have the label {last}: {named}, {newest}"))
        return
    if found.belongs_to(reference):
        report(Notice(f"{reference} is a workspace: its latest snapshot, {named}, is taken"))
    _report_newer(known, found, now, report)


def _report_newer(known: list[ArchiveName], found: ArchiveName, now: datetime, report: Reporter) -> None:
    """Report the newest archive that `latest` and dates pass over, and why."""
    newer = [
        a
        for a in known
        if a.workspace_id == found.workspace_id and a.sort_key > found.sort_key and not a.set_aside
    ]
    for archive in newer[:1]:
        if archive.is_from_the_future(now):
            why = "it is dated in the future: a clock is wrong"
        elif archive.key_class == WEAKER != found.key_class:
            why = "a weaker key read it, and it has fewer secrets"
        elif INCOMPLETE in archive.marks and found.complete:
            why = "it is incomplete"
        else:
            continue
        named = f"{archive.reference}, of {shown_time(archive.taken_at)}"
        remedy = "name it by its id to take it all the same"
        report(Problem(f"{named}, is newer, and passed over: {why}; {remedy}"))


def before_loss(archive: ArchiveName, known: Iterable[ArchiveName], shrink_alarm: float) -> str:
    """Return words for how much a shrunken archive holds, and which of the `known` ones is from before the loss."""
    own = [a for a in known if a.workspace_id == archive.workspace_id and a.sort_key < archive.sort_key]
    window = compared_with(own, archive.taken_at)
    before = with_most(window, falls_since(window, archive.counts, shrink_alarm))
    told = f"it has {archive.total} entities"
    if before is None:
        return told
    return f"{told}; {before.reference}, of before, has {before.total}"


async def slug_owners(
    store: Store, keys: ArchiveKeys, host: str, slug: str, known: Iterable[ArchiveName]
) -> list[str]:
    """Return the ids, as file names spell them, of the workspaces that had a slug when they were backed up; newest first.

    A workspace that was read from another console is left out. Where `keys` do not open its archive, it counts.
    """
    newest: dict[str, ArchiveName] = {}
    for archive in sorted(known, key=lambda archive: archive.sort_key, reverse=True):
        if archive.slug == safe_text(slug) and not archive.damaged:
            newest.setdefault(archive.workspace_id, archive)
    owners = []
    for workspace_id, archive in newest.items():
        try:
            elsewhere = keys.open(await store.read(str(archive))).manifest.source.host != host
        except BackupError:
            elsewhere = False
        if not elsewhere:
            owners.append(workspace_id)
    return owners


@contextmanager
def named_in_errors(name: str) -> Iterator[None]:
    """Put the name of what was read before the message of any BackupError."""
    try:
        yield
    except BackupError as problem:
        raise problem.with_context(before=f"{name}: ") from None
