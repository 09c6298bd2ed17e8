"""Workspaces, their options, and when something in them last changed."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from jitsu_backup.sandbox.replies import fault, invalid_request, thrown
from jitsu_backup.sandbox.state import State, WorkspaceRow, server_id
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
    """The workspaces of a console."""

    def __init__(self, state: State) -> None:
        self.state = state

    def line(self, row: WorkspaceRow) -> dict[str, Any]:
        """Give a workspace as lists show it."""
        return {
            "id": row.id, "createdAt": row.created_at, "updatedAt": row.updated_at, "name": row.name,
            "slug": row.slug, "featuresEnabled": [], **({"deleted": False} if self.state.old else {}),
        }  # fmt: skip

    def whole(self, row: WorkspaceRow) -> dict[str, Any]:
        """Give a workspace as it is shown alone."""
        newer: dict[str, Any] = {} if self.state.old else {"oidcLoginGroups": []}
        return {**self.line(row), "deleted": False, **newer}

    def listed(self, user_id: str, query: Mapping[str, str]) -> Any:
        """List what a user is a member of: whole, or with `page` a page of it [workspace/list-paged]."""
        mine = [row for row in self.state.workspaces.values() if user_id in row.access]
        wanted = query.get("search", "").lower()
        found = [row for row in mine if any(wanted in text.lower() for text in (row.id, row.name, row.slug))]
        limit = _whole_number(query.get("limit")) or 1_000_000
        page = _whole_number(query.get("page"))
        lines = [self.line(row) for row in found[page * limit :][:limit]]
        if "page" not in query or self.state.old:
            return lines
        more = (page + 1) * limit < len(mine)
        return {
            "workspaces": lines,
            "pagination": {"page": page, "limit": limit, "totalCount": len(mine), "hasMore": more},
        }

    def create(self, body: Any, owner: str | None) -> dict[str, Any]:
        """Make a workspace; without an owner it is made, and answered with a fault [admin/workspace-create]."""
        body = body if isinstance(body, Mapping) else {}
        name, slug = str(body.get("name") or ""), str(body.get("slug") or "")
        if not self.state.old:
            _check_name(name)
            self._check_slug(slug, None)
        row = self.state.add_workspace(
            server_id(), name or slug, slug or server_id(), {owner: "owner"} if owner else {}
        )
        if owner is None:
            raise fault(
                "\nInvalid `prisma.workspaceAccess.create()` invocation:\n\n\nForeign key constraint violated"
                " on the constraint: `WorkspaceAccess_userId_fkey`"
            )
        return {"id": row.id}

    def update(self, row: WorkspaceRow, body: Any, target: str) -> dict[str, Any]:
        """Set name and slug; both must be given [workspace/put-slug, workspace/put-slug-taken]."""
        body = body if isinstance(body, Mapping) else {}
        parsed, issues = parse(_UPDATE, body, dates=False)
        if issues:
            raise invalid_request("body", f"PUT {target}", issues, body=body)
        if not self.state.old:
            _check_name(parsed["name"])
            self._check_slug(parsed["slug"], row)
        row.name, row.slug, row.updated_at = parsed["name"], parsed["slug"], self.state.now()
        return {**self.line(row), "deleted": False}

    def options(self, row: WorkspaceRow, section: str) -> Any:
        """Give a section of a workspace's options, the default where none was set [workspace/data-retention]."""
        return row.options.get(section, _RETENTION)

    def set_options(self, row: WorkspaceRow, section: str, body: Any) -> dict[str, bool]:
        """Merge into a section; data retention is only asked for [workspace/get-data-retention]."""
        pending = {"pendingUpdate": True} if section == "data-retention" else {}
        row.options[section] = _merged(self.options(row, section), {**_mapping(body), **pending})
        return {"success": True}

    def last_modified(self, workspace_id: str) -> str:
        """Give when an object or link of a workspace, or itself, last changed, deleted ones too.

        A slug finds nothing [listen/by-slug]; profile builders and sync states do not count.
        """
        if workspace_id not in self.state.workspaces:
            raise fault("Can't get last modification date")
        return latest(
            [self.state.workspaces[workspace_id]],
            *(
                (row for row in rows.values() if row.workspace_id == workspace_id)
                for rows in (self.state.objects, self.state.links)
            ),
        )

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
            raise thrown(f"Invalid workspace slug: {problem}", status=400)


def latest(*groups: Iterable[Any]) -> str:
    """Give the newest `updated_at` of some rows."""
    return max((row.updated_at for rows in groups for row in rows), default="2024-01-01T00:00:00.000Z")


def _check_name(name: str) -> None:
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
        raise thrown(f"Invalid workspace name: {problem}", status=400)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _merged(stored: Any, patch: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(_mapping(stored))
    for name, value in patch.items():
        result[name] = _merged(result.get(name), value) if isinstance(value, Mapping) else value
    return result


def _whole_number(text: str | None) -> int:
    match = re.match(r"\s*(\d+)", text or "")
    return int(match[1]) if match else 0
