"""The recovery of a console as Markdown for a ticket, without secrets and write keys."""

from functools import partial

from jitsu_backup.model import shortened
from jitsu_backup.reports.markdown_layout import Section, document
from jitsu_backup.reports.markdown_text import code, marker, prose
from jitsu_backup.reports.recovery_values import Listing, NextStep, RecoverySummary

_LONGEST = 500


def recovery_markdown(summary: RecoverySummary) -> str:
    """Return a plan or a report as one document: its state and what to do next first."""
    facts = "".join(f"- **{label}:** {_sentence(value)}\n" for label, value in summary.facts if value)
    state = f"- **{'Complete' if summary.good else 'Incomplete'}:** {_sentence(summary.state)}\n"
    head = f"{marker(summary.subject)}\n## {summary.title}: {code(summary.subject)}\n\n{state}{facts}"
    numbered = [step for step in summary.next_steps if not step.aside]
    aside = [partial(_step, "-", step) for step in summary.next_steps if step.aside]
    steps = [*(partial(_step, f"{number}.", step) for number, step in enumerate(numbered, 1)), *aside]
    overlay = [partial(_overlay, table) for table in summary.overlay]
    return document(
        head,
        (
            Section("What to do next", steps, "steps"),
            *map(_section, summary.listings),
            Section("Overlay for what is missing", overlay, "tables", folded=True),
        ),
    )


def _section(listing: Listing) -> Section:
    rows = [partial(_row, listing, row) for row in listing.rows]
    return Section(
        listing.heading, rows, "rows", folded=not listing.urgent and listing.heading != "Workspaces"
    )


def _row(listing: Listing, row: tuple[str, ...]) -> str:
    """Return a row as a line of a list, with labels for the cells that are not sentences."""
    name, *rest = row
    if listing.alike:
        return f"- {code(shortened(name))}: {': '.join(map(_sentence, rest))}\n"
    if listing.columns[-1] == "Command":
        text = code(rest[-1])
    elif listing.heading == "Workspaces":
        labelled = zip(listing.columns[1:], rest, strict=True)
        text = ", ".join(f"{label.lower()} {_sentence(cell)}" for label, cell in labelled if cell)
    else:
        text = ", ".join(map(_sentence, rest))
    return f"- {code(shortened(name))}: {text}\n"


def _step(mark: str, step: NextStep) -> str:
    command = f": {code(step.command)}" if step.command else ""
    return f"{mark} {_sentence(step.text)}{command}\n"


def _overlay(table: str) -> str:
    return "".join(f"- {code(line)}\n" for line in table.split("\n"))


def _sentence(text: str) -> str:
    return prose(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
