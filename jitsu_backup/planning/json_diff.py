"""Differences of JSON values, and values at paths."""

from collections.abc import Iterator, Mapping, Set as AbstractSet
from typing import Any

from jitsu_backup.model import MASK, Path, value_at


def paths_that_differ(desired: Any, live: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the path of every value that `live` lacks, has in addition to `desired`, or that differs.

    Null counts as no value. A masked value equals any secret, even an empty one or null, because it cannot be compared
    [destination/put-masked-keeps-secret, destination/get-empty-password, service/get-null-secret].
    """
    if MASK in (desired, live):
        return
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        for name in sorted({*desired, *live}):
            if name not in live or name not in desired:
                if live.get(name) is not None or desired.get(name) is not None:
                    yield (*at, name)
            else:
                yield from paths_that_differ(desired[name], live[name], (*at, name))
    elif isinstance(desired, list) and isinstance(live, list) and len(desired) == len(live):
        for position, (one, other) in enumerate(zip(desired, live, strict=True)):
            yield from paths_that_differ(one, other, (*at, position))
    elif not _same(desired, live):
        yield at


def differs(one: Any, other: Any) -> bool:
    """Return whether any path differs between two values."""
    return any(True for _ in paths_that_differ(one, other))


def has_value(body: Any, path: Path) -> bool:
    """Return whether there is a value at `path`, including null and empty ones."""
    *above, last = path
    holder = value_at(body, tuple(above))
    if isinstance(holder, list):
        return isinstance(last, int) and last < len(holder)
    return isinstance(holder, Mapping) and last in holder


def without(body: Any, paths: AbstractSet[Path], at: Path = ()) -> Any:
    """Return a copy of `body` without the object keys at `paths`."""
    if isinstance(body, Mapping):
        return {
            name: without(value, paths, (*at, name))
            for name, value in body.items()
            if (*at, name) not in paths
        }
    if isinstance(body, list):
        return [without(item, paths, (*at, position)) for position, item in enumerate(body)]
    return body


def with_values(body: Any, values: Mapping[Path, Any], at: Path = ()) -> Any:
    """Return a copy of `body` with `values` at their paths; the last name of a path may be new."""
    if at in values:
        return values[at]
    if isinstance(body, Mapping):
        known = {name: with_values(value, values, (*at, name)) for name, value in body.items()}
        return known | {
            path[-1]: values[path] for path in values if path[:-1] == at and path[-1] not in known
        }
    if isinstance(body, list):
        return [with_values(item, values, (*at, position)) for position, item in enumerate(body)]
    return body


def with_changes(
    body: Mapping[str, Any], values: Mapping[Path, Any], removed: AbstractSet[Path]
) -> dict[str, Any]:
    """Return a copy of a body with `values` at their paths, and without the `removed` paths."""
    return dict(without(with_values(body, values), removed)) if values or removed else dict(body)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):  # True == 1 is Python's, not JSON's
        return one is other
    if one == other:
        return True
    # the console writes 2026-01-01T00:00:00Z back as 2026-01-01T00:00:00.000Z [profile-builder/list]
    if not (isinstance(one, str) and isinstance(other, str)):
        return False
    return one.endswith("Z") and one.replace(".000Z", "Z") == other.replace(".000Z", "Z")
