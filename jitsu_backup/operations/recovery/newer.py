"""What a store knows of a workspace that is newer than the archive that a recovery uses; no I/O."""

from collections.abc import Collection
from dataclasses import replace

from jitsu_backup.archive import CLONING, PACKED, PRE_RESTORE, ArchiveName, source_mark
from jitsu_backup.archive.shrinkage import is_much_smaller
from jitsu_backup.errors import BlockedError, IntegrityError
from jitsu_backup.model import plural, shown_time
from jitsu_backup.operations.recovery.choice import Candidate, Opened, not_used
from jitsu_backup.operations.recovery.values import PassedOver, WorkspaceRecovery


def newer_than(
    used: Opened, passed_over: Collection[PassedOver], candidate: Candidate, *, exists: bool
) -> tuple[PassedOver, ...]:
    """Return newer archives than the one `used` that `passed_over` does not have: a damaged one, and what the last run left.

    What a run left counts if it was cloned from elsewhere and not undone since, if it is the backup from just before a run
    on a lost console, or if it has much more. What a restore of the workspace's own archives left is nothing new.
    """
    archive, found = used.archive, list[ArchiveName]()
    if not any(past.archive.damaged for past in passed_over):
        found += [one for one in candidate.others if one.damaged and one.sort_key > archive.sort_key][:1]
    later = [one for one in candidate.aside if one.sort_key > archive.sort_key]
    later = [one for one in later if not {PACKED, CLONING} & {*one.marks}]
    if later:
        much_more = is_much_smaller(archive.total, later[0].total)
        much_less = is_much_smaller(later[0].total, archive.total)
        if much_more or (_is_news(later, used, exists=exists) and not much_less):
            found.append(later[0])
    return tuple(_unused(one) for one in found if one.digest_prefix != archive.digest_prefix)


def _is_news(later: list[ArchiveName], used: Opened, *, exists: bool) -> bool:
    """Return whether runs since the archive `used`, whose archives are `later`, newest first, left what it cannot have."""
    start = next((n for n, one in enumerate(later) if PRE_RESTORE in one.marks), None)
    if start is not None and later[start].undoes:
        return False
    if start == 0:
        return not exists
    runs = later[:start] if exists else later  # an existing target has what the last run left
    own = source_mark(used.source.host, used.source.workspace_id)
    return any(one.cloned_from not in (None, own) and one.left_after is None for one in runs)


def _unused(archive: ArchiveName) -> PassedOver:
    if archive.damaged:
        return not_used(archive)
    what = "the record of a run" if archive.cloned_from else "from before a run"
    return PassedOver(archive, f"it is {what}, not a backup")


def decided(one: WorkspaceRecovery) -> WorkspaceRecovery:
    """Return a planned workspace; it is blocked if it would have much fewer entities than a newer archive of it.

    It is not if an earlier run has already recovered it from the older archive, so that nothing is left to write.
    """
    newer, used = one.newer, one.archive
    if newer is None or one.problem is not None or _is_done(one):
        return one
    there = 0 if one.prepared is None else len(one.prepared.live.entities)
    if not is_much_smaller(max(len(one.snapshot.entities), there), newer.total):
        return one
    at = used.taken_at.replace(tzinfo=None).isoformat(timespec="milliseconds")
    readable = intact(one)
    it = "it" if readable == newer else readable.reference if readable else ""
    restore = f"`restore` {it} by its id" if it else "get a good copy of it"
    problem = BlockedError(
        f"the archive to use, {_dated(used)}, has {plural(len(one.snapshot.entities), 'entity', 'entities')}, but a newer one,"
        f" {_dated(newer)}, has {newer.total:,}; {restore}, or use the older one with `--workspace {one.slug} --at {at}`"
    )
    return replace(one, problem=problem.with_flags("--workspace", one.slug, "--at", at))


def _is_done(one: WorkspaceRecovery) -> bool:
    """Return whether an earlier recovery left its record, and there is nothing to write, nor deleted in the target since."""
    prepared = one.prepared
    recovered = prepared is not None and prepared.options.record is not None and not prepared.plan.writes
    return recovered and not any(action.deleted_there for action in one.kept)


def beyond(used: Opened, total: int, candidate: Candidate) -> ArchiveName | None:
    """Return an archive from after the time of --at that is damaged or has much more than the one `used`, or None.

    `total` is how many entities that one has.
    """
    found = (one for one in candidate.later if not {PACKED, CLONING} & {*one.marks})
    found = (one for one in found if one.digest_prefix != used.archive.digest_prefix)
    found = (one for one in found if one.damaged or is_much_smaller(total, one.total))
    return max(found, key=lambda one: (one.total or 0, one.sort_key), default=None)


def intact(one: WorkspaceRecovery) -> ArchiveName | None:
    """Return the archive with most entities among the newer ones that are not used although they can be read, or None."""
    readable = (p for p in one.passed_over if not (p.locked or p.exit_code == IntegrityError.exit_code))
    return replace(one, passed_over=tuple(readable)).newer


def _dated(archive: ArchiveName) -> str:
    return f"{archive.reference} of {shown_time(archive.taken_at)}"
