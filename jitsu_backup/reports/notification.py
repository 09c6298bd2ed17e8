"""The changes of a workspace as a notification: for Slack and similar, for mail, and as JSON. Never a field's value."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from jitsu_backup import __version__
from jitsu_backup.archive import ArchiveName
from jitsu_backup.model import iso_time, one_line, plural, quoted, shortened, shown_time, some_of
from jitsu_backup.operations.alarms import Again, What
from jitsu_backup.operations.news import News
from jitsu_backup.operations.notifying import Message
from jitsu_backup.planning import ChangeKind, EntityChange, FieldChange

_LINES, _FIELDS = 10, 4
"""The most entities that a message names, and the most fields of each."""

_IN_DOCUMENT, _FIELDS_IN_DOCUMENT = 200, 50
"""The same for a JSON document."""

_LONGEST, _LONGEST_SENTENCE, _LONGEST_IN_DOCUMENT = 80, 400, 300

_FOR_DISCORD = 1_900
"""Characters. Discord accepts 2,000 in Slack's format, Mattermost 16,000, Slack 40,000."""


@dataclass(frozen=True, slots=True)
class _Style:
    """How a format shows texts safely: a name, the `bare` name, a sentence, and a command.

    A text has at most `longest` characters; entities are left out to achieve that.
    """

    shown: Callable[[str], str]
    bare: Callable[[str], str]
    sentence: Callable[[str], str]
    command: Callable[[str], str]
    longest: int


@dataclass(frozen=True, slots=True)
class _Line:
    """What happened to one entity. A field is a path, and how many lines of code changed in it."""

    type: str
    name: str
    verb: str
    was: str | None
    fields: tuple[tuple[str, str], ...]
    who: str

    def written(self, style: _Style) -> str:
        """Return the line, with the workspace's texts in a style."""
        shown = style.shown
        fields = [f"{shown(path)}{count}" for path, count in self.fields]
        what = f"{self.verb} {some_of(fields, _FIELDS)}" if fields else self.verb
        renamed = f", was {shown(self.was)}" if self.was else ""
        by = f" — by {shown(self.who)}" if self.who else ""
        return f"• {style.sentence(self.type)} {shown(self.name)}: {what}{renamed}{by}"


def notification(news: News, again: Again) -> Message:
    """Return the message about changes; `again` makes the command that shows them."""
    lines = list(_lines(news))
    text, slack = (_text(news, lines, style, again) for style in (_PLAIN, _SLACK))
    # not `text`: Slack, Teams and Google Chat would show it, and names in it could mention people or become links
    return Message(_subject(news, lines), text, slack, {**_document(news, lines, again), "summary": text})


def slack_code(text: str) -> str:
    """Return a text as code in Slack's mrkdwn, so that nothing in it becomes a mention, link, reference or emphasis."""
    return _as_code(shortened(text, _LONGEST))


def _as_code(text: str) -> str:
    return f"`{_escaped(one_line(text).replace('`', chr(39))) or '(blank)'}`"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _sentence(text: str) -> str:
    return one_line(shortened(text, _LONGEST_SENTENCE))


def _bare(text: str) -> str:
    return one_line(shortened(text, _LONGEST))


_PLAIN = _Style(lambda text: quoted(_bare(text)), _bare, _sentence, one_line, longest=10_000)
_SLACK = _Style(
    slack_code, slack_code, lambda text: _escaped(_sentence(text)), _as_code, longest=_FOR_DISCORD
)


def _lines(news: News) -> Iterator[_Line]:
    for change in news.changes.entities if news.changes is not None else ():
        verb = change.kind.value if change.kind is not ChangeKind.CHANGED else "changed"
        keys = (change.after, change.before)
        who = next((news.who[key] for key in keys if key is not None and key in news.who), "")
        yield _Line(change.type, change.name, verb, change.was, tuple(_fields(change)), who)


def _fields(change: EntityChange) -> Iterator[tuple[str, str]]:
    if change.kind is ChangeKind.CHANGED:
        yield from ((field.path, _lines_of_code(field)) for field in change.fields)


def _lines_of_code(field: FieldChange) -> str:
    added, removed = (sum(line.startswith(sign) for line in field.code) for sign in "+-")
    return f" (+{added} -{removed})" if added or removed else ""


def _subject(news: News, lines: list[_Line]) -> str:
    return f"jitsu-backup: {_called(news)}: {_counted(news, lines)}"


def _called(news: News) -> str:
    return _bare(news.source.slug or news.source.workspace_id)


def _counted(news: News, lines: list[_Line]) -> str:
    """Return what changed, in a few words."""
    if news.alarm:
        return f"still shrunk: {news.still}" if news.still else "shrunk"
    if lines:
        return plural(len(lines), "change")
    if news.other_key:
        return "read with another key; not compared"
    if news.why_not:
        return "changed" if news.archive.complete else "incomplete"
    return "backed up for the first time"


def _text(news: News, lines: list[_Line], style: _Style, again: Again) -> str:
    """Return a whole message, with as many entities as fit."""
    head, tail = list(_head(news, lines, style)), list(_where(news, style, again))
    for count in range(min(len(lines), _LINES), -1, -1):
        more = [f"… and {len(lines) - count} more"] if len(lines) > count else []
        text = "\n".join([*head, *(line.written(style) for line in lines[:count]), *more, *tail])
        if len(text) <= style.longest:
            break
    return text


def _head(news: News, lines: list[_Line], style: _Style) -> Iterator[str]:
    since = "" if news.before is None else f" since {shown_time(news.before.taken_at)}"
    counted = _counted(news, lines)
    if news.alarm and lines:  # it may have shrunk before the archive that this one is compared with
        counted = f"{counted}; {plural(len(lines), 'change')}"
    yield f"{style.bare(_called(news))}: {counted}{since if lines or not news.alarm else ''}"
    if news.alarm:
        alarm = style.sentence(news.alarm)
        yield f"Shrink alarm: {alarm}. The monitor and the exit code of the run report it too."
    if news.weaker:
        yield f"Alarm: it {What.WEAKER.words}. The monitor and the exit code of the run report it too."
    if news.other_key:
        yield f"Changes are not shown, because {news.why_not}."
    elif news.why_not:
        yield f"The changes could not be determined: {news.why_not}."
        yield from map(style.sentence, _by_their_names(news))
    if news.gone and news.changes is not None:
        yield "Earlier changes are not shown, because the archive to compare with no longer exists."
    if news.before is None and not news.why_not:
        yield f"{plural(news.archive.total or 0, 'entity', 'entities')}."


def _by_their_names(news: News) -> Iterator[str]:
    """Yield how the number of entities of each type changed, according to the names of the archives."""
    if news.before is None or not news.archive.complete:
        return
    before, now = news.before, replace(news.archive, counts=news.counts)
    counts = {name: (before.count_of(name), now.count_of(name)) for name in {*before.counts, *now.counts}}
    moved = [
        f"{name} {was} → {is_now}"
        for name, (was, is_now) in sorted(counts.items())
        if None not in (was, is_now) and was != is_now
    ]
    if moved or not (before.unnamed or now.unnamed):
        yield "Number of entities: " + (", ".join(moved) or "unchanged for each type") + "."
    elif before.total != now.total:
        yield f"Number of entities: {before.total} → {now.total}."
    if news.locked:
        yield "Which entities changed cannot be seen without the private key."


def _where(news: News, style: _Style, again: Again) -> Iterator[str]:
    command = _command(news)
    yield f"Details: {style.command(again(*command))}"
    page = "snapshot.html" if command[0] == "show" else "changes.html"
    yield f"As an HTML page: {style.command(again(*command, '--html', page))}"


def _command(news: News) -> tuple[str, ...]:
    """Return the arguments of the command that shows what changed."""
    if news.before is None or (news.gone and news.changes is None):
        return "show", news.archive.reference
    return "diff", news.before.reference, news.archive.reference


def _document(news: News, lines: list[_Line], again: Again) -> dict[str, Any]:
    return {
        "event": _event(news),
        "workspace": _called(news),
        "workspace_id": news.source.workspace_id,
        "host": news.source.host,
        "taken_at": iso_time(news.archive.taken_at),
        "archive": news.archive.reference,
        "before": _reference(news.before),
        "since": None if news.before is None else iso_time(news.before.taken_at),
        "entities": news.archive.total,
        "complete": news.archive.complete,
        "alarm": news.alarm or (What.WEAKER.words if news.weaker else None),
        "not_compared": news.why_not or None,
        "older_not_shown": news.gone,
        "changes": [_entry(line) for line in lines[:_IN_DOCUMENT]],
        "more": max(0, len(lines) - _IN_DOCUMENT),
        "command": again(*_command(news)),
        "version": __version__,
    }


def _event(news: News) -> str:
    if not news.archive.complete:
        return "incomplete"
    if news.other_key:
        return "not_compared"
    return "changed" if news.before is not None or news.why_not else "first"


def _reference(archive: ArchiveName | None) -> str | None:
    return None if archive is None else archive.reference


def _entry(line: _Line) -> dict[str, Any]:
    return {
        "type": line.type,
        "name": shortened(line.name, _LONGEST_IN_DOCUMENT),
        "what": line.verb,
        "was": line.was and shortened(line.was, _LONGEST_IN_DOCUMENT),
        "fields": [shortened(path, _LONGEST_IN_DOCUMENT) for path, _ in line.fields[:_FIELDS_IN_DOCUMENT]],
        "who": line.who or None,
    }
