"""Which archive SNAPSHOT means."""

import re

from jitsu_backup.archive import INCOMPLETE, PRE_RESTORE, ArchiveName, parse_name
from jitsu_backup.errors import BackupError, UsageError

_LATEST = re.compile(r"latest(?:~(\d{1,9}))?")


def find(names: list[str], reference: str) -> str:
    """Give the name among `names` that `reference` means: `latest`, `latest~2` or a digest prefix.

    A workspace's slug or id may stand before it, with `/`. Incomplete snapshots count
    for `latest` only where there is no complete one, those of before a restore never. Raises UsageError, BackupError.
    """
    workspace, slash, rest = reference.rpartition("/")
    archives = [archive for archive in map(parse_name, names) if archive is not None]
    # by id, so that a workspace whose slug changed keeps one history
    ids = {a.workspace_id for a in archives if not slash or workspace in (a.slug, a.workspace_id)}
    chosen = [a for a in archives if a.workspace_id in ids]
    if not chosen:
        known = ", ".join(_workspaces(archives))
        where = f"of workspace {workspace!r} " if slash else ""
        raise BackupError(
            f"no snapshot {where}in the store" + (f"; it has: {known}" if known else ", which is empty")
        )
    match = _LATEST.fullmatch(rest)
    if match is not None:
        return str(_latest(chosen, int(match[1] or 0)))
    prefix = rest.lower()[:12]
    if not re.fullmatch(r"[0-9a-fA-F]{4,64}", rest):
        raise UsageError(
            f"{reference!r} is no snapshot: write latest, latest~2, an id of 4 or more hex digits, or a path"
        )
    found = [a for a in chosen if a.digest_prefix.startswith(prefix)]
    if not found:
        newest = [a.digest_prefix for a in sorted(chosen, key=_age, reverse=True)]
        some = ", ".join(dict.fromkeys(newest[:5]))
        raise BackupError(f"no snapshot {rest!r} in the store; it has {len(chosen)}, the newest: {some}")
    if len({a.digest_prefix for a in found}) > 1:
        raise UsageError(
            f"{rest!r} could be {', '.join(sorted({a.digest_prefix for a in found}))}: write more of it"
        )
    return str(max(found, key=_age))


def _latest(archives: list[ArchiveName], back: int) -> ArchiveName:
    # a restore that is run again must not find what the first run set aside
    archives = [a for a in archives if PRE_RESTORE not in a.marks]
    workspaces = _workspaces(archives)
    if len(workspaces) > 1:
        some = ", ".join(f"{workspace}/latest" for workspace in workspaces)
        raise UsageError(f"the store holds several workspaces; write one of {some}")
    complete = [a for a in archives if INCOMPLETE not in a.marks]
    ordered = sorted(complete or archives, key=_age, reverse=True)
    if back >= len(ordered):
        raise BackupError(f"the store has only {len(ordered)} such snapshot(s)")
    return ordered[back]


def _workspaces(archives: list[ArchiveName]) -> list[str]:
    """Give one name per workspace: its newest slug, or its id where another had that slug too."""
    newest = {a.workspace_id: a.slug for a in sorted(archives, key=_age)}
    owners = {slug: {a.workspace_id for a in archives if a.slug == slug} for slug in newest.values()}
    return sorted(slug if len(owners[slug]) == 1 else workspace for workspace, slug in newest.items())


def _age(archive: ArchiveName) -> tuple[object, str]:
    return archive.taken_at, str(archive)
