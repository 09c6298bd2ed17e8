"""A workspace's lists while it is being written: read again when needed, and shared by concurrent callers."""

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
"""Takes a type with its own list, and the known list. Returns the current list: the known one if nothing changed."""


@dataclass(slots=True)
class _Shared:
    """The newest list of one type. `number` is its place among the lists that were `begun`. `items` are by type."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    begun: int = 0
    number: int = 0
    listing: Listing | None = None
    items: Mapping[str, Items] = field(default_factory=dict)


class FreshLists:
    """The lists of one workspace, each read no earlier than the call that asks for it.

    `known` are lists that were just read. They answer the first call, so that the first write follows at once. Lists are
    read instead of single entities, because a GET by id ignores the type [function/get-through-other-route].
    """

    def __init__(self, read: ReadList, known: Mapping[str, Items]) -> None:
        """`read` reads one list, but transfers it only if it has changed."""
        self._read, self._known = read, known
        self._shared: dict[str, _Shared] = defaultdict(_Shared)

    async def of(self, type_name: str) -> Items:
        """Return a type's items from a list that is read after this call. Raise ConsoleError, AccessError."""
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
        """Note that something was written, or time has passed, so that the known lists are outdated."""
        self._known = {}


def _by_type(listed: str, listing: Listing) -> Mapping[str, Items]:
    found: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for item in listing.items:
        found[type_in_list(listed, item)][item["id"]] = item
    return found
