"""Who is whom since the last clone: entities that were made again since are followed on both sides."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jitsu_backup.catalogue import Ends, ends, is_link, links_of
from jitsu_backup.catalogue.derived_ids import KnownIds
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.planning.identity import same_workspace


@dataclass(frozen=True)  # without slots, because what follows from the fields is cached
class Lineage:
    """What the record of a clone tells of both sides as they are now.

    `recorded` gives the record's key in the target for a key of the source, `alive` what stands for that in the target now,
    and `bases` the body that both sides had, by the record's key. What the target has deleted is not `alive`.
    """

    recorded: Mapping[Key, Key] = field(default_factory=dict)
    alive: Mapping[Key, Key] = field(default_factory=dict)
    bases: Mapping[Key, Mapping[str, Any]] = field(default_factory=dict)

    def standing_for(self, source: Key) -> Key | None:
        """Return the target's key for one of the source; None where there is none, or none any more."""
        recorded = self.recorded.get(source)
        return None if recorded is None else self.alive.get(recorded)

    def was_deleted(self, source: Key) -> bool:
        """Return whether an entity of the source was in the target once, and somebody has deleted it there."""
        recorded = self.recorded.get(source)
        return recorded is not None and recorded not in self.alive

    def base_of(self, live: Key) -> Mapping[str, Any] | None:
        """Return what both sides had in the place of an entity of the target; None for what the target made itself."""
        recorded = self._records.get(live)
        return None if recorded is None else self.bases.get(recorded)

    @cached_property
    def _records(self) -> Mapping[Key, Key]:
        return {live: recorded for recorded, live in self.alive.items()}


def trace(record: Snapshot, snapshot: Snapshot, live: Snapshot) -> Lineage:
    """Follow what a clone has recorded to the source and the target of now.

    Whoever was rolled back has new ids since, which are derived from the old ones; links are told by their ends.
    """
    targets, bases = recorded_pairs(record), recorded_bodies(record)
    alive = still_there(bases, live)
    sources = _followed(targets, _standing(snapshot), snapshot.manifest.source.workspace_id)
    recorded = {now: targets[then] for then, now in reversed(sources.items())}
    recorded |= _links_recorded(bases, recorded, snapshot)
    recorded = {key: targets[key] for key in targets.keys() & _dangling(snapshot)} | recorded
    if not same_workspace(record, live):  # in one that was set up anew, nobody has deleted anything
        recorded = {source: target for source, target in recorded.items() if target in alive}
    return Lineage(recorded, alive, bases)


def recorded_pairs(record: Snapshot) -> dict[Key, Key]:
    """Return the record's keys in the target by the keys of the source."""
    cloned = record.manifest.cloned
    pairs = {} if cloned is None else cloned.pairs
    return {source: Key(source.type, target_id) for source, target_id in pairs.items()}


def recorded_bodies(record: Snapshot) -> dict[Key, Mapping[str, Any]]:
    """Return the bodies that both sides had, by the record's keys."""
    known = {entity.key: entity.body for entity in record.entities} | dict(record.bases)
    return {key: known[key] for key in recorded_pairs(record).values() if key in known}


def still_there(bases: Mapping[Key, Mapping[str, Any]], live: Snapshot) -> dict[Key, Key]:
    """Return what stands in the target now for each of the record's keys, whose bodies are `bases`."""
    alive = _followed(bases, _standing(live), live.manifest.source.workspace_id)
    alive |= _links_alive(bases, alive, live)
    return {key: key for key in bases.keys() & _dangling(live)} | alive


def _standing(side: Snapshot) -> set[Key]:
    """Return the keys of a side, without those of links that lost an end: others may have taken their place."""
    return {entity.key for entity in side.entities} - _dangling(side)


def _dangling(side: Snapshot) -> set[Key]:
    ids = {entity.key.id for entity in side.entities}
    return {link.key for link in links_of(side) if not {*ends(link.body)[1:]} <= ids}


def _followed(then: Iterable[Key], now: set[Key], workspace_id: str) -> dict[Key, Key]:
    """Return what each key of `then` is called now: the same, or an id that our restores have derived from it."""
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


def _links_alive(
    bases: Mapping[Key, Mapping[str, Any]], alive: Mapping[Key, Key], live: Snapshot
) -> Iterator[tuple[Key, Key]]:
    """Yield the recorded links that were made again in the target, each with the link of the same ends."""
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
    """Yield the links that were made again in the source, each with the record of a link of the same ends."""
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
