"""Reverse syncs, which send the rows of a model to a destination."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from jitsu_backup.sandbox.access import DELETE, EDIT, Access
from jitsu_backup.sandbox.audit_log import Audit
from jitsu_backup.sandbox.calls import Call, PathHandlers
from jitsu_backup.sandbox.delivery_rules import check_delivery, conflict
from jitsu_backup.sandbox.generation import Generation
from jitsu_backup.sandbox.http_messages import as_json, target_of
from jitsu_backup.sandbox.model_rules import require_feature
from jitsu_backup.sandbox.refusals import NO_STORE, Refusal, invalid_request, never_stored
from jitsu_backup.sandbox.reverse_runs import OPTIONS, parsed_options, run_configuration
from jitsu_backup.sandbox.schedules import schedule_problem
from jitsu_backup.sandbox.state import REVERSE_SYNC, AttemptRow, LinkRow, State
from jitsu_backup.sandbox.validation import invalid_type, parse

_ACTIVE = ("RUNNING", "WAITING", "PENDING")
_AUDIENCES = ("_REVERSE_ETL_GOOGLE_AUDIENCE_", "_REVERSE_ETL_META_AUDIENCE_")
_SETTINGS = ("name", "schedule", "timezone", "disabled")
_NOT_DELIVERY = (*_SETTINGS, "checkpointEvery")
_TRIGGERS = ("manual", "scheduled", "recovery")
_SETTINGS_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        name: {key: value for key, value in OPTIONS["properties"][name].items() if key != "default"}
        for name in _SETTINGS
    },
    "additionalProperties": False,
    "strict": True,
}
_END = {"type": "string", "minLength": 1, "maxLength": 128}
_SYNC_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"fromId": _END, "toId": _END, "data": OPTIONS},
    "required": ["fromId", "toId", "data"],
    "additionalProperties": False,
    "strict": True,
}
_CREATE_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"requestId": {"type": "string", "format": "uuid"}, "sync": _SYNC_SCHEMA},
    "required": ["requestId", "sync"],
    "additionalProperties": False,
    "strict": True,
}
_UPDATE_SCHEMA: Mapping[str, Any] = {"anyOf": [_SYNC_SCHEMA, _SETTINGS_SCHEMA]}
_ACTION_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "discriminator": "action",
    "options": {
        "run": {"properties": {"action": {"const": "run"}}, "strict": True},
        "cancel": {
            "properties": {"action": {"const": "cancel"}, "taskId": {"type": "string"}},
            "required": ["taskId"],
            "strict": True,
        },
    },
}


class ReverseSyncs:
    """Routes of the reverse syncs of all workspaces, which are links of a type of their own."""

    def __init__(self, state: State, audit: Audit, access: Access) -> None:
        """Keep the reverse syncs in `state`, and note every change in `audit`."""
        self.state, self.audit, self.access = state, audit, access

    def routes(self) -> list[PathHandlers]:
        """Return the routes of reverse syncs; none reads a single one [reverse-sync/get-one]."""
        since = Generation.NEWEST
        return [
            PathHandlers("api/*/reverse-etl/syncs", since=since, GET=self._list, POST=self._create),
            PathHandlers(
                "api/*/reverse-etl/sync", since=since,
                PUT=self._update, DELETE=self._delete, POST=self._run,
            ),
            PathHandlers("api/*/reverse-etl/tasks", since=since, GET=self._attempts),
        ]  # fmt: skip

    async def _list(self, call: Call) -> Any:
        """List the reverse syncs of a workspace, newest first. One that does not parse makes the list fail."""
        workspace_id = self.access.workspace_of(call)
        with never_stored():
            lines = [self._line(row) for row in reversed(self.state.reverse_syncs(workspace_id))]
        return as_json(call.http, 200, lines, NO_STORE)

    async def _create(self, call: Call) -> Any:
        self.access.admit(call)
        body = _read(call, _CREATE_SCHEMA)
        workspace_id = self.access.permitted(call, EDIT)
        with never_stored():
            sync_id = self.create(workspace_id, body["requestId"], body["sync"])
        self.audit.note(workspace_id, "create", "link", sync_id, None, {})
        return as_json(call.http, 200, {"id": sync_id}, NO_STORE)

    def create(self, workspace_id: str, request_id: str, sync: Mapping[str, Any]) -> str:
        """Create a reverse sync, or find the one that the same request created. Return its id. Raise Refusal.

        [reverse-sync/create, reverse-sync/create-same-request]
        """
        require_feature(self.state, workspace_id)
        sync_id = reverse_sync_id(workspace_id, request_id)
        found = self.state.links.get(sync_id)
        if found is not None:
            if found.deleted or _content(_as_sync(found)) != _content(sync):
                raise conflict(
                    "This save already created a sync with different settings; reload the saved sync"
                )
            return sync_id
        self._check(workspace_id, sync)
        self.state.add_link(workspace_id, REVERSE_SYNC, sync["fromId"], sync["toId"], sync["data"], sync_id)
        return sync_id

    async def _update(self, call: Call) -> Any:
        """Replace a whole reverse sync, or merge some of its settings [reverse-sync/put-full, reverse-sync/put-settings]."""
        self.access.admit(call)
        sync_id, body = _sync_id(call), _read(call, _UPDATE_SCHEMA)
        workspace_id = self.access.permitted(call, EDIT)
        row = self._found(workspace_id, sync_id)
        after = self._changed(row, body)
        row.from_id, row.to_id, row.data = after["fromId"], after["toId"], after["data"]
        row.updated_at = self.state.now()
        self.audit.note(workspace_id, "update", "link", sync_id, None, body)
        return {"id": sync_id}

    def _changed(self, row: LinkRow, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a reverse sync with a change applied. Raise Refusal, in the order of the console's checks."""
        before = {**_as_sync(row), "data": parsed_options(row)}
        after = body if "data" in body else {**before, "data": {**before["data"], **body}}
        delivers_otherwise = _delivery(after) != _delivery(before)
        if body != {"disabled": True}:  # pausing stays open [reverse-sync/disable-feature-off]
            require_feature(self.state, row.workspace_id)
            if delivers_otherwise:
                self._check(row.workspace_id, after, row.id)
            _check_schedule(after["data"])
        if delivers_otherwise and self._has_state(row.id):
            raise conflict(
                "Delivery settings are locked to preserve saved state. Scheduling and pause settings remain"
                " editable. Deleting a mirror sync does not release its audience ownership."
            )
        return after

    async def _delete(self, call: Call) -> Any:
        """Delete a reverse sync softly, once it is disabled and idle [reverse-sync/delete-enabled]."""
        self.access.admit(call)
        sync_id = _sync_id(call)
        workspace_id = self.access.permitted(call, DELETE)
        row = self._found(workspace_id, sync_id)
        if not parsed_options(row)["disabled"]:
            raise conflict("Pause this sync before deleting it")
        if self._is_active(sync_id):
            raise conflict("Cancel active or waiting attempts before deleting this sync")
        row.deleted, row.updated_at = True, self.state.now()
        self.audit.note(workspace_id, "delete", "link", sync_id)
        return {"id": sync_id}

    async def _run(self, call: Call) -> Any:
        """Reject requests to run or cancel, because the sandbox has no controller [reverse-sync/run-without-controller]."""
        self.access.admit(call)
        sync_id, body = _sync_id(call), _read(call, _ACTION_SCHEMA)
        workspace_id = self.access.permitted(call, EDIT)
        attempts = [row for row in self.state.attempts if row.sync_id == sync_id]
        if body["action"] == "cancel":
            if not any(row.id == body["taskId"] and row.status in _ACTIVE for row in attempts):
                raise conflict("No active attempt to cancel")
        else:
            self._check_runs(workspace_id, sync_id)
            if any(row.status == "RUNNING" for row in attempts):
                raise conflict("This sync is still extracting or submitting uploads")
        raise Refusal(503, {"message": "Sync controller is not configured"})

    def _check_runs(self, workspace_id: str, sync_id: str) -> None:
        found = [row for row in self.state.reverse_syncs(workspace_id) if row.id == sync_id]
        if not found or run_configuration(self.state, found[0]) is None:
            raise conflict("Enable the sync before running it")

    async def _attempts(self, call: Call) -> Any:
        """List the attempts of a workspace, newest first; their logs are not kept here."""
        workspace_id = self.access.workspace_of(call)
        sync_id, task_id = call.query.get("syncId"), call.query.get("taskId")
        rows = [
            row for row in self.state.attempts
            if self.state.links[row.sync_id].workspace_id == workspace_id
            and sync_id in (None, row.sync_id) and task_id in (None, row.id)
        ]  # fmt: skip
        rows.sort(key=lambda row: row.started_at, reverse=True)
        return as_json(call.http, 200, {"tasks": [_task(row) for row in rows], "logs": []}, NO_STORE)

    def _line(self, row: LinkRow) -> dict[str, Any]:
        options = parsed_options(row, ("options",))
        source, target = (self.state.objects[end] for end in (row.from_id, row.to_id))
        attempts = [attempt for attempt in self.state.attempts if attempt.sync_id == row.id]
        latest = max(attempts, key=lambda attempt: attempt.started_at, default=None)
        return {
            "id": row.id,
            "fromId": row.from_id,
            "toId": row.to_id,
            "modelName": source.config.get("name") or source.id,
            "destinationName": target.config.get("name") or target.id,
            "options": options,
            "settingsLocked": self._has_state(row.id),
            "latestTask": _task(latest) if latest else None,
            "phase": self.state.phases.get(row.id),
        }

    def _found(self, workspace_id: str, sync_id: str) -> LinkRow:
        row = next((row for row in self.state.reverse_syncs(workspace_id) if row.id == sync_id), None)
        if row is None:
            raise Refusal(404, {"message": "Reverse sync not found in this workspace"})
        return row

    def _check(self, workspace_id: str, sync: Mapping[str, Any], sync_id: str | None = None) -> None:
        """Raise Refusal if the ends of a reverse sync, its settings or its schedule do not fit.

        Neither the warehouse nor the destination is contacted [reverse-sync/create-google-not-authorized].
        """
        require_feature(self.state, workspace_id)
        model = self.state.live_typed(workspace_id, "model", sync["fromId"])
        destination = self.state.live_typed(workspace_id, "destination", sync["toId"])
        if model is None or destination is None:
            raise conflict("Choose a model and destination in this workspace")
        others = [row for row in self.state.reverse_syncs(workspace_id) if row.id != sync_id]
        is_webhook = destination.config.get("destinationType") == "webhook"
        if is_webhook and any(row.to_id == destination.id for row in others):
            raise conflict(
                "This Webhook destination already serves another sync. Create a separate destination for this sync:"
                " a destination used by a sync cannot be edited, so sharing one would lock it for both."
            )
        check_delivery(sync["data"], model.config, destination.config)
        _check_schedule(sync["data"])

    def _has_state(self, sync_id: str) -> bool:
        """Return whether a reverse sync has run, or is about to [reverse-sync/list-locked]."""
        kept = self.state.sync_states.get(sync_id, {})
        return (
            sync_id in self.state.phases
            or any(name in kept for name in _AUDIENCES)
            or self._is_active(sync_id)
        )

    def _is_active(self, sync_id: str) -> bool:
        return any(row.sync_id == sync_id and row.status in _ACTIVE for row in self.state.attempts)


def reverse_sync_id(workspace_id: str, request_id: str) -> str:
    """Return the id of the reverse sync that a request creates [reverse-sync/create]."""
    text = orjson.dumps([workspace_id, request_id])
    return f"retl-{hashlib.sha256(text).hexdigest()[:32]}"


def _read(call: Call, schema: Mapping[str, Any]) -> Any:
    """Return the body of a call, validated by the route's own schema. Raise Refusal [reverse-sync/create-unknown-option]."""
    parsed, issues = parse(schema, call.body, dates=False)
    if issues:
        raise invalid_request("body", f"{call.method} {target_of(call.http)}", issues, body=call.body)
    return parsed


def _sync_id(call: Call) -> str:
    if "syncId" not in call.query:
        issue = invalid_type("string", "undefined", ["syncId"])
        raise invalid_request("query", f"{call.method} {target_of(call.http)}", [issue])
    return call.query["syncId"]


def _check_schedule(options: Mapping[str, Any]) -> None:
    problem = schedule_problem(options)
    if problem is not None:
        raise conflict(problem)


def _as_sync(row: LinkRow) -> dict[str, Any]:
    return {"fromId": row.from_id, "toId": row.to_id, "data": row.data}


def _delivery(sync: Mapping[str, Any]) -> bytes:
    """Return what a reverse sync delivers, which is locked once it has run [reverse-sync/put-full-locked]."""
    data = {name: value for name, value in sync["data"].items() if name not in _NOT_DELIVERY}
    return _content({**sync, "data": data})


def _content(sync: Mapping[str, Any]) -> bytes:
    """Return the settings of a reverse sync in a form that the order of keys does not change."""
    return orjson.dumps(sync, option=orjson.OPT_SORT_KEYS)


def _task(row: AttemptRow) -> dict[str, Any]:
    return {
        "task_id": row.id, "sync_id": row.sync_id, "status": row.status, "started_at": row.started_at,
        "updated_at": row.updated_at, "description": None, "error": None, "latestLogLevel": None,
        "canRefresh": False, "checksStopped": False,
        "trigger": row.trigger if row.trigger in _TRIGGERS else None, "stats": None,
    }  # fmt: skip
