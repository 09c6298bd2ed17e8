"""The history of workspaces as Markdown for a comment or a ticket, without secrets."""

from collections.abc import Iterable
from functools import partial

from jitsu_backup.model import shortened
from jitsu_backup.planning.history import History, HistoryChange, Step
from jitsu_backup.reports.authors import authors_text
from jitsu_backup.reports.history import (
    Command,
    all_passing,
    all_steps,
    history_in_words,
    kind_of,
    restore_line,
    span,
)
from jitsu_backup.reports.markdown import (
    authors_line,
    bullets,
    change_details,
    change_line,
    passing_section,
    section_of_details,
)
from jitsu_backup.reports.markdown_layout import Section, document
from jitsu_backup.reports.markdown_text import code, marker


def history_markdown(
    histories: Iterable[History], command: Command, *, patch: bool = False, who: bool = False
) -> str:
    """Return the history of workspaces, newest step first; with `patch`, folded details show the fields of each change.

    With `who`, each change names its authors.
    """
    known = list(histories)
    steps = all_steps(known)
    slugs = [shortened(history.called) for history in known]
    title = ", ".join(map(code, slugs[:3])) + (f" and {len(slugs) - 3} more" if len(slugs) > 3 else "")
    states = "".join(f"- {history_in_words(history, code(history.called))}\n" for history in known)
    head = f"{marker('...'.join(slugs[:3]))}\n## History: {title}\n\n{states}"
    changes = [one.change for step in steps for one in step.changes if one.change.fields or one.change.body]
    unread = [f"{archive.reference}: {why}" for history in known for archive, why in history.unread]
    return document(
        head,
        (
            Section("Steps", [partial(_step, step, command, who=who) for step in steps], "steps"),
            passing_section(all_passing(known)),
            section_of_details([partial(change_details, change) for change in changes] if patch else []),
            Section("Not read", bullets(unread), "not read", folded=True),
            Section(
                "Notes",
                bullets(dict.fromkeys(note for one in known for note in one.notes)),
                "notes",
                folded=True,
            ),
        ),
    )


def _step(step: Step, command: Command, *, who: bool) -> str:
    lines = "".join(_change(one, command, who=who) for one in step.changes)
    on = f" on {code(step.console)}" if step.console else ""
    return f"#### {span(step)}, {code(step.after.reference)}{on}\n\n{lines}\n"


def _change(one: HistoryChange, command: Command, *, who: bool) -> str:
    line = change_line(one.change).replace("- **changed**", f"- **{kind_of(one.change)}**", 1)
    back = restore_line(one, command)
    authors = authors_line(authors_text(one.authors, one.change.saved_at, code)) if who else ""
    return f"{line}{authors}  - {code(back) if back else 'no longer exists'}\n"
