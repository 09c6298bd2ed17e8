"""A snapshot without values that no person has set, such as times. Changes of these alone make no commit."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jitsu_backup.archive.codec import digest
from jitsu_backup.catalogue import KEY_FIELDS, PROBE_NOTES
from jitsu_backup.model import Entity, Snapshot, items_of, members_of

_TIMES = frozenset({"createdAt", "updatedAt"})


def lasting_digest(snapshot: Snapshot) -> str:
    """Return the digest of a snapshot without values that no person has set. Raise BackupError for what is not JSON."""
    entities = (Entity(one.key, lasting(one.key.type, one.body)) for one in snapshot.entities)
    workspace = lasting_workspace(snapshot.workspace)
    return digest(replace(snapshot, entities=tuple(entities), workspace=workspace, older_digest=""))


def lasting(type_name: str, body: Mapping[str, Any]) -> Any:
    """Return the body of an entity without values that no person has set."""
    kept = {name: value for name, value in body.items() if name not in _TIMES | PROBE_NOTES}
    if type_name == "stream":
        for name in KEY_FIELDS:
            keys = (members_of(key) for key in items_of(kept.get(name)))
            kept[name] = [{**key, "lastUsed": None} for key in keys]
    return _without_times(kept) if type_name == "profile-builder" else kept


def lasting_workspace(workspace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of a workspace without the time of its last change."""
    return {**workspace, "updatedAt": None}


def _without_times(value: Any) -> Any:
    """Return a value without times at any depth, because a profile builder contains its whole function."""
    if isinstance(value, Mapping):
        return {name: _without_times(item) for name, item in value.items() if name not in _TIMES}
    return [_without_times(item) for item in value] if isinstance(value, list) else value
