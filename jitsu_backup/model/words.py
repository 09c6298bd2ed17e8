"""Words for people."""

from collections.abc import Sequence


def some_of(found: Sequence[str], most: int, between: str = ", ") -> str:
    """Give the first `most` of what was found, and how many more there are."""
    more = len(found) - most
    return between.join(found[:most]) + (f" and {more} more" if more > 0 else "")
