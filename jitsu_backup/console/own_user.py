"""Whose key it is: a user's, or the operator's token, which has no user."""

from jitsu_backup.console.bodies import small_replies
from jitsu_backup.console.client import Console
from jitsu_backup.errors import AccessError, BackupError
from jitsu_backup.model import members_of

OPERATOR_ID = "admin-service-account@jitsu.com"
"""The user id that every console gives the operator's token [admin/me, admin/workspace-list]."""


async def own_user_id(console: Console) -> str | None:
    """Return the id of the key's user [discovery/me], or None if the console does not say. Raise ConsoleError."""
    return await _own(console, "internalId")


async def own_email(console: Console) -> str | None:
    """Return the e-mail address of the key's user, or None if the console does not say, or does not answer."""
    try:
        return await _own(console, "email")
    except BackupError:
        return None


async def _own(console: Console, field: str) -> str | None:
    try:
        body = await console.get_if_offered("/api/me", beside=small_replies())
    except AccessError:
        return None
    value = members_of(members_of(body).get("user")).get(field)
    return value if isinstance(value, str) else None


async def is_operator(console: Console) -> bool:
    """Return whether the key is the operator's token [admin/me]. Return False if the console does not say."""
    try:
        return await own_user_id(console) == OPERATOR_ID
    except BackupError:
        return False
