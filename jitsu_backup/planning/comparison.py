"""Comparison of two snapshots, paired as a restore would pair them."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from jitsu_backup.catalogue import (
    HIDDEN,
    KEY_FIELDS,
    PROBE_NOTES,
    Ends,
    dependents,
    ends,
    entity_type,
    is_authorised,
    is_link,
    links_of,
    owned_functions,
    redact,
    rewrite,
    without_grant,
    without_volatile,
)
from jitsu_backup.model import (
    MASK,
    Entity,
    Key,
    Snapshot,
    items_of,
    plural,
)
from jitsu_backup.planning.changes import ChangeKind, Changes, EntityChange, last_saved
from jitsu_backup.planning.fields import FieldChange, conceal, field_changes, in_words, words_for
from jitsu_backup.planning.grants import GRANT
from jitsu_backup.planning.hidden import with_passwords_of
from jitsu_backup.planning.identity import same_workspace
from jitsu_backup.planning.ignored import OwnFields, check_types, fields_ignored
from jitsu_backup.planning.json_diff import has_value, paths_that_differ, without
from jitsu_backup.planning.link_pairing import link_body, pair_groups
from jitsu_backup.planning.naming import Naming
from jitsu_backup.planning.options import PlanOptions
from jitsu_backup.planning.overlay_checks import check_overlay
from jitsu_backup.planning.pairing import pair_objects
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.profile_builders import builder_code
from jitsu_backup.planning.schema_rules import Schemas, dropped, is_difference, schema_name
from jitsu_backup.planning.sides import Sides

# what no person has set, besides volatile fields
_NOTES = (*PROBE_NOTES, "profileBuilderId", "deleted")

_DEFAULTS = PlanOptions()

# lists whose order is irrelevant
_UNORDERED = ("domains", "events", "emails")


def compare(before: Snapshot, after: Snapshot, schemas: Schemas, options: PlanOptions = _DEFAULTS) -> Changes:
    """Return what differs between two snapshots, of one workspace or of two.

    Entities are paired as a restore of either into the other would pair them, with the `record` of a clone between the
    two, `mapping` and `match_by_name` of the options; their overlay is applied to `before`. Defaults of `schemas`, times,
    order and ids are never differences; secrets that a console hides cannot be compared. A profile builder's function
    counts as any other entity, but a difference in its code is reported with its builder. Fields that are `ignored` never
    differ: a note counts them. Raise UsageError for options that name something that does not exist.
    """
    unread = _unread(before, after)
    before = _under_overlay(before, after, schemas, options)
    one, other = (_Side(side, unread, Naming(side.entities)) for side in (before, after))
    check_types(options.ignored, {*before.manifest.counts, *after.manifest.counts})
    pairs, secrets = _pair(one, other, options), options.overlay.secrets
    comparison = _Comparison(one, other, schemas, pairs, secrets, options.ignored)
    found = comparison.pairs.found
    changes: list[EntityChange] = []
    same: list[Key] = []
    left_out = 0
    for entity in one.shown():
        pair = found.get(entity.key)
        change = comparison.removed(entity) if pair is None else comparison.changed(entity, pair)
        left_out += 0 if pair is None else comparison.ignored_differences(entity, pair)
        if change is not None:
            changes.append(change)
        elif pair is not None:
            same.append(pair.key)
    paired = {pair.key for pair in found.values()}
    changes += [comparison.added(entity) for entity in other.shown() if entity.key not in paired]
    changes.sort(key=_in_order)
    notes = tuple(
        f"{name} could not be read on one side, so it is not compared"
        for name in sorted(unread & {*before.manifest.counts, *after.manifest.counts})
    )
    if left_out:
        differ = "field differs but is" if left_out == 1 else "fields differ but are"
        notes += (f"{left_out} {differ} ignored by the setting ignore",)
    keys = {key: pair.key for key, pair in found.items()}
    notes += () if options.match_by_name else tuple(_alike(before, after, changes))
    before, after = (_without_secrets(side, secrets) for side in (before, after))
    return Changes(before, after, tuple(changes), tuple(same), notes, keys)


def _in_order(change: EntityChange) -> tuple[object, ...]:
    return entity_type(change.type).stage, change.type, change.name, str(change.before or change.after)


def _without_secrets(side: Snapshot, secrets: frozenset[str]) -> Snapshot:
    """Return a side with the overlay's secrets hidden, because reports show its entities."""
    if not secrets:
        return side
    entities = (
        Entity(entity.key, {name: conceal(value, secrets) for name, value in entity.body.items()})
        for entity in side.entities
    )
    return replace(side, entities=tuple(entities))


def _under_overlay(before: Snapshot, after: Snapshot, schemas: Schemas, options: PlanOptions) -> Snapshot:
    if not options.overlay.rules:
        return before
    sides = Sides(before, after, options)
    check_overlay(sides)
    entities = (_given(entity, sides.desired[entity.key], schemas) for entity in before.entities)
    return replace(before, entities=tuple(entities))


def _given(entity: Entity, desired: Entity, schemas: Schemas) -> Entity:
    """Return an entity under the overlay, without fields meant for other entities that the console would drop here."""
    schema = schemas.get(schema_name(desired.key.type, desired.body) or "")
    unknown = {path for path in dropped(schema, desired.body) if not has_value(entity.body, path)}
    return Entity(desired.key, without(desired.body, unknown)) if unknown else desired


def _alike(before: Snapshot, after: Snapshot, changes: Iterable[EntityChange]) -> Iterator[str]:
    """Yield a note if pairing by name would make the list of changes shorter."""
    removed, added = (
        Counter((c.type, c.name) for c in changes if c.kind is kind and not is_link(Key(c.type, "")))
        for kind in (ChangeKind.REMOVED, ChangeKind.ADDED)
    )
    both = [named for named in removed if removed[named] == added[named] == 1]
    if both and not same_workspace(before, after):
        yield (
            f"{plural(len(both), 'entity was', 'entities were')} removed and added under the same name: use --match-by-name"
            " to compare both sides"
        )


def _unread(before: Snapshot, after: Snapshot) -> frozenset[str]:
    """Return the types that cannot be compared, because one side lacks them."""
    refused = {r.what for side in (before, after) for r in side.manifest.refused if r.missing}
    if same_workspace(before, after):
        return frozenset(refused)
    # what refers to these types cannot be compared either
    return frozenset(refused).union(*map(dependents, refused))


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two snapshots; `unread` are the types that cannot be compared."""

    snapshot: Snapshot
    unread: frozenset[str]
    naming: Naming

    @property
    def by_key(self) -> Mapping[Key, Entity]:
        """The entities."""
        return self.naming.by_key

    @property
    def names(self) -> Mapping[Key, str]:
        """What the entities are called."""
        return self.naming.names

    @property
    def workspace_id(self) -> str:
        """The workspace's id."""
        return self.snapshot.manifest.source.workspace_id

    @property
    def owned(self) -> AbstractSet[Key]:
        """The functions that profile builders own."""
        return self.naming.owned

    def shown(self) -> Iterator[Entity]:
        """Yield the entities that can be compared."""
        for entity in self.snapshot.entities:
            owned = entity.key in self.owned or entity.body.get("kind") == "profile"
            # without the builders, the owner of a function of kind profile is unknown
            unclear = "profile-builder" in self.unread and entity.key.type == "function" and owned
            if entity.key.type not in self.unread and not unclear:
                yield entity


@dataclass(frozen=True, slots=True)
class Matches:
    """The pairs: `found` maps earlier keys to later entities, `ids` earlier ids to later ones.

    `words` are the names to show for the ids of each side.
    """

    found: Mapping[Key, Entity]
    ids: Mapping[str, str]
    words: tuple[Mapping[str, str], Mapping[str, str]] = field(default=({}, {}))


def _pair(one: _Side, other: _Side, options: PlanOptions) -> Matches:
    """Pair two sides, either of which may be a clone of the other."""
    record = options.record
    forward = record is None or record.manifest.source.workspace_id == other.workspace_id
    pairing = PlanOptions(
        mapping=options.mapping, match_by_name=options.match_by_name, record=record if forward else None
    )
    sides = Sides(one.snapshot, other.snapshot, pairing)
    found = _paired_objects(sides, one.unread)
    back = PlanOptions(record=None if forward else record)
    backward = _paired_objects(Sides(other.snapshot, one.snapshot, back), one.unread)
    taken = {pair.key for pair in found.values()}
    for key, entity in backward.items():
        if entity.key not in found and key not in taken:
            found[entity.key] = other.by_key[key]
            taken.add(key)
    ids = {key.id: pair.key.id for key, pair in found.items()}
    for function, its in _owned_pairs(one, found):
        ids[function] = its
        mine, theirs = Key("function", function), Key("function", its)
        if mine in one.by_key and theirs in other.by_key and theirs not in taken:
            found[mine] = other.by_key[theirs]
            taken.add(theirs)
    if sides.in_place:  # a function that a builder has come to own, or no longer owns
        functions = (one.owned | other.owned) & one.by_key.keys() & other.by_key.keys()
        found |= {key: other.by_key[key] for key in functions - taken - found.keys()}
    return Matches({**found, **_paired_links(sides, ids)}, ids, _words(one, other, ids))


def _words(one: _Side, other: _Side, ids: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    return words_for(
        {e.key.id: (Key(e.key.type, ids.get(e.key.id, e.key.id)), e.name) for e in one.snapshot.entities},
        {e.key.id: (e.key, e.name) for e in other.snapshot.entities},
    )


def _paired_objects(sides: Sides, unread: frozenset[str]) -> dict[Key, Entity]:
    return {key: found for key, found in pair_objects(sides).found.items() if key.type not in unread}


def _owned_pairs(one: _Side, found: Mapping[Key, Entity]) -> list[tuple[str, str]]:
    """Return the ids of the functions that paired profile builders own on both sides."""
    return [
        (mine, its)
        for key, pair in found.items()
        if key in one.by_key
        for (mine, _), (its, _) in zip(
            owned_functions([one.by_key[key]]), owned_functions([pair]), strict=False
        )
    ]


def _paired_links(sides: Sides, ids: Mapping[str, str]) -> Mapping[Key, Entity]:
    pairs = Pairs(sides, {key: ids[key.id] for key in sides.by_key if key.id in ids})
    before: dict[Ends, list[Entity]] = defaultdict(list)
    after: dict[Ends, list[Entity]] = defaultdict(list)
    for link in links_of(sides.snapshot):
        before[ends(_mapped(link, ids))].append(link)
    for link in links_of(sides.live):
        after[ends(link.body)].append(link)
    return pair_groups(pairs, before, after).found


def pair_in_time(
    before: Snapshot, after: Snapshot, naming: tuple[Naming, Naming], unchanged: Collection[Key]
) -> Matches:
    """Pair a workspace with itself at a later time; both snapshots must be complete.

    An entity keeps its identity as long as it has its id. Entities that our restores re-created are followed to their new
    ids: objects by derived ids, links by their ends. `unchanged` are keys of entities known to be equal on both sides.
    """
    one, other = (
        _Side(side, frozenset(), names) for side, names in zip((before, after), naming, strict=True)
    )
    found = {
        key: other.by_key[key]
        for key, entity in one.by_key.items()
        if key in unchanged
        or (key in other.by_key and (not is_link(key) or ends(entity.body) == ends(other.by_key[key].body)))
    }
    gone, new = one.by_key.keys() - found.keys(), other.by_key.keys() - {p.key for p in found.values()}
    if gone and new:
        left = [
            replace(s.snapshot, entities=tuple(s.by_key[k] for k in sorted(ks)))
            for s, ks in ((one, gone), (other, new))
        ]
        found |= _made_again(left[0], left[1])
        taken = {pair.key for pair in found.values()}
        for mine, theirs in _owned_pairs(one, found):
            key = Key("function", mine)
            if key in gone and Key("function", theirs) in new - taken:
                found[key] = other.by_key[Key("function", theirs)]
        ids = {key.id: pair.key.id for key, pair in found.items()}
        links = _paired_links(Sides(one.snapshot, other.snapshot, _DEFAULTS), ids)
        found |= {key: link for key, link in links.items() if key in gone and link.key in new}
    ids = {key.id: pair.key.id for key, pair in found.items()}
    return Matches(found, ids, _words(one, other, ids))


def _made_again(gone: Snapshot, new: Snapshot) -> dict[Key, Entity]:
    """Return the objects of `new` whose ids are derived from those of `gone`, or vice versa, by the key of `gone`."""
    found = _paired_objects(Sides(gone, new, _DEFAULTS), frozenset())
    taken = {pair.key for pair in found.values()}
    by_key = {entity.key: entity for entity in new.entities}
    for key, entity in _paired_objects(Sides(new, gone, _DEFAULTS), frozenset()).items():
        if entity.key not in found and key not in taken:
            found[entity.key] = by_key[key]
    return found


def changes_in_time(
    before: Snapshot,
    after: Snapshot,
    schemas: Schemas,
    pairs: Matches,
    naming: tuple[Naming, Naming],
    unchanged: Collection[Key],
) -> list[EntityChange]:
    """Return what changed in a workspace between two times; both snapshots must be complete. Fields are as in `compare`.

    `pairs` are those of `pair_in_time`. `unchanged` are keys of entities known to be equal, which are not compared.
    """
    one, other = (
        _Side(side, frozenset(), names) for side, names in zip((before, after), naming, strict=True)
    )
    comparison = _Comparison(one, other, schemas, pairs, frozenset(), ())
    changes: list[EntityChange] = []
    for key, entity in one.by_key.items():
        pair = pairs.found.get(key)
        if pair is None:
            changes.append(comparison.removed(entity))
        elif key not in unchanged:
            change = comparison.changed(entity, pair)
            changes += [] if change is None else [change]
    paired = {pair.key for pair in pairs.found.values()}
    changes += [comparison.added(entity) for key, entity in other.by_key.items() if key not in paired]
    return sorted(changes, key=_in_order)


def _mapped(entity: Entity, ids: Mapping[str, str]) -> dict[str, Any]:
    """Return a body with the ids of the later side in its references."""
    return rewrite(entity_type(entity.key.type).references, entity.body, lambda _types, one: ids.get(one))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Both sides and their pairs."""

    before: _Side
    after: _Side
    schemas: Schemas
    pairs: Matches
    secrets: frozenset[str]
    ignored: tuple[str, ...]

    @property
    def same_workspace(self) -> bool:
        """Whether both sides are one workspace."""
        return same_workspace(self.before.snapshot, self.after.snapshot)

    def changed(self, entity: Entity, other: Entity) -> EntityChange | None:
        """Return the change of a pair, or None if nothing differs."""
        changes = tuple(self._fields(entity, other))
        if not changes:
            return None
        was, name = self.before.names[entity.key], self.after.names[other.key]
        return EntityChange(
            ChangeKind.CHANGED, entity.key.type, name, entity.key, other.key, None if was == name else was, changes,
            saved_at=self._saved_at(entity, other),
        )  # fmt: skip

    def removed(self, entity: Entity) -> EntityChange:
        """Return the change of an entity that only the earlier side has."""
        name, body = self.before.names[entity.key], self._shown(entity, self.pairs.words[0])
        return EntityChange(ChangeKind.REMOVED, entity.key.type, name, before=entity.key, body=body)

    def added(self, entity: Entity) -> EntityChange:
        """Return the change of an entity that only the later side has."""
        name, body = self.after.names[entity.key], self._shown(entity, self.pairs.words[1])
        return EntityChange(
            ChangeKind.ADDED,
            entity.key.type,
            name,
            after=entity.key,
            body=body,
            saved_at=self._saved_at(entity),
        )

    def _saved_at(self, *sides: Entity) -> datetime | None:
        return last_saved(sides, min(side.snapshot.taken_at for side in (self.before, self.after)))

    def _shown(self, entity: Entity, words: Mapping[str, str]) -> dict[str, Any]:
        body = redact(Entity(entity.key, self._in_words(entity, words)), entity_type(entity.key.type).secrets)
        return {name: conceal(value, self.secrets) for name, value in body.items()}

    def _fields(self, entity: Entity, other: Entity) -> Iterator[FieldChange]:
        """Yield every field of a pair that differs."""
        if entity.key in self.before.owned and other.key in self.after.owned:
            return  # reported with its builder
        mine, theirs = self._essences(entity, other)
        mine, theirs = with_passwords_of(theirs, mine), with_passwords_of(mine, theirs)
        own = self._own(entity, other)
        mine = own.kept_in(mine, theirs)
        if not (self.same_workspace and entity.key == other.key):  # a different entity has a grant of its own
            mine, theirs = (without_grant(entity.key.type, body) for body in (mine, theirs))
            yield from self._grant(entity, other)
        schema = self.schemas.get(schema_name(other.key.type, other.body) or "")
        paths = [
            path for path in paths_that_differ(mine, theirs) if is_difference(mine, theirs, path, schema)
        ]
        if paths:
            is_now, was = (
                self._in_words(other, self.pairs.words[1]),
                self._in_words(entity, self.pairs.words[0]),
            )
            was, is_now = with_passwords_of(is_now, was), with_passwords_of(was, is_now)
            yield from field_changes(entity.key.type, paths, was, is_now, self.secrets)
        one = self.before.snapshot.secrets.get(entity.key, {})
        two = self.after.snapshot.secrets.get(other.key, {})
        for name in sorted(one.keys() & two.keys()):  # what only the operator's token could read
            if own.cover(tuple(name.split("."))) or name.endswith(".hash"):
                continue
            if one[name] != two[name]:
                yield FieldChange(name, HIDDEN, HIDDEN, secret=True)

    def ignored_differences(self, entity: Entity, other: Entity) -> int:
        """Return how many fields of a pair differ and are ignored."""
        own = self._own(entity, other)
        if not own:
            return 0
        mine, theirs = self._essences(entity, other)
        schema = self.schemas.get(schema_name(other.key.type, other.body) or "")
        return sum(is_difference(mine, theirs, path, schema) for path in own.differing(mine, theirs))

    def _own(self, entity: Entity, other: Entity) -> OwnFields:
        named = ((entity, self.before.names[entity.key]), (other, self.after.names[other.key]))
        return OwnFields(tuple(field.path for field in fields_ignored(self.ignored, named)))

    def _essences(self, entity: Entity, other: Entity) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return both bodies of a pair in normal form, with the ids of the later side."""
        return self._essence(Entity(entity.key, _mapped(entity, self.pairs.ids))), self._essence(other)

    def _grant(self, entity: Entity, other: Entity) -> Iterator[FieldChange]:
        """Yield the change of a grant. Between different objects its fields only say whether there is one."""
        had, has = (is_authorised(side, borrowing=self.same_workspace) for side in (entity, other))
        if had is not has:
            yield FieldChange(GRANT, _grant_in_words(had), _grant_in_words(has))

    def _essence(self, entity: Entity) -> dict[str, Any]:
        """Return a body in normal form, without what is never a difference."""
        table = entity_type(entity.key.type)
        body = link_body(entity) if is_link(entity.key) else without_volatile(entity)
        for name in (*_NOTES, *table.bookkeeping):
            body.pop(name, None)
        if table.owns_functions:
            code, draft = builder_code(entity)
            body |= {"code": code, **({"draft": draft} if draft != code else {})}
        if entity.key.type == "stream":
            body.setdefault("domains", [])
            for name in KEY_FIELDS:
                body[name] = self._write_keys(body.get(name))
        if entity.key.type == "domain" and isinstance(body.get("name"), str):
            body["name"] = body["name"].lower()
        value = body.get("value")
        if entity.key.type == "misc" and not self.same_workspace and isinstance(value, str) and value != MASK:
            # each workspace has its own classic keys; only the streams that they refer to can be compared
            body["value"] = "\n".join(sorted(line.partition("=")[0] for line in value.split("\n")))
        for name in _UNORDERED:
            value = body.get(name)
            if isinstance(value, list) and all(isinstance(item, str) for item in value):
                body[name] = sorted(value)
        return body

    def _write_keys(self, keys: Any) -> Any:
        """Return the comparable part of write keys: their ids within one workspace, their number between two."""
        known = [key for key in items_of(keys) if isinstance(key, Mapping)]
        return sorted(str(key.get("id")) for key in known) if self.same_workspace else len(known)

    def _in_words(self, entity: Entity, words: Mapping[str, str]) -> dict[str, Any]:
        """Return the body of an entity in normal form, with names in place of the ids that it refers to."""
        return self._essence(Entity(entity.key, in_words(entity, words)))


def _grant_in_words(given: bool) -> str:
    return "authorised" if given else "not authorised"
