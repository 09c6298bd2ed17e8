"""Durations as people write them, in seconds."""

from typing import Any

import click

from jitsu_backup.durations import seconds_in

RETRY_FOR = "Keep trying this long while the console does not answer.  [default: a few tries]"


class Duration(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic in newer versions of click only
    """Seconds, or `90s`, `10m`, `2h`: `least` seconds or more."""

    name = "duration"

    def __init__(self, least: float = 0) -> None:
        """Accept `least` seconds or more."""
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the duration in seconds."""
        if isinstance(value, int | float):
            return float(value)
        seconds = seconds_in(str(value))
        if seconds is None:
            self.fail(f"{value!r} is not a duration; write 90s, 10m or 2h", param, ctx)
        if seconds < self.least:
            self.fail(f"{value!r} is too short; give {self.least:g} s or more", param, ctx)
        return seconds
