"""The Python API for the recovery of a whole console."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jitsu_backup.api.access import NO_KEYS, as_store, listed, now
from jitsu_backup.clock import seconds_of_this_boot
from jitsu_backup.errors import BlockedError
from jitsu_backup.events import Reporter, silent
from jitsu_backup.operations import recovery as recovering
from jitsu_backup.operations.archive_keys import ArchiveKeys, keys_to_write
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.drill import Drill, DrillJob, drill as carry_out_drill
from jitsu_backup.operations.recovery import (
    RecoveryJob,
    RecoveryOutcome,
    RecoveryPlan,
    RecoveryRun,
    WorkspaceRecovery,
)
from jitsu_backup.operations.restore import PreparedRestore
from jitsu_backup.operations.safeguards import Safeguards
from jitsu_backup.operations.write_keys import StreamKey
from jitsu_backup.planning import PlanOptions
from jitsu_backup.planning.console_overlay import console_overlay, overlay_tables
from jitsu_backup.store import Store, mark

DEFAULTS = PlanOptions()


@dataclass(frozen=True, slots=True)
class Recovery:
    """A planned recovery: `plan.workspaces` has the plan of each workspace, `plan.left_out` those left out, and why."""

    job: RecoveryJob
    plan: RecoveryPlan
    store: Store
    keys: ArchiveKeys = field(repr=False)


async def plan_recovery(
    connection: Connection,
    store: Store | str,
    *,
    keys: ArchiveKeys = NO_KEYS,
    overlay: Mapping[str, Any] | None = None,
    options: PlanOptions = DEFAULTS,
    **wanted: Any,
) -> Recovery:
    """Plan the recovery of a whole console from the archives of a store; nothing is written.

    `connection` reads and writes, preferably with the operator's token. `overlay` has the content of an overlay file; a table
    `WORKSPACE:SELECTOR` applies to one workspace only. `options` apply to all. `wanted` are fields of RecoveryJob: `maker`
    (a connection with a person's key, which creates missing workspaces), `workspaces`, `first`, `gone`, `into`, `at`,
    `from_host`, `over_existing`. Raise UsageError, BackupError, AccessError.
    """
    overlays = console_overlay(overlay_tables(dict(overlay or {})), {}, str)
    options = replace(options, overlay=overlays.shared)
    job = RecoveryJob(connection, options=options, overlays=overlays.own, **wanted)
    there = as_store(store)
    plan = await recovering.plan_recovery(job, there, keys, connection.report, now=now)
    overlays.check_used("overlay", (one.snapshot for one in plan.workspaces))
    return Recovery(job, plan, there, keys)


async def recover(
    recovery: Recovery,
    *,
    on_keys: Callable[[str, list[StreamKey]], None] | None = None,
    on_outcome: Callable[[RecoveryOutcome], None] = lambda _: None,
    wait: bool = False,
    stop: asyncio.Event | None = None,
) -> RecoveryRun:
    """Carry out a plan of `plan_recovery`: create workspaces, restore several at once and read them back.

    `on_keys` is called with the slug of a workspace and its new write keys before anything is sent, because Jitsu never shows
    them again; without it, a workspace that needs new write keys is not written. `on_outcome` is called when a workspace
    ends. Once `stop` is set, no further workspace is started. The failure of one workspace is in `run.outcomes` and does not
    affect the others. Raise BlockedError if another recovery of this console is running.
    """
    store = recovery.store

    async def begun() -> Store:
        await mark(store, await listed(store, new=False), now())
        return store

    def give(workspace: WorkspaceRecovery, prepared: PreparedRestore) -> None:
        if prepared.keys and on_keys is None:
            raise BlockedError("it needs new write keys, which would be lost; pass on_keys to receive them")
        if prepared.keys and on_keys is not None:
            on_keys(workspace.slug, list(prepared.keys.values()))

    report = recovery.job.target.report
    keys = await keys_to_write(recovery.keys, lambda: store)
    safeguards = Safeguards(
        begun, keys, now, seconds_of_this_boot, report=report, command="recover", wait=wait
    )
    return await recovering.recover(
        recovery.job, recovery.plan, safeguards, report,
        store=store, stop=stop, before_writing=give, on_outcome=on_outcome,
    )  # fmt: skip


async def drill(
    store: Store | str,
    *,
    keys: ArchiveKeys = NO_KEYS,
    overlay: Mapping[str, Any] | None = None,
    report: Reporter = silent,
    **wanted: Any,
) -> Drill:
    """Rehearse the recovery of a whole console in memory; nothing is written, and no console is needed.

    `overlay` is as in `plan_recovery`; the values that it has do not count as missing. `wanted` are fields of RecoveryJob:
    `workspaces`, `at`, `from_host`, `gone`. Raise UsageError, BackupError, AccessError.
    """
    overlays = console_overlay(overlay_tables(dict(overlay or {})), {}, str)
    job = DrillJob(overlay=overlays.shared, overlays=overlays.own, **wanted)
    drilled = await carry_out_drill(
        job, as_store(store), keys, report, now=now, monotonic=seconds_of_this_boot
    )
    overlays.check_used("overlay", (one.snapshot for one in drilled.plan.workspaces))
    return drilled
