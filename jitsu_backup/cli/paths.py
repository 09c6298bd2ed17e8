"""Paths as people write them, and the home folder."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click


class HomePath(click.Path):
    """A path in which a leading `~/` means the home folder, even if no shell expands it, as in `--output=~/x` or cron."""

    def __init__(self) -> None:
        """Return paths as `pathlib.Path`."""
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if isinstance(value, str) and value.startswith("~/"):
            try:
                value = str(Path(value).expanduser())
            except RuntimeError:
                self.fail(f"{value}: no home folder is known; write the full path", param, ctx)
        if isinstance(value, str) and "://" in value:
            self.fail("a URL is not a path; give a path", param, ctx)
        return super().convert(value, param, ctx)


PATH = HomePath()


def working_folder() -> Path:
    """Return the working folder, or an empty path if it no longer exists, so that only relative paths fail."""
    try:
        return Path.cwd()
    except OSError:
        return Path()


def cache_folder(environment: Mapping[str, str]) -> Path | None:
    """Return the user's cache folder, None without a home folder."""
    named, home = environment.get("XDG_CACHE_HOME", ""), home_folder()
    if named and Path(named).is_absolute():  # by its specification, a relative path counts as unset
        return Path(named) / "jitsu-backup"
    usual = "Library/Caches" if sys.platform == "darwin" else ".cache"
    return None if home is None else home / usual / "jitsu-backup"


def home_folder() -> Path | None:
    """Return the home folder, None without one, as in a bare container."""
    try:
        return Path.home()
    except RuntimeError:  # cron without HOME
        return None
