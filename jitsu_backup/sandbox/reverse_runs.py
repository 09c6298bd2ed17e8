"""Reverse syncs as the runner gets them: options, model, warehouse and destination together, unmasked."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from jitsu_backup.sandbox.delivery_rules import conflict
from jitsu_backup.sandbox.model_rules import is_readable
from jitsu_backup.sandbox.refusals import Refusal, fault
from jitsu_backup.sandbox.state import REVERSE_ETL, REVERSE_SYNC, LinkRow, ObjectRow, State, latest
from jitsu_backup.sandbox.validation import parse

OPTIONS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "version": {"const": 2, "default": 2},
        "name": {"type": "string", "trim": True, "minLength": 1, "maxLength": 200},
        "stream": {"type": "string", "minLength": 1},
        "mode": {"enum": ["upsert", "mirror"]},
        "mapping": {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}},
        "streamOptions": {"type": "object", "additionalProperties": {}, "default": {}},
        "schedule": {"type": "string"},
        "timezone": {"type": "string"},
        "checkpointEvery": {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 50_000},
        "errorPolicy": {"const": "fail", "default": "fail"},
        "disabled": {"type": "boolean", "default": False},
    },
    "required": ["stream", "mode", "mapping"],
    "additionalProperties": False,
    "strict": True,
}
"""The options of a reverse sync; an unknown one is rejected [reverse-sync/create-unknown-option]."""

_MODEL_FIELDS = ("warehouseId", "query", "primaryKey", "cursor", "deleteColumn", "pageSize", "description")
_NOT_REVISED = ("schedule", "timezone", "checkpointEvery", "disabled")


def parsed_options(row: LinkRow, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the stored options of a reverse sync. Raise Refusal if they do not parse [reverse-sync/disable-unreadable]."""
    options, issues = parse(OPTIONS, row.data, dates=False)
    if issues:
        raise fault([{**issue, "path": [*path, *issue["path"]]} for issue in issues])
    found: dict[str, Any] = options
    return found


def run_configuration(state: State, row: LinkRow) -> dict[str, Any] | None:
    """Return a reverse sync as the runner gets it, or None if it is disabled or has lost its model or destination. Raise Refusal."""
    workspace = state.workspaces[row.workspace_id]
    if REVERSE_ETL not in workspace.features:
        return None
    options = parsed_options(row)
    source, target = (state.objects[end] for end in (row.from_id, row.to_id))
    if options["disabled"] or source.deleted or target.deleted:
        return None
    if (source.type, target.type) != ("model", "destination"):
        raise conflict("Invalid reverse sync references")
    model = {name: source.config[name] for name in _MODEL_FIELDS if name in source.config}
    warehouse = state.live_typed(row.workspace_id, "destination", model["warehouseId"])
    if warehouse is None or not is_readable(warehouse.config):
        raise conflict("Reverse warehouse is missing or unsupported")
    content = {"model": model, "warehouse": _whole(warehouse), "destination": _whole(target)}
    timing = {"schedule": options["schedule"]} if "schedule" in options else {}
    return {
        "version": 1, "kind": "reverse", "id": row.id, "workspaceId": row.workspace_id, "fromId": source.id,
        "toId": target.id, "configRevision": _revision(content, options),
        "updatedAt": latest([row, source, target, warehouse, workspace]),
        **timing, "timezone": options.get("timezone", "Etc/UTC"), **content, "options": options,
    }  # fmt: skip


def exported(state: State) -> Iterator[dict[str, Any]]:
    """Yield the reverse syncs that may run, of all workspaces [admin/export-reverse-syncs]. Raise Refusal at a broken one."""
    for row in sorted(state.links.values(), key=lambda link: link.id):
        if row.type == REVERSE_SYNC and not row.deleted:
            configuration = run_configuration(state, row)
            if configuration is not None:
                yield configuration


def export_text(state: State) -> bytes:
    """Return the export as a stream, which a broken reverse sync cuts off."""
    lines = []
    try:
        for configuration in exported(state):
            lines.append(orjson.dumps(configuration))  # noqa: PERF401  what was written before the cut counts
    except Refusal:
        return b"[" + b",".join(lines)
    return b"[" + b",".join(lines) + b"]"


def _whole(row: ObjectRow) -> dict[str, Any]:
    """Return the stored config, including its type, in the key order of PostgreSQL: short keys first."""
    config = {**row.config, "type": row.type}
    return {name: config[name] for name in sorted(config, key=lambda name: (len(name), name))}


def _revision(content: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    delivery = {name: value for name, value in options.items() if name not in _NOT_REVISED}
    return hashlib.sha256(orjson.dumps({**content, "options": delivery})).hexdigest()
