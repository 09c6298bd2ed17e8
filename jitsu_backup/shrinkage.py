"""The shrink alarm: a workspace that suddenly holds much less than it did."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jitsu_backup.archive import LEAST_COUNT


@dataclass(frozen=True, slots=True)
class Fall:
    """How a type's count has fallen."""

    type: str
    before: int
    now: int

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.type}: {self.before} before, {self.now} now"


def falls(
    before: Mapping[str, int], now: Mapping[str, int], share: float, unread: Iterable[str] = ()
) -> tuple[Fall, ...]:
    """Give the types of which more than `share` (0 to 1) is gone, where there were LEAST_COUNT or more.

    A type of which nothing is left has fallen however few there were, unless `share` is 1. One that is not in `now`
    has no entities, unless it is one of `unread`.
    """
    compared = sorted(before.keys() - set(unread)) if share < 1 else ()
    found = (Fall(name, before[name], now.get(name, 0)) for name in compared)
    return tuple(fall for fall in found if fall.before and (not fall.now or _is_deep(fall, share)))


def _is_deep(fall: Fall, share: float) -> bool:
    return fall.before >= LEAST_COUNT and fall.before - fall.now > share * fall.before


def most(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the highest count of each type."""
    found: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            found[name] = max(count, found.get(name, 0))
    return found
