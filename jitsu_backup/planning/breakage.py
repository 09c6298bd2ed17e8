"""What a plan would break: connections, profile builders, mappings and services without what they use."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from jitsu_backup.catalogue import entity_type, find_references
from jitsu_backup.catalogue.references import Form, Reference
from jitsu_backup.model import Entity, Key, some_of
from jitsu_backup.planning.context import Context
from jitsu_backup.planning.plan import Action, Kind


def uses(entity: Entity, *forms: Form) -> Iterator[tuple[Reference, str]]:
    """Return the references of a connection or profile builder that have to lead somewhere: its ends and its functions."""
    for reference, named in find_references(entity_type(entity.key.type).references, entity.body):
        if reference.form in (forms or (Form.WHOLE, Form.UDF)):
            yield reference, named


def without_end(context: Context, entity: Entity, chosen: set[Key]) -> Action | None:
    """Return the action of a connection or profile builder that cannot be there: an end is missing, skipped or blocked."""

    def no(kind: Kind, reason: str, *, asked: bool = False, dead: bool = False) -> Action:
        name = context.meant_names[entity.key]
        return Action(kind, entity.key, name, None, reason, asked=asked, dead=dead)

    for reference, named in uses(entity, Form.WHOLE):
        keys = context.named(reference.types, named)
        end = "source" if reference.path[-1] == "fromId" else "destination"
        if not keys and entity.key in context.dead_links:
            reason = f"dead: its {end} {named} was deleted, so nothing flows through it"
            return no(Kind.SKIPPED, reason, dead=True)
        if not keys:
            return no(Kind.SKIPPED, f"dangling: its {end} {named} is not in the snapshot")
        blocked = next((k for k in keys if k in context.problems and k in chosen), None)
        if blocked is not None:
            return no(Kind.BLOCKED, f"its {end}, {context.called(context.by_key[blocked])}, is blocked")
        if not any(key in context.ids for key in keys):
            name = context.called(context.by_key[keys[0]])
            asked = keys[0] not in chosen
            return no(
                Kind.SKIPPED, f"its {end}, {name}, is {'left out' if asked else 'skipped'}", asked=asked
            )
    return None


def names_as_before(entity: Entity, live: Entity | None) -> bool:
    """Tell whether the target's own one names all that `entity` does."""
    return live is not None and {*uses(entity)} <= {*uses(live)}


def without_function(context: Context, meant: Entity, live: Entity | None) -> Action | None:
    """Return the action that blocks a connection or profile builder one of whose functions would not be in the target.

    What the target's own one, `live`, runs already does not count: that is no worse afterwards.
    """
    runs_already = set() if live is None else {named for _, named in uses(live, Form.UDF)}
    for reference, named in uses(meant, Form.UDF):
        if named not in runs_already and not is_there(context, reference, named):
            reason = _why_without(context, meant.key, reference, named)
            return Action(Kind.BLOCKED, meant.key, context.meant_names[meant.key], None, reason)
    return None


def is_there(context: Context, reference: Reference, named: str) -> bool:
    """Tell whether what a reference of the snapshot names is in the target, or will be."""
    keys = context.named(reference.types, named)
    if any(key.id in context.owned for key in keys):  # comes with its profile builder
        return True
    in_target = not keys and any(Key(name, named) in context.live_by_key for name in reference.types)
    return in_target or context.resolve(reference.types, named) is not None


def _why_without(context: Context, key: Key, reference: Reference, named: str) -> str:
    keys = context.named(reference.types, named)
    if not keys:
        return (
            f"its function {named} is neither in the snapshot nor in the target: leave it out with --skip {key},"
            " or give it other functions with --overlay"
        )
    called = context.called(context.by_key[keys[0]])
    if keys[0] in context.problems:
        return f"its {called} is blocked"
    return f"its {called} is left out and not in the target: restore that too, or leave this out with --skip {key}"


def spared(
    context: Context, actions: Mapping[Key, Action], pairs: Mapping[Key, Entity], removals: list[Action]
) -> list[Action]:
    """Return the removals, blocked where they would take what stays and uses it: every form of reference counts.

    `pairs` gives the target's entity for one of the snapshot's. The console refuses some of these deletions too, and others
    leave what dangles [delete/strict-linked, delete/function-in-use-strict, delete/plain-leaves-links]. What a type that the
    table lacks holds may be a reference or not: that is noted.
    """
    going = {action.key for action in removals if action.kind is Kind.DELETE}
    afterwards = list(_afterwards(context, actions, pairs, going))
    packages = {_name(entity) for _, entity in afterwards if entity.key.type == "custom-image"}
    by_name = {(key.type, _name(context.live_by_key[key])): key for key in going}
    by_name = {
        name: key for name, key in by_name.items() if key.type != "custom-image" or name[1] not in packages
    }
    types = {key.type for key in going}
    users: dict[Key, list[str]] = defaultdict(list)
    for called, entity in afterwards:
        for reference, named in uses(entity, *Form):
            for key in filter(None, (by_name.get((kind, named)) for kind in reference.types or types)):
                if reference.form is Form.ANYWHERE:
                    what = context.called(context.live_by_key[key])
                    context.notes.append(f"{called} names {what}, which this plan deletes: it may need that")
                else:
                    users[key].append(called)
    return [
        replace(action, kind=Kind.BLOCKED, reason=_why_spared(action.key, users[action.key]))
        if action.key in users
        else action
        for action in removals
    ]


def _name(entity: Entity) -> str:
    """Return what references name an entity by: its id, or the package of a custom image."""
    return str(entity.body.get("package")) if entity.key.type == "custom-image" else entity.key.id


def _why_spared(key: Key, users: list[str]) -> str:
    some = some_of(sorted(set(users)), 3)
    stay = "uses it and stays" if len(set(users)) == 1 else "use it and stay"
    return f"{some} {stay}: keep this one with --skip {key}, or let the plan change or delete that too"


def _afterwards(
    context: Context, actions: Mapping[Key, Action], pairs: Mapping[Key, Entity], going: set[Key]
) -> Iterator[tuple[str, Entity]]:
    """Return what the target will have, each entity with what it is called; references are in the target's ids."""
    sources = {live.key: key for key, live in pairs.items()}
    for live in context.live.entities:
        action = actions.get(sources.get(live.key, live.key))
        body = live.body
        if action is not None and action.kind is Kind.UPDATE:
            body = {**body, **context.mapped(live, action.body)}
        if live.key not in going:
            yield context.called(live), Entity(live.key, body)
    for key, action in actions.items():
        if action.kind is Kind.CREATE:
            entity = context.by_key[key]
            yield context.called(entity), Entity(key, context.mapped(entity, action.body))
