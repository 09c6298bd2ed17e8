"""Plan the recovery of a console: what would be done for each workspace of the store. Nothing is written."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from jitsu_backup.archive import ArchiveName
from jitsu_backup.console import gather
from jitsu_backup.console.console_info import read_console_info
from jitsu_backup.console.own_user import own_email
from jitsu_backup.console.workspaces import Workspace, workspaces
from jitsu_backup.errors import (
    BackupError,
    BlockedError,
    ConsoleError,
    KeyRejectedError,
    UnreachableError,
    UsageError,
    WrongAddressError,
)
from jitsu_backup.events import Progress, Reporter, silent
from jitsu_backup.model import nearest, quoted, shown_time, some_of
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.recovery.beside import members_to_invite
from jitsu_backup.operations.recovery.choice import (
    OLD,
    Candidate,
    Chosen,
    Living,
    candidates,
    choose,
    in_store,
    lives,
    successors_of,
    worth_opening,
)
from jitsu_backup.operations.recovery.claims import settle_claims, with_taken_ids
from jitsu_backup.operations.recovery.making import OTHER
from jitsu_backup.operations.recovery.newer import decided
from jitsu_backup.operations.recovery.opening import Taken, newest_elsewhere, open_all, other_hosts
from jitsu_backup.operations.recovery.target import (
    Planner,
    find_living,
    left_different,
    living,
    with_holders,
    with_newer,
)
from jitsu_backup.operations.recovery.values import (
    LeftOut,
    Member,
    RecoveryJob,
    RecoveryPlan,
    WorkspaceRecovery,
)
from jitsu_backup.planning import Overlay, PlanOptions, Since
from jitsu_backup.store import Store, archives, exists, of_workspace

AT_ONCE = 4
"""How many targets are read at the same time."""


async def plan_recovery(
    job: RecoveryJob,
    store: Store,
    keys: ArchiveKeys,
    report: Reporter = silent,
    *,
    now: Callable[[], datetime],
) -> RecoveryPlan:
    """Read the store and the console, and plan the recovery of every workspace of the job; write nothing.

    What prevents the recovery of one workspace is its `problem` and does not affect the others. Raise UsageError if the job
    names nothing that the store has, or the store has archives of several consoles; BackupError or AccessError if the store
    or the console cannot be read.
    """
    if job.options.prune or job.options.recreate:
        raise UsageError(
            "a recovery deletes nothing; use `restore --prune` or `restore --recreate` for one workspace"
        )
    if job.over_existing:  # then the archive overrides the target's own changes
        job = replace(job, options=replace(job.options, take=("source", *job.options.take)))
    listed = await list_archives(job, store, now=now)
    async with opened(job, store, keys, report, now) as (planner, there):
        choice = await choose_archives(job, listed, store, keys, report, living(there))
        with _nothing_written():
            return await plan_choice(choice, planner, there, report)


@contextmanager
def _nothing_written(first: RecoveryJob | None = None) -> Iterator[None]:
    """Say in the error of a console that fails, or rejects the key, that nothing was written yet, and what to do.

    `first` is the job if these are its first requests: then the address may be that of the lost console.
    """
    try:
        yield
    except WrongAddressError:
        raise
    except UnreachableError as failure:
        if first is None:
            raise failure.with_remedy("nothing was written; run the same command again") from None
        named = f"{first.named_by} names this console; " if first.named_by else ""
        raise failure.with_remedy(
            f"nothing was written; {named}if it is the lost one, name the new one with JITSU_HOST or --host; else check the"
            " address, and whether the console runs"
        ) from None
    except ConsoleError as failure:
        raise failure.with_remedy("nothing was written; run the same command again") from None
    except KeyRejectedError as refusal:
        remedy = f"nothing was written; give a valid key, and run the same command again; {refusal.new_key}"
        raise refusal.with_remedy(remedy) from None


@dataclass(frozen=True, slots=True)
class Listed:
    """The content of a store: the names of all its archives, the workspaces with backups, and those that the job names."""

    known: Sequence[ArchiveName]
    backed_up: Sequence[Candidate]
    found: Sequence[Candidate]


@dataclass(frozen=True, slots=True)
class Choice:
    """The opened archives to use, in the order in which their workspaces are started, and what is left out.

    `overlays` are the overlays of single workspaces, `members_before` their members before an earlier recovery. Both are
    keyed by workspace id as spelled in file names. `other_hosts` are consoles of archives that are not used. `undone` are the
    backups from before the last undo of a workspace, by its id. `of_others` exist on the target, and are left out because
    their archives are of another console. `made` are the newest archives of what earlier recoveries created, by its id.
    """

    chosen: Chosen
    kept: tuple[Taken, ...]
    left_out: tuple[LeftOut, ...] = ()
    overlays: Mapping[str, Overlay] = field(default_factory=dict, repr=False)
    members_before: Mapping[str, tuple[Member, ...]] = field(default_factory=dict, repr=False)
    other_hosts: tuple[str, ...] = ()
    undone: Mapping[str, ArchiveName] = field(default_factory=dict)
    of_others: tuple[Taken, ...] = ()
    made: Mapping[str, ArchiveName] = field(default_factory=dict)


async def list_archives(job: RecoveryJob, store: Store, *, now: Callable[[], datetime]) -> Listed:
    """List a store. Raise UsageError if it has no archive for the job, BackupError, AccessError."""
    known = await archives(store)
    backed_up = candidates(known, now(), job.at)
    found = worth_opening(backed_up, job.workspaces)
    if not known:
        missing = "" if exists(store) else ", because the folder does not exist"
        raise BackupError(
            f"the store '{store.url}' has no archive{missing}; name the store with --store or JITSU_BACKUP_STORE"
        )
    if not found:
        raise UsageError(_nothing(store, job, candidates(known, now())))
    return Listed(known, backed_up, found)


async def choose_archives(
    job: RecoveryJob,
    listed: Listed,
    store: Store,
    keys: ArchiveKeys,
    report: Reporter,
    there: Iterable[Living] = (),
) -> Choice:
    """Open the archives for a job; `there` are the workspaces on the target. Raise UsageError as `plan_recovery` does."""
    by_id = {one.id: one for one in there}
    taken, unreadable = await open_all(
        listed.found, store, keys, report, from_host=job.from_host, there=by_id
    )
    taken, waiting = _certain(job, listed.found, taken, unreadable, by_id)
    unreadable += waiting
    chosen_with = partial(
        choose, known=listed.known, living=by_id.values(), from_host=job.from_host, names=job.workspaces, gone=job.gone,
        unreadable={name for one in unreadable for name in (one.workspace_id, one.slug)},
        target_host=job.target.host,
    )  # fmt: skip
    openings = [one.opened for one in taken]
    try:
        chosen = chosen_with(openings)
        of_others = tuple(one for one in taken if one.opened in chosen.of_others)
        if of_others:
            elsewhere = await newest_elsewhere(listed.found, of_others, store, keys)
            chosen = chosen_with(openings, elsewhere=elsewhere)
    except UsageError:  # it may count the workspaces of each console
        elsewhere = await newest_elsewhere(listed.found, taken, store, keys)
        chosen = chosen_with(openings, elsewhere=elsewhere)
    left_out = sorted((*chosen.left_out, *unreadable), key=lambda one: one.slug)
    _check_names(job, listed, taken)
    kept = _in_order(job, chosen, taken)
    before = _members_before(listed.known, taken)
    others = {one.source.host for one in chosen.kept} - {chosen.host}
    if job.from_host is None and chosen.host == job.target.host:
        others |= await other_hosts(chosen.host, listed.found, taken, store, keys)
    heirs = (chosen.successors or {}).values()
    newer = (archive for one in taken if (archive := one.opened.archive).workspace_id in heirs)
    made = {archive.workspace_id: archive for archive in newer if archive.total != 0}
    overlays = _overlays(job, listed.known, taken)
    undos = (one for one in sorted(listed.known, key=lambda one: one.sort_key) if one.undoes is not None)
    undone = {one.workspace_id: one for one in undos}
    besides = tuple(sorted(others))
    return Choice(chosen, tuple(kept), tuple(left_out), overlays, before, besides, undone, of_others, made)


def _certain(
    job: RecoveryJob,
    found: Iterable[Candidate],
    taken: Sequence[Taken],
    unreadable: Iterable[LeftOut],
    there: Mapping[str, Living],
) -> tuple[list[Taken], list[LeftOut]]:
    """Return the archives to choose from, and the workspaces that wait for a newer one of the same slug that cannot be read now.

    A workspace that exists, or is named by its id, does not wait.
    """
    newest = {
        one.workspace_id: archive.sort_key for one in found for archive in (*one.archives, *one.others)[:1]
    }
    waited_for = (one for one in unreadable if one.later)
    later = {one.slug: one for one in sorted(waited_for, key=lambda one: newest[one.workspace_id])}
    kept: list[Taken] = []
    waiting: list[LeftOut] = []
    for one in taken:
        other, mine = later.get(one.opened.archive.slug), one.opened.source.workspace_id
        older = other is not None and newest[other.workspace_id] > one.opened.archive.sort_key
        if other is None or not older or mine in job.workspaces or lives(one.opened, there):
            kept.append(one)
        else:
            why = (
                f"workspace {other.workspace_id} has the same slug, and its newer archive cannot be read now; to recover this"
                f" one, add --workspace {mine}"
            )
            waiting.append(LeftOut(mine, one.opened.slug, why, other.exit_code, later=True, waits=True))
    return kept, waiting


async def plan_choice(
    choice: Choice, planner: Planner, listed: Sequence[Workspace], report: Reporter
) -> RecoveryPlan:
    """Plan the recovery of the chosen archives; `listed` are the workspaces of the target console."""
    job, kept = planner.job, choice.kept
    there = {one.id: one for one in living(listed)}
    targets = _targets(kept, choice.chosen, there, job)
    limited = planner.console.is_limited
    made_limited = limited
    if None in targets:
        made_limited, planner.owner = await _look_at_maker(planner)
    begun = [_begin(one, job, choice) for one in kept]
    begun = [_guarded(*pair, job) for pair in zip(begun, targets, strict=True)]
    claim_order = sorted(
        range(len(kept)), key=lambda n: _claim_rank(targets[n], own=lives(kept[n].opened, there))
    )
    clashes, claimed = settle_claims([kept[n].snapshot for n in claim_order])
    called = [_called(kept[n], targets[n]) for n in claim_order]
    for n, taken_away in zip(claim_order, claimed, strict=True):
        beside = {
            key: frozenset(name for other in others for name in called[other])
            for key, others in taken_away.keys_beside.items()
        }
        options = replace(
            begun[n].plan_options,
            domains_elsewhere=taken_away.domains,
            keys_elsewhere=taken_away.key_ids,
            keys_beside=beside,
        )
        begun[n] = replace(begun[n], plan_options=options)
    planned = await _plan_all(planner, begun, targets, listed, report)
    planned = with_holders(with_taken_ids(planned, planner.neighbours.ids))
    planned = [decided(with_newer(one, choice.made)) for one in planned]
    planned = await gather(*(planner.with_deleted_ids(one, choice.undone) for one in planned))
    left_out = await _compared(choice, planner, there)
    return RecoveryPlan(
        choice.chosen.host, planner.console.host, tuple(planned), left_out, clashes,
        limited=limited, made_limited=made_limited, other_hosts=choice.other_hosts,
    )  # fmt: skip


async def _compared(choice: Choice, planner: Planner, there: Mapping[str, Living]) -> tuple[LeftOut, ...]:
    """Return what is left out; workspaces of other consoles that exist are compared with their newest archives."""
    targets = [there[one.opened.source.workspace_id] for one in choice.of_others]
    options = PlanOptions(since=Since.RECOVERY)
    begun = (
        WorkspaceRecovery(one.opened.archive, one.snapshot, plan_options=options) for one in choice.of_others
    )
    begun = (_guarded(*pair, planner.job) for pair in zip(begun, targets, strict=True))
    planned = await _plan_all(planner, list(begun), targets, (), silent)
    differing = {one.workspace_id: told for one in planned if (told := left_different(one)) is not None}
    return tuple(differing.get(one.workspace_id, one) for one in choice.left_out)


@asynccontextmanager
async def opened(
    job: RecoveryJob, store: Store, keys: ArchiveKeys, report: Reporter, now: Callable[[], datetime]
) -> AsyncIterator[tuple[Planner, tuple[Workspace, ...]]]:
    """Open the target console; yield a Planner for it and the workspaces that it lists. Raise ConsoleError, AccessError."""
    async with job.target.open() as console:
        with _nothing_written(job):
            info = await read_console_info(console)
            listed = await workspaces(console)
        yield Planner(console, job, store, keys, now, report, info), listed.found


async def _look_at_maker(planner: Planner) -> tuple[bool, str | None]:
    """Return whether the key that creates workspaces has rate limits, and its user's e-mail address.

    That user becomes a member. Raise AccessError if the console rejects the key.
    """
    maker = planner.job.maker
    if maker is None:
        return planner.console.is_limited, await own_email(planner.console)
    async with maker.open() as console:
        await workspaces(console)
        return console.is_limited, await own_email(console)


def _nothing(store: Store, job: RecoveryJob, ever: Sequence[Candidate]) -> str:
    """Return that a store has no archive for a job; `ever` are the workspaces that it has backups of, from any time."""
    named = f" of {some_of(list(map(quoted, job.workspaces)), 5)}" if job.workspaces else ""
    none = f"the store '{store.url}' has no backup{named}"
    times = [
        archive.taken_at
        for one in worth_opening(ever, job.workspaces)
        for archive in (*one.archives, *one.others)
    ]
    if job.at is not None and times:
        oldest = shown_time(min(times))
        return f"{none} from before {shown_time(job.at)}; the oldest is of {oldest}; give a later --at"
    if not ever:
        return f"{none}; name another with --store"
    slugs = {one.slug for one in ever}
    return f"{none}; {in_store(slugs)}" + "".join(nearest(name, slugs) for name in job.workspaces[:1])


def _check_names(job: RecoveryJob, listed: Listed, taken: Sequence[Taken]) -> None:
    """Raise UsageError for names of --first and --into that are not among the workspaces to recover."""
    for flag, names in {"--first": job.first, "--into": tuple(job.into)}.items():
        for name in names:
            opened = any(one.opened.belongs_to(name) for one in taken)
            if opened or any(one.belongs_to(name) for one in listed.found):
                continue
            if any(one.belongs_to(name) for one in listed.backed_up):
                raise UsageError(
                    f"{flag} names {name!r}, which --workspace leaves out; omit this {flag}, or add --workspace {name}"
                )
            there = in_store(one.slug for one in listed.backed_up)
            raise UsageError(f"{flag} names {name!r}, but the store has no such workspace; {there}")


def _in_order(job: RecoveryJob, chosen: Chosen, taken: Sequence[Taken]) -> list[Taken]:
    """Return the archives to use, in the order of their workspaces."""
    kept = [one for one in taken if one.opened in chosen.kept]
    rank = {name: number for number, name in reversed(list(enumerate(job.first)))}

    def order(one: Taken) -> tuple[int, str, str]:
        source = one.opened.source
        first = min(rank.get(source.workspace_id, len(rank)), rank.get(source.slug or "", len(rank)))
        return first, one.opened.slug, source.workspace_id

    return sorted(kept, key=order)


def _targets(
    kept: Sequence[Taken], chosen: Chosen, there: dict[str, Living], job: RecoveryJob
) -> list[Living | BackupError | None]:
    """Return the target of each workspace: an existing one, None for one to create, or why there is none. Raise UsageError."""
    targets: list[Living | BackupError | None] = []
    used: dict[str, str] = {}
    own = {one.opened.source.workspace_id for one in kept if lives(one.opened, there)}
    for one in kept:
        mine = one.opened.source.workspace_id
        found = find_living(one.opened, there, chosen.successors or {}, job.into)
        if found is not None and found.id in own - {mine}:
            taken = f"its slug now belongs to {found.id}, which is itself being recovered"
            targets.append(_into_another(one, taken))
            continue
        if found is not None and found.id in used:
            taken = f"{found.slug or found.id} is already the target of {used[found.id]}"
            targets.append(_into_another(one, taken))
            continue
        if found is not None:
            used[found.id] = one.opened.slug
        targets.append(found)
    return targets


def _into_another(one: Taken, why: str) -> BlockedError:
    """Return the error for a workspace whose target is that of another one."""
    into = f"{one.opened.slug}={OTHER}"
    return BlockedError(f"{why}; name another target with --into {into}").with_flags("--into", into)


def _claim_rank(target: Living | BackupError | None, *, own: bool) -> tuple[int, str]:
    """Return the sort key of claims: workspaces that were never lost come first, then recovered ones by creation time."""
    if own:
        return 0, ""
    return (1, target.created_at or "") if isinstance(target, Living) else (2, "")


def _guarded(
    workspace: WorkspaceRecovery, target: Living | BackupError | None, job: RecoveryJob
) -> WorkspaceRecovery:
    """Return a workspace with the protections that the settings have under its own names or those of its target."""
    names = {workspace.workspace_id, workspace.slug}
    names |= {target.id, target.slug or target.id} if isinstance(target, Living) else set()
    return replace(workspace, plan_options=job.guarded(workspace.plan_options, names))


def _called(one: Taken, target: Living | BackupError | None) -> tuple[str, ...]:
    """Return the names of a workspace on the target console. One that must be created keeps its slug."""
    if isinstance(target, BackupError):
        return ()
    return (one.opened.slug,) if target is None else tuple(filter(None, (target.id, target.slug)))


def _overlays(job: RecoveryJob, known: Collection[ArchiveName], taken: Sequence[Taken]) -> dict[str, Overlay]:
    """Return the overlays of the job by workspace id, spelled as in file names.

    A name means the workspace that has it now, or else one that had it earlier. Raise UsageError for a name that no
    workspace ever had, and if two different overlays are for the same workspace.
    """
    found: dict[str, tuple[str, Overlay]] = {}
    for name, overlay in job.overlays.items():
        ids = {one.opened.archive.workspace_id for one in taken if one.opened.belongs_to(name)}
        ids = ids or {archive.workspace_id for archive in of_workspace(known, name)}
        if not ids:
            there = in_store(archive.slug for archive in known)
            raise UsageError(f"{overlay.called} names {name!r}, but the store has no such workspace; {there}")
        for workspace_id in ids:
            other, theirs = found.setdefault(workspace_id, (name, overlay))
            if theirs != overlay:
                raise UsageError(
                    f"{overlay.called}: {other!r} and {name!r} are the same workspace; use one name for its tables"
                )
    return {workspace_id: overlay for workspace_id, (_, overlay) in found.items()}


def _members_before(known: Collection[ArchiveName], taken: Sequence[Taken]) -> dict[str, tuple[Member, ...]]:
    """Return the members from before earlier recoveries, because a workspace has none after one until people are invited."""
    archives = {one.opened.archive.workspace_id: one for one in taken}
    made = successors_of([one.opened for one in taken], known)
    found: dict[str, tuple[Member, ...]] = {}
    for target in made:
        members, seen, at = dict[str, Member](), {target}, made.get(target)
        while at is not None and at[0].archive.workspace_id not in seen:
            earlier = archives[at[0].archive.workspace_id]
            seen.add(earlier.opened.archive.workspace_id)
            for one in members_to_invite(earlier.snapshot):
                members.setdefault(one.email.lower(), replace(one, as_of=earlier.opened.archive.taken_at))
            at = made.get(earlier.opened.archive.workspace_id)
        found[target] = tuple(members.values())
    return found


def _begin(one: Taken, job: RecoveryJob, choice: Choice) -> WorkspaceRecovery:
    archive = one.opened.archive
    overlay = choice.overlays.get(archive.workspace_id, job.options.overlay)
    newest = max(other.opened.archive.taken_at for other in choice.kept)
    return WorkspaceRecovery(
        archive, one.snapshot, passed_over=one.passed_over, is_old=newest - archive.taken_at > OLD,
        with_secrets=one.with_secrets, plan_options=replace(job.options, overlay=overlay, since=Since.RECOVERY),
        members_before=choice.members_before.get(archive.workspace_id, ()), later=one.later,
    )  # fmt: skip


async def _plan_all(
    planner: Planner,
    begun: list[WorkspaceRecovery],
    targets: Sequence[Living | BackupError | None],
    listed: Sequence[Workspace],
    report: Reporter,
) -> list[WorkspaceRecovery]:
    """Plan existing workspaces first, because they show what the console supports in workspaces to create."""
    planned = dict[int, WorkspaceRecovery]()

    async def plan(numbers: list[int]) -> None:
        waiting = iter(numbers)

        async def worker() -> None:
            for number in waiting:
                target = targets[number]
                if isinstance(target, BackupError):
                    planned[number] = replace(begun[number], problem=target)
                else:
                    planned[number] = await planner.plan(begun[number], target)
                report(Progress("planning", len(planned), len(begun)))

        await gather(*(worker() for _ in range(min(AT_ONCE, len(numbers)))))

    await plan([number for number, target in enumerate(targets) if target is not None])
    missing = [number for number, target in enumerate(targets) if target is None]
    if missing and planner.kind is None and listed:
        await planner.look_at(listed[0])
    await plan(missing)
    return [planned[number] for number in range(len(begun))]
