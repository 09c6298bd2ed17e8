"""Dangling references: references to entities that a snapshot does not contain."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jitsu_backup.catalogue.links import is_link, link_name
from jitsu_backup.catalogue.references import Form, find_references
from jitsu_backup.catalogue.table import SOURCES, entity_type
from jitsu_backup.model import Entity, Key, Snapshot, format_path, quoted


@dataclass(frozen=True, slots=True, order=True)
class Dangling:
    """One reference: the entity `key` refers to `missing_id` at `path`, and the snapshot has no such entity.

    A `dead` reference is what Jitsu leaves when it deletes a source or a destination: no data flows through that
    connection, and it cannot be re-created [delete/links-now-dangle]. A classic key of a deleted stream is dead too. An
    entity with any other dangling reference cannot be restored. `name` is the entity's name; `missing` lists the types that
    the missing entity may have.
    """

    key: Key
    path: str
    missing_id: str
    dead: bool
    name: str
    missing: tuple[str, ...]

    def __str__(self) -> str:
        """Return a one-line description."""
        entity = f"{self.key.type} {quoted(self.name)}"
        other = f"{' or '.join(self.missing)} {self.missing_id}"
        if not self.dead:
            return f"{entity} refers to the {other}, which is not in the archive"
        if is_link(self.key):
            return f"{entity} refers to the {other}, which was deleted: no data flows through it"
        return f"{entity} has a key of the {other}, which was deleted: events sent with that key are lost"


def dangling_references(snapshot: Snapshot) -> list[Dangling]:
    """Return every reference to an entity that a snapshot does not contain, in the order of its entities.

    References to a type that could not be read are left out, because it is unknown whether they dangle.
    """
    known = {entity.key.id: entity.name for entity in snapshot.entities}
    unread = {refusal.what for refusal in snapshot.manifest.refused if refusal.missing}
    return [found for entity in snapshot.entities for found in _of_one(entity, known, unread)]


def _of_one(entity: Entity, known: Mapping[str, str], unread: set[str]) -> Iterator[Dangling]:
    """Yield one entity's references to ids that are not `known`; all those of a dead connection are dead."""
    missing = [
        (reference, missing_id)
        for reference, missing_id in find_references(entity_type(entity.key.type).references, entity.body)
        if reference.form not in (Form.ANYWHERE, Form.PACKAGE)
        and missing_id not in known
        and unread.isdisjoint(reference.types or SOURCES)
    ]
    link = is_link(entity.key)
    dead = link and any(reference.form is Form.WHOLE for reference, _ in missing)
    for reference, missing_id in missing:
        harmless = dead or reference.form is Form.LINES
        name = link_name(entity, known) if link else entity.name
        path, types = format_path(reference.path), reference.types or SOURCES
        yield Dangling(entity.key, path, missing_id, harmless, name, types)
