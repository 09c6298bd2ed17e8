"""The exports for the operator's service token: raw credentials and key hashes of all workspaces."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from jitsu_backup.sandbox.replies import fault
from jitsu_backup.sandbox.state import LinkRow, ObjectRow, State


def export(state: State, name: str) -> list[dict[str, Any]]:
    """Give an export by name [admin/export-streams, admin/export-rotor-connections]."""
    exports: Mapping[str, Callable[[State], Iterator[dict[str, Any]]]] = {
        "streams-with-destinations": _streams,
        "rotor-connections": _connections,
        "bulker-connections": _connections,
        "functions": _functions,
        "workspaces": _workspaces,
        "workspaces-with-profiles": _workspaces_with_profiles,
        "syncs": _syncs,
    }
    if name not in exports or (state.old and name == "syncs"):
        raise fault(f"Export {name} not found")
    return list(exports[name](state))


def _live(state: State, type_name: str) -> list[ObjectRow]:
    rows = [row for row in state.objects.values() if row.type == type_name and not row.deleted]
    return sorted(rows, key=lambda row: row.id)


def _live_links(state: State, link_type: str) -> list[tuple[LinkRow, ObjectRow, ObjectRow]]:
    found = []
    for link in state.links.values():
        source, target = (state.live_object(link.workspace_id, end) for end in (link.from_id, link.to_id))
        if link.type == link_type and not link.deleted and source is not None and target is not None:
            found.append((link, source, target))
    return found


def _streams(state: State) -> Iterator[dict[str, Any]]:
    for row in _live(state, "stream"):
        workspace = state.workspaces[row.workspace_id]
        public, private = _classic_keys(state, row)
        stream = {
            **row.config,
            "id": row.id,
            "type": "stream",
            "workspaceId": row.workspace_id,
            "publicKeys": [*public, *(row.config.get("publicKeys") or ())],
            "privateKeys": [*private, *(row.config.get("privateKeys") or ())],
        }
        yield {
            "__debug": {"workspace": {"id": workspace.id, "name": workspace.slug}},
            "id": row.id,
            "stream": stream,
            "backupEnabled": False,
            "destinations": [
                {
                    "id": target.id, "connectionId": link.id, "destinationType": target.config.get("destinationType"),
                    "name": target.config.get("name"), "credentials": _credentials(target), "options": link.data,
                }
                for link, source, target in _live_links(state, "push")
                if source.id == row.id
            ],
        }  # fmt: skip


def _classic_keys(state: State, stream: ObjectRow) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    public: list[dict[str, str]] = []
    private: list[dict[str, str]] = []
    for row in state.live_objects(stream.workspace_id, "misc"):
        for line in str(row.config.get("value")).splitlines():
            stream_id, _, key = line.partition("=")
            if stream_id.strip() == stream.id and key:
                (private if key.startswith("s2s.") else public).append({"plaintext": key})
    return public, private


def _connections(state: State) -> Iterator[dict[str, Any]]:
    for link, source, target in _live_links(state, "push"):
        yield {**_connection(link.id, target, source), "options": link.data}
    for row in [] if state.old else _live(state, "destination"):
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
        "usesBulker": True,
        "updatedAt": target.updated_at,
        "credentials": credentials,
        "credentialsHash": hashlib.sha1(orjson.dumps(credentials), usedforsecurity=False).hexdigest(),
    }


def _credentials(row: ObjectRow) -> dict[str, Any]:
    return {
        name: value for name, value in row.config.items() if name not in ("name", "destinationType", "type")
    }


def _functions(state: State) -> Iterator[dict[str, Any]]:
    for row in _live(state, "function"):
        yield {"id": row.id, "workspaceId": row.workspace_id, **row.config, "updatedAt": row.updated_at}


def _workspaces(state: State) -> Iterator[dict[str, Any]]:
    for row in state.workspaces.values():
        yield {"id": row.id, "name": row.name, "slug": row.slug}


def _workspaces_with_profiles(state: State) -> Iterator[dict[str, Any]]:
    with_builders = {row.workspace_id for row in state.builders.values() if not row.deleted}
    return (line for line in _workspaces(state) if line["id"] in with_builders)


def _syncs(state: State) -> Iterator[dict[str, Any]]:
    for link, source, target in _live_links(state, "sync"):
        yield {
            "id": link.id, "workspaceId": link.workspace_id, "serviceId": source.id, "destinationId": target.id,
            "service": source.config, "options": link.data,
        }  # fmt: skip
