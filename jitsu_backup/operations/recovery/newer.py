"""What a store knows of a workspace that is newer than the archive that a recovery uses; no I/O."""

from collections.abc import Collection
from dataclasses import replace

from jitsu_backup.archive import CLONING, PACKED, ArchiveName, source_mark
from jitsu_backup.archive.shrinkage import is_much_smaller
from jitsu_backup.errors import BlockedError, IntegrityError
from jitsu_backup.model import plural, shown_time
from jitsu_backup.operations.recovery.choice import Candidate, Opened, not_used
from jitsu_backup.operations.recovery.values import PassedOver, WorkspaceRecovery


def newer_than(
    used: Opened, passed_over: Collection[PassedOver], candidate: Candidate, *, exists: bool
) -> tuple[PassedOver, ...]:
    """Return newer archives than the one `used` that `passed_over` does not have: a damaged one, and what the last run left.

    A run that restored the workspace from its own archives left nothing newer than these, unless that is much more. What was
    there before a run does not count if the workspace still `exists`, because the target then has it.
    """
    archive, found = used.archive, list[ArchiveName]()
    if not any(past.archive.damaged for past in passed_over):
        found += [one for one in candidate.others if one.damaged and one.sort_key > archive.sort_key][:1]
    left = next((one for one in candidate.aside if not {PACKED, CLONING} & {*one.marks}), None)
    if left is not None and left.sort_key > archive.sort_key:
        own = left.cloned_from == source_mark(used.source.host, used.source.workspace_id)
        known = own if left.cloned_from else exists
        if is_much_smaller(archive.total, left.total) or not (
            known or is_much_smaller(left.total, archive.total)
        ):
            found.append(left)
    return tuple(_unused(one) for one in found if one.digest_prefix != archive.digest_prefix)


def _unused(archive: ArchiveName) -> PassedOver:
    if archive.damaged:
        return not_used(archive)
    what = "the record of a run" if archive.cloned_from else "from before a run"
    return PassedOver(archive, f"it is {what}, not a backup")


def decided(one: WorkspaceRecovery) -> WorkspaceRecovery:
    """Return a planned workspace; it is blocked if it would have much fewer entities than a newer archive of it."""
    newer, used = one.newer, one.archive
    if newer is None or one.problem is not None:
        return one
    there = 0 if one.prepared is None else len(one.prepared.live.entities)
    if not is_much_smaller(max(len(one.snapshot.entities), there), newer.total):
        return one
    at = used.taken_at.replace(tzinfo=None).isoformat(timespec="milliseconds")
    readable = intact(one)
    restore = (
        "get a good copy of that one" if readable is None else f"`restore` {readable.reference} by its id"
    )
    problem = BlockedError(
        f"the archive to use, {_dated(used)}, has {plural(len(one.snapshot.entities), 'entity', 'entities')}, but a newer one,"
        f" {_dated(newer)}, has {newer.total:,}; {restore}, or use the older one with --workspace {one.slug} --at {at}"
    )
    return replace(one, problem=problem.with_flags("--workspace", one.slug, "--at", at))


def intact(one: WorkspaceRecovery) -> ArchiveName | None:
    """Return the archive with most entities among the newer ones that are not used although they can be read, or None."""
    readable = (p for p in one.passed_over if not (p.locked or p.exit_code == IntegrityError.exit_code))
    return replace(one, passed_over=tuple(readable)).newer


def _dated(archive: ArchiveName) -> str:
    return f"{archive.reference} of {shown_time(archive.taken_at)}"
