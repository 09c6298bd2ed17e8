"""A snapshot: everything read from one workspace at one moment."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from jitsu_backup.model.path import Path, format_path
from jitsu_backup.model.shapes import items_of

MASK = "__MASKED_BY_JITSU__"
"""What the console shows instead of a secret [destination/get-masked]."""

UNDEFINED = "__*$undef$*__"
"""The console's own marker for "no value": in a PUT it removes a key [stream/put-undefined-marker]."""


class Key(NamedTuple):
    """The key of an entity: its type, as in the console's routes, and its id."""

    type: str
    id: str

    def __str__(self) -> str:
        """Return `type/id`, as selectors write it."""
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Entity:
    """One stream, destination, link, …: its key and its body as the console listed it."""

    key: Key
    body: Mapping[str, Any] = field(repr=False)  # may hold secrets

    @property
    def name(self) -> str:
        """The name that a person gave it, or its id if there is none."""
        name = self.body.get("name")
        return name if isinstance(name, str) and name else self.key.id


@dataclass(frozen=True, slots=True)
class Source:
    """Where a snapshot was read.

    `host` is the console's base URL without credentials. `role` is the role of the API key's user in the workspace
    (`owner`, `editor`, `analyst`, …), `admin` for the operator's token, or None if the console reports none.
    """

    host: str
    workspace_id: str
    slug: str | None = None
    name: str | None = None
    console_version: str | None = None
    role: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The console and the workspace's id; the id alone is not unique, because two consoles may hold copies."""
        return self.host.rstrip("/"), self.workspace_id


@dataclass(frozen=True, slots=True, order=True)
class Refusal:
    """Something that could not be read, because the console rejected the request.

    `what` is an entity type, `cursor <syncId>`, `workspace/users`, …. `missing` says whether the snapshot therefore lacks
    configuration.
    """

    what: str
    reason: str
    missing: bool = True


@dataclass(frozen=True, slots=True, order=True)
class MaskedField:
    """One line of the ledger: a secret that could not be read.

    It belongs to the entity with this `type` and `id` or, for the type `workspace`, to section `id` of the workspace's
    options.
    """

    type: str
    id: str
    path: str


class Tombstone(Enum):
    """Which side lacks an entity that both had, once that is settled."""

    SOURCE = "source"
    TARGET = "target"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class CloneRecord:
    """What a clone records besides the state in which it left its target.

    `source` is the workspace that it read. `pairs` maps the source's keys to ids of the target, including entities that
    either side has deleted since; `write_keys` maps the ids of the source's write keys to those of the target.
    `overlay` is the SHA-256 digest of the overlay that was applied, None without one. `tombstones` lists, by the target's
    key, settled deletions: the target keeps the entity, only the target lacks it, or neither side has it. `former`
    maps keys that the target's entities had before rollbacks to their ids in `pairs`. `deletes` is set only in the intent
    of a clone: the keys of the target that the clone is about to delete. `secrets` is set only in what a run left for
    `undo`: by key, the paths of the hidden secrets that the run replaced. `empty` gives, by the target's key, the paths of
    the secrets that were sent empty because they were missing, and that no later run has sent.
    """

    source: Source
    pairs: Mapping[Key, str]
    write_keys: Mapping[str, str] = field(default_factory=dict)
    overlay: str | None = None
    tombstones: Mapping[Key, Tombstone] = field(default_factory=dict)
    former: Mapping[Key, str] = field(default_factory=dict)
    deletes: frozenset[Key] | None = None
    secrets: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)
    empty: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A snapshot's description of itself.

    `not_offered` names the types and routes that this console does not have, `generic` the types that the catalogue
    does not know. `consistent` says whether the last round of reading found no change. `cloned` is set only in the record
    of a clone, which is a snapshot of its target.
    """

    source: Source
    counts: Mapping[str, int]
    refused: tuple[Refusal, ...] = ()
    not_offered: tuple[str, ...] = ()
    generic: tuple[str, ...] = ()
    ledger: tuple[MaskedField, ...] = ()
    consistent: bool = True
    cloned: CloneRecord | None = None

    @property
    def complete(self) -> bool:
        """Whether the snapshot is consistent and lacks nothing."""
        return self.consistent and not any(refusal.missing for refusal in self.refused)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything read from one workspace at one moment.

    `taken_at` is in UTC. `entities` are sorted by key. `cursors` maps the id of a sync to the states of its streams,
    each a JSON text [sync-state/get]. `workspace`, `members` and `options` are kept for reference and never written
    back. `secrets` holds what only the operator's token could read: by key, the value at each path of the ledger, and
    `publicKeys.{id}.hash` or `privateKeys.{id}.hash` of streams. `bases` is set only in the record of a clone: by key, the
    source's body for an entity of the target, in the target's ids, where the target's body differs or is missing.
    `older_digest` is the digest of the archive that it was read from, if that has an older format. `hidden` lists the paths
    where a redacted folder has `***`: the body holds a mask there, alone or within a text, for the target's own value.
    """

    manifest: Manifest
    taken_at: datetime
    entities: tuple[Entity, ...] = field(repr=False)
    cursors: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    workspace: Mapping[str, Any] = field(default_factory=dict, repr=False)
    members: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    secrets: Mapping[Key, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    bases: Mapping[Key, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    older_digest: str = field(default="", repr=False, compare=False)
    hidden: Mapping[Key, frozenset[Path]] = field(default_factory=dict, repr=False)

    def of_type(self, entity_type: str) -> list[Entity]:
        """Return the entities of one type, sorted by id."""
        return [entity for entity in self.entities if entity.key.type == entity_type]


def features_of(workspace: Mapping[str, Any]) -> frozenset[str]:
    """Return the features that are switched on in a workspace, by its description [discovery/workspace]."""
    return frozenset(map(str, items_of(workspace.get("featuresEnabled"))))


def counts_by_type(entities: Iterable[Entity], types: Iterable[str] = ()) -> dict[str, int]:
    """Return the number of entities by type; each of `types` is included, even with 0."""
    counts = Counter(entity.key.type for entity in entities)
    return {name: counts[name] for name in sorted({*counts, *types})}


def unknown_secrets(snapshot: Snapshot) -> tuple[MaskedField, ...]:
    """Return the lines of the ledger whose secrets are missing from the snapshot."""
    return tuple(
        line
        for line in snapshot.manifest.ledger
        if line.path not in snapshot.secrets.get(Key(line.type, line.id), {})
    )


def masked_paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the path of every masked value inside `value`."""
    if value == MASK:
        yield at
    elif isinstance(value, Mapping):
        for name in sorted(value):
            yield from masked_paths(value[name], (*at, name))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from masked_paths(item, (*at, position))


def masked_fields(
    entities: Iterable[Entity], options: Mapping[str, Any] | None = None
) -> tuple[MaskedField, ...]:
    """Return the ledger of `entities` and of a workspace's `options`, sorted."""
    bodies = [(entity.key, entity.body) for entity in entities]
    sections = [(Key("workspace", name), section) for name, section in (options or {}).items()]
    return tuple(
        sorted(
            MaskedField(key.type, key.id, format_path(path))
            for key, body in (*bodies, *sections)
            for path in masked_paths(body)
        )
    )
