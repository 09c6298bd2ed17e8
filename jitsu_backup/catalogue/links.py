"""Links: entities that join two others, a source and a destination."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from jitsu_backup.catalogue.table import CATALOGUE, END_FIELDS, entity_type
from jitsu_backup.model import ARROW, Entity, Key, Snapshot, members_of, some_of

Ends = tuple[str, str, str]
"""Type, source id and destination id of a link."""

BUSY = "one of its attempts is running or waiting: cancel that in the UI, or run this again once it has ended"
"""Why a reverse sync cannot be deleted now [reverse-sync/delete-with-waiting-attempt]."""

MAYBE_BUSY = (
    "it is enabled, and one of its attempts may be running or waiting, which is unknown because the console cannot list"
    " its reverse syncs: disable it in the UI, then run this again"
)
"""Why a reverse sync is not deleted while its attempts are unknown [reverse-sync/list-with-an-unreadable-one]."""

OUT_OF_IDS = (
    "it cannot be re-created, because its ids are used up: delete it in the UI, make the change, and create it in the UI"
    " again, where it gets another id"
)
"""Why a reverse sync is not re-created: an id can be used only once [reverse-sync/create-request-id-of-a-deleted-one]."""

_LINKS = frozenset(known.name for known in CATALOGUE.values() if known.paired_by_ends)


def is_link(key: Key) -> bool:
    """Return whether an entity is paired by the two that it joins: the console chooses its id, and nothing refers to it."""
    return key.type in _LINKS


def joins(key: Key) -> bool:
    """Return whether an entity joins two others and is named after them; nothing refers to it."""
    return bool(entity_type(key.type).ends)


def links_of(snapshot: Snapshot) -> list[Entity]:
    """Return the links of a snapshot."""
    return [link for name in sorted(_LINKS) for link in snapshot.of_type(name)]


def is_sync(link: Mapping[str, Any]) -> bool:
    """Return whether the body of a link is that of a sync, which runs on a schedule."""
    return link.get("type") == "sync"


def ends(link: Mapping[str, Any]) -> Ends:
    """Return the type, source id and destination id in a link's body."""
    source, destination = (str(link.get(end)) for end in END_FIELDS)
    return str(link.get("type") or "push"), source, destination


def link_name(link: Entity, names: Mapping[str, str]) -> str:
    """Return `from → to` with the names of the link's ends; `names` maps ids to names."""
    found = [str(link.body.get(end, "?")) for end in END_FIELDS]
    return ARROW.join(names.get(end, end) for end in found)


def given_name(link: Entity) -> str:
    """Return the name that a person gave to an entity that joins two others, or an empty text [reverse-sync/create]."""
    name = members_of(link.body.get("data")).get("name") if joins(link.key) else None
    return name if isinstance(name, str) else ""


def given_names(*snapshots: Snapshot) -> dict[Key, str]:
    """Return the names that people gave to entities that join two others; earlier snapshots take precedence."""
    entities = [entity for snapshot in reversed(snapshots) for entity in snapshot.entities]
    return {entity.key: given_name(entity) for entity in entities if given_name(entity)}


def _sync_in_words(link: Mapping[str, Any]) -> str:
    """Return the streams and the schedule of a sync, shortened; an empty text for other links."""
    data = members_of(link.get("data")) if is_sync(link) else {}
    streams = some_of(sorted(map(str, members_of(data.get("streams")))), 2)
    return ", ".join(filter(None, (streams, str(data.get("schedule") or ""))))


def told_apart(
    entities: Collection[Entity], called: Mapping[Key, str] | None = None, *, every: bool = False
) -> Mapping[Key, str]:
    """Return a name for each entity, with its given name added if several entities join the same two.

    A sync has no name, so its streams and its schedule are added. If that is the same too, ids are added. With `every`,
    ids are also added to other entities of the same name. `called` are the plain names, if they are known already.
    """
    called = entity_names(entities) if called is None else called
    given = {entity.key: given_name(entity) for entity in entities if given_name(entity)}
    given |= {
        sync.key: words for sync in entities if is_link(sync.key) and (words := _sync_in_words(sync.body))
    }
    names = dict(called)
    for more in (given, {key: key.id for key in called if every or joins(key)}):
        alike = Counter((key.type, name) for key, name in names.items())
        names |= {
            key: f"{names[key]} ({word})" for key, word in more.items() if alike[key.type, names[key]] > 1
        }
    return names


def entity_names(entities: Collection[Entity]) -> dict[Key, str]:
    """Return a name for each entity; one that joins two others is named after its ends."""
    plain = {entity.key.id: entity.name for entity in entities}
    return {e.key: link_name(e, plain) if joins(e.key) else e.name for e in entities}
