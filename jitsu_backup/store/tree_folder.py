"""A folder tree on disk. Reading follows no link, and writing touches only files that differ."""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from jitsu_backup.archive.codec import MAX_DOCUMENT_BYTES
from jitsu_backup.archive.tree_layout import (
    MANIFEST,
    README,
    RUN,
    is_ignored,
    names_in,
    own_files,
    tree_header,
)
from jitsu_backup.archive.tree_settling import settled
from jitsu_backup.errors import BackupError, IntegrityError, UsageError
from jitsu_backup.store.files import failure, make_folder, read_file, remove_leftovers, write_file

UNFINISHED = ".unpack-unfinished"
"""A file that exists in a folder while it is written, so that an interrupted unpack is recognised."""

MAX_FILES = 1_000_000
"""The most files of one folder that are examined."""

_ATTRIBUTES = ".gitattributes"
_ATTRIBUTES_TEXT = b"# code is kept byte for byte, so Git must not change the ends of its lines\n*.js -text\n"

_SUFFIXES = (".json", ".js", ".md")


@dataclass(frozen=True, slots=True)
class FolderUpdate:
    """What writing a tree did to its folder, as relative paths.

    `foreign` are files that no tree could have. They were not touched, and `pack` would reject them.
    """

    written: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int
    foreign: tuple[str, ...] = ()


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return the contents of the files in a folder by relative POSIX path, without following symbolic links.

    Raise IntegrityError for anything but a regular file, and for an incompletely written folder, BackupError.
    """
    if (folder / UNFINISHED).exists():
        raise IntegrityError("`unpack` was interrupted while it wrote this folder; run it again")
    if folder.is_dir() and not os.path.lexists(
        folder / MANIFEST
    ):  # otherwise the message would say to remove the first foreign file
        raise IntegrityError(f"{MANIFEST} is missing; give a folder that `unpack` wrote")
    found: dict[str, bytes] = {}
    left = MAX_DOCUMENT_BYTES
    for path, mode in _walk(folder):
        if is_ignored(path):
            continue
        if not stat.S_ISREG(mode):
            what = "a symbolic link" if stat.S_ISLNK(mode) else "not a regular file"
            raise IntegrityError(f"{path if path.isprintable() else repr(path)} is {what}; remove it")
        if (folder / path).lstat().st_size > left:
            raise IntegrityError(
                f"the folder holds more than {MAX_DOCUMENT_BYTES:,} bytes, the limit of an archive; give a folder that `unpack`"
                " wrote"
            )
        found[path] = read_file(folder / path, limit=left, own=True)
        left -= len(found[path])
    return found


def check_target(folder: Path, tree: Mapping[str, bytes]) -> None:
    """Raise UsageError if a tree must not be written to `folder`.

    The folder may be missing, empty except for names that begin with a dot, or a tree of the same workspace. A redacted
    tree is never replaced by one with secrets.
    """
    try:
        names = {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise UsageError(f"{folder} is not a folder; give another path") from None
    except OSError as problem:
        raise failure(f"cannot list {folder}", problem) from None
    if UNFINISHED not in names and all(name.startswith(".") for name in names):
        return
    manifest = folder / MANIFEST
    regular = not manifest.is_symlink() and manifest.is_file()
    before = tree_header(read_file(manifest, own=True)) if regular else None
    if before is None:
        if UNFINISHED in names and MANIFEST not in names:
            return
        raise UsageError(
            f"{folder} is neither empty nor a folder that `unpack` wrote; give another, such as {folder / 'workspace'}"
        )
    expected = tree_header(tree[MANIFEST])
    assert expected is not None  # noqa: S101  for the type checker
    if before[0] != expected[0]:
        one, other = before[0][:60], expected[0][:60]
        raise UsageError(
            f"the folder {folder} belongs to workspace {one!r}, not to {other!r}; give another folder"
        )
    if before[1] and not expected[1]:
        raise UsageError(
            f"{folder} was unpacked with --redact, and would now get unencrypted secrets; add --redact, or give another"
        )


def write_tree(folder: Path, tree: Mapping[str, bytes], *, rewrite: bool = False) -> FolderUpdate:
    """Make a folder hold a tree: write files that differ, remove those of an earlier tree, touch no others.

    Files keep their names as long as their entities keep theirs. If only times have changed, nothing is touched, or with
    `rewrite` only the time of reading. The next run completes an interrupted one. Raise UsageError as `check_target` does,
    BackupError.
    """
    check_target(folder, tree)
    now, others = _content(folder, tree) if folder.exists() else ({}, {})
    moved: frozenset[str] = frozenset()
    if any(tree[path] != now.get(path) for path in tree if now and path != RUN):
        found = settled(tree, now)
        tree, moved = found.tree, found.moved
    _check_places(folder, tree, others)
    changed = [path for path in tree if tree[path] != now.get(path)]
    beyond = [path for path in now if path not in tree]
    own = own_files(now) | moved if beyond else set()  # usually, there are no other files
    # code is written before the JSON that refers to it
    gone = sorted(own.intersection(beyond), key=lambda path: (path.endswith(".json"), path))
    resumed = (folder / UNFINISHED).exists()
    same_names = names_in(tree) == names_in(now)
    if (
        RUN in now
        and same_names
        and not rewrite
        and not (resumed or gone)
        and {RUN, README}.issuperset(changed)
    ):
        changed = [path for path in changed if path != RUN]
    if changed or gone or resumed:
        _carry_out(folder, tree, changed, gone)
    foreign = sorted(
        path for path in (*beyond, *others) if not (path in own or path in tree or is_ignored(path))
    )
    return FolderUpdate(tuple(changed), tuple(gone), len(tree) - len(changed), tuple(foreign))


def _content(folder: Path, tree: Mapping[str, bytes]) -> tuple[dict[str, bytes], dict[str, int]]:
    """Return the content of the files that a tree could have, by path, and the modes of all others. Raise BackupError."""
    content: dict[str, bytes] = {}
    others: dict[str, int] = {}
    known = {path: path for path in tree}  # keeps only one string for each path
    for path, mode in _walk(folder):
        if stat.S_ISREG(mode) and path.endswith(_SUFFIXES) and not _hidden(path):
            # a Path would intern each name
            content[known.get(path, path)] = _shared(read_file(f"{folder}/{path}", own=True), tree.get(path))
        else:
            others[path] = mode
    return content, others


def _carry_out(folder: Path, tree: Mapping[str, bytes], changed: list[str], gone: list[str]) -> None:
    parents = {(folder / path).parent for path in (*tree, *gone)} - {folder}
    try:
        make_folder(folder)
        remove_leftovers(folder)
        write_file(folder / UNFINISHED, b"")  # first, because it also marks the following files as ours
        for parent in sorted(parents):
            parent.mkdir(mode=0o700, exist_ok=True)
            remove_leftovers(parent)
        if not (folder / _ATTRIBUTES).exists():
            write_file(folder / _ATTRIBUTES, _ATTRIBUTES_TEXT)
        for path in changed:
            write_file(folder / path, tree[path])
        for path in gone:
            (folder / path).unlink(missing_ok=True)
        for parent in parents:
            with suppress(OSError):  # not empty
                parent.rmdir()
        (folder / UNFINISHED).unlink(missing_ok=True)
    except OSError as problem:
        raise failure(f"cannot write {folder}", problem) from None


def _check_places(folder: Path, tree: Mapping[str, bytes], others: Mapping[str, int]) -> None:
    """Raise BackupError, before anything is written, if something blocks the path of a file or folder of the tree."""
    for parent in {path.partition("/")[0] for path in tree if "/" in path}:
        at = folder / parent
        if at.is_symlink() or (at.exists() and not at.is_dir()):
            raise _in_the_way(at, "folder")
    for path in tree:
        if path in others and not stat.S_ISLNK(others[path]):
            raise _in_the_way(folder / path, "file")


def _in_the_way(path: Path, wanted: str) -> BackupError:
    return BackupError(
        f"cannot write {path}: it exists, but is not a {wanted}; nothing was written; remove it"
    )


def _walk(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield path and mode of everything in a folder and its subfolders, except the subfolders themselves."""
    try:
        for name in _listed(folder):
            mode = os.lstat(f"{folder}/{name}").st_mode
            if stat.S_ISDIR(mode) and not name.startswith("."):
                for inner in _listed(folder / name):
                    yield f"{name}/{inner}", os.lstat(f"{folder}/{name}/{inner}").st_mode
            else:
                yield name, mode
    except OSError as problem:
        raise failure(f"cannot list {folder}", problem) from None


def _listed(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        found = sorted(entry.name for entry in islice(entries, MAX_FILES + 1))
    if len(found) > MAX_FILES:
        raise BackupError(f"cannot list {folder}: it holds more than {MAX_FILES:,} files; remove some")
    return found


def _shared(data: bytes, known: bytes | None) -> bytes:
    """Return `known` if it equals `data`, so that unchanged content is in memory only once."""
    return known if known is not None and known == data else data


def _hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))
