"""Layout for the terminal: lines without trailing blanks, tables, texts, and items of lists."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from jitsu_backup.model import printable

_CONTINUED = " \\"
_WORD = re.compile(r"""\(?--[a-z-]+=(?:'[^']*'|"[^"]*"|[^\s'"])+\S*|\S+""")
"""A word of a sentence, or a flag with a value that may have blanks in quotes."""
_OPTION = re.compile(r"--?[A-Za-z][A-Za-z-]*")
_SHELL_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:\\.|[^"\\])*")+""")


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A view without the blanks at the ends of lines with which tables fill their columns."""

    view: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines of the view."""
        yield from _trimmed(Segment.split_lines(console.render(self.view, options)))


@dataclass(frozen=True, slots=True)
class Clauses:
    """A sentence whose lines end after a comma or semicolon, so that no short clause is broken."""

    text: str
    style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines of the sentence. A clause that is longer than a line wraps between words."""
        line = ""
        for clause in re.split(r"(?<=[,;]) ", printable(self.text)):
            longer = f"{line} {clause}".lstrip()
            if line and cell_len(longer) > options.max_width:
                yield Text(line, self.style)
                longer = clause
            line = longer
        yield Text(line, self.style)


@dataclass(frozen=True, slots=True)
class Enumerated:
    """Words with commas between them. No line begins with a comma: where none fits, the end of the line takes its place."""

    words: tuple[str, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines."""
        line = ""
        for word in map(printable, self.words):
            longer = f"{line}, {word}" if line else word
            if line and cell_len(longer) > options.max_width:
                yield Text(f"{line}," if cell_len(line) < options.max_width else line)
                longer = word
            line = longer
        yield Text(line)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the width of the longest word, and that of one line."""
        return Measurement(max(map(cell_len, self.words), default=0), cell_len(", ".join(self.words)))


@dataclass(frozen=True, slots=True)
class UnbrokenFlags:
    """A sentence that wraps between words, but not inside a flag, so that the flag runs as it is copied.

    A line with a long flag is longer than the screen: print it with `crop=False`. The lines after the first begin with as
    many blanks as `lead` has characters.
    """

    text: str
    lead: str = ""
    style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines of the sentence."""
        line = self.lead
        begun = False
        for word in _WORD.findall(printable(self.text)):
            longer = f"{line} {word}" if begun else f"{line}{word}"
            if begun and cell_len(longer) > options.max_width:
                yield Text(line, self.style, no_wrap=True, overflow="ignore")
                longer = f"{' ' * len(self.lead)}{word}"
            line, begun = longer, True
        yield Text(line, self.style, no_wrap=True, overflow="ignore")


@dataclass(frozen=True, slots=True)
class Command:
    """A command that runs as it is copied: each line but the last ends with a backslash.

    An option and its value stay on one line if they fit.
    """

    text: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines of the command, which break only between words of the shell."""
        line = ""
        for word in self._words(options.max_width - len(f"  {_CONTINUED}")):
            longer = f"{line} {word}" if line else word
            if line and cell_len(longer) + len(_CONTINUED) > options.max_width:
                yield Text(line + _CONTINUED)
                longer = f"  {word}"
            line = longer
        yield Text(line)

    def _words(self, width: int) -> Iterator[str]:
        """Yield the words of the command, and an option with its value as one if both fit into `width` columns."""
        option = ""
        for word in _SHELL_WORD.findall(printable(self.text)):
            both = f"{option} {word}"
            if option and not word.startswith("-") and cell_len(both) <= width:
                yield both
                option = ""
                continue
            yield from filter(None, (option,))
            option = word if _OPTION.fullmatch(word) else ""
            yield from () if option else (word,)
        yield from filter(None, (option,))


class PlainTable(Table):
    """A table without lines, whose rows do not end with blanks."""

    def __init__(self, **options: Any) -> None:
        """Begin without columns; `options` are those of rich."""
        super().__init__(box=None, padding=(0, 2, 0, 0), pad_edge=False, **options)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the segments of each line up to its last character."""
        segments = super().__rich_console__(console, options)
        yield from _trimmed(Segment.split_lines(segments))  # type: ignore[arg-type]


def table_of(*columns: str) -> PlainTable:
    """Return an empty table with these columns, of which the first never wraps."""
    table = PlainTable(header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    return table


def plain(text: str, style: str = "") -> Text:
    """Return a text in which nothing is markup and no character harms a terminal."""
    return Text(printable(text), style)


def _trimmed(lines: Iterable[list[Segment]]) -> RenderResult:
    for line in lines:
        while line and not line[-1].text.strip():
            line.pop()
        *before, last = line or [Segment("")]
        yield from (*before, Segment(last.text.rstrip(), last.style, last.control), Segment.line())


def has_spaced_flag(text: str) -> bool:
    """Return whether a sentence has a flag with blanks in it, which must not wrap there."""
    return any(" " in word for word in _WORD.findall(text))


def sentence(text: str) -> RenderableType:
    """Return a text that wraps, but not inside a flag."""
    return UnbrokenFlags(text) if has_spaced_flag(text) else plain(text)


def bullet(text: str) -> RenderableType:
    """Return a text as an item of a list, which wraps under itself."""
    if has_spaced_flag(text):
        return UnbrokenFlags(text, "  • ")
    hanging = Table.grid(padding=(0, 1, 0, 0))
    hanging.add_row("  •", plain(text))
    return hanging
