"""Text of a workspace in Markdown: none of it becomes a link, a mention, a reference, emphasis, an image or HTML.

Platforms look for mentions and references in what Markdown was rendered to, so that no backslash and no entity stops
them; in code they look for none. What is not a plain word is therefore shown as code.
"""

import html
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from urllib.parse import quote

from jitsu_backup.model import printable, shortened

_PLAIN_WORD = re.compile(
    r"""[("']* (?: [^\W\d_]+ (?:['-][^\W\d_]+)* [)"',.;?…]* [:!]? | [0-9]+ [,;:]? )""", re.VERBOSE
)
"""A word in which no platform finds anything: letters or a number, and punctuation around them, signs of meaning last."""

_WORDS = re.compile(r"""(?<!\S)(?:'[^']*'|"[^"]*")[,.;:!?)]*(?!\S)|\S+""")
"""A word, or what stands in quotes."""

_COMMIT = re.compile(r"\b[0-9a-f]{7,}\b", re.IGNORECASE)
"""What may be a commit, and is made a link to it."""


def code(text: str) -> str:
    """Return a text as a code span on one line, whatever it contains; `(blank)` where there is nothing to see."""
    if not text.strip():
        return "(blank)"
    shown = printable(text)
    ticks = _longer_than_any_in(shown, 1)
    space = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{ticks}{space}{shown}{space}{ticks}"


def prose(text: str) -> str:
    """Return a sentence with its plain words as they are and all else as code."""
    return " ".join(words if plain else _code(words) for plain, words in _runs(text))


def html_prose(text: str) -> str:
    """Return a sentence as `prose` does, for a line of HTML."""
    return " ".join(html.escape(words) if plain else html_code(words) for plain, words in _runs(text))


def html_code(text: str) -> str:
    """Return a text as a `code` element, for a line of HTML."""
    return f"<code>{html.escape(printable(text)) if text.strip() else '(blank)'}</code>"


def diff_block(lines: Iterable[str]) -> str:
    """Return the lines of a unified diff as a fenced block. None of them can end it: its fence is longer than any in them."""
    shown = [printable(line.replace("\t", "    ")) for line in lines]
    fence = _longer_than_any_in("\n".join(shown), 3)
    return "\n".join((f"{fence}diff", *shown, fence))


def marker(name: str) -> str:
    """Return an invisible comment, by which a program finds what was written about a workspace, or about two."""
    told = quote(shortened(name), safe="").replace("--", "-%2D")
    return f"<!-- jitsu-backup: {told} -->"


def _code(words: str) -> str:
    """Return words as code, without the comma or semicolon of the sentence behind them."""
    core = words.rstrip(",;")
    return code(core) + words[len(core) :] if core else code(words)


def _runs(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the words of a sentence in runs, each with whether it is plain; what stands in quotes stays together."""
    for plain, words in groupby(_WORDS.findall(" ".join(text.split())), key=_is_plain):
        yield plain, " ".join(words)


def _is_plain(words: str) -> bool:
    return all(_PLAIN_WORD.fullmatch(word) and not _COMMIT.search(word) for word in words.split())


def _longer_than_any_in(text: str, least: int) -> str:
    """Return a run of backticks that is longer than any in a text, and at least so long."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))
