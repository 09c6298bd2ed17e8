"""How the actions of a plan depend on each other, and in which order they can run concurrently."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from jitsu_backup.catalogue import END_FIELDS, entity_type, find_references
from jitsu_backup.catalogue.table import STAGES
from jitsu_backup.model import Entity, Key
from jitsu_backup.operations.freeing import webhooks_of
from jitsu_backup.planning import Action, ActionKind, Plan


class Dependencies:
    """Which of the snapshot's entities an action refers to, and which must be created before it.

    `waits` maps the key of each written entity to the keys that must be written before it. These are of earlier stages, or
    free the webhook that it takes. There are no circles, because planning does not allow webhooks to rotate.
    `functions_of` are the functions that are created with a builder.
    """

    def __init__(self, plan: Plan, live: Mapping[Key, Entity]) -> None:
        """Find what the actions of `plan` need, given the current target (`live`)."""
        self._plan, self._live = plan, live
        self.functions_of: dict[Key, list[Key]] = defaultdict(list)
        self._builder_of: dict[Key, Key] = {}
        for function_id, builder_id in plan.owned_functions:
            function, builder = Key("function", function_id), Key("profile-builder", builder_id)
            self.functions_of[builder].append(function)
            self._builder_of[function] = builder
        self._types_of_id: dict[str, set[str]] = defaultdict(set)
        for key in plan.ids:
            if entity_type(key.type).stage < STAGES[-1]:  # nothing refers to entities of the last stage
                self.note_known(key)
        deletions = [action for action in plan.writes if action.kind is ActionKind.DELETE]
        self.replaced_first = {
            key: action.key
            for action in deletions
            if entity_type(action.key.type).deleted_first
            for key in action.after
        }
        making = {action.key: action for action in plan.writes if action.kind is not ActionKind.DELETE}
        self._leaving = dict(self._webhooks_left(making.values()))
        self._updated = {
            Key(action.key.type, str(action.target_id)): key
            for key, action in making.items()
            if action.kind is ActionKind.UPDATE
        }
        self.waits = {key: self._awaited(action, making) for key, action in making.items()}

    def note_known(self, key: Key) -> None:
        """Note that an entity of the snapshot has an id in the target."""
        self._types_of_id[key.id].add(key.type)

    def named(self, types: tuple[str, ...], source_id: str) -> list[Key]:
        """Return the keys that a reference may mean. Without `types`, any type matches."""
        return [Key(name, source_id) for name in types or sorted(self._types_of_id.get(source_id, ()))]

    def needs(self, action: Action) -> list[Key]:
        """Return the keys of everything that an action needs, whether the plan creates it or not."""
        needed = list(action.after)
        if action.kind is not ActionKind.DELETE:
            for reference, source_id in find_references(entity_type(action.key.type).references, action.body):
                needed += self.named(reference.types, source_id)
            taken = webhooks_of(self._plan, self._live, action)
            needed += [self._leaving[webhook] for webhook in taken if webhook in self._leaving]
        return [key for key in needed if key != action.key]

    def _webhooks_left(self, making: Iterable[Action]) -> Iterable[tuple[Key, Key]]:
        """Yield (the webhook that an update moves a reverse sync away from, the sync's key in the snapshot)."""
        for action in making:
            found = self._live.get(Key(action.key.type, str(action.target_id)))
            if action.kind is ActionKind.UPDATE and END_FIELDS[1] in action.changes and found is not None:
                yield Key("destination", str(found.body.get(END_FIELDS[1]))), action.key

    def _awaited(self, action: Action, making: Collection[Key]) -> list[Key]:
        stage = entity_type(action.key.type).stage
        keys = dict.fromkeys(self._builder_of.get(key, key) for key in self.needs(action))
        if entity_type(action.key.type).deleted_first:  # once it exists, what it uses cannot change
            frozen = _used_types(action.key.type)
            keys |= dict.fromkeys(key for key in making if key.type in frozen)
        keys |= dict.fromkeys(self._used_and_updated(action))
        leaving = self._leaving.values()
        return [
            key for key in keys if key in making and (entity_type(key.type).stage < stage or key in leaving)
        ]

    def _used_and_updated(self, action: Action) -> Iterator[Key]:
        """Yield the keys of what the entity that an action updates uses in the target, and the plan updates too."""
        found = self._live.get(Key(action.key.type, str(action.target_id)))
        if action.kind is ActionKind.UPDATE and found is not None:
            for reference, used in find_references(entity_type(action.key.type).references, found.body):
                named = (Key(name, used) for name in reference.types)
                yield from (self._updated[key] for key in named if key in self._updated)


def _used_types(type_name: str) -> set[str]:
    """Return the types that a type refers to, directly or indirectly."""
    near = {name for reference in entity_type(type_name).references for name in reference.types}
    return near | {
        name for one in near for reference in entity_type(one).references for name in reference.types
    }


def in_lanes(method_of: Mapping[Key, str], waits: Mapping[Key, list[Key]]) -> list[list[Key]]:
    """Split entities by the HTTP method that creates them, each lane in an order that lets the others start early.

    The console limits the requests of each method separately, and most entities are created by POST. What other lanes need
    is created first, so that all budgets are used at the same time. All lanes follow one order, so none blocks another.
    """
    place: dict[Key, int] = {}

    def put(key: Key) -> None:
        if key not in place:
            for needed in waits[key]:  # of earlier stages, so this ends
                put(needed)
            place[key] = len(place)

    def last_needed(key: Key) -> int:
        return max((place[needed] for needed in waits[key]), default=-1)

    others = [key for key, method in method_of.items() if method != "POST"]
    for key in [*(needed for other in others for needed in waits[other]), *method_of]:
        put(key)
    lanes: dict[str, list[Key]] = defaultdict(list)
    for key in [*(key for key in place if method_of[key] == "POST"), *sorted(others, key=last_needed)]:
        lanes[method_of[key]].append(key)
    return list(lanes.values())
