"""What the actions of a plan need of each other, and in which order they can be carried out side by side."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from jitsu_backup.catalogue import END_FIELDS, entity_type, find_references
from jitsu_backup.catalogue.table import STAGES
from jitsu_backup.model import Entity, Key
from jitsu_backup.operations.freeing import webhooks_of
from jitsu_backup.planning import Action, ActionKind, Plan


class Dependencies:
    """Which of the snapshot's entities an action names, and which have to be made before it.

    `waits` maps the key of each entity that is made to the keys that have to be made before it. They are of earlier
    stages, or leave the webhook that it takes. Planning lets no webhooks go round in a circle: no two wait for each other.
    `functions_of` are the functions that are made with a builder.
    """

    def __init__(self, plan: Plan, live: Mapping[Key, Entity]) -> None:
        """Find what the actions of `plan` need in the target as it is, which is `live`."""
        self._plan, self._live = plan, live
        self.functions_of: dict[Key, list[Key]] = defaultdict(list)
        self._builder_of: dict[Key, Key] = {}
        for function_id, builder_id in plan.owned_functions:
            function, builder = Key("function", function_id), Key("profile-builder", builder_id)
            self.functions_of[builder].append(function)
            self._builder_of[function] = builder
        self._types_of_id: dict[str, set[str]] = defaultdict(set)
        for key in plan.ids:
            if entity_type(key.type).stage < STAGES[-1]:  # what is made last is named by nothing
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
        self.waits = {key: self._awaited(action, making) for key, action in making.items()}

    def note_known(self, key: Key) -> None:
        """Note that an entity of the snapshot has an id in the target."""
        self._types_of_id[key.id].add(key.type)

    def named(self, types: tuple[str, ...], source_id: str) -> list[Key]:
        """Return the keys that a reference may mean; no types stand for any."""
        return [Key(name, source_id) for name in types or sorted(self._types_of_id.get(source_id, ()))]

    def needs(self, action: Action) -> list[Key]:
        """Return the keys of all that an action needs, whether it is made by the plan or not."""
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
        if entity_type(action.key.type).deleted_first:  # once it is made, what it uses cannot change
            frozen = _used_types(action.key.type)
            keys |= dict.fromkeys(key for key in making if key.type in frozen)
        leaving = self._leaving.values()
        return [
            key for key in keys if key in making and (entity_type(key.type).stage < stage or key in leaving)
        ]


def _used_types(type_name: str) -> set[str]:
    """Return the types that a type refers to, and those that these refer to."""
    near = {name for reference in entity_type(type_name).references for name in reference.types}
    return near | {
        name for one in near for reference in entity_type(one).references for name in reference.types
    }


def in_lanes(method_of: Mapping[Key, str], waits: Mapping[Key, list[Key]]) -> list[list[Key]]:
    """Part entities by the HTTP method that creates them, each lane in an order in which it can begin early.

    The console limits the requests of each method apart, and most entities are created by POST. What the others need is
    created first, so that all budgets are spent at the same time. All lanes follow one order, so none blocks another.
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
