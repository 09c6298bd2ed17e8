"""Which archive SNAPSHOT means."""

import re

from jitsu_backup.archive import ArchiveName, parse_name
from jitsu_backup.errors import BackupError, UsageError

_LATEST = re.compile(r"latest(?:~(\d{1,9}))?")


def find(names: list[str], reference: str) -> str:
    """Give the name among `names` that `reference` means: `latest`, `latest~2` or a digest prefix.

    A workspace's slug or id may stand before it, with `/`. Incomplete snapshots count
    for `latest` only where there is no complete one. Raises UsageError, BackupError.
    """
    workspace, slash, rest = reference.rpartition("/")
    archives = [archive for archive in map(parse_name, names) if archive is not None]
    chosen = [a for a in archives if not slash or workspace in (a.slug, a.workspace_id)]
    if not chosen:
        known = ", ".join(sorted({a.slug for a in archives}))
        where = f"of workspace {workspace!r} " if slash else ""
        raise BackupError(
            f"no snapshot {where}in the store" + (f"; it has: {known}" if known else ", which is empty")
        )
    match = _LATEST.fullmatch(rest)
    if match is not None:
        return str(_latest(chosen, int(match[1] or 0)))
    if not re.fullmatch(r"[0-9a-f]{4,64}", rest):
        raise UsageError(
            f"{reference!r} is no snapshot: write latest, latest~2, an id of 4 or more hex digits, or a path"
        )
    found = [a for a in chosen if a.digest_prefix.startswith(rest[:12])]
    if not found:
        raise BackupError(f"no snapshot {rest!r} in the store; `ls` it, or take latest")
    if len({a.digest_prefix for a in found}) > 1:
        raise UsageError(
            f"{rest!r} could be {', '.join(sorted({a.digest_prefix for a in found}))}: write more of it"
        )
    return str(max(found, key=_age))


def _latest(archives: list[ArchiveName], back: int) -> ArchiveName:
    workspaces = {a.workspace_id: a.slug for a in archives}
    if len(workspaces) > 1:
        some = ", ".join(f"{slug}/latest" for slug in sorted(set(workspaces.values())))
        raise UsageError(f"the store holds several workspaces; write one of {some}")
    complete = [a for a in archives if "incomplete" not in a.marks]
    ordered = sorted(complete or archives, key=_age, reverse=True)
    if back >= len(ordered):
        raise BackupError(f"the store has only {len(ordered)} such snapshot(s)")
    return ordered[back]


def _age(archive: ArchiveName) -> tuple[object, str]:
    return archive.taken_at, str(archive)
