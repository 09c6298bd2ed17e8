"""The table. A type that it lacks is carried generically (`generic=True`)."""

from dataclasses import dataclass
from enum import Enum

from jitsu_backup.catalogue.references import Form, Reference


class Route(Enum):
    """How the console serves a type."""

    OBJECT = "object"  # the client chooses the id [stream/create-without-id]
    LINK = "link"  # the server makes the id [link/create-push]
    PROFILE_BUILDER = "profile-builder"  # POST {profileBuilder, code} [profile-builder/create]


@dataclass(frozen=True, slots=True)
class EntityType:
    """What the table says of one type.

    `stage` orders creation: lower stages exist before higher ones begin, and
    deletion goes the other way. `volatile` names top-level fields that the
    server makes or that only name the place. `marker_removes` tells whether the
    console's marker in a PUT removes a key [destination/put-undefined-marker-no-effect].
    """

    name: str
    stage: int
    route: Route = Route.OBJECT
    list_field: str = "objects"
    references: tuple[Reference, ...] = ()
    secrets: tuple[tuple[str, ...], ...] = ()
    volatile: frozenset[str] = frozenset({"id", "type", "workspaceId", "createdAt", "updatedAt", "cloneId"})
    marker_removes: bool = True
    generic: bool = False

    @property
    def write_key_fields(self) -> tuple[str, ...]:
        """The fields that list write keys: each key has an id, a hint and, until the console has it, its plain text."""
        return tuple(path[0] for path in self.secrets if path[1:] == ("*", "plaintext"))


_SERVER_MADE = frozenset({"id", "workspaceId", "createdAt", "updatedAt", "deleted"})

_TYPES = (
    EntityType("custom-image", 0),
    EntityType("stream", 0, secrets=(("publicKeys", "*", "plaintext"), ("privateKeys", "*", "plaintext"))),
    EntityType(
        "destination",
        0,
        marker_removes=False,
        secrets=(("headers",), ("parameters",), ("key",), ("url",), ("options",), ("payload",)),
    ),
    EntityType("function", 0),
    EntityType(
        "service",
        0,
        references=(Reference(("package",), ("custom-image",), Form.PACKAGE),),  # or one that Jitsu knows
        marker_removes=False,
    ),
    EntityType("domain", 0),
    EntityType("notification", 0, secrets=(("slackWebhookUrl",),)),
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
        # its function is restored with it, through `code`
        volatile=_SERVER_MADE | {"functions"},
        marker_removes=False,
    ),
    EntityType(
        "link",
        4,
        route=Route.LINK,
        list_field="links",
        references=(
            Reference(("fromId",), ()),  # a stream, a service, or what newer consoles add
            Reference(("toId",), ("destination",)),
            Reference(("data", "functions", "*", "functionId"), ("function",), Form.UDF),
        ),
        secrets=(("data", "functionsEnv"),),
        volatile=_SERVER_MADE,
        marker_removes=False,
    ),
)

CATALOGUE = {known.name: known for known in _TYPES}
GENERIC_STAGE = 2
STAGES = range(5)


def entity_type(name: str) -> EntityType:
    """Give the table's line for `name`, or a generic one for a type it does not know."""
    known = CATALOGUE.get(name)
    if known is not None:
        return known
    return EntityType(name, GENERIC_STAGE, references=(Reference((), (), Form.ANYWHERE),), generic=True)
