"""A run over many workspaces of one sandbox, on a clock that jumps."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from jitsu_backup.console import Console, Gates
from jitsu_backup.events import silent
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.backup import Backup, BackupJob, WorkspaceAccess
from jitsu_backup.operations.backup_outcome import WorkspaceOutcome
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.save import SaveOptions
from jitsu_backup.operations.vanished_store import ExpectedStore
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace
from jitsu_backup.sandbox.rate_limits import LIMITS
from jitsu_backup.sandbox.state import OWNER
from jitsu_backup.settings import SecretText
from jitsu_backup.store import FolderStore
from tests.support import OWNER as OWNER_KEY
from tests.virtual_time import VirtualLoop, run_virtually


@dataclass(frozen=True, kw_only=True)
class VirtualConnection(Connection):
    """A connection to a sandbox, on the clock of a loop."""

    sandbox: Sandbox
    loop: VirtualLoop

    def open(self) -> Console:
        transport = httpx.ASGITransport(self.sandbox.app)
        return Console(
            self.host, self.key.reveal(), transport=transport, gates=self.gates, clock=self.loop.time,
            retry_for=self.retry_for,
        )  # fmt: skip


class VirtualConsole:
    """A console that is a sandbox, and the store that it is backed up into."""

    def __init__(self, sandbox: Sandbox, loop: VirtualLoop, store: Path, **options: Any) -> None:
        self.loop, self.store = loop, FolderStore(str(store))
        self.connection = VirtualConnection(
            "http://many.example", SecretText(OWNER_KEY), sandbox=sandbox, loop=loop, gates=Gates(clock=loop.time),
            **options,
        )  # fmt: skip


def many(count: int, loop: VirtualLoop) -> Sandbox:
    """Return a sandbox with `count` workspaces of every type, under the real limits."""
    state = default_state(loop.time)
    state.workspaces.clear()
    for number in range(count):
        workspace_id = f"cworkspace000000000000{number:04d}"
        state.add_workspace(workspace_id, f"Team {number}", f"team-{number}", {OWNER.id: "owner"})
        example_workspace(state, workspace_id)
    return Sandbox(state, clock=loop.time)


def job(**options: Any) -> BackupJob:
    return BackupJob((), True, save=SaveOptions(**options.pop("save", {})), **options)


def backed_up(console: VirtualConsole, wanted: BackupJob, loop: VirtualLoop) -> tuple[WorkspaceOutcome, ...]:
    outcomes: tuple[WorkspaceOutcome, ...] = run_virtually(back_up(console, wanted), loop)
    return outcomes


async def back_up(console: VirtualConsole, wanted: BackupJob) -> tuple[WorkspaceOutcome, ...]:
    loop = console.loop
    wanted = replace(wanted, workspaces=(WorkspaceAccess(console.connection),))
    backup = Backup(
        wanted, console.store, ArchiveKeys(), silent, now=lambda: datetime.fromtimestamp(loop.time(), UTC),
        monotonic=loop.time, expected=ExpectedStore(may_be_new=True),
    )  # fmt: skip
    return (await backup.run()).outcomes


def floor_of(sent: Counter[str], began: float) -> float:
    """Return the seconds that the limits make requests take at the least, by method, begun at that time.

    The first budget is free; from the next minute on, one request comes back every minute / limit.
    """
    over = [(sent[method] - limit) * 60 / limit for method, limit in LIMITS.items() if sent[method] > limit]
    return max(over) + 60 - began % 60 if over else 0.0
