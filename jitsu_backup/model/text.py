"""Words for people."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime

HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # commands to a terminal
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # what reorders or mirrors the text around it
    "\u2028\u2029"  # line ends
    "\ud800-\udfff]"  # halves of a pair, which no encoding takes
)
"""Characters that could command a terminal or reorder the text around them."""

ARROW = " → "
"""What stands between the ends of a link in its name; selectors may write ` -> `."""

_LONGEST_NAME = 100


def some_of(found: Sequence[str], most: int, between: str = ", ") -> str:
    """Give the first `most` of what was found, and how many more there are."""
    more = len(found) - most
    return between.join(found[:most]) + (f" and {more} more" if more > 0 else "")


def nearest(text: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` with the one of `known` that is nearly `text`; nothing where none is."""
    near = difflib.get_close_matches(text, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near and near[0] != text else ""


def plural(count: int, one: str, several: str = "") -> str:
    """Return a count and what is counted: `1 archive`, `2 archives`; `several` where an `s` is not all."""
    return f"{count} {one if count == 1 else several or f'{one}s'}"


def ago(then: datetime, now: datetime) -> str:
    """Say how long before `now` something was: `just now`, `5 minutes ago`, `1 day ago`; or that it lies in the future."""
    seconds = int((now - then).total_seconds())
    if seconds < -60:
        return "in the future"
    for name, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        count = seconds // length
        if count > 0:
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def printable(text: str) -> str:
    """Return `text` with each harmful character replaced. All others stay: joiners are part of Persian and of emoji."""
    return HARMFUL.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str) -> str:
    """Return `text` as one printable line, its white space folded."""
    return printable(" ".join(text.split()))


def shortened(name: str, most: int = _LONGEST_NAME) -> str:
    """Return a name of `most` characters or fewer, cut in the middle; of a connection, each end is cut on its own."""
    return ARROW.join(_cut(part, most) for part in name.split(ARROW, 1))


def quoted(name: str) -> str:
    """Return a name for a sentence: in quotes, printable, cut in the middle where it is long."""
    mark = '"' if "'" in name else "'"
    return f"{mark}{printable(shortened(name))}{mark}"


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    start, end = most * 2 // 3, len(text) - most // 3 + 1
    while end < len(text) and _belongs_to_the_last(text[end]):
        end += 1
    return f"{text[:start].rstrip(_JOINERS)}…{text[end:].lstrip(_JOINERS)}"


_JOINERS = "\u200c\u200d"


def _belongs_to_the_last(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character).startswith("M")
