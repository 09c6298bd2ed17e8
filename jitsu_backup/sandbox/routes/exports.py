"""Exports for the operator's service token: unmasked credentials and key hashes of all workspaces."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson
from starlette.responses import Response

from jitsu_backup.sandbox.access import Access
from jitsu_backup.sandbox.calls import Call, PathHandlers
from jitsu_backup.sandbox.dates import as_http_date, parse_date
from jitsu_backup.sandbox.object_hash import object_hash
from jitsu_backup.sandbox.refusals import fault
from jitsu_backup.sandbox.reverse_runs import export_text
from jitsu_backup.sandbox.state import (
    REVERSE_SYNC,
    BuilderRow,
    LinkRow,
    ObjectRow,
    State,
    WorkspaceRow,
    as_iso,
    latest,
)

BULKER = frozenset(
    {"clickhouse", "postgres", "bigquery", "snowflake", "redshift", "duckdb", "mysql", "s3", "gcs"}
)
"""The destinations that the bulker writes to, two of them recorded [admin/export-bulker-connections]."""

_HYBRID = frozenset({"mixpanel", "webhook"})
"""The destinations to which the bulker writes only batches; their connections have a `mode` too [schema/link]."""

_REFRESHED_SECONDS = 300


class Exports:
    """The route of the exports."""

    def __init__(self, state: State, access: Access) -> None:
        """Export from `state`."""
        self.state, self.access = state, access

    def routes(self) -> list[PathHandlers]:
        """Return the route of the exports."""
        return [PathHandlers("api/admin/export/*", GET=self._export)]

    async def _export(self, call: Call) -> Any:
        self.access.admit(call)
        self.access.only_operators(call)
        name = call.parts[3]
        changed = export_changed(self.state, name)
        headers = {"last-modified": as_http_date(changed), "content-type": "application/json"}
        since = parse_date(call.http.headers.get("if-modified-since", ""))
        if since is not None and since >= datetime.fromisoformat(changed).replace(microsecond=0):
            return Response(b"", 304, {"last-modified": headers["last-modified"]})
        if call.query.get("dateOnly"):
            content = orjson.dumps({"lastModified": changed})
        elif name == "reverse-syncs" and self.state.generation.is_newest:
            content = export_text(self.state)
        else:
            content = orjson.dumps(export(self.state, name))
        return Response(content, headers=headers)  # no ETag and no charset


def export(state: State, name: str) -> list[dict[str, Any]]:
    """Return an export by name [admin/export-streams, admin/export-rotor-connections]."""
    exports: Mapping[str, Callable[[State], Iterator[dict[str, Any]]]] = {
        "streams-with-destinations": _streams,
        "rotor-connections": _rotor,
        "bulker-connections": _bulker,
        "functions": _functions,
        "workspaces": _workspaces,
        "workspaces-with-profiles": _workspaces_with_profiles,
        "syncs": _syncs,
    }
    if name not in exports or (state.generation.is_2024 and name == "syncs"):
        raise fault(f"Export {name} not found")
    return list(exports[name](state))


def export_changed(state: State, name: str) -> str:
    """Return when the content of an export last changed; that of workspaces counts as changed every five minutes."""
    workspaces, builders = state.workspaces.values(), state.builders.values()
    if name == "workspaces":
        return _refreshed(state, latest(workspaces))
    if name == "workspaces-with-profiles":
        functions = [row for row in state.objects.values() if row.type == "function"]
        return _refreshed(state, latest(workspaces, builders, functions))
    return latest(workspaces, builders, state.objects.values(), state.links.values())


def _refreshed(state: State, changed: str) -> str:
    now = state.clock()
    return changed if changed >= as_iso(now - _REFRESHED_SECONDS) else as_iso(now - now % _REFRESHED_SECONDS)


def _live(state: State, type_name: str) -> list[ObjectRow]:
    """Return the objects of a type, without those of deleted workspaces."""
    rows = [
        row
        for row in state.objects.values()
        if row.type == type_name and not row.deleted and row.workspace_id in state.workspaces
    ]
    return sorted(rows, key=lambda row: row.id)


def _live_links(state: State, *link_types: str) -> list[tuple[LinkRow, ObjectRow, ObjectRow]]:
    """Return the enabled links of some types. Exports have no others."""
    found = []
    for link in sorted(state.links.values(), key=lambda row: row.id):
        source, target = (state.live_object(link.workspace_id, end) for end in (link.from_id, link.to_id))
        off = isinstance(link.data, Mapping) and link.data.get("disabled") and not state.generation.is_2024
        gone = link.deleted or link.workspace_id not in state.workspaces
        if link.type in link_types and not gone and not off and source and target:
            found.append((link, source, target))
    return found


def _debug(row: WorkspaceRow) -> dict[str, Any]:
    return {"__debug": {"workspace": {"id": row.id, "name": row.slug}}}


def _streams(state: State) -> Iterator[dict[str, Any]]:
    links = _live_links(state, "push")
    for row in _live(state, "stream"):
        public, private = _classic_keys(state, row)
        stream = {
            **row.config,
            **_domains(state, row),
            "id": row.id,
            "type": "stream",
            "workspaceId": row.workspace_id,
            "publicKeys": [*public, *(row.config.get("publicKeys") or ())],
            "privateKeys": [*private, *(row.config.get("privateKeys") or ())],
        }
        yield {
            **_debug(state.workspaces[row.workspace_id]),
            "id": row.id,
            "stream": stream,
            "backupEnabled": False,
            "destinations": [
                {
                    "id": target.id, "connectionId": link.id, "destinationType": target.config.get("destinationType"),
                    "name": target.config.get("name"), "credentials": _credentials(target), "options": link.data,
                }
                for link, source, target in links
                if source.id == row.id
            ],
        }  # fmt: skip


def _domains(state: State, stream: ObjectRow) -> dict[str, list[str]]:
    """Return the host names of a stream's workspace, then its own. An old console adds none."""
    if state.generation.is_2024:
        return {}
    owned = [str(row.config.get("name")) for row in state.live_objects(stream.workspace_id, "domain")]
    whole = [name for name in owned if "*" not in name]
    return {"domains": list(dict.fromkeys([*whole, *(stream.config.get("domains") or ())]))}


def _classic_keys(state: State, stream: ObjectRow) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    public: list[dict[str, str]] = []
    private: list[dict[str, str]] = []
    for row in state.live_objects(stream.workspace_id, "misc"):
        for line in str(row.config.get("value")).splitlines():
            stream_id, _, key = line.partition("=")
            if stream_id.strip() == stream.id and key:
                (private if key.startswith("s2s.") else public).append({"plaintext": key})
    return public, private


def _rotor(state: State) -> Iterator[dict[str, Any]]:
    """Yield connections and reverse syncs, then the destinations that use the bulker [admin/export-rotor-connections]."""
    for link, source, target in _live_links(state, "push", REVERSE_SYNC):
        workspace = state.workspaces[target.workspace_id]
        options = dict(link.data) if isinstance(link.data, Mapping) else {}
        if not state.generation.is_2024:
            options["workspaceUpdatedAt"] = workspace.updated_at
        yield {
            **_debug(workspace),
            **_connection(link.id, target, source),
            "updatedAt": max(link.updated_at, target.updated_at),
            "options": options,
            "optionsHash": object_hash(link.data),
        }
    for row in _bulk(state):
        yield _connection(row.id, row, row)


def _connection(connection_id: str, target: ObjectRow, source: ObjectRow) -> dict[str, Any]:
    credentials = _credentials(target)
    return {
        "id": connection_id,
        "type": target.config.get("destinationType"),
        "workspaceId": target.workspace_id,
        "streamId": source.id,
        "streamName": source.config.get("name"),
        "destinationId": target.id,
        "usesBulker": target.config.get("destinationType") in BULKER,
        "updatedAt": target.updated_at,
        "credentials": credentials,
        "credentialsHash": object_hash(credentials),
    }


def _bulker(state: State) -> Iterator[dict[str, Any]]:
    """Yield the connections and destinations that the bulker writes to [admin/export-bulker-connections]."""
    for link, _, target in _live_links(state, "push"):
        if target.config.get("destinationType") in BULKER | _HYBRID:
            data = link.data if isinstance(link.data, Mapping) else {}
            yield {
                **_bulk_line(state, target),
                "id": link.id,
                "options": {name: value for name, value in data.items() if name != "clickhouseSettings"},
                "updatedAt": max(link.updated_at, target.updated_at),
            }
    for row in _bulk(state):
        yield {**_bulk_line(state, row), "options": {"mode": "batch", "frequency": 1, "deduplicate": True}}


def _bulk(state: State) -> list[ObjectRow]:
    rows = [] if state.generation.is_2024 else _live(state, "destination")
    return [row for row in rows if row.config.get("destinationType") in BULKER | _HYBRID]


def _bulk_line(state: State, row: ObjectRow) -> dict[str, Any]:
    return {
        **_debug(state.workspaces[row.workspace_id]),
        "id": row.id,
        "type": row.config.get("destinationType"),
        "updatedAt": row.updated_at,
        "credentials": _credentials(row),
    }


def _credentials(row: ObjectRow) -> dict[str, Any]:
    return {
        name: value for name, value in row.config.items() if name not in ("name", "destinationType", "type")
    }


def _functions(state: State) -> Iterator[dict[str, Any]]:
    for row in _live(state, "function"):
        yield {
            "id": row.id,
            "createdAt": row.created_at,
            "updatedAt": row.updated_at,
            "type": "function",
            "workspaceId": row.workspace_id,
            **row.config,
            "codeHash": object_hash(str(row.config.get("code") or row.config.get("draft") or "")),
        }


def _workspaces(state: State) -> Iterator[dict[str, Any]]:
    for row in sorted(state.workspaces.values(), key=lambda row: row.id):
        yield {
            "id": row.id, "createdAt": row.created_at, "updatedAt": row.updated_at, "name": row.name,
            "deleted": row.deleted, "slug": row.slug, "featuresEnabled": [] if state.generation.is_2024 else [*row.features, "functionsClasses=free"],
        }  # fmt: skip


def _workspaces_with_profiles(state: State) -> Iterator[dict[str, Any]]:
    for line in _workspaces(state):
        own = [row for row in state.builders.values() if row.workspace_id == line["id"] and not row.deleted]
        published = [_profiles(state, row) for row in own if (row.fields.get("version") or 0) > 0]
        if own or not state.generation.is_2024:
            yield {**line, "profileBuilders": published}


def _profiles(state: State, row: BuilderRow) -> dict[str, Any]:
    function = state.objects[row.function_id]
    return {
        **row.fields,
        "id": row.id,
        "workspaceId": row.workspace_id,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
        "functions": [{"id": function.id, "workspaceId": function.workspace_id, **function.config}],
    }


def _syncs(state: State) -> Iterator[dict[str, Any]]:
    for link, source, target in _live_links(state, "sync"):
        yield {
            "id": link.id, "workspaceId": link.workspace_id, "serviceId": source.id, "destinationId": target.id,
            "service": source.config, "options": link.data,
        }  # fmt: skip
