"""Fit a new tree to the one in a folder: file names stay, and files in which only times differ stay unchanged."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from jitsu_backup.archive.tree_lasting import lasting, lasting_workspace
from jitsu_backup.archive.tree_layout import (
    FILE,
    MANIFEST,
    RUN,
    code_places,
    is_stem_of,
    looks_marked,
    own_files,
    slug_in,
    tree_header,
)
from jitsu_backup.archive.tree_writer import pretty
from jitsu_backup.catalogue import ends
from jitsu_backup.catalogue.derived_ids import KnownIds
from jitsu_backup.model import members_of, replaced_at, value_at

_WORKSPACE, _LINK = "workspace.json", "link"

Place = tuple[str, str]
"""The folder of a type, and an id in it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A tree to write over an earlier one. `moved` are the earlier files of entities that have other file names now."""

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

    @property
    def called(self) -> tuple[str, str]:
        """Its folder, and its stem without a hash."""
        return self.folder, slug_in(self.stem)

    def code(self) -> Iterator[tuple[tuple[Any, ...], str]]:
        """Yield each place that refers to a code file, and the name of that file."""
        for place, _ in code_places(self.folder, self.body):
            value = value_at(self.body, place)
            if looks_marked(value) and isinstance(value.get(FILE), str):
                yield place, value[FILE]


def settled(tree: Mapping[str, bytes], before: Mapping[str, bytes]) -> Settled:
    """Return a tree with the file names of `before`, and with its contents where only times differ.

    A file name stays if the entity keeps its name, even with another id. The name of a file that somebody added stays too.
    """
    new, old = _entity_files(tree), _entity_files(before)
    now = {place: files[0] for place, files in new.items()}
    was = {place: files[0] for place, files in old.items() if len(files) == 1}
    workspace = tree_header(tree[MANIFEST])
    heirs = _predecessors(now, was, own_files(before), "" if workspace is None else workspace[0])
    stems = _kept_stems(now, heirs)
    result = dict(tree)
    moved: set[str] = set()
    unhashed: list[str] = []
    for place, file in now.items():
        stem, earlier = stems.get(place, file.stem), heirs.get(place)
        renamed = _renamed(result, file, stem)
        if not is_stem_of(stem, place[1]):
            unhashed.append(f"{file.folder}/{stem}")
        if earlier is not None and earlier.stem != stem:
            moved |= {earlier.path, *(f"{file.folder}/{name}" for _, name in earlier.code())}
        elif earlier is not None and lasting(file.folder, renamed.body) == lasting(file.folder, earlier.body):
            result[renamed.path] = before[renamed.path]
    if _WORKSPACE in before and _same_workspace(tree[_WORKSPACE], before[_WORKSPACE]):
        result[_WORKSPACE] = before[_WORKSPACE]
    if unhashed:
        result[RUN] = pretty({**orjson.loads(tree[RUN]), "names": sorted(unhashed)})
    return Settled(result, frozenset(moved - result.keys()))


def _entity_files(files: Mapping[str, bytes]) -> dict[Place, list[_EntityFile]]:
    """Return the JSON files of entities by folder and id. Usually, each has one."""
    found: dict[Place, list[_EntityFile]] = defaultdict(list)
    for path in sorted(files):
        folder, inside, name = path.partition("/")
        if inside and name.endswith(".json"):
            body = _json(files[path])
            if isinstance(body.get("id"), str):
                found[folder, body["id"]].append(_EntityFile(folder, name.removesuffix(".json"), body))
    return dict(found)


def _predecessors(
    new: Mapping[Place, _EntityFile], old: Mapping[Place, _EntityFile], own: set[str], workspace_id: str
) -> dict[Place, _EntityFile]:
    """Return the earlier file of each entity: the one with the same id, origin or name.

    A file that was added and not applied yet is not the earlier file of any entity.
    """
    found = {place: place for place in new if place in old}
    found |= _made_of(new, old, found, workspace_id)
    found |= _applied(new, old, found)
    found |= _called(new, old, found, own)
    return {place: old[was] for place, was in found.items()}


def _left(new: Mapping[Place, _EntityFile], found: Mapping[Place, Place]) -> list[Place]:
    """Return the places without an earlier file."""
    return [place for place in new if place not in found]


def _made_of(
    new: Mapping[Place, _EntityFile],
    old: Mapping[Place, _EntityFile],
    found: Mapping[Place, Place],
    workspace_id: str,
) -> dict[Place, Place]:
    """Return, by place, the place of the earlier id from which a restore has derived the new id."""
    ids: dict[str, list[str]] = defaultdict(list)
    for folder, one in _left(new, found):
        ids[folder].append(one)
    known = {folder: KnownIds(workspace_id, folder, of_type) for folder, of_type in ids.items()}
    return {
        (folder, one): (folder, was)
        for folder, was in old
        if (folder, was) not in new and folder in known
        for one in known[folder].derived_of(was)
    }


def _applied(
    new: Mapping[Place, _EntityFile], old: Mapping[Place, _EntityFile], found: Mapping[Place, Place]
) -> dict[Place, Place]:
    """Return, by place, the place of the earlier link that was applied and got another id from the console."""
    ids = {was: now for (_, now), (_, was) in found.items()}
    used = {*found.values()}
    spare = [place for place in old if place[0] == _LINK and place not in used]
    result: dict[Place, Place] = {}
    for place in _left(new, found) if spare else ():
        alike = (one for one in spare if _is_applied(old[one].body, new[place].body, ids))
        was = next(alike, None) if place[0] == _LINK else None
        if was is not None:
            result[place] = was
            spare.remove(was)
    return result


def _called(
    new: Mapping[Place, _EntityFile],
    old: Mapping[Place, _EntityFile],
    found: Mapping[Place, Place],
    own: set[str],
) -> dict[Place, Place]:
    """Return, by place, the place of the only earlier entity with the same name that no longer exists."""
    left: dict[tuple[str, str], list[Place]] = defaultdict(list)
    heirs: dict[tuple[str, str], list[Place]] = defaultdict(list)
    used = {*found.values()}
    for place, file in old.items():
        if place not in used and file.path in own:
            left[file.called].append(place)
    for place in _left(new, found):
        heirs[new[place].called].append(place)
    alone = (called for called, places in heirs.items() if len(places) == len(left[called]) == 1)
    return {heirs[called][0]: left[called][0] for called in alone}


def _is_applied(added: Mapping[str, Any], link: Mapping[str, Any], ids: Mapping[str, str]) -> bool:
    """Return whether a link results from one that somebody has added: the same ends and the same fields."""
    kind, *between = ends(added)
    if (kind, *(ids.get(end, end) for end in between)) != ends(link):
        return False
    there = members_of(link.get("data"))
    return all(there.get(name) == value for name, value in members_of(added.get("data")).items())


def _kept_stems(new: Mapping[Place, _EntityFile], was: Mapping[Place, _EntityFile]) -> dict[Place, str]:
    """Return, by place, the stem of the earlier file if it still fits the entity's name."""
    fresh = {(file.folder, file.stem): place for place, file in new.items()}
    return {
        place: earlier.stem
        for place, earlier in was.items()
        if slug_in(new[place].stem) in (earlier.stem, slug_in(earlier.stem))
        and fresh.get((place[0], earlier.stem), place) == place
    }


def _renamed(tree: dict[str, bytes], file: _EntityFile, stem: str) -> _EntityFile:
    """Give the files of an entity another stem in a tree. Return its JSON file."""
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


def _same_workspace(one: bytes, other: bytes) -> bool:
    """Return whether two descriptions differ only in the time of the last change."""
    return lasting_workspace(_json(one)) == lasting_workspace(_json(other))


def _json(data: bytes) -> Mapping[str, Any]:
    try:
        return members_of(orjson.loads(data))
    except orjson.JSONDecodeError:
        return {}
