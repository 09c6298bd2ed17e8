"""Protection: entities of the target that are neither deleted nor re-created unless the operator asks for it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from jitsu_backup.catalogue import Selector, check_type, entity_names
from jitsu_backup.model import Entity, Key, flag, nearest
from jitsu_backup.planning.ignored import idle_fields
from jitsu_backup.planning.options import Since
from jitsu_backup.planning.plan import Action, ActionKind
from jitsu_backup.planning.sides import Sides


def check_protection(sides: Sides) -> None:
    """Raise UsageError for a selector of an unknown type."""
    for option, texts in (("protect", sides.options.protect), ("--unprotect", sides.options.unprotect)):
        for text in texts:
            check_type(Selector(text), option, sides.types)


def protected(sides: Sides, deletions: Iterable[Action]) -> list[Action]:
    """Return the deletions, blocked if they would delete or re-create a protected entity."""
    return [_blocked(sides, action) if action.kind is ActionKind.DELETE else action for action in deletions]


def vain_flags(sides: Sides) -> list[str]:
    """Return a note for each `unprotect` that matches nothing, because an earlier run may have deleted its entity."""
    known = [entity for entity in sides.live.entities if _first(sides, sides.options.protect, entity)]
    return [
        f"--unprotect {text!r} matches no protected entity of the target"
        for text in sides.options.unprotect
        if not any(_unprotects(sides, [text], entity) for entity in known)
    ]


def idle_guards(sides: Sides) -> list[str]:
    """Return a note for each selector of `protect` and each field of `ignore` that fits nothing on any side.

    Without `checks_selectors` there is none, nor in a recovery, because settings may be about several workspaces.
    """
    options = sides.options
    if not options.checks_selectors or sides.since is Since.RECOVERY:
        return []
    own, record = "snapshot" if sides.in_place else "source", options.record
    here = [*_named(sides.by_key, sides.names), *_named(sides.by_key, sides.desired_names)]
    there = _named(sides.live_by_key, sides.live_names)
    then = {} if record is None else {entity.key: entity for entity in record.entities}
    before = [*_named(then, entity_names(then.values())), *_recorded(sides)]
    where = f"the target, the {own} or the last record" if before else f"the target or the {own}"
    return [
        *idle_protection(options.protect, [*there, *here, *before], where),
        *idle_fields(options.ignored, [*there, *here], options.schemas, f"the target or the {own}"),
    ]


def _named(entities: Mapping[Key, Entity], names: Mapping[Key, str]) -> list[tuple[Entity, str]]:
    return [(entity, names[key]) for key, entity in entities.items()]


def _recorded(sides: Sides) -> Iterator[tuple[Entity, str]]:
    yield from (
        (sides.live_by_key[key], name) for key, names in sides.recorded_names.items() for name in names
    )


def idle_protection(texts: Iterable[str], named: Collection[tuple[Entity, str]], where: str) -> Iterator[str]:
    """Yield a warning for each selector that matches none of the entities, which are given with their names.

    One of a whole type is meant for what will exist.
    """
    for text in texts:
        selector = Selector(text)
        kind, _, name = text.partition("/")
        if name not in ("", "*") and not any(selector.matches(*one) for one in named):
            known = {other for entity, other in named if entity.key.type == kind}
            yield f"protect: {text!r} is not in {where}{nearest(name, known) or '; correct or remove it'}"


def _blocked(sides: Sides, action: Action) -> Action:
    for entity in _taken(sides, action.key):
        rule = _first(sides, sides.options.protect, entity)
        if rule and not _unprotects(sides, sides.options.unprotect, entity):
            what = (
                ""
                if entity.key == action.key
                else f"{sides.called(entity)}, which would be deleted with it, is "
            )
            how = "re-create it" if action.after else "delete it"
            left = sides.selectors[action.after[0]] if action.after else sides.live_selectors[action.key]
            reason = (
                f"{what}protected by {rule!r} in the setting protect: use {flag('--unprotect', sides.live_selectors[entity.key])} to {how},"
                f" or {flag('--skip', left)} to leave it unchanged"
            )
            return replace(action, kind=ActionKind.BLOCKED, reason=reason)
    return action


def _taken(sides: Sides, key: Key) -> Iterator[Entity]:
    """Yield everything that a deletion removes: a profile builder is deleted with its functions [maintenance/read]."""
    yield sides.live_by_key[key]
    for function, builder in sides.live_owned.items() if key.type == "profile-builder" else ():
        owned = sides.live_by_key.get(Key("function", function))
        if builder == key.id and owned is not None:
            yield owned


def _unprotects(sides: Sides, texts: Iterable[str], entity: Entity) -> bool:
    """Return whether a selector matches an entity of the target by its present name, because another may have its old one."""
    return any(Selector(text).matches(entity, sides.live_names[entity.key]) for text in texts)


def _first(sides: Sides, texts: Iterable[str], entity: Entity) -> str:
    """Return the first selector that matches an entity of the target; an empty text if none does.

    The names at the last clone count too, so that renaming an entity does not lift its protection.
    """
    names = sides.live_names[entity.key], *sides.recorded_names.get(entity.key, ())
    return next((text for text in texts if any(Selector(text).matches(entity, name) for name in names)), "")
