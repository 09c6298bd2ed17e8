"""Tables of archives for the terminal: `snapshots` and `prune`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jitsu_backup.archive import CLONED, CLONING, PACKED, ArchiveName
from jitsu_backup.archive.retention import Verdict
from jitsu_backup.model import printable, some_of
from jitsu_backup.reports.terminal_layout import Enumerated, Trimmed, plain, table_of

_LONGEST_TABLE = 1000  # rows; laying out more takes too long
_SECONDS = len(":59")
_LEFT_BY_RUNS = "`latest` ignores rows marked pre-restore, cloned, from …, begun run or after a run: they serve `undo` and later runs."


def archive_table(
    archives: Iterable[ArchiveName], sources: Mapping[str, str], latest: Sequence[ArchiveName] = ()
) -> RenderableType:
    """Return a table of archives, made from their names: those of `latest` are marked, and what runs have left is dim.

    Workspaces that share a slug are shown with ids, each on a line of its own. `sources` maps the mark of a clone to the slug of the workspace that was cloned.
    """
    table = table_of("Id", "Workspace", "Taken at (UTC)", "Entities", "Marks")
    for column in table.columns[:4]:
        column.no_wrap = True
    table.columns[3].justify = "right"
    listed = list(archives)
    owners = Counter(slug for slug, _ in {(one.slug, one.workspace_id) for one in listed})
    with_ids = any(count > 1 for count in owners.values())
    all_encrypted = len(listed) > 1 and all(archive.encrypted for archive in listed)
    for archive in listed[:_LONGEST_TABLE]:
        shown = replace(archive, encrypted=False) if all_encrypted else archive
        *row, marks = _archive_row(shown, sources, ["latest"] if archive in latest else [])
        if owners[archive.slug] > 1:
            row[1].append(f"\n{printable(archive.workspace_id)}")
        if with_ids:
            row[2].right_crop(_SECONDS)  # so that the marks fit beside the ids in 80 columns
        count = "" if archive.total is None else str(archive.total)
        table.add_row(*row, count, marks, style="dim" if archive.set_aside else None)
    notes = ["All are encrypted."] if all_encrypted else []
    if any(archive.set_aside and PACKED not in archive.marks for archive in listed):
        notes.append(_LEFT_BY_RUNS)
    return Trimmed(Group(_with_rest(table, len(listed)), *map(Text, notes)))


def verdict_table(verdicts: Iterable[Verdict]) -> RenderableType:
    """Return a table of archives: which are kept, which are removed, and why (the first rules that keep each)."""
    table = table_of("", "Id", "Workspace", "Taken at (UTC)", "Why")
    table.columns[3].no_wrap = True
    listed = list(verdicts)
    for verdict in listed[:_LONGEST_TABLE]:
        mark = Text("keep", style="green") if verdict.keep else Text("remove", style="red")
        table.add_row(mark, *_archive_row(verdict.archive, {})[:3], plain(some_of(verdict.reasons, 2)))
    return _with_rest(table, len(listed))


def _with_rest(table: Table, total: int) -> RenderableType:
    more = total - _LONGEST_TABLE
    return table if more <= 0 else Group(table, Text(f"… and {more:,} more (--json lists all)"))


def _archive_row(
    archive: ArchiveName, sources: Mapping[str, str], first: Sequence[str] = ()
) -> tuple[Text, Text, Text, Enumerated]:
    source = sources.get(archive.cloned_from or "")
    words: dict[str | None, str] = {archive.cloned_from: f"from {source}" if source else ""}
    if archive.undoes is not None:
        words = {archive.undoes: "undo"}
    if archive.left_after is not None:
        words = {archive.cloned_from: "", archive.left_after: "", CLONED: "after a run", CLONING: "begun run"}
    named = (words.get(mark, mark) for mark in archive.marks if mark != archive.key)
    last = ["encrypted"] if archive.encrypted else []
    marks = [*first, *(["DAMAGED"] if archive.damaged else []), *filter(None, named), *last]
    moment = archive.taken_at.strftime("%Y-%m-%d %H:%M:%S")
    return plain(archive.digest_prefix), plain(archive.slug), plain(moment), Enumerated(tuple(marks))
