"""The history of workspaces as Markdown for a comment or a ticket, without secrets."""

from collections.abc import Iterable
from functools import partial

from jitsu_backup.model import shortened
from jitsu_backup.planning.history import History, HistoryChange, Step
from jitsu_backup.reports.history import Command, all_steps, history_in_words, kind_of, restore_line, span
from jitsu_backup.reports.markdown import bullets, change_details, change_line, section_of_details
from jitsu_backup.reports.markdown_layout import Section, document
from jitsu_backup.reports.markdown_text import code, marker


def history_markdown(histories: Iterable[History], command: Command, *, patch: bool = False) -> str:
    """Return the history of workspaces, newest step first; with `patch`, the fields of each change are folded below."""
    known = list(histories)
    steps = all_steps(known)
    slugs = [shortened(history.slug) for history in known]
    title = ", ".join(map(code, slugs[:3])) + (f" and {len(slugs) - 3} more" if len(slugs) > 3 else "")
    states = "".join(f"- {history_in_words(history, code(history.slug))}\n" for history in known)
    head = f"{marker('...'.join(slugs[:3]))}\n## History: {title}\n\n{states}"
    changes = [one.change for step in steps for one in step.changes if one.change.fields or one.change.body]
    unread = [f"{archive.reference}: {why}" for history in known for archive, why in history.unread]
    return document(
        head,
        (
            Section("Steps", [partial(_step, step, command) for step in steps], "steps"),
            section_of_details([partial(change_details, change) for change in changes] if patch else []),
            Section("Not read", bullets(unread), "not read", folded=True),
            Section("Notes", bullets(note for one in known for note in one.notes), "notes", folded=True),
        ),
    )


def _step(step: Step, command: Command) -> str:
    lines = "".join(_change(one, command) for one in step.changes)
    return f"#### {span(step)}, {code(step.after.reference)}\n\n{lines}\n"


def _change(one: HistoryChange, command: Command) -> str:
    line = change_line(one.change).replace("- **changed**", f"- **{kind_of(one.change)}**", 1)
    back = restore_line(one, command)
    return f"{line}  - {code(back) if back else 'it is gone again'}\n"
