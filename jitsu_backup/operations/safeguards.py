"""What protects the target of a restore: the right workspace, one run at a time, and a backup before the first write."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from jitsu_backup.archive import ArchiveName, safe_text
from jitsu_backup.console import Console
from jitsu_backup.console.workspaces import Workspace, find_workspace, is_read_only
from jitsu_backup.errors import (
    AccessError,
    BackupError,
    BlockedError,
    MistakeError,
    NotFoundError,
    UsageError,
)
from jitsu_backup.events import Caution, Reporter, silent
from jitsu_backup.model import Snapshot, quoted, shortened
from jitsu_backup.operations.alarms import told_apart
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.clone_record import (
    forget,
    is_noted,
    is_recorded,
    keep_aim,
    keep_intent,
    keep_unwritten,
    recorded,
)
from jitsu_backup.operations.restore import (
    Interruption,
    PreparedRestore,
    Result,
    carry_out,
    nothing_to_write,
)
from jitsu_backup.operations.safety_backup import WayBack, back_up
from jitsu_backup.operations.snapshots import slug_owners
from jitsu_backup.planning import Plan, same_workspace
from jitsu_backup.store import Lease, Store, archives

READ_ONLY_ROLES = ("analyst",)
"""Roles whose writes every console rejects [role/analyst-cannot-create]."""


_NO_UNDO = "the target could not be backed up first, so `undo` cannot revert this run"


class WaitedError(Exception):
    """Another run that was waited for has written into the workspace since the plan was made. Make a new plan."""


@dataclass(frozen=True, slots=True)
class Safeguards:
    """Where the lease and the backup of a target are kept, and how they are made.

    `open_store` returns the store, ready for writing. `command` is the name of the run in the lease. With `wait`, a run
    that is writing into the workspace is waited for. Without `backup`, the target is not backed up. `monotonic` returns
    seconds. `remedy` is what a message says if no backup can be stored. `on_backup` is called after each backup,
    `on_no_backup` if none could be stored. `undoes` is the backup from before the run that is undone.
    """

    open_store: Callable[[], Awaitable[Store]]
    keys: ArchiveKeys
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    report: Reporter = silent
    command: str = "restore"
    wait: bool = False
    backup: bool = True
    remedy: str = ""
    undoes: ArchiveName | None = None
    on_backup: Callable[[WayBack], None] = lambda _: None
    on_no_backup: Callable[[BackupError], None] = lambda _: None

    def unprotected(self, problem: BackupError) -> BackupError:
        """Return the error that the target could not be backed up."""
        own = self.remedy and problem.advice  # which says the same
        why = told_apart(problem)[0] if own else problem
        return problem.reworded(
            f"the target could not be backed up first, so nothing was written: {why}{self.remedy}"
        )


async def find_target(
    console: Console,
    named: str,
    snapshot: Snapshot,
    open_store: Callable[[], Store],
    keys: ArchiveKeys,
    *,
    explicit: bool,
) -> Workspace:
    """Return the workspace that is `named` by its id or slug, and close the console.

    The archives of the store show which workspaces had that slug. `explicit` says that a person has named the workspace;
    otherwise it is that of the snapshot. Raise BlockedError if the slug (given, or from the time of the snapshot) now
    belongs to another workspace.
    """
    source = snapshot.manifest.source
    async with console:
        try:
            workspace = await find_workspace(console, named)
        except NotFoundError as problem:
            if (source.host, source.slug) != (console.host, named):
                raise
            with suppress(NotFoundError):  # it has been renamed since
                return await find_workspace(console, source.workspace_id)
            raise problem from None
        if named != workspace.id:
            if (source.host, source.slug) == (console.host, named):
                known = [safe_text(source.workspace_id)]
            else:
                known = await _owners(open_store, keys, console, named)
            for owner in known:
                if owner != safe_text(workspace.id):
                    raise BlockedError(_moved(named, workspace, owner, ""))
        elif not explicit and source.slug and workspace.slug != source.slug:
            with suppress(NotFoundError, AccessError):
                other = await find_workspace(console, source.slug)
                if other.id != workspace.id:
                    renamed = f", which is now called {workspace.slug}" if workspace.slug else ""
                    raise BlockedError(_moved(source.slug, other, workspace.id, renamed))
    return workspace


async def _owners(
    open_store: Callable[[], Store], keys: ArchiveKeys, console: Console, slug: str
) -> list[str]:
    try:
        store = open_store()
        known = await archives(store)
    except BackupError:  # without the store, nothing is known
        return []
    return await slug_owners(store, keys, console.host, slug, known)


def _moved(slug: str, owner: Workspace, meant: str, renamed: str) -> str:
    """Return the message that a slug now names another workspace."""
    called = f"{owner.id} ({shortened(owner.name)})" if owner.name else owner.id
    return (
        f"{slug} now names another workspace, {called}; earlier snapshots with this slug are of {meant}{renamed};"
        " nothing was written; give the id of the workspace that you want"
    )


def refuse_same(prepared: PreparedRestore) -> None:
    """Raise UsageError if the target of a clone is its source."""
    if same_workspace(prepared.snapshot, prepared.live):
        raise UsageError("both PLACEs are the same workspace; give another workspace as the target")


def why_blocked(plan: Plan) -> str:
    """Return the message that a plan is blocked, with the first reason."""
    return f"blocked, nothing was written into Jitsu: {first_blocked(plan)}"


def first_blocked(plan: Plan) -> str:
    """Return the first entity that is blocked, and why."""
    first = plan.blocked[0]
    return f"{first.key.type} {quoted(first.name)}: {first.reason}"


def refuse_read_only(prepared: PreparedRestore) -> None:
    """Raise AccessError if the role of the key may not write into the target, or unpaid bills make it read-only."""
    source = prepared.plan.target
    target = source.slug or source.workspace_id
    if source.role in READ_ONLY_ROLES:
        raise AccessError(
            f"this key has no permission to write into {target} (its role is {source.role}); nothing was written; use the"
            " key of an owner or an editor"
        )
    if is_read_only(prepared.live):
        raise AccessError(
            f"{target} is read-only because of unpaid bills; nothing was written; its owner must pay them on the billing"
            " page"
        )


async def carry_out_safely(
    console: Console,
    prepared: PreparedRestore,
    report: Reporter,
    safeguards: Safeguards,
    *,
    interruption: Interruption | None = None,
    fail_fast: bool = False,
    before_writing: Callable[[], None] = lambda: None,
    on_result: Callable[[Result], None] = lambda _: None,
) -> Result:
    """Apply a plan as `restore.carry_out` does, under the lease of the target and after a backup of it.

    The record of a clone is stored when it has ended. `on_result` receives the result before that, and again before the
    lease is returned, so that an interruption at that point loses nothing.

    Raise WaitedError if another run had to be waited for, BlockedError if waiting was not asked for, TargetChangedError,
    BackupError if the target could not be backed up. Then nothing was written.
    """
    lease, ways = await _lease(prepared.plan, safeguards), list[tuple[WayBack, Snapshot]]()

    async def keep(live: Snapshot) -> None:
        assert lease is not None  # noqa: S101  as below
        await _end_unwritten(ways, safeguards, lease)  # others have changed the target since
        try:
            way_back = await back_up(
                live,
                prepared.plan,
                lease.store,
                safeguards.keys,
                now=safeguards.now(),
                undoes=safeguards.undoes,
            )
        except BackupError as problem:
            safeguards.on_no_backup(problem)
            if prepared.plan.touches:
                raise safeguards.unprotected(problem) from None
            safeguards.report(Caution(f"{_NO_UNDO}: {problem}"))  # additions alone lose nothing
        else:
            aim = await _keep_aim(prepared, safeguards, lease.store, live, way_back.archive)
            way_back = replace(way_back, aim=aim)
            ways.append((way_back, live))
            safeguards.on_backup(way_back)

    async with nullcontext() if lease is None else lease:
        intent = await _keep_intent(prepared, safeguards, lease)
        try:
            result = await carry_out(
                console, prepared, report, now=safeguards.now, interruption=interruption, fail_fast=fail_fast,
                keep=keep if safeguards.backup and lease is not None else None, before_writing=before_writing,
                may_write=lease.held if lease is not None else lambda: True,
            )  # fmt: skip
        except BackupError:  # nothing was written
            await _end_unwritten(ways, safeguards, lease)
            await forget(await _store(safeguards, lease), intent) if intent else None
            raise
        result = replace(result, way_back=ways[-1][0] if ways else None)
        if not (result.sent or is_recorded(result, prepared)):
            await _end_unwritten(ways, safeguards, lease)
        on_result(replace(result, unrecorded="interrupted") if is_recorded(result, prepared) else result)
        result = await _recorded(result, prepared, safeguards, lease, intent)
        on_result(result)
    return result


async def record_nothing_to_write(prepared: PreparedRestore, safeguards: Safeguards) -> Result:
    """Return the result of a plan without writes. The record of a clone is stored all the same."""
    return await _recorded(nothing_to_write(prepared), prepared, safeguards, None)


async def _recorded(
    result: Result,
    prepared: PreparedRestore,
    safeguards: Safeguards,
    lease: Lease | None,
    intent: Sequence[ArchiveName] = (),
) -> Result:
    leased = partial(_store, safeguards, lease)
    return await recorded(result, prepared, leased, safeguards.keys, safeguards.now, intent)


async def _store(safeguards: Safeguards, lease: Lease | None) -> Store:
    return await safeguards.open_store() if lease is None else lease.store


async def _keep_intent(
    prepared: PreparedRestore, safeguards: Safeguards, lease: Lease | None
) -> tuple[ArchiveName, ...]:
    """Store the intent of a clone. A failure is only reported, because only a killed run needs the intent."""
    if not is_noted(prepared):
        return ()
    try:
        return await keep_intent(await _store(safeguards, lease), safeguards.keys, prepared, safeguards.now)
    except Exception as bug:  # noqa: BLE001  the run must not fail because of it
        problem = bug if isinstance(bug, BackupError) else MistakeError.of(bug)
        before = "the source changes" if safeguards.command == "clone" else "anybody edits the workspace"
        message = (
            f"no note of what this {safeguards.command} will write could be stored; if it is killed, run it again before"
            f" {before}: {problem}"
        )
        safeguards.report(Caution(message))
        return ()


async def _keep_aim(
    prepared: PreparedRestore, safeguards: Safeguards, store: Store, live: Snapshot, backup: ArchiveName
) -> ArchiveName | None:
    """Store what a run is about to leave. A failure is only reported, because only the undo of a run that does not end needs it."""
    try:
        return await keep_aim(store, safeguards.keys, prepared, live, backup)
    except Exception as bug:  # noqa: BLE001  the run must not fail because of it
        problem = bug if isinstance(bug, BackupError) else MistakeError.of(bug)
        message = (
            f"no note of what this {safeguards.command} will write could be stored, so `undo` cannot know that if it does not"
            f" end; in that case, run it again before you undo it: {problem}"
        )
        safeguards.report(Caution(message))
        return None


async def _end_unwritten(
    ways: list[tuple[WayBack, Snapshot]], safeguards: Safeguards, lease: Lease | None
) -> None:
    """Store that nothing was written after the last backup, so that `undo` takes nothing for the work of this run.

    A failure is not reported: the note of what the run was about to write remains.
    """
    while ways and lease is not None:
        way_back, live = ways.pop()
        with suppress(BackupError):
            await keep_unwritten(lease.store, safeguards.keys, live, way_back, safeguards.now())


async def _lease(plan: Plan, safeguards: Safeguards) -> Lease | None:
    """Take the lease of the target. If the store cannot hold one and no backup is needed, report that and return None."""
    try:
        store = await safeguards.open_store()
        lease = Lease(
            store, plan.target.workspace_id, safeguards.command,
            now=safeguards.now, monotonic=safeguards.monotonic, report=safeguards.report,
        )  # fmt: skip
        waited = await lease.take(wait=safeguards.wait)
    except BlockedError:
        raise
    except BackupError as problem:
        if safeguards.backup:
            safeguards.on_no_backup(problem)
        if safeguards.backup and plan.touches:
            raise safeguards.unprotected(problem) from None
        undo = f"; {_NO_UNDO}" if safeguards.backup else ""
        message = (
            f"the workspace could not be locked, so another run may write at the same time{undo}: {problem}"
        )
        safeguards.report(Caution(message))
        return None
    if waited:
        await lease.release()
        raise WaitedError
    return lease
