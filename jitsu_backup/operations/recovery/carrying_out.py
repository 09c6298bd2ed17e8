"""Carry out the recovery of a console: create workspaces one after another, and restore several at once."""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

from jitsu_backup.errors import BackupError, BlockedError, MistakeError, TargetChangedError
from jitsu_backup.events import Caution, Event, Progress, Reporter, silent
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.connection import Consoles
from jitsu_backup.operations.recovery.beside import (
    members_to_invite,
    members_were_read,
    options_to_set,
    set_options,
)
from jitsu_backup.operations.recovery.choice import Living
from jitsu_backup.operations.recovery.making import Made, Maker
from jitsu_backup.operations.recovery.planning import opened
from jitsu_backup.operations.recovery.target import Planner
from jitsu_backup.operations.recovery.values import (
    Presence,
    RecoveryJob,
    RecoveryOutcome,
    RecoveryPlan,
    RecoveryRun,
    WorkspaceRecovery,
)
from jitsu_backup.operations.restore import Interruption, PreparedRestore, Result
from jitsu_backup.operations.safeguards import (
    Safeguards,
    WaitedError,
    carry_out_safely,
    record_nothing_to_write,
)
from jitsu_backup.operations.save import side_by_side
from jitsu_backup.store import Lease, Store

AT_ONCE = 6
"""Workspaces that are restored at once: enough to use all connections while some read and some write."""

_ROUNDS = 3
"""How often a workspace is planned again because it waited for another run or its target changed."""


async def recover(
    job: RecoveryJob,
    plan: RecoveryPlan,
    safeguards: Safeguards,
    report: Reporter = silent,
    *,
    store: Store | None = None,
    stop: asyncio.Event | None = None,
    before_writing: Callable[[WorkspaceRecovery, PreparedRestore], None] = lambda *_: None,
    on_outcome: Callable[[RecoveryOutcome], None] = lambda _: None,
) -> RecoveryRun:
    """Carry out a plan: create missing workspaces, restore them, set options; return the outcome of each workspace.

    Each restore has its own lease, backup and record, as in `carry_out_safely`. Once `stop` is set, nothing more is started,
    and running restores end after their current requests. `before_writing` is called with the final plan for a target, which
    has the new write keys; `on_outcome` is called as soon as a workspace ends. A failure is the outcome of its workspace and
    does not affect the others. `store` has the records of earlier runs and may be read-only. Raise BlockedError if another
    recovery of this console is running.
    """
    began = safeguards.monotonic()
    lease = await _lease(job, safeguards)
    async with nullcontext() if lease is None else lease, Consoles() as consoles:
        if store is None:
            store = await safeguards.open_store() if lease is None else lease.store
        async with opened(job, store, safeguards.keys, report, safeguards.now) as (planner, _):
            maker = planner.console if job.maker is None else consoles.of(job.maker)
            recovery = _Recovery(
                plan, safeguards, report, planner, Maker(maker, planner.console), stop or asyncio.Event(),
                before_writing, on_outcome, may_make=(lambda: True) if lease is None else lease.held,
            )  # fmt: skip
            outcomes = await recovery.run()
    return RecoveryRun(plan, outcomes, safeguards.monotonic() - began)


async def _lease(job: RecoveryJob, safeguards: Safeguards) -> Lease | None:
    """Take the lease of the console, so that two runs do not create the same workspaces; only warn if it cannot be taken.

    Raise BlockedError if another run holds it and is not waited for.
    """
    host = job.target.host.rstrip("/")
    name = f"console-{hashlib.sha256(host.encode()).hexdigest()[:16]}"
    try:
        lease = Lease(
            await safeguards.open_store(), name, safeguards.command,
            now=safeguards.now, monotonic=safeguards.monotonic, report=safeguards.report,
            whole=f"the console {host}",
        )  # fmt: skip
        await lease.take(wait=safeguards.wait)
    except BlockedError:
        raise
    except BackupError as problem:
        message = f"the console could not be locked, so another run may create workspaces at the same time: {problem}"
        safeguards.report(Caution(message))
        return None
    return lease


@dataclass(slots=True)
class _Recovery:
    """One run of a recovery."""

    plan: RecoveryPlan
    safeguards: Safeguards
    report: Reporter
    planner: Planner
    maker: Maker
    stop: asyncio.Event
    before_writing: Callable[[WorkspaceRecovery, PreparedRestore], None]
    on_outcome: Callable[[RecoveryOutcome], None]
    may_make: Callable[[], bool]
    ended: int = 0
    made: dict[int, asyncio.Future[Made]] = field(default_factory=dict)
    unbacked: dict[str, str] = field(default_factory=dict)

    async def run(self) -> tuple[RecoveryOutcome, ...]:
        """Recover all workspaces; return their outcomes in the plan's order."""
        loop = asyncio.get_running_loop()
        # includes workspaces with nothing to write, because a killed run may not have left their records
        going = [number for number, one in enumerate(self.plan.workspaces) if one.problem is None]
        self.made = {
            number: loop.create_future()
            for number in going
            if self.plan.workspaces[number].presence is Presence.NEW
        }
        host = self.plan.host
        jobs = [(host, partial(self._one, number)) for number in going]
        making = asyncio.create_task(self._make_all())

        async def until_made(position: int) -> None:
            if going[position] in self.made:
                await asyncio.wait([self.made[going[position]]])

        try:
            ended = await side_by_side(jobs, at_once=AT_ONCE, ready=until_made)
        finally:
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)
        outcomes = dict(zip(going, ended, strict=True))
        return tuple(
            self._outcome(number, outcomes.get(number)) for number in range(len(self.plan.workspaces))
        )

    async def _make_all(self) -> None:
        """Create missing workspaces in order. Their futures also end if that fails, or if the run stops."""
        stopped = asyncio.ensure_future(self.stop.wait())
        try:
            for number, future in self.made.items():
                if not self.may_make():
                    _fail(
                        future,
                        BlockedError(
                            "another run took the lock of the console, so it was not created; run this again"
                        ),
                    )
                    continue
                making = asyncio.ensure_future(self.maker.make(self.plan.workspaces[number]))
                await asyncio.wait({making, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if (
                    not making.done()
                ):  # a request may be under way; the next run finds the workspace that it created
                    making.cancel()
                    return
                if (failure := making.exception()) is not None:
                    _fail(future, failure)
                else:
                    future.set_result(making.result())
        finally:
            stopped.cancel()
            for future in self.made.values():
                future.cancel()

    async def _one(self, number: int) -> RecoveryOutcome:
        """Recover one workspace, which exists by now unless the run was stopped."""
        recovery, made = self.plan.workspaces[number], self.made.get(number)
        if recovery.goes and (self.stop.is_set() or (made is not None and made.cancelled())):
            return self._reported(RecoveryOutcome(recovery, recovery.target_id, begun=False))
        renamed = ""
        if made is not None:
            found = made.result()
            renamed = found.renamed
            recovery = await self._planned(recovery, found.workspace.id)
        recovery, result = await self._restored(recovery)
        renamed = renamed or recovery.renamed
        outcome = RecoveryOutcome(
            recovery, recovery.target_id, made=self._was_made(number), result=result,
            memberless=_is_memberless(recovery, result), renamed=renamed,
        )  # fmt: skip
        if result.failure is None and not result.interrupted:
            try:
                outcome = await self._with_options(outcome)
            except BackupError as failure:  # what was restored has to be reported all the same
                outcome = replace(outcome, failure=failure)
        return self._reported(outcome)

    async def _planned(self, recovery: WorkspaceRecovery, target_id: str) -> WorkspaceRecovery:
        """Plan a workspace in its current state. Raise its problem, if there is one."""
        planned = await self.planner.plan(recovery, Living(target_id))
        if planned.problem is not None:
            raise planned.problem
        return planned

    async def _restored(self, recovery: WorkspaceRecovery) -> tuple[WorkspaceRecovery, Result]:
        """Carry out the plan of a workspace; return it and its result. If the target changed, the plan is a new one."""
        for _ in range(_ROUNDS):
            prepared = recovery.prepared
            assert prepared is not None  # noqa: S101  else it has a problem
            if not prepared.plan.writes:
                return recovery, await record_nothing_to_write(prepared, self.safeguards)
            report = partial(_report_of, self.report, recovery.slug)
            note = partial(self._note_unbacked, recovery.workspace_id)
            self.unbacked.pop(recovery.workspace_id, None)
            try:
                result = await carry_out_safely(
                    self.planner.console, prepared, report,
                    replace(self.safeguards, report=report, on_no_backup=note),
                    interruption=Interruption(self.stop, nullcontext()),
                    before_writing=partial(self.before_writing, recovery, prepared),
                )  # fmt: skip
            except WaitedError:
                pass
            except TargetChangedError:
                if self.planner.job.over_existing:  # consent was given for the previous state only
                    raise
            else:
                return recovery, result
            recovery = await self._planned(recovery, prepared.plan.target.workspace_id)
        raise BlockedError(
            "it keeps changing, so nothing was written; run this again when nobody is working on it"
        )

    async def _with_options(self, outcome: RecoveryOutcome) -> RecoveryOutcome:
        recovery, result = outcome.recovery, outcome.result
        assert recovery.prepared is not None  # noqa: S101  it was carried out
        live = _live(recovery.prepared, result)
        options = options_to_set(recovery.snapshot, live)
        done, left = await set_options(self.planner.console, recovery.target_id or "", options)
        members = members_to_invite(recovery.snapshot, live.members, recovery.members_before)
        return replace(
            outcome,
            recovery=replace(recovery, members=members),
            options_set=done,
            options_left=left,
        )

    def _note_unbacked(self, workspace_id: str, problem: BackupError) -> None:
        self.unbacked[workspace_id] = str(problem)

    def _was_made(self, number: int) -> bool:
        made = self.made.get(number)
        known = made is not None and made.done() and not made.cancelled() and made.exception() is None
        return known and made is not None and made.result().by_us

    def _outcome(self, number: int, ended: RecoveryOutcome | Exception | None) -> RecoveryOutcome:
        """Return the outcome of a workspace; `ended` is None if a problem prevented its recovery."""
        recovery = self.plan.workspaces[number]
        if isinstance(ended, RecoveryOutcome):
            return ended
        if isinstance(ended, Exception):
            made, target_id = self._was_made(number), recovery.target_id
            if made:
                target_id = self.made[number].result().workspace.id
            failure = ended if isinstance(ended, BackupError) else MistakeError.of(ended)
            return self._reported(RecoveryOutcome(recovery, target_id, made=made, failure=failure))
        return _untouched(recovery)

    def _reported(self, outcome: RecoveryOutcome) -> RecoveryOutcome:
        outcome = replace(outcome, unbacked=self.unbacked.get(outcome.recovery.workspace_id, ""))
        self.ended += 1
        total = len(self.plan.workspaces) - len(self.plan.stuck)
        self.report(Progress("recovering", self.ended, total))
        self.on_outcome(outcome)
        return outcome


def _live(prepared: PreparedRestore, result: Result | None) -> Snapshot:
    """Return the target as it was read last."""
    return prepared.live if result is None or result.after is None else result.after


def _is_memberless(recovery: WorkspaceRecovery, result: Result) -> bool:
    """Return whether a workspace that exists by now has no member."""
    if recovery.prepared is None:
        return False
    live = _live(recovery.prepared, result)
    return not live.members and members_were_read(live)


def _fail(future: asyncio.Future[Made], failure: BaseException) -> None:
    future.set_exception(failure)
    future.exception()  # otherwise asyncio logs an exception that nobody awaits


def _untouched(recovery: WorkspaceRecovery) -> RecoveryOutcome:
    left = tuple(option for option in recovery.options if option.problem)
    return RecoveryOutcome(recovery, recovery.target_id, failure=recovery.problem, options_left=left)


def _report_of(report: Reporter, slug: str, event: Event) -> None:
    """Report an event of one workspace with its slug; drop its progress, which would drown among that of the others."""
    if not isinstance(event, Progress):
        report(type(event)(f"{slug}: {event.text}"))
