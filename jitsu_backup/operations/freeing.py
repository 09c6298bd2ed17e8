"""Deletions that must come first, because a reverse sync blocks changes of what it uses [destination/put-bound]."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jitsu_backup.catalogue import END_FIELDS, entity_type, subtype
from jitsu_backup.model import Entity, Key
from jitsu_backup.planning import Action, ActionKind, Plan, held_by


@dataclass(frozen=True, slots=True)
class Freeing:
    """Deletions that free something together: unless all of them succeed, none has an effect.

    `updates` are the updates of what they free.
    """

    deletions: tuple[Action, ...]
    updates: tuple[Action, ...]


def freed_together(plan: Plan, live: Mapping[Key, Entity]) -> list[Freeing]:
    """Return what a plan deletes before anything else, in groups. `live` is the current target."""
    updates = {Key(a.key.type, str(a.target_id)): a for a in plan.writes if a.kind is ActionKind.UPDATE}
    deletions = {action.key: action for action in plan.writes if action.kind is ActionKind.DELETE}
    taken = {a.key: set(webhooks_of(plan, live, a)) for a in plan.writes if a.kind is ActionKind.CREATE}
    changing = {*updates, *deletions}.union(*taken.values())
    groups: list[tuple[set[Key], list[Action]]] = []
    for action in deletions.values():
        if entity_type(action.key.type).deleted_first:
            held = held_by(live[action.key], live) if action.key in live else ()
            freed = {key for key in held if key in changing}
            freed = freed.union(*(taken[key] for key in action.after if key in taken))
            groups = _joined(groups, freed, action)
    return [
        Freeing(tuple(members), tuple(updates[key] for key in sorted(freed) if key in updates))
        for freed, members in groups
    ]


def _joined(
    groups: list[tuple[set[Key], list[Action]]], freed: set[Key], action: Action
) -> list[tuple[set[Key], list[Action]]]:
    """Return the groups with one more deletion, merged with those that free something in common with it."""
    same = [group for group in groups if group[0] & freed]
    members = [member for _, members in same for member in members]
    others = [group for group in groups if group not in same]
    return [*others, (freed.union(*(keys for keys, _ in same)), [*members, action])]


def webhooks_of(plan: Plan, live: Mapping[Key, Entity], action: Action) -> Iterator[Key]:
    """Yield the target's webhook to which a reverse sync will write. A webhook serves only one sync.

    [reverse-sync/create-webhook-already-used]
    """
    if entity_type(action.key.type).deleted_first:
        new_id = plan.ids.get(Key("destination", str(action.body.get(END_FIELDS[1]))))
        webhook = live.get(Key("destination", str(new_id)))
        if webhook is not None and subtype(webhook) == "webhook":
            yield webhook.key
