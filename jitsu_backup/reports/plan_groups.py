"""The actions of a plan in groups that say the same, so that a plan of many entities fits on one screen."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from jitsu_backup.model import plural, shortened
from jitsu_backup.planning import Action, ActionKind
from jitsu_backup.reports.summary import brings_back, why, without_particulars

_ORDER = (
    ActionKind.BLOCKED,
    ActionKind.DELETE,
    ActionKind.UPDATE,
    ActionKind.CREATE,
    ActionKind.SKIPPED,
    ActionKind.UNCHANGED,
)
"""The kinds of actions, the one that matters most first."""

_NAMES, _NAMES_OF_DELETED = 80, 600  # characters

Group = Sequence[Action]
"""Actions of one kind and type whose reasons differ only in names, numbers and fields."""


def grouped(actions: Iterable[Action]) -> list[Group]:
    """Return actions in groups, the kind that matters most first.

    A conflict is a group of its own, and so is what overwrites changes of the target, unless it only re-creates.
    """
    found: dict[object, list[Action]] = defaultdict(list)
    for action in sorted(actions, key=_rank):
        alone = action.key if action.conflicts or (action.overwrites and not brings_back(action)) else None
        found[action.kind, action.key.type, tuple(_alike(action)), alone].append(action)
    return list(found.values())


def _rank(action: Action) -> tuple[bool, int]:
    blocked = action.kind is ActionKind.BLOCKED
    return not (blocked or action.overwrites), _ORDER.index(action.kind)


def _alike(action: Action) -> Iterator[str]:
    """Yield the reasons of an action without the words in which similar ones differ."""
    paths = {*action.changes, *action.kept, *action.own, *(loss.path for loss in action.losses)} - {""}
    fields = "|".join(map(re.escape, sorted(paths, key=len, reverse=True)))
    for line in why(action, told=False):
        plain = re.sub(rf"(?<![\w.])({fields})(?![\w.])(, )?", "", line) if fields else line
        yield without_particulars(plain)


def alike(actions: Iterable[Action]) -> list[Group]:
    """Return actions with those of one type together that say exactly the same, in the order of the first of each."""
    found: dict[object, list[Action]] = defaultdict(list)
    for action in actions:
        alone = action.key if action.conflicts else None
        found[action.kind, action.key.type, tuple(why(action, told=False)), alone].append(action)
    return list(found.values())


def names_of(group: Group, names: Sequence[str], room: int = 0) -> str:
    """Return the names of a group on about one line, after their number; of deleted entities, up to ten lines.

    They take about `room` characters, if that is given.
    """
    room = room or (_NAMES_OF_DELETED if group[0].kind is ActionKind.DELETE else _NAMES)
    shown: list[str] = []
    for name in map(shortened, names):
        room -= len(name) + 2
        if shown and room < 0:
            break
        shown.append(name)
    more = [f"… and {len(names) - len(shown)} more"] if len(names) > len(shown) else []
    return f"{len(names)}: {', '.join([*shown, *more])}"


def share_reasons(group: Group, following: Group) -> bool:
    """Return whether all actions of two groups are blocked for the same reasons, so that they are shown once, at the end."""
    both = (*group, *following)
    blocked = bool(following) and all(a.kind is ActionKind.BLOCKED and not a.conflicts for a in both)
    return blocked and len({tuple(why(action, told=False)) for action in both}) == 1


def reasons_of(group: Group) -> Iterator[str]:
    """Yield the reasons of a group: those of its first action, and how many others there are."""
    reasons = [tuple(why(action, told=False)) for action in group]
    for number, line in enumerate(reasons[0]):
        others = len({lines[number] for lines in reasons}) - 1
        yield f"{line} (and {plural(others, 'similar reason')})" if others else line
