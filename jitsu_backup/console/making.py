"""Make a workspace."""

from contextlib import suppress

from jitsu_backup.console.client import Console, UncertainError
from jitsu_backup.console.replies import RefusalKind, RefusedError
from jitsu_backup.console.workspaces import Workspace, find_workspace, text_field
from jitsu_backup.errors import ConsoleError, NotFoundError

LOOKS, SECONDS_BETWEEN = 3, 2.0
"""How often a workspace is looked for that may have been made, and the seconds between."""


async def make_workspace(console: Console, name: str, slug: str) -> Workspace:
    """Make a workspace and return it; its maker becomes its owner.

    The operator's token gets a refusal although the workspace is made, without any member, and a reply may be lost: what
    has the slug then is the workspace [admin/workspace-create]. So look for the slug before: consoles of 2024 make a
    second workspace of it [workspace/create-slug-taken]. Raise RefusedError, AccessError, ConsoleError.
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
        raise ConsoleError(f"console {console.host}: does not say which workspace it made for {slug}")
    return Workspace(made_id, slug, name, {"id": made_id, "slug": slug, "name": name})
