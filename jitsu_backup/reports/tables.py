"""Tables for the terminal."""

from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table


class PlainTable(Table):
    """A table without lines, whose rows do not end with blanks."""

    def __init__(self, **options: Any) -> None:
        """Begin without columns; `options` are those of rich."""
        super().__init__(box=None, padding=(0, 2, 0, 0), pad_edge=False, **options)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the segments of each line up to its last character."""
        for line in Segment.split_lines(super().__rich_console__(console, options)):  # type: ignore[arg-type]
            while line and not line[-1].text.strip():
                line.pop()
            if line:
                last = line[-1]
                line[-1] = Segment(last.text.rstrip(), last.style, last.control)
            yield from line
            yield Segment.line()
