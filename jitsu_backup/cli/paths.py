"""Paths as people write them, and the home folder."""

from pathlib import Path
from typing import Any

import click


class HomePath(click.Path):
    """A path in which a leading `~/` is the home folder, also where no shell expands it, as in `--output=~/x` or cron."""

    def __init__(self) -> None:
        """Return paths as `pathlib.Path`."""
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if isinstance(value, str) and value.startswith("~/"):
            try:
                value = str(Path(value).expanduser())
            except RuntimeError:
                self.fail(f"{value}: there is no home folder here", param, ctx)
        return super().convert(value, param, ctx)


PATH = HomePath()


def working_folder() -> Path:
    """Return the working folder, or an empty path where it is gone, so that only relative paths fail."""
    try:
        return Path.cwd()
    except OSError:
        return Path()


def home_folder() -> Path | None:
    """Return the home folder; None where there is none, as in a bare container."""
    try:
        return Path.home()
    except RuntimeError:  # cron without HOME
        return None
