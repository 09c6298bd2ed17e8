"""What a restore reads from a console besides its target: schemas, and what other workspaces claim."""

from collections.abc import Mapping
from typing import Any

from jitsu_backup.console import Console
from jitsu_backup.console.bodies import small_replies
from jitsu_backup.console.claimed_elsewhere import ClaimedElsewhere, Claims, read_claims, with_functions
from jitsu_backup.console.client import api_path
from jitsu_backup.console.console_info import read_schemas
from jitsu_backup.errors import BackupError, KeyRejectedError
from jitsu_backup.model import Source


class Neighbours:
    """What a restore reads from a console besides its target. Each schema is read once.

    For one restore, the claims of all workspaces except its target are read. For many (`shared`), they are read once, so
    later changes are not seen.
    """

    def __init__(self, console: Console, *, shared: bool = False) -> None:
        """Read nothing yet."""
        self._console, self._shared = console, shared
        self._schemas: dict[str, Mapping[str, Any] | None] = {}
        self._claims: Claims | None = None

    async def schemas(self, names: list[str]) -> dict[str, Mapping[str, Any]]:
        """Return the console's schemas by name, omitting unknown names. Raise AccessError, ConsoleError."""
        missing = [name for name in names if name not in self._schemas]
        found = await read_schemas(self._console, missing)
        self._schemas |= {name: found.get(name) for name in missing}
        return {name: known for name in names if (known := self._schemas[name]) is not None}

    @property
    def ids(self) -> Mapping[str, tuple[str, str]]:
        """The ids of entities that are known after `claimed`, as in `Claims`. None for one restore."""
        return {} if self._claims is None else self._claims.ids

    async def claimed(self, workspace_id: str, first: Source | None) -> ClaimedElsewhere:
        """Return what all workspaces except one claim. `first` is as in `read_claims`."""
        if not self._shared:
            return (await read_claims(self._console, workspace_id, first)).beside(workspace_id)
        if self._claims is None:
            claims = await read_claims(self._console)
            self._claims = await with_functions(self._console, claims) if claims.all_streams else claims
        return self._claims.beside(workspace_id)


async def read_entitlements(console: Console, workspace_id: str) -> Any:
    """Return a workspace's subscription, which only predicts rejections, or None if the console does not say.

    Raise AccessError for a key that the console rejects.
    """
    try:
        return await console.get(api_path(workspace_id, "entitlements"), beside=small_replies())
    except KeyRejectedError:
        raise
    except BackupError:  # older consoles lack this route
        return None
