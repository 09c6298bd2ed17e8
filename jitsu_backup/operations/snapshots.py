"""Snapshots of a store: find the archive that SNAPSHOT means, open and check it."""

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
from jitsu_backup.archive.shrinkage import compared_with, falls_since, open_alarms, with_most, without_deleted
from jitsu_backup.errors import (
    BackupError,
    IntegrityError,
    LockedError,
    NewerFormatError,
    NoKeyError,
    UsageError,
)
from jitsu_backup.events import Notice, Problem, Reporter
from jitsu_backup.model import Snapshot, plural, shown_time, some_of
from jitsu_backup.operations.alarms import Again
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.store import (
    Store,
    archives,
    exists,
    find,
    instead_of,
    names_archive,
    of_workspace,
    read_file,
    substitutes,
)

_NAMED = 10
"""The most workspaces that a message names."""

_TRIED = 5
"""How many archives are read to find one to use in place of a damaged one."""

_ADVICE = re.compile(r"; (?:use another archive.*|give a file that `backup` wrote)$")

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
    """Return the snapshot of an archive of a store, as `content_of` does. An error names the archive."""
    with named_in_errors(archive.reference, str(archive)):
        return content_of(archive, data, keys, check=check, like=like)


async def open_stored(archive: ArchiveName, store: Store, keys: ArchiveKeys, again: Again) -> Snapshot:
    """Return the snapshot of an archive of a store, as `open_archive` does.

    If it is damaged or misnamed, the error says which archive to use instead. `again` is as in `remedy_for`.
    """
    data = await store.read(str(archive))
    try:
        return open_archive(archive, data, keys)
    except NewerFormatError:
        raise
    except IntegrityError as problem:
        known = await archives(store)
        other, sure = await _in_place_of(archive, known, store, keys)
        newest = not any(
            a for a in known if a.workspace_id == archive.workspace_id and a.sort_key > archive.sort_key
        )
        why = _ADVICE.sub("", str(problem)).removeprefix(f"{archive.reference}: ")
        dated = type(problem)(f"{archive.dated}: {why}")
        dated.archive = str(archive)
        prune = None if problem.misnamed else again("prune", "--quarantine")
        advice = instead_of(archive, other, newest=newest, prune=prune)
        if not sure:
            advice = f"none of the {_TRIED} nearest can be read; check all with `{again('verify', '--all')}`"
        raise dated.with_remedy(advice) from None


async def _in_place_of(
    archive: ArchiveName, known: Iterable[ArchiveName], store: Store, keys: ArchiveKeys
) -> tuple[ArchiveName | None, bool]:
    """Return the best archive to use in place of another one that can be read, or that `keys` do not open.

    Only the first few are tried. Also return whether that was enough to know.
    """
    for number, other in enumerate(substitutes(archive, known)):
        if number == _TRIED:
            return None, False
        try:
            content_of(other, await store.read(str(other)), keys)
        except (LockedError, NoKeyError):
            return other, True
        except BackupError:
            continue
        return other, True
    return None, True


def content_of(
    archive: ArchiveName,
    data: bytes,
    keys: ArchiveKeys,
    *,
    check: Callable[[ArchiveName, Snapshot], None] = check_name,
    like: Snapshot | None = None,
) -> Snapshot:
    """Return the snapshot of an archive of a store. Raise IntegrityError if it is not what its name says.

    `check` compares the two. `like` is a similar snapshot, which makes this faster. Raise also what `keys.open` raises.
    """
    check_size(
        archive, len(data)
    )  # otherwise a truncated archive would be reported as damaged in another way
    if archive.encrypted != is_encrypted(data):
        raise IntegrityError.of_misnamed(
            "the archive is not what its name says: only one of the two says that it is encrypted; use another archive"
        )
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

    Report what may surprise: a word with several meanings, newer archives that were ignored, a wrong clock, a sudden
    loss. Raise BackupError, UsageError, IntegrityError.
    """
    if not known:
        missing = "" if exists(store) else " (the folder does not exist)"
        raise BackupError(
            f"no snapshot {reference!r}: the store {store.url} is empty{missing};"
            " check --store, or create a snapshot with `jitsu-backup backup`"
        )
    found = find(known, reference, now)
    if not names_archive(reference, found):
        _report_choice(known, found, reference, now, report)
    if found.is_from_the_future(now):
        when = shown_time(found.taken_at)
        report(Notice(f"the snapshot is dated {when}, in the future; a clock was wrong"))
    if SHRUNK in found.marks:
        loss = before_loss(found, known, shrink_alarm)
        report(Notice(f"warning: {found.reference} is marked shrunk: {loss}"))
    return found


def check_digest(reference: str, archive: ArchiveName, snapshot: Snapshot) -> None:
    """Raise BackupError if SNAPSHOT is an id prefix longer than that in the file name, and not that of the snapshot."""
    last = reference.rpartition("/")[2]
    if _LONG_ID.fullmatch(last) and not digest(snapshot).startswith(last.lower()):
        differs = f"the archive whose id begins with {archive.digest_prefix} has another id; check the id"
        raise BackupError(f"no snapshot {last!r} in the store: {differs}")


def _report_choice(
    known: list[ArchiveName], found: ArchiveName, reference: str, now: datetime, report: Reporter
) -> None:
    """Report which archive was chosen if a word could mean several: a workspace, a label, `latest` with newer ones."""
    last = reference.rpartition("/")[2]
    named = f"{found.reference}, of {shown_time(found.taken_at)}"
    if last in found.labels:
        others = [a for a in of_workspace(known, found.workspace_id) if last in a.labels and a != found]
        if others:
            newest = "is the newest" + (
                "" if all(a.sort_key < found.sort_key for a in others) else " complete one"
            )
            report(Notice(f"{len(others) + 1} snapshots have the label {last}: {named}, {newest}"))
        return
    if found.belongs_to(reference):
        report(Notice(f"{reference} is a workspace: using its latest snapshot, {named}"))
    _report_newer(known, found, now, report)


def _report_newer(known: list[ArchiveName], found: ArchiveName, now: datetime, report: Reporter) -> None:
    """Report the newest archive that `latest` and dates ignore, and why."""
    newer = [
        a
        for a in known
        if a.workspace_id == found.workspace_id and a.sort_key > found.sort_key and not a.set_aside
    ]
    for archive in newer[:1]:
        if archive.is_from_the_future(now):
            why = "it is dated in the future (a clock was wrong)"
        elif archive.key_class == WEAKER != found.key_class:
            why = "it was read with a weaker key and has fewer secrets"
        elif INCOMPLETE in archive.marks and found.complete:
            why = "it is incomplete"
        else:
            continue
        named = f"{archive.reference}, of {shown_time(archive.taken_at)}"
        remedy = "to use it anyway, give its id"
        report(Problem(f"{named}, is newer but was ignored: {why}; {remedy}"))


def before_loss(archive: ArchiveName, known: Iterable[ArchiveName], shrink_alarm: float) -> str:
    """Return words for the size of a shrunken archive, and which of the `known` ones is from before the loss."""
    before = previous_of(archive, known, shrink_alarm)
    size = f"it has {plural(archive.total or 0, 'entity', 'entities')}"
    return size if before is None else f"{size}; the previous {before.reference} has {before.total}"


def previous_of(
    archive: ArchiveName, known: Iterable[ArchiveName], shrink_alarm: float
) -> ArchiveName | None:
    """Return which of the `known` archives is from before the loss in a shrunken one, or None."""
    own = [a for a in known if a.workspace_id == archive.workspace_id and a.sort_key < archive.sort_key]
    window = compared_with(own, archive.taken_at)
    counted = without_deleted(window, own)
    fallen = falls_since(counted, archive.counts, shrink_alarm, alarms=open_alarms(own), number=archive.total)
    most = with_most(counted, fallen)
    return None if most is None else window[counted.index(most)]


async def newest_hosts(
    workspace_ids: Iterable[str], known: Iterable[ArchiveName], store: Store, keys: ArchiveKeys
) -> list[tuple[ArchiveName, str | None]]:
    """Return the newest archive of each workspace, and its console, None if it cannot be opened; the newest comes first.

    Archives that runs have left do not count.
    """
    wanted = set(workspace_ids)
    own = (one for one in known if one.workspace_id in wanted and not one.set_aside)
    newest = {one.workspace_id: one for one in sorted(own, key=lambda one: one.sort_key)}
    found: list[tuple[ArchiveName, str | None]] = []
    for archive in sorted(newest.values(), key=lambda one: one.sort_key, reverse=True):
        try:
            source = content_of(archive, await store.read(str(archive)), keys).manifest.source
        except BackupError:
            found.append((archive, None))
        else:
            found.append((archive, source.host))
    return found


def several_workspaces(reference: str, found: Iterable[tuple[ArchiveName, str | None]]) -> UsageError:
    """Return the error that `WORKSPACE/…` means several workspaces, with the console and the last backup of each."""
    slug, _, word = reference.rpartition("/")
    named = []
    for archive, host in found:
        where = host or ("encrypted" if archive.encrypted else "its archive cannot be read")
        backed_up = f"last backup {shown_time(archive.taken_at)}"
        named.append(f"{archive.workspace_id}/{word} ({where}, {backed_up})")
    return UsageError(f"{slug} names several workspaces of the store; write one of {some_of(named, _NAMED)}")


async def slug_owners(
    store: Store, keys: ArchiveKeys, host: str, slug: str, known: Iterable[ArchiveName]
) -> list[str]:
    """Return the ids, as file names spell them, of the workspaces that had a slug when they were backed up, newest first.

    A workspace that was read from another console is left out. If `keys` do not open its archive, it is included.
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
def named_in_errors(name: str, archive: str = "") -> Iterator[None]:
    """Put a name before the message of any BackupError, and note the `archive` of a store that it is about."""
    try:
        yield
    except BackupError as problem:
        about = problem.with_context(before=f"{name}: ")
        about.archive = archive or problem.archive
        raise about from None
