"""The role of a key's user in a workspace."""

from collections.abc import Mapping, Sequence
from typing import Any

from jitsu_backup.console.bodies import small_replies
from jitsu_backup.console.client import Console, api_path, gather
from jitsu_backup.console.own_user import OPERATOR_ID, own_user_id
from jitsu_backup.console.workspaces import Workspace, Workspaces, text_field
from jitsu_backup.errors import BackupError

MOST_ROLES = 20
"""For how many workspaces the console is asked: each costs a request of the key's rate limit."""


def role_of(members: Sequence[Any], user_id: str | None) -> str | None:
    """Return the role that the members of a workspace give a user; None if they do not say."""
    if user_id == OPERATOR_ID:
        return "admin"  # it is a member of no workspace, and may do everything in each
    for member in members:
        user = member.get("user") if isinstance(member, Mapping) else None
        if user_id is not None and isinstance(user, Mapping) and user.get("id") == user_id:
            return text_field(member, "role")
    return None


async def roles_in(console: Console, listed: Workspaces) -> dict[str, str | None]:
    """Return the key's role in the first workspaces, up to MOST_ROLES, by their ids; None if the console does not say."""
    if listed.is_operators:
        return {workspace.id: "admin" for workspace in listed.found}
    user_id = await own_user_id(console)

    async def role(workspace: Workspace) -> tuple[str, str | None]:
        try:
            users = await console.get(f"{api_path('workspace', workspace.id)}/users", beside=small_replies())
        except BackupError:  # a role is good to know, and nothing more
            users = None
        return workspace.id, role_of(users if isinstance(users, list) else (), user_id)

    return dict(await gather(*map(role, listed.found[:MOST_ROLES])))
