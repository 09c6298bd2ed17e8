"""A tree beside the one that a folder holds already: names of files stay, and what only a clock has changed is left alone."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from jitsu_backup.archive.tree_layout import (
    FILE,
    RUN,
    code_places,
    is_stem_of,
    looks_marked,
    own_files,
    slug_in,
)
from jitsu_backup.archive.tree_writer import pretty
from jitsu_backup.catalogue import KEY_FIELDS, PROBE_NOTES
from jitsu_backup.model import items_of, members_of, replaced_at, value_at

_TIMES = frozenset({"createdAt", "updatedAt"})
_WORKSPACE = "workspace.json"

Place = tuple[str, str]
"""The folder of a type, and an id in it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A tree as it is to be written over an earlier one; `moved` are the earlier files of what has other names now."""

    tree: Mapping[str, bytes]
    moved: frozenset[str]


@dataclass(frozen=True, slots=True)
class _EntityFile:
    """The JSON file of an entity."""

    folder: str
    stem: str
    body: Mapping[str, Any]

    @property
    def path(self) -> str:
        """Its path in the tree."""
        return f"{self.folder}/{self.stem}.json"

    def code(self) -> Iterator[tuple[tuple[Any, ...], str]]:
        """Yield where it names a file with code, and the name."""
        for place, _ in code_places(self.folder, self.body):
            value = value_at(self.body, place)
            if looks_marked(value) and isinstance(value.get(FILE), str):
                yield place, value[FILE]


def settled(tree: Mapping[str, bytes], before: Mapping[str, bytes]) -> Settled:
    """Return a tree with the names that its entities have in the files of `before`, and with its texts where only times differ.

    A name stays where the entity is still called so, whatever its id is now; the name of a file that somebody added stays too.
    """
    new, old = _entity_files(tree), _entity_files(before)
    now = {place: files[0] for place, files in new.items()}
    was = {place: files[0] for place, files in old.items() if len(files) == 1}
    stems = _kept_stems(now, was, own_files(before))
    result = dict(tree)
    moved: set[str] = set()
    unhashed: list[str] = []
    for place, file in now.items():
        stem, earlier = stems.get(place, file.stem), was.get(place)
        renamed = _renamed(result, file, stem)
        if not is_stem_of(stem, place[1]):
            unhashed.append(f"{file.folder}/{stem}")
        if earlier is not None and earlier.stem != stem:
            moved |= {earlier.path, *(f"{file.folder}/{name}" for _, name in earlier.code())}
        elif earlier is not None and _lasting(renamed) == _lasting(earlier):
            result[renamed.path] = before[renamed.path]
    if _WORKSPACE in before and _same_workspace(tree[_WORKSPACE], before[_WORKSPACE]):
        result[_WORKSPACE] = before[_WORKSPACE]
    if unhashed:
        result[RUN] = pretty({**orjson.loads(tree[RUN]), "names": sorted(unhashed)})
    return Settled(result, frozenset(moved - result.keys()))


def _entity_files(files: Mapping[str, bytes]) -> dict[Place, list[_EntityFile]]:
    """Return the JSON files of entities by folder and id; usually there is one of each."""
    found: dict[Place, list[_EntityFile]] = defaultdict(list)
    for path in sorted(files):
        folder, inside, name = path.partition("/")
        if inside and name.endswith(".json"):
            body = _json(files[path])
            if isinstance(body.get("id"), str):
                found[folder, body["id"]].append(_EntityFile(folder, name.removesuffix(".json"), body))
    return dict(found)


def _kept_stems(
    new: Mapping[Place, _EntityFile], old: Mapping[Place, _EntityFile], own: set[str]
) -> dict[Place, str]:
    """Return, by place, the earlier stem that a file keeps: that of the same id, or of the one that had the name before."""
    kept: dict[Place, str] = {}
    left: dict[tuple[str, str], list[Place]] = defaultdict(list)
    heirs: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for place, file in old.items():
        if place not in new and file.path in own:  # what somebody has just added waits to be applied
            left[file.folder, slug_in(file.stem)].append(place)
    for place, file in new.items():
        slug, earlier = slug_in(file.stem), old.get(place)
        if earlier is None:
            heirs[file.folder, slug].append(place)
        elif slug in (earlier.stem, slug_in(earlier.stem)):
            kept[place] = earlier.stem
    for called, places in heirs.items():
        if len(places) == len(left[called]) == 1:
            kept[places[0]] = old[left[called][0]].stem
    fresh = {(file.folder, file.stem): place for place, file in new.items()}
    return {place: stem for place, stem in kept.items() if fresh.get((place[0], stem), place) == place}


def _renamed(tree: dict[str, bytes], file: _EntityFile, stem: str) -> _EntityFile:
    """Give the files of an entity another stem in a tree; return its JSON file."""
    if stem == file.stem:
        return file
    body: Any = file.body
    for place, name in file.code():
        new = stem + name.removeprefix(file.stem)
        tree[f"{file.folder}/{new}"] = tree.pop(f"{file.folder}/{name}")
        body = replaced_at(body, place, {FILE: new})
    renamed = _EntityFile(file.folder, stem, body)
    del tree[file.path]
    tree[renamed.path] = pretty(body)
    return renamed


def _lasting(file: _EntityFile) -> Any:
    """Return what an entity's file says, without what no person has set."""
    body = {name: value for name, value in file.body.items() if name not in _TIMES | PROBE_NOTES}
    if file.folder == "stream":
        for name in KEY_FIELDS:
            keys = (members_of(key) for key in items_of(body.get(name)))
            body[name] = [{**key, "lastUsed": None} for key in keys]
    return _without_times(body) if file.folder == "profile-builder" else body


def _without_times(value: Any) -> Any:
    """Return a value without times at any depth: a profile builder holds its function whole."""
    if isinstance(value, Mapping):
        return {name: _without_times(item) for name, item in value.items() if name not in _TIMES}
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def _same_workspace(one: bytes, other: bytes) -> bool:
    """Return whether two descriptions differ in nothing but the time of the last change."""
    return {**_json(one), "updatedAt": None} == {**_json(other), "updatedAt": None}


def _json(data: bytes) -> Mapping[str, Any]:
    try:
        return members_of(orjson.loads(data))
    except orjson.JSONDecodeError:
        return {}
