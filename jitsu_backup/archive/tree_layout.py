"""The layout of an archive as a tree of small files for Git: which files exist, and what each holds.

Names consist of ASCII letters, digits and hyphens, so none can leave the folder, be reserved or collide by case:
`<type>/<slug>-<hash>.json`, where the hash is of the id alone. A file therefore changes its name only when the name
of its entity changes, or for a link the name of one of its ends.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from jitsu_backup.catalogue import joins
from jitsu_backup.model import Entity, Path, Snapshot, items_of, value_at

TREE_FORMAT, TREE_VERSION = "jitsu-backup-folder", 2
MANIFEST, RUN, README = "manifest.json", "run.json", "README.md"
CURSORS, SECRETS = "cursors.json", "secrets.json"
NEEDED = (MANIFEST, RUN, "workspace.json", "members.json", "options.json", CURSORS)
TOP = frozenset({*NEEDED, SECRETS, README})

_LONGEST_SLUG = 60
_HASH_LENGTHS = (6, 12, 24, 64)  # hex digits; longer ones only if shorter ones collide
_PLAIN_TYPE = re.compile(r"[a-z][a-z0-9-]{0,59}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_RESERVED = re.compile(r"con|prn|aux|nul|com\d|lpt\d", re.ASCII)  # file names that Windows reserves
_CODE_FILE = re.compile(r"(.+?)(\.\d+)?(\.draft)?\.js", re.DOTALL)  # no stem ends in what follows it here
FILE, VALUE = "$file", "$value"
"""In a body, `{"$file": NAME}` stands for code in that file; `{"$value": …}` wraps a value that only looks like these."""


def own_files(files: Mapping[str, bytes]) -> set[str]:
    """Return the paths that a tree of some snapshot could have. All others are foreign.

    `run.json` lists the names of earlier files whose entities got another id.
    """
    named = set(names_in(files))
    own = {path for path in files if path in TOP}
    code_of: dict[str, list[str]] = defaultdict(list)
    for path in files:
        code = _CODE_FILE.fullmatch(path)
        if code is not None:
            code_of[code[1]].append(path)
    for path, data in files.items():
        folder, _, name = path.partition("/")
        stem = name.removesuffix(".json")
        if stem != name and (is_stem_of(stem, _id_in(data)) or f"{folder}/{stem}" in named):
            own |= {path, *code_of.get(f"{folder}/{stem}", ())}
    return own


def is_ignored(path: str) -> bool:
    """Return whether reading a tree ignores the file at this path."""
    return path == README or any(part.startswith(".") for part in path.split("/"))


def tree_header(data: bytes) -> tuple[str, bool] | None:
    """Return the workspace id in the manifest of a tree, and whether the tree is redacted, or None for other files."""
    try:
        manifest = orjson.loads(data)
        if manifest["format"] != TREE_FORMAT:
            return None
        return str(manifest["source"]["workspace_id"]), manifest.get("redacted") is not False
    except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
        return None


def _slug(*texts: str) -> str:
    """Return the first of `texts` that is not empty after reduction to lower-case ASCII, digits and single hyphens."""
    for text in texts:
        slug = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()[:_LONGEST_SLUG].strip("-")
        if slug:
            return slug
    return "unnamed"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _distinct(slugs: Mapping[str, str], joint: str) -> dict[str, str]:
    """Return, by key, its slug with as much of the key's hash as makes it unique."""
    result: dict[str, str] = {}
    left = dict(slugs)
    for length in _HASH_LENGTHS:
        names = {text: f"{slug}{joint}{_hash(text)[:length]}" for text, slug in left.items()}
        often = Counter(names.values())
        result |= {text: name for text, name in names.items() if often[name] == 1}
        left = {text: left[text] for text, name in names.items() if often[name] > 1}
    return result


def folders_of(types: Iterable[str]) -> dict[str, str]:
    """Return the folder of each type: its own name if that is harmless, otherwise one with `_`, which is then unique."""
    names = set(types)
    plain = {name for name in names if _PLAIN_TYPE.fullmatch(name) and not _RESERVED.fullmatch(name)}
    return {**{name: name for name in plain}, **_distinct({name: _slug(name) for name in names - plain}, "_")}


def stems_of(snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """Return, by type and id, the stem that the files of an entity share."""
    ends = {e.key.id: _slug(e.name, e.key.id) for e in snapshot.entities if not joins(e.key)}

    def slug(entity: Entity) -> str:
        if not joins(entity.key):
            return _slug(entity.name, entity.key.id)
        named = (str(entity.body.get(end, "none")) for end in ("fromId", "toId"))
        return "--".join(ends.get(end) or _slug(end) for end in named)

    slugs: dict[str, dict[str, str]] = {}
    for entity in snapshot.entities:
        slugs.setdefault(entity.key.type, {})[entity.key.id] = slug(entity)
    return {name: _distinct(of_type, "-") for name, of_type in slugs.items()}


def slug_in(stem: str) -> str:
    """Return a stem without the hash at its end, if any."""
    slug, _, digits = stem.rpartition("-")
    return slug if slug and len(digits) in _HASH_LENGTHS and _HEX.fullmatch(digits) else stem


def names_in(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return what `run.json` names: `folder/stem` of the entities whose files do not have the hash of their id."""
    try:
        return tuple(map(str, orjson.loads(files[RUN]).get("names", ())))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return ()


def is_stem_of(stem: str, entity_id: object) -> bool:
    """Return whether a stem was made for the entity with an id."""
    digits = stem.rpartition("-")[2]
    return isinstance(entity_id, str) and len(digits) in _HASH_LENGTHS and _hash(entity_id).startswith(digits)


def _id_in(data: bytes) -> object:
    try:
        return orjson.loads(data)["id"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


def code_places(type_name: str, body: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield each path where a body can hold code, and the suffix of its file."""
    holders: dict[Path, str] = {}
    if type_name == "function":
        holders[()] = ""
    elif type_name == "profile-builder":  # [profile-builder/list]
        for position, _ in enumerate(items_of(body.get("functions"))):
            holders["functions", position, "function", "config"] = f".{position + 1}" if position else ""
    for path, number in holders.items():
        holder = value_at(body, path)
        for name, suffix in (("code", ".js"), ("draft", ".draft.js")):
            if isinstance(holder, Mapping) and name in holder:
                yield (*path, name), number + suffix


def looks_marked(value: Any) -> bool:
    """Return whether a value is, or looks like, one that stands for another."""
    return isinstance(value, Mapping) and len(value) == 1 and not {FILE, VALUE}.isdisjoint(value)
