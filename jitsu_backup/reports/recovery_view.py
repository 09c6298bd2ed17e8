"""The recovery of a console for the terminal: one page of 80 columns, however many workspaces there are."""

from collections import Counter
from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from jitsu_backup.model import shortened, some_of
from jitsu_backup.reports.recovery import kinds_of
from jitsu_backup.reports.recovery_values import Listing, NextStep, RecoverySummary
from jitsu_backup.reports.terminal_layout import Clauses, Command, Trimmed, plain

_ROWS, _ALIKE, _KINDS = 10, 3, 8
_OVERLAY_LINES = 6
_LONGEST_NAME, _UNBROKEN = 40, 20
_UNBROKEN_COLUMNS = ("Now", "Ended", "Backed up")
"""The columns, beside the first, whose short texts stay on one line."""


def recovery_view(summary: RecoverySummary, *, verbose: bool = False) -> RenderableType:
    """Return a view of a plan or a report: what is wrong first; similar rows are counted unless `verbose`."""
    parts: list[RenderableType] = [
        plain(f"{summary.title}: {summary.subject}", "bold"),
        Clauses(f"{summary.state}.", "" if summary.good else "bold red"),
        Text(),
        _facts(summary),
    ]
    for listing in summary.listings:
        if verbose or not listing.detailed:
            parts += _listing(listing, verbose=verbose)
    parts += _overlay(summary.overlay, verbose=verbose)
    parts += _next_steps(summary)
    unsaid = [f"{one.heading} ({len(one.rows):,})" for one in summary.listings if one.detailed]
    if unsaid and not verbose:
        parts += [Text(), plain(f"With -v: {'; '.join(unsaid)}.")]
    return Trimmed(Group(*parts))


def _next_steps(summary: RecoverySummary) -> Iterator[RenderableType]:
    """Yield what to do next, and what else may be done."""
    steps = [step for step in summary.next_steps if not step.aside]
    if steps:
        yield from (Text(), Text("What to do next", style="bold"))
    for number, step in enumerate(steps, 1):
        yield _hanging(f"{number}.", _sentence(step))
        if step.command:
            yield Padding(Command(step.command), (0, 0, 0, 4))
    for step in summary.next_steps:
        if step.aside:
            yield from (Text(), plain(_sentence(step)))
            if step.command:
                yield Padding(Command(step.command), (0, 0, 0, 2))


def _sentence(step: NextStep) -> str:
    return f"{step.text}{':' if step.command else '.'}"


def _facts(summary: RecoverySummary) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for label, value in summary.facts:
        if value:
            table.add_row(label, plain(value))
    return table


def _listing(listing: Listing, *, verbose: bool) -> Iterator[RenderableType]:
    yield Text()
    yield plain(f"{listing.heading} ({len(listing.rows):,})", "bold red" if listing.urgent else "bold")
    yield from _folded(listing, verbose=verbose) if listing.alike else [_table(listing, verbose=verbose)]


def _folded(listing: Listing, *, verbose: bool) -> Iterator[RenderableType]:
    """Yield rows as sentences: one of each kind, then how many are like it and in which workspaces."""
    kinds = kinds_of(listing.rows)
    for kind in kinds if verbose else kinds[:_KINDS]:
        if len(kind) > 1 and len({row[1:] for row in kind}) == 1:
            names = list(dict.fromkeys(shortened(row[0], _LONGEST_NAME) for row in kind))
            listed = ", ".join(names) if verbose else some_of(names, _ALIKE)
            yield _hanging("•", f"{listed}: {': '.join(kind[0][1:])}")
            continue
        shown = kind if verbose or len(kind) <= _ALIKE else kind[:1]
        for name, *words in shown:
            yield _hanging("•", f"{shortened(name, _LONGEST_NAME)}: {': '.join(words)}")
        if more := kind[len(shown) :]:
            names = [shortened(row[0], _LONGEST_NAME) for row in more if row[0] != shown[0][0]]
            of = f", in {some_of(list(dict.fromkeys(names)), 3)}" if names else ""
            yield _hanging(" ", f"… and {len(more):,} more like this{of} (-v shows all)")
    if not verbose and (left := sum(map(len, kinds[_KINDS:]))):
        yield _hanging(" ", f"… and {left:,} more (-v shows all)")


def _table(listing: Listing, *, verbose: bool) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    used = [n for n, _ in enumerate(listing.columns) if any(row[n] for row in listing.rows)]
    for place in used:
        name = listing.columns[place]
        number = name in ("Entities", "To write", "New keys", "Written")
        longest = max((len(row[place]) for row in listing.rows), default=0)
        least = min(longest, _UNBROKEN) if place == 0 or name in _UNBROKEN_COLUMNS else None
        table.add_column(name, overflow="fold", justify="right" if number else "left", min_width=least)
    rows = listing.rows if verbose or len(listing.rows) == _ROWS + 1 else listing.rows[:_ROWS]
    for row in rows:
        table.add_row(*(plain(shortened(row[n], _LONGEST_NAME) if n == 0 else row[n]) for n in used))
    return Padding(Group(table, *_rest(listing.rows[len(rows) :], listing)), (0, 0, 0, 2))


def _rest(rows: Iterable[tuple[str, ...]], listing: Listing) -> Iterator[Text]:
    """Yield the line that counts what a table leaves out, by state if the table has one."""
    left = list(rows)
    if left:
        counts = Counter(row[1] for row in left) if listing.heading == "Workspaces" else {}
        states = ", ".join(f"{count:,} {word}" for word, count in counts.items())
        yield plain(f"… and {len(left):,} more{f': {states}' if states else ''} (-v shows all)")


def _overlay(tables: tuple[str, ...], *, verbose: bool) -> Iterator[RenderableType]:
    lines = "\n\n".join(tables).split("\n") if tables else []
    if not lines:
        return
    yield Text()
    yield Text("Overlay for what is missing (--overlay-out FILE writes it)", style="bold")
    shown = lines if verbose else lines[:_OVERLAY_LINES]
    for line in shown:
        text = plain(line)
        text.no_wrap, text.overflow = not verbose, "ellipsis"
        yield Padding(text, (0, 0, 0, 2))
    if len(shown) < len(lines):
        left = len(tables) - sum(line.startswith("[") for line in shown)
        yield Padding(plain(f"… and {left:,} more tables" if left else "…"), (0, 0, 0, 2))


def _hanging(mark: str, text: str) -> RenderableType:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=3, justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(mark, plain(text))
    return grid
