"""What the console says about reverse syncs besides their settings: which have run, and which are running now."""

from collections.abc import Mapping
from dataclasses import dataclass

from jitsu_backup.console.client import Console, api_path
from jitsu_backup.model import items_of, members_of

_NOT_ENDED = frozenset({"RUNNING", "WAITING", "PENDING"})


@dataclass(frozen=True, slots=True)
class ReverseSyncStates:
    """The ids of reverse syncs that are `locked` because they have run, and of those that are `busy`.

    Unless they are `known`, the console did not say, and any of its syncs may be either.
    """

    locked: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()
    known: bool = True


async def read_reverse_sync_states(console: Console, workspace_id: str | None) -> ReverseSyncStates:
    """Read the states of a workspace's reverse syncs. There are none without a workspace, or if the console has none.

    One sync that cannot be read takes the whole list down [reverse-sync/list-with-an-unreadable-one]. Raise ConsoleError,
    AccessError.
    """
    if workspace_id is None:
        return ReverseSyncStates()
    answer = await console.get_if_offered(api_path(workspace_id, "reverse-etl", "syncs"))
    syncs = [sync for sync in items_of(answer) if isinstance(sync, Mapping)]
    return ReverseSyncStates(
        locked=frozenset(str(sync.get("id")) for sync in syncs if sync.get("settingsLocked") is True),
        busy=frozenset(
            str(sync.get("id"))
            for sync in syncs
            if members_of(sync.get("latestTask")).get("status") in _NOT_ENDED
        ),
        known=isinstance(answer, list),
    )
