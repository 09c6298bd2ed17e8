"""Three-sided merging of JSON values: base, source and target, field by field."""

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jitsu_backup.model import Path
from jitsu_backup.planning.fields import CODE_FIELDS

SET_FIELDS = ("domains", "emails", "events", "functions", "hosts")
"""Lists whose items are identified by their content, not by their position."""

_MISSING = object()
"""Stands for a missing value; null counts as missing too."""


class _Unknown(Mapping[str, Any]):
    """A base of which nothing is known: it differs from every JSON value, at every path."""

    def __getitem__(self, name: str) -> Any:
        return self

    def __iter__(self) -> Iterator[str]:
        return iter(("",))

    def __len__(self) -> int:
        return 1


UNKNOWN = _Unknown()


@dataclass(frozen=True, slots=True)
class Rules:
    """How two values are compared, and what settles a difference, by path.

    `same` returns whether two values at a path are equivalent. `takes_source` means that the source wins wherever the
    target differs, `settles_for_source` that it wins if changes of both sides overlap, `takes_target` that the target wins
    then, and `is_given` that the source wins wherever both changed, because its value is intended for the target.
    """

    same: Callable[[Path, Any, Any], bool]
    takes_source: Callable[[Path], bool] = lambda _: False
    settles_for_source: Callable[[Path], bool] = lambda _: False
    takes_target: Callable[[Path], bool] = lambda _: False
    is_given: Callable[[Path], bool] = lambda _: False


@dataclass(frozen=True, slots=True)
class Merged:
    """The result of a merge: the values that are not the source's, by path, and the fields `removed`.

    `conflicts` are the paths that both sides changed differently; the target's value is kept there.
    """

    values: Mapping[Path, Any]
    removed: frozenset[Path]
    conflicts: tuple[Path, ...]

    @property
    def own(self) -> tuple[Path, ...]:
        """The paths whose values are not the source's, because the target changed them."""
        return tuple(path for path in (*self.values, *self.removed) if path not in self.conflicts)


def merge(base: Any, source: Any, target: Any, rules: Rules) -> Merged:
    """Merge two bodies that both derive from `base`."""
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
    """Yield each path where the result is not the source's value, with the result and whether it is settled."""
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
    elif not rules.settles_for_source(at):
        yield at, target, rules.takes_target(at)


def _both(at: Path, base: Any, source: Any, target: Any, rules: Rules) -> Any:
    """Return the combination of both changes; _MISSING if they overlap."""
    name = at[-1] if at else ""
    sides = (base, source, target)
    if name in SET_FIELDS and all(isinstance(side, list) for side in sides):
        return _merge_sets(at, base, source, target, rules)
    if name in CODE_FIELDS and all(isinstance(side, str) for side in sides):
        return _merge_lines(base, source, target)
    return _MISSING


# -- lists that are sets -------------------------------------------------------


def _merge_sets(at: Path, base: list[Any], source: list[Any], target: list[Any], rules: Rules) -> Any:
    """Return the items of both sides, in the order of the side that changed the order; _MISSING for a conflict.

    It is also a conflict if no item would be left although each side has some.
    """
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
    if not items and mine and theirs:
        return _MISSING
    return _MISSING if order is None else [items[name] for name in order if name in items]


_CONFLICT = object()


def _merge_item(at: Path, base: Any, source: Any, target: Any, rules: Rules) -> Any:
    """Return an item of a set, _MISSING if it is removed, _CONFLICT if both sides changed it."""
    if rules.same(at, _plain(source), _plain(target)) or rules.same(at, _plain(target), _plain(base)):
        return source
    if rules.same(at, _plain(source), _plain(base)):
        return target
    return _CONFLICT


def _by_identity(items: list[Any]) -> dict[Hashable, Any] | None:
    """Return the items by their identity; None if two have the same identity or one has none."""
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
    """Return all names in the order of the side that changed the order; None if both changed it differently."""
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
    """Return a text with the changes of both sides; _MISSING if they overlap or might.

    Repeated lines are never matched by guessing: the texts are aligned at lines that occur once in each.
    """
    sides = [text.splitlines(keepends=True) for text in (base, source, target)]
    fixed = _fixed_lines(*sides)
    merged: list[str] = []
    one_gone, one_new, both_gone, both_new = set[str](), set[str](), set[str](), set[str]()
    for was, mine, theirs in zip(*(_split(side, fixed) for side in sides), strict=True):
        piece = theirs if mine in (theirs, was) else mine
        if theirs not in (piece, was):
            return _MISSING
        gone, new = (both_gone, both_new) if mine == theirs else (one_gone, one_new)
        gone.update(Counter(was) - Counter(piece))
        new.update(Counter(piece) - Counter(was))
        merged += piece
    moved = (
        both_gone & one_new or both_new & one_gone
    )  # perhaps by one side, while the other deleted or added it
    return _MISSING if moved else "".join(merged)


def _fixed_lines(*sides: list[str]) -> set[str]:
    """Return the lines that occur once in each of the three texts and in the same order."""
    common = set.intersection(*({line for line, n in Counter(side).items() if n == 1} for side in sides))
    fixed: set[str] = set()
    apart: set[tuple[str, str]] = set()
    for base, source, target in zip(
        *([line for line in side if line in common] for side in sides), strict=True
    ):
        if base == source == target and not apart:
            fixed.add(base)
        apart ^= {("source", base)} ^ {("source", source)} ^ {("target", base)} ^ {("target", target)}
    return fixed


def _split(lines: list[str], at: Collection[str]) -> list[list[str]]:
    """Split the lines before each one in `at`."""
    pieces: list[list[str]] = [[]]
    for line in lines:
        if line in at:
            pieces.append([])
        pieces[-1].append(line)
    return pieces


def _plain(value: Any) -> Any:
    return None if value is _MISSING else value
