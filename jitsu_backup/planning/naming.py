"""Selectors for entities: by name if that is unambiguous, else by id."""

from collections import Counter
from collections.abc import Collection, Mapping
from functools import cached_property

from jitsu_backup.catalogue import entity_names, entity_type, find_references, joins, owned_functions, spelt
from jitsu_backup.model import HARMFUL, Entity, Key

_LONGEST = 80  # characters; a longer name is no easier to read than an id


class Naming:
    """The names and selectors of one snapshot's entities."""

    def __init__(self, entities: Collection[Entity]) -> None:
        """Use these entities, which must be all those of a snapshot."""
        self.entities = entities

    @cached_property
    def by_key(self) -> Mapping[Key, Entity]:
        """The entities by key."""
        return {entity.key: entity for entity in self.entities}

    @cached_property
    def names(self) -> Mapping[Key, str]:
        """The names of the entities."""
        return entity_names(self.entities)

    @cached_property
    def owned(self) -> frozenset[Key]:
        """The functions that profile builders own."""
        return frozenset(Key("function", function) for function, _ in owned_functions(self.entities))

    @cached_property
    def held(self) -> frozenset[str]:
        """The ids of everything that connections, syncs and reverse syncs refer to."""
        return frozenset(
            named
            for entity in self.entities
            if joins(entity.key)
            for _, named in find_references(entity_type(entity.key.type).references, entity.body)
        )

    @cached_property
    def _meanings(self) -> Counter[tuple[str, str]]:
        words = [(key.type, spelt(name)) for key, name in self.names.items()]
        ids = [(key.type, spelt(key.id)) for key, name in self.names.items() if name != key.id]
        return Counter([*words, *ids])

    def selector(self, key: Key) -> str:
        """Return a selector that matches only this entity: `function/Enrich`, or one by id."""
        name = self.names[key]
        clear = (
            "*" not in name and name == name.strip() and len(name) <= _LONGEST and not HARMFUL.search(name)
        )
        return f"{key.type}/{name}" if clear and self._meanings[key.type, spelt(name)] == 1 else str(key)
