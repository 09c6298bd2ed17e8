"""Time zones that consoles accept, by their names in the IANA database."""

import importlib.resources
import re
from functools import cache

_OFFSET = re.compile(r"[+-]\d\d(:?\d\d)?", re.ASCII)


def is_time_zone(name: str) -> bool:
    """Return whether a console may accept a time zone; names are not case-sensitive [reverse-sync/create].

    An offset from UTC counts as one, because some consoles accept it.
    """
    return name.lower() in _names() or _OFFSET.fullmatch(name) is not None


@cache
def _names() -> frozenset[str]:
    # the package's own list, because the machine's may differ or be missing
    text = importlib.resources.files("tzdata").joinpath("zones").read_text("utf-8")
    return frozenset(text.lower().split())
