"""OAuth grants: kept outside the console, under the id of the object that somebody authorised in the UI.

A destination names its grant in `oauthConnectionId` (`destination.{id}`) [destination/get-salesforce]; a service
only says `authorized: true`, and its grant is kept under `sync-source.{id}` [service/get-authorized]. So these fields
are valid only where they were set: they are the target's own, and an object created through the API has no grant.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from jitsu_backup.catalogue.table import entity_type
from jitsu_backup.model import Entity, Key

_FIELDS = {
    "destination": frozenset({"authorized", "oauthIntegrationId", "oauthConnectionId"}),
    "service": frozenset({"authorized"}),
}
_ALL = frozenset().union(*_FIELDS.values())


def grant_fields(type_name: str) -> frozenset[str]:
    """Return the top-level fields that describe a grant; a type that is not in the table may have any of them."""
    return _FIELDS.get(type_name, _ALL if entity_type(type_name).generic else frozenset())


def has_grant(entity: Entity) -> bool:
    """Return whether somebody authorised an object, which then has a grant that no archive contains."""
    own = grant_fields(entity.key.type)
    return any(
        name in own and (entity.body.get(name) is True if name == "authorized" else entity.body.get(name))
        for name in ("authorized", "oauthConnectionId")
    )


def granted(entities: Iterable[Entity]) -> tuple[Key, ...]:
    """Return the objects that have a grant, sorted. A copied or re-created one has to be authorised again."""
    return tuple(sorted(entity.key for entity in entities if has_grant(entity)))


def is_authorised(entity: Entity, *, borrowing: bool) -> bool:
    """Return whether an object has a grant; with `borrowing`, that of another object counts too."""
    return has_grant(entity) and (borrowing or not _borrows_grant(entity))


def _borrows_grant(entity: Entity) -> bool:
    """Return whether an object refers to the grant of another one, such as the one that it was copied from."""
    named = entity.body.get("oauthConnectionId")
    return isinstance(named, str) and bool(named) and named.partition(".")[2] != entity.key.id


def without_grant(type_name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return `body` without the fields that describe a grant, so that it may be sent to another object."""
    own = grant_fields(type_name)
    return {name: value for name, value in body.items() if name not in own}
