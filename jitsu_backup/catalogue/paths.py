"""Ids that a path of the console's API can name."""

import re

_LEADS_ELSEWHERE = frozenset({".", ".."})
_SLASH = re.compile(r"[/\\]")


def nameable(text: str) -> bool:
    """Return whether one step of a path can be `text`.

    The console takes `.` and `..` out of a path, encoded or not, which then names the folder above
    [function/put-dots]. Between slashes they are refused too: the console takes an encoded slash as part of the
    name [function/put-slash], but a proxy before it may decode one. All other text can be encoded.
    """
    return bool(text) and _LEADS_ELSEWHERE.isdisjoint(_SLASH.split(text))
