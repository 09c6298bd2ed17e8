"""Workspaces, their members and their options."""

import re
from collections.abc import Mapping
from typing import Any

from jitsu_backup.model import members_of
from jitsu_backup.sandbox.access import EDIT, Access
from jitsu_backup.sandbox.calls import Call, PathHandlers
from jitsu_backup.sandbox.generation import Generation
from jitsu_backup.sandbox.http_messages import target_of
from jitsu_backup.sandbox.rate_limits import WORKSPACE_CREATE
from jitsu_backup.sandbox.refusals import fault, invalid_request, meant
from jitsu_backup.sandbox.state import OPERATOR, State, WorkspaceRow, server_id
from jitsu_backup.sandbox.validation import parse

_RETENTION = {
    "kafkaRetentionHours": 168,
    "identityStitchingRetentionDays": 30,
    "logsRetentionDays": {"maxRecords": 1000, "maxHours": 168},
}
_UPDATE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "slug": {"type": "string"}},
    "required": ["name", "slug"],
}
_SAFE_NAME = re.compile(r"[a-zA-Z0-9 \-_']+")


class Workspaces:
    """Routes of the workspaces of a console."""

    def __init__(self, state: State, access: Access) -> None:
        """Keep the workspaces in `state`."""
        self.state, self.access = state, access

    def routes(self) -> list[PathHandlers]:
        """Return the routes of workspaces."""
        return [
            PathHandlers("api/workspace", GET=self._list, POST=self._create),
            PathHandlers("api/workspace/*", GET=self._get, PUT=self._update),
            PathHandlers("api/workspace/*/users", GET=self._users),
            PathHandlers("api/workspace/*/*", GET=self._get_options, POST=self._set_options),
        ]

    async def _list(self, call: Call) -> Any:
        self.access.admit(call)
        if call.user is None:
            raise fault(f"User {OPERATOR} does not exist")  # [admin/workspace-list]
        return self._page(call.user.id, call.query)

    async def _get(self, call: Call) -> Any:
        row = self.access.named_workspace(call)
        if call.user is not None:
            row.last_used = self.state.now()
        newer: dict[str, Any] = {} if self.state.generation.is_2024 else {"oidcLoginGroups": []}
        return {**workspace_line(self.state, row), "deleted": False, **newer}

    async def _users(self, call: Call) -> Any:
        row = self.access.named_workspace(call)
        return [
            {
                "workspaceId": row.id,
                "user": {
                    "id": user.id, "name": user.name, "loginProvider": "credentials", "externalId": user.id,
                    "externalUsername": None, "email": user.email,
                },
                **({} if self.state.generation.is_2024 else {"role": row.access[user.id]}),
            }
            for user in self.state.users.values()
            if user.id in row.access
        ]  # fmt: skip

    def _page(self, user_id: str, query: Mapping[str, str]) -> Any:
        """Return all workspaces of which a user is a member, or one `page` of them [workspace/list-paged]."""
        mine = [row for row in self.state.workspaces.values() if user_id in row.access and not row.deleted]
        wanted = query.get("search", "").lower()
        found = [row for row in mine if any(wanted in text.lower() for text in (row.id, row.name, row.slug))]
        limit = _whole_number(query.get("limit")) or 1_000_000
        page = _whole_number(query.get("page"))
        lines = [self._listed(row) for row in found[page * limit :][:limit]]
        lines.sort(key=lambda line: line.get("lastUsed", ""), reverse=True)
        if "page" not in query or self.state.generation.is_2024:
            return lines
        more = (page + 1) * limit < len(mine)
        return {
            "workspaces": lines,
            "pagination": {"page": page, "limit": limit, "totalCount": len(mine), "hasMore": more},
        }

    def _listed(self, row: WorkspaceRow) -> dict[str, Any]:
        used = {"lastUsed": row.last_used} if row.last_used and self.state.generation.is_newest else {}
        return {**workspace_line(self.state, row), **used}  # [discovery/workspaces]

    async def _create(self, call: Call) -> Any:
        self.access.admit(call, WORKSPACE_CREATE)
        return self.create(members_of(call.body), call.user.id if call.user else None)

    def create(self, body: Mapping[str, Any], owner: str | None) -> dict[str, Any]:
        """Create a workspace. Raise Refusal. Even without an owner, it is created [admin/workspace-create]."""
        name, slug = str(body.get("name") or ""), str(body.get("slug") or "")
        if not self.state.generation.is_2024:
            _check_name(self.state.generation, name)
            self._check_slug(slug, None)
        row = self.state.add_workspace(
            server_id(), name or slug, slug or server_id(), {owner: "owner"} if owner else {}
        )
        self.state.provision(row)
        if owner is None:
            raise fault(
                "\nInvalid `prisma.workspaceAccess.create()` invocation:\n\n\nForeign key constraint violated"
                " on the constraint: `WorkspaceAccess_userId_fkey`"
            )
        return {"id": row.id}

    async def _update(self, call: Call) -> Any:
        """Set name and slug. Both must be given [workspace/put-slug, workspace/put-slug-taken]."""
        row, body = self.access.named_workspace(call, EDIT), members_of(call.body)
        parsed, issues = parse(_UPDATE, body, dates=False)
        if issues:
            raise invalid_request("body", f"PUT {target_of(call.http)}", issues, body=body)
        if not self.state.generation.is_2024:
            _check_name(self.state.generation, parsed["name"])
            self._check_slug(parsed["slug"], row)
        row.name, row.slug, row.updated_at = parsed["name"], parsed["slug"], self.state.now()
        return {**workspace_line(self.state, row), "deleted": False}

    async def _get_options(self, call: Call) -> Any:
        """Return a section of a workspace's options, or the default if it was not set [workspace/data-retention]."""
        return self.access.named_workspace(call).options.get(call.parts[3], _RETENTION)

    async def _set_options(self, call: Call) -> Any:
        """Merge into a section; data retention is only requested [workspace/get-data-retention]."""
        row, section = self.access.named_workspace(call, EDIT), call.parts[3]
        pending = {"pendingUpdate": True} if section == "data-retention" else {}
        row.options[section] = _merged(
            row.options.get(section, _RETENTION), {**members_of(call.body), **pending}
        )
        return {"success": True}

    def _check_slug(self, slug: str, own: WorkspaceRow | None) -> None:
        problem = None
        if not slug:
            problem = "Slug is required"
        elif len(slug) < 5:
            problem = "Slug must be at least 5 characters long"
        elif re.search(r"[^a-z0-9-]", slug):
            problem = "Slug must only contain lowercase letters, numbers or hyphen"
        elif not slug[0].isalpha():
            problem = "Slug can't start with a digit or hyphen"
        elif any(row.slug == slug and row is not own for row in self.state.workspaces.values()):
            problem = f'Slug "{slug}" is already taken'
        if problem:
            raise meant(self.state.generation, 400, f"Invalid workspace slug: {problem}")


def workspace_line(state: State, row: WorkspaceRow) -> dict[str, Any]:
    """Return a workspace as lists show it."""
    return {
        "id": row.id, "createdAt": row.created_at, "updatedAt": row.updated_at, "name": row.name,
        "slug": row.slug, "featuresEnabled": list(row.features), **({"deleted": False} if state.generation.is_2024 else {}),
    }  # fmt: skip


def _check_name(generation: Generation, name: str) -> None:
    problem = None
    if not name.strip():
        problem = "Workspace name cannot be empty"
    elif len(name.strip()) > 100:
        problem = "Workspace name cannot exceed 100 characters"
    elif not _SAFE_NAME.fullmatch(name.strip()):
        problem = (
            "Workspace name can only contain letters, numbers, spaces, hyphens, underscores, and apostrophes"
        )
    if problem:
        raise meant(generation, 400, f"Invalid workspace name: {problem}")


def _merged(stored: Any, patch: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(members_of(stored))
    for name, value in patch.items():
        result[name] = _merged(result.get(name), value) if isinstance(value, Mapping) else value
    return result


def _whole_number(text: str | None) -> int:
    match = re.match(r"\s*(\d+)", text or "")
    return int(match[1]) if match else 0
