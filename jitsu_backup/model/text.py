"""Text for people: counts, ages, names that are safe to show."""

import difflib
import json
import re
import shlex
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime

HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # commands to a terminal
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # characters that reorder or mirror the text around them
    "\u2028\u2029"  # line ends
    "\ud800-\udfff]"  # lone surrogates, which cannot be encoded
)
"""Characters that could command a terminal or reorder the text around them."""

ARROW = " → "
"""Separates the two ends of a link in its name; selectors may write ` -> `."""

_LONGEST_NAME = 100

_COMMAND = re.compile(r"`(jitsu-backup [^`]+)`")
_COMMAND_AT_END = re.compile(r"(.*?):? `(jitsu-backup [^`]+)`")


def some_of(found: Sequence[str], most: int, between: str = ", ") -> str:
    """Return the first `most` items joined by `between`, and how many more there are."""
    more = len(found) - most
    return between.join(found[:most]) + (f" and {more} more" if more > 0 else "")


def nearest(text: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` with the known word closest to `text`, or an empty text if none is close."""
    near = difflib.get_close_matches(text, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near and near[0] != text else ""


def plural(count: int, one: str, several: str = "") -> str:
    """Return a count with its noun: `1 archive`, `2 archives`. `several` is an irregular plural."""
    return f"{count} {one if count == 1 else several or f'{one}s'}"


def ago(then: datetime, now: datetime) -> str:
    """Return how long before `now` a moment was: `just now`, `5 minutes ago`, `1 day ago`, or `in the future`."""
    seconds = int((now - then).total_seconds())
    if seconds < -60:
        return "in the future"
    for name, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        count = seconds // length
        if count > 0:
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def lasting(seconds: float) -> str:
    """Return a duration in words: `less than a minute`, `about 5 minutes`, `about 1 h 20 min`."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    hours, rest = divmod(minutes, 60)
    return f"about {plural(minutes, 'minute')}" if not hours else f"about {hours} h {rest} min"


def lasting_between(least: float, most: float) -> str:
    """Return a range of durations in words: `about 5 to 10 minutes`, `up to 1 minute`."""
    first, last = lasting(least), lasting(most)
    if first == last:
        return last
    until = last.removeprefix("about ")
    if first == lasting(0):
        return f"up to {until}"
    same_unit = "minute" in last  # and not "1 h 5 min"
    return f"{first.partition(' minute')[0] if same_unit else first} to {until}"


def printable(text: str) -> str:
    """Return `text` with each harmful character replaced. Joiners stay: Persian and emoji need them."""
    return HARMFUL.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str) -> str:
    """Return `text` as one printable line, each run of white space as one space."""
    return printable(" ".join(text.split()))


def laid_out(message: str) -> str:
    """Return a message as one line, and the command to run at its end, if there is one, on a line of its own."""
    line = one_line(message)
    ends = _COMMAND_AT_END.fullmatch(line)
    return line if ends is None else f"{ends[1]}:\n  {ends[2]}"


def with_commands_apart(text: str) -> str:
    """Return a text of ours as one line, with each command in backquotes on a line of its own, as a person copies it."""
    lead, *rest = _COMMAND.split(one_line(text))
    lines = [lead]
    for command, after in zip(rest[::2], rest[1::2], strict=True):
        lines[-1] = f"{lines[-1].rstrip().removesuffix(':')}:"
        lines += [f"  {command}", after.lstrip(" ,;.")]
    return "\n".join(line for line in lines if line)


def shortened(name: str, most: int = _LONGEST_NAME) -> str:
    """Return a name with its middle cut out if it is longer than `most` characters; each end of a link is cut separately."""
    return ARROW.join(_cut(part, most) for part in name.split(ARROW, 1))


def quoted(name: str) -> str:
    """Return a name for use in a sentence: in quotes, printable, shortened."""
    mark = '"' if "'" in name else "'"
    return f"{mark}{printable(shortened(name))}{mark}"


def flag(name: str, value: object) -> str:
    """Return a flag with its value as one word of a shell, quoted only if the shell needs it: `--take=source:function/F1`."""
    return f"{name}={shlex.quote(printable(str(value)))}"


def toml_quoted(text: str) -> str:
    """Return a text as a TOML string that is safe to show on a terminal."""
    return HARMFUL.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


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
