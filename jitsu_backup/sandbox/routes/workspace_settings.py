"""Settings of a workspace on the newest console: entitlements, retention of backups, exports of live events."""

import re
from collections.abc import Mapping
from typing import Any

from jitsu_backup.model import MASK
from jitsu_backup.sandbox.access import EDIT, Access
from jitsu_backup.sandbox.calls import Call, PathHandlers
from jitsu_backup.sandbox.generation import Generation
from jitsu_backup.sandbox.http_messages import target_of
from jitsu_backup.sandbox.plan_gates import backup_cap, entitlements
from jitsu_backup.sandbox.refusals import Refusal, fault, invalid_request
from jitsu_backup.sandbox.state import State, WorkspaceRow
from jitsu_backup.sandbox.validation import parse

_RETENTION_SECTION, _EXPORTS_SECTION = "data-retention", "observability-exports"
_PRESET_DAYS = (0, 7, 30, 90)
_DEFAULT_DAYS = 90
_RETENTION = {
    "type": "object",
    "properties": {
        "retentionDays": {"type": "integer", "minimum": 0},
        "acknowledgeDataLoss": {"type": "boolean"},
    },
    "required": ["retentionDays"],
    "additionalProperties": False,
}
_HEADER = {
    "type": "object",
    "properties": {"name": {"type": "string", "trim": True, "minLength": 1}, "value": {"type": "string"}},
    "required": ["name", "value"],
    "additionalProperties": False,
}
_EXPORTS = {
    "type": "object",
    "properties": {
        "enabled": {"type": "boolean", "default": False},
        "endpoint": {"type": "string", "trim": True, "default": ""},
        "headers": {"type": "array", "items": _HEADER, "default": []},
    },
    "additionalProperties": False,
}
_NOTHING_EXPORTED = {"enabled": False, "endpoint": "", "headers": []}


class WorkspaceSettings:
    """Routes of the workspace settings that the newest console added."""

    def __init__(self, state: State, access: Access) -> None:
        """Keep the settings in `state`."""
        self.state, self.access = state, access

    def routes(self) -> list[PathHandlers]:
        """Return the routes of those settings."""
        since = Generation.NEWEST
        return [
            PathHandlers("api/*/entitlements", since=since, GET=self._entitlements),
            PathHandlers(
                "api/workspace/*/backup-retention", since=since,
                GET=self._get_retention, PUT=self._set_retention,
            ),
            PathHandlers(
                "api/workspace/*/observability-exports", since=since,
                GET=self._get_exports, PUT=self._set_exports,
            ),
        ]  # fmt: skip

    async def _entitlements(self, call: Call) -> Any:
        """Return what the plan of a workspace allows [gate/entitlements]."""
        workspace_id = self.access.workspace_of(call)
        if workspace_id not in self.state.workspaces:
            raise fault(f"Workspace {workspace_id} not found")  # named by its slug
        return entitlements(self.state, workspace_id)

    async def _get_retention(self, call: Call) -> Any:
        self.access.admit(call)
        return self._retention(self._workspace(call))

    async def _set_retention(self, call: Call) -> Any:
        """Set for how many days events are backed up, as far as the plan allows."""
        self.access.admit(call)
        change = self._read(call, _RETENTION)
        row = self._workspace(call, EDIT)
        if self._retention(row)["locked"]:
            message = "Backups are turned off for this workspace by Jitsu. Contact support to change that."
            raise Refusal(403, {"message": message, "code": "locked"})
        self._check_days(row, change)
        stored = row.options.get(_RETENTION_SECTION, {})
        row.options[_RETENTION_SECTION] = {**stored, "backupRetentionHours": change["retentionDays"] * 24}
        return self._retention(row)

    def _check_days(self, row: WorkspaceRow, change: Mapping[str, Any]) -> None:
        days = change["retentionDays"]
        if days not in _PRESET_DAYS:
            presets = ", ".join(map(str, _PRESET_DAYS))
            message = f"Backup retention must be one of {presets} days"
            raise Refusal(400, {"message": message, "code": "not_preset"})
        if days == 0 and not change.get("acknowledgeDataLoss"):
            message = "Turning backups off requires acknowledging that events cannot be recovered afterwards."
            raise Refusal(400, {"message": message, "code": "ack_required"})
        cap = backup_cap(self.state, row.id, days)
        if days > cap:
            message = (
                f"Your plan includes up to {cap} days of backups. Upgrade to keep backups for {days} days."
            )
            raise Refusal(403, {"message": message, "code": "plan_cap"})

    def _retention(self, row: WorkspaceRow) -> dict[str, Any]:
        explicit = row.options.get(_RETENTION_SECTION, {}).get("backupRetentionHours")
        locked = explicit is None and "nobackup" in row.features
        if explicit is not None:
            hours, source = explicit, "explicit"
        elif locked:
            hours, source = 0, "nobackup"
        else:
            days = _DEFAULT_DAYS if self.state.billing_down else backup_cap(self.state, row.id, _DEFAULT_DAYS)
            hours, source = min(days, _DEFAULT_DAYS) * 24, "default"
        return {"retentionHours": hours, "source": source, "locked": locked}

    async def _get_exports(self, call: Call) -> Any:
        self.access.admit(call)
        return _masked(self._workspace(call).options.get(_EXPORTS_SECTION, _NOTHING_EXPORTED))

    async def _set_exports(self, call: Call) -> Any:
        """Set the destination of the export of live events. A masked value of a header keeps the stored one."""
        self.access.admit(call)
        settings = self._read(call, _EXPORTS)
        row = self._workspace(call, EDIT)
        stored = row.options.get(_EXPORTS_SECTION, _NOTHING_EXPORTED)
        known = {header["name"]: header["value"] for header in stored["headers"]}
        headers = [
            {**header, "value": known.get(header["name"], "") if header["value"] == MASK else header["value"]}
            for header in settings["headers"]
        ]
        row.options[_EXPORTS_SECTION] = {**settings, "headers": headers}
        return _masked(row.options[_EXPORTS_SECTION])

    def _read(self, call: Call, schema: Mapping[str, Any]) -> Any:
        parsed, issues = parse(schema, call.body, dates=False)
        if not issues and schema is _EXPORTS:
            issues = _export_issues(parsed)
        if issues:
            raise invalid_request("body", f"PUT {target_of(call.http)}", issues, body=call.body)
        return parsed

    def _workspace(self, call: Call, permission: str | None = None) -> WorkspaceRow:
        row = self.state.find_workspace(call.parts[2])
        if row is None:
            raise fault(f"Workspace {call.parts[2]} not found")
        self.access.check_role(call, row, row.id, permission)
        return row


def _export_issues(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    issues: list[dict[str, Any]] = []
    endpoint = settings["endpoint"]
    if settings["enabled"] or endpoint:
        problem = None if re.match(r"[a-z][a-z0-9+.-]*:.", endpoint, re.IGNORECASE) else "Invalid URL"
        if problem is None and not re.match(r"https?:", endpoint, re.IGNORECASE):
            problem = "Endpoint must be an http(s) URL"
        if problem:
            issues.append({"code": "custom", "path": ["endpoint"], "message": problem})
    seen = set()
    for number, header in enumerate(settings["headers"]):
        if header["name"].lower() in seen:
            message = f"Duplicate header name: {header['name']}"
            issues.append({"code": "custom", "path": ["headers", number, "name"], "message": message})
        seen.add(header["name"].lower())
    return issues


def _masked(settings: Mapping[str, Any]) -> dict[str, Any]:
    headers = [{**header, "value": MASK if header["value"] else ""} for header in settings["headers"]]
    return {**settings, "headers": headers}
