"""The table of entity types. A type that is not in it is handled generically (`generic=True`)."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from jitsu_backup.catalogue.references import Form, Reference

END_FIELDS = ("fromId", "toId")
"""Where a link holds the ids of its source and its destination."""

KEY_FIELDS = ("publicKeys", "privateKeys")
"""Where a stream lists its write keys [stream/list]."""

REVERSE_ETL = "reverse-etl"
"""The feature of a workspace that models and reverse syncs need [discovery/workspace]."""

PROBE_NOTES = frozenset({"testConnectionError"})
"""What the console records about its last connection test: sent with the rest, but never a difference."""

SOURCES = ("stream", "service")
"""The known types that a reference without types may refer to."""


class Route(Enum):
    """How the console serves a type. Only the route modules use this; everything else reads the table's columns."""

    OBJECT = "object"  # the client chooses the id [stream/create-without-id]
    MODEL = "model"  # as an object; the console also queries the warehouse [model/create-unknown-table]
    LINK = "link"  # the server chooses the id [link/create-push]
    PROFILE_BUILDER = "profile-builder"  # POST {profileBuilder, code} [profile-builder/create]
    REVERSE_SYNC = "reverse-sync"  # POST {requestId, sync} [reverse-sync/create]


class Put(Enum):
    """What a PUT does to fields that its body omits."""

    MERGES = "merges"  # they stay, at every depth on newer consoles [destination/put-nested-object-merges]
    REPLACES_FIELDS = "replaces fields"  # top-level fields stay; one that is sent is replaced as a whole
    REPLACES = "replaces"  # they are removed


@dataclass(frozen=True, slots=True)
class EntityType:
    """The table's line for one type.

    `stage` orders creation: all entities of lower stages are created before those of higher ones, and deleted after them.
    `ends` are the fields that hold the ids of the two entities that it joins, after which it is named. With
    `paired_by_ends` it is also paired by them, because the console chooses its id; all others are paired by id.
    `listed_in` is the type in whose list the entities appear, distinguished by their own `type`
    [link/list-shows-reverse-sync]; a console supports them if it supports the type `offered_with`. `subtype_field` holds
    the kind of an entity, on which its other fields and secrets depend. `volatile` are top-level fields that the server
    sets or that only say where the entity is, `bookkeeping` those that must be sent but are never a difference.

    `put` says what an update does to omitted fields, `sends_changes_only` whether it may omit any, and `marker_removes`
    whether the console's marker in a PUT removes a field [destination/put-undefined-marker-no-effect]. `named_in_path`
    says whether updates and deletions have the id in their path, `revivable` whether `cloneId` copies secrets from a
    deleted entity [delete/clone-from-deleted], `has_schema` whether the console serves a schema for it, and
    `owns_functions` whether functions are created and deleted with it. The console writes a type with a `feature` only in
    a workspace where the feature is switched on, but deletes it in any
    [model/create-feature-off, model/delete-feature-off]. With `deleted_first` an entity is deleted before anything
    is created, because what it uses cannot change while it exists [destination/put-bound]. `null_removes` are the fields
    that null removes [model/put-null-clears-cursor]. `keeps_secrets` says whether the target's own secrets are kept in an
    update from another workspace, and `id_from_request` whether the console derives the id from that of a request, so
    that no id can be kept [reverse-sync/create]. `heard` says whether the console's `listen` reports its changes,
    including deletions [listen/after-create].
    """

    name: str
    stage: int
    route: Route = Route.OBJECT
    list_field: str = "objects"
    references: tuple[Reference, ...] = ()
    secrets: tuple[tuple[str, ...], ...] = ()
    volatile: frozenset[str] = frozenset({"id", "type", "workspaceId", "createdAt", "updatedAt", "cloneId"})
    bookkeeping: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    paired_by_ends: bool = False
    listed_in: str = ""
    offered_with: str = ""
    subtype_field: str = ""
    put: Put = Put.MERGES
    sends_changes_only: bool = True
    marker_removes: bool = True
    named_in_path: bool = True
    revivable: bool = True
    has_schema: bool = True
    owns_functions: bool = False
    keeps_secrets: bool = False
    id_from_request: bool = False
    feature: str = ""
    deleted_first: bool = False
    null_removes: frozenset[str] = frozenset()
    heard: bool = True
    generic: bool = False

    @property
    def write_key_fields(self) -> tuple[str, ...]:
        """The fields that list write keys. Each key has an id, a hint and, until it is sent to the console, its plain text."""
        return tuple(path[0] for path in self.secrets if path[1:] == ("*", "plaintext"))


_SERVER_MADE = frozenset({"id", "workspaceId", "createdAt", "updatedAt", "deleted"})

_TYPES = (
    EntityType("custom-image", 0),
    EntityType(
        "stream",
        0,
        secrets=(("publicKeys", "*", "plaintext"), ("privateKeys", "*", "plaintext")),
        put=Put.REPLACES_FIELDS,  # [stream/put-known-key]
    ),
    EntityType(
        "destination",
        0,
        secrets=(("headers",), ("parameters",), ("key",), ("url",), ("options",), ("payload",)),
        subtype_field="destinationType",
        marker_removes=False,
        keeps_secrets=True,
    ),
    EntityType("function", 0),
    EntityType(
        "service",
        0,
        references=(Reference(("package",), ("custom-image",), Form.PACKAGE),),  # or one that Jitsu knows
        subtype_field="package",
        marker_removes=False,
        keeps_secrets=True,
    ),
    EntityType("domain", 0),
    EntityType("notification", 0, secrets=(("slackWebhookUrl",),), keeps_secrets=True),
    EntityType(
        "model",
        1,
        route=Route.MODEL,
        references=(Reference(("warehouseId",), ("destination",)),),
        put=Put.REPLACES_FIELDS,  # [model/put-cursor-replaced-whole]
        revivable=False,
        feature=REVERSE_ETL,
        null_removes=frozenset({"cursor", "deleteColumn"}),  # [model/put-null-clears-cursor]
    ),
    EntityType(
        "misc",
        1,
        references=(Reference(("value",), ("stream",), Form.LINES),),
        secrets=(("value",),),
    ),
    EntityType(
        "profile-builder",
        3,
        route=Route.PROFILE_BUILDER,
        list_field="profileBuilders",
        references=(
            Reference(("destinationId",), ("destination",)),
            Reference(("connectionOptions", "functions", "*", "functionId"), ("function",), Form.UDF),
        ),
        secrets=(("intermediateStorageCredentials",), ("connectionOptions", "variables")),
        # its function is restored with it, by `code`
        volatile=_SERVER_MADE | {"functions"},
        bookkeeping=("version", "createdAt", "updatedAt"),  # [profile-builder/incomplete]
        put=Put.REPLACES_FIELDS,
        sends_changes_only=False,
        marker_removes=False,
        named_in_path=False,
        revivable=False,
        has_schema=False,
        owns_functions=True,
        keeps_secrets=True,
        heard=False,
    ),
    EntityType(
        "link",
        4,
        route=Route.LINK,
        list_field="links",
        references=(
            Reference(END_FIELDS[:1], ()),  # a stream, a service, or a type that newer consoles add
            Reference(END_FIELDS[1:], ("destination",)),
            Reference(("data", "functions", "*", "functionId"), ("function",), Form.UDF),
        ),
        secrets=(("data", "functionsEnv"),),
        volatile=_SERVER_MADE,
        ends=END_FIELDS,
        paired_by_ends=True,
        put=Put.REPLACES,
        sends_changes_only=False,
        marker_removes=False,
        named_in_path=False,
        revivable=False,
        has_schema=False,
    ),
    EntityType(
        "reverse-sync",
        4,
        route=Route.REVERSE_SYNC,
        list_field="links",
        references=(Reference(END_FIELDS[:1], ("model",)), Reference(END_FIELDS[1:], ("destination",))),
        volatile=_SERVER_MADE | {"type"},
        ends=END_FIELDS,
        listed_in="link",
        offered_with="model",
        put=Put.REPLACES,  # with a whole sync [reverse-sync/put-full]
        sends_changes_only=False,
        marker_removes=False,
        named_in_path=False,
        revivable=False,
        has_schema=False,
        id_from_request=True,
        feature=REVERSE_ETL,
        deleted_first=True,
    ),
)

CATALOGUE = {known.name: known for known in _TYPES}
GENERIC_STAGE = 2
STAGES = range(5)


_LISTED_IN = {(known.listed_in, known.name) for known in _TYPES if known.listed_in}


def listed_under(name: str) -> str:
    """Return the type in whose list the entities of a type appear."""
    return entity_type(name).listed_in or name


def counts_by_list(counts: Mapping[str, int]) -> Counter[str]:
    """Return counts by type with every entity counted under the type in whose list it appears, as in formats 1 and 2."""
    found = Counter[str]()
    for name, count in counts.items():
        found[listed_under(name)] += count
    return found


def type_in_list(listed: str, body: Mapping[str, Any]) -> str:
    """Return the type of an item in the list of the type `listed` [link/list-shows-reverse-sync]."""
    own = body.get("type")
    return own if isinstance(own, str) and (listed, own) in _LISTED_IN else listed


def types_in_lists(lists: Collection[str]) -> list[str]:
    """Return the types whose entities appear in the lists of the types `lists`, which a console serves."""
    return [
        *lists,
        *(known.name for known in _TYPES if known.listed_in in lists and known.offered_with in lists),
    ]


def offered_with(name: str) -> list[str]:
    """Return the types that a console supports only together with the type `name`."""
    return [known.name for known in _TYPES if known.offered_with == name]


@lru_cache(maxsize=256)
def entity_type(name: str) -> EntityType:
    """Return the table's line for `name`, or a generic one for a type that is not in the table."""
    known = CATALOGUE.get(name)
    if known is not None:
        return known
    # it is unknown where the console stores it, and so whether `listen` reports it
    references = (Reference((), (), Form.ANYWHERE),)
    return EntityType(name, GENERIC_STAGE, references=references, heard=False, generic=True)


def dependents(name: str) -> frozenset[str]:
    """Return the known types whose references by id may refer to an entity of the type `name`."""
    return frozenset(
        known.name
        for known in _TYPES
        for reference in known.references
        if reference.form is not Form.PACKAGE and name in (reference.types or SOURCES)
    )
