"""News of a workspace as a notification: for Slack and its like, for mail, and as a JSON document. Never a value of a field."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jitsu_backup import __version__
from jitsu_backup.archive import ArchiveName
from jitsu_backup.model import iso_time, one_line, plural, quoted, shortened, shown_time, some_of
from jitsu_backup.operations.news import News
from jitsu_backup.operations.notifying import Message
from jitsu_backup.planning import ChangeKind, EntityChange, FieldChange

_LINES, _FIELDS, _IN_DOCUMENT = 10, 4, 200
"""How many entities a message names, how many fields of each, and how many entities a JSON document has."""

_LONGEST = 80


@dataclass(frozen=True, slots=True)
class _Style:
    """How a form shows texts of the workspace, so that they can do nothing there: in a sentence, and `bare`."""

    shown: Callable[[str], str]
    bare: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class _Line:
    """What became of one entity; a field is a path, and how many lines of code changed in it."""

    type: str
    name: str
    verb: str
    was: str | None
    fields: tuple[tuple[str, str], ...]
    who: str

    def written(self, shown: Callable[[str], str]) -> str:
        """Return the line, with the workspace's texts as they are to be `shown`."""
        fields = [f"{shown(path)}{count}" for path, count in self.fields]
        what = f"{self.verb} {some_of(fields, _FIELDS)}" if fields else self.verb
        renamed = f", was {shown(self.was)}" if self.was else ""
        by = f" — by {shown(self.who)}" if self.who else ""
        return f"{one_line(self.type)} {shown(self.name)}: {what}{renamed}{by}"


def notification(news: News, page: str = "") -> Message:
    """Return the message that tells news; `page` is the address or path of a page that shows them."""
    lines = list(_lines(news))
    text, slack = (_text(news, lines, style, page) for style in (_PLAIN, _SLACK))
    return Message(_subject(news, lines), text, slack, {**_document(news, lines, page), "text": text})


def slack_code(text: str) -> str:
    """Return a text as code in Slack's mrkdwn: no mention, link, reference or emphasis comes of it, whatever it holds."""
    plain = one_line(shortened(text, _LONGEST)).replace("`", "'")
    escaped = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"`{escaped or '(blank)'}`"


_PLAIN = _Style(lambda text: quoted(one_line(shortened(text, _LONGEST))), one_line)
_SLACK = _Style(slack_code, slack_code)


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
    return news.source.slug or news.source.workspace_id


def _counted(news: News, lines: list[_Line]) -> str:
    """Return what is new, in a few words."""
    if news.alarm:
        return "shrunken"
    if lines:
        return plural(len(lines), "change")
    if news.why_not:
        return "changed" if news.archive.complete else "incomplete"
    return "backed up for the first time"


def _text(news: News, lines: list[_Line], style: _Style, page: str) -> str:
    return "\n".join(_paragraphs(news, lines, style, page))


def _paragraphs(news: News, lines: list[_Line], style: _Style, page: str) -> Iterator[str]:
    since = "" if news.before is None else f" since {shown_time(news.before.taken_at)}"
    yield f"{style.bare(_called(news))}: {_counted(news, lines)}{since}"
    if news.alarm:
        yield f"It set off the shrink alarm: {one_line(news.alarm)}. The run's monitor and exit code tell it too."
    if news.why_not:
        yield f"What changed cannot be told: {news.why_not}."
        yield from _by_their_names(news)
    if news.gone and news.changes is not None:
        yield "Earlier changes are not shown: the archive with which they are to be compared is gone."
    if news.before is None and not news.why_not:
        yield f"{news.archive.total} entities."
    yield from (f"• {line.written(style.shown)}" for line in lines[:_LINES])
    if len(lines) > _LINES:
        yield f"… and {len(lines) - _LINES} more"
    yield from _where(news, style, page)


def _by_their_names(news: News) -> Iterator[str]:
    """Yield how many entities of each type there are now, where that differs, as the names of the archives tell."""
    if news.before is None or not news.archive.complete:
        return
    before, now = news.before.counts, news.archive.counts
    moved = [
        f"{name} {before.get(name, 0)} → {now.get(name, 0)}"
        for name in sorted({*before, *now})
        if before.get(name, 0) != now.get(name, 0)
    ]
    yield "By their counts: " + (", ".join(moved) or "as many as before, of each type") + "."


def _where(news: News, style: _Style, page: str) -> Iterator[str]:
    if page:
        yield f"Page: {style.bare(page)}"
    command = (
        "show"
        if news.before is None or (news.gone and news.changes is None)
        else f"diff {news.before.reference}"
    )
    yield f"More: {style.bare(f'jitsu-backup {command} {news.archive.reference}')}"


def _document(news: News, lines: list[_Line], page: str) -> dict[str, Any]:
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
        "alarm": news.alarm or None,
        "not_compared": news.why_not or None,
        "older_not_shown": news.gone,
        "changes": [_entry(line) for line in lines[:_IN_DOCUMENT]],
        "more": max(0, len(lines) - _IN_DOCUMENT),
        "page": page or None,
        "version": __version__,
    }


def _event(news: News) -> str:
    if not news.archive.complete:
        return "incomplete"
    return "changed" if news.before is not None or news.why_not else "first"


def _reference(archive: ArchiveName | None) -> str | None:
    return None if archive is None else archive.reference


def _entry(line: _Line) -> dict[str, Any]:
    return {
        "type": line.type,
        "name": line.name,
        "what": line.verb,
        "was": line.was,
        "fields": [path for path, _ in line.fields],
        "who": line.who or None,
    }
