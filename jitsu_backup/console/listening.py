"""Ask a console whether a workspace has changed, without reading it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from jitsu_backup.console.bodies import small_replies
from jitsu_backup.console.client import Console, api_path
from jitsu_backup.errors import BackupError, ConsoleError
from jitsu_backup.model import members_of, parse_any_time

_LONG_AGO = "2000-01-01T00:00:00.000Z"
"""A time so early that the console answers with its clock and not with 304 [listen/empty-workspace]."""

_EARLIEST, _LATEST = 2000, 9998
"""The years in which a clock is believed."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a console says about a workspace, by its own clock in milliseconds, in UTC.

    `last_modified` is the newest time stamp of its objects, its links and itself, deleted ones included; profile builders
    and cursors do not count. `now` is when the console answered.
    """

    last_modified: datetime
    now: datetime


async def listen(console: Console, workspace_id: str) -> Heard | None:
    """Ask when a workspace last changed. Return None if the console does not say, for whatever reason.

    It is asked only once, because without an answer the workspace is read. A slug is rejected [listen/by-slug].
    """
    try:
        return _heard(await _ask(console, workspace_id, _LONG_AGO, 0))
    except BackupError:
        return None


async def changed_after(
    console: Console, workspace_id: str, moment: datetime, seconds: float
) -> Heard | None:
    """Return the answer if a workspace has changed after a moment, now or after `seconds`, or None if it has not.

    The console checks at the beginning and at the end of that time, for the price of one request. Raise ConsoleError if it
    does not answer the question, AccessError.
    """
    since = (moment + timedelta(milliseconds=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    answer = await _ask(console, workspace_id, since, seconds)
    if answer is None:
        return None  # 304 [listen/a-millisecond-later]
    heard = _heard(answer)
    if heard is None:
        raise ConsoleError(f"console {console.host} does not say when {workspace_id} changed")
    return heard


async def _ask(console: Console, workspace_id: str, since: str, seconds: float) -> Any:
    params = {"ifModifiedSince": since, "maxWaitMs": f"{1000 * seconds:.0f}"}
    path = api_path(workspace_id, "listen")
    return await console.get(path, params=params, beside=small_replies(), attempts=1)


def _heard(answer: Any) -> Heard | None:
    members = members_of(answer)
    last_modified, now = parse_any_time(members.get("lastModified")), parse_any_time(members.get("now"))
    if last_modified is None or now is None:
        return None
    believed = all(_EARLIEST <= moment.year <= _LATEST for moment in (last_modified, now))
    return Heard(last_modified, now) if believed else None
