"""Text of a workspace in Markdown: none of it becomes a link, a mention, a reference, emphasis, an image or HTML.

Platforms look for mentions and references in the rendered Markdown, so no backslash and no HTML entity prevents them.
They do not look in code. So everything but plain words is shown as code.
"""

import html
import re
import shlex
from collections.abc import Iterable, Iterator
from contextlib import suppress
from urllib.parse import quote

from jitsu_backup.model import printable, shortened

_PLAIN_WORD = re.compile(
    r"""[("']* (?: [^\W\d_]+ (?:['-][^\W\d_]+)* [)"',.;?…]* [:!]? | [0-9]+ [,;:]? )""", re.VERBOSE
)
"""A word that no platform interprets: letters or a number, with punctuation around them."""

_WORDS = re.compile(
    r"""(?<!\S)\(?(?:`[^`]+`|'[^']*'|"[^"]*"|--[a-z-]+=(?:'[^']*'|"[^"]*"|[^\s'"])+)[,.;:!?)]*(?!\S)|\S+"""
)
"""A word, a quoted text, a command in backquotes, or a flag with its value."""

_ENDS_QUOTED = re.compile(r"""(.*['"])[,.;:!?]+""", re.DOTALL)
"""Words that end with a quoted text, with what ends a clause or sentence behind it."""

_FLAG = re.compile(r"\(?--[a-z-]+=")
"""The beginning of a flag with its value, which is a code span of its own, so that it can be copied."""

_COMMAND = re.compile(r"(\(?)`([^`]+)`([,.;:!?)]*)")
"""A command in backquotes, which is a code span of its own, between what stands around it."""

_SWITCH = re.compile(r"--(?:accept-shrink|prune-own|rebind)[,.;:)]*")
"""A flag without a value that decides something."""

_COMMIT = re.compile(r"\b[0-9a-f]{7,}\b", re.IGNORECASE)
"""What may be a commit id, which platforms turn into a link."""


def code(text: str) -> str:
    """Return a text as a code span on one line, whatever it contains; `(blank)` for a text without visible characters."""
    if not text.strip():
        return "(blank)"
    shown = printable(text)
    ticks = _longer_than_any_in(shown, 1)
    space = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{ticks}{space}{shown}{space}{ticks}"


def prose(text: str) -> str:
    """Return a sentence with its plain words unchanged and everything else as code."""
    return " ".join(words if plain else _code(words) for plain, words in _runs(text))


def html_prose(text: str) -> str:
    """Return a sentence as `prose` does, but as HTML."""
    return " ".join(html.escape(words) if plain else _html_code(words) for plain, words in _runs(text))


def html_code(text: str) -> str:
    """Return a text as an HTML `code` element."""
    return f"<code>{html.escape(printable(text)) if text.strip() else '(blank)'}</code>"


def block(lines: Iterable[str], language: str = "") -> str:
    """Return lines as a fenced block. Its fence is longer than any in the lines, so none can end it."""
    shown = [printable(line.replace("\t", "    ")) for line in lines]
    fence = _longer_than_any_in("\n".join(shown), 3)
    return "\n".join((f"{fence}{language}", *shown, fence))


def marker(name: str) -> str:
    """Return an invisible comment that lets a program find what was written about a workspace, or about two."""
    encoded = quote(shortened(name), safe="").replace("--", "-%2D")
    return f"<!-- jitsu-backup: {encoded} -->"


def flags_in(text: str) -> list[str]:
    """Return the flags in a sentence that decide something, in order, without a shell's quotation marks.

    Quoted texts are no flags.
    """
    found: list[str] = []
    for word in _WORDS.findall(text):
        if _SWITCH.fullmatch(word):
            found.append(word.rstrip(",.;:)"))
        elif _FLAG.match(word):
            found.append(_unquoted(_bared(word)[1]))
    return [*filter(None, found)]


def _unquoted(flag: str) -> str:
    """Return a flag as a file of flags takes it, without a shell's quotation marks; an empty text if they do not match."""
    with suppress(ValueError):
        return " ".join(shlex.split(flag))
    return ""


def _code(words: str) -> str:
    """Return words as code, with the brackets around them and a comma or semicolon behind them left outside."""
    if command := _COMMAND.fullmatch(words):
        return f"{command[1]}{code(command[2])}{command[3]}"
    before, core, behind = _bared(words)
    core = (_unquoted(core) if _FLAG.match(core) else "") or core
    return f"{before}{code(core)}{behind}" if core.strip() else code(words)


def _html_code(words: str) -> str:
    if command := _COMMAND.fullmatch(words):
        return f"{command[1]}{html_code(command[2])}{command[3]}"
    return html_code(words)


def _bared(words: str) -> tuple[str, str, str]:
    """Return words without the brackets around them and a comma or semicolon behind them, between what was cut off.

    Behind a quoted text, any mark that ends a clause or sentence is cut off.
    """
    ends_quoted = _ENDS_QUOTED.fullmatch(words)
    core = ends_quoted[1] if ends_quoted else words.rstrip(",;")
    behind, before = words[len(core) :], "(" if core.startswith("(") else ""
    core = core.removeprefix("(")
    if core.endswith(")") and core.count("(") < core.count(")"):
        core, behind = core[:-1], f"){behind}"
    return before, core, behind


def _runs(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the words of a sentence in runs, each with whether it is plain; a quoted text stays together.

    A flag with its value is a run of its own, and a semicolon or colon ends a run of code.
    """
    run: list[str] = []
    was_plain = ended = False
    for words in _WORDS.findall(" ".join(text.split())):
        plain, alone = _is_plain(words), bool(_FLAG.match(words) or _COMMAND.fullmatch(words))
        if run and (plain is not was_plain or ended or alone):
            yield was_plain, " ".join(run)
            run = []
        run.append(words)
        was_plain, ended = plain, not plain and (alone or words.endswith((";", ":")))
    if run:
        yield was_plain, " ".join(run)


def _is_plain(words: str) -> bool:
    return all(_PLAIN_WORD.fullmatch(word) and not _COMMIT.search(word) for word in words.split())


def _longer_than_any_in(text: str, least: int) -> str:
    """Return a run of at least `least` backticks that is longer than any in a text."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))
