"""Derived ids: a second run finds what an earlier one made, whatever id it got."""

import pytest

from jitsu_backup.catalogue.derived_ids import KnownIds, derived_id


@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize("second", [0, 1, 15])
def test_what_was_made_again_of_what_was_made_is_known_by_the_first_source(first: int, second: int) -> None:
    child = derived_id("w", "stream", "source", first)
    grandchild = derived_id("w", "stream", child, second)
    known = KnownIds("w", "stream", ["source", grandchild])
    assert known.derived_of("source") == []
    assert known.descended_from("source") == [grandchild]
    assert known.descended_from("source", [child]) == []
    for other in (KnownIds("other", "stream", [grandchild]), KnownIds("w", "function", [grandchild])):
        assert other.descended_from("source") == []
