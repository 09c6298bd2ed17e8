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

    A type that is not in `now` has no entities, unless it is one of `unread`.
    """
    compared = sorted(before.keys() - set(unread))
    return tuple(
        Fall(name, before[name], now.get(name, 0))
        for name in compared
        if before[name] >= LEAST_COUNT and before[name] - now.get(name, 0) > share * before[name]
    )
