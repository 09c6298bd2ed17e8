"""A folder of `unpack` as a snapshot, and its base: the snapshot that it was unpacked from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jitsu_backup.archive import UNMERGED, ArchiveName, digest, read_files, safe_text, shown_digest, unmerged
from jitsu_backup.archive.tree_layout import NEEDED
from jitsu_backup.errors import BackupError, FolderError, IntegrityError, LockedError, UsageError
from jitsu_backup.events import Notice, Reporter, silent
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.clone_record import pass_over
from jitsu_backup.operations.folder_checks import check_edits, check_stars
from jitsu_backup.operations.snapshots import named_in_errors, open_archive, open_file
from jitsu_backup.operations.third_side import BaseFinder
from jitsu_backup.planning import PlanOptions, same_workspace
from jitsu_backup.store import Store, archives, read_tree
from jitsu_backup.store.tree_folder import UNFINISHED

BASE = ".base"
"""The archive that a folder was unpacked from: in the folder, or beside it with the folder's name in front."""

MOST_LATER = 5
"""How many archives are read to find one that equals the base except for times."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that was read. `files` are the JSON files of its entities.

    `archive` is the digest of what was unpacked, and `content` the digest of what the folder showed, without times.
    """

    path: Path
    snapshot: Snapshot = field(repr=False)
    files: Mapping[Key, str] = field(repr=False)
    archive: str | None
    content: str | None
    redacted: bool


def is_folder(path: Path) -> bool:
    """Return whether a path leads to a folder of `unpack`, even a partial one."""
    if not path.is_dir():
        return False
    there = [name for name in NEEDED if (path / name).is_file()]
    return (path / UNFINISHED).exists() or len(there) > 1


def open_folder(path: Path) -> Folder:
    """Return the snapshot of a folder, edited or not, redacted or not.

    Raise FolderError, which names the file, if something is wrong (such as the conflict marks of a merge), BackupError.
    """
    with named_in_errors(str(path)):
        try:
            files = read_tree(path)
            content = read_files(files, redacted=True)
        except IntegrityError as problem:
            raise FolderError(str(problem)) from None
        for name in unmerged(files):
            raise FolderError(f"{name} has an unfinished merge: {UNMERGED}")
    return Folder(path, content.snapshot, content.paths, content.archive, content.content, content.redacted)


async def find_base(
    folder: Folder, open_store: Callable[[], Store] | None, keys: ArchiveKeys, *, report: Reporter = silent
) -> Snapshot | None:
    """Return what a folder was unpacked from: its `.base`, the one beside it, or the archive in the store. Else None.

    A later archive that differs only in times serves as well. Raise BackupError, IntegrityError, LockedError and
    UsageError if one exists but cannot be read.
    """
    there = folder.path.resolve()
    for path in (folder.path / BASE, there.with_name(there.name + BASE)):
        if path.is_file():
            found = open_file(path, keys)
            if _is_base(found, folder):
                return found
            report(Notice(f"{path} is not what the folder was unpacked from; it was ignored"))
    if folder.archive is None or open_store is None:
        return None
    store, problem = open_store(), None
    for archive in _candidates(folder, await archives(store)):
        try:
            found = open_archive(archive, await store.read(str(archive)), keys)
        except BackupError as failure:  # another copy may be undamaged
            problem = failure
        else:
            if _is_base(found, folder):
                return found
    if problem is not None:
        raise problem
    return None


def has_base(path: Path, keys: ArchiveKeys) -> bool:
    """Return whether a folder has its `.base`, if the keys can open it."""
    try:
        folder = open_folder(path)
        return _is_base(open_file(path / BASE, keys), folder)
    except (LockedError, UsageError):
        return True
    except BackupError:
        return False


def base_finder(
    folder: Folder,
    open_store: Callable[[], Store] | None,
    keys: ArchiveKeys,
    options: PlanOptions,
    *,
    report: Reporter = silent,
) -> BaseFinder:
    """Return a function that finds the base of a folder for a plan, and checks the folder against it.

    If `options` take all of the source, an unreadable base is only reported. The function raises the errors of `find_base`,
    and FolderError, which names the file, for obvious mistakes: an edited id, a reference that leads nowhere.
    """

    async def find() -> Snapshot | None:
        try:
            base = await find_base(folder, open_store, keys, report=report)
        except BackupError as problem:
            unread = f"the archive that {folder.path} was unpacked from cannot be read: "
            pass_over(problem, unread, options, report)
            base = None
        with named_in_errors(str(folder.path)):
            check_stars(folder.snapshot, folder.files, base)
            if base is not None:
                check_edits(folder.snapshot, folder.files, base)
        return base

    return find


def _candidates(folder: Folder, known: list[ArchiveName]) -> list[ArchiveName]:
    """Return the archives that may be the base of a folder, most likely first. `known` is sorted newest first."""
    whole = [one for one in known if not one.damaged]
    exact = [one for one in whole if (folder.archive or "").startswith(one.digest_prefix)]
    if folder.content is None:
        return exact
    mine, since = safe_text(folder.snapshot.manifest.source.workspace_id), folder.snapshot.taken_at
    later = [
        one
        for one in whole
        if one.workspace_id == mine and one.taken_at >= since and one.cloned_from is None and one not in exact
    ]
    # the first ones since then: other changes of the console came after them
    return [*exact, *later[: -MOST_LATER - 1 : -1]]


def _is_base(snapshot: Snapshot, folder: Folder) -> bool:
    if folder.archive is None:
        return same_workspace(snapshot, folder.snapshot)
    if digest(snapshot) == folder.archive:
        return True
    return folder.content is not None and shown_digest(snapshot, redacted=folder.redacted) == folder.content
