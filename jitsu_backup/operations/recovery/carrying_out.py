"""Carrying out the recovery of a console: workspaces are made one after another, and restored side by side."""

import asyncio
from collections.abc import Callable

from jitsu_backup.events import Reporter, silent
from jitsu_backup.operations.recovery.values import (
    RecoveryJob,
    RecoveryOutcome,
    RecoveryPlan,
    RecoveryRun,
    WorkspaceRecovery,
)
from jitsu_backup.operations.restore import PreparedRestore
from jitsu_backup.operations.safeguards import Safeguards


async def recover(
    job: RecoveryJob,
    plan: RecoveryPlan,
    safeguards: Safeguards,
    report: Reporter = silent,
    *,
    stop: asyncio.Event | None = None,
    before_writing: Callable[[WorkspaceRecovery, PreparedRestore], None] = lambda *_: None,
    on_outcome: Callable[[RecoveryOutcome], None] = lambda _: None,
) -> RecoveryRun:
    """Carry out a plan: make what is missing, restore side by side, set options; return what became of each workspace.

    Each restore has its own lease, backup and record, as `carry_out_safely` does it. Once `stop` is set nothing more is
    begun, and restores under way end after the requests under way. `before_writing` is called with the plan for the target
    as it is then, which has the write keys to make; `on_outcome` as soon as a workspace has ended. What goes wrong with one
    is its outcome and harms no other. Raise BlockedError where another recovery of this console is under way.
    """
    raise NotImplementedError
