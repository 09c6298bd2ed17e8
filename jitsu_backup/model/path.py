"""Paths: where a value stands in a body."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]
"""Where a value stands in a body: object keys and list positions."""


def format_path(path: Path) -> str:
    """Return a path as `credentials.tunnel_method.ssh_key`, the form used in ledgers and overlays."""
    return ".".join(str(part) for part in path)


def paths_inside(value: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the path of everything inside `value`: of each member and item, at every depth."""
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for part, item in items:
        yield (*at, part)
        yield from paths_inside(item, (*at, part))


def value_at(value: Any, path: Path) -> Any:
    """Return the value at a path; None if there is none."""
    for part in path:
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and part < len(value) else None
        else:
            value = value.get(part) if isinstance(value, Mapping) else None
    return value


def replaced_at(value: Any, path: Path, new: Any) -> Any:
    """Return a copy of `value` with `new` at a path that exists."""
    if not path:
        return new
    head, rest = path[0], path[1:]
    if isinstance(value, list) and isinstance(head, int):
        return [*value[:head], replaced_at(value[head], rest, new), *value[head + 1 :]]
    return {**value, head: replaced_at(value[head], rest, new)}
