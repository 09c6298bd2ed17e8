"""Durations as people write them."""

import re

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(s|min|m|h|)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "min": 60, "m": 60, "h": 3600}


def seconds_in(text: str) -> float | None:
    """Return the seconds of `90`, `90s`, `10m`, `10min` or `2h`; None for anything else."""
    match = _DURATION.fullmatch(text.strip())
    return None if match is None else float(match[1]) * _SECONDS[match[2]]
