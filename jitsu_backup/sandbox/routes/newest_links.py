"""Links as the newest console writes them: with real statuses, and with reverse syncs kept out."""

from typing import Any

from jitsu_backup.model import members_of
from jitsu_backup.sandbox.access import DELETE
from jitsu_backup.sandbox.bindings import check_takes_events
from jitsu_backup.sandbox.calls import Call
from jitsu_backup.sandbox.plan_gates import check_stitching
from jitsu_backup.sandbox.refusals import Refusal
from jitsu_backup.sandbox.routes.links import Links, check_schedule
from jitsu_backup.sandbox.state import REVERSE_SYNC, LinkRow, ObjectRow
from jitsu_backup.sandbox.validation import with_dates


class NewestLinks(Links):
    """Routes of the links of all workspaces on the newest console."""

    def upsert(self, workspace_id: str, body: Any, *, put: bool, strict: bool) -> dict[str, Any]:
        """Create or update a connection or a sync. Raise Refusal, in the order of the console's checks."""
        body = with_dates(members_of(body))
        link_type = str(body.get("type") or "push")
        from_id, to_id, data = str(body.get("fromId")), str(body.get("toId")), body.get("data")
        if link_type == REVERSE_SYNC:
            raise _bad("Reverse sync execution is not available yet; models can be created and previewed")
        if link_type == "sync":
            check_schedule(data)
        target = self.state.live_typed(workspace_id, "destination", to_id)
        if strict and link_type != "sync" and target is not None and "data" in body:
            self.check_options(target, data)
        found = self._taken(workspace_id, link_type, from_id, to_id, body.get("id"))
        if found is not None:
            _check_taken(found, named=put or bool(body.get("id")), ends=(from_id, to_id))
        self._check_ends(workspace_id, "service" if link_type == "sync" else "stream", from_id, to_id, target)
        check_stitching(self.state, workspace_id, data, None if found is None else found.data)
        if target is not None and link_type != "sync":
            check_takes_events(target.config)
        if found is None:
            return self.add(workspace_id, link_type, from_id, to_id, data)
        return self.change(found, body)

    async def _delete(self, call: Call) -> Any:
        """Delete a link by id, or all between two ends. Reverse syncs have their own route [link/delete-reverse-sync-by-id]."""
        workspace_id, query = self.access.workspace_of(call, DELETE), call.query
        link_id, ends = query.get("id"), (query.get("fromId"), query.get("toId"))
        links = list(self.state.live_links(workspace_id))
        if link_id:
            meant = [row for row in links if row.id == link_id]
        else:
            meant = [row for row in links if all(ends) and (row.from_id, row.to_id) == ends]
        if any(row.type == REVERSE_SYNC for row in meant):
            raise _bad("Use the Reverse ETL sync endpoint to pause and delete this connection safely")
        if link_id and any(ends):
            raise _bad("You can't specify 'fromId' or 'toId' with 'id'")
        for row in meant:
            self.remove(row)
        return {"deleted": bool(meant)}

    def _taken(
        self, workspace_id: str, link_type: str, from_id: str, to_id: str, link_id: Any
    ) -> LinkRow | None:
        """Return the link that is overwritten: a push link is found by its ends, any other by its id."""
        for row in self.state.live_links(workspace_id):
            same_ends = (row.from_id, row.to_id) == (from_id, to_id)
            if same_ends if link_type == "push" else row.id == link_id:
                return row
        return None

    def _check_ends(
        self, workspace_id: str, end: str, from_id: str, to_id: str, target: ObjectRow | None
    ) -> None:
        if self.state.live_typed(workspace_id, end, from_id) is None:
            raise _bad(f"{end} object with id '{from_id}' not found in the workspace '{workspace_id}'")
        if target is None:
            raise _bad(f"Destination object with id '{to_id}' not found in the workspace '{workspace_id}'")


def _check_taken(found: LinkRow, *, named: bool, ends: tuple[str, str]) -> None:
    """Raise Refusal for a link that may not be overwritten, or not by a POST without an id [link/create-duplicate]."""
    if not named:
        raise _bad(f"Link from '{ends[0]}' to '{ends[1]}' already exists")
    if found.type == REVERSE_SYNC:
        raise _bad("Use the Reverse ETL sync endpoint to change this connection")


def _bad(message: str) -> Refusal:
    return Refusal(400, {"message": message})
