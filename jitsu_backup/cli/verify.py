"""`jitsu-backup verify`."""

import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jitsu_backup.addresses import without_secrets
from jitsu_backup.archive import ArchiveName
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.files import check_path
from jitsu_backup.cli.snapshot_argument import open_snapshot, open_stored
from jitsu_backup.cli.unattended import unattended
from jitsu_backup.cli.verify_report import (
    checked_document,
    facts_of,
    in_words,
    report_alarms,
    tell,
    tell_dangling,
    tell_locked,
    tell_superseded,
    unread_document,
)
from jitsu_backup.errors import BackupError, MistakeError, UsageError
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.come_back import Rehearsal
from jitsu_backup.operations.folder import is_folder
from jitsu_backup.operations.verify import (
    ArchiveFinding,
    CheckedArchive,
    UnreadArchive,
    alarms_of,
    check_archive,
    exit_code_of,
    try_rehearsal,
)
from jitsu_backup.store import latest_of_each

if TYPE_CHECKING:
    from jitsu_backup.reports.metrics import DrillFigures

Read = Callable[[], tuple[str, Snapshot] | None]


@unattended()
def verify(
    app: App,
    snapshots: tuple[str, ...],
    everything: bool,
    latest: bool,
    rehearse: bool,
    fail_on_losses: bool,
    metrics: Path | None,
) -> int:
    """Read and check each archive; return the exit code."""
    check_path(metrics, "--metrics")
    _check_which(snapshots, everything=everything, latest=latest)
    if fail_on_losses and not rehearse:
        raise UsageError("--fail-on-losses needs --rehearse; add it")
    results: list[ArchiveFinding] = []
    documents: list[dict[str, Any]] = []
    _ = app.keys.identities  # report an unreadable identity once, not for every archive
    alone = len(snapshots) == 1 and not app.as_json
    wanted = set[str]()
    app.figures = lambda: [drill for one in results for drill in _drills(one, rehearse=rehearse)]
    for reference, read, superseded in _readers(app, snapshots, stored=everything or latest, latest=latest):
        found = _examined(app, reference, read, rehearse=rehearse, superseded=superseded, wanted=wanted)
        if found is None:
            continue
        result, document = found
        results.append(result)
        if alone and isinstance(result, UnreadArchive) and not isinstance(result.failure, MistakeError):
            raise result.failure
        locked = isinstance(result, UnreadArchive) and result.locked
        if app.as_json:
            documents.append(document)
        elif not locked:
            tell(app, result, document, alone=alone)
        if isinstance(result, CheckedArchive):
            wanted |= result.needs if result.dangles else set()
            continue
        report = app.alarms.append if locked else app.alarm
        for alarm in alarms_of(result, app.again):
            report(alarm)
    tell_locked(app, (one for one in results if isinstance(one, UnreadArchive) and one.locked))
    checked = [one for one in results if isinstance(one, CheckedArchive)]
    if not (alone or app.as_json):
        tell_dangling(app, checked)
        tell_superseded(app, checked)
    report_alarms(app, checked, fail_on_losses=fail_on_losses)
    if not results:
        raise BackupError(
            f"all archives were removed from the store {app.store.url} after it was listed; run this again"
        )
    app.facts |= facts_of(results, rehearsed=rehearse)
    app.outcome = in_words(app.facts)
    if app.as_json:
        app.emit({"archives": documents})
    elif len(results) != 1:
        app.line(f"{app.outcome}.")
    return exit_code_of(results, fail_on_losses=fail_on_losses)


def _check_which(snapshots: tuple[str, ...], *, everything: bool, latest: bool) -> None:
    if bool(snapshots) + everything + latest > 1:
        raise UsageError("give only one of: snapshots, --all, --latest")
    if not (snapshots or everything or latest):
        raise UsageError(
            "no snapshot given: name one (latest, 7d, a date, an id prefix, a label, a workspace, a path), or give --all or --latest"
        )


def _readers(
    app: App, snapshots: tuple[str, ...], *, stored: bool, latest: bool
) -> Iterator[tuple[str, Read, bool]]:
    """Yield the name of each archive, a function that reads it, and whether it is superseded, as in CheckedArchive."""
    if stored:
        known = app.archives()
        newest = latest_of_each(known, utc_now())
        with_newest = {archive.workspace_id for archive in newest}
        found = newest if latest else known
        app.tell_of_strangers()
        if not found:
            raise BackupError(
                f"the store {app.store.url} is empty, so there is nothing to verify; create an archive with `{app.again('backup')}`"
            )
        for archive in found:
            superseded = archive not in newest and archive.workspace_id in with_newest
            yield str(archive), partial(_read_stored, app, archive, latest=latest), superseded
    for reference in snapshots:
        yield reference, partial(open_snapshot, app, reference), False


def _read_stored(app: App, archive: ArchiveName, *, latest: bool) -> tuple[str, Snapshot] | None:
    """Read an archive of the store, or with `latest` its successor if it was removed meanwhile; return None without one."""
    try:
        return open_stored(app, archive)
    except BackupError:
        there = app.archives()
        if str(archive) in map(str, there):
            raise
    app.say(f"{archive.reference} was removed after the store was listed")
    own = [one for one in there if one.workspace_id == archive.workspace_id]
    newer = latest_of_each(own, utc_now()) if latest else []
    return open_stored(app, newer[0]) if newer else None


def _examined(
    app: App, reference: str, read: Read, *, rehearse: bool, superseded: bool, wanted: Collection[str]
) -> tuple[ArchiveFinding, dict[str, Any]] | None:
    """Read an archive, check it and, with `rehearse`, rehearse it; return the result and its JSON, None if it was removed.

    `superseded` and `wanted` are as `check_archive` takes them.
    """
    try:
        found = read()
        if found is None:
            return None
        name, snapshot = found
        rehearsal = _rehearsed(app, name, snapshot) if rehearse else None
        folder = is_folder(Path(name))
        result = check_archive(name, snapshot, rehearsal, folder=folder, superseded=superseded, wanted=wanted)
        return result, checked_document(result, snapshot)
    except Exception as problem:  # noqa: BLE001  one bad archive must not keep the others from being checked
        unread = _unread(reference, problem if isinstance(problem, BackupError) else MistakeError.of(problem))
        return unread, unread_document(unread)


def _rehearsed(app: App, name: str, snapshot: Snapshot) -> Rehearsal:
    """Rehearse a snapshot. Raise UsageError for a redacted folder."""
    if snapshot.hidden:
        raise UsageError(
            f"{name} is redacted, so it cannot be rehearsed; rehearse the archive that it was unpacked from"
        )
    return run_async(try_rehearsal(snapshot, now=utc_now, monotonic=time.monotonic, report=app.tell))


def _unread(reference: str, problem: BackupError) -> UnreadArchive:
    """Return the result for an archive that could not be read."""
    name = problem.archive or reference
    result = UnreadArchive(without_secrets(name), problem)
    return replace(result, found=result.named is not None or os.access(name, os.F_OK))


def _drills(one: ArchiveFinding, *, rehearse: bool) -> "Iterator[DrillFigures]":
    """Yield the metrics of an archive that was rehearsed, or that could not be read for that."""
    from jitsu_backup.reports.metrics import DrillFigures  # noqa: PLC0415  few runs need its library

    if isinstance(one, UnreadArchive):
        if rehearse and one.named is not None:
            yield DrillFigures(one.named.slug, one.named.workspace_id, utc_now(), whole=False, lacks={})
    elif one.rehearsal is not None:
        yield DrillFigures(one.workspace, one.source.workspace_id, utc_now(), one.rehearsal.whole, one.lacks)
