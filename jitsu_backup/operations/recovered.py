"""Which workspaces of a store were recovered as others, as the names of archives tell."""

from collections.abc import Iterable

from jitsu_backup.archive import ArchiveName


def was_recovered(newest: ArchiveName, seen: Iterable[ArchiveName]) -> bool:
    """Return whether a workspace, whose `newest` archive is given, lives on as one of those whose archives are `seen`.

    That is one of the same slug with the record of a recovery or clone that is newer than anything of the other: a clone
    beside its source has another slug.
    """
    return any(
        one.cloned_from is not None
        and not one.is_intent
        and one.slug == newest.slug
        and one.taken_at >= newest.taken_at
        for one in seen
    )
