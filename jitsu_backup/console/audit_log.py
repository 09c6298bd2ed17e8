"""The console's log of changes: who changed what, and when [audit-log/first-page]."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jitsu_backup.console.client import Console
from jitsu_backup.errors import BackupError
from jitsu_backup.model import iso_time, items_of, members_of

_PAGE, _MOST_PAGES = 200, 10


@dataclass(frozen=True, slots=True)
class LastChange:
    """Who changed an entity last, and when, as the console writes moments."""

    who: str
    at: str


async def last_changes(
    console: Console, workspace_id: str, ids: Collection[str], since: datetime
) -> Mapping[str, LastChange]:
    """Return the last change since a moment of each entity of `ids`, by its id, as far as the console tells.

    It tells owners and the operator alone, and only where it keeps the log; then this raises nothing
    [audit-log/next-page].
    """
    found: dict[str, LastChange] = {}
    begin = iso_time(since).replace("Z", ".000Z")
    params = {"workspaceId": workspace_id, "from": begin, "limit": str(_PAGE)}
    for _ in range(_MOST_PAGES):
        try:
            answer = members_of(await console.get("/api/audit-log", params=params))
        except BackupError:
            break
        for item in items_of(answer.get("items")):
            if isinstance(item, Mapping) and item.get("objectId") in ids:
                found.setdefault(str(item["objectId"]), LastChange(_who(item), str(item.get("timestamp"))))
        cursor = answer.get("nextCursor")
        if not isinstance(cursor, str) or len(found) == len(ids):
            break
        params = {**params, "cursor": cursor}
    return found


def _who(item: Mapping[str, Any]) -> str:
    actor = members_of(item.get("actor"))
    known = (actor.get("email"), actor.get("name"), item.get("userId"))
    return next((one for one in known if isinstance(one, str) and one), "somebody")
