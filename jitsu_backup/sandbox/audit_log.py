"""The audit log: who changed what [audit-log/first-page]."""

import re
import string
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from jitsu_backup.model import MASK
from jitsu_backup.sandbox.masking import mask_destination, mask_service
from jitsu_backup.sandbox.state import OPERATOR, AuditRow, LinkRow, State

STARS = "*********"
"""Replaces a secret in a difference [audit-log/changes-only]."""

PAGE, LONGEST_PAGE, LONGEST_VALUE = 50, 200, 2000

Body = Mapping[str, Any] | None

_ABSENT = object()
_DIGITS = string.digits + string.ascii_lowercase
_UNSHOWN = ("id", "workspaceId", "type", "cloneId")
_SECRET_NAME = re.compile(
    r"(.*(password|passwd|secret|api[_-]?key|access[_-]?token|refresh[_-]?token|id[_-]?token|private[_-]?key"
    r"|client[_-]?secret|webhook[_-]?secret|auth(orization)?)|token)",
    re.IGNORECASE,
)


class Audit:
    """Notes each change of an object or a link, and lists the changes."""

    def __init__(self, state: State) -> None:
        """Keep the changes in `state`."""
        self.state = state
        self.actor: tuple[str, str | None] = (OPERATOR, None)
        """Who makes the next changes: the ids of a user and of the API key."""

    def note(
        self,
        workspace_id: str,
        action: str,
        kind: str,
        object_id: str,
        before: Body = None,
        after: Body = None,
    ) -> None:
        """Note a change by `actor`: `action` is create, update or delete, `kind` the type of the object or `link`."""
        if self.state.generation.is_2024 or not self.state.audit_log:
            return
        user_id, token_id = self.actor
        self.state.audit.append(
            AuditRow(
                self._id(), self.state.now(), f"config-object-{action}", workspace_id, user_id, token_id,
                kind, object_id, before, after,
            )
        )  # fmt: skip

    def page(self, workspace_id: str | None, query: Mapping[str, str], limit: int) -> dict[str, Any]:
        """Return a page of changes, newest first, with `nextCursor` if older ones follow [audit-log/next-page]."""
        rows = sorted(
            self._wanted(workspace_id, query), key=lambda row: (row.timestamp, row.id), reverse=True
        )
        shown = rows[:limit]
        more = {"nextCursor": f"{shown[-1].timestamp}|{shown[-1].id}"} if len(rows) > limit else {}
        return {"items": [self._item(row) for row in shown], **more}

    def _wanted(self, workspace_id: str | None, query: Mapping[str, str]) -> Iterator[AuditRow]:
        kinds = [name for name in query.get("type", "").split(",") if name]
        severities = [name for name in query.get("severity", "").split(",") if name]
        moment, _, last_id = query.get("cursor", "").partition("|")
        for row in self.state.audit:
            if (
                workspace_id in (None, row.workspace_id)
                and row.workspace_id in self.state.workspaces
                and (not kinds or row.action in kinds)
                and (not severities or "info" in severities)
                and query.get("from", "") <= row.timestamp <= query.get("to", "9")
                and (not moment or (row.timestamp, row.id) < (moment, last_id))
            ):
                yield row

    def _id(self) -> str:
        """Return a new id that sorts by time, like the ids of the console."""
        return f"c{_base36(int(self.state.clock() * 1000), 8)}{_base36(len(self.state.audit), 16)}"

    def _item(self, row: AuditRow) -> dict[str, Any]:
        workspace = self.state.workspaces[row.workspace_id]
        user = self.state.users.get(row.user_id)
        return {
            "id": row.id,
            "timestamp": row.timestamp,
            "type": row.action,
            "severity": "info",
            "workspaceId": row.workspace_id,
            "workspace": {"id": workspace.id, "name": workspace.name, "slug": workspace.slug},
            "userId": row.user_id,
            "objectId": row.object_id,
            "authType": "bearer",
            "tokenId": row.token_id,
            "token": {"id": row.token_id, "type": "api", "name": None} if row.token_id else None,
            "changes": {"objectType": row.object_type, **self._name(row)},
            **({} if row.before is row.after is None else {"diff": self._differences(row)}),
            "actor": {"id": user.id, "email": user.email, "name": user.name} if user else None,
        }

    def _name(self, row: AuditRow) -> dict[str, str]:
        if row.object_type == "link":
            link = self.state.links[row.object_id]
            ends = [self.state.objects[end] for end in (link.from_id, link.to_id)]
            return {"objectName": " → ".join(str(end.config.get("name") or end.id) for end in ends)}
        name = (row.after or {}).get("name") or (row.before or {}).get("name")
        return {"objectName": name} if isinstance(name, str) else {}

    def _differences(self, row: AuditRow) -> list[dict[str, str]]:
        before, after = (
            _ABSENT if side is None else self._hidden(row.object_type, side)
            for side in (row.before, row.after)
        )
        found = list(_walk(before, after))
        seen = {line["field"] for line in found}
        raw = _walk(
            _ABSENT if row.before is None else row.before, _ABSENT if row.after is None else row.after
        )
        for line in raw:  # secrets that were replaced look the same on both sides
            masked = _at(after, line["field"])
            if masked in (MASK, STARS) and line["field"] not in seen:
                found.append({"field": line["field"], "kind": "secret-changed"})
        if not found and row.action == "config-object-update":
            return [{"field": "(none)", "kind": "noop"}]  # [audit-log/changes-only]
        return found

    def _hidden(self, object_type: str, body: Mapping[str, Any]) -> Any:
        if object_type == "destination":
            body = mask_destination(body, self.state.generation)
        elif object_type == "service":
            body = mask_service(body, self.state.secret_fields.get(str(body.get("package")), ()))
        elif object_type == "stream":
            body = {name: _without_keys(value) for name, value in body.items()}
        return _scrub({name: value for name, value in body.items() if name not in _UNSHOWN})


def link_body(row: LinkRow) -> dict[str, Any]:
    """Return the body of a link as the log compares it."""
    return {"data": row.data, "toId": row.to_id, "fromId": row.from_id, "deleted": False}


def _walk(before: Any, after: Any, at: str = "") -> Iterator[dict[str, str]]:
    """Yield each leaf that differs, in the key order of PostgreSQL: short keys first."""
    if before is not _ABSENT and after is not _ABSENT and before == after and type(before) is type(after):
        return
    if all(side is _ABSENT or isinstance(side, Mapping) for side in (before, after)):
        sides = [side if isinstance(side, Mapping) else {} for side in (before, after)]
        names = dict.fromkeys(name for side in sides for name in sorted(side, key=lambda n: (len(n), n)))
        for name in names:
            old, new = (side.get(name, _ABSENT) for side in sides)
            yield from _walk(old, new, f"{at}.{name}".lstrip("."))
    elif before is _ABSENT:
        yield {"field": at, "kind": "added", "next": _text(after)}
    elif after is _ABSENT:
        yield {"field": at, "kind": "removed", "prev": _text(before)}
    else:
        yield {"field": at, "kind": "changed", "prev": _text(before), "next": _text(after)}


def _text(value: Any) -> str:
    if value in (MASK, STARS):
        return STARS
    text = f'"{value}"' if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _scrub(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: STARS
            if _SECRET_NAME.fullmatch(name) and item is not None and item != MASK
            else _scrub(item)
            for name, item in value.items()
        }
    return [_scrub(item) for item in value] if isinstance(value, list) else value


def _without_keys(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [
        {name: item for name, item in key.items() if name not in ("hash", "plaintext")}
        if isinstance(key, Mapping)
        else key
        for key in value
    ]


def _base36(number: int, width: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits.rjust(width, "0")[-width:]
