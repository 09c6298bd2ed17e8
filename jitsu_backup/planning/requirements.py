"""Whether the target has what an entity requires: the ends of a link, its functions."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from jitsu_backup.catalogue import END_FIELDS, Form, Reference, entity_type, find_references
from jitsu_backup.model import Entity, Key, flag
from jitsu_backup.planning.candidate import Planned
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import Action, ActionKind

_ROLES = {END_FIELDS[0]: "source", "warehouseId": "warehouse"}


def uses(entity: Entity, *forms: Form) -> Iterator[tuple[Reference, str]]:
    """Yield the references of an entity and the ids in them.

    Without `forms`, these are the required ones: the ends and the functions of a link or profile builder.
    """
    for reference, named in find_references(entity_type(entity.key.type).references, entity.body):
        if reference.form in (forms or (Form.WHOLE, Form.UDF)):
            yield reference, named


def without_end(pairs: Pairs, entity: Entity, chosen: Collection[Key]) -> Action | None:
    """Return the action of a link or profile builder that cannot be written; None if it can.

    It cannot be written if an end is missing, skipped or blocked.
    """
    sides = pairs.sides

    def no(kind: ActionKind, reason: str, *, asked: bool = False, dead: bool = False) -> Action:
        name = sides.desired_shown[entity.key]
        return Action(kind, entity.key, name, None, reason, asked=asked, dead=dead)

    for reference, named in uses(entity, Form.WHOLE):
        keys = sides.named(reference.types, named)
        end = _ROLES.get(reference.path[-1], "destination")
        if not keys and entity.key in sides.dead_links:
            reason = f"dead: its {end} {named} was deleted, so no data flows through it"
            return no(ActionKind.SKIPPED, reason, dead=True)
        if not keys:
            return no(ActionKind.SKIPPED, f"dangling: its {end} {named} is not in the snapshot")
        blocked = next((k for k in keys if k in pairs.problems and k in chosen), None)
        if blocked is not None:
            return no(ActionKind.BLOCKED, f"its {end}, {sides.called(sides.by_key[blocked])}, is blocked")
        if not any(key in pairs.ids for key in keys):
            name = sides.called(sides.by_key[keys[0]])
            if keys[0] in pairs.deleted:
                reason = f"its {end}, {name}, was deleted in the target"
                return replace(no(ActionKind.SKIPPED, reason), deleted_there=True)
            asked = keys[0] not in chosen
            reason = f"its {end}, {name}, is {'left out' if asked else 'skipped'}"
            return no(ActionKind.SKIPPED, reason, asked=asked)
    return None


def names_as_before(entity: Entity, live: Entity | None) -> bool:
    """Return whether the target's counterpart refers to everything that `entity` does."""
    return live is not None and {*uses(entity)} <= {*uses(live)}


def with_its_functions(pairs: Pairs, planned: Planned, live: Entity | None) -> Planned:
    """Return what is planned, blocked if a function of the link or profile builder would be missing in the target.

    Functions that the target's counterpart `live` runs already do not count, because that is no worse afterwards.
    """
    action = planned.action
    runs_already = set() if live is None else {named for _, named in uses(live, Form.UDF)}
    for reference, named in uses(Entity(action.key, action.body), Form.UDF) if action.writes else ():
        if named not in runs_already and not is_there(pairs, reference, named):
            reason = _why_without(pairs, action.key, reference, named)
            blocked = Action(ActionKind.BLOCKED, action.key, action.name, None, reason)
            return replace(planned, action=blocked)
    return planned


def is_there(pairs: Pairs, reference: Reference, named: str) -> bool:
    """Return whether the target has, or will have, what a reference of the snapshot refers to."""
    sides = pairs.sides
    keys = sides.named(reference.types, named)
    if any(key.id in sides.owned for key in keys):  # it is created with its profile builder
        return True
    in_target = not keys and any(Key(name, named) in sides.live_by_key for name in reference.types)
    return in_target or pairs.resolve(reference.types, named) is not None


def _why_without(pairs: Pairs, key: Key, reference: Reference, named: str) -> str:
    sides = pairs.sides
    deleted = [
        k for k in pairs.deleted if k.type in reference.types and sides.lineage.recorded[k].id == named
    ]
    if deleted:
        again = flag("--take", f"source:{sides.selectors[deleted[0]]}")
        return (
            f"its {sides.called(sides.by_key[deleted[0]])} was deleted in the target:"
            f" re-create it with {again}, or leave this out with {flag('--skip', key)}"
        )
    keys = sides.named(reference.types, named)
    if not keys:
        return (
            f"its function {named} is neither in the snapshot nor in the target: leave this out with {flag('--skip', key)},"
            " or set other functions with --overlay"
        )
    called = sides.called(sides.by_key[keys[0]])
    if keys[0] in pairs.problems:
        return f"its {called} is blocked"
    return f"its {called} is left out and not in the target: restore it too, or leave this out with {flag('--skip', key)}"
