"""References that lead nowhere: to what a snapshot does not hold."""

from collections.abc import Iterator
from dataclasses import dataclass

from jitsu_backup.catalogue.references import Form, find_references
from jitsu_backup.catalogue.table import Route, entity_type
from jitsu_backup.model import Entity, Key, Snapshot, format_path

_SOURCES = ("stream", "service")  # what a reference to any type names, of those that the table knows


@dataclass(frozen=True, slots=True, order=True)
class Dangling:
    """One reference: the entity `key` names `missing_id` at `path`, and the snapshot has no such entity.

    A `dead` one is what Jitsu leaves when it deletes a source or a destination: nothing flows through that
    connection, and it cannot be created again [delete/links-now-dangle]. Any other keeps its entity from coming back.
    """

    key: Key
    path: str
    missing_id: str
    dead: bool

    def __str__(self) -> str:
        """Say it in one line."""
        what = f"{self.key} names {self.missing_id} at {self.path}"
        return f"{what}, deleted in the source: nothing flows there" if self.dead else what


def dangling_references(snapshot: Snapshot) -> list[Dangling]:
    """Return every reference to an entity that a snapshot does not hold, in the order of its entities.

    What names a type that could not be read is left out: nobody can tell.
    """
    known = {entity.key.id for entity in snapshot.entities}
    unread = {refusal.what for refusal in snapshot.manifest.refused if refusal.missing}
    return [found for entity in snapshot.entities for found in _of_one(entity, known, unread)]


def _of_one(entity: Entity, known: set[str], unread: set[str]) -> Iterator[Dangling]:
    """Return one entity's references to what is not `known`; all of a dead connection's are dead."""
    missing = [
        (reference, missing_id)
        for reference, missing_id in find_references(entity_type(entity.key.type).references, entity.body)
        if reference.form not in (Form.ANYWHERE, Form.PACKAGE)
        and missing_id not in known
        and unread.isdisjoint(reference.types or _SOURCES)
    ]
    link = entity_type(entity.key.type).route is Route.LINK
    dead = link and any(reference.form is Form.WHOLE for reference, _ in missing)
    for reference, missing_id in missing:
        harmless = dead or reference.form is Form.LINES
        yield Dangling(entity.key, format_path(reference.path), missing_id, harmless)
