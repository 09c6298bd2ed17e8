"""The settings file: finding and reading it."""

import os
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.store.files import read_text_file

DEFAULT_STORE = "./jitsu-backups"


def config_path(
    given: Path | None, environment: Mapping[str, str], home: Path | None, working_folder: Path
) -> Path | None:
    """Return the path of the settings file that is named, or of the one found, or None."""
    if given is None and environment.get("JITSU_BACKUP_CONFIG"):
        given = Path(expand(environment["JITSU_BACKUP_CONFIG"], home))
    if given is not None:
        return working_folder / given
    folders = [working_folder]
    if environment.get("XDG_CONFIG_HOME"):
        folders.append(Path(environment["XDG_CONFIG_HOME"]) / "jitsu-backup")
    elif home is not None:
        folders.append(home / ".config" / "jitsu-backup")
    paths = (folder / "jitsu-backup.toml" for folder in folders)
    return next((path for path in paths if os.access(path, os.F_OK) and not path.is_dir()), None)


def read_document(path: Path) -> Mapping[str, Any]:
    """Return the content of a settings file, unchecked. Raise UsageError if it is not TOML."""
    try:
        document = tomllib.loads(read_text_file(path).decode())
        repr(document)  # numbers or nesting that Python cannot show fail here, not later in a message
    except BackupError as problem:
        message = str(problem).removeprefix("cannot read ")
        raise UsageError(f"cannot read the settings file {message}") from None
    except UnicodeDecodeError:
        raise UsageError(f"settings file {path}: not UTF-8 text; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as problem:
        raise UsageError(f"settings file {path}: not TOML: {problem}; correct it there") from None
    except ValueError:
        raise UsageError(f"settings file {path}: a number in it is too long; shorten it") from None
    except RecursionError:
        raise UsageError(f"settings file {path}: nested too deeply; use fewer levels") from None
    return document


def readable_lines(path: Path) -> Mapping[str, Any]:
    """Return the settings in those lines before the first table that are valid TOML by themselves.

    Raise BackupError, UnicodeDecodeError.
    """
    found: dict[str, Any] = {}
    for line in read_text_file(path).decode().splitlines():
        if line.lstrip().startswith("["):
            break
        with suppress(ValueError, RecursionError):
            found |= tomllib.loads(line)
    return found


def store_of(
    given: str | None, environment: Mapping[str, str], document: Mapping[str, Any], home: Path | None
) -> str:
    """Return the store that a flag, the environment or the settings file names, or the default one."""
    return expand(named_store(given, environment, document) or DEFAULT_STORE, home)


def named_store(given: str | None, environment: Mapping[str, str], document: Mapping[str, Any]) -> str | None:
    """Return the store that a flag, the environment or the settings file names, unexpanded, or None."""
    named = given or environment.get("JITSU_BACKUP_STORE") or document.get("store")
    return None if not named else str(named)


def expand(path: str, home: Path | str | None) -> str:
    """Return a path with a leading `~/` replaced by the home folder, if there is one."""
    return str(Path(home) / path[2:]) if home and path.startswith("~/") else path
