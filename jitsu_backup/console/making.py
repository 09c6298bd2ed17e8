"""Create a workspace."""

from contextlib import suppress

from jitsu_backup.console.client import Console, UncertainError
from jitsu_backup.console.replies import RefusalKind, RefusedError
from jitsu_backup.console.workspaces import Workspace, find_workspace, text_field
from jitsu_backup.errors import ConsoleError, NotFoundError

LOOKS, SECONDS_BETWEEN = 3, 2.0
"""How often to look for a workspace that may have been created, and the seconds between."""


async def make_workspace(console: Console, name: str, slug: str) -> Workspace:
    """Create a workspace and return it. The user of the key becomes its owner.

    The operator's token gets an error although the workspace is created, without any member, and a reply may be lost. The
    workspace with the slug is then the new one [admin/workspace-create]. So look for the slug first: consoles of 2024
    create a second workspace with it [workspace/create-slug-taken]. Raise RefusedError, AccessError, ConsoleError.
    """
    try:
        made = await console.write("POST", "/api/workspace", {"name": name, "slug": slug}, repeatable=False)
    except RefusedError as refusal:
        if refusal.kind is not RefusalKind.REFUSED:
            raise
        with suppress(NotFoundError):
            return await find_workspace(console, slug)
        raise
    except UncertainError:
        for _ in range(LOOKS):
            with suppress(NotFoundError):
                return await find_workspace(console, slug)
            await console.pause(SECONDS_BETWEEN)
        raise
    made_id = text_field(made, "id")
    if made_id is None:
        raise ConsoleError(f"console {console.host} does not say which workspace it created for {slug}")
    return Workspace(made_id, slug, name, {"id": made_id, "slug": slug, "name": name})
