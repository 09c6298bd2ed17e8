"""Ids that stand inside text, where nobody can rewrite them safely."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jitsu_backup.catalogue import entity_type, without_grant
from jitsu_backup.catalogue.references import Form
from jitsu_backup.model import Key, Path, format_path
from jitsu_backup.planning.context import KEY_FIELDS, Context, builder_code, without_volatile

_TOKEN = re.compile(r"[A-Za-z0-9_-]+")
_SHORTEST = 4  # shorter ids are everybody's words

# texts that name nothing but the entity itself: what it is called, what it is, and its write keys
_NO_MENTIONS = (
    *(("name",), ("slug",), ("destinationType",), ("package",)),
    *((name, "*", "*") for name in KEY_FIELDS),
)


def mentions(context: Context, chosen: set[Key]) -> list[str]:
    """Say which texts name another entity, or the workspace, that has another id in the target."""
    moved: dict[str, Key | None] = {
        key.id: key
        for key, new_id in context.ids.items()
        if key in context.by_key and new_id != key.id and len(key.id) >= _SHORTEST
    }
    if not context.in_place:
        moved[context.snapshot.manifest.source.workspace_id] = None
    if not moved:
        return []
    lines: list[str] = []
    for key in sorted(chosen):
        follows = entity_type(key.type).generic
        for path, text in _texts(_body(context, key), _NO_MENTIONS + _reference_paths(key.type)):
            if follows and text in context.keys_of_id:
                continue
            found = dict.fromkeys(
                token for token in _TOKEN.findall(text) if token in moved and moved[token] != key
            )
            lines.extend(
                f"{context.called(context.by_key[key])}: its {format_path(path)} names {_called(context, moved[token])}"
                f" ({token}) in text, which stays as it is"
                for token in found
            )
    return lines


def _called(context: Context, key: Key | None) -> str:
    return "the workspace" if key is None else context.called(context.by_key[key])


def followed(context: Context, chosen: set[Key]) -> list[str]:
    """Say which values of types that the table does not know were taken for references."""
    lines = []
    for key in sorted(chosen):
        if entity_type(key.type).generic:
            for path, text in _texts(_body(context, key), ()):
                named = next((k for k in context.keys_of_id.get(text, ()) if k in context.ids), None)
                if named not in (None, key) and path != ("name",):
                    lines.append(
                        f"{context.called(context.by_key[key])}: its {format_path(path)} is taken for"
                        f" {context.called(context.by_key[named])} and follows it"
                    )
    return lines


def _body(context: Context, key: Key) -> dict[str, Any]:
    entity = context.meant[key]
    code = {"code": builder_code(entity)[0]} if key.type == "profile-builder" else {}
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
