"""References: where an entity holds another one's id, and how to find and rewrite it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

_UDF = "udf."


class Form(Enum):
    """How a value contains the id."""

    WHOLE = "whole"  # the value is the id
    UDF = "udf"  # `udf.{id}`; `builtin.…` refers to no entity
    LINES = "lines"  # `{id}={apiKey}`, one a line [misc/create]
    PACKAGE = "package"  # the value is the `package` of the other entity, not an id: it is never rewritten
    ANYWHERE = "anywhere"  # any string value of the body that is exactly a known id


@dataclass(frozen=True, slots=True)
class Reference:
    """A place in a body that refers to other entities: `path`, with `*` for every item of a list.

    It holds their ids, in all forms except PACKAGE. `types` are the types that it may refer to; empty means any.
    """

    path: tuple[str, ...]
    types: tuple[str, ...]
    form: Form = Form.WHOLE


Resolve = Callable[[tuple[str, ...], str], str | None]
"""Takes (types, source id); returns the id to write, or None to leave the value unchanged."""


def find_references(
    references: tuple[Reference, ...], body: Mapping[str, Any]
) -> Iterator[tuple[Reference, str]]:
    """Yield every (reference, id) of `body`; for ANYWHERE, every string in it."""
    found: list[tuple[Reference, str]] = []
    for reference in references:

        def note(_types: tuple[str, ...], source_id: str, at: Reference = reference) -> None:
            found.append((at, source_id))

        _rewrite_at(body, reference.path, reference, note)
    yield from found


def rewrite(references: tuple[Reference, ...], body: Mapping[str, Any], resolve: Resolve) -> dict[str, Any]:
    """Return a copy of `body` with the new id in every reference that `resolve` knows."""
    result: Any = dict(body)
    for reference in references:
        result = _rewrite_at(result, reference.path, reference, resolve)
    return dict(result)


def _rewrite_at(value: Any, path: tuple[str, ...], reference: Reference, resolve: Resolve) -> Any:
    if not path:
        return _rewrite_value(value, reference, resolve)
    head, rest = path[0], path[1:]
    if head == "*" and isinstance(value, list):
        return [_rewrite_at(item, rest, reference, resolve) for item in value]
    if isinstance(value, Mapping) and head in value:
        return {**value, head: _rewrite_at(value[head], rest, reference, resolve)}
    return value


def _rewrite_value(value: Any, reference: Reference, resolve: Resolve) -> Any:
    if reference.form is Form.ANYWHERE:
        return _rewrite_anywhere(value, resolve, top=True)
    if not isinstance(value, str):
        return value
    if reference.form is Form.LINES:
        return "\n".join(_rewrite_line(line, reference, resolve) for line in value.split("\n"))
    if reference.form is Form.UDF:
        if not value.startswith(_UDF):
            return value
        new = resolve(reference.types, value.removeprefix(_UDF))
        return value if new is None else _UDF + new
    new = resolve(reference.types, value)
    return value if new is None or reference.form is Form.PACKAGE else new


def _rewrite_line(line: str, reference: Reference, resolve: Resolve) -> str:
    source_id, equals, rest = line.partition("=")
    new = resolve(reference.types, source_id.strip()) if equals else None
    return line if new is None else f"{new}={rest}"


def _rewrite_anywhere(value: Any, resolve: Resolve, *, top: bool = False) -> Any:
    if isinstance(value, Mapping):
        # the entity's own identity is not a reference
        own = {"id", "type", "workspaceId", "name"} if top else set()
        return {
            name: item if name in own else _rewrite_anywhere(item, resolve) for name, item in value.items()
        }
    if isinstance(value, list):
        return [_rewrite_anywhere(item, resolve) for item in value]
    new = resolve((), value) if isinstance(value, str) else None
    return value if new is None else new
