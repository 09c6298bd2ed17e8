"""Read regular files of limited size, and write files atomically."""

import codecs
import errno
import fcntl
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jitsu_backup.errors import BackupError, DiskError, FileAccessError, StorageAccessError, advice_on

TEMPORARY = ".jitsu-backup-"
"""The beginning of the name of an unfinished file; 16 hex digits follow."""

_TEMPORARY_NAME = re.compile(re.escape(TEMPORARY) + "[0-9a-f]{16}")

MAX_FILE_BYTES = 384 * 1024 * 1024
"""The largest file that is read, in bytes. Any archive, even encrypted and armoured, is smaller."""

MAX_TEXT_BYTES = 8 * 1024 * 1024
"""The largest file of settings, overlays, secrets, keys or plans that is read, in bytes."""

_STEP = 1024 * 1024

_TRIAL = 64 * 1024
"""Bytes that are written to find out whether a folder can be written to."""

_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

_HANDED_OVER = re.compile(r"/dev/stdin|/dev/fd/\d+|/proc/self/fd/\d+", re.ASCII)
"""Paths of files that the caller has opened for us, such as `<(command)` in a shell. They may be pipes."""


def read_file(path: Path | str, *, limit: int = MAX_FILE_BYTES, own: bool = False) -> bytes:
    """Return the content of a regular file of up to `limit` bytes, or of a pipe that the caller has opened for us.

    An `own` file must not be a symbolic link. Raise BackupError, StorageAccessError with the path and the reason.
    """
    pieces, size = [], 0
    regular = own or not _is_handed_over(path)
    try:
        flags = (os.O_NONBLOCK if regular else 0) | (os.O_NOFOLLOW if own else 0)
        with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as file:
            if regular and not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BackupError(f"cannot read {path}: not a regular file; name another")
            while piece := file.read(_STEP):
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    raise BackupError(
                        f"cannot read {path}: it is larger than {limit:,} bytes; name a smaller file"
                    )
    except OSError as problem:
        raise failure(f"cannot read {path}", problem) from None
    except ValueError:
        raise BackupError("cannot read a file whose name contains a null byte; correct the name") from None
    return b"".join(pieces)


def waits(path: Path) -> bool:
    """Return whether reading `path` could wait forever: a pipe, device or socket that the caller has not opened for us."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False  # reading it reports what is wrong
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or _is_handed_over(path))


def _is_handed_over(path: Path | str) -> bool:
    return _HANDED_OVER.fullmatch(str(path)) is not None


def read_text_file(path: Path) -> bytes:
    """Return the content of a file that a person wrote, of up to MAX_TEXT_BYTES, without a byte order mark.

    Raise BackupError with the path and the reason.
    """
    return read_file(path, limit=MAX_TEXT_BYTES).removeprefix(codecs.BOM_UTF8)


def write_file(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace the file at `path` by `data` atomically.

    Raise BackupError; then the file is unchanged, unless only the last fsync failed. Devices, pipes and folders are
    never replaced.
    """
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        regular = True  # it does not exist, or writing reports what is wrong
    if not regular:
        raise BackupError(f"cannot write {path}: not a regular file; name another")
    _publish(path, data, Path.replace, mode)


def write_new_file(path: Path, data: bytes, what: str = "") -> bool:
    """Write `data` to `path`. Return False if it already exists.

    Raise BackupError, which says `what` cannot be done; by default that the path cannot be written.
    """

    def link(temporary: Path, target: Path) -> None:
        try:
            os.link(temporary, target)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if target.exists():
                raise FileExistsError from None
            temporary.rename(target)
        else:
            temporary.unlink()

    try:
        _publish(path, data, link, 0o600, what)
    except FileExistsError:
        return False
    return True


def try_writing(folder: Path, what: str) -> None:
    """Write a file into `folder` and remove it. Raise BackupError, which says `what` cannot be done."""
    try:
        path, handle = _begin(folder, 0o600)
        try:
            os.write(handle, bytes(_TRIAL))
            os.fsync(handle)
        finally:
            path.unlink()
            os.close(handle)
    except OSError as problem:
        raise failure(what, problem) from None


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, each accessible only by its owner, whatever the umask. Raise OSError."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files that killed writers left in `folder`.

    A running writer holds a lock on its file, so only our own regular files without a lock are removed. This never
    raises, because what cannot be removed now can be removed later.
    """
    with suppress(OSError):
        for path in [path for path in folder.iterdir() if _TEMPORARY_NAME.fullmatch(path.name)]:
            with suppress(OSError):
                handle = os.open(
                    path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
                )  # opening a pipe would block
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if stat.S_ISREG(os.fstat(handle).st_mode):
                        path.unlink()
                finally:
                    os.close(handle)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a lock on `folder`, so that one process at a time rewrites its files. Without lock support, do nothing."""
    handle = -1
    with suppress(OSError):  # writing into the folder reports what is wrong
        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle >= 0:
            os.close(handle)


def check_permitted(path: Path) -> None:
    """Raise FileAccessError for a file in a folder that must not be written to."""
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise FileAccessError(f"cannot write {path}: permission denied in {path.parent}")


def failure(what: str, problem: OSError) -> BackupError:
    """Return the error that says what could not be done and why, of the class that says what to do."""
    kind = StorageAccessError if isinstance(problem, PermissionError) else BackupError
    if problem.errno in _OF_DISKS:
        kind = DiskError
    error = kind(f"{what}: {reason(problem)}")
    error.advice = advice_on(problem)
    return error


def reason(problem: OSError) -> str:
    """Return the operating system's words for a problem, or that the working folder no longer exists; and what to do."""
    if isinstance(problem, FileNotFoundError) and _is_relative(problem.filename):
        try:
            Path.cwd()
        except OSError:
            return "the working folder no longer exists; change to another one"
    return f"{(problem.strerror or type(problem).__name__).lower()}; {advice_on(problem)}"


def _is_relative(name: object) -> bool:
    return isinstance(name, str | os.PathLike) and not Path(name).is_absolute()


def _publish(
    path: Path, data: bytes, publish: Callable[[Path, Path], object], mode: int, what: str = ""
) -> None:
    try:
        temporary, handle = _begin(path.parent, mode)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
            publish(temporary, path)
            _sync_folder(path.parent)
        except BaseException:  # even Ctrl-C leaves no partial file
            with suppress(OSError):  # the first problem is the one to report
                temporary.unlink()
            raise
        finally:
            os.close(handle)
    except FileExistsError:
        raise
    except OSError as problem:
        raise failure(what or f"cannot write {path}", problem) from None


def _begin(folder: Path, mode: int) -> tuple[Path, int]:
    """Create a temporary file, locked so that no other run removes it as a leftover. Return its path and handle."""
    while True:
        path = folder / f"{TEMPORARY}{os.urandom(8).hex()}"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        if mode != 0o600:
            with suppress(OSError):  # some file systems have no modes
                os.fchmod(handle, mode)  # regardless of the umask
        with suppress(OSError):  # a file system without locks, where leftovers are never removed
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return path, handle
        os.close(handle)  # another run removed it between the two steps


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as problem:
        if problem.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems cannot sync a folder
            raise
    finally:
        os.close(handle)
