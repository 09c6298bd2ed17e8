"""Planning the recovery of a console: what becomes of each workspace of the store, before anything is written."""

from collections.abc import Callable
from datetime import datetime

from jitsu_backup.events import Reporter, silent
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.recovery.values import RecoveryJob, RecoveryPlan
from jitsu_backup.store import Store


async def plan_recovery(
    job: RecoveryJob,
    store: Store,
    keys: ArchiveKeys,
    report: Reporter = silent,
    *,
    now: Callable[[], datetime],
) -> RecoveryPlan:
    """Read store and console, and plan the recovery of every workspace that is meant; write nothing.

    What stands in the way of one workspace is its `problem`, and harms no other. Raise UsageError where the job names
    nothing that the store has, or the store holds archives of several consoles; BackupError, AccessError where store or
    console cannot be read.
    """
    raise NotImplementedError
