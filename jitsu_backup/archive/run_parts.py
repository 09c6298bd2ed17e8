"""Which runs into a workspace may continue one another, by the names of the backups from before them."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise

from jitsu_backup.archive.filename import PRE_RESTORE, ArchiveName
from jitsu_backup.archive.snapshot_name import backup_mark

CONTINUES_WITHIN = timedelta(days=7)
"""The longest time after which a run may continue the one before it; a later one is a run of its own."""


def unended(known: Iterable[ArchiveName], last: ArchiveName) -> list[ArchiveName]:
    """Return the backups from before the runs that `last`, the backup from before a run, may continue, the last one first.

    Those are the runs right before it that stored what they were about to write, and no end. Each began at most
    CONTINUES_WITHIN before the next one.
    """
    before = [one for one in known if one.workspace_id == last.workspace_id and one.sort_key < last.sort_key]
    found = [last]
    for later, earlier in _parts([*before, last]):
        if later != found[-1]:
            break
        found.append(earlier)
    return found[1:]


def last_parts(archives: Iterable[ArchiveName]) -> dict[str, ArchiveName]:
    """Return, for each run into a workspace that another may continue, the backup from before the last of its parts.

    The keys are the marks that name the backups from before the runs. `archives` are those of the workspace.
    """
    last: dict[str, ArchiveName] = {}
    for later, earlier in _parts(archives):
        last[backup_mark(earlier)] = last.get(backup_mark(later), later)
    return last


def _parts(archives: Iterable[ArchiveName]) -> list[tuple[ArchiveName, ArchiveName]]:
    """Return the backups from before two runs of which the later one may continue the earlier one, the newest first."""
    theirs = list(archives)
    begun, ended = {one.begun for one in theirs}, {one.ended for one in theirs}
    backups = sorted(
        (a for a in theirs if PRE_RESTORE in a.marks), key=lambda one: one.sort_key, reverse=True
    )

    def may_continue(later: ArchiveName, earlier: ArchiveName) -> bool:
        mark = backup_mark(earlier)
        stopped = mark in begun and mark not in ended
        soon = later.taken_at - earlier.taken_at <= CONTINUES_WITHIN
        return stopped and soon and earlier.undoes == later.undoes

    return [(later, earlier) for later, earlier in pairwise(backups) if may_continue(later, earlier)]
