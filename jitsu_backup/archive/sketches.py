"""How much two archives differ, told by their names: counts, and a sketch of the entities."""

import hashlib
from collections.abc import Iterable

from jitsu_backup.archive.filename import ArchiveName
from jitsu_backup.model import Entity, canonical

BUCKETS = 16
"""Hex digits of a sketch."""


def sketch(entities: Iterable[Entity]) -> str:
    """Return 16 hex digits that tell of entities: each entity falls into a bucket by its key, and each bucket has a digit.

    A digit is 4 bits of the XOR of the hashes of its entities. So as many entities at least differ as digits do, and
    where one does, its digit stays the same once in 16 times.
    """
    digits = [0] * BUCKETS
    for entity in entities:
        key = canonical([entity.key.type, entity.key.id])
        whole = hashlib.sha256(key + canonical(entity.body)).digest()
        digits[hashlib.sha256(key).digest()[0] % BUCKETS] ^= whole[0] % 16
    return "".join(f"{digit:x}" for digit in digits)


def least_changed(earlier: ArchiveName, later: ArchiveName) -> int:
    """Return how many entities differ between two archives at least, as far as their names tell."""
    return max(digits_changed(earlier.sketch, later.sketch), _by_counts(earlier, later))


def digits_changed(earlier: str | None, later: str | None) -> int:
    """Return how many digits of two sketches differ; 0 where one of them is not known."""
    if earlier is None or later is None:
        return 0
    return sum(one != other for one, other in zip(earlier, later, strict=True))


def _by_counts(earlier: ArchiveName, later: ArchiveName) -> int:
    if earlier.total is None or later.total is None:
        return 0
    # what a name does not count by type, for it is old or has no room, may be of any type that it does not name
    rest_before = earlier.total - sum(earlier.counts.values())
    rest_after = later.total - sum(later.counts.values())
    both = earlier.counts.keys() & later.counts.keys()
    known = sum(abs(earlier.counts[name] - later.counts[name]) for name in both)
    gone = sum(count for name, count in earlier.counts.items() if name not in both) - rest_after
    come = sum(count for name, count in later.counts.items() if name not in both) - rest_before
    return max(known + max(0, gone) + max(0, come), abs(earlier.total - later.total))
