"""Three-sided merging of JSON values: base, source and target, field by field."""

import difflib
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jitsu_backup.model import Path
from jitsu_backup.planning.fields import CODE_FIELDS

SET_FIELDS = ("domains", "emails", "events", "functions", "hosts")
"""Lists whose items are told apart by what they are, and not by where they stand."""

_MISSING = object()
"""Stands for a value where there is none; null counts as none too."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How two values are compared, and what settles a difference: both are asked with a path.

    `same` returns whether two values at a path mean the same. `takes_source` says that the source wins wherever the target
    differs, `takes_target` that the target wins where both sides changed, and `is_given` that the source wins there
    otherwise, because its value is meant for the target.
    """

    same: Callable[[Path, Any, Any], bool]
    takes_source: Callable[[Path], bool] = lambda _: False
    takes_target: Callable[[Path], bool] = lambda _: False
    is_given: Callable[[Path], bool] = lambda _: False


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a merge: by path, each value that is not the source's; a field that goes is in `removed`.

    `conflicts` are the paths that both sides changed in different ways; there the target's value stays.
    """

    values: Mapping[Path, Any]
    removed: frozenset[Path]
    conflicts: tuple[Path, ...]

    @property
    def own(self) -> tuple[Path, ...]:
        """The paths whose values are not the source's, because the target changed them."""
        return tuple(path for path in (*self.values, *self.removed) if path not in self.conflicts)


def merge(base: Any, source: Any, target: Any, rules: Rules) -> Merged:
    """Merge two bodies that were equal to `base` once."""
    values: dict[Path, Any] = {}
    removed: set[Path] = set()
    conflicts: list[Path] = []
    for path, value, settled in _differences((), base, source, target, rules):
        if value is _MISSING:
            removed.add(path)
        else:
            values[path] = value
        if not settled:
            conflicts.append(path)
    return Merged(values, frozenset(removed), tuple(conflicts))


def _differences(
    at: Path, base: Any, source: Any, target: Any, rules: Rules
) -> Iterator[tuple[Path, Any, bool]]:
    """Yield each path where the result is not the source's value, with the result, and whether that is settled."""
    if rules.same(at, _plain(source), _plain(target)):
        return
    if isinstance(source, Mapping) and isinstance(target, Mapping):
        before = base if isinstance(base, Mapping) else {}
        for name in sorted({*source, *target}):
            was, mine, theirs = (side.get(name, _MISSING) for side in (before, source, target))
            yield from _differences((*at, name), was, mine, theirs, rules)
        return
    if rules.takes_source(at):
        return
    if rules.same(at, _plain(source), _plain(base)):
        yield at, target, True
        return
    if rules.same(at, _plain(target), _plain(base)):
        return
    if rules.is_given(at) and not rules.takes_target(at):
        return
    merged = _both(at, base, source, target, rules)
    if merged is not _MISSING:
        yield at, merged, True
    else:
        yield at, target, rules.takes_target(at)


def _both(at: Path, base: Any, source: Any, target: Any, rules: Rules) -> Any:
    """Return what both changes make together; _MISSING where they touch each other."""
    name = at[-1] if at else ""
    sides = (base, source, target)
    if name in SET_FIELDS and all(isinstance(side, list) for side in sides):
        return _merge_sets(at, base, source, target, rules)
    if name in CODE_FIELDS and all(isinstance(side, str) for side in sides):
        return _merge_lines(base, source, target)
    return _MISSING


# -- lists that are sets -------------------------------------------------------


def _merge_sets(at: Path, base: list[Any], source: list[Any], target: list[Any], rules: Rules) -> Any:
    """Return the items of both sides, in the order of the side that changed it; _MISSING for a conflict."""
    known, mine, theirs = (_by_identity(side) for side in (base, source, target))
    if known is None or mine is None or theirs is None:
        return _MISSING
    items: dict[Hashable, Any] = {}
    for name in dict.fromkeys((*mine, *theirs)):
        was, one, other = (side.get(name, _MISSING) for side in (known, mine, theirs))
        found = _merge_item(at, was, one, other, rules)
        if found is _CONFLICT:
            return _MISSING
        if found is not _MISSING:
            items[name] = found
    order = _merge_order(list(known), list(mine), list(theirs))
    return _MISSING if order is None else [items[name] for name in order if name in items]


_CONFLICT = object()


def _merge_item(at: Path, base: Any, source: Any, target: Any, rules: Rules) -> Any:
    """Return an item of a set, _MISSING where it goes, _CONFLICT where both sides changed it."""
    if rules.same(at, _plain(source), _plain(target)) or rules.same(at, _plain(target), _plain(base)):
        return source
    if rules.same(at, _plain(source), _plain(base)):
        return target
    return _CONFLICT


def _by_identity(items: list[Any]) -> dict[Hashable, Any] | None:
    """Return the items by what tells them apart; None where two are the same or one cannot be told."""
    found: dict[Hashable, Any] = {}
    for item in items:
        name = item.get("functionId") or item.get("id") if isinstance(item, Mapping) else item
        if not isinstance(name, str | int) or name in found:
            return None
        found[name] = item
    return found


def _merge_order(
    base: list[Hashable], source: list[Hashable], target: list[Hashable]
) -> list[Hashable] | None:
    """Return all names in the order of the side that changed it; None where both did, in different ways."""
    common = {*base} & {*source} & {*target}
    was, mine, theirs = ([name for name in side if name in common] for side in (base, source, target))
    if mine != was and theirs not in (was, mine):
        return None
    lead, other = (target, source) if mine == was else (source, target)
    order = list(lead)
    for place, name in enumerate(other):
        if name not in order:
            before = next((one for one in reversed(other[:place]) if one in order), None)
            order.insert(0 if before is None else order.index(before) + 1, name)
    return order


# -- programs ------------------------------------------------------------------


def _merge_lines(base: str, source: str, target: str) -> Any:
    """Return a text with the changes of both sides, line by line; _MISSING where they touch each other."""
    one, mine, theirs = (text.splitlines(keepends=True) for text in (base, source, target))
    merged: list[str] = []
    done = (0, 0, 0)
    for start, end in _kept_by_both(one, mine, theirs):
        pieces = one[done[0] : start[0]], mine[done[1] : start[1]], theirs[done[2] : start[2]]
        piece = _merge_piece(*pieces)
        if piece is None:
            return _MISSING
        merged += [*piece, *one[start[0] : end[0]]]
        done = end
    return "".join(merged)


def _merge_piece(base: list[str], source: list[str], target: list[str]) -> list[str] | None:
    if source in (target, base):
        return target
    return source if target == base else None


_Place = tuple[int, int, int]


def _kept_by_both(base: list[str], source: list[str], target: list[str]) -> Iterator[tuple[_Place, _Place]]:
    """Yield where a run of lines that neither side changed begins and ends in each of the three; the last is empty."""
    mine, theirs = (
        difflib.SequenceMatcher(None, base, side, autojunk=False).get_matching_blocks()
        for side in (source, target)
    )
    at, beside = 0, 0
    while at < len(mine) and beside < len(theirs):
        one, other = mine[at], theirs[beside]
        start = max(one.a, other.a)
        end = min(one.a + one.size, other.a + other.size)
        if start < end:
            first = (start, one.b + start - one.a, other.b + start - other.a)
            size = end - start
            yield first, (first[0] + size, first[1] + size, first[2] + size)
        if one.a + one.size < other.a + other.size:
            at += 1
        else:
            beside += 1
    whole = (len(base), len(source), len(target))
    yield whole, whole


def _plain(value: Any) -> Any:
    return None if value is _MISSING else value
