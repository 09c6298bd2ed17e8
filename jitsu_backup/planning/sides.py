"""Both sides of a plan: the snapshot under the overlay, and the current target."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from jitsu_backup.catalogue import (
    Form,
    Selector,
    check_type,
    dangling_references,
    ends,
    entity_names,
    entity_type,
    find_references,
    given_name,
    is_link,
    owned_functions,
    told_apart,
    write_key_ids,
)
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Entity, Key, Path, Snapshot, features_of, quoted
from jitsu_backup.planning.capabilities import Capabilities, capabilities
from jitsu_backup.planning.identity import same_workspace
from jitsu_backup.planning.lineage import Lineage, former_names, trace
from jitsu_backup.planning.options import PlanOptions, Since
from jitsu_backup.planning.overlays import overlay_selectors
from jitsu_backup.planning.take import Called, Take, parse_take


@dataclass(frozen=True)  # without slots, because what follows from the fields is cached
class Sides:
    """A snapshot, the target `live` and the options, with what follows from them. Planning never changes this object."""

    snapshot: Snapshot
    live: Snapshot
    options: PlanOptions

    # -- the snapshot --------------------------------------------------------------

    @cached_property
    def by_key(self) -> Mapping[Key, Entity]:
        """The snapshot's entities."""
        return {entity.key: entity for entity in self.snapshot.entities}

    @cached_property
    def names(self) -> Mapping[Key, str]:
        """The names of the snapshot's entities."""
        return entity_names(self.snapshot.entities)

    @cached_property
    def desired(self) -> Mapping[Key, Entity]:
        """The snapshot's entities under the overlay."""
        apply = self.options.overlay.apply
        return {key: Entity(key, apply(entity, self.names[key])) for key, entity in self.by_key.items()}

    @cached_property
    def desired_names(self) -> Mapping[Key, str]:
        """The names that the snapshot's entities will have. A name that is a secret of the overlay is not shown."""
        secrets = self.options.overlay.secrets
        return entity_names(
            [self.by_key[key] if entity.name in secrets else entity for key, entity in self.desired.items()]
        )

    @cached_property
    def desired_shown(self) -> Mapping[Key, str]:
        """As `desired_names`, with given names added for entities between the same ends."""
        secrets = self.options.overlay.secrets
        entities = [
            self.by_key[key] if {entity.name, given_name(entity)} & secrets else entity
            for key, entity in self.desired.items()
        ]
        return told_apart(entities, self.desired_names)

    @cached_property
    def owned(self) -> Mapping[str, str]:
        """The profile builder that owns each function of the snapshot, by the function's id."""
        return dict(owned_functions(self.snapshot.entities))

    @cached_property
    def ids_of_type(self) -> Mapping[str, set[str]]:
        """The snapshot's ids by type."""
        found: dict[str, set[str]] = defaultdict(set)
        for key in self.by_key:
            found[key.type].add(key.id)
        return found

    @cached_property
    def keys_of_id(self) -> Mapping[str, list[Key]]:
        """The snapshot's keys that an id in a reference may stand for. Nothing refers to a link."""
        found: dict[str, list[Key]] = defaultdict(list)
        for key in self.by_key:
            if not is_link(key):
                found[key.id].append(key)
        return dict(found)

    @cached_property
    def dead_links(self) -> set[Key]:
        """The snapshot's links that lost an end: no data flows through them [delete/links-now-dangle]."""
        return {one.key for one in dangling_references(self.snapshot) if one.dead and is_link(one.key)}

    @cached_property
    def images_of_package(self) -> Mapping[str, list[Key]]:
        """The snapshot's custom images by their packages."""
        found: dict[str, list[Key]] = defaultdict(list)
        for image in self.desired.values():
            if image.key.type == "custom-image":
                found[str(image.body.get("package"))].append(image.key)
        return found

    @cached_property
    def streams_of_domain(self) -> Mapping[str, set[Key]]:
        """The snapshot's streams that should have a domain, by the domain in lower case."""
        found: dict[str, set[Key]] = defaultdict(set)
        for key, entity in self.desired.items():
            domains = entity.body.get("domains") if key.type == "stream" else None
            for domain in domains if isinstance(domains, list) else ():
                found[str(domain).lower()].add(key)
        return found

    # -- the target ----------------------------------------------------------------

    @property
    def workspace_id(self) -> str:
        """The target's id."""
        return self.live.manifest.source.workspace_id

    @cached_property
    def live_by_key(self) -> Mapping[Key, Entity]:
        """The target's entities."""
        return {entity.key: entity for entity in self.live.entities}

    @cached_property
    def live_names(self) -> Mapping[Key, str]:
        """The names of the target's entities."""
        return entity_names(self.live.entities)

    @cached_property
    def live_shown(self) -> Mapping[Key, str]:
        """As `live_names`, with given names added for entities between the same ends."""
        return told_apart(self.live.entities, self.live_names)

    @cached_property
    def live_owned(self) -> Mapping[str, str]:
        """The profile builder that owns each function of the target, by the function's id."""
        return dict(owned_functions(self.live.entities))

    @cached_property
    def live_ids(self) -> set[str]:
        """The target's ids, of whatever type."""
        return {key.id for key in self.live_by_key}

    @cached_property
    def taken_ids(self) -> set[str]:
        """Ids of deleted entities, which stay taken: those in references of the target that no entity has."""
        taken = {
            named
            for entity in self.live.entities
            for reference, named in find_references(entity_type(entity.key.type).references, entity.body)
            if reference.form not in (Form.ANYWHERE, Form.PACKAGE) and named not in self.live_ids
        }
        known = self.by_key.keys() - self.options.fresh if self.in_place else ()
        return taken | ({key.id for key in known} - self.live_ids)

    @cached_property
    def live_write_keys(self) -> set[str]:
        """The ids of the write keys of the target's streams."""
        return write_key_ids(self.live)

    @cached_property
    def features(self) -> frozenset[str]:
        """The features that are switched on in the target [discovery/workspace]."""
        return features_of(self.live.workspace)

    @cached_property
    def capabilities(self) -> Capabilities:
        """What the target's console can do."""
        return capabilities(self.live, self.options.schemas)

    # -- the record of the last clone ------------------------------------------------

    @cached_property
    def lineage(self) -> Lineage:
        """The lineage since the last clone or, in place, since a folder was unpacked; empty without a record."""
        record = self.options.record
        return Lineage() if record is None else trace(record, self.snapshot, self.live)

    @cached_property
    def earlier(self) -> tuple[Snapshot, ...]:
        """The known earlier states of the target."""
        options = self.options
        own = self.snapshot if self.in_place else None
        return tuple(
            one for one in (options.record, options.emptied, options.earlier, own) if one is not None
        )

    @cached_property
    def earlier_names(self) -> Mapping[Key, set[str]]:
        """The names that the target's entities had in earlier states, or that both sides had at a clone."""
        found = defaultdict[Key, set[str]](set)
        for then in self.earlier:
            for key, name in former_names(then, self.live):
                found[key].add(name)
        return found

    @cached_property
    def emptied(self) -> tuple[Snapshot | None, Lineage]:
        """The record that tells which secrets an earlier run has sent empty, and who is whom since then."""
        record = self.options.emptied if self.in_place else self.options.record
        if record is self.options.record:
            return record, self.lineage
        return record, Lineage() if record is None else trace(record, self.snapshot, self.live)

    @property
    def since(self) -> Since:
        """The moment from which changes of both sides are counted.

        A workspace with the slug of the source, on another console, was probably recovered, but may be a clone. The moment is
        unknown if only copies in the target show that there was a clone.
        """
        if self.options.since or self.in_place:
            return self.options.since or Since.FOLDER
        if self.options.unrecorded:
            return Since.UNKNOWN
        source, target = self.snapshot.manifest.source, self.live.manifest.source
        like_a_recovery = source.host != target.host and source.slug == target.slug
        return Since.EITHER if like_a_recovery else Since.CLONE

    @property
    def undoes(self) -> bool:
        """Whether a run is being undone; the record is then the state that it left."""
        return self.options.since is Since.RUN

    @property
    def why_lacking(self) -> str:
        """Why the snapshot lacks an entity that the record has, in words."""
        if self.undoes:
            return "created by the run being undone"
        return f"deleted in the {'folder' if self.in_place else 'source'}"

    def lacks(self, key: Key) -> str:
        """Return in words that the snapshot lacks an entity of the target."""
        if self.undoes:
            known = self.lineage.record_of(key) is not None
            return self.why_lacking if known else "created since the run being undone"
        if self.in_place:
            return "not in the snapshot"
        source = self.snapshot.manifest.source
        gone = "not" if self.lineage.record_of(key) is None else "deleted"
        return f"{gone} in {source.slug or source.workspace_id}"

    @cached_property
    def selectors(self) -> Mapping[Key, str]:
        """How an operator may name the snapshot's entities."""
        return overlay_selectors(self.names)

    @cached_property
    def live_selectors(self) -> Mapping[Key, str]:
        """How an operator may name the target's entities."""
        return overlay_selectors(self.live_names)

    @cached_property
    def take(self) -> Take:
        """Which side wins, according to the operator."""
        return parse_take(self.options.take)

    # -- both ----------------------------------------------------------------------

    @cached_property
    def in_place(self) -> bool:
        """Whether the target is the workspace that the snapshot was read from."""
        return same_workspace(self.snapshot, self.live)

    @cached_property
    def same_console(self) -> bool:
        """Whether the snapshot's workspace is on the target's console."""
        same_host = self.snapshot.manifest.source.host == self.live.manifest.source.host
        known = self.options.same_console
        return self.in_place or (same_host if known is None else known)

    @cached_property
    def types(self) -> set[str]:
        """The types that either side has."""
        return {*self.snapshot.manifest.counts, *self.live.manifest.counts}

    def overlaid(self, key: Key, path: Path) -> bool:
        """Return whether the overlay sets the value at `path` of an entity, or anything inside it."""
        rules = self.options.overlay.choosing(self.by_key[key], self.names[key])
        return any(given[: len(path)] == path for rule in rules for given in rule.paths())

    def belongs_to_unread_builder(self, entity: Entity) -> bool:
        """Return whether a function may belong to a profile builder, and the builders could not be read.

        Such a function is created only with its builder [profile-builder/function-listed-too].
        """
        unread = any(refusal.what == "profile-builder" for refusal in self.snapshot.manifest.refused)
        return unread and entity.key.type == "function" and entity.body.get("kind") == "profile"

    def named(self, types: tuple[str, ...], source_id: str) -> list[Key]:
        """Return the snapshot's keys that a reference may stand for; a custom image is referred to by its package."""
        if types == ("custom-image",):
            return self.images_of_package.get(source_id, [])
        return [key for key in self.keys_of_id.get(source_id, ()) if not types or key.type in types]

    def called(self, entity: Entity) -> str:
        """Return `type 'name'`, as used in notes, for an entity of either side."""
        names = self.desired_shown if self.by_key.get(entity.key) is entity else self.live_shown
        return f"{entity.key.type} {quoted(names[entity.key])}"

    def is_dead(self, link: Entity) -> bool:
        """Return whether a link of the target lost an end."""
        return is_link(link.key) and not {*ends(link.body)[1:]} <= self.live_ids

    def sides_of(self, key: Key, found: Entity | None) -> Called:
        """Return an entity of the snapshot and its counterpart `found` in the target, each with its name."""
        source = self.by_key[key], self.names[key]
        return [source] if found is None else [source, (found, self.live_names[found.key])]

    def all_called(self, found: Mapping[Key, Entity]) -> Iterator[Called]:
        """Yield all entities of both sides; `found` maps the snapshot's keys to the target's entities."""
        paired = {entity.key for entity in found.values()}
        yield from (self.sides_of(key, found.get(key)) for key in self.by_key)
        yield from ([(e, self.live_names[key])] for key, e in self.live_by_key.items() if key not in paired)

    def one(self, text: str, *, live: bool, option: str) -> Entity:
        """Return the one entity that a selector names. Raise UsageError for none or several."""
        selector = Selector(text)
        check_type(selector, option, self.types)
        entities, names = (self.live_by_key, self.live_names) if live else (self.by_key, self.names)
        found = [e for key, e in entities.items() if selector.matches(e, names[key])]
        where = "the target" if live else "the snapshot"
        if not found:
            raise UsageError(f"{option}: {text!r} is not in {where}; correct it")
        if len(found) > 1:
            some = ", ".join(str(entity.key) for entity in found[:4])
            raise UsageError(
                f"{option}: {text!r} matches {len(found)} entities of {where}: {some}; use the id of one of them"
            )
        return found[0]
