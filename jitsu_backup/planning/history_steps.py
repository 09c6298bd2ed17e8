"""Build the steps of a history from what each archive shows: lineages over time, and the way back of each change."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from jitsu_backup.archive import ArchiveName
from jitsu_backup.catalogue import (
    Selector,
    entity_names,
    entity_type,
    find_references,
    is_link,
    owned_functions,
)
from jitsu_backup.catalogue.derived_ids import derived_ids
from jitsu_backup.model import Entity, Key, Snapshot
from jitsu_backup.planning.attribution import chosen_passing
from jitsu_backup.planning.changes import ChangeKind, EntityChange
from jitsu_backup.planning.deletions import mostly_gone
from jitsu_backup.planning.history import History, HistoryChange, Passing, Step
from jitsu_backup.planning.succession import Difference

_BUILDER = "profile-builder"


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive archives with the same content, oldest first."""

    archives: tuple[ArchiveName, ...]

    @property
    def id(self) -> str:
        """What identifies their content."""
        return self.archives[0].digest_prefix


@dataclass(frozen=True, slots=True)
class Shown:
    """What changed between a run of archives and the previous one, and the new keys of re-created entities."""

    run: Run
    differences: Sequence[Difference] = ()
    pairs: Mapping[Key, Key] = field(default_factory=dict)


def runs_of(archives: Sequence[ArchiveName]) -> list[Run]:
    """Return the runs of equal content, oldest first, of one workspace's archives, which are given newest first."""
    runs: list[list[ArchiveName]] = []
    for archive in reversed(archives):
        if runs and runs[-1][0].digest_prefix == archive.digest_prefix:
            runs[-1].append(archive)
        else:
            runs.append([archive])
    return [Run(tuple(run)) for run in runs]


def steps_of(shown: Iterable[Shown], newest: Snapshot) -> tuple[tuple[Step, ...], dict[Key, str]]:
    """Return the steps of a history, newest first, and the lineage of each key of `newest`, the state at the end.

    `shown` are in chronological order.
    """
    lineages = _Lineages(newest.manifest.source.workspace_id)
    last: dict[str, ArchiveName] = {}
    found: list[tuple[ArchiveName, ArchiveName, list[tuple[Difference, str]]]] = []
    for one in shown:
        lineages.follow(one)
        by_archive: dict[str, list[tuple[Difference, str]]] = defaultdict(list)
        for difference in one.differences:
            by_archive[difference.since].append((difference, lineages.of(difference.change)))
        new = [(last[since], one.run.archives[0], differences) for since, differences in by_archive.items()]
        found += sorted(new, key=lambda step: step[0].sort_key)
        last[one.run.id] = one.run.archives[-1]
    ways = _WaysBack(newest, lineages)
    steps = tuple(
        Step(before, after, tuple(ways.told(d, lineage, before) for d, lineage in differences))
        for before, after, differences in reversed(found)
    )
    return steps, {entity.key: lineages.at(entity.key) for entity in newest.entities}


class _Lineages:
    """The lineage of each key over time: the text of the first key that an entity had."""

    def __init__(self, workspace_id: str) -> None:
        self._workspace_id = workspace_id
        self._known: dict[Key, str] = {}
        self._by_id: dict[str, str] = {}
        self._heirs: dict[Key, str] = {}
        self._links: dict[tuple[str, ...], str] = {}

    def at(self, key: Key) -> str:
        """Return the lineage of a key."""
        return self._known.get(key, str(key))

    def of(self, change: EntityChange) -> str:
        """Return the lineage of an entity that changed."""
        key = change.after or change.before
        assert key is not None  # noqa: S101  for the type checker
        return self.at(key)

    def follow(self, shown: Shown) -> None:
        """Process what a run of archives shows: re-created, deleted and restored entities."""
        for old, new in shown.pairs.items():
            self._set(new, self.at(old))
        for difference in shown.differences:
            if difference.change.kind is ChangeKind.REMOVED and difference.change.before is not None:
                self._gone(difference.change.before, difference)
        for difference in shown.differences:
            key = difference.change.after
            if difference.change.kind is ChangeKind.ADDED and key is not None:
                back = self._heirs.get(key) or self._links.pop(self._joined(difference), None)
                if back is not None:
                    self._set(key, back)

    def _set(self, key: Key, lineage: str) -> None:
        self._known[key] = lineage
        self._by_id[key.id] = lineage

    def _gone(self, key: Key, difference: Difference) -> None:
        lineage = self.at(key)
        if is_link(key):
            self._links[self._joined(difference)] = lineage
            return
        for one in derived_ids(self._workspace_id, key.type, key.id):
            self._heirs[Key(key.type, one)] = lineage

    def _joined(self, difference: Difference) -> tuple[str, ...]:
        """Return the type of a link and the lineages of its ends; something unique for any other entity."""
        key = difference.change.after or difference.change.before
        if key is None or not is_link(key):
            return (str(key),)
        kind, *both = difference.ends
        return kind, *(self._by_id.get(end, end).rpartition("/")[2] for end in both)


class _WaysBack:
    """The arguments of `restore` that undo each change, in a workspace whose state is `newest`."""

    def __init__(self, newest: Snapshot, lineages: _Lineages) -> None:
        self._newest = newest
        self._by_key = {entity.key: entity for entity in newest.entities}
        self._current = {lineages.at(key): key for key in self._by_key}
        self._owners = {
            Key("function", function): Key(_BUILDER, builder)
            for function, builder in owned_functions(newest.entities)
        }
        self._users = _users(newest.entities)
        self._had = Counter(e.key.type for e in newest.entities if e.body.get("provisioned") is not True)

    def told(self, difference: Difference, lineage: str, before: ArchiveName) -> HistoryChange:
        """Return a change with its way back."""
        change = difference.change
        if change.kind is ChangeKind.ADDED:
            current = self._current.get(lineage)
            arguments = () if current is None else tuple(self._without(current))
        else:
            arguments = ("--only", difference.selector, *(["--with-links"] if difference.joined else []))
        way_back = (before.reference, *arguments) if arguments else ()
        return HistoryChange(change, lineage, difference.selector, way_back=way_back)

    def _without(self, key: Key) -> Iterator[str]:
        """Yield the arguments that delete what was added, and what uses it now."""
        going = self._with_users(key)
        for one in going:
            yield from ("--only", str(one))
        yield "--prune"
        if mostly_gone(self._had, Counter(one.type for one in going)):
            yield "--accept-shrink"

    def _with_users(self, key: Key) -> list[Key]:
        """Return the keys of an entity and of everything that uses it, directly or not; a builder in place of its function."""
        going: dict[Key, None] = {}
        waiting = [key]
        while waiting:
            one = self._owners.get(waiting[0], waiting[0])
            waiting = waiting[1:]
            if one not in going:
                going[one] = None
                waiting += self._users.get(_called(self._by_key[one]), ())
        return list(going)


def _called(entity: Entity) -> str:
    """Return how references refer to an entity: by its id, or by the package of a custom image."""
    return str(entity.body.get("package")) if entity.key.type == "custom-image" else entity.key.id


def _users(entities: Iterable[Entity]) -> Mapping[str, list[Key]]:
    """Return the keys of what refers to each entity, by its id or package in references."""
    found: dict[str, list[Key]] = defaultdict(list)
    for entity in entities:
        table = entity_type(entity.key.type)
        for _, named in () if table.generic else find_references(table.references, entity.body):
            found[named].append(entity.key)
    return found


def narrowed(
    history: History, selectors: Sequence[Selector], since: datetime | None, until: datetime | None
) -> History:
    """Return the part of a history that selectors match, and that may have happened between two times.

    An entity is matched by any of its ids and names. Unreadable archives are kept if they are of that time.
    """
    passing = tuple(one for one in chosen_passing(history.passing, selectors) if _in_span(one, since, until))
    steps = tuple(step for step in history.steps if _in_time(step.before, step.after, since, until))
    unread = tuple((one, why) for one, why in history.unread if _in_time(one, one, since, until))
    if selectors:
        wanted = _chosen(history, selectors)
        steps = tuple(
            replace(step, changes=tuple(c for c in step.changes if c.lineage in wanted)) for step in steps
        )
    return replace(
        history, steps=tuple(step for step in steps if step.changes), unread=unread, passing=passing
    )


def _in_time(before: ArchiveName, after: ArchiveName, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or after.taken_at >= since) and (until is None or before.taken_at < until)


def _in_span(passing: Passing, since: datetime | None, until: datetime | None) -> bool:
    moments = [author.at for author in passing.authors]
    return any((since is None or at >= since) and (until is None or at < until) for at in moments)


def _chosen(history: History, selectors: Sequence[Selector]) -> set[str]:
    """Return the lineages of what the selectors match, and of the builders of functions that they match."""
    names: dict[str, set[tuple[Key, str]]] = defaultdict(set)
    for step in history.steps:
        for one in step.changes:
            keys = [key for key in (one.change.before, one.change.after) if key is not None]
            called = filter(None, (one.change.name, one.change.was))
            names[one.lineage] |= {(key, name) for name in called for key in keys}
    entities = () if history.newest is None else history.newest.entities
    owners = {Key("function", f): Key(_BUILDER, b) for f, b in owned_functions(entities)}
    for key, name in entity_names(entities).items():
        for holder in {key, owners.get(key, key)}:
            names[history.lineages.get(holder, str(holder))].add((key, name))
    return {
        lineage
        for lineage, called in names.items()
        if any(s.matches(Entity(key, {}), name) for s in selectors for key, name in called)
    }


def named_nowhere(histories: Iterable[History], selector: Selector) -> bool:
    """Return whether a selector matches nothing in the histories, at any time."""
    return not any(_chosen(history, [selector]) for history in histories)
