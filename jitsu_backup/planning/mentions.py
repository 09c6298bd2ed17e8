"""Ids inside text, where they cannot be rewritten safely."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from jitsu_backup.catalogue import KEY_FIELDS, Form, entity_type, without_grant, without_volatile
from jitsu_backup.model import Key, Path, format_path
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.profile_builders import builder_code
from jitsu_backup.planning.sides import Sides

_TOKEN = re.compile(r"[A-Za-z0-9_-]+")
_SHORTEST = 4  # a shorter id may be any word

# texts that only describe the entity itself: its name, its kind and its write keys
_NO_MENTIONS = (
    *(("name",), ("slug",), ("destinationType",), ("package",)),
    *((name, "*", "*") for name in KEY_FIELDS),
)


def mentions(pairs: Pairs, chosen: Collection[Key]) -> list[str]:
    """Return notes about texts that mention an entity, or the workspace, by an id that it does not have in the target."""
    sides = pairs.sides
    moved: dict[str, Key | None] = {
        key.id: key
        for key, new_id in pairs.ids.items()
        if key in sides.by_key and new_id != key.id and len(key.id) >= _SHORTEST
    }
    if not sides.in_place:
        moved[sides.snapshot.manifest.source.workspace_id] = None
    if not moved:
        return []
    lines: list[str] = []
    for key in sorted(chosen):
        follows = entity_type(key.type).generic
        for path, text in _texts(_body(sides, key), _NO_MENTIONS + _reference_paths(key.type)):
            if follows and text in sides.keys_of_id:
                continue
            found = dict.fromkeys(
                token for token in _TOKEN.findall(text) if token in moved and moved[token] != key
            )
            lines.extend(
                f"{sides.called(sides.by_key[key])}: its {format_path(path)} mentions {_called(sides, moved[token])}"
                f" ({token}) in text, which is copied unchanged"
                for token in found
            )
    return lines


def _called(sides: Sides, key: Key | None) -> str:
    return "the workspace" if key is None else sides.called(sides.by_key[key])


def followed(pairs: Pairs, chosen: Collection[Key]) -> list[str]:
    """Return notes about values that are treated as references, in types that are not in the table."""
    sides, lines = pairs.sides, []
    for key in sorted(chosen):
        if entity_type(key.type).generic:
            for path, text in _texts(_body(sides, key), ()):
                named = next((k for k in sides.keys_of_id.get(text, ()) if k in pairs.ids), None)
                if named not in (None, key) and path != ("name",):
                    lines.append(
                        f"{sides.called(sides.by_key[key])}: its {format_path(path)} is treated as a reference"
                        f" to {sides.called(sides.by_key[named])} and updated with it"
                    )
    return lines


def _body(sides: Sides, key: Key) -> dict[str, Any]:
    entity = sides.desired[key]
    code = {"code": builder_code(entity)[0]} if entity_type(key.type).owns_functions else {}
    return {**without_grant(key.type, without_volatile(entity)), **code}


def _reference_paths(type_name: str) -> tuple[tuple[str, ...], ...]:
    return tuple(r.path for r in entity_type(type_name).references if r.form is not Form.ANYWHERE)


def _texts(value: Any, leave_out: tuple[tuple[str, ...], ...], at: Path = ()) -> Iterator[tuple[Path, str]]:
    if any(_fits(at, path) for path in leave_out):
        return
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, Mapping):
        for name in sorted(value):
            yield from _texts(value[name], leave_out, (*at, name))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _texts(item, leave_out, (*at, position))


def _fits(path: Path, pattern: tuple[str, ...]) -> bool:
    return len(path) == len(pattern) and all(p in ("*", str(q)) for p, q in zip(pattern, path, strict=True))
