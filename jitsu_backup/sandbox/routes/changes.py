"""Changes: waiting for a change of a workspace, and the audit log."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from starlette.responses import Response

from jitsu_backup.sandbox import validation
from jitsu_backup.sandbox.access import Access
from jitsu_backup.sandbox.audit_log import LONGEST_PAGE, PAGE, Audit
from jitsu_backup.sandbox.calls import Call, PathHandlers
from jitsu_backup.sandbox.dates import as_http_date, parse_date
from jitsu_backup.sandbox.generation import Generation
from jitsu_backup.sandbox.http_messages import as_json, read_number, target_of
from jitsu_backup.sandbox.refusals import fault, invalid_request, meant
from jitsu_backup.sandbox.state import State, as_iso, latest


class Changes:
    """Routes that answer what changed, when, and who changed it."""

    def __init__(
        self, state: State, audit: Audit, access: Access, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        """Answer about changes of `state`; `sleep`, which takes seconds, waits for one."""
        self.state, self.audit, self.access, self._sleep = state, audit, access, sleep

    def routes(self) -> list[PathHandlers]:
        """Return the routes of changes."""
        return [
            PathHandlers("api/audit-log", since=Generation.JULY_2026, GET=self._audit_log),
            PathHandlers("api/*/listen", since=Generation.JULY_2026, GET=self._listen),
        ]

    async def _listen(self, call: Call) -> Any:
        """Answer whether a workspace changed since a time, including that time itself [listen/same-instant]."""
        self.access.admit(call)
        query = call.query.get("ifModifiedSince")
        since = parse_date(query if query is not None else call.http.headers.get("if-modified-since", ""))
        issues: list[dict[str, Any]] = []
        if query is not None and since is None:
            issues.append({"code": "invalid_date", "path": ["ifModifiedSince"], "message": "Invalid date"})
        wait = read_number(call.query.get("maxWaitMs", "10000"), "maxWaitMs", issues)
        if issues:
            raise invalid_request("query", f"GET {target_of(call.http)}", issues)
        if query is None and "if-modified-since" not in call.http.headers:
            raise meant(self.state.generation, 400, "Missing If-Modified-Since header")
        workspace_id = call.parts[1]
        row = self.state.find_workspace(workspace_id)
        if self.access.role(call, row) is None:
            raise self.access.no_access(call, workspace_id)
        if since is None:
            raise fault("Invalid time value")
        if datetime.fromisoformat(self._last_modified(workspace_id)) < since and wait > 0:
            await self._sleep(wait / 1000)
        changed = self._last_modified(workspace_id)
        headers = {"last-modified": as_http_date(changed)}
        if datetime.fromisoformat(changed) < since:
            return Response(b"", 304, {**headers, "content-type": "application/json; charset=utf-8"})
        answer = {
            "modified": True,
            "lastModified": changed,
            "ifModifiedSince": as_iso(since.timestamp()),
            "now": as_iso(self.state.clock()),
        }
        return as_json(call.http, 200, answer, headers)

    def _last_modified(self, workspace_id: str) -> str:
        """Return when a workspace, or an object or link in it, last changed, including deleted ones.

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

    async def _audit_log(self, call: Call) -> Any:
        self.access.admit(call)
        issues: list[dict[str, Any]] = []
        limit = read_number(call.query.get("limit", str(PAGE)), "limit", issues)
        if not issues:
            bounds = {"type": "integer", "minimum": 1, "maximum": LONGEST_PAGE}
            _, found = validation.parse(bounds, limit)
            issues += [{**issue, "path": ["limit"]} for issue in found]
        if issues:
            raise invalid_request("query", f"GET {target_of(call.http)}", issues)
        if "workspaceId" in call.query:
            workspace_id = self.access.owned(call, call.query["workspaceId"])
        else:
            self.access.only_operators(call)
            workspace_id = None
        return self.audit.page(workspace_id, call.query, int(limit))
