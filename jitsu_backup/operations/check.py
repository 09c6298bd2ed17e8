"""Trying a connection: what a key can read of a console or a workspace, and what it may do."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from jitsu_backup.console.reader import Workspace, read_workspace, workspaces
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.connection import Connection

WRITING_ROLES = ("owner", "editor", "admin")
"""Roles that may change a workspace."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate limit that the console told: requests a minute, and how many of them are left."""

    method: str
    limit: int
    left: int | None


@dataclass(frozen=True, slots=True)
class WorkspaceCheck:
    """What a key can read of a workspace, and the rate limits that the console told meanwhile."""

    host: str
    snapshot: Snapshot
    limits: tuple[Limit, ...] = ()

    @property
    def role(self) -> str | None:
        """The role of the key in the workspace; None where the console does not tell."""
        return self.snapshot.manifest.source.role

    @property
    def can_write(self) -> bool | None:
        """Whether the key may change the workspace; None where the console does not tell its role."""
        return None if self.role is None else self.role in WRITING_ROLES


async def check_workspace(
    connection: Connection, workspace: str, *, now: Callable[[], datetime]
) -> WorkspaceCheck:
    """Read a workspace as a backup would. Raise ConsoleError, AccessError."""
    async with connection.open() as console:
        snapshot = await read_workspace(console, workspace, now=now, report=connection.report)
    gates = connection.gates.gates.items()
    limits = (Limit(method, gate.limit, gate.left) for (_, _, method), gate in gates if gate.limit)
    return WorkspaceCheck(connection.host, snapshot, tuple(limits))


async def check_console(connection: Connection) -> list[Workspace]:
    """Return the workspaces that a key can read. Raise ConsoleError, AccessError."""
    async with connection.open() as console:
        return await workspaces(console)
