"""How the entities of a workspace looked over time, derived by walking back from its newest snapshot.

The states of a history are numbered from 0, the oldest. Steps that end with the same archive lead to the same state.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from jitsu_backup.catalogue import END_FIELDS, joins
from jitsu_backup.model import ARROW, Entity, Key, items_of, members_of
from jitsu_backup.planning import ChangeKind, EntityChange
from jitsu_backup.planning.history import History, HistoryChange, Step
from jitsu_backup.reports.page import DESTINATIONS, LINKS, SOURCES
from jitsu_backup.reports.page_entities import function_name, kind_of

_FUNCTIONS = "data.functions"
_NAMING = frozenset({_FUNCTIONS, "warehouseId", *END_FIELDS})

_BACKWARD = (ChangeKind.ADDED, ChangeKind.REMOVED, ChangeKind.CHANGED)
"""The order in which changes are reversed: a connection that got other ends is removed and added again."""

Reference = tuple[str | None, str]
"""The lineage of an entity that another one refers to, None if it does not exist, and its id or name as written there."""


@dataclass(frozen=True, slots=True)
class Look:
    """How the picture shows an entity from the state `first` to the state `last`, both included.

    `ends` are the lineages of what it joins.
    """

    name: str
    kind: str = ""
    end_names: tuple[str, str] = ("", "")
    functions: tuple[str, ...] = ()
    ends: tuple[str | None, str | None] = (None, None)
    first: int = 0
    last: int = 0


@dataclass(slots=True)
class Life:
    """An entity over time: its looks, newest first, and its latest key and name."""

    lineage: str
    key: Key
    name: str
    sync: bool = False
    looks: list[Look] = field(default_factory=list)


@dataclass(slots=True)
class _Alive:
    """An entity in the state that the walk has reached."""

    key: Key
    body: dict[str, Any]
    last: int
    look: Look | None = None
    ends: tuple[Reference, Reference] | None = None
    functions: tuple[Reference, ...] = ()
    warehouse: Reference | None = None

    @property
    def name(self) -> str:
        """The name that a person gave it."""
        return Entity(self.key, self.body).name


def steps_by_state(steps: Iterable[Step]) -> list[tuple[Step, ...]]:
    """Return steps, newest first, grouped by the state that they lead to."""
    return [tuple(found) for _, found in groupby(steps, key=lambda step: step.after)]


def lives(history: History) -> list[Life]:
    """Return every entity of a history with its looks."""
    walk = _Walk(history)
    for state, steps in walk.states:
        walk.back(state, [one for step in steps for one in step.changes])
    return walk.ended()


def places(found: Iterable[Life]) -> dict[str, str]:
    """Return whose place in the picture each entity takes: its own, or that of an entity that never existed at the same time.

    Connections share a place only if their sources do, so that they stay beside their sources.
    """
    taken: dict[tuple[str, str | None], list[list[Life]]] = defaultdict(list)
    shared: dict[str, str] = {}
    for life in sorted(
        (one for one in found if one.looks), key=lambda one: (joins(one.key), one.looks[-1].first)
    ):
        place = [life]
        if life.key.type in (*SOURCES, *DESTINATIONS, *LINKS):
            alike = taken[life.key.type, shared.get(life.looks[0].ends[0] or "")]
            place = next((others for others in alike if _apart(others[-1], life)), [])
            if not place:
                alike.append(place)
            place.append(life)
        shared[life.lineage] = place[0].lineage
    return shared


def _apart(earlier: Life, later: Life) -> bool:
    """Return whether two are never drawn at the same time, including just before they appear and just after they go."""
    return later.looks[-1].first > earlier.looks[0].last + 2


class _Walk:
    """Goes back from the newest state, step by step."""

    def __init__(self, history: History) -> None:
        self.alive: dict[str, _Alive] = {}
        self.lives: dict[str, Life] = {}
        grouped = steps_by_state(history.steps)
        newest = len(grouped)
        self.states = list(zip(range(newest, 0, -1), grouped, strict=True))
        for entity in history.newest.entities if history.newest else ():
            self._begin(history.lineages.get(entity.key, str(entity.key)), entity, newest)
        by_id: dict[str, list[str]] = defaultdict(list)
        for lineage, one in self.alive.items():
            by_id[one.key.id].append(lineage)
        for one in self.alive.values():
            self._refer(one, by_id, _NAMING)
        self._look_again(self.alive, newest)

    def back(self, state: int, changes: Sequence[HistoryChange]) -> None:
        """Go back from a state by reversing the changes that led to it."""
        renamed, stale = False, set[str]()
        for one in sorted(changes, key=lambda one: _BACKWARD.index(one.change.kind)):
            change, lineage = one.change, one.lineage
            self.lives.setdefault(lineage, Life(lineage, _key_of(change), change.name))
            if change.kind is ChangeKind.ADDED and lineage in self.alive:
                self._end(lineage, state)
            if change.kind is ChangeKind.REMOVED and lineage not in self.alive and change.before:
                self._begin(lineage, Entity(change.before, change.body), state - 1)
                stale.add(lineage)
            if change.kind is ChangeKind.CHANGED and lineage in self.alive:
                before = self.alive[lineage].name
                self._change(self.alive[lineage], change)
                renamed |= self.alive[lineage].name != before
                stale.add(lineage)
        naming = [(one.lineage, _naming(one.change)) for one in changes if one.lineage in stale]
        named = self._by_word() if any(fields for _, fields in naming) else {}
        for lineage, fields in naming:
            self._refer(self.alive[lineage], named, fields)
        self._look_again(self.alive if renamed else stale, state - 1)

    def ended(self) -> list[Life]:
        """Return all lives once the walk has reached the oldest state."""
        for lineage in list(self.alive):
            self._end(lineage, 0)
        return list(self.lives.values())

    def _begin(self, lineage: str, entity: Entity, last: int) -> None:
        self.alive[lineage] = _Alive(entity.key, dict(entity.body), last)
        self.lives.setdefault(lineage, Life(lineage, entity.key, entity.name))

    def _end(self, lineage: str, first: int) -> None:
        self._note(self.lives[lineage], self.alive.pop(lineage), first)

    def _change(self, one: _Alive, change: EntityChange) -> None:
        one.key = change.before or one.key
        for found in change.fields:
            if not (found.secret or found.code):
                _put(one.body, found.path, found.before)

    def _by_word(self) -> dict[str, list[str]]:
        """Return the entities by name, and by name with id, which is how changes refer to them."""
        found: dict[str, list[str]] = defaultdict(list)
        for lineage, one in self.alive.items():
            if not joins(one.key):
                found[one.name].append(lineage)
                found[f"{one.name} ({one.key.id})"].append(lineage)
        return found

    def _refer(self, one: _Alive, known: Mapping[str, list[str]], fields: frozenset[str]) -> None:
        """Find what some fields of an entity refer to, in a mapping from ids or names to lineages."""
        body = one.body
        if one.key.type == "model" and "warehouseId" in fields:
            one.warehouse = self._found(body.get("warehouseId"), known, lambda _: True)
        if not joins(one.key):
            return
        if not fields.isdisjoint(END_FIELDS):
            source, destination = map(body.get, END_FIELDS)
            one.ends = (
                self._found(source, known, SOURCES.__contains__),
                self._found(destination, known, "destination".__eq__),
            )
        if _FUNCTIONS in fields:
            used = items_of(members_of(body.get("data")).get("functions"))
            ids = (str(one.get("functionId", "?") if isinstance(one, Mapping) else one) for one in used)
            one.functions = tuple(
                self._found(name.removeprefix("udf."), known, "function".__eq__) for name in ids
            )

    def _found(self, word: Any, known: Mapping[str, list[str]], fits: Callable[[str], bool]) -> Reference:
        lineages = known.get(word, ()) if isinstance(word, str) else ()
        places = [lineage for lineage in lineages if fits(self.alive[lineage].key.type)]
        return (places[0] if places else None), "?" if word is None else str(word)

    def _look_again(self, lineages: Iterable[str], state: int) -> None:
        """Begin a new look for those of some entities that looked different before."""
        for lineage in lineages:
            one, life = self.alive[lineage], self.lives[lineage]
            look = self._look(one)
            if not life.looks and one.last == state:
                _describe(life, one, look)
            if one.look not in (None, look) and one.last > state:
                self._note(life, one, state + 1)
                one.last = state
            one.look = look

    def _note(self, life: Life, one: _Alive, first: int) -> None:
        life.looks.append(replace(one.look or self._look(one), first=first, last=one.last))

    def _look(self, one: _Alive) -> Look:
        kind = kind_of(Entity(one.key, one.body))
        if one.warehouse is not None:
            kind = f"from {self._called(one.warehouse)}"
        if one.ends is None:
            return Look(one.name, kind)
        source, destination = map(self._called, one.ends)
        functions = tuple(function_name(self._called(used)) for used in one.functions)
        ends = one.ends[0][0], one.ends[1][0]
        return Look(f"{source}{ARROW}{destination}", kind, (source, destination), functions, ends)

    def _called(self, reference: Reference) -> str:
        lineage, word = reference
        return self.alive[lineage].name if lineage in self.alive else word


def _describe(life: Life, one: _Alive, look: Look) -> None:
    """Note what an entity was at the end of its life."""
    life.key, life.name = one.key, look.name
    life.sync = joins(one.key) and one.body.get("type") in ("sync", "reverse-sync")


def _naming(change: EntityChange) -> frozenset[str]:
    """Return those of a change's fields that refer to other entities."""
    if change.kind is ChangeKind.REMOVED:
        return _NAMING
    paths = [f"{found.path}." for found in change.fields]
    within = ((name, f"{name}.") for name in _NAMING)
    return frozenset(
        name for name, start in within if any(p.startswith(start) or start.startswith(p) for p in paths)
    )


def _put(body: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a dotted path in a body, and copy the parts on the way so that nothing shared changes."""
    head, _, rest = path.partition(".")
    if rest:
        inner = dict(members_of(body.get(head)))
        _put(inner, rest, value)
        body[head] = inner
    else:
        body[head] = value


def _key_of(change: EntityChange) -> Key:
    return change.after or change.before or Key(change.type, "")
