"""Pairing: find the target's counterpart of each object of the snapshot, and give ids to the others."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from jitsu_backup.catalogue import (
    Selector,
    check_type,
    ends,
    entity_type,
    given_name,
    is_link,
    joins,
    nameable,
    owned_functions,
    subtype,
)
from jitsu_backup.catalogue.derived_ids import KnownIds, derived_ids
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Entity, Key, flag, quoted
from jitsu_backup.planning.options import Ids
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.sides import Sides
from jitsu_backup.planning.three_sides import stays_deleted

_SYNC = "reverse-sync"


def pair_objects(sides: Sides) -> Pairs:
    """Pair by kept or derived id, by the record of the last clone, by `--map`, and on request by name; give ids to the rest.

    Links are not paired here. Raise UsageError for a mapping that matches nothing, several entities, or different types.
    """
    pairing = _Pairing(sides)
    objects = [
        entity
        for key, entity in sides.desired.items()
        if not is_link(key)
        and key.type in sides.live.manifest.counts
        and not (key.type == "function" and key.id in sides.owned)
    ]
    pairing.by_id(objects)
    pairing.by_record(objects)
    pairing.with_origins(objects)
    pairing.by_map()
    pairing.provisioned(objects)
    pairing.by_webhook(objects)
    if sides.options.match_by_name:
        pairing.by_name(objects)
    namesakes = {
        entity.key: candidates
        for _, entities, candidates in pairing.namesakes(objects)
        for entity in entities
    }
    pairing.give_ids(objects)
    return Pairs(
        sides,
        pairing.ids,
        pairing.found,
        pairing.superseded,
        namesakes,
        pairing.problems,
        frozenset(pairing.deleted),
        frozenset(pairing.named),
        tuple(pairing.notes),
    )


@dataclass(slots=True)
class _Pairing:
    """The pairs found so far; `claimed` are the target's entities that are paired already."""

    sides: Sides
    ids: dict[Key, str] = field(default_factory=dict)
    found: dict[Key, Entity] = field(default_factory=dict)
    superseded: dict[Key, list[Entity]] = field(default_factory=dict)
    problems: dict[Key, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    claimed: set[Key] = field(default_factory=set)
    deleted: set[Key] = field(default_factory=set)
    named: set[Key] = field(default_factory=set)

    def _take(self, entity: Entity, found: Entity) -> None:
        self.found[entity.key], self.ids[entity.key] = found, found.key.id
        self.claimed.add(found.key)
        self.deleted.discard(entity.key)

    def by_id(self, objects: Iterable[Entity]) -> None:
        """Pair entities with the same id, or one derived from it."""
        known = _known_ids(self.sides.workspace_id, self.sides.live_by_key)
        for entity in objects:
            self._by_id(entity, known.get(entity.key.type))

    def _by_id(self, entity: Entity, known: KnownIds | None) -> None:
        sides, (kind, source_id) = self.sides, entity.key
        others = sides.ids_of_type[
            kind
        ]  # an id that the snapshot has itself does not derive from this entity
        derived = known.derived_of(source_id) if known is not None else []
        derived = [one for one in derived if one not in others]
        if known is not None and not derived and entity.key not in sides.live_by_key:
            derived = known.descended_from(source_id, others)[-1:]
        same_id = sides.live_by_key.get(entity.key)
        stranger = same_id is not None and self._is_another(entity, same_id)
        # the last existing one is the newest: --recreate may have been interrupted before deleting the old one
        alive = [] if same_id is None or stranger else [same_id]
        alive += [sides.live_by_key[Key(kind, one)] for one in derived if Key(kind, one) not in self.claimed]
        if alive:
            self._take(entity, alive[-1])
            if alive[:-1]:
                self.superseded[entity.key] = alive[:-1]
                self.claimed |= {old.key for old in alive[:-1]}
        elif same_id is not None and sides.options.ids is not Ids.NEW:
            self.problems[entity.key] = (
                f"the target's {same_id.key} is a different entity, {quoted(same_id.name)}: pair it with --map {entity.key}={kind}/ID,"
                " or create it under a new id with --ids new"
            )

    def _is_another(self, entity: Entity, other: Entity) -> bool:
        """Return whether an entity of another workspace has the same id by chance: it differs in kind and in name."""
        differs = subtype(entity) != subtype(other) and entity.name != other.name
        return not self.sides.in_place and differs

    def by_record(self, objects: Iterable[Entity]) -> None:
        """Pair entities that the last clone paired, and note those that the target has deleted since."""
        lineage = self.sides.lineage
        for entity in objects:
            standing = lineage.standing_for(entity.key)
            if entity.key in self.found:
                continue
            if standing is not None and standing not in self.claimed:
                self.problems.pop(entity.key, None)
                self._take(entity, self.sides.live_by_key[standing])
            elif lineage.was_deleted(entity.key) and entity.key not in self.problems:
                self.deleted.add(entity.key)

    def with_origins(self, objects: Iterable[Entity]) -> None:
        """Pair entities that were created by a clone of the target into the snapshot's workspace with their origins."""
        unpaired = {e.key: e for e in objects if not self._is_settled(e.key)}
        known = _known_ids(self.sides.snapshot.manifest.source.workspace_id, unpaired)
        for origin in self.sides.live.entities:
            kind, live_id = origin.key
            if origin.key in self.claimed or kind not in known:
                continue
            derived = known[kind].derived_of(live_id) or known[kind].descended_from(live_id)
            for source_id in derived[-1:]:
                entity = unpaired.pop(Key(kind, source_id), None)
                if entity is not None:
                    self._take(entity, origin)

    def by_map(self) -> None:
        """Pair as `--map` says. Raise UsageError for entities that cannot be paired."""
        sides = self.sides
        sources = [source for source, _ in sides.options.mapping]
        for source_text, target_text in sides.options.mapping:
            option = f"--map {source_text}={target_text}"
            source = sides.one(source_text, live=False, option=option)
            if sources.count(source_text) > 1:
                raise UsageError(f"{option}: {source_text!r} is mapped twice; leave out one")
            check_type(Selector(target_text), option, sides.types)
            target_type = target_text.partition("/")[0]
            if target_type != source.key.type:
                raise UsageError(
                    f"{option}: a {source.key.type} cannot be mapped to a {target_type}; choose the same type"
                )
            paired = self.found.get(source.key)
            if paired is None:
                self._map(source, sides.one(target_text, live=True, option=option), option)
            elif not Selector(target_text).matches(paired):
                self.notes.append(
                    f"{option} is not used, because it is already paired with the target's {paired.key}"
                )

    def _map(self, source: Entity, target: Entity, option: str) -> None:
        desired = self.sides.desired[source.key]
        if subtype(desired) != subtype(target):
            raise UsageError(
                f"{option}: a {subtype(source)} {source.key.type} cannot be mapped to a {subtype(target)} one; choose"
                " another"
            )
        if is_link(source.key):
            raise UsageError(f"{option}: connections are paired by their ends; map the ends instead")
        if target.key in self.claimed:
            raise UsageError(
                f"{option}: the target's {target.key} is already paired with another entity; choose another"
            )
        self.problems.pop(source.key, None)
        self._take(desired, target)

    def provisioned(self, objects: Iterable[Entity]) -> None:
        """Pair entities that Jitsu provisioned, if the target has exactly one of the kind."""
        for entity in objects:
            if entity.body.get("provisioned") is True and entity.key not in self.found:
                self._provisioned(entity)

    def _provisioned(self, entity: Entity) -> None:
        same_kind = [
            other
            for other in self.sides.live.of_type(entity.key.type)
            if other.body.get("provisioned") is True
            and other.body.get("destinationType") == entity.body.get("destinationType")
            and other.key not in self.claimed
        ]
        if len(same_kind) == 1:
            self._take(entity, same_kind[0])
            return
        option = f"--map {entity.key}=destination/ID"
        how = f"the target has {len(same_kind)}: choose one with" if same_kind else "pair it with"
        self.problems[entity.key] = (
            f"provisioned by Jitsu: it cannot be created through the API; {how} {option},"
            f" or leave it out with {flag('--skip', entity.key)}"
        )

    def by_webhook(self, objects: Iterable[Entity]) -> None:
        """Pair the reverse syncs between the same model and webhook, because a webhook serves only one.

        [reverse-sync/create-webhook-already-used]
        """
        standing = {
            ends(sync.body): sync for sync in self.sides.live.of_type(_SYNC) if sync.key not in self.claimed
        }
        for sync in objects:
            if sync.key.type != _SYNC or self._is_settled(sync.key):
                continue
            _, source, target = ends(sync.body)
            model, webhook = self.found.get(Key("model", source)), self.found.get(Key("destination", target))
            if model is not None and webhook is not None and subtype(webhook) == "webhook":
                found = standing.pop((_SYNC, model.key.id, webhook.key.id), None)
                if found is not None:
                    self._take(sync, found)

    def by_name(self, objects: Iterable[Entity]) -> None:
        """Pair entities whose name is unique on both sides; note those that stay deleted despite a namesake."""
        for name, entities, candidates in list(self.namesakes(objects)):
            if len(entities) == len(candidates) == 1:
                self._take(entities[0], candidates[0])
                self.named.add(entities[0].key)
                continue
            alike = candidates if len(candidates) > 1 else entities
            given = {e.key: f" ({given_name(e)})" for e in alike if given_name(e)}
            some = " and ".join(f"{e.key}{given.get(e.key, '')}" for e in alike[:4])
            side = "the target" if len(candidates) > 1 else "the snapshot"
            for entity in entities:
                self.problems[entity.key] = (
                    f"the name {quoted(name)} is ambiguous: {side} has {some};"
                    f" choose with --map {entity.key}={entity.key.type}/ID"
                )
        for _, entities, candidates in self._alike(e for e in objects if self._stays_deleted(e.key)):
            self.notes += [
                f"{self.sides.called(self.sides.by_key[e.key])} stays deleted, so --match-by-name does not pair it with the"
                f" target's {candidates[0].key}: --map {e.key}={candidates[0].key} does"
                for e in entities
            ]

    def namesakes(self, objects: Iterable[Entity]) -> Iterator[tuple[str, list[Entity], list[Entity]]]:
        """Yield each name that both sides have in one type and subtype, with the unpaired entities of both."""
        return self._alike(entity for entity in objects if not self._is_settled(entity.key))

    def _alike(self, objects: Iterable[Entity]) -> Iterator[tuple[str, list[Entity], list[Entity]]]:
        wanted: dict[tuple[str, str, str], list[Entity]] = defaultdict(list)
        for entity in objects:
            name = self.sides.desired_names[entity.key] if joins(entity.key) else entity.name
            wanted[entity.key.type, subtype(entity), name].append(entity)
        offered: dict[tuple[str, str, str], list[Entity]] = defaultdict(list)
        for entity in self.sides.live.entities:
            if entity.key not in self.claimed and entity.body.get("provisioned") is not True:
                name = self.sides.live_names[entity.key] if joins(entity.key) else entity.name
                offered[entity.key.type, subtype(entity), name].append(entity)
        for alike, entities in wanted.items():
            if alike in offered:
                yield alike[2], entities, offered[alike]

    def _is_settled(self, key: Key) -> bool:
        """Return whether an entity is paired, cannot be paired, or stays deleted."""
        return key in self.found or key in self.problems or self._stays_deleted(key)

    def _stays_deleted(self, key: Key) -> bool:
        return key in self.deleted and stays_deleted(self.sides, key)

    def give_ids(self, objects: Iterable[Entity]) -> None:
        """Give ids to unpaired entities, and to the functions that profile builders own."""
        for entity in objects:
            if entity.key not in self.found and entity.body.get("provisioned") is not True:
                self._give_id(entity.key)
        for function_id, builder_id in self.sides.owned.items():
            found = self.found.get(Key("profile-builder", builder_id))
            own = next(owned_functions(() if found is None else [found]), None)
            if own is not None:
                self.ids[Key("function", function_id)] = own[0]

    def _give_id(self, key: Key) -> None:
        sides, ids = self.sides, self.sides.options.ids
        derived = entity_type(key.type).id_from_request
        if ids is Ids.KEEP and not derived:
            self.ids[key] = key.id
            if not nameable(key.id):
                problem = f"the console's API could not address its id {key.id!r}; run without --ids keep"
                self.problems.setdefault(key, problem)
            if sides.same_console:
                problem = "its id is already used on this console, even if by a deleted entity; run without --ids keep"
                self.problems.setdefault(key, problem)
            return
        elsewhere = not sides.same_console or key in sides.options.fresh
        keep = ids is Ids.AUTO and elsewhere and nameable(key.id) and not derived
        choice = key.id
        for choice in chain([key.id] if keep else (), derived_ids(sides.workspace_id, key.type, key.id)):
            of_another = choice != key.id and choice in sides.ids_of_type[key.type]
            is_live = Key(key.type, choice) in sides.live_by_key
            if choice not in sides.taken_ids and not is_live and not of_another:
                break
        self.ids[key] = choice  # the last one if all are taken, which carrying out the plan will show


def _known_ids(workspace_id: str, keys: Iterable[Key]) -> dict[str, KnownIds]:
    """Return the ids of `keys` by type, to be searched for those derived in a workspace."""
    ids_of_type: dict[str, list[str]] = defaultdict(list)
    for kind, known in keys:
        ids_of_type[kind].append(known)
    return {name: KnownIds(workspace_id, name, ids) for name, ids in ids_of_type.items()}
