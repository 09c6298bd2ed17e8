"""Pairs: the counterpart in the target of each entity of the snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from jitsu_backup.catalogue import entity_type, is_link, rewrite
from jitsu_backup.model import Entity, Key
from jitsu_backup.planning.fields import words_for
from jitsu_backup.planning.sides import Sides


@dataclass(frozen=True)  # without slots, because `words` is cached
class Pairs:
    """Both sides, paired. Keys are the snapshot's, entities the target's.

    `ids` are the ids that entities have or will have in the target, and `found` their counterparts there. `superseded` are
    older counterparts that `found` replaced, `namesakes` unpaired entities with the same name. `deleted` are those that the
    target has deleted since the last clone. `by_name` were paired by name alone. `problems` say why an entity cannot be
    paired or created. `notes` are about the pairing.
    """

    sides: Sides
    ids: Mapping[Key, str] = field(default_factory=dict)
    found: Mapping[Key, Entity] = field(default_factory=dict)
    superseded: Mapping[Key, Sequence[Entity]] = field(default_factory=dict)
    namesakes: Mapping[Key, Sequence[Entity]] = field(default_factory=dict)
    problems: Mapping[Key, str] = field(default_factory=dict)
    deleted: frozenset[Key] = frozenset()
    by_name: frozenset[Key] = frozenset()
    notes: tuple[str, ...] = ()

    def with_ids(self, ids: Mapping[Key, str]) -> "Pairs":
        """Return the pairs with other ids for some entities."""
        return replace(self, ids={**self.ids, **ids})

    def with_problems(self, problems: Mapping[Key, str]) -> "Pairs":
        """Return the pairs with more problems; the first one found for an entity is kept."""
        return replace(self, problems={**problems, **self.problems})

    def resolve(self, types: tuple[str, ...], source_id: str) -> str | None:
        """Return the target's id of what a reference refers to, or None if it has none."""
        for key in self.sides.keys_of_id.get(source_id, ()):
            if (not types or key.type in types) and key in self.ids:
                return self.ids[key]
        return None

    def mapped(self, entity: Entity, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a body of the snapshot with the target's ids in its references."""
        return rewrite(entity_type(entity.key.type).references, body, self.resolve)

    def deleted_id(self, types: tuple[str, ...], source_id: str) -> str | None:
        """Return the id that the target had for an entity that it has deleted since and does not get back, or None."""
        for key in self.sides.keys_of_id.get(source_id, ()):
            if (not types or key.type in types) and key in self.deleted and key not in self.ids:
                return self.sides.lineage.recorded[key].id
        return None

    def naming_deleted(self, entity: Entity, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a body of the snapshot that refers to entities deleted in the target by the target's ids."""
        return rewrite(entity_type(entity.key.type).references, body, self.deleted_id)

    @cached_property
    def words(self) -> tuple[dict[str, str], dict[str, str]]:
        """The words for the target's ids, as they are now and as they will be."""
        now = {key.id: (key, name) for key, name in self.sides.live_names.items() if not is_link(key)}
        later = {
            new_id: (Key(key.type, new_id), self.sides.desired_names[key])
            for key, new_id in self.ids.items()
            if not is_link(key) and key in self.sides.names  # a builder's deleted function is not listed
        }
        return words_for(now, now | later)
