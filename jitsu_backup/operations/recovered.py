"""Which workspaces of a store were recovered as others, according to the names of archives."""

from collections.abc import Iterable

from jitsu_backup.archive import ArchiveName


def was_recovered(newest: ArchiveName, seen: Iterable[ArchiveName]) -> bool:
    """Return whether a workspace, given its `newest` archive, was recovered as one of those whose archives are `seen`.

    That is a workspace with the same slug and a record of a recovery or clone that is newer than `newest`. A clone beside
    its source has another slug.
    """
    return any(
        one.cloned_from is not None
        and not (one.is_intent or one.begun)
        and one.slug == newest.slug
        and one.taken_at >= newest.taken_at
        for one in seen
    )
