"""Naming entities as SELECTOR does: by their names where these are clear, else by their ids."""

from collections import Counter
from collections.abc import Collection, Mapping
from functools import cached_property

from jitsu_backup.catalogue import entity_names, entity_type, find_references, joins, owned_functions, spelt
from jitsu_backup.model import HARMFUL, Entity, Key

_LONGEST = 80  # characters; a longer name is no easier to read than an id


class Naming:
    """How to name the entities of one snapshot."""

    def __init__(self, entities: Collection[Entity]) -> None:
        """Name these, which are all that a snapshot has."""
        self.entities = entities

    @cached_property
    def by_key(self) -> Mapping[Key, Entity]:
        """The entities."""
        return {entity.key: entity for entity in self.entities}

    @cached_property
    def names(self) -> Mapping[Key, str]:
        """What they are called."""
        return entity_names(self.entities)

    @cached_property
    def owned(self) -> frozenset[Key]:
        """The functions that profile builders own."""
        return frozenset(Key("function", function) for function, _ in owned_functions(self.entities))

    @cached_property
    def held(self) -> frozenset[str]:
        """The ids of all that connections, syncs and reverse syncs refer to."""
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
        """Return a selector that chooses this entity and no other: `function/Enrich`, else by its id."""
        name = self.names[key]
        clear = (
            "*" not in name and name == name.strip() and len(name) <= _LONGEST and not HARMFUL.search(name)
        )
        return f"{key.type}/{name}" if clear and self._meanings[key.type, spelt(name)] == 1 else str(key)
