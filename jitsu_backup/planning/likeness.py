"""Likely pairs among links with equal ends, found without comparing each with every other."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from jitsu_backup.model import Entity, Key, Path

ALL_PAIRS = 64
"""Up to this many links with equal ends are all compared with each other; beyond that, only with the likeliest."""

_LIKELIEST = 16


class LikelyLinks:
    """The target's links with equal ends that are not paired yet."""

    def __init__(self, live: list[Entity]) -> None:
        """Store `live`, links with the same ends."""
        self.left = {link.key: (at, link) for at, link in enumerate(live)}
        self._many = len(live) > ALL_PAIRS
        self._holders: dict[Any, dict[Key, None]] = defaultdict(dict)
        for link in live if self._many else ():
            for sign in _signs(link.body.get("data")):
                self._holders[sign][link.key] = None

    def of(self, key: Key, data: Any) -> list[tuple[int, Entity]]:
        """Return the links that may resemble one with this key and data, with their positions; if there are few, all of them.

        If there are many, these are the one with the same id, those with equal data, and those that share a rare value.
        """
        if not self._many:
            return list(self.left.values())
        found = {key: None} if key in self.left else {}
        shared = sorted((self._holders.get(sign, {}) for sign in _signs(data)), key=len)
        whole = self._holders.get(_whole(data), {})
        for holders in (whole, *(some for some in shared if len(some) <= ALL_PAIRS)):
            found |= dict.fromkeys(islice(holders, max(_LIKELIEST - len(found), 0)))
        return [self.left[other] for other in found]

    def take(self, link: Entity) -> None:
        """Remove a link that is paired."""
        del self.left[link.key]
        for sign in _signs(link.body.get("data")) if self._many else ():
            self._holders[sign].pop(link.key, None)


def _signs(data: Any) -> Iterator[Any]:
    """Yield each value of the data with its path, then all of them together."""
    yield from _values(data, ())
    yield _whole(data)


def _whole(data: Any) -> Any:
    return frozenset(_values(data, ()))


def _values(value: Any, at: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _values(item, (*at, name))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _values(item, (*at, position))
    elif value is not None:  # null counts as none
        yield at, value.replace(".000Z", "Z") if isinstance(value, str) else (type(value), value)
