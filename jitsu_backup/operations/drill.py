"""A drill: rehearse the recovery of a whole console on a console in memory, and compare everything."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import httpx

from jitsu_backup.console import Console, RefusedError
from jitsu_backup.console.making import make_workspace
from jitsu_backup.errors import AccessError, IncompleteError, IntegrityError
from jitsu_backup.events import Event, Progress, Reporter, silent
from jitsu_backup.model import Snapshot, quoted, shown_time, some_of
from jitsu_backup.operations.alarms import Again, Alarm, What, reason_of
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.come_back import (
    Rehearsal,
    come_back,
    meant_to_come_back,
    residue_in_words,
    stand_in_secrets,
    with_given_secrets,
)
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.recovery import (
    Clash,
    LeftOut,
    PassedOver,
    Presence,
    RecoveryJob,
    RecoveryOutcome,
    RecoveryPlan,
    RecoveryRun,
    forecast,
    recover,
)
from jitsu_backup.operations.recovery.beside import members_to_invite
from jitsu_backup.operations.recovery.planning import (
    Choice,
    choose_archives,
    list_archives,
    opened,
    plan_choice,
)
from jitsu_backup.operations.recovery.unused import without_another
from jitsu_backup.operations.recovery.values import worst
from jitsu_backup.operations.recovery_losses import LossKind, RecoveryLoss, counted, in_words, recovery_losses
from jitsu_backup.operations.safeguards import Safeguards
from jitsu_backup.planning import Overlay, PlanOptions
from jitsu_backup.planning.forecast import Load, load_of
from jitsu_backup.sandbox import Generation, Sandbox, State, empty_console_for
from jitsu_backup.settings import SecretText
from jitsu_backup.store import Store, store_in_memory

HOST = "http://drill.invalid"

_NO_FEATURES: Mapping[str, object] = {"featuresEnabled": []}
"""The features of a newly created workspace."""


@dataclass(frozen=True, slots=True)
class DrillJob:
    """What to rehearse. The fields are those of RecoveryJob and choose archives of a store.

    `overlay` applies to every workspace; `overlays`, by id or slug, replace it. The values that they have do not count as
    missing.
    """

    at: datetime | None = None
    from_host: str | None = None
    workspaces: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    overlay: Overlay = field(default_factory=Overlay, repr=False)
    overlays: Mapping[str, Overlay] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class DrilledWorkspace:
    """The drill of one workspace: how its recovery ended, and what was restored.

    The losses are what a real recovery could not restore; the drill replaces missing secrets by made-up ones.
    """

    outcome: RecoveryOutcome
    rehearsal: Rehearsal

    @property
    def whole(self) -> bool:
        """Whether everything that the archive has was restored, including the name and the options."""
        kept = not (self.outcome.renamed or self.outcome.options_left)
        return self.rehearsal.whole and kept and not self.outcome.interrupted

    @property
    def is_back(self) -> bool:
        """Whether everything was restored, and no newer archive had to be left unused."""
        return self.whole and self.outcome.recovery.newer is None

    @property
    def losses(self) -> tuple[RecoveryLoss, ...]:
        """What a real recovery could not restore."""
        return self.rehearsal.lacks


@dataclass(frozen=True, slots=True)
class Drill:
    """How a drill ended: when it `began`, in UTC, and how many `seconds` it took.

    `generation` is that of the console in memory. `run` is the result of `recover`, in the order of `workspaces`. Its plan is
    the one that was carried out, with the losses of a real recovery.
    """

    run: RecoveryRun
    workspaces: tuple[DrilledWorkspace, ...]
    generation: str
    began: datetime
    seconds: float

    @property
    def plan(self) -> RecoveryPlan:
        """The plan that was carried out."""
        return self.run.plan

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """The workspaces of the store that a recovery would leave out unintentionally."""
        return tuple(one for one in self.plan.left_out if one.exit_code)

    @property
    def clashes(self) -> tuple[Clash, ...]:
        """What several workspaces claim."""
        return self.plan.clashes

    @property
    def back(self) -> tuple[DrilledWorkspace, ...]:
        """The workspaces that were restored completely, from their newest archives."""
        return tuple(one for one in self.workspaces if one.is_back)

    @property
    def not_back(self) -> tuple[DrilledWorkspace, ...]:
        """The workspaces whose archives were not restored, or only partly."""
        return tuple(one for one in self.workspaces if not one.whole)

    @property
    def meant(self) -> int:
        """How many entities should be restored."""
        return sum(one.rehearsal.meant for one in self.workspaces)

    @property
    def restored(self) -> int:
        """How many entities were restored."""
        return sum(one.rehearsal.restored for one in self.workspaces)

    @property
    def losses(self) -> tuple[RecoveryLoss, ...]:
        """What a real recovery could not restore, of all workspaces."""
        return tuple(loss for one in self.workspaces for loss in one.losses)

    @property
    def senders(self) -> int:
        """How many write keys would be new. Their senders would have to change."""
        return sum(loss.kind is LossKind.WRITE_KEY for loss in self.losses)

    @property
    def oldest(self) -> timedelta | None:
        """The age of the oldest archive; changes since then would be lost. None without workspaces."""
        return None if self.plan.oldest is None else self.began - self.plan.oldest

    @property
    def limits(self) -> bool:
        """Whether a console of this generation has rate limits for a person's key; one of 2024 does not [limits/429]."""
        return not Generation(self.generation).is_2024

    def forecast(self, *, makes_limited: bool = True, writes_limited: bool = True) -> tuple[float, float]:
        """Return the least and the most seconds for which rate limits would delay a real recovery.

        The arguments say whether the keys that create workspaces and that write have rate limits: a person's key has them,
        except on a console of 2024; the operator's token does not.
        """
        makes_limited, writes_limited = (self.limits and one for one in (makes_limited, writes_limited))
        going = tuple(one.outcome.recovery for one in self.workspaces if one.outcome.problem is None)
        return forecast(going, limited=writes_limited, made_limited=makes_limited)

    def exit_code(self, *, fail_on_losses: bool = False) -> int:
        """Return 0 if everything was restored, 3 if not or if a newer archive was not used.

        Return 5 if an archive is damaged, 2 if it needs a key and none is given, 6 if the given key does not open it, 1 or 6
        if the store could not be read. With `fail_on_losses`, also return 3 if a real recovery could not restore everything.
        """
        codes = [one.exit_code for one in self.left_out]
        codes += [past.exit_code for one in self.plan.workspaces for past in one.passed_over]
        lacking = self.not_back or (fail_on_losses and self.losses)
        return worst([*codes, IncompleteError.exit_code if lacking else 0])


async def drill(
    job: DrillJob,
    store: Store,
    keys: ArchiveKeys,
    report: Reporter = silent,
    *,
    now: Callable[[], datetime],
    monotonic: Callable[[], float],
) -> Drill:
    """Recover all workspaces of a store into one console in memory, with the code of `recover`, and compare everything.

    The store is only read. Nothing else is opened, and nothing is written outside this process: leases, backups and records
    of the run are in memory too. `monotonic` returns seconds. Raise UsageError as `plan_recovery` does, BackupError,
    AccessError.
    """
    began, moment = monotonic(), now()
    recovery_job = RecoveryJob(
        Connection(HOST, SecretText("")),
        at=job.at, from_host=job.from_host, workspaces=job.workspaces, gone=job.gone,
        options=PlanOptions(overlay=job.overlay), overlays=job.overlays,
    )  # fmt: skip
    choice = await choose_archives(
        recovery_job, await list_archives(recovery_job, store, now=now), store, keys, report
    )
    choice = _with_stand_ins(choice, job.overlay)
    snapshots = [one.snapshot for one in choice.kept]
    sandbox = Sandbox(empty_console_for(snapshots), rate_limit=False)
    run = await _recovered(recovery_job, choice, sandbox, report, now=now, monotonic=monotonic)
    drilled = tuple(_drilled(outcome, sandbox.state) for outcome in run.outcomes)
    outcomes = tuple(one.outcome for one in drilled)
    plan = replace(run.plan, workspaces=tuple(outcome.recovery for outcome in outcomes))
    run = replace(run, plan=plan, outcomes=outcomes)
    return Drill(run, drilled, sandbox.state.generation.value, moment, monotonic() - began)


async def _recovered(
    job: RecoveryJob,
    choice: Choice,
    sandbox: Sandbox,
    report: Reporter,
    *,
    now: Callable[[], datetime],
    monotonic: Callable[[], float],
) -> RecoveryRun:
    """Recover the chosen archives into the sandbox."""
    owner = SecretText(sandbox.facts(HOST)["api_keys"]["owner"])
    target = Connection(HOST, owner, transport=httpx.ASGITransport(sandbox.app))
    job = replace(job, target=target)
    memory, no_keys = store_in_memory(), ArchiveKeys()

    async def open_store() -> Store:
        return memory

    def only_steps(event: Event) -> None:
        if isinstance(event, Progress):
            report(event)

    async with target.open() as console:
        for one in choice.kept:
            await _make_provisioned(console, one.snapshot)
    async with opened(job, memory, no_keys, only_steps, now) as (planner, listed):
        plan = await plan_choice(choice, planner, listed, only_steps)
    safeguards = Safeguards(open_store, no_keys, now, monotonic, command="drill")
    return await recover(job, plan, safeguards, only_steps, store=memory)


def _with_stand_ins(choice: Choice, shared: Overlay) -> Choice:
    """Return the chosen archives with the secrets of their overlays, and with invented ones for missing secrets."""
    kept, overlays = [], dict[str, Overlay]()
    for one in choice.kept:
        mine = one.opened.archive.workspace_id
        overlay = choice.overlays.get(mine, shared)
        taken = replace(one, snapshot=with_given_secrets(one.snapshot, overlay))
        rules = (*overlay.rules, *stand_in_secrets(taken.snapshot).rules)
        kept.append(taken)
        overlays[mine] = replace(overlay, rules=rules)
    return replace(choice, kept=tuple(kept), overlays=overlays)


async def _make_provisioned(console: Console, snapshot: Snapshot) -> None:
    """Create a workspace if Jitsu must provision a destination in it, because otherwise nothing is written into it."""
    source = snapshot.manifest.source
    if source.slug and any(entity.body.get("provisioned") is True for entity in snapshot.entities):
        try:
            await make_workspace(console, source.name or source.slug, source.slug)
        except RefusedError:
            return  # the recovery reports it


def _drilled(outcome: RecoveryOutcome, state: State) -> DrilledWorkspace:
    """Compare a workspace of the sandbox with its archive; return it with what a real recovery could not restore."""
    recovery, result = outcome.recovery, outcome.result
    snapshot, prepared = recovery.snapshot, recovery.prepared
    lacks: tuple[RecoveryLoss, ...] = ()
    load = Load(workspaces=1)
    if outcome.problem is not None or prepared is None or result is None:
        rehearsal = Rehearsal(0, meant_to_come_back(snapshot).total(), problem=reason_of(outcome.problem))
    else:
        result = replace(result, found=[*result.found, *recovery.without])
        counts = prepared.live.manifest.counts if result.after is None else result.after.manifest.counts
        rehearsal = come_back(snapshot, prepared.plan, state, result, counts)
        result = replace(result, found=list(rehearsal.residue))
        recovery = replace(recovery, without=())  # they are in the residue
    if prepared is not None:
        missing = {line.key for line in rehearsal.residue if not line.path}
        lacks = recovery_losses(snapshot, prepared.plan, missing, _NO_FEATURES)
        load += load_of(prepared.plan)
    recovery = replace(
        recovery,
        presence=Presence.NEW,
        losses=lacks,
        load=load,
        members=members_to_invite(snapshot, (), recovery.members_before),
    )
    return DrilledWorkspace(
        replace(outcome, recovery=recovery, result=result), replace(rehearsal, lacks=lacks)
    )


def alarms_of(drilled: Drill, again: Again, *, fail_on_losses: bool = False) -> Iterator[Alarm]:
    """Yield the problems: archives that could not be used, and workspaces that were not restored completely.

    `again` is as in `alarms.remedy_for`. With `fail_on_losses`, also yield what a real recovery could not restore.
    """
    for one in drilled.left_out:
        yield Alarm(*_kind_and_remedy(one, without_another(one.why)), one.slug)
    for recovery in drilled.plan.workspaces:
        for past in recovery.passed_over:
            taken = f"the one of {shown_time(recovery.archive.taken_at)} was used instead"
            why = f"{past.archive.reference}: {without_another(past.why)}; {taken}"
            yield Alarm(*_kind_and_remedy(past, why), recovery.slug)
    for workspace in drilled.workspaces:
        slug = workspace.outcome.recovery.slug
        if not workspace.whole:
            more = again("drill", "--workspace", slug, "-v")
            why = some_of(list(reasons(workspace)), MOST_TOLD, "; ")
            yield Alarm(What.NOT_RESTORABLE, why, f"see all reasons with `{more}`", slug)
        if fail_on_losses and workspace.losses:
            yield Alarm(What.LACKING, in_words(counted(workspace.losses)), _KEEP, slug)


MOST_TOLD = 3
"""How many reasons an alarm lists."""

_BACK_UP = "back up again"
_RUN_AGAIN = "then run it again"
_KEEP = "save the missing values elsewhere, or back up with the operator's token (--admin-token)"


def _kind_and_remedy(one: LeftOut | PassedOver, why: str) -> tuple[What, str, str]:
    """Return the first three fields of an alarm about an archive that could not be used."""
    if isinstance(one, LeftOut) and one.later:
        return What.NOT_RESTORABLE if one.waits else What.UNREADABLE, why, _RUN_AGAIN
    if one.locked:
        return What.UNREADABLE, why, _RUN_AGAIN
    unread = one.exit_code in (IntegrityError.exit_code, AccessError.exit_code)
    return What.UNREADABLE if unread else What.NOT_RESTORABLE, why, _BACK_UP


def reasons(workspace: DrilledWorkspace) -> Iterator[str]:
    """Yield why a workspace was not restored completely."""
    outcome, rehearsal = workspace.outcome, workspace.rehearsal
    if rehearsal.problem:
        yield rehearsal.problem
    yield from map(residue_in_words, rehearsal.residue)
    if outcome.renamed:
        yield f"its name: the console did not accept it; it is now called {quoted(outcome.renamed)}"
    yield from (f"{left.section}: {left.problem}" for left in outcome.options_left)
