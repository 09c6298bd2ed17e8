"""The columns and the first rows of models, which only editors may see. Models themselves are objects."""

from typing import Any

from jitsu_backup.sandbox.access import EDIT, Access
from jitsu_backup.sandbox.calls import Call, PathHandlers
from jitsu_backup.sandbox.generation import Generation
from jitsu_backup.sandbox.http_messages import as_json, target_of
from jitsu_backup.sandbox.model_rules import columns_of_model, preview
from jitsu_backup.sandbox.refusals import NO_STORE, invalid_request, never_stored
from jitsu_backup.sandbox.state import State
from jitsu_backup.sandbox.validation import MISSING, parse

_MODEL_ID = {"type": "string", "minLength": 1}
_PREVIEW = {
    "type": "object",
    "properties": {
        "warehouseId": {"type": "string", "minLength": 1},
        "query": {"type": "string", "trim": True, "minLength": 1, "maxLength": 100_000},
    },
    "required": ["warehouseId", "query"],
    "additionalProperties": False,
}


class Models:
    """Routes that query the warehouse of a model."""

    def __init__(self, state: State, access: Access) -> None:
        """Query the warehouses in `state`."""
        self.state, self.access = state, access

    def routes(self) -> list[PathHandlers]:
        """Return the routes of models."""
        since = Generation.NEWEST
        return [
            PathHandlers("api/*/models/columns", since=since, GET=self._columns),
            PathHandlers("api/*/models/preview", since=since, POST=self._preview),
        ]

    async def _columns(self, call: Call) -> Any:
        """Return the columns of a saved model [model/columns]."""
        self.access.admit(call)
        model_id, issues = parse(_MODEL_ID, call.query.get("modelId", MISSING), dates=False)
        if issues:
            issues = [{**issue, "path": ["modelId"]} for issue in issues]
            raise invalid_request("query", f"GET {target_of(call.http)}", issues)
        workspace_id = self.access.permitted(call, EDIT)
        with never_stored():
            columns = columns_of_model(self.state, workspace_id, model_id)
        answer = {"columns": [{"name": name, "type": kind} for name, kind in columns]}
        return as_json(call.http, 200, answer, NO_STORE)

    async def _preview(self, call: Call) -> Any:
        """Return the first rows of a query [model/preview]."""
        self.access.admit(call)
        body, issues = parse(_PREVIEW, call.body, dates=False)
        if issues:
            raise invalid_request("body", f"POST {target_of(call.http)}", issues, body=call.body)
        workspace_id = self.access.permitted(call, EDIT)
        return preview(self.state, workspace_id, body["warehouseId"], body["query"])
