"""Unpacking and packing: a snapshot becomes a folder of small files for Git, and such a folder becomes a snapshot."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from jitsu_backup.archive import (
    PACKED,
    ArchiveName,
    archive_name,
    digest,
    from_tree,
    left_out,
    to_tree,
    unmerged,
)
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.save import Saved, SaveOptions, save
from jitsu_backup.operations.snapshots import named_in_errors
from jitsu_backup.store import FolderUpdate, read_tree, write_tree


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The result of writing a snapshot to a folder. `digest` is that of the snapshot."""

    digest: str
    redacted: bool
    changes: FolderUpdate

    @property
    def bares_secrets(self) -> bool:
        """Whether unencrypted secrets were written."""
        return bool(self.changes.written) and not self.redacted


@dataclass(frozen=True, slots=True)
class FolderContent:
    """The snapshot in a folder. `left_out` lists what it does not include, and `unmerged` the files with conflicts."""

    snapshot: Snapshot
    left_out: tuple[str, ...]
    unmerged: tuple[str, ...]


def unpack(snapshot: Snapshot, folder: Path, *, redacted: bool, rewrite: bool = False) -> Unpacked:
    """Write a snapshot to its folder, and touch only what differs. Raise UsageError, BackupError.

    With `rewrite`, the folder names the archive of the snapshot even if nothing else has changed.
    """
    changes = write_tree(folder, to_tree(snapshot, redacted=redacted), rewrite=rewrite)
    return Unpacked(digest(snapshot), redacted, changes)


def read_folder(folder: Path) -> FolderContent:
    """Return the snapshot that a folder holds, edited or not. Raise IntegrityError, BackupError."""
    with named_in_errors(str(folder)):
        files = read_tree(folder)
        snapshot = from_tree(files)
    return FolderContent(snapshot, tuple(left_out(files, snapshot)), tuple(unmerged(files)))


async def save_packed(
    snapshot: Snapshot,
    known: Iterable[ArchiveName],
    keys: ArchiveKeys,
    put: Callable[[ArchiveName, bytes], Awaitable[None]],
) -> Saved:
    """Store the archive of a folder's snapshot, unless it is among the `known` ones. Raise BackupError.

    It is marked as packed, because it is not a backup: `latest` never means it, and no alarm compares with it.
    """
    options = SaveOptions((PACKED,), shrink_alarm=1, key=keys.mark)
    name = archive_name(snapshot, options.marks, encrypted=options.encrypted)
    same = [each for each in known if not each.damaged and str(replace(each, size=None)) == str(name)]
    if same:
        return Saved(snapshot, digest(snapshot), same[0], written=False)
    return await save(snapshot, (), options, keys.seal, put)
