"""What differs between two snapshots, in the words of a reader: paired as a restore would pair them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from jitsu_backup.catalogue import (
    HIDDEN,
    Selector,
    check_type,
    entity_type,
    is_authorised,
    link_name,
    owned_functions,
    redact,
    rewrite,
    without_grant,
)
from jitsu_backup.catalogue.table import Route
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Entity, Key, Path, Snapshot, Source, items_of
from jitsu_backup.planning.context import KEY_FIELDS, Context, builder_code, same_workspace, without_volatile
from jitsu_backup.planning.fields import FieldChange, field_changes, in_words, words_for
from jitsu_backup.planning.grants import GRANT
from jitsu_backup.planning.json_diff import differences, value_at
from jitsu_backup.planning.links import LinkPairs, ends, link_body, pair_group
from jitsu_backup.planning.objects import BOOKKEEPING
from jitsu_backup.planning.pairing import pair_objects
from jitsu_backup.planning.plan import PlanOptions
from jitsu_backup.planning.schema_rules import Schemas, default_at, schema_name

_DEPENDENTS = {
    "stream": ("link", "misc"),
    "service": ("link",),
    "destination": ("link", "profile-builder"),
    "function": ("link", "profile-builder"),
}

# what no person has set: the console's note of its last try to connect
_NOTES = ("testConnectionError", "profileBuilderId", "deleted")

# fields whose order says nothing
_SETS = (("domains",), ("events",), ("emails",))


class ChangeKind(Enum):
    """What became of an entity."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class EntityChange:
    """One entity that differs. `before` and `after` are its keys on either side, where it is there.

    `name` is what the later side calls it, `was` the earlier name where that was another. `body` is what an added or
    removed one holds, ready to be shown.
    """

    kind: ChangeKind
    type: str
    name: str
    before: Key | None = None
    after: Key | None = None
    was: str | None = None
    fields: tuple[FieldChange, ...] = ()
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two snapshots.

    `same` names what does not, by after's keys; `pairs` tells who is whom.
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
        """Count the changes by type and kind."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for change in self.entities:
            found[change.type][change.kind.value] += 1
        return dict(sorted(found.items()))


def compare(before: Snapshot, after: Snapshot, schemas: Schemas) -> Changes:
    """Tell what differs between two snapshots, of one workspace or of two.

    Entities are paired as a restore of either into the other would pair them. What a console fills in by `schemas`,
    times, order and ids say nothing and never differ; secrets that a console hides cannot be compared. A profile
    builder's function counts as any other entity; what differs in its code is told with its builder.
    """
    comparison = _Comparison(before, after, schemas)
    pairs = comparison.pairs()
    found: list[EntityChange] = []
    same: list[Key] = []
    paired_after = {other.key for other in pairs.values()}
    for entity in comparison.shown(before):
        other = pairs.get(entity.key)
        if other is None:
            found.append(comparison.alone(entity, before, ChangeKind.REMOVED))
            continue
        changes = tuple(comparison.fields(entity, other))
        if changes:
            found.append(comparison.changed(entity, other, changes))
        else:
            same.append(other.key)
    found += [
        comparison.alone(entity, after, ChangeKind.ADDED)
        for entity in comparison.shown(after)
        if entity.key not in paired_after
    ]
    found.sort(key=lambda c: (entity_type(c.type).stage, c.type, c.name, str(c.before or c.after)))
    paired = {key: other.key for key, other in pairs.items()}
    return Changes(before, after, tuple(found), tuple(same), tuple(comparison.notes), paired)


class _Comparison:
    """Both sides and who is whom."""

    def __init__(self, before: Snapshot, after: Snapshot, schemas: Schemas) -> None:
        self.before, self.after, self.schemas = before, after, schemas
        self.same_workspace = same_workspace(before, after)
        self.ids: dict[str, str] = {}  # of before's entities, those of after's that stand for them
        self.notes: list[str] = []
        self.unread = {
            refusal.what
            for snapshot in (before, after)
            for refusal in snapshot.manifest.refused
            if refusal.missing
        }
        if not self.same_workspace:  # what refers to what is unread cannot be told apart either
            self.unread |= {
                dependent
                for name, dependents in _DEPENDENTS.items()
                if name in self.unread
                for dependent in dependents
            }
        for name in sorted(self.unread & {*before.manifest.counts, *after.manifest.counts}):
            self.notes.append(f"{name} could not be read on one side, and is not compared")
        self.owned = {
            id(snapshot): {Key("function", function) for function, _ in owned_functions(snapshot.entities)}
            for snapshot in (before, after)
        }
        self.names = {id(snapshot): _names(snapshot) for snapshot in (before, after)}
        self.words: dict[int, dict[str, str]] = {}

    def shown(self, snapshot: Snapshot) -> Iterator[Entity]:
        """Return a side's entities that can be compared."""
        unclear = "profile-builder" in self.unread  # whose a function of kind profile is
        return (
            e
            for e in snapshot.entities
            if e.key.type not in self.unread
            and not (
                unclear
                and e.key.type == "function"
                and (e.key in self.owned[id(snapshot)] or e.body.get("kind") == "profile")
            )
        )

    # -- who is whom ---------------------------------------------------------------

    def pairs(self) -> dict[Key, Entity]:
        """Pair the sides, by before's keys."""
        found = self._paired_objects(self.before, self.after)
        taken = {other.key for other in found.values()}
        by_key = {entity.key: entity for entity in self.before.entities}
        later = {entity.key: entity for entity in self.after.entities}
        # the clone may be the earlier side
        for key, entity in self._paired_objects(self.after, self.before).items():
            if entity.key not in found and key not in taken:
                found[entity.key] = later[key]
                taken.add(key)
        self.ids = {key.id: other.key.id for key, other in found.items()}
        for key, other in list(found.items()):
            if key.type == "profile-builder":
                own = [function for function, _ in owned_functions([by_key[key]])]
                theirs = [function for function, _ in owned_functions([other])]
                self.ids |= dict(zip(own, theirs, strict=False))
                for mine, its in zip(own, theirs, strict=False):
                    one, two = Key("function", mine), Key("function", its)
                    if one in by_key and two in later and two not in taken:
                        found[one] = later[two]
                        taken.add(two)
        if self.same_workspace:  # one that came to be a builder's, or is one no more
            functions = self.owned[id(self.before)] | self.owned[id(self.after)]
            found |= {
                key: later[key] for key in functions & by_key.keys() & later.keys() - taken - found.keys()
            }
        called = (
            {
                e.key.id: (Key(e.key.type, self.ids.get(e.key.id, e.key.id)), e.name)
                for e in self.before.entities
            },
            {e.key.id: (e.key, e.name) for e in self.after.entities},
        )
        self.words = dict(zip((id(self.before), id(self.after)), words_for(*called), strict=True))
        return found | self._paired_links()

    def _paired_objects(self, one: Snapshot, other: Snapshot) -> dict[Key, Entity]:
        context = Context(one, other, PlanOptions())
        pair_objects(context)
        return {key: entity for key, entity in context.found.items() if key.type not in self.unread}

    def _paired_links(self) -> dict[Key, Entity]:
        groups: dict[tuple[str, str, str], tuple[list[Entity], list[Entity]]] = defaultdict(lambda: ([], []))
        for link in self.before.of_type("link"):
            groups[ends(self._mapped(link))][0].append(link)
        for link in self.after.of_type("link"):
            groups[ends(link.body)][1].append(link)
        context = Context(self.before, self.after, PlanOptions())
        context.ids |= {key: self.ids[key.id] for key in context.by_key if key.id in self.ids}
        pairs = LinkPairs()
        for group, (mine, theirs) in groups.items():
            pair_group(context, group, mine, theirs, pairs)
        return dict(pairs.found)

    def _mapped(self, entity: Entity) -> dict[str, Any]:
        return rewrite(
            entity_type(entity.key.type).references, entity.body, lambda _types, one: self.ids.get(one)
        )

    # -- what differs -----------------------------------------------------------------

    def fields(self, entity: Entity, other: Entity) -> Iterator[FieldChange]:
        """Give every field of a pair that differs."""
        if entity.key in self.owned[id(self.before)] and other.key in self.owned[id(self.after)]:
            return  # told with its builder
        mine = self._essence(Entity(entity.key, self._mapped(entity)))
        theirs = self._essence(other)
        if not (self.same_workspace and entity.key == other.key):  # another one has a grant of its own
            mine, theirs = (without_grant(entity.key.type, body) for body in (mine, theirs))
            yield from self._grant(entity, other)
        schema = self.schemas.get(schema_name(other.key.type, other.body) or "")
        told = [path for path in differences(mine, theirs) if _counts(mine, theirs, path, schema)]
        if told:
            yield from field_changes(
                entity.key.type, told, self._in_words(entity, self.before), self._in_words(other, self.after)
            )
        one, two = self.before.secrets.get(entity.key, {}), self.after.secrets.get(other.key, {})
        for name in sorted(one.keys() & two.keys()):  # what only the operator's token could read
            if one[name] != two[name] and not name.endswith(".hash"):
                yield FieldChange(name, HIDDEN, HIDDEN, secret=True)

    def _grant(self, entity: Entity, other: Entity) -> Iterator[FieldChange]:
        """Give whether one of two objects is authorised and the other is not: of other ids, their fields say no more."""
        had, has = (is_authorised(side, borrowing=self.same_workspace) for side in (entity, other))
        if had is not has:
            yield FieldChange(GRANT, _grant_in_words(had), _grant_in_words(has))

    def _essence(self, entity: Entity) -> dict[str, Any]:
        """Give a body without what says nothing, in one spelling."""
        link = entity.key.type == "link"
        body = link_body(entity) if link else without_volatile(entity)
        for name in _NOTES:
            body.pop(name, None)
        if entity_type(entity.key.type).route is Route.PROFILE_BUILDER:
            for name in BOOKKEEPING:
                body.pop(name, None)
            code, draft = builder_code(entity)
            body |= {"code": code, **({"draft": draft} if draft != code else {})}
        if entity.key.type == "stream":
            body.setdefault("domains", [])
            for name in KEY_FIELDS:
                body[name] = self._write_keys(body.get(name))
        if entity.key.type == "domain" and isinstance(body.get("name"), str):
            body["name"] = body["name"].lower()
        if entity.key.type == "misc" and not self.same_workspace and isinstance(body.get("value"), str):
            # each workspace has classic keys of its own; only which streams they name can be compared
            body["value"] = "\n".join(sorted(line.partition("=")[0] for line in body["value"].split("\n")))
        for path in _SETS:
            value = value_at(body, path)
            if isinstance(value, list) and all(isinstance(item, str) for item in value):
                body[path[0]] = sorted(value)
        return body

    def _write_keys(self, keys: Any) -> Any:
        """Give what can be told of write keys: their ids in one workspace, how many between two."""
        known = [key for key in items_of(keys) if isinstance(key, Mapping)]
        if not self.same_workspace:
            return len(known)
        return sorted(str(key.get("id")) for key in known)

    def _in_words(self, entity: Entity, snapshot: Snapshot) -> dict[str, Any]:
        """Give what an entity says, with names in the place of the ids that it refers to."""
        return self._essence(Entity(entity.key, in_words(entity, self.words[id(snapshot)])))

    # -- what is shown ------------------------------------------------------------------

    def changed(self, entity: Entity, other: Entity, changes: tuple[FieldChange, ...]) -> EntityChange:
        """Describe a pair that differs."""
        was, name = self.called(entity, self.before), self.called(other, self.after)
        return EntityChange(
            ChangeKind.CHANGED,
            entity.key.type,
            name,
            entity.key,
            other.key,
            None if was == name else was,
            changes,
        )

    def alone(self, entity: Entity, snapshot: Snapshot, kind: ChangeKind) -> EntityChange:
        """Describe an entity that only one side has."""
        body = self._in_words(entity, snapshot)
        shown = redact(Entity(entity.key, body), entity_type(entity.key.type).secrets)
        removed = kind is ChangeKind.REMOVED
        return EntityChange(
            kind,
            entity.key.type,
            self.called(entity, snapshot),
            entity.key if removed else None,
            None if removed else entity.key,
            body=shown,
        )

    def called(self, entity: Entity, snapshot: Snapshot) -> str:
        """Give an entity's name; a link is called by its ends."""
        if entity.key.type != "link":
            return entity.name
        return link_name(entity, self.names[id(snapshot)])


def _grant_in_words(given: bool) -> str:
    return "authorised" if given else "not authorised"


def _counts(mine: Any, theirs: Any, path: Path, schema: Mapping[str, Any] | None) -> bool:
    """Tell whether a difference is one: not what the console fills in by itself, nor nothing for nothing."""
    sides = (value_at(mine, path), value_at(theirs, path))
    filled_in = default_at(schema, path)
    by_itself = None in sides and filled_in is not None and filled_in in sides
    return not by_itself and any(side not in (None, "", [], {}) for side in sides)


def _names(snapshot: Snapshot) -> dict[str, str]:
    return {entity.key.id: entity.name for entity in snapshot.entities if entity.key.type != "link"}


def chosen(changes: Changes, selectors: Sequence[Selector]) -> Changes:
    """Give only what a selector names, by either side's id or name; everything without selectors.

    Raises UsageError for a type that there is not, and for a selector that names one entity and finds none.
    """
    if not selectors:
        return changes
    found: set[str] = set()
    names = _names(changes.after)
    after = {entity.key: entity for entity in changes.after.entities}

    def wanted(keys: Iterable[Key | None], called: Iterable[str | None]) -> bool:
        fitting = {
            selector.text
            for selector in selectors
            for key in keys
            for name in called
            if key is not None and name is not None and selector.matches(Entity(key, {}), name)
        }
        found.update(fitting)
        return bool(fitting)

    functions = _functions_of_builders(changes)

    def change_wanted(change: EntityChange) -> bool:
        sides = (change.before, change.after)
        told_there = [f for side in sides for f in functions.get(side, ())]
        return wanted(sides, (change.name, change.was)) or any(wanted([f.key], [f.name]) for f in told_there)

    entities = tuple(change for change in changes.entities if change_wanted(change))
    earlier = {other: key for key, other in changes.pairs.items()}
    same = tuple(
        key
        for key in changes.same
        if wanted(
            (key, earlier.get(key)), [link_name(after[key], names) if key.type == "link" else after[key].name]
        )
    )
    for selector in selectors:
        check_type(selector, "--only", {*changes.before.manifest.counts, *changes.after.manifest.counts})
        if selector.exact and selector.text not in found:
            raise UsageError(f"--only: {selector.text!r} is on neither side")
    return replace(changes, entities=entities, same=same)


def _functions_of_builders(changes: Changes) -> dict[Key | None, list[Entity]]:
    """Return the functions that each profile builder of either side owns: what differs in them is told with it."""
    found: dict[Key | None, list[Entity]] = defaultdict(list)
    for snapshot in (changes.before, changes.after):
        by_key = {entity.key: entity for entity in snapshot.of_type("function")}
        for function, builder in owned_functions(snapshot.entities):
            if Key("function", function) in by_key:
                found[Key("profile-builder", builder)].append(by_key[Key("function", function)])
    return found


__all__ = [
    "ChangeKind",
    "Changes",
    "EntityChange",
    "chosen",
    "compare",
]
