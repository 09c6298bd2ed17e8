"""Sync states: the cursor of each stream of a sync [sync-state/get, sync-state/get-of-reverse-sync]."""

from typing import Any

import orjson

from jitsu_backup.sandbox.access import EDIT, Access
from jitsu_backup.sandbox.calls import Call, PathHandlers
from jitsu_backup.sandbox.generation import Generation
from jitsu_backup.sandbox.state import REVERSE_SYNC, State


class SyncStates:
    """Routes that read and set the cursors of a sync."""

    def __init__(self, state: State, access: Access) -> None:
        """Keep the cursors in `state`."""
        self.state, self.access = state, access

    def routes(self) -> list[PathHandlers]:
        """Return the route of sync states."""
        return [
            PathHandlers("api/*/sources/state", since=Generation.JULY_2026, GET=self._get, POST=self._set)
        ]

    async def _get(self, call: Call) -> Any:
        return self._states(self.access.workspace_of(call), call)

    async def _set(self, call: Call) -> Any:
        current = self._states(self.access.workspace_of(call, EDIT), call)
        if not current["ok"]:
            return current
        states = self.state.sync_states.setdefault(call.query["syncId"], {})
        stream = call.query.get("stream", "")
        if call.body == {}:
            states.pop(stream, None)
        else:
            states[stream] = orjson.dumps(call.body, option=orjson.OPT_INDENT_2).decode()
        return {"ok": True, "state": dict(states)}

    def _states(self, workspace_id: str, call: Call) -> dict[str, Any]:
        sync_id = call.query.get("syncId", "")
        row = self.state.links.get(sync_id)
        if row is None or row.deleted or row.workspace_id != workspace_id or row.type == REVERSE_SYNC:
            return {"ok": False, "error": "sync not found"}
        return {"ok": True, "state": dict(self.state.sync_states.get(sync_id, {}))}
