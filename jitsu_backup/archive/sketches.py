"""How much two archives differ, judged only by their names: counts, and a sketch of the entities."""

import hashlib
from collections.abc import Iterable

from jitsu_backup.archive.filename import ArchiveName
from jitsu_backup.catalogue import counts_by_list, listed_under
from jitsu_backup.model import Entity, canonical

BUCKETS = 16
"""The number of hex digits in a sketch."""


def sketch(entities: Iterable[Entity]) -> str:
    """Return 16 hex digits that summarise entities. The key of an entity determines its bucket; each bucket has a digit.

    A digit is 4 bits of the XOR of the hashes of its entities. At least as many entities differ as digits do. The digit of
    a changed entity stays the same one time in 16. Keys use the type of the list that contains the entity, so the same
    workspace has the same sketch in every format.
    """
    digits = [0] * BUCKETS
    for entity in entities:
        key = canonical([listed_under(entity.key.type), entity.key.id])
        whole = hashlib.sha256(key + canonical(entity.body)).digest()
        digits[hashlib.sha256(key).digest()[0] % BUCKETS] ^= whole[0] % 16
    return "".join(f"{digit:x}" for digit in digits)


def least_changed(earlier: ArchiveName, later: ArchiveName) -> int:
    """Return the minimum number of entities that differ between two archives, judged by their names."""
    return max(digits_changed(earlier.sketch, later.sketch), _by_counts(earlier, later))


def digits_changed(earlier: str | None, later: str | None) -> int:
    """Return how many digits of two sketches differ, or 0 if one of them is None."""
    if earlier is None or later is None:
        return 0
    return sum(one != other for one, other in zip(earlier, later, strict=True))


def _by_counts(earlier: ArchiveName, later: ArchiveName) -> int:
    if earlier.total is None or later.total is None:
        return 0
    # entities that a name does not count by type (it is old or too long) may be of any type missing in it
    rest_before = earlier.total - sum(earlier.counts.values())
    rest_after = later.total - sum(later.counts.values())
    before, after = earlier.counts, later.counts
    if not rest_before and not rest_after:  # formats 1 and 2 count reverse syncs among the links
        before, after = counts_by_list(before), counts_by_list(after)
    both = before.keys() & after.keys()
    known = sum(abs(before[name] - after[name]) for name in both)
    gone = sum(count for name, count in before.items() if name not in both) - rest_after
    come = sum(count for name, count in after.items() if name not in both) - rest_before
    return max(known + max(0, gone) + max(0, come), abs(earlier.total - later.total))
