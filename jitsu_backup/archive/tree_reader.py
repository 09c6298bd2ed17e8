"""Read a folder tree, edited or not, into a snapshot."""

import codecs
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from jitsu_backup.archive import strict
from jitsu_backup.archive.codec import by_key, manifest_in, schema
from jitsu_backup.archive.tree_layout import (
    CURSORS,
    FILE,
    MANIFEST,
    NEEDED,
    RUN,
    SECRETS,
    TOP,
    TREE_FORMAT,
    TREE_VERSION,
    code_places,
    folders_of,
    is_ignored,
    looks_marked,
)
from jitsu_backup.catalogue import (
    CATALOGUE,
    HIDDEN,
    KEY_FIELDS,
    hidden_paths,
    key_ids,
    masked_body,
    type_in_list,
    types_in_lists,
)
from jitsu_backup.errors import BlockedError, IntegrityError
from jitsu_backup.model import (
    Entity,
    Key,
    Path,
    Snapshot,
    counts_by_type,
    format_path,
    masked_fields,
    parse_iso_time,
    plural,
    replaced_at,
    value_at,
)

UNMERGED = "it contains conflict markers; resolve the conflicts first"
# conflict markers of Git
_CONFLICT = [re.compile(mark, re.MULTILINE) for mark in (rb"^<{7} ", rb"^={7}\r?$", rb"^>{7} ")]


def from_tree(files: Mapping[str, bytes], *, redacted: bool = False) -> Snapshot:
    """Read the files of a tree, edited or not, into a snapshot: `from_tree(to_tree(s)) == s`.

    `files` maps relative POSIX paths to contents. Counts and ledger are computed. Cursors and secrets of entities without
    a file are left out. Raise IntegrityError, which names the file and the fault, and BlockedError for a redacted tree.
    With `redacted`, such a tree is read too, and `***` becomes a mask that the snapshot lists as `hidden`.
    """
    return read_files(files, redacted=redacted).snapshot


@dataclass(frozen=True, slots=True)
class TreeContent:
    """What the files of a tree hold. `paths` are the JSON files of its entities.

    `archive` is the digest of what was unpacked, and `content` that of what the tree showed of it. Both are None in trees
    of older versions.
    """

    snapshot: Snapshot
    paths: Mapping[Key, str]
    archive: str | None
    content: str | None
    redacted: bool


def read_files(files: Mapping[str, bytes], *, redacted: bool = False) -> TreeContent:
    """Read the files of a tree as `from_tree` does, and return which file holds what, too."""
    known = {path: data for path, data in files.items() if not is_ignored(path)}
    manifest = _read_manifest(known, redacted=redacted)
    content = schema()["properties"]["content"]["properties"]
    for path in NEEDED:
        if path not in known:
            _refuse(path, "is missing; restore it, or unpack the archive again")
    run = _checked(known, RUN, _run_schema())
    cursors = _checked(known, CURSORS, content["cursors"])
    options = _checked(known, "options.json", content["options"])
    secrets = _checked(known, SECRETS, content["secrets"]) if SECRETS in known else {}
    try:
        taken_at = parse_iso_time(run["taken_at"])
    except ValueError:
        _refuse(RUN, "has no valid time in taken_at; restore it, or unpack the archive again")
    found = _read_entities(known, manifest["types"])
    entities, hidden = _masked(found) if manifest["redacted"] else (tuple(e for _, e in found.values()), {})
    keys = {entity.key for entity in entities}
    snapshot = Snapshot(
        manifest_in(manifest, counts_by_type(entities, manifest["types"]), masked_fields(entities, options)),
        taken_at,
        entities,
        cursors={link: states for link, states in cursors.items() if Key("link", link) in keys},
        workspace=_checked(known, "workspace.json", content["workspace"]),
        members=tuple(_checked(known, "members.json", content["members"])),
        options=options,
        secrets={key: values for key, values in by_key(secrets).items() if key in keys},
        hidden=hidden,
    )
    paths = {key: path for key, (path, _) in found.items()}
    return TreeContent(snapshot, paths, run.get("archive"), run.get("content"), manifest["redacted"])


def _run_schema() -> dict[str, Any]:
    known = schema()["properties"]["run"]
    names = {"type": "array", "items": {"type": "string"}}
    of_content = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    more = {"archive": of_content, "content": of_content, "names": names}
    return {**known, "properties": {**known["properties"], **more}}


def _masked(
    found: Mapping[Key, tuple[str, Entity]],
) -> tuple[tuple[Entity, ...], dict[Key, frozenset[Path]]]:
    """Return the entities of a redacted tree with masks for what it hides, and the places of the masks."""
    entities, hidden = [], {}
    for key, (path, entity) in found.items():
        if any(key_id == HIDDEN for name in KEY_FIELDS for key_id in key_ids(entity, name)):
            old = "as versions before 0.8.0 did; run `unpack --redact` again"
            _refuse(path, f"hides the ids of write keys, {old}")
        places = frozenset(hidden_paths(entity.body))
        entities.append(Entity(key, masked_body(entity.body)) if places else entity)
        if places:
            hidden[key] = places
    return tuple(entities), hidden


def unmerged(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the code files with conflict markers, which are hardly intended."""
    return tuple(
        path
        for path, data in files.items()
        if path.endswith(".js") and all(mark.search(data) for mark in _CONFLICT)
    )


def left_out(files: Mapping[str, bytes], snapshot: Snapshot) -> tuple[str, ...]:
    """Return messages about cursors and secrets that were left out because their entities have no file."""
    cursors = len(orjson.loads(files[CURSORS])) - len(snapshot.cursors)
    secrets = sum(map(len, orjson.loads(files.get(SECRETS, b"{}")).values())) - len(snapshot.secrets)
    return tuple(
        f"{path} refers to {plural(count, 'entity', 'entities')} without a file; that part is left out"
        for path, count in ((CURSORS, cursors), (SECRETS, secrets))
        if count
    )


def _read_manifest(files: Mapping[str, bytes], *, redacted: bool) -> dict[str, Any]:
    if MANIFEST not in files:
        raise IntegrityError(f"{MANIFEST} is missing; give a folder that `unpack` wrote")
    manifest = _json(files, MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != TREE_FORMAT:
        _refuse(MANIFEST, f"does not say {TREE_FORMAT}; give a folder that `unpack` wrote")
    version = manifest.get("version")
    if isinstance(version, int) and version > TREE_VERSION:
        read = f"this jitsu-backup reads only up to {TREE_VERSION}"
        _refuse(MANIFEST, f"has version {version}, but {read}; use a newer jitsu-backup")
    if manifest.get("redacted") is True and not redacted:
        raise BlockedError(
            "the folder was unpacked with --redact and lacks its secrets, so it cannot be packed into an archive; restore the"
            " folder itself, or unpack without --redact"
        )
    known = schema()["properties"]["manifest"]["properties"]
    names = {"type": "array", "items": {"type": "string"}}
    shape = {
        "format": {"const": TREE_FORMAT}, "version": {"enum": [1, TREE_VERSION]}, "redacted": {"type": "boolean"}, "types": names,
        **{name: known[name] for name in ("source", "consistent", "refused", "not_offered", "generic")},
    }  # fmt: skip
    rules = {"type": "object", "required": sorted(shape), "additionalProperties": False, "properties": shape}
    checked = _checked(files, MANIFEST, rules)
    generic = [name for name in checked["generic"] if name not in CATALOGUE]
    if len(generic) == len(checked["generic"]):
        return dict(checked)
    # it may have been written by a version that did not know all these types
    return {**checked, "types": types_in_lists(checked["types"]), "generic": generic}


def _read_entities(files: Mapping[str, bytes], types: Iterable[str]) -> dict[Key, tuple[str, Entity]]:
    """Return the entities, sorted by key, each with the path of its file."""
    folders = {folder: name for name, folder in folders_of({*types, *CATALOGUE}).items()}
    found: dict[Key, tuple[str, Entity]] = {}
    used: dict[str, str] = {}
    for path in sorted(files):
        folder, inside, name = path.partition("/")
        if not inside:
            if path not in TOP:
                remedy = "remove it, or put a dot before its name"
                _refuse(path, f"is an unexpected file; {remedy}")
            continue
        if folder not in folders:
            remedy = f"add the type to `types` in {MANIFEST}, or remove it"
            _refuse(path, f"is in a folder of an unknown type; {remedy}")
        if "/" in name or not name.endswith((".json", ".js")):
            _refuse(path, "is neither an entity's .json nor a function's .js; remove it")
        if not name.endswith(".json"):
            continue
        body = _read_body(files, path, folders[folder], used)
        key = Key(type_in_list(folders[folder], body), body["id"])
        if key in found:
            other = _shown(found[key][0])
            _refuse(path, f"has the same id as {other}; give one of them another id, or remove it")
        found[key] = path, Entity(key, body)
    for path in sorted(files):
        if path.endswith(".js") and path not in used:
            remedy = f'write {{"{FILE}": …}} there, or remove it'
            _refuse(path, f"holds code to which no .json file beside it refers; {remedy}")
    return dict(sorted(found.items()))


def _read_body(files: Mapping[str, bytes], path: str, type_name: str, used: dict[str, str]) -> dict[str, Any]:
    body: Any = _json(files, path)
    if not isinstance(body, dict):
        _refuse(path, "is not a JSON object; correct it")
    if not isinstance(body.get("id"), str) or not body["id"]:
        _refuse(path, "has no id; add one")
    for place, _ in code_places(type_name, body):
        value = value_at(body, place)
        if not looks_marked(value):
            continue
        ((kind, held),) = value.items()
        if kind == FILE:
            beside = f"{path.rpartition('/')[0]}/{held}"
            if not isinstance(held, str) or not held.endswith(".js") or beside not in files:
                _refuse(
                    path,
                    f"refers to a file at {format_path(place)} that is not in the same folder; correct the name",
                )
            if beside in used:
                other = _shown(used[beside])
                _refuse(path, f"refers to {_shown(beside)}, as does {other}; give each its own file")
            used[beside] = path
            try:
                held = files[beside].decode()
            except UnicodeDecodeError:
                _refuse(beside, "is not UTF-8; save it as UTF-8")
        body = replaced_at(body, place, held)
    return dict(body)


def _json(files: Mapping[str, bytes], path: str) -> Any:
    try:
        return strict.parse(files[path].removeprefix(codecs.BOM_UTF8))  # some editors write it
    except orjson.JSONDecodeError as problem:
        if _CONFLICT[0].search(files[path]):
            _refuse(path, f"is not JSON: {UNMERGED}")
        if not _is_text(files[path]):
            _refuse(path, "is not UTF-8; save it as UTF-8")
        _refuse(path, f"is not JSON: {problem}; correct it")
    except strict.TooDeepError:
        _refuse(path, "is nested too deeply; use fewer levels")
    except strict.TooManyError:
        _refuse(path, f"holds more than {strict.MAX_VALUES:,} values; remove some")
    except strict.TwiceError as problem:
        _refuse(path, f"has the key {str(problem)[:60]!r} twice in one object; remove one")


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _checked(files: Mapping[str, bytes], path: str, shape: Mapping[str, Any]) -> Any:
    """Return the JSON value of a file, checked against a JSON Schema. Raise IntegrityError."""
    value = _json(files, path)
    problem = strict.first_problem(shape, value)
    if problem is not None:
        _refuse(path, f"is not valid at {problem[0]!r} ({problem[1]}); correct it")
    return value


def _shown(path: str) -> str:
    return path if path.isprintable() else repr(path)


def _refuse(path: str, what: str) -> NoReturn:
    raise IntegrityError(f"{_shown(path)} {what}")
