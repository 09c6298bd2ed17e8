"""The archive format, version 3: one gzipped, canonical JSON document, identified by one digest."""

import gzip
import importlib.resources
import io
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from functools import cache
from typing import Any, TypeVar

import orjson

from jitsu_backup import __version__
from jitsu_backup.archive import strict
from jitsu_backup.archive.upgrades import UPGRADES
from jitsu_backup.errors import BackupError, IntegrityError, NewerFormatError
from jitsu_backup.model import (
    CloneRecord,
    Entity,
    Key,
    Manifest,
    MaskedField,
    Refusal,
    Snapshot,
    Source,
    Tombstone,
    canonical,
    content_digest,
    counts_by_type,
    iso_time,
    masked_fields,
    parse_iso_time,
)

T = TypeVar("T")

FORMAT = "jitsu-backup"
VERSION = 3
MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
"""The largest uncompressed document that is written or read, in bytes."""

_IN_STEP, _OUT_STEP = 64 * 1024, 1024 * 1024  # bytes; small steps keep a gzip bomb small

_AGE = b"age-encryption.org/"
_RESTORE_HINT = "use another archive of this workspace"


def no_json(why: object) -> BackupError:
    """Return the error about a workspace that holds something that JSON cannot hold."""
    return BackupError(f"the workspace cannot be written as JSON: {why}; correct the entity that has it")


def digest(snapshot: Snapshot) -> str:
    """Return the SHA-256 of the manifest and content of a snapshot as 64 hex digits, or an older archive's own digest.

    Raise BackupError for values that JSON cannot hold.
    """
    if snapshot.older_digest:
        return snapshot.older_digest
    try:
        return content_digest(_body(snapshot))
    except orjson.JSONEncodeError as problem:
        raise no_json(problem) from None


def encode(snapshot: Snapshot) -> bytes:
    """Return a snapshot as an archive. Equal snapshots give equal bytes.

    Raise BackupError for a snapshot that `decode` would reject.
    """
    problem = _contradiction(snapshot)
    if problem is not None:
        raise BackupError(f"the snapshot contradicts itself: {problem}; read the workspace again")
    body = _body(snapshot)
    run = {"taken_at": iso_time(snapshot.taken_at), "tool": f"jitsu-backup {__version__}"}
    try:
        head = {"format": FORMAT, "version": VERSION, "digest": content_digest(body), "run": run}
        document = canonical({**head, **body})
    except orjson.JSONEncodeError as failure:
        raise no_json(failure) from None
    if len(document) > MAX_DOCUMENT_BYTES:
        raise BackupError(
            f"the workspace is {len(document):,} bytes as JSON; an archive can hold at most"
            f" {MAX_DOCUMENT_BYTES:,}; delete what is not needed in the workspace"
        )
    if strict.has_too_many(document):
        raise BackupError(
            f"the workspace has more than {strict.MAX_VALUES:,} values, the limit of an archive; delete what is not"
            " needed there"
        )
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as stream:
        stream.write(document)
    return packed.getvalue()


def decode(data: bytes, like: Snapshot | None = None) -> Snapshot:
    """Return the snapshot in an archive after all checks. Raise IntegrityError.

    `like` is a snapshot that was decoded before, such as that of an hour ago. Its equal parts are not checked again.
    """
    document = _parse(_decompress(data))
    _check_version(document)
    _check_schema(document, like)
    _check_digest(document)
    older = document["digest"] if document["version"] < VERSION else ""
    for version in range(document["version"], VERSION):
        document = UPGRADES[version](document)
    snapshot = _snapshot(document)
    _check_content(document, snapshot, like)
    return replace(snapshot, older_digest=older)


def schema(version: int = VERSION) -> dict[str, Any]:
    """Return the JSON Schema of a format version."""
    text = importlib.resources.files(__package__).joinpath(f"schema-v{version}.json").read_bytes()
    result: dict[str, Any] = orjson.loads(text)
    return result


# -- writing -------------------------------------------------------------------


def _body(snapshot: Snapshot) -> dict[str, Any]:
    """Return the part of a document that its digest covers."""
    return {"content": _content(snapshot), "manifest": _manifest(snapshot.manifest)}


def _manifest(manifest: Manifest) -> dict[str, Any]:
    document = {
        "source": asdict(manifest.source),
        "counts": dict(manifest.counts),
        "complete": manifest.complete,
        "consistent": manifest.consistent,
        "refused": [{"what": r.what, "reason": r.reason, "missing": r.missing} for r in manifest.refused],
        "not_offered": list(manifest.not_offered),
        "generic": list(manifest.generic),
        "ledger": [{"type": m.type, "id": m.id, "path": m.path} for m in manifest.ledger],
    }
    cloned = manifest.cloned  # left out if there is none, so that the digest of a backup stays the same
    return document if cloned is None else {**document, "cloned": _clone_record(cloned)}


def _clone_record(cloned: CloneRecord) -> dict[str, Any]:
    document = {
        "source": asdict(cloned.source),
        "pairs": _by_type(cloned.pairs.items()),
        "write_keys": dict(cloned.write_keys),
        "overlay": cloned.overlay,
    }
    settled = _by_type((key, tombstone.value) for key, tombstone in cloned.tombstones.items())
    replaced = _by_type((key, list(paths)) for key, paths in cloned.secrets.items())
    empty = _by_type((key, list(paths)) for key, paths in cloned.empty.items())
    former = _by_type(cloned.former.items())
    more = {"tombstones": settled, "former": former, "secrets": replaced, "empty": empty}
    found = document | {name: values for name, values in more.items() if values}
    return found if cloned.deletes is None else found | {"deletes": _ids_by_type(cloned.deletes)}


def _ids_by_type(keys: Iterable[Key]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = defaultdict(list)
    for key in sorted(keys):
        ids[key.type].append(key.id)
    return dict(ids)


def _content(snapshot: Snapshot) -> dict[str, Any]:
    entities: dict[str, list[Any]] = {name: [] for name in snapshot.manifest.counts}
    for entity in sorted(snapshot.entities, key=lambda e: e.key):
        entities.setdefault(entity.key.type, []).append(entity.body)
    content = {
        "workspace": snapshot.workspace,
        "members": list(snapshot.members),
        "options": snapshot.options,
        "entities": entities,
        "cursors": snapshot.cursors,
    }
    more = {"secrets": secrets_by_type(snapshot), "bases": _by_type(snapshot.bases.items())}
    # left out if empty, so that the digest equals that of version 1
    return content | {name: values for name, values in more.items() if values}


def secrets_by_type(snapshot: Snapshot) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Return the secrets of a snapshot by type and id, as JSON has them."""
    return _by_type(snapshot.secrets.items())


def _by_type(values: Iterable[tuple[Key, T]]) -> dict[str, dict[str, T]]:
    """Return values of keys by type and id, as JSON has them."""
    found: dict[str, dict[str, T]] = defaultdict(dict)
    for key, value in values:
        found[key.type][key.id] = value
    return dict(found)


# -- reading -------------------------------------------------------------------


def _decompress(data: bytes) -> bytes:
    if not data:
        raise IntegrityError(f"the archive is empty; {_RESTORE_HINT}")
    if data.startswith(_AGE):
        raise IntegrityError("the archive is encrypted with age; decrypt it first with age -d")
    if data[:2] != b"\x1f\x8b":
        raise IntegrityError("not an archive, because it is not gzipped; give a file that `backup` wrote")
    stream = zlib.decompressobj(wbits=31)
    pieces: list[bytes] = []
    size = 0
    for start in range(0, len(data), _IN_STEP):
        if stream.eof:
            break
        rest = data[start : start + _IN_STEP]
        end = start + len(rest)
        more = True
        while more:
            try:
                piece = stream.decompress(rest, _OUT_STEP)
            except zlib.error:
                broken = "the archive is damaged: its compressed data is broken"
                raise IntegrityError(f"{broken}; {_RESTORE_HINT}") from None
            size += len(piece)
            if size > MAX_DOCUMENT_BYTES:
                large = f"unpacks to more than {MAX_DOCUMENT_BYTES:,} bytes and was not read"
                raise IntegrityError(f"the archive {large}; {_RESTORE_HINT}")
            pieces.append(piece)
            rest = stream.unconsumed_tail
            more = not stream.eof and (bool(rest) or len(piece) == _OUT_STEP)
    if not stream.eof:
        raise IntegrityError(f"the archive is truncated; {_RESTORE_HINT}")
    if stream.unused_data or end < len(data):
        raise IntegrityError(
            f"the archive has extra data after its end, so it was changed or damaged; {_RESTORE_HINT}"
        )
    return b"".join(pieces)


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        document = strict.parse(raw)
    except orjson.JSONDecodeError:
        raise IntegrityError(f"not an archive, because its content is not JSON; {_RESTORE_HINT}") from None
    except strict.TooDeepError:
        raise IntegrityError(
            f"the archive is nested too deeply to come from jitsu-backup; {_RESTORE_HINT}"
        ) from None
    except strict.TooManyError:
        raise IntegrityError(
            f"the archive holds more than {strict.MAX_VALUES:,} values and was not read; {_RESTORE_HINT}"
        ) from None
    except strict.TwiceError as problem:
        raise IntegrityError(
            f"the archive has the key {str(problem)[:60]!r} twice in one object, so it was forged or damaged;"
            f" {_RESTORE_HINT}"
        ) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise IntegrityError(
            "not an archive of jitsu-backup, but other JSON; give a file that `backup` wrote"
        )
    return document


def _check_version(document: Mapping[str, Any]) -> None:
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise IntegrityError(f"the archive does not say which format version it has; {_RESTORE_HINT}")
    if version > VERSION:
        raise NewerFormatError(
            f"the archive has format version {version}, but this jitsu-backup reads only up to {VERSION}; use a newer"
            " jitsu-backup"
        )


def _check_schema(document: Mapping[str, Any], like: Snapshot | None) -> None:
    version = document["version"]
    new, shape = (document, _shape(version)) if like is None else _unlike(document, like)
    problem = strict.first_problem(shape, new)
    if problem is not None:
        where, word = problem
        raise IntegrityError(f"the archive does not follow its schema at {where} ({word}); {_RESTORE_HINT}")


@cache
def _shape(
    version: int, without: frozenset[str] = frozenset(), without_content: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Return the schema of a version, with some parts of a document and of its content made optional."""
    shape = schema(version)
    content = shape["properties"]["content"]
    for holder, names in ((shape, without), (content, without_content)):
        holder["required"] = [name for name in holder["required"] if name not in names]
    return shape


def _unlike(document: Mapping[str, Any], like: Snapshot) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return a document without the parts that `like` has too, which are valid, and the schema of the rest."""
    content, version = document.get("content"), document["version"]
    has_lists = isinstance(content, Mapping) and isinstance(content.get("entities"), Mapping)
    if version != VERSION or not isinstance(content, Mapping) or not has_lists:
        return document, _shape(version)
    same = {"manifest"} if document.get("manifest") == _manifest(like.manifest) else set[str]()
    own = {
        "workspace": like.workspace, "members": list(like.members), "options": like.options, "cursors": like.cursors,
    }  # fmt: skip
    same_content = {name for name, value in own.items() if content.get(name) == value}
    known = {entity.key: entity.body for entity in like.entities}
    entities = {
        name: [body for body in bodies if not _is_known(name, body, known)]
        if isinstance(bodies, list)
        else bodies
        for name, bodies in content["entities"].items()
    }
    left = {name: value for name, value in content.items() if name not in same_content}
    new = {name: value for name, value in document.items() if name not in same}
    shape = _shape(version, frozenset(same), frozenset(same_content))
    return {**new, "content": {**left, "entities": entities}}, shape


def _is_known(name: str, body: Any, known: Mapping[Key, Mapping[str, Any]]) -> bool:
    own = body.get("id") if isinstance(body, Mapping) else None
    return isinstance(own, str) and known.get(Key(name, own)) == body


def _check_digest(document: Mapping[str, Any]) -> None:
    found = content_digest({"content": document["content"], "manifest": document["manifest"]})
    if found != document["digest"]:
        raise IntegrityError(
            f"the content does not match its digest ({found[:12]}, not {document['digest'][:12]}),"
            f" so it was changed or damaged; {_RESTORE_HINT}"
        )


def _snapshot(document: Mapping[str, Any]) -> Snapshot:
    content, manifest = document["content"], document["manifest"]
    entities = tuple(
        Entity(Key(name, body["id"]), body) for name, bodies in content["entities"].items() for body in bodies
    )
    try:
        taken_at = parse_iso_time(document["run"]["taken_at"])
    except ValueError:
        raise IntegrityError(f"the archive has no valid time in run.taken_at; {_RESTORE_HINT}") from None
    ledger = tuple(MaskedField(**line) for line in manifest["ledger"])
    return Snapshot(
        manifest=manifest_in(manifest, manifest["counts"], ledger),
        taken_at=taken_at,
        entities=tuple(sorted(entities, key=lambda e: e.key)),
        cursors=content["cursors"],
        workspace=content["workspace"],
        members=tuple(content["members"]),
        options=content["options"],
        secrets=by_key(content.get("secrets", {})),
        bases=by_key(content.get("bases", {})),
    )


def manifest_in(
    document: Mapping[str, Any], counts: Mapping[str, int], ledger: tuple[MaskedField, ...]
) -> Manifest:
    """Return the manifest that JSON holds, with these counts and this ledger."""
    return Manifest(
        Source(**document["source"]),
        counts,
        refused=tuple(Refusal(**refusal) for refusal in document["refused"]),
        not_offered=tuple(document["not_offered"]),
        generic=tuple(document["generic"]),
        ledger=ledger,
        consistent=document["consistent"],
        cloned=_clone_record_in(document["cloned"]) if "cloned" in document else None,
    )


def _clone_record_in(document: Mapping[str, Any]) -> CloneRecord:
    source, pairs = Source(**document["source"]), by_key(document["pairs"])
    settled = {key: Tombstone(side) for key, side in by_key(document.get("tombstones", {})).items()}
    former, deletes = by_key(document.get("former", {})), document.get("deletes")
    keys = (
        None if deletes is None else frozenset(Key(name, one) for name, ids in deletes.items() for one in ids)
    )
    secrets, empty = (
        {key: tuple(paths) for key, paths in by_key(document.get(name, {})).items()}
        for name in ("secrets", "empty")
    )
    return CloneRecord(
        source, pairs, document["write_keys"], document["overlay"], settled, former, keys, secrets, empty
    )


def by_key(document: Mapping[str, Mapping[str, T]]) -> dict[Key, T]:
    """Return the values that JSON holds by type and id."""
    return {Key(name, one): value for name, of_type in document.items() for one, value in of_type.items()}


def _check_content(document: Mapping[str, Any], snapshot: Snapshot, like: Snapshot | None) -> None:
    manifest, lists = document["manifest"], document["content"]["entities"]
    problem = _contradiction(snapshot, like)
    if problem is None and manifest["complete"] != snapshot.manifest.complete:
        problem = "it says wrongly whether it is complete"
    if problem is None and lists.keys() != manifest["counts"].keys():
        problem = "its counts name other types than its content"
    in_order: dict[str, list[Any]] = {name: [] for name in lists}
    for entity in snapshot.entities:
        in_order[entity.key.type].append(entity.body)
    if problem is None and in_order != lists:
        problem = "its entities are not sorted"
    if problem is not None:
        raise IntegrityError(f"the archive contradicts itself: {problem}; {_RESTORE_HINT}")


def _contradiction(snapshot: Snapshot, like: Snapshot | None = None) -> str | None:
    """Return what in the manifest contradicts the content, or None. `like` is as for `decode`."""
    manifest = snapshot.manifest
    keys = {entity.key for entity in snapshot.entities}
    if len(keys) != len(snapshot.entities):
        return "an entity is in it twice"
    if not all(entity.key.id and entity.body.get("id") == entity.key.id for entity in snapshot.entities):
        return "an entity's body has another id"
    if counts_by_type(snapshot.entities, manifest.counts) != dict(manifest.counts):
        return "its counts are wrong"
    try:
        ledger = _masked_fields(snapshot, like)
    except RecursionError:
        return "an entity is nested too deeply"
    if ledger != manifest.ledger:
        return "its ledger of masked secrets is wrong"
    if not set(snapshot.cursors) <= {key.id for key in keys if key.type == "link"}:
        return "it has a cursor of a sync that it lacks"
    if not set(snapshot.secrets) <= keys:
        return "it has a secret of an entity that it lacks"
    if snapshot.bases and manifest.cloned is None:
        return "it has bases, but is not the record of a clone"
    if not all(body.get("id") == key.id for key, body in snapshot.bases.items()):
        return "a base's body has another id"
    return None


def _masked_fields(snapshot: Snapshot, like: Snapshot | None) -> tuple[MaskedField, ...]:
    """Return the ledger of a snapshot. Parts that are equal in `like` share its lines."""
    if like is None:
        return masked_fields(snapshot.entities, snapshot.options)
    known = {entity.key: entity.body for entity in like.entities}
    new = [entity for entity in snapshot.entities if known.get(entity.key) != entity.body]
    same = known.keys() & {entity.key for entity in snapshot.entities} - {entity.key for entity in new}
    lines = [line for line in like.manifest.ledger if Key(line.type, line.id) in same]
    return tuple(sorted([*masked_fields(new, snapshot.options), *lines]))
