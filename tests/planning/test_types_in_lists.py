"""Reverse syncs stand in the list of links: which type an item has, and what a person named it."""

from typing import Any

import pytest

from jitsu_backup.catalogue.links import given_names
from jitsu_backup.catalogue.table import offered_with, type_in_list, types_in_lists
from jitsu_backup.model import Key
from tests.support import make_snapshot


@pytest.mark.parametrize(
    ("listed", "own", "kind"),
    [
        ("link", "reverse-sync", "reverse-sync"),
        ("link", "push", "link"),
        ("link", None, "link"),
        ("stream", "reverse-sync", "stream"),
    ],
)
def test_an_item_of_a_list_is_of_its_own_type_where_that_is_listed_there(
    listed: str, own: Any, kind: str
) -> None:
    assert type_in_list(listed, {"type": own}) == kind


def test_reverse_syncs_stand_in_the_list_of_links_where_the_console_has_models() -> None:
    assert types_in_lists(["link", "model"]) == ["link", "model", "reverse-sync"]
    assert types_in_lists(["link"]) == ["link"]
    assert types_in_lists(["model"]) == ["model"]
    assert (offered_with("model"), offered_with("link")) == (["reverse-sync"], [])


def test_the_first_snapshot_tells_what_a_person_named_a_reverse_sync() -> None:
    named: list[dict[str, Any]] = [{"id": one, "data": {"name": one.title()}} for one in ("first", "second")]
    first = make_snapshot({"reverse-sync": [*named, {"id": "none", "data": {"name": 5}}], "stream": named})
    later = make_snapshot({"reverse-sync": [{"id": one["id"], "data": {"name": "x"}} for one in named]})
    expected = {Key("reverse-sync", "first"): "First", Key("reverse-sync", "second"): "Second"}
    assert given_names(first, later) == expected
    assert given_names(later, first) == dict.fromkeys(expected, "x")
