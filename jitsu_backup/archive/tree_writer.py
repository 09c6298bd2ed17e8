"""Write a snapshot as a folder tree."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import orjson

from jitsu_backup import __version__
from jitsu_backup.archive.codec import digest, no_json, secrets_by_type
from jitsu_backup.archive.tree_lasting import lasting_digest
from jitsu_backup.archive.tree_layout import (
    CURSORS,
    FILE,
    MANIFEST,
    README,
    RUN,
    SECRETS,
    TREE_FORMAT,
    TREE_VERSION,
    VALUE,
    code_places,
    folders_of,
    looks_marked,
    stems_of,
)
from jitsu_backup.catalogue import KEY_FIELDS, entity_type, redact
from jitsu_backup.model import Entity, Key, Snapshot, iso_time, replaced_at, value_at

_README_TEXT = b"""\
# A Jitsu workspace

`jitsu-backup unpack` created this folder from an archive. `jitsu-backup diff` and `restore` accept it like an archive,
and `jitsu-backup pack` turns it into an archive again.

| file | holds |
|---|---|
| `<type>/<name>-<hash>.json` | one entity as the console lists it; the hash is of its id |
| `<type>/<name>-<hash>.js`, `.draft.js` | the code of a function, where the JSON says `{"$file": "..."}` |
| `link/<from>--<to>-<hash>.json` | a connection or sync, named by its ends |
| `cursors.json` | how far each sync has read |
| `secrets.json` | the secrets that the operator's token read, unencrypted; otherwise missing |
| `workspace.json`, `members.json`, `options.json` | for reference; never written back |
| `manifest.json` | which workspace was read, its types, and what could not be read |
| `run.json` | when it was read, and the digest of the archive; changes only together with other files |

You may edit, add and delete files. Every file is read, and an invalid file is an error. This file and names that begin
with a dot are ignored. File names have no meaning: the id is in the JSON.

Unless `manifest.json` says `"redacted": true`, secrets that Jitsu shows are here unencrypted. If it does, `***` stands
for the value that the workspace has.
"""


def to_tree(snapshot: Snapshot, *, redacted: bool = False) -> dict[str, bytes]:
    """Return the contents of the files of a snapshot by relative POSIX path. Equal snapshots give equal files.

    With `redacted`, known and likely secrets are shown as `***`, and the tree is marked, so that it cannot be packed. The
    record of a clone becomes a plain snapshot of the clone's target. Raise BackupError for values that JSON cannot hold.
    """
    content = shown(snapshot, redacted=redacted)
    try:
        digests = {"archive": digest(snapshot), "content": lasting_digest(content)}
        files = dict(_files(content, digests, redacted=redacted))
        return {path: files[path] for path in sorted(files)}
    except (orjson.JSONEncodeError, UnicodeEncodeError) as problem:
        raise no_json(type(problem).__name__) from None


def _files(snapshot: Snapshot, digests: Mapping[str, str], *, redacted: bool) -> Iterator[tuple[str, bytes]]:
    manifest = snapshot.manifest
    folders = folders_of({*manifest.counts, *(e.key.type for e in snapshot.entities)})
    stems = stems_of(snapshot)
    head = {
        "format": TREE_FORMAT,
        "version": TREE_VERSION,
        "redacted": redacted,
        "source": asdict(manifest.source),
        "types": sorted(folders),
        "consistent": manifest.consistent,
        "refused": [asdict(refusal) for refusal in manifest.refused],
        "not_offered": list(manifest.not_offered),
        "generic": list(manifest.generic),
    }
    yield README, _README_TEXT
    yield MANIFEST, pretty(head)
    read = {"taken_at": iso_time(snapshot.taken_at), "tool": f"jitsu-backup {__version__}"}
    yield RUN, pretty({**digests, **read})
    yield "workspace.json", pretty(snapshot.workspace)
    yield "members.json", pretty(list(snapshot.members))
    yield "options.json", pretty(snapshot.options)
    yield CURSORS, pretty(snapshot.cursors)
    if snapshot.secrets:
        yield SECRETS, pretty(secrets_by_type(snapshot))
    for entity in snapshot.entities:
        yield from _entity_files(entity, folders[entity.key.type], stems[entity.key.type][entity.key.id])


def shown_digest(snapshot: Snapshot, *, redacted: bool) -> str:
    """Return the digest of what a folder shows of a snapshot. If it is unchanged, so is the folder. Raise BackupError."""
    return lasting_digest(shown(snapshot, redacted=redacted))


def shown(snapshot: Snapshot, *, redacted: bool) -> Snapshot:
    """Return a snapshot as a folder shows it."""
    return _redacted(snapshot) if redacted else snapshot


def _entity_files(entity: Entity, folder: str, stem: str) -> Iterator[tuple[str, bytes]]:
    body: Any = entity.body
    for path, suffix in code_places(entity.key.type, entity.body):
        value = value_at(entity.body, path)
        if isinstance(value, str):
            yield f"{folder}/{stem}{suffix}", value.encode()
            body = replaced_at(body, path, {FILE: stem + suffix})
        elif looks_marked(value):
            body = replaced_at(body, path, {VALUE: value})
    yield f"{folder}/{stem}.json", pretty(body)


def pretty(value: Any) -> bytes:
    """Return JSON as the files of a tree contain it."""
    # the addition copies, because bytes from orjson keep their whole buffer, some 4 KiB each
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def _redacted(snapshot: Snapshot) -> Snapshot:
    def hidden(body: Mapping[str, Any]) -> dict[str, Any]:
        return redact(Entity(Key("workspace", ""), body))

    def hidden_in(entity: Entity) -> Entity:
        key, body = entity.key, redact(entity, entity_type(entity.key.type).secrets)
        return Entity(key, {**body, **_write_keys(entity), "id": key.id})

    return replace(
        snapshot,
        entities=tuple(map(hidden_in, snapshot.entities)),
        workspace=hidden(snapshot.workspace),
        members=tuple(map(hidden, snapshot.members)),
        options=hidden(snapshot.options),
        secrets={},
    )


def _write_keys(entity: Entity) -> dict[str, Any]:
    """Return a stream's write keys without their secrets. Ids and hints are not secret."""
    lists = {name: entity.body[name] for name in KEY_FIELDS if name in entity.body}
    found = {name: redact(Entity(entity.key, {"keys": keys}))["keys"] for name, keys in lists.items()}
    return found if entity.key.type == "stream" else {}
