"""Whose a slug was: slugs move from one workspace to another, ids do not."""

from collections.abc import Iterable

from jitsu_backup.archive import ArchiveName, safe_text
from jitsu_backup.errors import BackupError
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.store import Store


async def slug_owners(
    store: Store, keys: ArchiveKeys, host: str, slug: str, known: Iterable[ArchiveName]
) -> list[str]:
    """Return the ids, as names spell them, of the workspaces that had a slug when they were backed up, the newest first.

    Leave out a workspace that was read from another console than `host`; where no key at hand can tell, it counts.
    """
    newest: dict[str, ArchiveName] = {}
    for archive in sorted(known, key=lambda archive: archive.age, reverse=True):
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
