"""Who made a change, in one line."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from jitsu_backup.model import iso_time, one_line, shortened, shown_time, some_of
from jitsu_backup.planning import EntityChange
from jitsu_backup.planning.attribution import Attribution
from jitsu_backup.planning.history import Author, Passing

_WAYS = {"ui": "UI", "api": "API", "cli": "CLI", "mcp": "MCP"}
_MOST_AUTHORS = 3

PASSING = "Created and deleted between two snapshots"
"""The heading of the entities that no snapshot saw."""

Shown = Callable[[str], str]
"""Returns an untrusted text in a form that a report can show safely."""


def author_text(author: Author, shown: Shown = one_line) -> str:
    """Return who made a change, how and when: `Ada Lovelace (API, key k1) 2026-11-20 10:31:07 UTC`."""
    return f"{author_name(author, shown)} {shown_time(author.at)}"


def author_name(author: Author, shown: Shown = one_line) -> str:
    """Return who made a change and how: `Ada Lovelace (API, key k1)`."""
    ways = ("restore by jitsu-backup",) if author.ours else _way(author.way, shown)
    keys = (f"key {shown(shortened(author.key))}",) if author.key else ()
    how = f" ({', '.join((*ways, *keys))})" if ways or keys else ""
    return f"{shown(shortened(author.who))}{how}"


def authors_text(authors: Iterable[Author], saved_at: datetime | None, shown: Shown = one_line) -> str:
    """Return a line that says who made a change, or else when it was last saved; an empty text if neither is known."""
    texts = [author_text(author, shown) for author in authors]
    if texts:
        return f"by {some_of(texts, _MOST_AUTHORS, '; ')}"
    return f"last saved {shown_time(saved_at)}" if saved_at is not None else ""


def author_names(authors: Iterable[Author]) -> str:
    """Return who made a change and how, without the times; an empty text if nobody is known."""
    names = dict.fromkeys(author_name(author) for author in authors)
    return some_of(list(names), _MOST_AUTHORS, "; ")


def change_authors(change: EntityChange, who: Attribution | None, shown: Shown = one_line) -> str:
    """Return the line that says who made a change of a comparison; an empty text if nobody asked."""
    return "" if who is None else authors_text(who.of(change), change.saved_at, shown)


def passing_text(passing: Passing, shown: Shown = one_line) -> str:
    """Return a line about an entity that no snapshot saw: its type and name, and who created and deleted it."""
    named = f"{shown(shortened(passing.type))} {shown(shortened(passing.name or passing.id))}"
    return ", ".join(text for text in (named, authors_text(passing.authors, None, shown)) if text)


def authors_document(authors: Iterable[Author], saved_at: datetime | None) -> dict[str, Any]:
    """Return who made a change and when it was last saved, for `--json`."""
    return {
        "authors": [_author_document(author) for author in authors],
        "last_saved": None if saved_at is None else iso_time(saved_at),
    }


def _author_document(author: Author) -> dict[str, Any]:
    """Return who made a change, for `--json`."""
    return {
        "who": author.who,
        "email": author.email,
        "at": iso_time(author.at),
        "key": author.key,
        "way": author.way,
        "ours": author.ours,
    }


def passing_document(passing: Passing) -> dict[str, Any]:
    """Return an entity that no snapshot saw, for `--json`."""
    return {
        "type": passing.type,
        "id": passing.id,
        "name": passing.name,
        "authors": [_author_document(author) for author in passing.authors],
    }


def _way(way: str | None, shown: Shown) -> tuple[str, ...]:
    return (_WAYS.get(way.lower()) or shown(shortened(way)),) if way else ()
