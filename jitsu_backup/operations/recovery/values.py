"""The job, the plan and the outcome of a recovery of a console, as values."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any

from jitsu_backup.archive import ArchiveName
from jitsu_backup.catalogue import entity_type, owned_functions
from jitsu_backup.errors import BackupError, BlockedError, IncompleteError, IntegrityError
from jitsu_backup.model import Key, Snapshot, Source
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.recovery_losses import LossKind, RecoveryLoss
from jitsu_backup.operations.restore import PreparedRestore, Result
from jitsu_backup.planning import Action, ActionKind, Extra, Overlay, PlanOptions, Residue, shortfalls
from jitsu_backup.planning.forecast import Load
from jitsu_backup.planning.records import sends_code
from jitsu_backup.planning.sent_empty import fills

_BUILDER, _CREATE = "profile-builder", ActionKind.CREATE


def _as_given(options: PlanOptions, _: Collection[str]) -> PlanOptions:
    return options


@dataclass(frozen=True, slots=True)
class RecoveryJob:
    """What to recover, and how.

    `target` reads and writes everything, with the operator's token if it is known, because that has no rate limits. `maker`
    creates the workspaces with the key of a person, who becomes a member of them; without it, `target` creates them. Archives
    newer than `at`, in UTC, are ignored. `from_host` is the console whose archives are used. `workspaces` are the ids or
    slugs of the workspaces to recover (none: all), `first` those to start with, in order, and `gone` those that were deleted
    on purpose. `into` maps a workspace to its target, both by id or slug. `options` apply to every workspace and delete
    nothing; `overlays`, by id or slug, replace their overlay. `guarded` adds to the options of a workspace, given its names,
    what the settings protect and ignore in it. Unless `over_existing`, nothing is written into a workspace if the recovery
    would change an entity in it, or if it has an entity that the archive lacks. `named_by` says what names the console of
    `target`, such as `JITSU_HOST`, for a message that it cannot be reached.
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
    named_by: str = ""


class Presence(Enum):
    """Whether the target of a workspace exists or must be created."""

    THERE = "there"
    NEW = "new"


class ClashKind(Enum):
    """What several workspaces of a recovery claim, although only one of them can have it."""

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
    """An archive that is not used, and why. It is newer than the one that is used, or the only one.

    `locked` says that no given key opens it.
    """

    archive: ArchiveName
    why: str
    exit_code: int = IncompleteError.exit_code
    locked: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A workspace of the store that is not recovered, and why. With an `exit_code` other than 0, that was not intended.

    `locked` says that no given key opens its archives. `later` says that the store could not be read now, but may be later:
    with `waits`, an archive of another workspace with the same slug.
    """

    workspace_id: str
    slug: str
    why: str
    exit_code: int = 0
    locked: bool = False
    later: bool = False
    waits: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """A member to invite into a workspace, with the role.

    `as_of` is the time of the archive with this member, in UTC, if it is from before an earlier recovery.
    """

    email: str
    role: str
    as_of: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class OptionSet:
    """A section of a workspace's options: its new `body`, or the `problem` because of which a person must set it.

    With both, it failed, and another run may set it.
    """

    section: str
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TakenId:
    """An entity that gets a new id, because another workspace of the target console has its id.

    If `used_by` is empty, an undo has deleted it. Jitsu never frees the id of a deleted entity.
    """

    key: Key
    name: str
    used_by: str


@dataclass(frozen=True, slots=True)
class WorkspaceRecovery:
    """The plan for one workspace.

    `snapshot` is the content of `archive`; `passed_over` are newer archives that could not be used. `with_secrets`
    is an older one that the operator's token read, if this one lacks secrets. `target_id` is the id on the target console, None if the workspace must be created. `prepared` is the plan; for a NEW workspace it assumes an empty
    one. `problem` is why nothing is written: a needed decision, or a failure. `losses` are not restored, `keys_before` are
    write keys that earlier runs replaced by new ones, `members` are to be invited, `options` are set again. `is_old` says
    that the archive is much older than the newest of this recovery. `load` is the number of requests. `plan_options` are the
    options of the plan, including the claims of the other workspaces. `without` are entities left out because something they
    need had already been deleted when the workspace was backed up. `renamed` is the new name, if the console rejects the
    previous one. `members_before` are the members before an earlier recovery, which created the workspace without any.
    `taken` are entities that get a new id, as far as the planning has seen who has theirs. A `stranger` is a target that has
    only the slug in common, or cannot be created because of it. `later` is from after --at, and damaged or much larger.
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
    with_secrets: ArchiveName | None = None
    is_old: bool = False
    load: Load = field(default_factory=Load)
    plan_options: PlanOptions = field(default_factory=PlanOptions, repr=False)
    without: tuple[Residue, ...] = ()
    renamed: str = ""
    members_before: tuple[Member, ...] = ()
    taken: tuple[TakenId, ...] = ()
    stranger: bool = False
    later: ArchiveName | None = None

    @property
    def workspace_id(self) -> str:
        """The id of the workspace in the archive."""
        return self.snapshot.manifest.source.workspace_id

    @property
    def slug(self) -> str:
        """The slug of the workspace in the archive, or its id if it had none."""
        return self.snapshot.manifest.source.slug or self.workspace_id

    @property
    def newer(self) -> ArchiveName | None:
        """The archive with most entities among the newer ones with other content, unless these are only marked shrunk."""
        found = [past.archive for past in self.passed_over if past.exit_code]
        found = [one for one in found if one.digest_prefix != self.archive.digest_prefix]
        return max(found, key=lambda one: (one.total or 0, one.sort_key), default=None)

    @property
    def called_now(self) -> Source | None:
        """The name and slug of an existing target if they differ from the archive, else None. They are kept."""
        if self.prepared is None or self.presence is Presence.NEW or self.stranger:
            return None
        was, now = self.snapshot.manifest.source, self.prepared.live.manifest.source
        same_name = now.name in (was.name, self.renamed)
        return None if same_name and was.slug == now.slug else now

    @property
    def not_offered(self) -> tuple[str, ...]:
        """The types that the target's console does not support, as far as it was read."""
        return () if self.prepared is None else self.prepared.live.manifest.not_offered

    @property
    def goes(self) -> bool:
        """Whether the run does anything for it: it has no problem, and is not up to date."""
        return self.problem is None and (
            self.presence is Presence.NEW or self.writes > 0 or bool(self.to_set)
        )

    @property
    def writes(self) -> int:
        """How many entities are written, including functions that the console writes with their profile builders."""
        return 0 if self.prepared is None else entities_of(self.prepared.plan.writes, self.snapshot)

    @property
    def to_set(self) -> tuple[OptionSet, ...]:
        """The options that are set again."""
        return tuple(option for option in self.options if not option.problem)

    @property
    def kept(self) -> tuple[Action, ...]:
        """The actions that keep what the target deleted or changed itself since it was recovered."""
        actions = () if self.prepared is None else self.prepared.plan.actions
        kept = (action for action in actions if action.deleted_there or action.own)
        return tuple(sorted(kept, key=lambda action: not action.deleted_there))

    @property
    def overwritten(self) -> tuple[Action, ...]:
        """The updates of entities that exist in the target, except those that only send what an earlier run lacked."""
        if self.prepared is None or not self.goes:
            return ()
        updates = (action for action in self.prepared.plan.writes if action.kind is ActionKind.UPDATE)
        return tuple(action for action in updates if not fills(self.prepared.options.emptied, action))

    @property
    def only_there(self) -> tuple[Extra, ...]:
        """The entities of the target that the archive does not have, if something is written beside them. They are kept."""
        if self.prepared is None or not (self.goes and self.writes):
            return ()
        return tuple(extra for extra in self.prepared.plan.extras if not extra.left_out)

    @property
    def shortfalls(self) -> tuple[Residue, ...]:
        """What will differ from the archive, as far as the plan knows, besides `losses`: entities, cursors, fields."""
        actions = () if self.prepared is None else self.prepared.plan.actions
        known = {(loss.key, loss.path) for loss in self.losses}
        features = {loss.path for loss in self.losses if loss.kind is LossKind.FEATURE}
        return tuple(
            line
            for line in shortfalls(actions)
            if entity_type(line.key.type).feature not in features and (line.key, line.path) not in known
        )

    @property
    def falls_short(self) -> bool:
        """Whether the plan already shows that something will differ from the archive."""
        actions = () if self.prepared is None else self.prepared.plan.actions
        lacking = (
            action.deleted_there or action.losses or action.kind is ActionKind.SKIPPED
            for action in actions
            if not (action.asked or action.dead)
        )
        return bool(self.without or self.renamed) or any(lacking) or any(o.problem for o in self.options)


def _unblocked(one: WorkspaceRecovery) -> WorkspaceRecovery:
    if one.problem is None or one.prepared is None:
        return one
    return replace(one, problem=None, load=one.load + Load(Counter(POST=len(one.prepared.plan.blocked))))


def entities_of(actions: Collection[Action], snapshot: Snapshot) -> int:
    """Return how many entities of a snapshot some actions write: each its own, and a profile builder its functions too."""
    coded = {a.key.id for a in actions if a.key.type == _BUILDER and (a.kind is _CREATE or sends_code(a))}
    listed = {function.key.id for function in snapshot.of_type("function")}
    with_them = {one for one, builder in owned_functions(snapshot.entities) if builder in coded}
    return len(actions) + len(with_them & listed)


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """The plan for all workspaces, in the order in which they are started.

    `source_host` is the console of the archives, `host` the one to recover into. `clashes` are claimed by several workspaces.
    `limited` says whether the key that writes has rate limits, `made_limited` whether the key that creates workspaces has
    them. The operator's token has none, and a console of 2024 sets none. `other_hosts` are other consoles that the store
    has archives of.
    """

    source_host: str
    host: str
    workspaces: tuple[WorkspaceRecovery, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    clashes: tuple[Clash, ...] = ()
    limited: bool = True
    made_limited: bool = True
    other_hosts: tuple[str, ...] = ()

    @property
    def going(self) -> tuple[WorkspaceRecovery, ...]:
        """The workspaces that are created, written or given options."""
        return tuple(workspace for workspace in self.workspaces if workspace.goes)

    @property
    def stuck(self) -> tuple[WorkspaceRecovery, ...]:
        """The workspaces into which nothing is written because of a problem."""
        return tuple(workspace for workspace in self.workspaces if workspace.problem is not None)

    @property
    def unblocked(self) -> "RecoveryPlan":
        """The plan as if every decision were made: also for blocked workspaces, as far as they could be planned."""
        return replace(self, workspaces=tuple(map(_unblocked, self.workspaces)))

    @property
    def to_make(self) -> tuple[WorkspaceRecovery, ...]:
        """The workspaces that are created, in order."""
        return tuple(one for one in self.going if one.presence is Presence.NEW)

    @property
    def continues(self) -> bool:
        """Whether it may continue an earlier run, which may just have used up the rate limits: some workspace exists."""
        return any(one.presence is Presence.THERE for one in self.workspaces)

    @property
    def writes(self) -> int:
        """How many entities are written."""
        return sum(workspace.writes for workspace in self.going)

    @property
    def made_keys(self) -> int:
        """How many write keys are new. Their senders must change."""
        return sum(one.prepared.plan.made_keys for one in self.going if one.prepared is not None)

    @property
    def seconds(self) -> float:
        """The least seconds for which the console's rate limits delay it, at the pace that keeps within them."""
        return self._forecast[0]

    @property
    def seconds_at_most(self) -> float:
        """The most seconds for which the console's rate limits delay it. It is unknown when the console's window ends."""
        return self._forecast[1]

    @property
    def _forecast(self) -> tuple[float, float]:
        return forecast(
            self.going, limited=self.limited, made_limited=self.made_limited, spent=self.continues
        )

    @property
    def oldest(self) -> datetime | None:
        """The time of the oldest archive, in UTC; changes since then are lost. None without workspaces."""
        return min((one.archive.taken_at for one in self.workspaces), default=None)

    @property
    def exit_code(self) -> int:
        """The exit code of the plan: that of the worst workspace; 3 if something will be missing."""
        codes = [one.problem.exit_code for one in self.workspaces if one.problem is not None]
        codes += [IncompleteError.exit_code for one in self.workspaces if one.falls_short]
        codes += [
            past.exit_code for one in self.workspaces if one.problem is None for past in one.passed_over
        ]
        return worst([*codes, *(one.exit_code for one in self.left_out)])


def forecast(
    going: tuple[WorkspaceRecovery, ...], *, limited: bool, made_limited: bool, spent: bool = False
) -> tuple[float, float]:
    """Return the least and the most seconds for which rate limits delay a recovery. Both keys work at the same time.

    With `spent`, an earlier run may just have used up the limits.
    """
    load = sum((one.load for one in going), Load())
    makes = Load(workspaces=load.workspaces).seconds(limited=made_limited, spent=spent)
    writes = Load(load.requests).seconds(limited=limited, spent=spent)
    return max(makes[0], writes[0]), max(makes[1], writes[1])


@dataclass(frozen=True, slots=True)
class RecoveryOutcome:
    """How the recovery of one workspace ended.

    `target_id` is its id on the target console; `made` says whether this run created it. `result` is the result of the
    restore, None if it was not reached. `failure` is what went wrong. `options_set` are the sections that were set,
    `options_left` those that a person must set. `memberless` says that the workspace has no member yet. `renamed` is its new
    name, if the console rejected the previous one. Unless `begun`, the workspace is left for the next run. `unbacked` is why
    the target could not be backed up before the first write.
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
    unbacked: str = ""

    @property
    def interrupted(self) -> bool:
        """Whether the run was interrupted before or while this workspace was recovered."""
        return not self.begun or (self.result is not None and self.result.interrupted)

    @property
    def problem(self) -> BackupError | Exception | None:
        """Its failure, or that of its restore."""
        return self.failure or (None if self.result is None else self.result.failure)

    @property
    def unrecorded(self) -> str:
        """Why the record of what was written could not be stored, or an empty text."""
        return "" if self.result is None else self.result.unrecorded

    @property
    def whole(self) -> bool:
        """Whether the archive was restored completely: nothing failed or differs, and nothing is left to do by hand."""
        result = self.result
        restored = result is None or (
            result.verified and not result.found and not any(outcome.failed for outcome in result.outcomes)
        )
        lost = self.recovery.without or any(action.deleted_there for action in self.recovery.kept)
        complete = not (self.options_left or self.renamed or lost)
        return restored and complete and self.problem is None and not self.interrupted

    @property
    def exit_code(self) -> int:
        """The exit code of a run with only this workspace."""
        if self.interrupted:
            return INTERRUPTED
        if self.problem is not None:
            return self.problem.exit_code if isinstance(self.problem, BackupError) else 1
        passed_over = worst([past.exit_code for past in self.recovery.passed_over])
        return passed_over or (0 if self.whole and not self.unrecorded else IncompleteError.exit_code)


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
    """Return the worst of some exit codes.

    From worst to best: interrupted, failed, no permission, damaged, usage error, blocked, incomplete, complete.
    """
    return min(codes, key=_ORDER.index, default=0)


@dataclass(frozen=True, slots=True)
class RecoveryRun:
    """How a recovery ended: the outcome of each workspace, in the order of the `plan`, and the duration in seconds."""

    plan: RecoveryPlan
    outcomes: tuple[RecoveryOutcome, ...] = ()
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """The exit code of the worst workspace, including those left out."""
        return worst([*(o.exit_code for o in self.outcomes), *(one.exit_code for one in self.plan.left_out)])

    @property
    def interrupted(self) -> bool:
        """Whether the run was interrupted."""
        return any(outcome.interrupted for outcome in self.outcomes)

    @property
    def failed(self) -> tuple[RecoveryOutcome, ...]:
        """The workspaces that failed or need a decision."""
        return tuple(outcome for outcome in self.outcomes if outcome.problem is not None)
