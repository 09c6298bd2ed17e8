"""Lineage since the last clone: re-created entities are followed on both sides."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jitsu_backup.catalogue import Ends, ends, entity_names, is_link, links_of
from jitsu_backup.catalogue.derived_ids import KnownIds
from jitsu_backup.model import CloneRecord, Entity, Key, Snapshot, Tombstone
from jitsu_backup.planning.identity import same_workspace


@dataclass(frozen=True)  # without slots, because what follows from the fields is cached
class Lineage:
    """What the record of a clone says about both sides as they are now.

    `recorded` maps keys of the source to the record's keys in the target, `alive` the record's keys to those that the
    target's entities have now, and `bases` the record's keys to the bodies that both sides had. Entities deleted in the
    target are not `alive`. `tombstones` are those of the record.
    """

    recorded: Mapping[Key, Key] = field(default_factory=dict)
    alive: Mapping[Key, Key] = field(default_factory=dict)
    bases: Mapping[Key, Mapping[str, Any]] = field(default_factory=dict)
    tombstones: Mapping[Key, Tombstone] = field(default_factory=dict)

    def standing_for(self, source: Key) -> Key | None:
        """Return the target's key for one of the source; None if there is none, or no longer."""
        recorded = self.recorded.get(source)
        return None if recorded is None else self.alive.get(recorded)

    def was_deleted(self, source: Key) -> bool:
        """Return whether an entity of the source was in the target and has been deleted there."""
        recorded = self.recorded.get(source)
        return recorded is not None and recorded not in self.alive

    def is_settled(self, source: Key) -> bool:
        """Return whether an earlier clone left an entity of the source deleted in the target."""
        return self.tombstones.get(self.recorded[source]) is Tombstone.TARGET

    def stood(self, live: Key) -> bool:
        """Return whether the target had an entity when the record was made, whoever created it."""
        return live in self._records

    def record_of(self, live: Key) -> Key | None:
        """Return the record's key of an entity that a clone paired; None for any other."""
        recorded = self._records.get(live)
        return recorded if recorded in self.bases else None

    def base_of(self, live: Key) -> Mapping[str, Any] | None:
        """Return the body that both sides had for an entity of the target.

        It is None for entities that were created or re-created in the target, or kept there although deleted in the source.
        """
        recorded = self._records.get(live)
        if recorded is None or (recorded in self.tombstones and recorded not in self._of_source):
            return None
        return self.bases.get(recorded)

    @cached_property
    def _of_source(self) -> frozenset[Key]:
        return frozenset(self.recorded.values())

    @cached_property
    def _records(self) -> Mapping[Key, Key]:
        return {live: recorded for recorded, live in self.alive.items()}


def trace(record: Snapshot, snapshot: Snapshot, live: Snapshot) -> Lineage:
    """Follow what a clone recorded to the current source and target.

    A rollback gives entities new ids, which are derived from the old ones; links are recognised by their ends.
    """
    targets, bases, tombstones = recorded_pairs(record), recorded_bodies(record), _tombstones(record)
    alive = still_there(record, live)
    sources = _followed(targets, _standing(snapshot), snapshot.manifest.source.workspace_id)
    recorded = {now: targets[then] for then, now in reversed(sources.items())}
    recorded |= _links_recorded(bases, recorded, snapshot)
    recorded = {key: targets[key] for key in targets.keys() & _dangling(snapshot)} | recorded
    if not same_workspace(record, live):  # in a workspace that was set up again, nothing counts as deleted
        recorded = {source: target for source, target in recorded.items() if target in alive}
    gone = {key for key, side in tombstones.items() if side is Tombstone.BOTH and key not in alive}
    recorded = {source: target for source, target in recorded.items() if target not in gone}
    return Lineage(recorded, alive, bases, tombstones)


def recorded_pairs(record: Snapshot) -> dict[Key, Key]:
    """Return the record's keys in the target by the keys of the source."""
    cloned = record.manifest.cloned
    pairs = {} if cloned is None else cloned.pairs
    return {source: Key(source.type, target_id) for source, target_id in pairs.items()}


def recorded_bodies(record: Snapshot) -> dict[Key, Mapping[str, Any]]:
    """Return the bodies that both sides had, by the record's keys."""
    known, tombstones = _known_bodies(record), _tombstones(record)
    paired = sorted(
        {*recorded_pairs(record).values()}, key=lambda key: (tombstones.get(key) is Tombstone.BOTH, key)
    )
    return {key: known[key] for key in paired if key in known}


def still_there(record: Snapshot, live: Snapshot) -> dict[Key, Key]:
    """Return the target's current key for each key of a record, including entities created in the target."""
    known = recorded_bodies(record) | _known_bodies(record)
    alive = _followed(known, _standing(live), live.manifest.source.workspace_id)
    alive |= _made_of_former(record.manifest.cloned, alive, live)
    alive |= _links_alive(known, alive, live)
    return {key: key for key in known.keys() & _dangling(live)} | alive


def former_names(then: Snapshot, live: Snapshot) -> Iterator[tuple[Key, str]]:
    """Yield the current keys of the target's entities with the names that an earlier state or the record of a clone has."""
    names, bases = entity_names(then.entities), recorded_bodies(then)
    for key, now in still_there(then, live).items():
        if key in names:
            yield now, names[key]
        if key in bases and not is_link(key):
            yield now, Entity(key, bases[key]).name


def _known_bodies(record: Snapshot) -> dict[Key, Mapping[str, Any]]:
    return {entity.key: entity.body for entity in record.entities} | dict(record.bases)


def _tombstones(record: Snapshot) -> Mapping[Key, Tombstone]:
    cloned = record.manifest.cloned
    return {} if cloned is None else cloned.tombstones


def _standing(side: Snapshot) -> set[Key]:
    """Return the keys of a side, without links that lost an end, because others may have replaced them."""
    return {entity.key for entity in side.entities} - _dangling(side)


def _dangling(side: Snapshot) -> set[Key]:
    ids = {entity.key.id for entity in side.entities}
    return {link.key for link in links_of(side) if not {*ends(link.body)[1:]} <= ids}


def _followed(then: Iterable[Key], now: set[Key], workspace_id: str) -> dict[Key, Key]:
    """Return the current key for each key of `then`: the same, or one with an id that our restores derived from it."""
    followed = {key: key for key in then if key in now}
    others: dict[str, list[str]] = defaultdict(list)
    for key in now - followed.keys():
        others[key.type].append(key.id)
    known = {
        name: KnownIds(workspace_id, name, ids) for name, ids in others.items() if not is_link(Key(name, ""))
    }
    taken: set[Key] = set()
    for key in then:
        if key not in followed and key.type in known:
            made = known[key.type].derived_of(key.id) or known[key.type].descended_from(key.id)
            heirs = [heir for heir in (Key(key.type, one) for one in made) if heir not in taken]
            if heirs:
                followed[key] = heirs[-1]
                taken.add(heirs[-1])
    return followed


def _made_of_former(
    cloned: CloneRecord | None, alive: Mapping[Key, Key], live: Snapshot
) -> Iterator[tuple[Key, Key]]:
    """Yield the record's keys that no longer exist, each with what a rollback derived from its former key."""
    former = {} if cloned is None else cloned.former
    gone = {then: key for then, now in former.items() if (key := Key(then.type, now)) not in alive}
    standing = _standing(live) - {*alive.values()}
    made = _followed(gone, standing, live.manifest.source.workspace_id)
    return ((gone[then], now) for then, now in made.items())


def _links_alive(
    bases: Mapping[Key, Mapping[str, Any]], alive: Mapping[Key, Key], live: Snapshot
) -> Iterator[tuple[Key, Key]]:
    """Yield the recorded links that were re-created in the target, each with the link between the same ends."""
    ids = {then.id: now.id for then, now in alive.items()}
    gone = [key for key in bases if is_link(key) and key not in alive]
    standing = _by_ends(links_of(live), {*alive.values()}, lambda end: end)
    there, left = {entity.key: entity.body for entity in live.entities}, []
    for key in gone:
        kind, source, target = ends(bases[key])
        heirs = standing.get((kind, ids.get(source, source), ids.get(target, target)), [])
        same = next((heir for heir in heirs if there[heir].get("data") == bases[key].get("data")), None)
        if same is None:
            left.append((key, heirs))
        else:
            heirs.remove(same)
            yield key, same
    yield from ((key, heirs.pop(0)) for key, heirs in left if heirs)


def _links_recorded(
    bases: Mapping[Key, Mapping[str, Any]], recorded: Mapping[Key, Key], snapshot: Snapshot
) -> Iterator[tuple[Key, Key]]:
    """Yield the links that were re-created in the source, each with the record of a link between the same ends."""
    ids = {source.id: target.id for source, target in recorded.items()}
    made = _by_ends(links_of(snapshot), {*recorded}, lambda end: ids.get(end, end))
    known = {*recorded.values()}
    for key, body in bases.items():
        if is_link(key) and key not in known:
            heirs = made.get(ends(body))
            if heirs:
                yield heirs.pop(0), key


def _by_ends(links: Iterable[Any], known: set[Key], mapped: Callable[[str], str]) -> dict[Ends, list[Key]]:
    """Return the links that are not `known`, by their ends."""
    found: dict[Ends, list[Key]] = defaultdict(list)
    for link in links:
        kind, source, target = ends(link.body)
        if link.key not in known:
            found[kind, mapped(source), mapped(target)].append(link.key)
    return found
