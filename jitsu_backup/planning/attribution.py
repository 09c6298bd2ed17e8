"""Who made the changes between snapshots, according to the console's audit log.

An entry of the log belongs to at most one change: that of its object in the span of time that contains the entry. If
several spans contain it, because an archive could not read everything, the shortest counts. The console's clock may differ
from ours, so an entry without a change in its span explains a change of its object in a span close by, if nothing else
explains that. Changes that the safety backup of one of our runs contains were made before that run, so not by it.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jitsu_backup.archive import PRE_RESTORE, ArchiveName
from jitsu_backup.archive.filename import CLOCKS_DIFFER, safe_text
from jitsu_backup.catalogue import Selector, joins, owned_functions
from jitsu_backup.model import AuditEntry, Entity, Key
from jitsu_backup.planning.changes import Changes, EntityChange
from jitsu_backup.planning.history import Author, History, Passing

_LONGEST_RUN = timedelta(hours=1)
"""How long after its safety backup a restore may still write, if no record of a clone says when it ended."""

_DRIFT = timedelta(seconds=30)
"""How far the console's clock may differ from ours during a run."""

TOGETHER = timedelta(seconds=1)
"""How far apart the archives are dated at most that one run leaves."""

_Place = tuple[int, int]
"""A change: the number of its span, and its own number within that."""

_Object = tuple[str, str]
"""An object in the log: its type, which is `link` for everything that joins two others, and its id."""


@dataclass(frozen=True, slots=True)
class OwnRuns:
    """When this tool wrote into a workspace, and with which key.

    `key` is the id of the API key. `operator` means the operator's token, which has no id in the log
    [audit-log/since]. `times` are the beginning and the end of each run.
    """

    key: str | None = None
    operator: bool = False
    times: tuple[tuple[datetime, datetime], ...] = ()

    def made(self, entry: AuditEntry, until: datetime | None = None, since: datetime | None = None) -> bool:
        """Return whether one of our runs made a change: the entry has our key, and its time is within a run.

        A snapshot taken at `until` has the change already, so runs that began then or later are excluded. One taken at
        `since`, such as the record of a run, lacks it, so runs that had ended by then are excluded too.
        """
        ours = entry.operator if self.operator else self.key is not None and entry.key == self.key
        return ours and any(
            begin - _DRIFT <= entry.at <= end + _DRIFT
            and (until is None or begin < until)
            # archives date themselves in seconds, so one of the second in which a run began may be its safety backup
            and (
                since is None
                or since < end.replace(microsecond=0)
                or since in (begin, begin.replace(microsecond=0))
            )
            for begin, end in self.times
        )


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who made the changes of a comparison, by the key that a change has in `after`, or else in `before`."""

    authors: Mapping[Key, tuple[Author, ...]] = field(default_factory=dict)
    passing: tuple[Passing, ...] = ()
    notes: tuple[str, ...] = ()

    def of(self, change: EntityChange) -> tuple[Author, ...]:
        """Return who made a change, newest first; empty if the log does not say."""
        key = change.after or change.before
        return () if key is None else self.authors.get(key, ())


@dataclass(frozen=True, slots=True)
class _Span:
    """A span of time, excluding its first moment, and what changed in it."""

    begin: datetime
    end: datetime
    changes: Sequence[EntityChange]

    def holds(self, at: datetime) -> bool:
        return self.begin < at <= self.end

    @property
    def length(self) -> timedelta:
        return self.end - self.begin

    def away(self, at: datetime) -> timedelta:
        """Return how far a moment is outside the span."""
        return max(self.begin - at, at - self.end, timedelta())


def own_runs(known: Iterable[ArchiveName], workspace_id: str, key: str | None) -> OwnRuns:
    """Return when this tool wrote into a workspace, according to the names of its archives.

    A safety backup marks the beginning of a restore, the record of a clone its end.
    """
    spelled = safe_text(workspace_id)
    own = [archive for archive in known if archive.workspace_id == spelled]
    begins = sorted(archive.taken_at for archive in own if PRE_RESTORE in archive.marks)
    ends = _ends(
        sorted(archive.taken_at for archive in own if archive.cloned_from and not archive.begun), begins
    )
    times: list[tuple[datetime, datetime]] = []
    for begin in begins:
        end = next((end for end in ends if begin <= end <= begin + _LONGEST_RUN), begin + _LONGEST_RUN)
        times.append((begin, end))
    begun = {end for _, end in times}
    times += [(end - _LONGEST_RUN, end) for end in ends if end not in begun]
    return OwnRuns(key, times=tuple(sorted(times)))


def _ends(left: Sequence[datetime], begins: Sequence[datetime]) -> list[datetime]:
    """Return when runs ended, from the times of what they `left`: a clone leaves its record and, a moment later, what `undo` needs."""
    return [
        at
        for before, at in zip([None, *left], left, strict=False)
        if before is None or at - before > TOGETHER or any(before < begin <= at for begin in begins)
    ]


def attribute_changes(changes: Changes, entries: Iterable[AuditEntry], ours: OwnRuns) -> Attribution:
    """Return who made the changes between two snapshots of one workspace, taken in either order."""
    begin, end = sorted((changes.before.taken_at, changes.after.taken_at))
    spans = [_Span(begin, end, changes.entities)]
    entities = [entity for side in (changes.before, changes.after) for entity in side.entities]
    attributed = _Attributing(spans, (begin, end), entities, ours).attributed(entries)
    authors = {
        change.after or change.before: attributed.authors[0, number]
        for number, change in enumerate(changes.entities)
        if (0, number) in attributed.authors
    }
    return Attribution({key: found for key, found in authors.items() if key}, attributed.passing)


def chosen_passing(
    passing: Iterable[Passing], selectors: Sequence[Selector], skip: Sequence[Selector] = ()
) -> tuple[Passing, ...]:
    """Return the selected entities that no snapshot saw, or all of them without selectors, except those of `skip`."""

    def fits(one: Passing, by: Sequence[Selector]) -> bool:
        entity = Entity(Key(one.type, one.id), {})
        return any(selector.matches(entity, one.name or one.id) for selector in by)

    return tuple(one for one in passing if (not selectors or fits(one, selectors)) and not fits(one, skip))


def attribute_history(history: History, entries: Iterable[AuditEntry], ours: OwnRuns) -> History:
    """Return a history with the authors of its changes, and with the entities that no snapshot saw.

    The history must be whole: entities that a selector left out would count as never seen.
    """
    spans = [
        _Span(step.before.taken_at, step.after.taken_at, [found.change for found in step.changes])
        for step in history.steps
    ]
    entities = () if history.newest is None else history.newest.entities
    moments = sorted(archive.taken_at for archive in history.archives)
    attributed = _Attributing(spans, moments, entities, ours).attributed(entries)
    steps = tuple(
        replace(
            step,
            changes=tuple(
                replace(found, authors=attributed.authors.get((at, number), ()))
                for number, found in enumerate(step.changes)
            ),
        )
        for at, step in enumerate(history.steps)
    )
    return replace(history, steps=steps, passing=attributed.passing)


@dataclass(frozen=True, slots=True)
class _Attributed:
    """Who made each change, by the number of its span and its own number, and what no snapshot saw."""

    authors: Mapping[_Place, tuple[Author, ...]]
    passing: tuple[Passing, ...]


class _Attributing:
    """Finds the change that an entry of the log explains."""

    def __init__(
        self, spans: Sequence[_Span], moments: Sequence[datetime], entities: Iterable[Entity], ours: OwnRuns
    ) -> None:
        """`moments` are the times of the snapshots, `entities` some of the entities that they saw."""
        entities = tuple(entities)
        self.spans, self.moments, self.ours = spans, moments, ours
        self.begins = {begin for begin, _ in ours.times}
        self.owners = dict(owned_functions(entities))
        self.seen = {_logged(entity.key) for entity in entities}
        self.changes: dict[_Object, dict[int, int]] = defaultdict(dict)
        for at, span in enumerate(spans):
            for number, change in enumerate(span.changes):
                for key in (change.before, change.after):
                    if key is not None:
                        self.changes[_logged(key)].setdefault(at, number)
        self.seen |= self.changes.keys()

    def attributed(self, entries: Iterable[AuditEntry]) -> _Attributed:
        """Return what the entries explain."""
        found: dict[_Place, list[AuditEntry]] = defaultdict(list)
        left: list[AuditEntry] = []
        unseen: dict[_Object, list[AuditEntry]] = defaultdict(list)
        for entry in entries:
            if (entry.type, entry.object_id) not in self.seen:
                unseen[entry.type, entry.object_id].append(entry)
            if entry.unchanged:
                continue
            holding = [p for p in self._places(entry) if self.spans[p[0]].holds(entry.at)]
            place = min(holding, key=lambda p: self.spans[p[0]].length, default=None)
            if place is None:
                left.append(entry)
            else:
                found[place].append(entry)
        explained = frozenset(found)
        for entry in left:
            near = [p for p in self._places(entry) if p not in explained and not self._held(entry, p)]
            place = min(near, key=lambda p: self.spans[p[0]].away(entry.at), default=None)
            if place is not None and self.spans[place[0]].away(entry.at) <= CLOCKS_DIFFER:
                found[place].append(entry)
        self._part_from_runs(found)
        authors = {
            place: self._authors(noted, self.spans[place[0]].end, self.spans[place[0]].begin)
            for place, noted in found.items()
        }
        return _Attributed(authors, tuple(self._passing(unseen)))

    def _held(self, entry: AuditEntry, place: _Place) -> bool:
        """Return whether a span begins with the safety backup of one of our runs, which already contains the change."""
        span = self.spans[place[0]]
        return entry.at <= span.begin and span.begin in self.begins and not self.ours.made(entry)

    def _part_from_runs(self, found: dict[_Place, list[AuditEntry]]) -> None:
        """Separate what others did just before one of our runs from what the run did, if clock drift put both in one span.

        One of the two changes then has no author, and the safety backup of the run lies between them.
        """
        for place, entries in list(found.items()):
            span = self.spans[place[0]]
            ours = [entry for entry in entries if self.ours.made(entry)]
            if not ours or len(ours) == len(entries):
                continue
            first = min(entry.at for entry in ours)
            before = [one for one in entries if one not in ours and one.at < first]
            for moved, border in ((before, span.begin), (ours, span.end)):
                there = self._beside(moved, border, place, found)
                if there is not None and border in self.begins:
                    found[there] = moved
                    found[place] = [one for one in found[place] if one not in moved]

    def _beside(
        self, entries: Sequence[AuditEntry], border: datetime, place: _Place, found: Collection[_Place]
    ) -> _Place | None:
        """Return the change without authors on the other side of a border that all the entries may belong to."""
        for other in self._places(entries[0]) if entries else ():
            span = self.spans[other[0]]
            close = all(span.away(one.at) <= CLOCKS_DIFFER for one in entries)
            if other != place and other not in found and border in (span.begin, span.end) and close:
                return other
        return None

    def _places(self, entry: AuditEntry) -> Iterator[_Place]:
        """Yield the changes that an entry may explain; a function's change may be part of that of the builder that owns it."""
        yield from self.changes.get((entry.type, entry.object_id), {}).items()
        if entry.type == "function" and entry.object_id in self.owners:
            yield from self.changes.get(("profile-builder", self.owners[entry.object_id]), {}).items()

    def _authors(
        self, entries: Iterable[AuditEntry], until: datetime | None = None, since: datetime | None = None
    ) -> tuple[Author, ...]:
        """Return who made the changes that exist at `until` and not at `since`, newest first, each with their last time."""
        found: dict[tuple[object, ...], Author] = {}
        for entry in sorted(entries, key=lambda entry: (entry.at, entry.id), reverse=True):
            ours = self.ours.made(entry, until, since)
            author = Author(entry.who, entry.at, entry.key, entry.way, ours, email=entry.email)
            found.setdefault((author.who, author.email, author.key, author.way, author.ours), author)
        return tuple(found.values())

    def _passing(self, unseen: Mapping[_Object, list[AuditEntry]]) -> Iterator[Passing]:
        """Yield what was created and deleted between two snapshots, the last deleted first."""
        gone: list[tuple[datetime, Passing]] = []
        for (kind, one), entries in unseen.items():
            made = [entry.at for entry in entries if entry.operation == "create"]
            deleted = [entry.at for entry in entries if entry.operation == "delete"]
            if made and deleted and self._between_two(min(made), max(deleted)):
                name = next((entry.name for entry in entries if entry.name), None)
                closing = next(iter(self.moments[bisect_left(self.moments, max(deleted)) :]), None)
                authors = self._authors((entry for entry in entries if not entry.unchanged), closing)
                gone.append((max(deleted), Passing(kind, one, name, authors)))
        yield from (passing for _, passing in sorted(gone, key=lambda found: found[0], reverse=True))

    def _between_two(self, made: datetime, deleted: datetime) -> bool:
        """Return whether no snapshot was taken between two moments, allowing for clock drift."""
        if not self.moments or not self.moments[0] < made <= self.moments[-1] or deleted < made:
            return False
        first, last = bisect_left(self.moments, made), bisect_left(self.moments, deleted)
        between = self.moments[first:last]
        return all(min(moment - made, deleted - moment) <= CLOCKS_DIFFER for moment in between)


def _logged(key: Key) -> _Object:
    """Return an entity as the log names it: everything that joins two others is a link there [audit-log/next-page]."""
    return ("link" if joins(key) else key.type, key.id)
