"""A folder of `unpack` as a snapshot, and what it was unpacked from: the base of the three sides."""

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
"""The archive that a folder was unpacked from, in the folder; or beside it, after the folder's name."""

MOST_LATER = 5
"""The most archives that are read in search of one that equals the base but for times."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that was read. `files` are the JSON files of its entities.

    `archive` is the digest of what was unpacked, `content` that of what the folder showed of it, without times.
    """

    path: Path
    snapshot: Snapshot = field(repr=False)
    files: Mapping[Key, str] = field(repr=False)
    archive: str | None
    content: str | None
    redacted: bool


def is_folder(path: Path) -> bool:
    """Return whether a path leads to a folder of `unpack`, or to what is left of one."""
    if not path.is_dir():
        return False
    there = [name for name in NEEDED if (path / name).is_file()]
    return (path / UNFINISHED).exists() or len(there) > 1


def open_folder(path: Path) -> Folder:
    """Return the snapshot of a folder, edited or not, redacted or not.

    Raise FolderError, which names the file, for what is wrong, also for code with the marks of an unfinished merge;
    BackupError.
    """
    with named_in_errors(str(path)):
        try:
            files = read_tree(path)
            content = read_files(files, redacted=True)
        except IntegrityError as problem:
            raise FolderError(str(problem)) from None
        for name in unmerged(files):
            raise FolderError(f"{name} is not finished: {UNMERGED}")
    return Folder(path, content.snapshot, content.paths, content.archive, content.content, content.redacted)


async def find_base(
    folder: Folder, open_store: Callable[[], Store] | None, keys: ArchiveKeys, *, report: Reporter = silent
) -> Snapshot | None:
    """Return what a folder was unpacked from: its `.base`, the one beside it, or the archive in the store; None without one.

    A later archive that differs from it in times alone serves as well, because times make no commit. Raise BackupError,
    IntegrityError, LockedError and UsageError where it is there and cannot be read.
    """
    there = folder.path.resolve()
    for path in (folder.path / BASE, there.with_name(there.name + BASE)):
        if path.is_file():
            found = open_file(path, keys)
            if _is_base(found, folder):
                return found
            report(Notice(f"{path} is not what the folder was unpacked from, and was passed over"))
    if folder.archive is None or open_store is None:
        return None
    store, problem = open_store(), None
    for archive in _candidates(folder, await archives(store)):
        try:
            found = open_archive(archive, await store.read(str(archive)), keys)
        except BackupError as failure:  # another copy may be whole
            problem = failure
        else:
            if _is_base(found, folder):
                return found
    if problem is not None:
        raise problem
    return None


def has_base(path: Path, keys: ArchiveKeys) -> bool:
    """Return whether a folder has its `.base`, as far as the keys can tell."""
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
    """Return what finds the base of a folder for a plan, and checks the folder against it.

    Where `options` take all of the source, an unreadable one is reported. What it returns raises the errors of `find_base`, and
    FolderError, which names the file, for what nobody can have meant: an id that was edited, a reference that leads nowhere.
    """

    async def find() -> Snapshot | None:
        try:
            base = await find_base(folder, open_store, keys, report=report)
        except BackupError as problem:
            unread = f"what {folder.path} was unpacked from cannot be read: "
            pass_over(problem, unread, options, report)
            base = None
        with named_in_errors(str(folder.path)):
            check_stars(folder.snapshot, folder.files, base)
            if base is not None:
                check_edits(folder.snapshot, folder.files, base)
        return base

    return find


def _candidates(folder: Folder, known: list[ArchiveName]) -> list[ArchiveName]:
    """Return which of the `known` archives, newest first, may be the base of a folder, the most likely first."""
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
    # the first ones since then, because whatever else the console changed came after them
    return [*exact, *later[: -MOST_LATER - 1 : -1]]


def _is_base(snapshot: Snapshot, folder: Folder) -> bool:
    if folder.archive is None:
        return same_workspace(snapshot, folder.snapshot)
    if digest(snapshot) == folder.archive:
        return True
    return folder.content is not None and shown_digest(snapshot, redacted=folder.redacted) == folder.content
