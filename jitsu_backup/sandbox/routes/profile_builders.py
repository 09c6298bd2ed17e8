"""Profile builders, each with the function that it owns."""

from collections.abc import Mapping
from typing import Any

from jitsu_backup.model import members_of
from jitsu_backup.sandbox.access import DELETE, EDIT, Access
from jitsu_backup.sandbox.calls import Call, PathHandlers
from jitsu_backup.sandbox.refusals import fault, thrown
from jitsu_backup.sandbox.state import BuilderRow, State
from jitsu_backup.sandbox.validation import as_date, invalid_type, with_dates


class ProfileBuilders:
    """Routes of the profile builders of all workspaces."""

    def __init__(self, state: State, access: Access) -> None:
        """Keep the profile builders in `state`."""
        self.state, self.access = state, access

    def routes(self) -> list[PathHandlers]:
        """Return the route of profile builders."""
        return [
            PathHandlers(
                "api/*/config/profile-builder",
                GET=self._list, POST=self._upsert, PUT=self._upsert, DELETE=self._delete,
            )
        ]  # fmt: skip

    async def _list(self, call: Call) -> Any:
        """List profile builders with the function that each owns [profile-builder/list]."""
        rows = self.state.live_builders(self.access.workspace_of(call))
        return {"profileBuilders": [self._shown(row) for row in rows]}

    async def _upsert(self, call: Call) -> Any:
        """Create or update a builder and its function."""
        workspace_id, body = self.access.workspace_of(call, EDIT), call.body
        if self.state.generation.is_2024:
            return {"success": True}  # an old console does nothing else [profile-builder/create]
        issues = _issues(body)
        if issues:
            raise thrown(
                "Failed to validate schema of profile-builder",
                object=body, error={"issues": issues, "name": "ZodError"},
            )  # fmt: skip
        fields = with_dates(body["profileBuilder"])
        code = str(body.get("code") or "")
        row = self.state.builders.get(fields["id"])
        if row is None:
            self.state.add_builder(workspace_id, fields["id"], _kept_fields(fields), code)
            return {"id": fields["id"], "created": True}
        if row.workspace_id != workspace_id or row.deleted:
            raise fault(
                "Invalid `prisma.profileBuilder.create()` invocation: Unique constraint failed on the fields: (`id`)"
            )
        row.fields = {**row.fields, **_kept_fields(fields)}
        row.created_at = fields.get("createdAt") or row.created_at
        row.updated_at = fields.get("updatedAt") or row.updated_at
        function = self.state.objects[row.function_id]
        function.config = {**function.config, "code": code, "draft": code}
        function.updated_at = self.state.now()
        return {"id": row.id, "created": False}

    async def _delete(self, call: Call) -> Any:
        """Delete a builder and its function [maintenance/read]."""
        workspace_id = self.access.workspace_of(call, DELETE)
        row = self.state.builders.get(call.query.get("id", ""))
        if row is None or row.workspace_id != workspace_id or row.deleted:
            return {"deleted": False}
        row.deleted = True
        self.state.objects[row.function_id].deleted = True
        return {"deleted": True}

    def _shown(self, row: BuilderRow) -> dict[str, Any]:
        function = self.state.objects[row.function_id]
        return {
            **{k: v for k, v in row.fields.items() if k != "deleted"},
            "id": row.id,
            "workspaceId": row.workspace_id,
            "createdAt": row.created_at,
            "updatedAt": row.updated_at,
            "functions": [
                {
                    "id": row.link_id,
                    "createdAt": row.function_at,
                    "updatedAt": row.function_at,
                    "profileBuilderId": row.id,
                    "functionId": function.id,
                    "function": {
                        "id": function.id,
                        "deleted": function.deleted,
                        "createdAt": function.created_at,
                        "updatedAt": function.updated_at,
                        "type": "function",
                        "workspaceId": row.workspace_id,
                        "config": function.config,
                    },
                }
            ],
        }


def _issues(body: Any) -> list[dict[str, Any]]:
    """Return why a profile builder's body is refused [profile-builder/incomplete]."""
    fields = members_of(members_of(body).get("profileBuilder"))
    issues: list[dict[str, Any]] = []

    def required(name: str, expected: str, kinds: tuple[type, ...]) -> None:
        value = fields.get(name)
        if not isinstance(value, kinds) or isinstance(value, bool):
            received = (
                "undefined" if name not in fields else "null" if value is None else type(value).__name__
            )
            issues.append(invalid_type(expected, received, [name]))

    required("id", "string", (str,))
    required("name", "string", (str,))
    issues += [
        {"code": "invalid_date", "path": [name], "message": "Invalid date"}
        for name in ("createdAt", "updatedAt")
        if as_date(fields.get(name)) is None
    ]
    required("workspaceId", "string", (str,))
    issues += [
        _missing_json(name)
        for name in ("intermediateStorageCredentials", "connectionOptions")
        if name not in fields
    ]
    required("version", "number", (int, float))
    return issues


def _missing_json(name: str) -> dict[str, Any]:
    def wanted(kind: str) -> dict[str, Any]:
        issue = invalid_type(kind, "undefined", [name])
        return {"issues": [issue], "name": "ZodError"}

    def union(*errors: dict[str, Any]) -> dict[str, Any]:
        return {
            "code": "invalid_union", "unionErrors": list(errors), "path": [name], "message": "Invalid input",
        }  # fmt: skip

    scalars = {"issues": [union(wanted("string"), wanted("number"), wanted("boolean"))], "name": "ZodError"}
    return union(scalars, wanted("array"), wanted("object"))


def _kept_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in fields.items() if k not in ("id", "workspaceId", "functions")}
