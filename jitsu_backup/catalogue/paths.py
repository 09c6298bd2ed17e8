"""Ids that can be used in a path of the console's API."""

import re

_LEADS_ELSEWHERE = frozenset({".", ".."})
_SLASH = re.compile(r"[/\\]")


def nameable(text: str) -> bool:
    """Return whether `text` can be one segment of a path.

    The console removes `.` and `..` from a path, encoded or not, so that it then addresses the parent
    [function/put-dots]. Dots between slashes are excluded too: the console accepts an encoded slash as part of the
    name [function/put-slash], but a proxy in front of it may decode it. All other text can be encoded.
    """
    return bool(text) and _LEADS_ELSEWHERE.isdisjoint(_SLASH.split(text))
