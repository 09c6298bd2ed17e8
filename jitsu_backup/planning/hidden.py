"""Hidden values of a redacted folder: `***`, and passwords in URLs, stand for the target's own values."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from jitsu_backup.catalogue import revealed
from jitsu_backup.model import MASK, Path, items_of, members_of, value_at
from jitsu_backup.planning.candidate import Candidate
from jitsu_backup.planning.json_diff import has_value, with_values
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.take import Winner
from jitsu_backup.planning.three_sides import base_of


def settle_hidden(pairs: Pairs, candidate: Candidate) -> tuple[Candidate, frozenset[Path]]:
    """Return a candidate with the target's values for what the folder hides, and the paths for which the target has none.

    Whole values that the target has stay masked. If only the target has changed one, the previous value is filled in, so
    that the change is kept, unless `--take source` applies.
    """
    hidden = pairs.sides.snapshot.hidden.get(candidate.key)
    if hidden is None:
        return candidate, frozenset()
    desired = with_passwords_of(candidate.live, candidate.desired)
    before, fill = base_of(pairs, candidate), {}
    unnamed = set()
    masked = (path for path in hidden if value_at(desired, path) == MASK)
    unclear = [path for path in masked if not _same_place(desired, candidate.live, path)]
    for path in (*unclear, *_partly_masked(desired)):
        text, stood = value_at(desired, path), value_at(before, path)
        unchanged = stood if text == MASK else revealed(text, stood) or MASK
        if (
            _same_place(desired, before, path)
            and unchanged == stood
            and not _is_taken(pairs, candidate, path)
        ):
            fill[path] = stood
        else:
            unnamed.add(path)
    return replace(candidate, desired=with_values(desired, fill)), frozenset(unnamed)


def with_hidden_of(pairs: Pairs, candidate: Candidate) -> Candidate:
    """Return a candidate with the target's values for everything that the folder hides, to replace the target's entity."""
    settled, unnamed = settle_hidden(pairs, candidate)
    hidden = pairs.sides.snapshot.hidden.get(candidate.key, frozenset()) - unnamed
    masked = (path for path in hidden if value_at(settled.desired, path) == MASK)
    own = {path: value_at(candidate.live, path) for path in masked}
    return replace(settled, desired=with_values(settled.desired, own))


def with_passwords_of(own: Any, value: Any) -> Any:
    """Return a value with masks in URLs replaced by the passwords of another value; ambiguous ones stay masked."""
    if isinstance(value, Mapping):
        there = members_of(own)
        return {name: with_passwords_of(there.get(name), item) for name, item in value.items()}
    if isinstance(value, list):
        items = [*items_of(own), *[None] * len(value)]
        return [with_passwords_of(one, item) for one, item in zip(items, value, strict=False)]
    if not isinstance(value, str) or MASK not in value or value == MASK:
        return value
    found = revealed(value, own)
    return value if found is None else found


def _partly_masked(value: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the paths of texts that contain a mask and something else."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _partly_masked(item, (*at, name))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _partly_masked(item, (*at, position))
    elif isinstance(value, str) and MASK in value and value != MASK:
        yield at


def _same_place(desired: Any, other: Any, path: Path) -> bool:
    """Return whether another body has a value at a path, in lists of the same lengths, because otherwise items may not match."""
    lists = [path[:depth] for depth, part in enumerate(path) if isinstance(part, int)]
    as_long = all(len(items_of(value_at(desired, at))) == len(items_of(value_at(other, at))) for at in lists)
    return as_long and has_value(other, path)


def _is_taken(pairs: Pairs, candidate: Candidate, path: Path) -> bool:
    """Return whether the source wins at a path, whatever the target has changed."""
    sides, key = pairs.sides, candidate.key
    return sides.take.winner(sides.sides_of(key, candidate.found), path) is Winner.SOURCE
