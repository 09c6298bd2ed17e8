"""A snapshot as a tree of small files, fit for Git: paths and bytes in, paths and bytes out.

Names are made of ASCII letters, digits and hyphens, so none can leave the folder, be reserved or collide by case:
`<type>/<slug>-<hash>.json`, where the hash is of the id alone. So a file changes its name only with its own entity's
name (a link's with those of its ends).
"""

import codecs
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, NoReturn

import orjson

from jitsu_backup import __version__
from jitsu_backup.archive import strict
from jitsu_backup.archive.codec import TIME, schema
from jitsu_backup.catalogue import CATALOGUE, entity_type, redact
from jitsu_backup.errors import BackupError, BlockedError, IntegrityError
from jitsu_backup.model import (
    Entity,
    Key,
    Manifest,
    Path,
    Refusal,
    Snapshot,
    Source,
    counts_by_type,
    masked_fields,
)

TREE_FORMAT, TREE_VERSION = "jitsu-backup-folder", 1
MANIFEST, RUN, README, CURSORS, SECRETS = (
    "manifest.json",
    "run.json",
    "README.md",
    "cursors.json",
    "secrets.json",
)
_NEEDED = (MANIFEST, RUN, "workspace.json", "members.json", "options.json", CURSORS)
_TOP = frozenset({*_NEEDED, SECRETS, README})

_LONGEST_SLUG = 60
_HASH_LENGTHS = (6, 12, 24, 64)  # hex digits; more only where fewer collide
_PLAIN_TYPE = re.compile(r"[a-z][a-z0-9-]{0,59}", re.ASCII)
_RESERVED = re.compile(r"con|prn|aux|nul|com\d|lpt\d", re.ASCII)  # on Windows no file may be called so
_CONFLICT = tuple(
    re.compile(mark, re.MULTILINE) for mark in (rb"^<{7} ", rb"^={7}\r?$", rb"^>{7} ")
)  # as Git leaves them
_CODE_FILE = re.compile(r"(.+?)(\.\d+)?(\.draft)?\.js", re.DOTALL)  # no stem ends as what stands behind it
_FILE, _VALUE = "$file", "$value"
"""Where code stands in a body, `{"$file": NAME}` says in which file it is; `{"$value": …}` wraps what only looks so."""

_README_TEXT = b"""\
# A Jitsu workspace

`jitsu-backup unpack` wrote this folder out of an archive, and `jitsu-backup pack` makes an archive of it again.

| file | holds |
|---|---|
| `<type>/<name>-<hash>.json` | one entity as the console lists it; the hash is of its id |
| `<type>/<name>-<hash>.js`, `.draft.js` | the code of a function, where the JSON says `{"$file": "..."}` |
| `link/<from>--<to>-<hash>.json` | a connection or sync, named by its ends |
| `cursors.json` | how far each sync has read |
| `secrets.json` | only where the operator's token read secrets: these, in clear |
| `workspace.json`, `members.json`, `options.json` | for reference; never written back |
| `manifest.json` | where it was read, which types there are, and what could not be read |
| `run.json` | when it was read; changes only with something else |

Files may be edited, added and deleted: `pack` reads every file and refuses what it does not understand. It ignores
this file and names that begin with a dot. The name of a file says nothing to it: the id stands in the JSON.

Unless `manifest.json` says `"redacted": true`, secrets that Jitsu shows in clear are here in clear.
"""


def to_tree(snapshot: Snapshot, *, redacted: bool = False) -> dict[str, bytes]:
    """Give the files of a snapshot: relative POSIX path to content. Equal snapshots give equal files.

    With `redacted`, known and likely secrets show as `***`, and the tree is marked: it cannot be read back.
    Raises BackupError for what JSON cannot hold.
    """
    shown = _redacted(snapshot) if redacted else snapshot
    try:
        files = dict(_files(shown, redacted=redacted))
        return {path: files[path] for path in sorted(files)}
    except (orjson.JSONEncodeError, UnicodeEncodeError) as problem:
        raise BackupError(f"the workspace cannot be written as JSON: {type(problem).__name__}") from None


def from_tree(files: Mapping[str, bytes]) -> Snapshot:
    """Read the files of a tree, edited or not, into a snapshot: `from_tree(to_tree(s)) == s`.

    Counts and ledger are made anew; cursors and secrets of entities that have no file are left out. Raises
    IntegrityError with the file and what is wrong with it, BlockedError for a redacted tree.
    """
    known = {path: data for path, data in files.items() if not is_ignored(path)}
    manifest = _read_manifest(known)
    content = schema()["properties"]["content"]["properties"]
    for path in _NEEDED:
        if path not in known:
            _refuse(path, "is missing")
    run = _checked(known, RUN, schema()["properties"]["run"])
    cursors = _checked(known, CURSORS, content["cursors"])
    secrets = _checked(known, SECRETS, content["secrets"]) if SECRETS in known else {}
    try:
        taken_at = datetime.strptime(run["taken_at"], TIME).replace(tzinfo=UTC)
    except ValueError:
        _refuse(RUN, "has no valid time in taken_at")
    entities = _read_entities(known, manifest["types"])
    keys = {entity.key for entity in entities}
    return Snapshot(
        Manifest(
            Source(**manifest["source"]),
            counts_by_type(entities, manifest["types"]),
            refused=tuple(Refusal(**refusal) for refusal in manifest["refused"]),
            not_offered=tuple(manifest["not_offered"]),
            generic=tuple(manifest["generic"]),
            ledger=masked_fields(entities),
            consistent=manifest["consistent"],
        ),
        taken_at,
        entities,
        cursors={link: states for link, states in cursors.items() if Key("link", link) in keys},
        workspace=_checked(known, "workspace.json", content["workspace"]),
        members=tuple(_checked(known, "members.json", content["members"])),
        options=_checked(known, "options.json", content["options"]),
        secrets={
            Key(name, entity_id): values
            for name, of_type in secrets.items()
            for entity_id, values in of_type.items()
            if Key(name, entity_id) in keys
        },
    )


def unmerged(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Give the files of code that hold the marks of a merge that was not finished: code may, but hardly means to."""
    return tuple(
        path
        for path, data in files.items()
        if path.endswith(".js") and all(mark.search(data) for mark in _CONFLICT)
    )


def left_out(files: Mapping[str, bytes], snapshot: Snapshot) -> tuple[str, ...]:
    """Say, in words, what files that `snapshot` was read from hold of entities that have no file."""
    cursors = len(orjson.loads(files[CURSORS])) - len(snapshot.cursors)
    secrets = sum(map(len, orjson.loads(files.get(SECRETS, b"{}")).values())) - len(snapshot.secrets)
    return tuple(
        f"{path} speaks of {count} entities that have no file; it is left out"
        for path, count in ((CURSORS, cursors), (SECRETS, secrets))
        if count
    )


def own_files(files: Mapping[str, bytes]) -> set[str]:
    """Give the paths of `files` that a tree of some snapshot would have; all others are somebody else's."""
    own = {path for path in files if path in _TOP}
    code_of: dict[str, list[str]] = defaultdict(list)
    for path in files:
        code = _CODE_FILE.fullmatch(path)
        if code is not None:
            code_of[code[1]].append(path)
    for path, data in files.items():
        folder, _, name = path.partition("/")
        stem = name.removesuffix(".json")
        if stem != name and _is_stem_of(stem, data):
            own |= {path, *code_of.get(f"{folder}/{stem}", ())}
    return own


def is_ignored(path: str) -> bool:
    """Tell whether a tree may have the file without meaning anything by it."""
    return path == README or any(part.startswith(".") for part in path.split("/"))


def same_content(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> bool:
    """Tell whether two trees are of equal snapshots, whenever these were taken."""
    aside = (RUN, README)
    return all(path in aside or other.get(path) == data for path, data in one.items()) and all(
        path in aside or path in one for path in other
    )


def tree_header(data: bytes) -> tuple[str, bool] | None:
    """Give the workspace's id and whether it is redacted out of a tree's manifest; None for what is none."""
    try:
        manifest = orjson.loads(data)
        if manifest["format"] != TREE_FORMAT:
            return None
        return str(manifest["source"]["workspace_id"]), manifest.get("redacted") is not False
    except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
        return None


# -- names ---------------------------------------------------------------------


def _slug(*texts: str) -> str:
    """Give the first of `texts` that leaves something, as lower-case ASCII letters, digits and single hyphens."""
    for text in texts:
        slug = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()[:_LONGEST_SLUG].strip("-")
        if slug:
            return slug
    return "unnamed"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _distinct(slugs: Mapping[str, str], joint: str) -> dict[str, str]:
    """Give each key of `slugs` its slug with as much of the key's hash as makes it the only one."""
    result: dict[str, str] = {}
    left = dict(slugs)
    for length in _HASH_LENGTHS:
        names = {text: f"{slug}{joint}{_hash(text)[:length]}" for text, slug in left.items()}
        often = Counter(names.values())
        result |= {text: name for text, name in names.items() if often[name] == 1}
        left = {text: left[text] for text, name in names.items() if often[name] > 1}
    return result


def _folders(types: Iterable[str]) -> dict[str, str]:
    """Give each type the name of its folder: its own where that is harmless; else one with `_`, which no type's own has."""
    names = set(types)
    plain = {name for name in names if _PLAIN_TYPE.fullmatch(name) and not _RESERVED.fullmatch(name)}
    return {**{name: name for name in plain}, **_distinct({name: _slug(name) for name in names - plain}, "_")}


def _stems(snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """Give each entity, by type and id, the name of its files without what stands behind the first dot."""
    ends = {e.key.id: _slug(e.name, e.key.id) for e in snapshot.entities if e.key.type != "link"}

    def slug(entity: Entity) -> str:
        if entity.key.type != "link":
            return _slug(entity.name, entity.key.id)
        named = (str(entity.body.get(end, "none")) for end in ("fromId", "toId"))
        return "--".join(ends.get(end) or _slug(end) for end in named)

    slugs: dict[str, dict[str, str]] = {}
    for entity in snapshot.entities:
        slugs.setdefault(entity.key.type, {})[entity.key.id] = slug(entity)
    return {name: _distinct(of_type, "-") for name, of_type in slugs.items()}


def _is_stem_of(stem: str, data: bytes) -> bool:
    """Tell whether a file of that name was made for the entity that `data` holds."""
    digits = stem.rpartition("-")[2]
    if len(digits) not in _HASH_LENGTHS:
        return False
    try:
        body = orjson.loads(data)
        return isinstance(body, dict) and _hash(body["id"]).startswith(digits)
    except (orjson.JSONDecodeError, KeyError, AttributeError):
        return False


# -- writing -------------------------------------------------------------------


def _files(snapshot: Snapshot, *, redacted: bool) -> Iterator[tuple[str, bytes]]:
    manifest = snapshot.manifest
    folders, stems = _folders({*manifest.counts, *(e.key.type for e in snapshot.entities)}), _stems(snapshot)
    yield README, _README_TEXT
    yield (
        MANIFEST,
        _pretty(
            {
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
        ),
    )
    taken_at = snapshot.taken_at.astimezone(UTC).strftime(TIME)
    yield RUN, _pretty({"taken_at": taken_at, "tool": f"jitsu-backup {__version__}"})
    yield "workspace.json", _pretty(snapshot.workspace)
    yield "members.json", _pretty(list(snapshot.members))
    yield "options.json", _pretty(snapshot.options)
    yield CURSORS, _pretty(snapshot.cursors)
    if snapshot.secrets:
        secrets: dict[str, dict[str, Mapping[str, Any]]] = {}
        for key, values in snapshot.secrets.items():
            secrets.setdefault(key.type, {})[key.id] = values
        yield SECRETS, _pretty(secrets)
    for entity in snapshot.entities:
        yield from _entity_files(entity, folders[entity.key.type], stems[entity.key.type][entity.key.id])


def _entity_files(entity: Entity, folder: str, stem: str) -> Iterator[tuple[str, bytes]]:
    body: Any = entity.body
    for path, suffix in _code_places(entity.key.type, entity.body):
        value = _at(entity.body, path)
        if isinstance(value, str):
            yield f"{folder}/{stem}{suffix}", value.encode()
            body = _put(body, path, {_FILE: stem + suffix})
        elif _looks_marked(value):
            body = _put(body, path, {_VALUE: value})
    yield f"{folder}/{stem}.json", _pretty(body)


def _code_places(type_name: str, body: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Give where code can stand in a body, and how the name of its file ends."""
    holders: list[tuple[Path, str]] = []
    if type_name == "function":
        holders.append(((), ""))
    elif type_name == "profile-builder":  # [profile-builder/list]
        owned = body.get("functions")
        for position, _ in enumerate(owned if isinstance(owned, list) else ()):
            number = f".{position + 1}" if position else ""
            holders.append((("functions", position, "function", "config"), number))
    for path, number in holders:
        holder = _at(body, path)
        for name, suffix in (("code", ".js"), ("draft", ".draft.js")):
            if isinstance(holder, Mapping) and name in holder:
                yield (*path, name), number + suffix


def _at(value: Any, path: Path) -> Any:
    """Give what stands at a path; None where there is nothing."""
    for part in path:
        if isinstance(value, list) and isinstance(part, int):
            value = value[part]
        else:
            value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _put(value: Any, path: Path, new: Any) -> Any:
    """Give a copy of `value` with `new` at a path that is there."""
    if not path:
        return new
    head, rest = path[0], path[1:]
    if isinstance(value, list) and isinstance(head, int):
        return [*value[:head], _put(value[head], rest, new), *value[head + 1 :]]
    return {**value, head: _put(value[head], rest, new)}


def _looks_marked(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) == 1 and not {_FILE, _VALUE}.isdisjoint(value)


def _pretty(value: Any) -> bytes:
    # adding to it makes a copy: orjson's own bytes keep the room that they were written in, some 4 KiB each
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def _redacted(snapshot: Snapshot) -> Snapshot:
    def hidden(body: Mapping[str, Any]) -> dict[str, Any]:
        return redact(Entity(Key("workspace", ""), body))

    return replace(
        snapshot,
        entities=tuple(
            Entity(e.key, {**redact(e, entity_type(e.key.type).secrets), "id": e.key.id})
            for e in snapshot.entities
        ),
        workspace=hidden(snapshot.workspace),
        members=tuple(map(hidden, snapshot.members)),
        options=hidden(snapshot.options),
        secrets={},
    )


# -- reading -------------------------------------------------------------------


def _read_manifest(files: Mapping[str, bytes]) -> dict[str, Any]:
    if MANIFEST not in files:
        raise IntegrityError(f"{MANIFEST} is missing: this is no folder that `unpack` wrote")
    manifest = _json(files, MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != TREE_FORMAT:
        _refuse(MANIFEST, f"does not say {TREE_FORMAT}: this is no folder that `unpack` wrote")
    version = manifest.get("version")
    if isinstance(version, int) and version > TREE_VERSION:
        _refuse(
            MANIFEST, f"has version {version}, and up to {TREE_VERSION} is read: use a newer jitsu-backup"
        )
    if manifest.get("redacted") is True:
        raise BlockedError(
            "the folder was unpacked with --redact: its secrets are gone, so it is for reading only; unpack without"
        )
    known = schema()["properties"]["manifest"]["properties"]
    names = {"type": "array", "items": {"type": "string"}}
    shape = {
        "format": {"const": TREE_FORMAT}, "version": {"const": TREE_VERSION}, "redacted": {"const": False}, "types": names,
        **{name: known[name] for name in ("source", "consistent", "refused", "not_offered", "generic")},
    }  # fmt: skip
    return dict(
        _checked(
            files,
            MANIFEST,
            {
                "type": "object",
                "required": sorted(shape),
                "additionalProperties": False,
                "properties": shape,
            },
        )
    )


def _read_entities(files: Mapping[str, bytes], types: Iterable[str]) -> tuple[Entity, ...]:
    folders = {folder: name for name, folder in _folders({*types, *CATALOGUE}).items()}
    found: dict[Key, tuple[str, Entity]] = {}
    used: dict[str, str] = {}
    for path in sorted(files):
        folder, inside, name = path.partition("/")
        if not inside:
            if path not in _TOP:
                _refuse(
                    path, "is none of the files of this folder: remove it, or let its name begin with a dot"
                )
            continue
        if folder not in folders:
            _refuse(
                path,
                f"stands in a folder that is no type's: add the type to `types` in {MANIFEST}, or remove it",
            )
        if "/" in name or not name.endswith((".json", ".js")):
            _refuse(path, "is neither an entity's .json nor a function's .js: remove it")
        if not name.endswith(".json"):
            continue
        body = _read_body(files, path, folders[folder], used)
        key = Key(folders[folder], body["id"])
        if key in found:
            _refuse(
                path, f"has the same id as {_shown(found[key][0])}: give one of them another, or remove it"
            )
        found[key] = path, Entity(key, body)
    for path in sorted(files):
        if path.endswith(".js") and path not in used:
            _refuse(
                path,
                f'holds code that no .json file beside it names: write {{"{_FILE}": …}} there, or remove it',
            )
    return tuple(entity for _, (_, entity) in sorted(found.items()))


def _read_body(files: Mapping[str, bytes], path: str, type_name: str, used: dict[str, str]) -> dict[str, Any]:
    body: Any = _json(files, path)
    if not isinstance(body, dict):
        _refuse(path, "is not a JSON object")
    if not isinstance(body.get("id"), str) or not body["id"]:
        _refuse(path, "has no id")
    for place, _ in _code_places(type_name, body):
        value = _at(body, place)
        if not _looks_marked(value):
            continue
        ((kind, held),) = value.items()
        if kind == _FILE:
            beside = f"{path.rpartition('/')[0]}/{held}"
            if not isinstance(held, str) or not held.endswith(".js") or beside not in files:
                _refuse(path, f"names a file at {'.'.join(map(str, place))} that is not beside it")
            if beside in used:
                _refuse(
                    path, f"names {_shown(beside)}, and so does {_shown(used[beside])}: give each its own"
                )
            used[beside] = path
            try:
                held = files[beside].decode()
            except UnicodeDecodeError:
                _refuse(beside, "is not UTF-8")
        body = _put(body, place, held)
    return dict(body)


def _json(files: Mapping[str, bytes], path: str) -> Any:
    try:
        return strict.parse(files[path].removeprefix(codecs.BOM_UTF8))  # as some editors write it
    except orjson.JSONDecodeError as problem:
        _refuse(path, f"is not JSON: {problem}")
    except strict.TooDeepError:
        _refuse(path, "is nested too deeply")
    except strict.TooManyError:
        _refuse(path, f"holds more than {strict.MAX_VALUES:,} values")
    except strict.TwiceError as problem:
        _refuse(path, f"names the key {str(problem)[:60]!r} twice in one object")


def _checked(files: Mapping[str, bytes], path: str, shape: Mapping[str, Any]) -> Any:
    """Read a file and check it against a JSON Schema."""
    value = _json(files, path)
    problem = strict.first_problem(shape, value)
    if problem is not None:
        _refuse(path, f"is not as it must be at {problem[0]!r} ({problem[1]})")
    return value


def _shown(path: str) -> str:
    return path if path.isprintable() else repr(path)


def _refuse(path: str, what: str) -> NoReturn:
    raise IntegrityError(f"{_shown(path)} {what}")
