"""Filling the sandbox from a snapshot."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from jitsu_backup.catalogue import KEY_FIELDS
from jitsu_backup.model import MASK, Entity, Snapshot, counts_by_type, items_of, masked_paths
from jitsu_backup.sandbox.generation import Generation
from jitsu_backup.sandbox.masking import kind_of
from jitsu_backup.sandbox.state import (
    NEWER_TYPES,
    OWNER,
    READ_ONLY,
    READER,
    REVERSE_ETL,
    REVERSE_SYNC,
    State,
    WorkspaceRow,
    default_state,
)
from jitsu_backup.sandbox.warehouse import ANY_WAREHOUSE

_LINKS = ("link", REVERSE_SYNC)
_ROW_FIELDS = ("id", "type", "workspaceId", "updatedAt", "createdAt", "cloneId")


def seed_snapshot(state: State, snapshot: Snapshot) -> str:
    """Add the workspace of a snapshot with the same ids; return the id of the workspace.

    Masked values become invented secrets, so that they are masked again when listed. A console gets only the types that
    its generation knows. The warehouses have whatever a model queries.
    """
    source = snapshot.manifest.source
    if source.workspace_id not in state.workspaces:
        roles = {OWNER.id: "owner", READER.id: "analyst"}
        slug = source.slug or source.workspace_id
        taken = state.find_workspace(slug)
        if taken is not None:
            slug = f"{slug}-{source.workspace_id[:6]}"
        state.add_workspace(source.workspace_id, source.name or slug, slug, roles)
    made = snapshot.workspace.get("createdAt")
    row = state.workspaces[source.workspace_id]
    if isinstance(made, str):  # a restore recognises the workspace by its creation time
        row.created_at = made
    row.features = list(dict.fromkeys([*row.features, *_features(state, snapshot)]))
    if any(snapshot.of_type("model")):
        state.warehouses.append(ANY_WAREHOUSE)
    owned = {
        owned["functionId"]
        for builder in snapshot.of_type("profile-builder")
        for owned in builder.body.get("functions") or ()
    }
    for entity in sorted(snapshot.entities, key=lambda e: str(e.body.get("createdAt"))):
        if _is_known(state, entity):
            _add(state, source.workspace_id, entity, owned)
    for sync_id, states in () if state.generation.is_2024 else snapshot.cursors.items():
        state.sync_states[sync_id] = dict(states)
    return source.workspace_id


def unknown_to(state: State, snapshot: Snapshot) -> dict[str, int]:
    """Return how many entities of a snapshot a console cannot hold, by type."""
    return counts_by_type(entity for entity in snapshot.entities if not _is_known(state, entity))


def fresh_console_for(snapshot: Snapshot) -> tuple[State, str]:
    """Return the state of a console of the generation that a snapshot was read from, and the id of an empty workspace in it.

    The console masks what that console masked, knows its types, and has the destinations that Jitsu provisions,
    because nobody else can create those [destination/create-provisioned].
    """
    state = _console_like([snapshot])
    workspace_id = next(iter(state.workspaces))
    _provision(state, workspace_id, snapshot)
    return state, workspace_id


def empty_console_for(snapshots: Sequence[Snapshot]) -> State:
    """Return the state of a console without workspaces, of the newest generation that any of some snapshots was read from.

    It masks what their consoles masked, and knows their types. A workspace that is created gets the features and the
    provisioned destinations of the snapshot with its slug, because no key can add those.
    """
    state = _console_like(snapshots)
    state.workspaces.clear()
    by_slug = {one.manifest.source.slug: one for one in reversed(snapshots)}

    def provision(row: WorkspaceRow) -> None:
        snapshot = by_slug.get(row.slug)
        if snapshot is not None:
            row.features = [
                name for name in _features(state, snapshot) if name != READ_ONLY
            ]  # no bill is unpaid
            _provision(state, row.id, snapshot)

    state.provision = provision
    return state


def _console_like(snapshots: Sequence[Snapshot]) -> State:
    order = list(Generation)
    generation = max(map(_generation_of, snapshots), key=order.index, default=Generation.JULY_2026)
    state = default_state(generation=generation)
    state.warehouses = [ANY_WAREHOUSE]
    known = {*state.types, *_LINKS, "profile-builder"}
    served = {name for snapshot in snapshots for name in snapshot.manifest.counts}
    state.extra_types = tuple(sorted(served - known))
    for snapshot in snapshots:
        for entity in snapshot.entities:
            if entity.key.type not in (*_LINKS, "profile-builder"):
                _hide_again(state, entity)
    return state


def _provision(state: State, workspace_id: str, snapshot: Snapshot) -> None:
    for entity in snapshot.entities:
        if entity.body.get("provisioned") is True:
            config = {name: value for name, value in entity.body.items() if name not in _ROW_FIELDS}
            state.add_object(workspace_id, entity.key.type, entity.key.id, config)


def _generation_of(snapshot: Snapshot) -> Generation:
    """Return the generation of the console that a snapshot was read from, judged by the types that it served."""
    manifest = snapshot.manifest
    if "model" in manifest.counts or _reverse_syncs(snapshot):
        return Generation.NEWEST
    return Generation.OCTOBER_2024 if set(NEWER_TYPES) <= set(manifest.not_offered) else Generation.JULY_2026


def _features(state: State, snapshot: Snapshot) -> list[str]:
    """Return the features that a snapshot's workspace had, and those that its entities need."""
    if not state.generation.is_newest:
        return []
    had = [name for name in items_of(snapshot.workspace.get("featuresEnabled")) if isinstance(name, str)]
    needs = any(snapshot.of_type("model")) or _reverse_syncs(snapshot)
    return [*had, REVERSE_ETL] if needs else had


def _reverse_syncs(snapshot: Snapshot) -> bool:
    return any(_is_reverse_sync(entity) for entity in snapshot.entities)


def _is_reverse_sync(entity: Entity) -> bool:
    kind = entity.body.get("type") if entity.key.type == "link" else entity.key.type
    return kind == REVERSE_SYNC


def _is_known(state: State, entity: Entity) -> bool:
    """Return whether a console can hold an entity. Consoles up to July hold any type, even unknown ones."""
    if _is_reverse_sync(entity):
        return state.generation.is_newest
    return not state.generation.is_2024 or entity.key.type in (*state.types, "link")


def _add(state: State, workspace_id: str, entity: Entity, owned: set[str]) -> None:
    if entity.key.type not in (*_LINKS, "profile-builder"):
        _hide_again(state, entity)
    body = _unmasked(entity.body)
    kind, entity_id = entity.key
    if kind in _LINKS:
        state.add_link(
            workspace_id,
            REVERSE_SYNC if kind == REVERSE_SYNC else body.get("type") or "push",
            body["fromId"],
            body["toId"],
            body.get("data"),
            entity_id,
        )
    elif kind == "profile-builder":
        functions = body.pop("functions", None) or [{}]
        config = functions[0].get("function", {}).get("config", {})
        fields = {name: value for name, value in body.items() if name not in ("id", "workspaceId")}
        state.add_builder(
            workspace_id, entity_id, fields, config.get("code", ""), functions[0].get("functionId")
        )
    elif not (kind == "function" and entity_id in owned):
        if kind not in state.types:
            state.extra_types = (*state.extra_types, kind)
        config = {name: value for name, value in body.items() if name not in _ROW_FIELDS}
        if kind == "stream":
            for name in KEY_FIELDS:
                config[name] = [
                    key if key.get("hash") else {**key, "plaintext": secrets.token_hex(8)}
                    for key in config.get(name) or ()
                ]
        state.add_object(workspace_id, kind, entity_id, config)


def _hide_again(state: State, entity: Entity) -> None:
    """Mask the fields that are masked in an entity, which may be more than this console masks by itself."""
    paths = {".".join(str(p) for p in path if isinstance(p, str)) for path in masked_paths(entity.body)}
    if paths:
        kind = kind_of(entity.key.type, entity.body)
        state.also_masked[kind] = state.also_masked.get(kind, frozenset()) | paths


def _unmasked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _unmasked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_unmasked(item) for item in value]
    return "invented-by-the-sandbox" if value == MASK else value
