"""Protection: entities of the target that are neither deleted nor re-created unless the operator asks for it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from jitsu_backup.catalogue import Selector, check_type
from jitsu_backup.model import Entity, Key, flag
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
        if not any(_first(sides, [text], entity) for entity in known)
    ]


def _blocked(sides: Sides, action: Action) -> Action:
    for entity in _taken(sides, action.key):
        rule = _first(sides, sides.options.protect, entity)
        if rule and not _first(sides, sides.options.unprotect, entity):
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


def _first(sides: Sides, texts: Iterable[str], entity: Entity) -> str:
    """Return the first selector that matches an entity of the target; an empty text if none does."""
    name = sides.live_names[entity.key]
    return next((text for text in texts if Selector(text).matches(entity, name)), "")
