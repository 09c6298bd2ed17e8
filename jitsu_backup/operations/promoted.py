"""`promoted` as SNAPSHOT: what the last clone from another workspace left in its target."""

from collections.abc import Iterable
from datetime import datetime

from jitsu_backup.archive import ArchiveName, source_mark
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.events import Notice, Reporter
from jitsu_backup.model import Snapshot, Source, shown_time
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.clone_record import noted
from jitsu_backup.operations.snapshots import open_archive
from jitsu_backup.store import Store, of_workspace

PROMOTED = "promoted"
"""The word for the record of the last clone into a workspace, after `WORKSPACE/`."""


async def last_promotion(
    known: Iterable[ArchiveName],
    workspace: str,
    store: Store,
    keys: ArchiveKeys,
    *,
    now: datetime,
    report: Reporter,
) -> tuple[ArchiveName, Snapshot]:
    """Return the record of the last clone into a workspace, given by id or slug, from whatever workspace, and its archive.

    `known` are the archives of the store. Report which one it is, and a later clone that did not end. Records of restores in
    place and what `undo` left do not count. Raise BackupError without a record, UsageError if `promoted` is a label too,
    IntegrityError if the record is damaged, LockedError and UsageError if `keys` do not open it.
    """
    own = of_workspace(known, workspace) if workspace else list(known)
    labelled = next((one for one in own if PROMOTED in one.labels), None)
    if labelled is not None:
        raise UsageError(
            f"{PROMOTED!r} is the record of the last clone, but {labelled.reference} has the label {PROMOTED} too; give an id"
        )
    unfinished = None
    for archive in noted(own, now):
        if archive.is_intent:
            unfinished = unfinished or archive
            continue
        snapshot = open_archive(archive, await store.read(str(archive)), keys)
        cloned, target = snapshot.manifest.cloned, snapshot.manifest.source
        if cloned is None or _mark_of(cloned.source) == _mark_of(target):
            continue
        source = cloned.source.slug or cloned.source.workspace_id
        report(
            Notice(
                f"{PROMOTED} is {archive.reference}, left by the clone from {source} at {shown_time(archive.taken_at)}"
            )
        )
        if unfinished is not None:
            report(
                Notice(
                    f"a later clone, begun at {shown_time(unfinished.taken_at)}, did not finish, so what it wrote is not in that"
                    " record; run the clone again"
                )
            )
        return archive, snapshot
    raise BackupError(
        f"no record of a clone into {workspace} in the store {store.url}; clone into it once, or check that this is the store of"
        " the promotions"
    )


def _mark_of(source: Source) -> str:
    return source_mark(source.host, source.workspace_id)
