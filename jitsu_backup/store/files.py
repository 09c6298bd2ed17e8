"""Files, written whole or not at all."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from jitsu_backup.errors import BackupError

TEMPORARY = ".jitsu-backup-"
"""How the name of a file begins that is not finished yet."""


def read_file(path: Path) -> bytes:
    """Read a file. Raises BackupError with the path and the reason."""
    try:
        return path.read_bytes()
    except OSError as problem:
        raise BackupError(f"cannot read {path}: {reason(problem)}") from None


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path`, in the place of what was there, readable only by its owner.

    Raises BackupError; then nothing was written and what was there is as before.
    """
    _publish(path, data, Path.replace)


def write_new_file(path: Path, data: bytes) -> bool:
    """Write `data` to `path` unless something is there; tell whether it was written. Raises BackupError."""

    def link(temporary: Path, target: Path) -> None:
        try:
            os.link(temporary, target)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if target.exists():
                raise FileExistsError from None
            temporary.rename(target)

    try:
        _publish(path, data, link)
    except FileExistsError:
        return False
    return True


def reason(problem: OSError) -> str:
    """Give the operating system's words for a problem."""
    return (problem.strerror or type(problem).__name__).lower()


def _publish(path: Path, data: bytes, publish: Callable[[Path, Path], object]) -> None:
    temporary = path.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            publish(temporary, path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError:
        raise
    except OSError as problem:
        raise BackupError(f"cannot write {path}: {reason(problem)}") from None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
