"""Residue: what still differs after a restore, with the reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jitsu_backup.model import Key
from jitsu_backup.planning.plan import Action, ActionKind, Loss, Plan
from jitsu_backup.planning.sent_empty import is_unseen


@dataclass(frozen=True, slots=True, order=True)
class Residue:
    """One difference that remains in the target; `path` is empty for a whole entity."""

    key: Key
    name: str
    path: str
    reason: str


def residue(
    check: Plan,
    reasons: Mapping[Key, tuple[Loss, ...]] | None = None,
    undeleted: Mapping[Key, str] | None = None,
) -> list[Residue]:
    """Return what is left to do, from a plan for the target after a restore.

    `reasons` and `undeleted` explain what the console did not write and did not delete.
    """
    found: set[Residue] = set()
    for action in check.actions:
        known = {loss.path: loss.reason for loss in (reasons or {}).get(action.key, ())}
        if action.asked or action.dead or action.deleted_there:  # not wanted in the target
            continue
        if action.kind is ActionKind.CREATE:
            found.add(Residue(action.key, action.name, "", known.get("", "is not in the target")))
        elif action.kind is ActionKind.DELETE:
            why = (undeleted or {}).get(action.key) or "is still in the target"
            found.add(Residue(action.key, action.name, "", why))
        elif action.kind in (ActionKind.SKIPPED, ActionKind.BLOCKED) and not action.losses:
            found.add(Residue(action.key, action.name, "", action.reason))
        elif action.kind is ActionKind.UPDATE:
            for path in action.changes:
                why = next((known[of] for of in (path, path.partition(".")[0], "") if of in known), "differs")
                found.add(Residue(action.key, action.name, path, why))
        for loss in action.losses:
            found.add(Residue(action.key, action.name, loss.path, loss.reason))
    return sorted(found)


def shortfalls(actions: Iterable[Action]) -> list[Residue]:
    """Return what will differ after the actions of a plan, as far as they know: entities, cursors and fields."""
    return [
        Residue(action.key, action.name, path, reason)
        for action in actions
        if not (action.asked or action.dead or action.deleted_there)
        for path, reason in _lacking(action)
    ]


def _lacking(action: Action) -> Iterable[tuple[str, str]]:
    """Return what an action does not restore: paths, empty for the whole entity, and reasons."""
    if action.kind is ActionKind.SKIPPED and not action.losses:
        return (("", action.reason),)
    return ((loss.path, loss.reason) for loss in action.losses)


def cut_off(actions: Iterable[Action]) -> set[Residue]:
    """Return the streams whose senders need new write keys, because the stream was re-created or a key was lost."""
    reason = "its senders need the new write keys: distribute them, or write them to a file with --keys-out"
    return {
        Residue(action.key, action.name, slot.field, reason)
        for action in actions
        if action.cuts_off
        for slot in action.new_keys
        if slot.made
    }


def left_out(actions: Iterable[Action]) -> set[Residue]:
    """Return what new entities lack. A console masks an empty secret like a real one, so reading back cannot show it."""
    return {
        Residue(action.key, action.name, loss.path, loss.reason)
        for action in actions
        for loss in action.losses
        if action.kind is ActionKind.CREATE or is_unseen(loss)
    }
