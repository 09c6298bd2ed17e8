"""The recovery of a console as one HTML page, without secrets and write keys."""

from collections.abc import Iterable, Iterator

from jitsu_backup.model import some_of
from jitsu_backup.reports.page import Cell, Page, Table, facts
from jitsu_backup.reports.page_rendering import document, style_of
from jitsu_backup.reports.recovery import kinds_of
from jitsu_backup.reports.recovery_values import Listing, RecoverySummary

_MOST = 20
"""The most rows of a problem that stand before everything else. If there are more, equal ones are counted there."""


def recovery_page(summary: RecoverySummary) -> str:
    """Return a page about a plan or a report: what to do next and what is wrong come first, long lists are folded."""
    tables = tuple(table for listing in summary.listings for table in _tables(listing))
    page = Page(
        summary.title, summary.subject, summary.state, "good" if summary.good else "bad",
        facts(*summary.facts), (), tables, overlay="\n\n".join(summary.overlay),
    )  # fmt: skip
    style = style_of("page.css", "recovery_page.css", wide="screen and (min-width: 56rem)")
    return document("recovery_page.html.j2", page, style, [], steps=summary.next_steps)


def _tables(listing: Listing) -> Iterator[Table]:
    """Yield the table of a listing; an `early` table is folded, at the end."""
    heading, columns = f"{listing.heading} ({len(listing.rows):,})", listing.columns
    folded = listing.detailed or not (listing.urgent or len(listing.rows) <= _MOST or not listing.alike)
    if listing.alike and listing.urgent and len(listing.rows) > _MOST:
        yield Table(heading, columns, _cells(_counted(listing)), urgent=True)
        heading, folded = f"{listing.heading}: all {len(listing.rows):,}", True
    yield Table(heading, columns, _cells(listing.rows), urgent=listing.urgent and not folded, early=folded)


def _counted(listing: Listing) -> Iterator[tuple[str, ...]]:
    """Yield one row for all rows that say the same."""
    for kind in kinds_of(listing.rows):
        names = list(dict.fromkeys(row[0] for row in kind))
        *between, last = kind[0][1:]
        more = f" (and {len(kind) - 1:,} more like this)" if len(kind) > 1 else ""
        yield some_of(names, 3), *between, f"{last}{more}"


def _cells(rows: Iterable[tuple[str, ...]]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(tuple(Cell(text or "-") for text in row) for row in rows)
