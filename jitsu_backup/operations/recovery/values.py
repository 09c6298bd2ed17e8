"""What a recovery of a console is asked for, what it plans, and how it ended: values that reports only show."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from jitsu_backup.archive import ArchiveName
from jitsu_backup.errors import BackupError, BlockedError, IncompleteError, IntegrityError
from jitsu_backup.model import Snapshot, Source
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.recovery_losses import RecoveryLoss
from jitsu_backup.operations.restore import PreparedRestore, Result
from jitsu_backup.planning import Action, ActionKind, Overlay, PlanOptions, Residue
from jitsu_backup.planning.forecast import Load


def _as_given(options: PlanOptions, _: Collection[str]) -> PlanOptions:
    return options


@dataclass(frozen=True, slots=True)
class RecoveryJob:
    """What one recovery is asked for.

    `target` reads and writes everything: with the operator's token where that is known, which no limit holds back. `maker`
    makes the workspaces with a person's key, who becomes their member; without it `target` makes them. `at` is the time, in
    UTC, that no archive may be newer than, `from_host` the console whose archives are meant. `workspaces` are ids or slugs
    of those to recover (none: all), `first` those to begin with, in order, and `gone` those that are gone on purpose.
    `into` gives the target, by id or slug, of a workspace, by id or slug. `options` hold for every workspace, and delete nothing; `overlays`, by
    id or slug, take the place of its overlay; `guarded` adds to the
    options of a workspace, known by any of its names, what it protects and ignores. Without `over_existing` nothing is written into a workspace that has what the
    recovery would change, or what its archive does not know.
    """

    target: Connection
    maker: Connection | None = None
    at: datetime | None = None
    from_host: str | None = None
    workspaces: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    into: Mapping[str, str] = field(default_factory=dict)
    options: PlanOptions = field(default_factory=PlanOptions, repr=False)
    overlays: Mapping[str, Overlay] = field(default_factory=dict, repr=False)
    guarded: Callable[[PlanOptions, Collection[str]], PlanOptions] = _as_given
    over_existing: bool = False


class Presence(Enum):
    """Whether the target of a workspace is there, or has to be made."""

    THERE = "there"
    NEW = "new"


class ClashKind(Enum):
    """What several workspaces of one recovery claim, though one alone can have it."""

    DOMAIN = "domain"
    ID = "id"
    WRITE_KEY = "write key"
    SLUG = "slug"


@dataclass(frozen=True, slots=True, order=True)
class Clash:
    """Something that several workspaces claim: its `name`, and their slugs in `claimed_by`; the first one gets it."""

    kind: ClashKind = field(compare=False)
    name: str
    claimed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PassedOver:
    """An archive that is newer than the one that is taken, or the only one there is, and why it was not taken."""

    archive: ArchiveName
    why: str
    exit_code: int = IncompleteError.exit_code


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A workspace of the store that the recovery leaves alone, and why; an `exit_code` other than 0 says that it lacks."""

    workspace_id: str
    slug: str
    why: str
    exit_code: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """A member of a workspace: whom to invite, and in which role.

    `as_of` is the time, in UTC, of the archive that has them, if they were members before an earlier recovery.
    """

    email: str
    role: str
    as_of: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class OptionSet:
    """A section of a workspace's options: to be set to `body`, or why that is left to a person (`problem`)."""

    section: str
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class WorkspaceRecovery:
    """What is planned for one workspace.

    `snapshot` is that of `archive`, and `passed_over` are newer archives that could not be taken. `target_id` is the
    workspace of the target console, None for one that is to be made. `prepared` is the plan: for a NEW workspace as if it
    were there, and empty. `problem` is why nothing is written: a decision that is needed, or what went wrong. `losses` say
    what does not come back, `keys_before` for which write keys earlier runs have made others, `members` whom to invite, `options` which settings are set again. `is_old` tells that the
    archive is far behind the newest of the store. `load` is what it takes, and `plan_options` are what the plan was made with: they
    know what other workspaces of this recovery claim. `without` are entities that cannot be there, because what they need was
    gone when the workspace was backed up. `renamed` is how the workspace is called because the console does not take its name.
    `members_before` are those that it had before an earlier recovery, which made it without any.
    """

    archive: ArchiveName
    snapshot: Snapshot = field(repr=False)
    presence: Presence = Presence.NEW
    target_id: str | None = None
    prepared: PreparedRestore | None = field(default=None, repr=False)
    problem: BackupError | None = None
    losses: tuple[RecoveryLoss, ...] = ()
    keys_before: tuple[RecoveryLoss, ...] = ()
    members: tuple[Member, ...] = ()
    options: tuple[OptionSet, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    is_old: bool = False
    load: Load = field(default_factory=Load)
    plan_options: PlanOptions = field(default_factory=PlanOptions, repr=False)
    without: tuple[Residue, ...] = ()
    renamed: str = ""
    members_before: tuple[Member, ...] = ()

    @property
    def workspace_id(self) -> str:
        """The id that the workspace had when it was backed up."""
        return self.snapshot.manifest.source.workspace_id

    @property
    def slug(self) -> str:
        """What the workspace is called: its slug, or its id where it had none."""
        return self.snapshot.manifest.source.slug or self.workspace_id

    @property
    def called_now(self) -> Source | None:
        """What a target that is there has another name or slug by than the archive, which stays; None where it has the same."""
        if self.prepared is None or self.presence is Presence.NEW:
            return None
        was, now = self.snapshot.manifest.source, self.prepared.live.manifest.source
        same_name = now.name in (was.name, self.renamed)
        return None if same_name and was.slug == now.slug else now

    @property
    def goes(self) -> bool:
        """Whether it takes part in the run: nothing stands in its way, and something is left to do."""
        return self.problem is None and (
            self.presence is Presence.NEW or self.writes > 0 or bool(self.to_set)
        )

    @property
    def writes(self) -> int:
        """How many entities are written."""
        return 0 if self.prepared is None else len(self.prepared.plan.writes)

    @property
    def to_set(self) -> tuple[OptionSet, ...]:
        """The options that are set again."""
        return tuple(option for option in self.options if not option.problem)

    @property
    def kept(self) -> tuple[Action, ...]:
        """The actions for what stays as the target has it since it was recovered: deleted, or with changes of its own."""
        actions = () if self.prepared is None else self.prepared.plan.actions
        kept = (action for action in actions if action.deleted_there or action.own)
        return tuple(sorted(kept, key=lambda action: not action.deleted_there))

    @property
    def falls_short(self) -> bool:
        """Whether the plan itself knows of something that will not be there as the archive has it."""
        actions = () if self.prepared is None else self.prepared.plan.actions
        lacking = (
            action.deleted_there or action.losses or action.kind is ActionKind.SKIPPED
            for action in actions
            if not (action.asked or action.dead)
        )
        return bool(self.without or self.renamed) or any(lacking) or any(o.problem for o in self.options)


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """What a recovery would do, for all workspaces at once, in the order in which they are begun.

    `source_host` is the console that the archives are of, `host` the one that they are recovered into. `clashes` are what
    several workspaces claim. `limited` tells whether the console limits the key that writes, `made_limited` whether it limits the one that
    makes workspaces: neither the operator's token nor anybody on a console of 2024.
    """

    source_host: str
    host: str
    workspaces: tuple[WorkspaceRecovery, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    clashes: tuple[Clash, ...] = ()
    limited: bool = True
    made_limited: bool = True

    @property
    def going(self) -> tuple[WorkspaceRecovery, ...]:
        """The workspaces that something is done for."""
        return tuple(workspace for workspace in self.workspaces if workspace.goes)

    @property
    def stuck(self) -> tuple[WorkspaceRecovery, ...]:
        """The workspaces that nothing is written into, because something stands in the way."""
        return tuple(workspace for workspace in self.workspaces if workspace.problem is not None)

    @property
    def to_make(self) -> tuple[WorkspaceRecovery, ...]:
        """The workspaces that are made, in order."""
        return tuple(one for one in self.going if one.presence is Presence.NEW)

    @property
    def writes(self) -> int:
        """How many entities are written."""
        return sum(workspace.writes for workspace in self.going)

    @property
    def made_keys(self) -> int:
        """How many write keys are new, so that senders have to change."""
        return sum(one.prepared.plan.made_keys for one in self.going if one.prepared is not None)

    @property
    def seconds(self) -> float:
        """The seconds that carrying it out takes at the least, by the console's limits."""
        return forecast(self.going, limited=self.limited, made_limited=self.made_limited)

    @property
    def oldest(self) -> datetime | None:
        """When the oldest of the archives was taken, in UTC: what changed since is lost. None without workspaces."""
        return min((one.archive.taken_at for one in self.workspaces), default=None)

    @property
    def exit_code(self) -> int:
        """The exit code of the plan as it is: that of the worst workspace; 3 where something will be missing."""
        codes = [one.problem.exit_code for one in self.workspaces if one.problem is not None]
        codes += [IncompleteError.exit_code for one in self.workspaces if one.falls_short]
        codes += [past.exit_code for one in self.workspaces for past in one.passed_over]
        return worst([*codes, *(one.exit_code for one in self.left_out)])


def forecast(going: tuple[WorkspaceRecovery, ...], *, limited: bool, made_limited: bool) -> float:
    """Return the seconds that recovering workspaces takes at the least: both keys work side by side."""
    load = sum((one.load for one in going), Load())
    makes = Load(workspaces=load.workspaces)
    writes = Load(load.requests)
    return max(makes.seconds(limited=made_limited), writes.seconds(limited=limited))


@dataclass(frozen=True, slots=True)
class RecoveryOutcome:
    """How the recovery of one workspace ended.

    `target_id` is its id on the target console, and `made` tells whether this run made it. `result` is that of the restore,
    None where it did not come to that. `failure` is what went wrong. `options_set` are the sections
    that were set again, `options_left` those that a person has to see to. `memberless` tells that nobody is a member yet,
    `renamed` how the workspace is called where the console did not take its name. Unless `begun`, it was left for the next run.
    """

    recovery: WorkspaceRecovery
    target_id: str | None = None
    made: bool = False
    result: Result | None = None
    failure: Exception | None = None
    options_set: tuple[str, ...] = ()
    options_left: tuple[OptionSet, ...] = ()
    memberless: bool = False
    renamed: str = ""
    begun: bool = True

    @property
    def interrupted(self) -> bool:
        """Whether the run was interrupted before or while this workspace was recovered."""
        return not self.begun or (self.result is not None and self.result.interrupted)

    @property
    def problem(self) -> BackupError | Exception | None:
        """What ended it early: its failure, or that of its restore."""
        return self.failure or (None if self.result is None else self.result.failure)

    @property
    def whole(self) -> bool:
        """Whether all that the archive holds is there: nothing failed, nothing differs, and nothing is left to a person."""
        result = self.result
        restored = result is None or (
            result.verified
            and not (result.found or result.unrecorded)
            and not any(outcome.failed for outcome in result.outcomes)
        )
        lost = self.recovery.without or any(action.deleted_there for action in self.recovery.kept)
        complete = not (self.options_left or self.renamed or lost)
        return restored and complete and self.problem is None and not self.interrupted

    @property
    def exit_code(self) -> int:
        """The exit code that this workspace alone would have."""
        if self.interrupted:
            return INTERRUPTED
        if self.problem is not None:
            return self.problem.exit_code if isinstance(self.problem, BackupError) else 1
        passed_over = worst([past.exit_code for past in self.recovery.passed_over])
        return passed_over or (0 if self.whole else IncompleteError.exit_code)


INTERRUPTED = 130
"""The exit code of a run that was interrupted."""

_ORDER = (
    INTERRUPTED,
    1,
    6,
    IntegrityError.exit_code,
    2,
    BlockedError.exit_code,
    IncompleteError.exit_code,
    0,
)


def worst(codes: list[int]) -> int:
    """Return the worst of some exit codes: interrupted, failed, no permission, damaged, misused, blocked, incomplete, whole."""
    return min(codes, key=_ORDER.index, default=0)


@dataclass(frozen=True, slots=True)
class RecoveryRun:
    """How a recovery ended: the outcome of each workspace of its `plan`, in the plan's order."""

    plan: RecoveryPlan
    outcomes: tuple[RecoveryOutcome, ...] = ()
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """The exit code of the worst workspace, those left out included."""
        return worst([*(o.exit_code for o in self.outcomes), *(one.exit_code for one in self.plan.left_out)])

    @property
    def interrupted(self) -> bool:
        """Whether the run was interrupted."""
        return any(outcome.interrupted for outcome in self.outcomes)

    @property
    def failed(self) -> tuple[RecoveryOutcome, ...]:
        """The workspaces that failed, or that a decision stands before."""
        return tuple(outcome for outcome in self.outcomes if outcome.problem is not None)
