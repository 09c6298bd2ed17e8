"""Residue: what still differs after a restore, with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass

from jitsu_backup.model import Key
from jitsu_backup.planning.plan import Kind, Loss, Plan


@dataclass(frozen=True, slots=True, order=True)
class Residue:
    """One thing that the target lacks or has differently; `path` is empty for a whole entity."""

    key: Key
    name: str
    path: str
    reason: str


def residue(check: Plan, reasons: Mapping[Key, tuple[Loss, ...]] | None = None) -> list[Residue]:
    """Give what a plan made of the target as it is now would still have to do, or cannot.

    `reasons` say why, for what the console refused while acting.
    """
    found: set[Residue] = set()
    for action in check.actions:
        known = {loss.path: loss.reason for loss in (reasons or {}).get(action.key, ())}
        if action.kind is Kind.CREATE:
            found.add(Residue(action.key, action.name, "", known.get("", "is not in the target")))
        elif action.kind in (Kind.SKIPPED, Kind.BLOCKED) and not action.losses:
            found.add(Residue(action.key, action.name, "", action.reason))
        elif action.kind is Kind.UPDATE:
            for path in action.changes:
                found.add(Residue(action.key, action.name, path, known.get(path, known.get("", "differs"))))
        for loss in action.losses:
            found.add(Residue(action.key, action.name, loss.path, loss.reason))
    return sorted(found)
