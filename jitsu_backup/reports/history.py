"""The history of workspaces for the terminal, and as JSON documents."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from jitsu_backup.archive import ArchiveName
from jitsu_backup.model import Key, iso_time, plural, printable, shortened, some_of
from jitsu_backup.planning import ChangeKind, EntityChange, FieldChange
from jitsu_backup.planning.history import History, HistoryChange, Passing, Step
from jitsu_backup.reports.authors import authors_document, authors_text, passing_document
from jitsu_backup.reports.json_documents import change_document
from jitsu_backup.reports.summary import fields_of
from jitsu_backup.reports.terminal import CHANGE_MARKS, field_lines, passing_lines
from jitsu_backup.reports.terminal_layout import PlainTable

Command = Callable[..., str]
"""Takes arguments and returns the command that a person would type."""

_LONGEST_LINE, _SHORTEST_VALUE = 74, 12
_MANY, _NAMED = 6, 3
_ADDED, _REMOVED = re.compile(r"\+(?!\+\+ )"), re.compile(r"-(?!-- )")


def history_view(
    histories: Iterable[History],
    command: Command,
    *,
    patch: bool = False,
    who: bool = False,
    verbose: bool = False,
) -> Iterator[RenderableType]:
    """Yield the lines of histories, newest step first: each change with the command that restores the previous state.

    With `patch`, whole fields are shown, code as unified diffs. With `who`, each change names its authors. Without
    these and `verbose`, many entities of one type that were added together are one line. Print the text without wrapping,
    so that the commands can be copied.
    """
    known = list(histories)
    shared = _shared_names(known)
    for step in all_steps(known):
        on = f" on {step.console}" if step.console else ""
        yield Text(f"{span(step)}  {printable(step.after.reference + on)}", style="bold")
        for alike in _alike(step.changes):
            if len(alike) >= _MANY and not (patch or who or verbose):
                yield _line_of_many([one.change for one in alike])
                continue
            for one in alike:
                called = f" ({_key_of(one.change).id})" if shared[_name(step.after, one)] > 1 else ""
                yield from _change_lines(one, called, command, patch=patch, who=who)
        yield Text()
    passing = all_passing(known)
    yield from (*passing_lines(passing)[1:], Text()) if passing else ()
    yield from _in_words(known)


def _in_words(histories: Sequence[History]) -> Iterator[Text]:
    """Yield how many changes and snapshots each history has; workspaces that are called the same are shown with ids."""
    alike = Counter(history.called for history in histories)
    for history in histories:
        called = f"{history.called} ({history.workspace_id})" if alike[history.called] > 1 else ""
        yield Text(printable(f"{history_in_words(history, called)}."))


def history_in_words(history: History, called: str = "") -> str:
    """Return how many changes and snapshots a history has, and from when to when; `called` is the workspace's name."""
    changes = sum(len(step.changes) for step in history.steps)
    text = f"{plural(changes, 'change') if changes else 'No changes'} in {called or history.called}"
    if not history.archives:
        return f"{text}: none of its snapshots can be read"
    first, last = (f"{one.taken_at:%Y-%m-%d %H:%M}" for one in (history.archives[0], history.archives[-1]))
    count = plural(len(history.archives), "snapshot")
    return f"{text}: {count}, " + (f"of {first} UTC" if first == last else f"{first} to {last} UTC")


def all_steps(histories: Iterable[History]) -> list[Step]:
    """Return the steps of all histories, newest first."""
    steps = [step for history in histories for step in history.steps]
    return sorted(steps, key=lambda step: (step.after.sort_key, step.before.sort_key), reverse=True)


def all_passing(histories: Iterable[History]) -> list[Passing]:
    """Return the entities that no snapshot of any history saw, newest first."""
    passing = [one for history in histories for one in history.passing]
    return sorted(passing, key=lambda one: [author.at for author in one.authors], reverse=True)


def span(step: Step) -> str:
    """Return the two times between which a step lies: `2026-11-20 10:30 → 11:00 UTC`."""
    one, other = step.before.taken_at, step.after.taken_at
    minute = (
        "%H:%M"
        if one.replace(second=0, microsecond=0) != other.replace(second=0, microsecond=0)
        else "%H:%M:%S"
    )
    later = minute if one.date() == other.date() else f"%Y-%m-%d {minute}"
    return f"{one:%Y-%m-%d} {one.strftime(minute)} → {other.strftime(later)} UTC"


def kind_of(change: EntityChange) -> str:
    """Return what happened to an entity, in a word: `renamed` if only its name differs."""
    only_name = change.was is not None and all(field.path == "name" for field in change.fields)
    return "renamed" if change.kind is ChangeKind.CHANGED and only_name else change.kind.value


def _key_of(change: EntityChange) -> Key:
    key = change.after or change.before
    assert key is not None  # noqa: S101  for the type checker
    return key


def _shared_names(histories: Iterable[History]) -> Counter[tuple[str, ...]]:
    """Return how many entities had each name, by workspace, type and name."""
    found = {
        (*_name(step.after, one), one.lineage)
        for history in histories
        for step in history.steps
        for one in step.changes
    }
    return Counter(named[:-1] for named in found)


def _name(archive: ArchiveName, one: HistoryChange) -> tuple[str, ...]:
    return archive.workspace_id, one.change.type, one.change.name


def _alike(changes: Iterable[HistoryChange]) -> list[list[HistoryChange]]:
    """Return the changes of a step in groups: what was added by type, each other one alone."""
    found: dict[object, list[HistoryChange]] = defaultdict(list)
    for number, one in enumerate(changes):
        found[one.change.type if one.change.kind is ChangeKind.ADDED else number].append(one)
    return list(found.values())


def _line_of_many(changes: Sequence[EntityChange]) -> Text:
    kind, type_name = changes[0].kind, changes[0].type
    mark, style = CHANGE_MARKS[kind]
    names = some_of([shortened(change.name) for change in changes], _NAMED)
    named = printable(f"{type_name:16} {len(changes)}: {names} (-v lists each)")
    return Text.assemble((f"{mark} {kind.value:8} ", style), named)


def _change_lines(
    one: HistoryChange, called: str, command: Command, *, patch: bool, who: bool
) -> Iterator[RenderableType]:
    change, kind = one.change, kind_of(one.change)
    mark, style = CHANGE_MARKS[change.kind]
    was = f" (was {shortened(change.was)})" if change.was else ""
    named = printable(f"{change.type:16} {shortened(change.name)}{called}{was}")
    yield Text.assemble((f"{mark} {kind:8} ", style), named)
    authors = authors_text(one.authors, change.saved_at) if who else ""
    if authors:
        yield Text(f"    {authors}", style="dim")
    if patch:
        for found in change.fields or fields_of(change):
            yield from field_lines(found)
    elif kind != "renamed":
        yield from (Text(printable(f"    {field_in_words(found)}")) for found in change.fields)
    yield _command_line(one, command)


def _command_line(one: HistoryChange, command: Command) -> Text:
    if not one.way_back:
        return Text("    (no longer exists)", style="dim")
    return Text(printable(f"    {restore_line(one, command)}"), style="dim")


def restore_line(one: HistoryChange, command: Command) -> str:
    """Return the command that restores the previous state; an empty text if that is the state now."""
    return command("restore", *one.way_back) if one.way_back else ""


def field_in_words(found: FieldChange) -> str:
    """Return a changed field on one line: its values shortened, or for code the number of lines."""
    if found.secret:
        return f"{found.path}: secret {'set' if found.before is None else 'removed' if found.after is None else 'changed'}"
    if found.code:
        added, removed = (sum(bool(sign.match(line)) for line in found.code) for sign in (_ADDED, _REMOVED))
        return (
            f"{found.path}: {plural(added, 'line')} added, {removed} removed"
            if added or removed
            else f"{found.path}: {found.code[0]}"
        )
    room = max(_SHORTEST_VALUE, (_LONGEST_LINE - len(found.path)) // 2)
    before, after = (
        "" if value is None else shortened(json.dumps(value, ensure_ascii=False), room - 4)
        for value in (found.before, found.after)
    )
    return f"{found.path}: {before} → {after or 'removed'}" if before else f"{found.path}: → {after}"


def history_stat(histories: Iterable[History]) -> Iterator[RenderableType]:
    """Yield the numbers of changes: a table by day, a table by entity, and the total."""
    known = list(histories)
    document = stat_document(known)
    several = len(known) > 1
    days = _table("Day (UTC)")
    entities = _table(*(["Workspace"] if several else []), "Type", "Name", last=("Last",))
    for line in document["days"]:
        days.add_row(line["day"], *_numbers(line))
    same = Counter((line["workspace_id"], line["type"], line["name"]) for line in document["entities"])
    for line in document["entities"]:
        on = f" on {line['console'].partition('://')[2]}" if "console" in line else ""
        words = [f"{line['workspace']}{on}"] if several else []
        alike = same[line["workspace_id"], line["type"], line["name"]] > 1
        words += [line["type"], shortened(line["name"]) + (f" ({line['id']})" if alike else "")]
        entities.add_row(*(Text(printable(word)) for word in words), *_numbers(line), line["last"][:10])
    if document["days"]:
        yield from (days, Text(), entities, Text())
    yield from _in_words(known)


def _numbers(line: dict[str, Any]) -> list[str]:
    return [str(line[kind.value] or "") for kind in ChangeKind]


def _table(*columns: str, last: Sequence[str] = ()) -> Table:
    table = PlainTable(header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for kind in ChangeKind:
        table.add_column(kind.value.title(), justify="right")
    for column in last:
        table.add_column(column)
    return table


def stat_document(histories: Iterable[History]) -> dict[str, Any]:
    """Return the numbers of changes by day, newest first, and by entity, most changes first."""
    days: dict[str, Counter[str]] = defaultdict(Counter)
    entities: dict[tuple[int, str], list[tuple[datetime, EntityChange]]] = defaultdict(list)
    known = list(histories)
    for at, history in enumerate(known):
        for step in history.steps:
            for one in step.changes:
                days[f"{step.after.taken_at:%Y-%m-%d}"][one.change.kind.value] += 1
                entities[at, one.lineage].append((step.after.taken_at, one.change))
    ordered = sorted(
        entities.items(), key=lambda one: (-len(one[1]), one[1][0][1].type, one[1][0][1].name, one[0])
    )
    return {
        "days": [{"day": day, **_counts(counts)} for day, counts in sorted(days.items(), reverse=True)],
        "entities": [
            {
                **_workspace(known[at]),
                "type": found[0][1].type,
                "id": _key_of(found[0][1]).id,
                "name": found[0][1].name,
                **_counts(Counter(change.kind.value for _, change in found)),
                "last": iso_time(found[0][0]),
            }
            for (at, _), found in ordered
        ],
    }


def _counts(counts: Counter[str]) -> dict[str, int]:
    return {kind.value: counts[kind.value] for kind in ChangeKind}


def history_lines(
    histories: Iterable[History], command: Command, *, who: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield a document for each change, newest first, without secrets; with `who`, also for entities that no snapshot saw."""
    known = list(histories)
    for step in all_steps(known):
        sides = {"before": _archive(step.before), "after": _archive(step.after)}
        for one in step.changes:
            yield {
                "workspace": step.after.slug,
                "workspace_id": step.after.workspace_id,
                **_console(step.console),
                **{f"{side}_snapshot": snapshot for side, snapshot in sides.items()},
                **change_document(one.change),
                "lineage": one.lineage,
                "selector": one.selector,
                "restore": restore_line(one, command) or None,
                **(authors_document(one.authors, one.change.saved_at) if who else {}),
            }
    for history in known:
        named = _workspace(history)
        yield from ({**named, "change": "passing", **passing_document(one)} for one in history.passing)


def _workspace(history: History) -> dict[str, str]:
    return {
        "workspace": history.slug,
        "workspace_id": history.workspace_id,
        **_console(history.console),
    }


def _console(console: str) -> dict[str, str]:
    return {"console": console} if console else {}


def _archive(archive: ArchiveName) -> dict[str, str]:
    return {"id": archive.digest_prefix, "taken_at": iso_time(archive.taken_at), "archive": str(archive)}
