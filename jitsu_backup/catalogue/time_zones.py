"""Time zones that consoles know, by their names in the IANA database."""

import importlib.resources
import re
from functools import cache

_OFFSET = re.compile(r"[+-]\d\d(:?\d\d)?", re.ASCII)


def is_time_zone(name: str) -> bool:
    """Return whether a console may know a time zone: it takes names in upper or lower case [reverse-sync/create].

    An offset from UTC counts as one, because some consoles take it.
    """
    return name.lower() in _names() or _OFFSET.fullmatch(name) is not None


@cache
def _names() -> frozenset[str]:
    # the package's own list, because that of the machine may be another or none
    text = importlib.resources.files("tzdata").joinpath("zones").read_text("utf-8")
    return frozenset(text.lower().split())
