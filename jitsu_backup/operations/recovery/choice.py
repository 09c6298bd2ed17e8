"""Choose the archives that a recovery uses, from their names, their sources and the workspaces of the target; no I/O."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from jitsu_backup.archive import (
    INCOMPLETE,
    OPERATOR,
    SHRUNK,
    UNCOMPARED,
    WEAKER,
    ArchiveName,
    safe_text,
    source_mark,
)
from jitsu_backup.errors import IncompleteError, IntegrityError, SeveralConsolesError, UsageError
from jitsu_backup.model import Source, plural, shown_time, some_of
from jitsu_backup.operations.recovery.values import LeftOut, PassedOver
from jitsu_backup.store import better_than_weaker

OLD = timedelta(days=2)
"""An archive that is older than the newest of a recovery by more than this is reported as old."""

_MOST_NAMED = 10
_FROM_A_COPY = "nothing can open it; get the file from a copy of the store, and check it with `verify`"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A workspace with backups in a store: the usable archives, newest first, and a newer one that is not usable.

    `others` are its other backups, and `aside` what restores and clones have set aside, both newest first.
    `later` are all from after the given time.
    """

    workspace_id: str
    slug: str
    archives: tuple[ArchiveName, ...]
    passed_over: tuple[PassedOver, ...] = ()
    others: tuple[ArchiveName, ...] = ()
    aside: tuple[ArchiveName, ...] = ()
    later: tuple[ArchiveName, ...] = ()

    def belongs_to(self, name: str) -> bool:
        """Return whether `name` may be the id or the slug of the workspace; only its archive can say that for certain."""
        return safe_text(name) in (self.workspace_id, self.slug)


@dataclass(frozen=True, slots=True)
class Opened:
    """The archive that is used for a workspace, and the workspace as it describes it; `created_at` is the console's text."""

    archive: ArchiveName
    source: Source
    created_at: str | None = None

    @property
    def slug(self) -> str:
        """The slug of the workspace, or its id if it had none."""
        return self.source.slug or self.source.workspace_id

    def belongs_to(self, name: str) -> bool:
        """Return whether `name` is the id or the slug of the workspace."""
        return name in (self.source.workspace_id, self.source.slug, self.archive.workspace_id)


@dataclass(frozen=True, slots=True)
class Living:
    """A workspace that exists on the target console; `created_at` is the console's text."""

    id: str
    slug: str | None = None
    created_at: str | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is recovered, and what is left out.

    `successors` maps the id of a recovered workspace to the id of the workspace that an earlier recovery created for it.
    Both ids are spelled as in file names. `of_others` exist on the target, and are left out because their archive is of
    another console than `host`.
    """

    host: str
    kept: tuple[Opened, ...]
    left_out: tuple[LeftOut, ...] = ()
    successors: Mapping[str, str] | None = None
    of_others: tuple[Opened, ...] = ()


def candidates(known: Iterable[ArchiveName], now: datetime, at: datetime | None = None) -> list[Candidate]:
    """Return the workspaces with backups in a store, sorted by slug and id; archives newer than `at` are ignored.

    Usable archives are complete and raised no alarm. Archives that were not compared with an earlier one are used only if
    there are no others. Archives read with a weaker key are used if no other key read one, or after one was accepted.
    """
    own: dict[str, list[ArchiveName]] = defaultdict(list)
    later: dict[str, list[ArchiveName]] = defaultdict(list)
    for archive in known:
        if not archive.is_from_the_future(now):
            late = at is not None and archive.taken_at > at
            (later if late else own)[archive.workspace_id].append(archive)
    found = (
        replace(_candidate(members), later=tuple(later[workspace_id]))
        for workspace_id, members in own.items()
        if not all(archive.set_aside for archive in members)
    )
    return sorted(found, key=lambda one: (one.slug, one.workspace_id))


def _candidate(own: list[ArchiveName]) -> Candidate:
    own.sort(key=lambda archive: archive.sort_key, reverse=True)
    members = [archive for archive in own if not archive.set_aside]
    aside = tuple(archive for archive in own if archive.set_aside)
    kept = list(filter(is_whole, members))
    compared = [archive for archive in kept if UNCOMPARED not in archive.marks]
    kept = compared or kept
    if better_than_weaker(kept) is not None:
        kept = [archive for archive in kept if archive.key_class != WEAKER]
    newest = members[0]
    passed_over = () if kept and kept[0] == newest else (not_used(newest),)
    used = set(map(id, kept))
    others = tuple(archive for archive in members if id(archive) not in used)
    return Candidate(newest.workspace_id, newest.slug, tuple(kept), passed_over, others, aside)


def with_secrets(used: ArchiveName, candidate: Candidate) -> ArchiveName | None:
    """Return the newest whole archive before the one `used` that the operator's token read, None if it read that one too."""
    if used.key_class == OPERATOR:
        return None
    older = (one for one in candidate.archives if one.key_class == OPERATOR and one.sort_key < used.sort_key)
    return next(older, None)


def is_whole(archive: ArchiveName) -> bool:
    """Return whether an archive is complete and raised no alarm."""
    return archive.complete and SHRUNK not in archive.marks


def not_used(archive: ArchiveName) -> PassedOver:
    """Return why an archive that is not among the usable ones is not used."""
    return PassedOver(archive, *_why_not(archive))


def _why_not(archive: ArchiveName) -> tuple[str, int]:
    if archive.damaged:
        return f"it is damaged: {archive.remains}", IntegrityError.exit_code
    if INCOMPLETE in archive.marks:
        why = "it is incomplete"
    elif SHRUNK in archive.marks:
        return "many entities are missing", 0  # a loss like that is what a recovery is for
    elif archive.key_class == WEAKER:
        why = "it was read with a weaker key and has fewer secrets"
    else:
        why = "it could not be compared with an earlier one"
    return why, IncompleteError.exit_code


def without_whole(candidate: Candidate) -> LeftOut:
    """Return the report of a workspace without any usable archive in the store."""
    past = candidate.passed_over[0]
    anyway = _FROM_A_COPY if past.archive.damaged else "to use it anyway, `restore` it by its id"
    if len(candidate.others) > 1:
        anyway += "; `snapshots` lists its older ones"
    the = "the newest" if len(candidate.others) > 1 else "the only one"
    why = (
        f"the store has no complete archive of it; {the}, {past.archive.reference} of"
        f" {shown_time(past.archive.taken_at)}, was not used: {past.why}; {anyway}"
    )
    return LeftOut(candidate.workspace_id, candidate.slug, why, past.exit_code or IncompleteError.exit_code)


def in_store(slugs: Iterable[str]) -> str:
    """Return in words which workspaces a store has."""
    return f"it has {some_of(sorted(set(slugs)), _MOST_NAMED) or 'none'}"


def worth_opening(found: Sequence[Candidate], names: Collection[str]) -> list[Candidate]:
    """Return the candidates that `names` may mean, and others with the same slug, because only their content tells them apart."""
    if not names:
        return list(found)
    named = [one for one in found if any(map(one.belongs_to, names))]
    slugs = {one.slug for one in named}
    return [one for one in found if one in named or one.slug in slugs]


def choose(
    opened: Iterable[Opened],
    known: Collection[ArchiveName],
    living: Iterable[Living],
    *,
    from_host: str | None = None,
    names: Collection[str] = (),
    gone: Collection[str] = (),
    unreadable: Collection[str] = (),
    elsewhere: Iterable[Opened] = (),
    target_host: str = "",
) -> Chosen:
    """Return which of the `opened` workspaces are recovered; `known` are all archives of the store.

    `unreadable` are the ids and slugs of workspaces whose archives could not be opened, and `elsewhere` older archives of
    `opened` workspaces from other consoles. If nothing is lost, each workspace is recovered, whichever console its archive is
    of. Otherwise the lost workspaces decide the console. Workspaces that `gone` names, or that `names` does not, do not count.

    A workspace that was itself recovered from another one is the target of that one as long as it exists; once it is lost
    too, it replaces that one. Among several workspaces with the same slug, the one that exists keeps it, or else the one
    with the newest archive. Raise UsageError for names that match nothing, if workspaces of several consoles are lost, and if
    a workspace that exists has archives of the lost console and newer ones of another.
    """
    there = {one.id: one for one in living}
    by_id = sorted(opened, key=lambda one: (one.slug, one.source.workspace_id))
    consoles = _hosts([*by_id, *elsewhere], "named workspace" if names else "workspace")
    not_named: list[Opened] = []
    if from_host is not None:
        by_id, not_named = _of_named_host(by_id, from_host, consoles, unreadable)
    sources, successors, left_out = _without_recoveries(by_id, known, there)
    slugs = {one.slug for one in there.values()}
    heirs = successors_of(by_id, known)
    sources, missing = _named(
        sources,
        names,
        lambda one: _is_gone(
            one, gone, by_slug=one.archive.workspace_id not in heirs and one.slug not in slugs
        ),
        unreadable,
    )
    host, sources, living_elsewhere = _of_one_host(sources, there, consoles, target_host, elsewhere)
    kept, clashing = _one_for_each_slug(sources, there, names)
    targets, slugs = set(successors.values()), {one.slug for one in kept}
    not_needed = [
        one
        for one in not_named
        if one.archive.workspace_id in targets or (lives(one, there) and one.slug in slugs)
    ]
    not_named = [one for one in not_named if one not in not_needed]
    of_others = [_of_another(one, target_host) for one in (*not_named, *living_elsewhere)]
    return Chosen(
        host, tuple(kept), (*of_others, *left_out, *missing, *clashing), successors, tuple(living_elsewhere)
    )


def lives(one: Opened, there: Mapping[str, Living]) -> bool:
    """Return whether a workspace exists on the target. Another workspace that only has the same id does not count."""
    found = there.get(one.source.workspace_id)
    if found is None:
        return False
    return not (one.created_at and found.created_at) or one.created_at == found.created_at


def successors_of(
    opened: Iterable[Opened], known: Iterable[ArchiveName]
) -> dict[str, tuple[Opened, datetime | None]]:
    """Return for each recovered workspace, by its id, its source and when its recovery was complete, None if it is not.

    The names of records and intents show this. Those of clones do not count: a clone has another slug than its source.
    """
    by_mark = {source_mark(one.source.host, one.source.workspace_id): one for one in opened}
    found: dict[str, tuple[Opened, datetime | None]] = {}
    for archive in sorted(known, key=lambda archive: archive.sort_key):
        source = by_mark.get(archive.cloned_from or "")
        if source is None or archive.workspace_id == source.archive.workspace_id:
            continue  # restored in place, or its source is not among `opened`
        if archive.slug == source.archive.slug:
            _, whole = found.get(archive.workspace_id, (source, None))
            ended = None if archive.is_intent else archive.taken_at
            found[archive.workspace_id] = (
                source,
                whole or ended,
            )  # the first record counts; later runs add more
    return found


def _without_recoveries(
    opened: list[Opened], known: Collection[ArchiveName], there: Mapping[str, Living]
) -> tuple[list[Opened], dict[str, str], list[LeftOut]]:
    """Return the sources, the targets that earlier recoveries created for them, and the superseded sources."""
    made = successors_of(opened, known)
    alive = {safe_text(one) for one in there}
    own = {one.archive.workspace_id for one in opened if lives(one, there)}
    filled = {a.workspace_id for a in known if not a.set_aside and a.total != 0}
    slugs = {one.slug for one in opened if one.archive.workspace_id not in own}
    successors: dict[str, str] = {}
    dropped: dict[str, str] = {}  # id as in file names → why, "" if it is not reported
    for target, (source, _) in made.items():
        if source.archive.workspace_id in own:
            continue  # the source exists, so it is no longer recovered into the other workspace
        if target in alive:
            successors[source.archive.workspace_id] = target
            dropped[target] = ""
    for one in opened:
        mine = one.archive.workspace_id
        if mine in own and mine not in filled and one.slug in slugs:
            dropped[mine] = ""  # created, and backed up while it was still empty
        if mine in made and mine not in alive:
            source, whole = made[mine]
            if whole is None or one.archive.taken_at <= whole:
                dropped[mine] = ""  # its recovery was not complete yet
            elif source.archive.workspace_id not in own:
                dropped[source.archive.workspace_id] = (
                    f"it was recovered as {one.source.workspace_id}, which is newer"
                )
    kept = [one for one in opened if one.archive.workspace_id not in dropped]
    left_out = [_left_out(one, why) for one in opened if (why := dropped.get(one.archive.workspace_id))]
    return kept, successors, left_out


def _left_out(one: Opened, why: str, exit_code: int = 0) -> LeftOut:
    return LeftOut(one.source.workspace_id, one.slug, why, exit_code)


def _of_named_host(
    opened: list[Opened], named: str, consoles: str, unreadable: Collection[str]
) -> tuple[list[Opened], list[Opened]]:
    """Return the workspaces of the console that a person named, and those of other consoles.

    `consoles` are those of the store, in words. Raise UsageError if the name matches none or several, unless no archive could
    be read, which is reported by itself.
    """
    kept = [one for one in opened if same_host(one.source.host, named)]
    if opened and not kept:
        besides = "; the consoles of other workspaces are unknown, because their archives cannot be read"
        raise UsageError(
            f"the store has no archive of the console {named}; it has: {consoles}{besides if unreadable else ''}"
        )
    if len({one.source.host for one in kept}) > 1:
        raise UsageError(f"--from {named} matches several consoles; give the whole address: {_hosts(kept)}")
    return kept, [one for one in opened if one not in kept]


def _of_another(one: Opened, target_host: str) -> LeftOut:
    which = "the console that is written into" if one.source.host == target_host else "another console"
    return _left_out(one, f"archives are of {which}, {one.source.host}")


def _of_one_host(
    sources: list[Opened],
    there: Mapping[str, Living],
    consoles: str,
    target_host: str,
    elsewhere: Iterable[Opened],
) -> tuple[str, list[Opened], list[Opened]]:
    """Return the console to recover, its workspaces, and those of other consoles, which exist on the target.

    `consoles` are those of the store, in words. Raise UsageError if lost workspaces belong to several consoles, or if
    `elsewhere` has an older archive of the lost console, which is not empty, for a workspace that exists.
    """
    newest = max(sources, key=lambda one: one.archive.sort_key, default=None)
    if newest is None:
        return "", [], []
    lost = {one.source.host for one in sources if not lives(one, there)}
    if not lost:
        written_into = any(one.source.host == target_host for one in sources)
        return target_host if written_into else newest.source.host, sources, []
    others = [one for one in sources if one.source.host not in lost]
    ids = {one.archive.workspace_id for one in others}
    older = (one.archive for one in elsewhere if one.source.host in lost)
    disputed = any(
        one.workspace_id in ids and one.total != 0 for one in older
    )  # an empty one restores nothing
    if len(lost) > 1 or disputed:
        problem = SeveralConsolesError(
            f"the store has archives of several consoles: {consoles}; choose one with --from HOST"
        )
        missing = (one for one in sources if one.source.host in lost)
        problem.newest = max(missing, key=lambda one: one.archive.sort_key).source.host
        raise problem
    (host,) = lost
    return host, [one for one in sources if one.source.host == host], others


def same_host(host: str, named: str) -> bool:
    """Return whether `named` matches a console by its address, its host with the port, or its host alone."""
    address, wanted = urlsplit(host.lower()), urlsplit(_with_slashes(named.strip().rstrip("/").lower()))
    try:
        port, wanted_port = address.port, wanted.port
    except ValueError:
        return False
    if wanted.scheme:
        wanted_port = wanted_port or _PORTS.get(wanted.scheme)
    return (
        address.hostname == wanted.hostname
        and wanted.scheme in ("", address.scheme)
        and wanted_port in (None, port or _PORTS.get(address.scheme))
        and (wanted.path or ("" if wanted.scheme else address.path)) == address.path
    )


_PORTS = {"http": 80, "https": 443}


def _with_slashes(named: str) -> str:
    return named if "://" in named else f"//{named}"


def _hosts(sources: Iterable[Opened], counted: str = "workspace") -> str:
    """Return the consoles of some workspaces, each with how many of them it has, and with its newest archive."""
    own: dict[str, list[Opened]] = defaultdict(list)
    for one in sources:
        own[one.source.host].append(one)
    hosts = []
    for host, members in sorted(own.items()):
        newest = max(one.archive.taken_at for one in members)
        hosts.append(f"{host} ({plural(len(members), counted)}, the newest archive of {shown_time(newest)})")
    return some_of(hosts, 5, "; ") or "none"


def _is_gone(one: Opened, gone: Collection[str], *, by_slug: bool) -> bool:
    """Return whether a workspace was deleted on purpose.

    Its slug only counts if `by_slug`: if an existing workspace has that slug, or this one was itself recovered from one that
    had it, the slug means the other one.
    """
    if by_slug:
        return any(map(one.belongs_to, gone))
    return not {one.source.workspace_id, one.archive.workspace_id}.isdisjoint(gone)


def _named(
    sources: list[Opened],
    names: Collection[str],
    is_gone: Callable[[Opened], bool],
    unreadable: Collection[str],
) -> tuple[list[Opened], list[LeftOut]]:
    """Return the workspaces to recover, and those deleted on purpose. Raise UsageError for a name that matches nothing."""
    for name in names:
        if not (name in unreadable or any(one.belongs_to(name) for one in sources)):
            there = in_store(one.slug for one in sources)
            raise UsageError(f"the store has no workspace {name!r} of this console; {there}")
    if names:
        return [one for one in sources if any(map(one.belongs_to, names))], []
    out = [one for one in sources if is_gone(one)]
    why = "it was deleted on purpose, according to the settings (allow_unseen)"
    return [one for one in sources if one not in out], [_left_out(one, why) for one in out]


def _one_for_each_slug(
    sources: list[Opened], there: Mapping[str, Living], names: Collection[str]
) -> tuple[list[Opened], list[LeftOut]]:
    """Return one workspace for each slug, with all that are named by id, and the workspaces left out because of that."""
    by_slug: dict[str, list[Opened]] = defaultdict(list)
    for one in sources:
        by_slug[one.slug].append(one)
    kept, out = [], []
    for slug, members in by_slug.items():
        by_id = [one for one in members if one.source.workspace_id in names]
        first, *others = by_id or sorted(
            members, key=lambda one: (lives(one, there), one.archive.sort_key), reverse=True
        )
        kept += [first, *(others if by_id else ())]
        if by_id:
            continue
        why = f"its slug now belongs to {first.source.workspace_id}; to recover it anyway, add --workspace ID"
        out += [
            _left_out(one, f"{slug}: {why}", IncompleteError.exit_code)
            for one in others
            if not lives(one, there)
        ]
        kept += [one for one in others if lives(one, there)]
    return sorted(kept, key=lambda one: (one.slug, one.source.workspace_id)), out
