"""Read and write the cursors of a sync: how far it has read each stream of its source."""

from collections.abc import Mapping
from typing import Any

from jitsu_backup.console.bodies import Size
from jitsu_backup.console.client import Console, api_path

NO_SYNC = "none"
"""A sync id that no console has: asking for its cursors shows whether a console keeps any [sync-state/unknown-sync]."""


class NoCursorsError(Exception):
    """The console answered, but without cursors. `sync_gone` says that it has no such sync. `str()` is its reason."""

    def __init__(self, reason: str, *, sync_gone: bool) -> None:
        """Keep the beginning of the console's `reason`, in one line."""
        super().__init__(" ".join(reason.split())[:200])
        self.sync_gone = sync_gone


async def read_cursors(console: Console, workspace_id: str, sync_id: str, *, beside: Size) -> dict[str, str]:
    """Return the cursors of a sync: stream → state, a JSON text [sync-state/get]. `beside` is as for `Console.get`.

    Raise NoCursorsError, RefusedError, ConsoleError, AccessError.
    """
    path = api_path(workspace_id, "sources", "state")
    answer = await console.get(path, params={"syncId": sync_id}, beside=beside)
    state = answer.get("state") if isinstance(answer, Mapping) else None
    if isinstance(state, Mapping):
        return {str(stream): text for stream, text in state.items() if isinstance(text, str)}
    error = str(answer.get("error")) if isinstance(answer, Mapping) else "no state in the answer"
    raise NoCursorsError(error, sync_gone="not found" in error)


def refusal_in(answer: Any) -> str | None:
    """Return why the console did not store a cursor, or None. It answers 200 in both cases [sync-state/unknown-sync]."""
    if isinstance(answer, Mapping) and answer.get("ok") is False:
        return str(answer.get("error") or "refused")[:200]
    return None
