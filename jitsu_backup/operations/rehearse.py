"""A rehearsal: an archive is restored into a new console in memory, read back and compared."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

import httpx

from jitsu_backup.console import Console, Gates
from jitsu_backup.console.reader import read_workspace
from jitsu_backup.events import silent
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.come_back import Rehearsal, come_back, stand_in_secrets
from jitsu_backup.operations.recovery_losses import recovery_losses
from jitsu_backup.operations.restore import PreparedRestore, carry_out, prepare
from jitsu_backup.planning import Action, PlanOptions, Residue
from jitsu_backup.sandbox import Sandbox, fresh_console_for

HOST = "http://rehearsal.invalid"


async def rehearse(
    snapshot: Snapshot, *, now: Callable[[], datetime], monotonic: Callable[[], float]
) -> Rehearsal:
    """Restore a snapshot into a new sandbox, with made-up secrets for the missing ones, and compare.

    This opens no socket and touches nothing outside the process. `monotonic` returns seconds. Raise BackupError.
    """
    began = monotonic()
    state, workspace_id = fresh_console_for(snapshot)
    sandbox = Sandbox(state, rate_limit=False)
    key = sandbox.facts(HOST)["api_keys"]["owner"]

    def console() -> Console:
        return Console(HOST, key, transport=httpx.ASGITransport(sandbox.app), gates=Gates())

    def prepare_with(options: PlanOptions) -> Awaitable[PreparedRestore]:
        return prepare(console(), workspace_id, snapshot, options, silent, now=now)

    prepared, found = await _prepared(snapshot, prepare_with)
    plan, result, there = prepared.plan, None, dict[str, int]()
    if not plan.blocked:
        result = await carry_out(console(), prepared, silent, now=now)
        if result.failure is not None:
            raise result.failure
        async with console() as again:
            there = dict((await read_workspace(again, workspace_id, now=now)).manifest.counts)
    ended = come_back(snapshot, plan, sandbox.state, result, there, found)
    lacks = recovery_losses(snapshot, plan, {line.key for line in ended.residue if not line.path})
    return replace(ended, seconds=monotonic() - began, lacks=lacks)


async def _prepared(
    snapshot: Snapshot, prepare_with: Callable[[PlanOptions], Awaitable[PreparedRestore]]
) -> tuple[PreparedRestore, set[Residue]]:
    """Return the restore without the entities that block it, and these entities."""
    known, found = {entity.key for entity in snapshot.entities}, set[Residue]()
    prepared = await prepare_with(PlanOptions(overlay=stand_in_secrets(snapshot)))
    while new := {line for line in map(_blocked, prepared.plan.blocked) if line.key in known} - found:
        found |= new  # the rest is rehearsed without them
        options = replace(prepared.options, skip=tuple(str(line.key) for line in found))
        prepared = await prepare_with(options)
    return prepared, found | set(map(_blocked, prepared.plan.blocked))


def _blocked(action: Action) -> Residue:
    return Residue(action.key, action.name, "", action.reason)
