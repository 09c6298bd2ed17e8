"""Layout for the terminal: lines without trailing blanks, and items of lists."""

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from jitsu_backup.model import printable


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A view without the blanks at the ends of lines with which tables fill their columns."""

    view: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines of the view."""
        for line in console.render_lines(self.view, options, pad=False):
            while line and not line[-1].text.strip():
                line.pop()
            *before, last = line or [Segment("")]
            yield from (*before, Segment(last.text.rstrip(), last.style, last.control), Segment.line())


def bullet(text: str) -> RenderableType:
    """Return a text as an item of a list, which wraps under itself."""
    hanging = Table.grid(padding=(0, 1, 0, 0))
    hanging.add_row("  •", Text(printable(text)))
    return hanging
