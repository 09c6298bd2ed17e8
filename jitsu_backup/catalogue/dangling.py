"""Dangling references: they name what a snapshot does not hold."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jitsu_backup.catalogue.links import is_link, link_name
from jitsu_backup.catalogue.references import Form, find_references
from jitsu_backup.catalogue.table import SOURCES, entity_type
from jitsu_backup.model import Entity, Key, Snapshot, format_path, quoted


@dataclass(frozen=True, slots=True, order=True)
class Dangling:
    """One reference: the entity `key` names `missing_id` at `path`, and the snapshot has no such entity.

    A `dead` one is what Jitsu leaves when it deletes a source or a destination: nothing flows through that
    connection, and it cannot be created again [delete/links-now-dangle]; or a classic key of a stream that is gone. Any
    other keeps its entity from coming back. `name` is the entity's name, `missing`
    are the types that the other may be of.
    """

    key: Key
    path: str
    missing_id: str
    dead: bool
    name: str
    missing: tuple[str, ...]

    def __str__(self) -> str:
        """Return it in one line."""
        entity = f"{self.key.type} {quoted(self.name)}"
        other = f"{' or '.join(self.missing)} {self.missing_id}"
        if not self.dead:
            return f"{entity} refers to the {other}, which is not in the archive"
        if is_link(self.key):
            return f"{entity} refers to the {other}, which was deleted: no data flows through it"
        return f"{entity} has a key of the {other}, which was deleted: events sent with that key are lost"


def dangling_references(snapshot: Snapshot) -> list[Dangling]:
    """Return every reference to an entity that a snapshot does not hold, in the order of its entities.

    References to a type that could not be read are left out, because nobody can tell.
    """
    known = {entity.key.id: entity.name for entity in snapshot.entities}
    unread = {refusal.what for refusal in snapshot.manifest.refused if refusal.missing}
    return [found for entity in snapshot.entities for found in _of_one(entity, known, unread)]


def _of_one(entity: Entity, known: Mapping[str, str], unread: set[str]) -> Iterator[Dangling]:
    """Return one entity's references to what is not `known`; all of a dead connection's are dead."""
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
