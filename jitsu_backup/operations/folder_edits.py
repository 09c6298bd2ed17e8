"""Edits of a folder that were not applied yet, and that unpacking a snapshot into it would undo."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jitsu_backup.archive import shown
from jitsu_backup.archive.tree_lasting import lasting
from jitsu_backup.catalogue import masked_body
from jitsu_backup.errors import BackupError
from jitsu_backup.model import Entity, Key, Snapshot, some_of
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.folder import Folder, find_base, is_folder, open_folder
from jitsu_backup.store import Store

_CODE_FILES = {"code": ".js", "draft": ".draft.js"}


async def check_unapplied(
    path: Path, snapshot: Snapshot, open_store: Callable[[], Store], keys: ArchiveKeys
) -> None:
    """Raise BackupError, which names the files, if writing a snapshot to a folder would undo edits that it lacks.

    If the folder or its base is missing or unreadable, edits are not recognised.
    """
    try:
        folder = open_folder(path) if is_folder(path) else None
        if folder is None or not _differing(folder, snapshot):
            return
        base = await find_base(folder, open_store, keys)
    except BackupError:
        return
    lost = [] if base is None else sorted(set(_unapplied(folder, base, snapshot)))
    if lost:
        raise BackupError(
            f"edits that are not in the snapshot would be lost: {some_of(lost, 3)}; apply them with"
            f" `jitsu-backup restore {path}`, set them aside with `git stash`, or remove these files, and run again"
        )


def _differing(folder: Folder, snapshot: Snapshot) -> list[Entity]:
    """Return the entities of a folder that differ in a snapshot."""
    now = _fields_by_key(shown(snapshot, redacted=folder.redacted))
    return [one for one in folder.snapshot.entities if one.key in now and _fields(one) != now[one.key]]


def _unapplied(folder: Folder, base: Snapshot, snapshot: Snapshot) -> Iterator[str]:
    """Yield the files with an edited field that has its base value in the snapshot."""
    was, now = (_fields_by_key(shown(one, redacted=folder.redacted)) for one in (base, snapshot))
    plain = _fields_by_key(base)  # an earlier version may have hidden less
    for entity in _differing(folder, snapshot):
        if entity.key not in was:  # a file that was added
            continue
        here, before, after = _fields(entity), was[entity.key], now[entity.key]
        for name in here.keys() | before.keys():
            known = before.get(name), plain[entity.key].get(name)
            if here.get(name) not in known and after.get(name) == before.get(name):
                yield _file_of(folder.files[entity.key], entity.key, name)


def _fields_by_key(snapshot: Snapshot) -> dict[Key, Mapping[str, Any]]:
    return {entity.key: _fields(entity) for entity in snapshot.entities}


def _fields(entity: Entity) -> Mapping[str, Any]:
    """Return the fields of an entity, without regard to the line ends that Git gave its files."""
    fields: Mapping[str, Any] = _with_plain_ends(lasting(entity.key.type, masked_body(entity.body)))
    return fields


def _with_plain_ends(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\r\n", "\n")
    if isinstance(value, Mapping):
        return {name: _with_plain_ends(item) for name, item in value.items()}
    return [_with_plain_ends(item) for item in value] if isinstance(value, list) else value


def _file_of(path: str, key: Key, name: str) -> str:
    """Return the file that holds a field of an entity. `path` is that of its JSON file."""
    return (
        path.removesuffix(".json") + _CODE_FILES[name]
        if key.type == "function" and name in _CODE_FILES
        else path
    )
