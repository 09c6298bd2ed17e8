"""Links: connections between streams and destinations, and syncs of services."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from jitsu_backup.model import MASK, members_of
from jitsu_backup.sandbox.access import DELETE, EDIT, Access
from jitsu_backup.sandbox.audit_log import Audit, link_body
from jitsu_backup.sandbox.calls import Call, PathHandlers
from jitsu_backup.sandbox.http_messages import target_of
from jitsu_backup.sandbox.refusals import Refusal, fault, thrown
from jitsu_backup.sandbox.state import LinkRow, ObjectRow, State
from jitsu_backup.sandbox.validation import invalid_type, parse, schemas_of, with_dates

_CRON_FIELD = re.compile(r"[\d*/,\-A-Za-z?#L]+")


class Links:
    """Routes of the links of all workspaces."""

    def __init__(self, state: State, audit: Audit, access: Access) -> None:
        """Keep the links in `state`, and note every change in `audit`."""
        self.state, self.audit, self.access = state, audit, access

    def routes(self) -> list[PathHandlers]:
        """Return the route of links."""
        return [
            PathHandlers(
                "api/*/config/link", GET=self._list, POST=self._upsert, PUT=self._upsert, DELETE=self._delete
            )
        ]

    async def _list(self, call: Call) -> Any:
        """List links; for those who cannot edit, `functionsEnv` is masked [link/list-as-analyst]."""
        workspace_id = self.access.workspace_of(call)
        secrets = self.state.generation.is_2024 or self.access.sees_secrets(call, workspace_id)
        lines = [
            {
                "id": row.id,
                **({"deleted": False} if self.state.generation.is_2024 else {}),
                "createdAt": row.created_at,
                "updatedAt": row.updated_at,
                "type": row.type,
                "data": row.data if secrets else _masked_env(row.data),
                "workspaceId": row.workspace_id,
                "fromId": row.from_id,
                "toId": row.to_id,
            }
            for row in self.state.live_links(workspace_id)
        ]
        return {"links": lines}

    async def _upsert(self, call: Call) -> Any:
        workspace_id = self.access.workspace_of(call, EDIT)
        put, strict = call.method == "PUT", call.query.get("strict") == "true"
        return self.upsert(workspace_id, call.body, put=put, strict=strict)

    def upsert(self, workspace_id: str, body: Any, *, put: bool, strict: bool) -> dict[str, Any]:
        """Create or update a link. A pair has one push link, while syncs are found by id [link/create-sync-again].

        Raise Refusal.
        """
        body = with_dates(members_of(body))
        link_type = str(body.get("type") or "push")
        from_id, to_id = str(body.get("fromId")), str(body.get("toId"))
        data = body.get("data")
        end = {"push": "stream", "sync": "service"}.get(link_type, "source")
        source = self.state.live_object(workspace_id, from_id)
        if source is None or end not in ("source", source.type):
            raise fault(f"{end} object with id '{from_id}' not found in the workspace '{workspace_id}'")
        target = self.state.live_object(workspace_id, to_id)
        if target is None or target.type != "destination":
            raise fault(f"Destination object with id '{to_id}' not found in the workspace '{workspace_id}'")
        if strict and link_type == "push" and not self.state.generation.is_2024:
            self.check_options(target, data)
        if link_type == "sync" and not self.state.generation.is_2024:
            check_schedule(data)
        found = self._existing(workspace_id, link_type, from_id, to_id, body.get("id"))
        if found is None:
            return self.add(workspace_id, link_type, from_id, to_id, data)
        if link_type == "push" and not put and not body.get("id"):
            raise fault(f"Link from '{from_id}' to '{to_id}' already exists")
        return self.change(found, body)

    def add(self, workspace_id: str, link_type: str, from_id: str, to_id: str, data: Any) -> dict[str, Any]:
        """Add a link and note it. Return the console's answer."""
        row = self.state.add_link(workspace_id, link_type, from_id, to_id, data)
        self.audit.note(workspace_id, "create", "link", row.id, None, link_body(row))
        return {"id": row.id, "created": True}

    def change(self, found: LinkRow, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the data of a link and note it. Return the console's answer."""
        before = link_body(found)
        found.data = body.get("data", found.data)
        found.updated_at = self.state.now()
        self.audit.note(found.workspace_id, "update", "link", found.id, before, link_body(found))
        return {"id": found.id, "created": False}

    def remove(self, row: LinkRow) -> None:
        """Delete a link softly and note it."""
        row.deleted, row.updated_at = True, self.state.now()
        self.audit.note(row.workspace_id, "delete", "link", row.id, link_body(row))

    def check_options(self, target: ObjectRow, data: Any) -> None:
        """Raise Refusal for invalid options of a connection; used only with `strict=true` [link/lenient-invalid-data]."""
        kind = str(target.config.get("destinationType"))
        known = schemas_of(self.state.generation).get(f"link/{kind}", {})
        schema = known.get("properties", {}).get("data")
        if schema is None:
            return
        _, issues = parse(schema, data if data is not None else {})
        if issues:
            text = orjson.dumps(issues, option=orjson.OPT_INDENT_2).decode()
            message = f"Invalid connection options for {kind}: {text}"
            raise Refusal(400, {"message": message, "zodError": {"issues": issues, "name": "ZodError"}})

    async def _delete(self, call: Call) -> Any:
        """Delete a link by id, or one of those between two ends [delete/link-by-id, delete/link-by-pair]."""
        workspace_id, query = self.access.workspace_of(call, DELETE), call.query
        if self.state.generation.is_2024 and not {"fromId", "toId"} <= query.keys():
            missing = [
                invalid_type("string", "undefined", [name])
                for name in ("toId", "fromId")
                if name not in query
            ]
            raise thrown(
                f"Can't parse request query for DELETE {target_of(call.http)}",
                zodError={"issues": missing, "name": "ZodError"},
            )
        for row in self.state.live_links(workspace_id):
            by_id = "id" in query and row.id == query["id"] and not self.state.generation.is_2024
            by_pair = (row.from_id, row.to_id) == (query.get("fromId"), query.get("toId"))
            if by_id or (by_pair and ("id" not in query or self.state.generation.is_2024)):
                self.remove(row)
                return {"deleted": True}
        return {"deleted": False}

    def _existing(
        self, workspace_id: str, link_type: str, from_id: str, to_id: str, link_id: Any
    ) -> LinkRow | None:
        for row in self.state.live_links(workspace_id):
            # a pair identifies a push link, whatever id is sent [link/upsert-push-with-any-id]
            same = (row.from_id, row.to_id) == (from_id, to_id) if link_type == "push" else row.id == link_id
            if row.type == link_type and same:
                return row
        return None


def _masked_env(data: Any) -> Any:
    if not isinstance(data, Mapping) or not isinstance(data.get("functionsEnv"), Mapping):
        return data
    return {**data, "functionsEnv": dict.fromkeys(data["functionsEnv"], MASK)}


def check_schedule(data: Any) -> None:
    """Raise Refusal for an invalid schedule of a sync."""
    schedule = data.get("schedule") if isinstance(data, Mapping) else None
    if not schedule:
        return
    fields = str(schedule).split()
    if not 5 <= len(fields) <= 6 or not all(_CRON_FIELD.fullmatch(field) for field in fields):
        problem = "Constraint error, got value 0 expected range 1-12"
        raise Refusal(400, {"message": f'Invalid cron schedule "{schedule}": {problem}'})
