"""Find the target of each workspace on the console, or assume a new, empty one, and plan the recovery into it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from jitsu_backup.archive import ArchiveName, safe_text
from jitsu_backup.catalogue import CATALOGUE, dangling_references, is_link, offered_with, types_in_lists
from jitsu_backup.console import Console
from jitsu_backup.console.console_info import ConsoleInfo
from jitsu_backup.console.reader import TYPES_OF_2024, Seen, read_workspace
from jitsu_backup.console.workspaces import Workspace
from jitsu_backup.errors import BackupError, BlockedError, IncompleteError, KeyRejectedError, UsageError
from jitsu_backup.events import Reporter
from jitsu_backup.model import Key, Manifest, Snapshot, Source, plural, quoted, some_of
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.clone_record import record_finder
from jitsu_backup.operations.neighbours import Neighbours
from jitsu_backup.operations.recovery.beside import members_to_invite, options_to_set
from jitsu_backup.operations.recovery.choice import Living, Opened, lives
from jitsu_backup.operations.recovery.making import OTHER, called_by_slug, check_slug
from jitsu_backup.operations.recovery.values import (
    LeftOut,
    PassedOver,
    Presence,
    RecoveryJob,
    TakenId,
    WorkspaceRecovery,
)
from jitsu_backup.operations.recovery_losses import LossKind, RecoveryLoss, keys_made_before, recovery_losses
from jitsu_backup.operations.restore import PreparedRestore, prepare, prepare_against
from jitsu_backup.operations.safeguards import first_blocked, refuse_read_only
from jitsu_backup.operations.snapshots import content_of
from jitsu_backup.operations.third_side import RecordFinder
from jitsu_backup.planning import (
    Action,
    ActionKind,
    Extra,
    PlanOptions,
    Residue,
    UnreadSecret,
    capabilities,
    make_plan,
)
from jitsu_backup.planning.forecast import Load, load_of
from jitsu_backup.planning.sent_empty import fills
from jitsu_backup.store import Store

_ANY_TYPE = "function"
"""A type that every console has; its schema shows the generation of the console."""

_WITHOUT_SCHEMA = frozenset({"profile-builder"})
"""Types that no console has in its index of schemas."""

_OVER_EXISTING = "--over-existing"

_HINT = "to write into it anyway, as `restore` would, add --over-existing"


def living(found: Iterable[Workspace]) -> list[Living]:
    """Return the workspaces that a console lists."""
    return [Living(one.id, one.slug, _text(one.body.get("createdAt"))) for one in found]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def find_living(
    one: Opened, there: Mapping[str, Living], successors: Mapping[str, str], into: Mapping[str, str]
) -> Living | None:
    """Return the workspace of the target console to recover into, or None if it must be created.

    In this order: the one that `into` names, the workspace itself, the one that an earlier recovery created for it, the one
    with its slug. Raise UsageError if `into` names a workspace that the key cannot see.
    """
    named = into.get(one.source.workspace_id) or into.get(one.source.slug or "")
    if named is not None:
        found = next((other for other in there.values() if named in (other.id, other.slug)), None)
        if found is None:
            known = some_of(sorted(other.slug or other.id for other in there.values()), 10)
            raise UsageError(
                f"--into {one.slug}={named}: the target console has no workspace {named!r} that this key can see; create it in"
                f" the UI first{f', or name one that exists: {known}' if known else ''}"
            )
        return found
    if lives(one, there):
        return there[one.source.workspace_id]
    made = successors.get(one.archive.workspace_id)
    earlier = next((other for other in there.values() if safe_text(other.id) == made), None)
    if earlier is not None:
        return earlier
    slug = one.source.slug
    return next((other for other in there.values() if slug and other.slug == slug), None)


@dataclass(slots=True)
class Planner:
    """Plan workspaces on one console, and read only once what is the same for all.

    `info` is the console's information about itself, `kind` the manifest of any workspace, which shows the supported types.
    `owner` is the e-mail address of the user who becomes a member of the workspaces that are created.
    """

    console: Console
    job: RecoveryJob
    store: Store
    keys: ArchiveKeys
    now: Callable[[], datetime]
    report: Reporter
    info: ConsoleInfo
    kind: Manifest | None = None
    owner: str | None = None
    neighbours: Neighbours = field(init=False)

    def __post_init__(self) -> None:
        """Create the cache of neighbours; nothing is read yet."""
        self.neighbours = Neighbours(self.console, shared=True)

    async def look_at(self, one: Workspace) -> None:
        """Read a workspace to learn the supported types. If it cannot be read, only the console's index shows them.

        Raise AccessError for a key that the console rejects.
        """
        seen = Seen(console_info=self.info)
        try:
            manifest = (await read_workspace(self.console, one.id, now=self.now, seen=seen)).manifest
        except KeyRejectedError:
            raise
        except BackupError:
            return
        if manifest.complete:  # a list that failed would look like a type that the console lacks
            self.kind = manifest

    async def plan(self, workspace: WorkspaceRecovery, target: Living | None) -> WorkspaceRecovery:
        """Return a workspace with its plan for `target`, which is None if the workspace must be created.

        What prevents the recovery is its `problem`. Raise AccessError for a key that the console rejects.
        """
        presence = Presence.NEW if target is None else Presence.THERE
        workspace = replace(workspace, presence=presence, target_id=None if target is None else target.id)
        try:
            prepared = await self._prepared(workspace)
            without = gone_before(prepared)
            if without:
                skip = (*workspace.plan_options.skip, *(str(line.key) for line in without))
                options = replace(workspace.plan_options, skip=skip)
                prepared = await self._prepared(replace(workspace, plan_options=options))
            renamed = called_by_slug(workspace, prepared.live)
            no_slug: BlockedError | None = None
            if target is None:
                is_strict = await self._is_strict(prepared)
                no_slug = await self._no_slug(workspace, is_strict=is_strict)
                renamed = renamed if is_strict else ""
            stranger = no_slug is not None or self._is_stranger(workspace, prepared)
            problem = no_slug or standing_in_the_way(
                prepared, over_existing=self.job.over_existing, stranger=stranger
            )
        except KeyRejectedError:
            raise
        except BackupError as failure:
            return replace(workspace, problem=failure)
        live, new = prepared.live, target is None
        there = [{"user": {"email": self.owner}}] if new else live.members
        load = load_of(prepared.plan)
        return replace(
            workspace,
            prepared=prepared,
            problem=problem,
            losses=losses_of(prepared),
            keys_before=keys_made_before(prepared.snapshot, prepared.plan),
            members=members_to_invite(workspace.snapshot, there, workspace.members_before),
            options=options_to_set(workspace.snapshot, None if new else live),
            load=load + Load(workspaces=1) if new else load,
            without=without,
            renamed=renamed,
            stranger=stranger,
        )

    async def _no_slug(self, workspace: WorkspaceRecovery, *, is_strict: bool) -> BlockedError | None:
        """Return why a workspace cannot be created because of its slug, or None. Raise AccessError, ConsoleError."""
        try:
            await check_slug(self.console, workspace, is_strict=is_strict, sees_all=self.info.is_operator)
        except BlockedError as problem:
            return problem
        return None

    def _is_stranger(self, workspace: WorkspaceRecovery, prepared: PreparedRestore) -> bool:
        """Return whether a target has nothing in common with the archive but its slug, and is in use."""
        wanted, live = workspace.workspace_id, prepared.live
        into = self.job.into
        if workspace.target_id in (None, wanted) or wanted in into or workspace.slug in into:
            return False
        if prepared.options.record is not None or not live.entities:
            return False
        there = {entity.key.id for entity in live.entities}
        return not any(action.target_id in there for action in prepared.plan.actions)

    async def with_deleted_ids(
        self, one: WorkspaceRecovery, undone: Mapping[str, ArchiveName]
    ) -> WorkspaceRecovery:
        """Return a planned workspace with the entities that get a new id because an undo has deleted them in the target."""
        archive = undone.get(safe_text(one.target_id or ""))
        if archive is None or one.prepared is None:
            return one
        try:
            before = content_of(archive, await self.store.read(str(archive)), self.keys)
        except BackupError:  # only a forecast is lost
            return one
        ids = {entity.key for entity in before.entities if not is_link(entity.key)}
        ids -= {entity.key for entity in one.prepared.live.entities}
        again = (action for action in one.prepared.plan.writes if action.kind is ActionKind.CREATE)
        deleted = (TakenId(a.key, a.name, "") for a in again if Key(a.key.type, a.target_id or "") in ids)
        return replace(one, taken=(*one.taken, *deleted))

    async def _is_strict(self, prepared: PreparedRestore) -> bool:
        """Return whether the console checks names and slugs; one of 2024 does not [workspace/create-slug-taken]."""
        schemas = await self.neighbours.schemas([_ANY_TYPE])
        return bool(schemas) and capabilities(prepared.live, schemas).revives

    async def _prepared(self, workspace: WorkspaceRecovery) -> PreparedRestore:
        wanted, options = workspace.snapshot, workspace.plan_options
        if workspace.target_id is None:
            live = await self._empty(wanted)
            return await prepare_against(self.console, live, wanted, options, self.neighbours)
        prepared = await prepare(
            self.console, workspace.target_id, wanted, options, self.report, now=self.now,
            seen=Seen(console_info=self.info), find_record=self._finder(options), neighbours=self.neighbours,
        )  # fmt: skip
        self.kind = self.kind or prepared.live.manifest
        return prepared

    def _finder(self, options: PlanOptions) -> RecordFinder:
        """Return a function that finds the record of an earlier recovery, but none for an empty target.

        An empty target was not recovered yet, or was emptied to recover it again.
        """
        found = record_finder(lambda: self.store, self.keys, options, now=self.now, report=self.report)

        async def find(snapshot: Snapshot, live: Snapshot) -> Snapshot | None:
            return await found(snapshot, live) if live.entities else None

        return find

    async def _empty(self, snapshot: Snapshot) -> Snapshot:
        """Return a workspace that must be created as it will be after that, without an id."""
        source, kind = snapshot.manifest.source, self.kind
        lacking = await self._not_offered() if kind is None else kind.not_offered
        role = "admin" if self.info.is_operator else "owner"
        made = Source(self.console.host, "", source.slug, source.name, self.info.version, role)
        offered = types_in_lists({*self.info.types}.difference(lacking)) if kind is None else kind.counts
        manifest = Manifest(made, counts=dict.fromkeys(offered, 0), not_offered=lacking)
        return Snapshot(manifest, self.now(), (), workspace={"featuresEnabled": []})

    async def _not_offered(self) -> tuple[str, ...]:
        """Return what a console without any workspace to look at does not support, as far as its schemas show that."""
        asked = {*self.info.types}
        lacking = {name for name, known in CATALOGUE.items() if (known.offered_with or name) not in asked}
        served = await self.neighbours.schemas(sorted(asked - _WITHOUT_SCHEMA))
        if not served:  # it shows nothing
            return tuple(sorted(lacking))
        unknown = asked - _WITHOUT_SCHEMA - served.keys()
        lacking |= unknown | {one for name in unknown for one in offered_with(name)}
        if asked - unknown <= TYPES_OF_2024:
            lacking.add("sync-cursor")
        return tuple(sorted(lacking))


def gone_before(prepared: PreparedRestore) -> tuple[Residue, ...]:
    """Return what is blocked because something it needs had already been deleted when the workspace was backed up."""
    missing = {
        one.key: f"{' or '.join(one.missing)} {one.missing_id}"
        for one in dangling_references(prepared.snapshot)
        if not one.dead
    }
    return tuple(
        Residue(
            action.key, action.name, "",
            f"it needs {missing[action.key]}, which had already been deleted when the workspace was backed up",
        )
        for action in prepared.plan.blocked
        if action.key in missing and not action.disputed
    )  # fmt: skip


def standing_in_the_way(
    prepared: PreparedRestore, *, over_existing: bool, stranger: bool = False
) -> BackupError | None:
    """Return why a plan needs a decision before it is carried out, or None.

    A `stranger` only has the slug of the archive. It is somebody else's workspace, so `over_existing` does not count there:
    that flag is for all workspaces at once.
    """
    plan = prepared.plan
    if stranger:  # also without writes: its options would be set, and a record would make it the successor
        slug = prepared.snapshot.manifest.source.slug
        into = f"{slug}={OTHER}"
        return BlockedError(
            f"{_has_the_slug(prepared)}; name a workspace for it with --into {into} (create that one in the UI if it does not"
            f" exist); only --into {slug}={slug} --over-existing writes into this one"
        ).with_flags("--into", into)
    used = "" if over_existing else _in_use(prepared)
    if plan.blocked:
        deleted = _deleted_since(prepared)
        if deleted:
            return BlockedError(deleted).with_flags(_OVER_EXISTING)
        return BlockedError("; besides, ".join(one for one in (used, first_blocked(plan)) if one))
    if not plan.writes:
        return None
    try:
        refuse_read_only(prepared)
    except BackupError as problem:
        return problem
    return BlockedError(used).with_flags(_OVER_EXISTING) if used else None


def _in_use(prepared: PreparedRestore) -> str:
    """Return why a plan would write over what people did in the target, or an empty text."""
    plan = prepared.plan
    known = prepared.options.record is not None  # then the target's own changes are known, and kept
    extras = [one for one in plan.extras if _is_foreign(one, known=known)]
    touched = [a for a in plan.actions if a.own or _touches(a, prepared.options)]
    if not extras and (known or not touched):
        return ""
    where = plan.target.slug or plan.target.workspace_id
    reasons = []
    if extras:
        first = f"{extras[0].key.type} {quoted(extras[0].name)}"
        has = f"{first} and {len(extras) - 1} more" if len(extras) > 1 else first
        reasons.append(f"it has {has}, which the archive lacks")
    if touched:
        named = some_of([f"{action.key.type} {quoted(action.name)}" for action in touched], 3)
        count = plural(len(touched), "existing entity", "existing entities")
        reasons.append(f"{count} would be overwritten: {named}")
    return f"{where} is in use: {', and '.join(reasons)}; {_HINT}"


def _deleted_since(prepared: PreparedRestore) -> str:
    """Return why a plan is blocked if only because people deleted most of what a recovery restored, else an empty text."""
    blocked, options = prepared.plan.blocked, prepared.options
    if options.record is None or any(action.conflicts or action.losses for action in blocked):
        return ""
    taking = replace(options, take=("source", *options.take), checks_selectors=False)
    if make_plan(prepared.snapshot, prepared.live, taking).blocked:
        return ""
    first = f"{blocked[0].key.type} {quoted(blocked[0].name)}"
    which = f"{first} and {len(blocked) - 1} more were" if len(blocked) > 1 else f"{first} was"
    them = "them" if len(blocked) > 1 else "it"
    return (
        f"{which} deleted in the target since the last recovery, most of what it restored; add --over-existing to restore"
        f" {them}, or leave {them} deleted with --take=target"
    )


def _has_the_slug(prepared: PreparedRestore) -> str:
    """Return in words that another workspace has the slug of the archive."""
    live, wanted = prepared.live.manifest.source, prepared.snapshot.manifest.source.workspace_id
    name = f" ({quoted(live.name)})" if live.name else ""
    return (
        f"another workspace has its slug and is in use: {live.workspace_id}{name}; the archive is of {wanted}"
    )


def with_holders(planned: Iterable[WorkspaceRecovery]) -> list[WorkspaceRecovery]:
    """Return planned workspaces; where the slug cannot be had, name the workspace with most of the archive's ids, if any.

    Each is named once, for the workspace of which it has most, and none that is already the target of another one.
    """
    planned = list(planned)
    used = {name for one in planned if not one.stranger and one.target_id for name in _names(one)}
    held = dict[int, BlockedError]()
    for count, number, holder in sorted(_holders(planned), key=lambda found: (-found[0], found[1])):
        if number not in held and holder not in used:
            used.add(holder)
            held[number] = _held(planned[number], holder, count)
    return [replace(one, problem=held.get(number, one.problem)) for number, one in enumerate(planned)]


def _names(one: WorkspaceRecovery) -> Iterator[str]:
    """Yield the names of the target of a planned workspace."""
    yield from filter(None, (one.target_id, one.prepared and one.prepared.live.manifest.source.slug))


def _holders(planned: Iterable[WorkspaceRecovery]) -> Iterator[tuple[int, int, str]]:
    """Yield how many ids of a planned workspace, by its number, another workspace has, and which, if a stranger has the slug."""
    for number, one in enumerate(planned):
        if one.stranger and isinstance(one.problem, BlockedError):
            for holder, count in Counter(taken.used_by for taken in one.taken).items():
                yield count, number, holder


def _held(one: WorkspaceRecovery, holder: str, count: int) -> BlockedError:
    assert one.prepared is not None  # noqa: S101  a stranger was planned
    into = f"{one.slug}={holder}"
    is_new = one.presence is Presence.NEW
    why = "its slug cannot be had for a new workspace" if is_new else _has_the_slug(one.prepared)
    return BlockedError(
        f"{why}; {holder} has at least {count} of its entities; add --into {into} to continue there"
    ).with_flags("--into", into)


def with_newer(one: WorkspaceRecovery, made: Mapping[str, ArchiveName]) -> WorkspaceRecovery:
    """Return a planned workspace; if its target is empty, but was not in its newest archive, that is listed as not used."""
    newest = made.get(safe_text(one.target_id or ""))
    if newest is None or one.prepared is None or one.prepared.live.entities:
        return one
    if newest.sort_key < one.archive.sort_key:
        return one
    why = "it was taken after an earlier recovery; to use it, `restore` it by its id"
    return replace(one, passed_over=(*one.passed_over, PassedOver(newest, why)))


def left_different(one: WorkspaceRecovery) -> LeftOut | None:
    """Return the report of a planned workspace that is left alone, or None if it has everything that its archive has."""
    host, problem = one.snapshot.manifest.source.host, one.problem
    why = f"it differs from that; `recover --from {host} --workspace {one.slug}` restores it"
    if one.prepared is None:
        why = f"it cannot be compared with that: {problem}"
    elif not (one.prepared.plan.writes or one.prepared.plan.blocked):
        return None
    code = problem.exit_code if one.prepared is None and problem is not None else IncompleteError.exit_code
    return LeftOut(one.workspace_id, one.slug, f"its newest archive is of {host}, and {why}", code)


def _touches(action: Action, options: PlanOptions) -> bool:
    """Return whether an action changes something in the target besides secrets that an earlier run has sent empty."""
    return action.writes and action.kind is not ActionKind.CREATE and not fills(options.emptied, action)


def _is_foreign(extra: Extra, *, known: bool) -> bool:
    """Return whether an entity does not come from a recovery; `known` says that a record lists those that do."""
    return not (extra.dead or extra.left_out) and (extra.own or not known)


def _waits_for_feature(loss: RecoveryLoss, prepared: PreparedRestore) -> bool:
    return loss.kind is LossKind.FEATURE and loss.key.type not in prepared.live.manifest.not_offered


def losses_of(prepared: PreparedRestore) -> tuple[RecoveryLoss, ...]:
    """Return what a plan does not restore. For existing entities, only missing secrets and disabled reverse syncs count.

    A secret in a field that the target's console does not know is not missing there.
    """
    plan = prepared.plan
    actions = {action.key: action for action in plan.actions}
    made = {key for key, a in actions.items() if a.kind in (ActionKind.CREATE, ActionKind.BLOCKED)}

    def is_lost(loss: RecoveryLoss) -> bool:
        if loss.kind is LossKind.SECRET:
            lost = actions[loss.key].losses if loss.key in actions else ()
            return any(one.path == loss.path and isinstance(one.reason, UnreadSecret) for one in lost)
        is_off = loss.kind is LossKind.REVERSE_SYNC
        return is_off or loss.key in made or _waits_for_feature(loss, prepared)

    return tuple(filter(is_lost, recovery_losses(prepared.snapshot, plan, (), prepared.live.workspace)))
