"""Derived ids: a second run finds what an earlier one made, whatever id it got."""

import pytest

from jitsu_backup.catalogue.derived_ids import (
    KnownIds,
    derived_id,
    id_from_request,
    request_id,
    request_id_for,
)


@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize("second", [0, 1, 15])
def test_what_was_recreated_of_what_was_made_is_known_by_the_first_source(first: int, second: int) -> None:
    child = derived_id("w", "stream", "source", first)
    grandchild = derived_id("w", "stream", child, second)
    known = KnownIds("w", "stream", ["source", grandchild])
    assert known.derived_of("source") == []
    assert known.descended_from("source") == [grandchild]
    assert known.descended_from("source", [child]) == []
    for other in (KnownIds("other", "stream", [grandchild]), KnownIds("w", "function", [grandchild])):
        assert other.descended_from("source") == []


@pytest.mark.parametrize("attempt", [0, 15])
def test_the_request_that_makes_a_reverse_sync_is_known_by_the_id_that_it_gives(attempt: int) -> None:
    request = request_id("w", "reverse-sync", "source", attempt)
    made = derived_id("w", "reverse-sync", "source", attempt)
    assert made == id_from_request("w", request)
    assert request_id_for("w", "reverse-sync", "source", made) == request
    assert request_id_for("w", "reverse-sync", "other", made) is None
