"""The console's log of changes: who changed what, and when [audit-log/first-page].

Only owners and the operator may read it [audit-log/as-analyst], and a console may not keep it, so an empty log proves
nothing.
"""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from jitsu_backup.console.client import Console
from jitsu_backup.console.own_user import OPERATOR_ID
from jitsu_backup.console.replies import RefusalKind, RefusedError
from jitsu_backup.errors import AccessError, BackupError, ConsoleError, WrongAddressError
from jitsu_backup.model import OPERATOR, AuditEntry, items_of, members_of, parse_any_time, plural

MOST_PAGES = 250
_PAGE, _MOST_FOR_A_PLAN = 200, 10
_LONGEST_TEXT = 300  # characters of an id or a name
_PREFIX, _OPERATIONS = "config-object-", ("create", "update", "delete")


class LogState(Enum):
    """How much of the audit log could be read."""

    WHOLE = "whole"
    EMPTY = "empty"
    CUT = "cut"
    NOT_ALLOWED = "not allowed"
    NOT_OFFERED = "not offered"
    AWAY = "out of reach"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class AuditLog:
    """What the audit log has for a span of time, newest first. `why` is the console's reason if it is incomplete.

    If it is CUT, AWAY or DAMAGED, it has what was read until then.
    """

    entries: tuple[AuditEntry, ...]
    state: LogState
    why: str = ""


class _DamagedError(ConsoleError):
    pass


class _CutError(ConsoleError):
    pass


async def read_audit_log(
    console: Console, workspace_id: str, since: datetime, until: datetime, *, most_pages: int = MOST_PAGES
) -> AuditLog:
    """Return the changes of a workspace, given by its id, from `since` to `until`, both included.

    Read at most `most_pages` pages of 200 lines, newest first. The state of the result says what went wrong.
    """
    found: dict[str, AuditEntry] = {}
    try:
        async for entries in _pages(console, workspace_id, since, until, most_pages):
            found |= {entry.id: entry for entry in entries}
    except BackupError as problem:
        return AuditLog(_newest_first(found), _state_of(problem), str(problem))
    return AuditLog(_newest_first(found), LogState.WHOLE if found else LogState.EMPTY)


async def last_changes(
    console: Console, workspace_id: str, ids: Collection[str], since: datetime
) -> Mapping[str, AuditEntry]:
    """Return the last change since a moment of each entity of `ids`, by its id, as far as the console knows.

    If the log cannot be read, this raises nothing.
    """
    found: dict[str, AuditEntry] = {}
    try:
        async for entries in _pages(console, workspace_id, since, None, _MOST_FOR_A_PLAN):
            for entry in entries:
                if entry.object_id in ids and not entry.unchanged:
                    found.setdefault(entry.object_id, entry)
            if len(found) == len(ids):
                break
    except BackupError:
        pass
    return found


async def _pages(
    console: Console, workspace_id: str, since: datetime, until: datetime | None, most: int
) -> AsyncIterator[list[AuditEntry]]:
    """Yield the changes of a workspace page by page [audit-log/next-page]. Raise BackupError if a page fails."""
    kinds = ",".join(_PREFIX + operation for operation in _OPERATIONS)
    params = {"workspaceId": workspace_id, "type": kinds, "from": _moment(since), "limit": str(_PAGE)}
    params |= {} if until is None else {"to": _moment(until)}
    seen: set[str] = set()
    unread = 0
    for _ in range(most):
        answer = members_of(await console.get("/api/audit-log", params=params))
        if not isinstance(answer.get("items"), list):
            raise _DamagedError("it is not a valid answer of a Jitsu console")
        lines = list(_entries(answer, workspace_id))
        entries = [entry for entry in lines if entry is not None]
        unread += len(lines) - len(entries)
        yield [entry for entry in entries if since <= entry.at and (until is None or entry.at <= until)]
        cursor = answer.get("nextCursor")
        if cursor is None or (entries and all(entry.at < since for entry in entries)):
            if unread:
                raise _DamagedError(f"{plural(unread, 'line of it', 'lines of it')} cannot be read")
            return
        if not isinstance(cursor, str) or cursor in seen:
            raise _DamagedError("its pages never end")
        seen.add(cursor)
        params["cursor"] = cursor
    raise _CutError(f"more than {most * _PAGE:,} changes")


def _entries(answer: Mapping[str, Any], workspace_id: str) -> Iterator[AuditEntry | None]:
    """Yield the changes of objects and links on a page, and None for one without a time or an entity."""
    for item in items_of(answer.get("items")):
        line = members_of(item)
        kind, elsewhere = line.get("type"), line.get("workspaceId") not in (None, workspace_id)
        if item is line and (elsewhere or not str(kind).startswith(_PREFIX)):
            continue
        yield _entry(line, str(kind).removeprefix(_PREFIX))


def _entry(line: Mapping[str, Any], operation: str) -> AuditEntry | None:
    at, changes, actor = (
        parse_any_time(line.get("timestamp")),
        members_of(line.get("changes")),
        members_of(line.get("actor")),
    )
    object_id, object_type = line.get("objectId"), _text(changes.get("objectType"))
    if at is None or not isinstance(object_id, str) or object_type is None:
        return None
    name, email, user = (
        _text(value) for value in (actor.get("name"), actor.get("email"), line.get("userId"))
    )
    return AuditEntry(
        id=_text(line.get("id")) or f"{line.get('timestamp')} {object_id}",
        at=at,
        operation=operation,
        type=object_type,
        object_id=object_id,
        who=OPERATOR if user == OPERATOR_ID else name or email or user or "somebody",
        name=_text(changes.get("objectName")),
        email=email,
        key=_text(line.get("tokenId")),
        way=_text(line.get("origin")) or _text(members_of(line.get("token")).get("type")),
        unchanged=[members_of(one).get("kind") for one in items_of(line.get("diff"))] == ["noop"],
        operator=user == OPERATOR_ID,
    )


def _text(value: Any) -> str | None:
    return value[:_LONGEST_TEXT] if isinstance(value, str) and value.strip() else None


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _newest_first(found: Mapping[str, AuditEntry]) -> tuple[AuditEntry, ...]:
    return tuple(sorted(found.values(), key=lambda entry: (entry.at, entry.id), reverse=True))


def _state_of(problem: BackupError) -> LogState:
    match problem:
        case _CutError():
            return LogState.CUT
        case AccessError():
            return LogState.NOT_ALLOWED
        case RefusedError(kind=RefusalKind.NOT_FOUND | RefusalKind.NO_SUCH_ROUTE | RefusalKind.UNKNOWN_TYPE):
            return LogState.NOT_OFFERED
        case _DamagedError() | WrongAddressError():
            return LogState.DAMAGED
    return LogState.AWAY
