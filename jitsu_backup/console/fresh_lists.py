"""A workspace's lists while it is being written: read anew, and shared by all who ask at the same time."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jitsu_backup.catalogue import listed_under, type_in_list
from jitsu_backup.console.client import Listing

Items = Mapping[str, Mapping[str, Any]]
"""The items of one list by their ids, in the order of the list."""

ReadList = Callable[[str, Listing | None], Awaitable[Listing]]
"""Takes a type that has a list of its own and the list known so far; returns the list as it is now, which is the known one where nothing changed."""


@dataclass(slots=True)
class _Shared:
    """The newest list of one type. `number` is its place among the lists that were `begun`; `items` are by type."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    begun: int = 0
    number: int = 0
    listing: Listing | None = None
    items: Mapping[str, Items] = field(default_factory=dict)


class FreshLists:
    """The lists of one workspace, each as it is no earlier than the question.

    `known` are lists that were read right before: they answer the first question, so that the first write follows them
    at once. Lists are read, not single entities, because a GET by id ignores the type [function/get-through-other-route].
    """

    def __init__(self, read: ReadList, known: Mapping[str, Items]) -> None:
        """`read` reads one list, again only where it has changed."""
        self._read, self._known = read, known
        self._shared: dict[str, _Shared] = defaultdict(_Shared)

    async def of(self, type_name: str) -> Items:
        """Return a type's items from a list that was begun after this call. Raises ConsoleError, AccessError."""
        known = self._known.get(type_name)
        self.outdate()
        if known is not None:
            return known
        listed = listed_under(type_name)
        shared = self._shared[listed]
        asked = shared.begun
        async with shared.lock:
            if shared.number <= asked:
                shared.begun += 1
                newer = await self._read(listed, shared.listing)
                if newer is not shared.listing:
                    shared.listing, shared.items = newer, _by_type(listed, newer)
                shared.number = shared.begun
            return shared.items.get(type_name, {})

    def outdate(self) -> None:
        """Note that something was written, or time has passed: what was known before answers no question any more."""
        self._known = {}


def _by_type(listed: str, listing: Listing) -> Mapping[str, Items]:
    found: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for item in listing.items:
        found[type_in_list(listed, item)][item["id"]] = item
    return found
