"""Files that flags name. They are checked before anything is done and written at the end."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from jitsu_backup.archive.tree_layout import is_ignored
from jitsu_backup.cli.output import Output
from jitsu_backup.errors import BackupError, UsageError, advice_on
from jitsu_backup.settings.overlay_file import OverlayFile, open_overlay
from jitsu_backup.store import check_permitted, read_file, write_file

_STANDARD_OUTPUT = Path("-")
_OWN = {
    "--html": b'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="default-src',
    "--markdown": b"<!-- jitsu-backup: ",
}
"""How our pages have always begun."""


def opened_overlay(app: Output, path: Path) -> OverlayFile:
    """Read an overlay file; warn if others can read secrets in it. Raise UsageError."""
    overlay = open_overlay(path, os.environ)
    if warning := overlay.warning():
        app.warn(warning)
    return overlay


def overlay_of_profile(app: Output, path: Path | None, form: Path | None) -> OverlayFile | None:
    """Read the overlay that a profile names at `path`. Raise UsageError.

    None without one, also if it is the `form` that this run is about to write. Without an overlay the source's hosts would
    be written, so `form` is None unless the run only shows its plan.
    """
    if path is None:
        return None
    if not _is_missing(path):
        return opened_overlay(app, path)
    if form is not None and form.resolve() == path.resolve():
        return None
    raise UsageError(
        f"overlay {path}: the profile names this file, but it does not exist; write a form to fill in with"
        f" --dry-run --overlay-out {path}, or an empty file if the target has no values of its own"
    )


def _is_missing(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:  # whoever reads it says why that fails
        return False
    return False


def check_output(app: Output, path: Path | None) -> None:
    """Raise UsageError for an --output that cannot be written; with `-`, send other output to standard error."""
    if path != _STANDARD_OUTPUT:
        check_new(path, "--output")
        return
    if app.as_json:
        raise UsageError("--output - and --json both write to standard output; name a file")
    if sys.stdout.isatty():
        raise UsageError("--output -: standard output is a terminal; redirect it to a file or a program")
    if not app.logs:
        app.out = app.err


def write_output(path: Path, data: bytes) -> None:
    """Write an archive to a file, or to standard output for `-`. Raise BackupError."""
    if path != _STANDARD_OUTPUT:
        write_file(path, data)
        return
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as problem:
        raise BackupError(
            f"cannot write the archive to standard output: {problem.strerror}; {advice_on(problem)}"
        ) from None


def output_name(path: Path) -> str:
    """Return what messages call an --output."""
    return "standard output" if path == _STANDARD_OUTPUT else str(path)


def check_path(path: Path | None, option: str) -> None:
    """Raise UsageError for an empty path, as from an unset variable."""
    if path is not None and str(path) in ("", "."):
        raise UsageError(f"{option} is empty or names a folder; name a file")
    if path == _STANDARD_OUTPUT:
        raise UsageError(f"{option} -: only --output can write to standard output; name a file")


def check_folder(path: Path | None) -> None:
    """Raise BackupError for a file whose folder does not exist."""
    if path is not None and not path.parent.is_dir():
        raise BackupError(f"cannot write {path}: there is no folder {path.parent}; create it")


def check_new(path: Path | None, option: str) -> None:
    """Raise UsageError for a file that exists, because its content may be the only copy."""
    check_path(path, option)
    check_folder(path)
    if path is not None and path.exists():
        raise UsageError(f"{option} {path}: the file exists; name another, or remove it first")


def check_kept(path: Path | None, option: str) -> None:
    """Raise UsageError or BackupError for a file to add to that is a pipe, a device or a folder."""
    check_path(path, option)
    if path is not None and path.exists() and not path.is_file():
        raise BackupError(f"cannot write {path}: not a regular file; name another")


def check_apart(outputs: Mapping[str, Path | None]) -> None:
    """Raise UsageError if two flags name the same file to write, because one would replace the other."""
    taken: dict[Path, str] = {}
    for flag, path in outputs.items():
        if path is not None and (other := taken.setdefault(path.resolve(), flag)) != flag:
            raise UsageError(f"{other} and {flag} name the same file, {path}; name a different file for each")


def check_outside(folder: Path, outputs: Mapping[str, Path | None]) -> None:
    """Raise UsageError for a file to write, by flag, that would make a folder of `unpack` unreadable."""
    there = _resolved(folder)
    for flag, path in outputs.items():
        place = there.parent if path is None else _resolved(path)
        if place.is_relative_to(there) and not is_ignored(place.relative_to(there).as_posix()):
            raise UsageError(
                f"{flag} {path}: this is inside the folder {folder}, which would then be unreadable; name another place"
            )


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except FileNotFoundError:  # a relative path has no meaning without it
        raise BackupError("the working folder no longer exists; change to another one") from None


def check_pages(html: Path | None, markdown: Path | None) -> None:
    """Raise UsageError or BackupError for pages that cannot be written."""
    check_page(html, "--html")
    check_page(markdown, "--markdown")
    check_apart({"--html": html, "--markdown": markdown})


def check_page(path: Path | None, option: str) -> None:
    """Raise UsageError or BackupError for one page that cannot be written."""
    if path is None:
        return
    try:
        check_kept(path, option)
        check_folder(path)
        if path.exists() and not read_file(path).startswith(_OWN[option]):
            raise UsageError(
                f"{option} {path}: the file exists and was not written by jitsu-backup; name another"
            )
    except OSError as problem:  # such as a name that is too long
        raise BackupError(f"cannot write {path}: {problem.strerror}; {advice_on(problem)}") from None
    check_permitted(path)


def write_page(app: Output, path: Path | None, page: Callable[[], str]) -> None:
    """Write a page if one was asked for, and say where it is. Raise BackupError."""
    if path is not None:
        write_file(path, page().encode())
        app.say(f"report written to {path}")
