"""The recovery of a console as one HTML page, without secrets and write keys."""

from jitsu_backup.reports.page import Cell, Page, Table, facts
from jitsu_backup.reports.page_rendering import document, style_of
from jitsu_backup.reports.recovery import Listing, RecoverySummary


def recovery_page(summary: RecoverySummary) -> str:
    """Return a page about a plan or a report: what to do next and what is wrong first, long lists folded."""
    page = Page(
        summary.title, summary.subject, summary.state, "good" if summary.good else "bad",
        facts(*summary.facts), (), tuple(map(_table, summary.listings)), overlay="\n\n".join(summary.overlay),
    )  # fmt: skip
    style = style_of("page.css", "recovery_page.css", wide="screen and (min-width: 56rem)")
    return document("recovery_page.html.j2", page, style, [], steps=summary.next_steps)


def _table(listing: Listing) -> Table:
    rows = tuple(tuple(map(Cell, row)) for row in listing.rows)
    heading = f"{listing.heading} ({len(rows):,})"
    folded = listing.detailed or listing.heading == "Notes"
    return Table(heading, listing.columns, rows, urgent=listing.urgent, early=folded)
