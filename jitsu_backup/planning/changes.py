"""What differs between two snapshots, ready to be shown."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any

from jitsu_backup.archive.filename import CLOCKS_DIFFER
from jitsu_backup.catalogue import Selector, check_type, entity_names, owned_functions
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Entity, Key, Snapshot, Source, items_of, members_of, parse_any_time
from jitsu_backup.planning.fields import FieldChange
from jitsu_backup.planning.selection import given_by

NO_SETS: Mapping[str, str] = {}


class ChangeKind(Enum):
    """What happened to an entity."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class EntityChange:
    """One entity that differs. `before` and `after` are its keys on the two sides, None on a side that lacks it.

    `name` is its name on the later side, `was` the earlier name if that was different. `body` is the content of an added or
    removed entity, ready to be shown. `saved_at` is when an entity that still exists was last saved, in UTC, according to
    its console; None if that is unknown.
    """

    kind: ChangeKind
    type: str
    name: str
    before: Key | None = None
    after: Key | None = None
    was: str | None = None
    fields: tuple[FieldChange, ...] = ()
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    saved_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two snapshots.

    `same` are the keys in `after` of what does not differ; `pairs` maps keys in `before` to their keys in `after`.
    """

    before: Snapshot
    after: Snapshot
    entities: tuple[EntityChange, ...]
    same: tuple[Key, ...]
    notes: tuple[str, ...] = ()
    pairs: Mapping[Key, Key] = field(default_factory=dict, repr=False)

    @property
    def sources(self) -> tuple[Source, Source]:
        """Where both were read."""
        return self.before.manifest.source, self.after.manifest.source

    @property
    def unchanged(self) -> dict[str, int]:
        """How many entities do not differ, by type."""
        return dict(sorted(Counter(key.type for key in self.same).items()))

    def counts(self) -> dict[str, Counter[str]]:
        """Return the number of changes by type and kind."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for change in self.entities:
            found[change.type][change.kind.value] += 1
        return dict(sorted(found.items()))


def last_saved(sides: Iterable[Entity], since: datetime) -> datetime | None:
    """Return when an entity that changed since a moment was last saved, according to the sides of its change, in any order.

    The console sets that time for most types. For a profile builder it repeats what was sent, so a time before the change
    is ignored [profile-builder/list].
    """
    moments = [moment for side in sides for moment in _moments(side.body) if moment >= since - CLOCKS_DIFFER]
    return max(moments, default=None)


def _moments(body: Mapping[str, Any]) -> Iterator[datetime]:
    """Yield when a body, and the functions that it owns, were saved."""
    owned = (members_of(members_of(one).get("function")) for one in items_of(body.get("functions")))
    for part in (body, *owned):
        moment = parse_any_time(part.get("updatedAt"))
        if moment is not None:
            yield moment


def chosen(
    changes: Changes,
    selectors: Sequence[Selector],
    skip: Sequence[Selector] = (),
    sets: Mapping[str, str] = NO_SETS,
) -> Changes:
    """Return the changes that a selector matches, by the id or name on either side; all of them without selectors.

    Matches of `skip` are left out. `sets` gives, by selector, the set of the settings that it comes from. A pattern that
    matches nothing is noted, unless it comes from a set.

    Raise UsageError for an unknown type, and for a selector that names one entity and matches none.
    """
    if not selectors and not skip:
        return changes
    found: set[str] = set()
    names = entity_names(changes.after.entities)

    def wanted(keys: Collection[Key | None], called: Collection[str | None]) -> bool:
        fitting = _fitting(selectors, keys, called)
        found.update(fitting)
        return bool(fitting or not selectors) and not _fitting(skip, keys, called)

    functions = _functions_of_builders(changes)

    def change_wanted(change: EntityChange) -> bool:
        sides = (change.before, change.after)
        told_there = [f for side in sides for f in functions.get(side, ())]
        return wanted(sides, (change.name, change.was)) or any(wanted([f.key], [f.name]) for f in told_there)

    entities = tuple(change for change in changes.entities if change_wanted(change))
    earlier = {other: key for key, other in changes.pairs.items()}
    same = tuple(key for key in changes.same if wanted((key, earlier.get(key)), [names[key]]))
    types = {*changes.before.manifest.counts, *changes.after.manifest.counts}
    for selector in skip:
        check_type(selector, given_by("--skip", selector, sets), types)
    for selector in selectors:
        given = given_by("--only", selector, sets)
        check_type(selector, given, types)
        if selector.exact and selector.text not in found:
            raise UsageError(f"{given}: {selector.text!r} matches nothing on either side; correct it")
    vain = (s.text for s in selectors if s.text not in found and s.text not in sets)
    notes = tuple(f"--only: {text!r} matches nothing on either side" for text in dict.fromkeys(vain))
    return replace(changes, entities=entities, same=same, notes=(*changes.notes, *notes))


def _fitting(
    selectors: Iterable[Selector], keys: Collection[Key | None], called: Collection[str | None]
) -> set[str]:
    """Return the selectors that match an entity by one of its keys and names."""
    return {
        selector.text
        for selector in selectors
        for key in keys
        for name in called
        if key is not None and name is not None and selector.matches(Entity(key, {}), name)
    }


def _functions_of_builders(changes: Changes) -> dict[Key | None, list[Entity]]:
    """Return the functions that each profile builder of either side owns; their changes are shown with it."""
    found: dict[Key | None, list[Entity]] = defaultdict(list)
    for snapshot in (changes.before, changes.after):
        by_key = {entity.key: entity for entity in snapshot.of_type("function")}
        for function, builder in owned_functions(snapshot.entities):
            if Key("function", function) in by_key:
                found[Key("profile-builder", builder)].append(by_key[Key("function", function)])
    return found
