"""Of many links between the same ends, each is compared with the few that may be the same."""

from typing import Any

import pytest

from jitsu_backup.model import Entity, Key
from jitsu_backup.planning import make_plan
from jitsu_backup.planning.likeness import ALL_PAIRS, LikelyLinks
from tests.planning.scenarios.scenario import BASE, in_place, sync, with_

OTHER = Key("link", "other")
MOST = 16


def likely(*data: Any) -> LikelyLinks:
    return LikelyLinks([Entity(Key("link", f"l{at}"), {"data": one}) for at, one in enumerate(data)])


def unlike(count: int) -> list[Any]:
    """Data of links that share nothing."""
    return [{"own": number} for number in range(count)]


def places(links: LikelyLinks, data: Any, key: Key = OTHER) -> list[int]:
    found = links.of(key, data)
    assert [link.key.id for _, link in found] == [f"l{at}" for at, _ in found]
    return [at for at, _ in found]


def test_few_are_all_compared_and_many_only_where_something_is_alike() -> None:
    assert places(likely(*unlike(ALL_PAIRS)), {"a": "x"}) == [*range(ALL_PAIRS)]
    assert places(likely(*unlike(ALL_PAIRS + 1)), {"a": "x"}) == []
    assert places(likely(*unlike(ALL_PAIRS + 1)), None) == []


def test_the_one_with_the_same_id_comes_first_then_those_of_equal_data_then_the_rarest() -> None:
    links = likely(*unlike(ALL_PAIRS), {"a": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": 3}, {"b": 3})
    first = ALL_PAIRS
    assert places(links, {"a": 1}, Key("link", "l7")) == [7, first, first + 1, first + 2]
    assert places(links, {"a": 1, "b": 2}) == [first + 1, first, first + 2]
    assert places(links, {"a": 5, "b": 3}) == [first + 2, first + 3, first + 4]
    assert places(links, {"a": 1, "b": 9}) == [first, first + 1, first + 2]


def test_no_more_than_sixteen_are_compared_and_the_rarest_values_choose_them() -> None:
    links = likely(*unlike(ALL_PAIRS), *[{"common": 1}] * 20, *[{"rare": 1}] * 3)
    common, rare = [*range(ALL_PAIRS, ALL_PAIRS + 20)], [*range(ALL_PAIRS + 20, ALL_PAIRS + 23)]
    assert places(links, {"common": 1, "rare": 1}) == [*rare, *common[: MOST - 3]]
    assert places(links, {"common": 1, "rare": 1}, Key("link", "l0")) == [0, *rare, *common[: MOST - 4]]
    links = likely(*unlike(ALL_PAIRS), *[{"common": 1}] * 17, *[{"common": 1, "rare": 1}] * 17)
    assert len(places(links, {"common": 1, "rare": 1})) == MOST


def test_a_value_that_more_than_sixty_four_have_tells_nothing_unless_all_data_are_equal() -> None:
    assert len(places(likely({}, *[{"a": 1, "n": n} for n in range(ALL_PAIRS)]), {"a": 1})) == MOST
    many = [{"a": 1, "n": n} for n in range(ALL_PAIRS + 1)]
    assert places(likely(*many), {"a": 1}) == []
    ones, noughts = [{"a": 1, "b": 1}] * (ALL_PAIRS + 1), [{"a": 0, "b": 0}] * (ALL_PAIRS + 1)
    assert places(likely(*ones, *noughts, {"b": 0, "a": 1}), {"a": 1, "b": 0}) == [2 * ALL_PAIRS + 2]


@pytest.mark.parametrize(
    ("there", "asked", "alike"),
    [
        ({"a": {"b": [5, {"c": "x"}]}}, {"a": {"b": [6, {"c": "x"}]}}, True),
        ({"a": {"b": "x"}}, {"a": "x"}, False),
        ({"a": "x"}, {"b": "x"}, False),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}, False),
        ({"a": ["x", "y"]}, {"a": ["z", "y"]}, True),
        ({"a": "2026-01-01T00:00:00.000Z"}, {"a": "2026-01-01T00:00:00Z", "b": 1}, True),
        ({"a": 1}, {"a": True, "b": 1}, False),
        ({"a": 1}, {"a": "1", "b": 1}, False),
        ({"a": None, "b": 2}, {"a": None, "b": 3}, False),
        ({"a": None}, {}, True),
        (None, {}, True),
    ],
)  # fmt: skip
def test_values_are_alike_at_the_same_place_and_of_the_same_kind(there: Any, asked: Any, alike: bool) -> None:
    links = likely(*unlike(ALL_PAIRS), there)
    assert places(links, asked) == ([ALL_PAIRS] if alike else [])


@pytest.mark.parametrize("others", [2, ALL_PAIRS])
def test_what_is_paired_is_compared_no_more(others: int) -> None:
    links = likely({"a": 1}, {"a": 1, "b": 2}, *unlike(others))
    (at, link), *_ = links.of(OTHER, {"a": 1})
    assert at == 0
    links.take(link)
    assert 0 not in places(links, {"a": 1})
    assert 0 not in places(links, {}, link.key)
    assert places(links, {"a": 1})[0] == 1


def test_a_value_becomes_telling_when_enough_of_its_links_are_paired() -> None:
    links = likely(*[{"a": 1, "n": n} for n in range(ALL_PAIRS + 1)])
    assert places(links, {"a": 1}) == []
    links.take(links.left[Key("link", "l0")][1])
    assert places(links, {"a": 1}) == [*range(1, MOST + 1)]


def test_many_syncs_between_the_same_ends_are_each_paired_with_the_one_most_like_it() -> None:
    def syncs(prefix: str, **more: Any) -> list[dict[str, Any]]:
        return [sync(f"{prefix}{n}", "crm-1", "db-1", {"table": f"t{n}", **more}) for n in range(70)]

    scenario = in_place(with_(BASE, link=syncs("a")), with_(BASE, link=syncs("b", schedule="1")[::-1]))
    ids = make_plan(scenario.snapshot, scenario.live, scenario.options).ids
    assert {key.id: new for key, new in ids.items() if key.type == "link"} == {
        f"a{n}": f"b{n}" for n in range(70)
    }


def test_many_syncs_between_the_same_ends_keep_their_ids_whatever_changed() -> None:
    before, now = ([sync(f"y{n}", "crm-1", "db-1", {part: n}) for n in range(70)] for part in ("a", "b"))
    scenario = in_place(with_(BASE, link=before), with_(BASE, link=now[::-1]))
    plan = make_plan(scenario.snapshot, scenario.live, scenario.options)
    assert {key.id: new for key, new in plan.ids.items() if key.type == "link"} == {
        f"y{n}": f"y{n}" for n in range(70)
    }


def test_many_syncs_that_share_nothing_are_changed_and_none_is_made_beside_them() -> None:
    before = [sync(f"a{n}", "crm-1", "db-1", {"a": n}) for n in range(70)]
    live = [sync(f"b{n}", "crm-1", "db-1", {"b": n}) for n in range(70)]
    scenario = in_place(with_(BASE, link=before), with_(BASE, link=live))
    plan = make_plan(scenario.snapshot, scenario.live, scenario.options)
    assert (plan.counts()["update"], plan.counts()["create"]) == (70, 0)


def test_of_two_that_are_equally_unlike_the_older_one_is_paired() -> None:
    old = sync("z", "crm-1", "db-1", {"schedule": "1"}, createdAt="2026-01-01T00:00:00.000Z")
    new = sync("a", "crm-1", "db-1", {"schedule": "2"}, createdAt="2026-02-01T00:00:00.000Z")
    live = sync("live", "crm-1", "db-1", {"schedule": "3"})
    scenario = in_place(with_(BASE, link=[new, old]), with_(BASE, link=[live]))
    ids = make_plan(scenario.snapshot, scenario.live, scenario.options).ids
    assert (ids[Key("link", "z")], Key("link", "a") in ids) == ("live", False)


def test_a_cursor_counts_as_much_as_a_field_in_how_unlike_two_syncs_are() -> None:
    before = sync("y", "crm-1", "db-1", {"a": 1, "b": 1, "c": 1})
    one_field = sync("x1", "crm-1", "db-1", {"a": 1, "b": 1, "c": 2})
    two_fields = sync("x2", "crm-1", "db-1", {"a": 1, "b": 2, "c": 2})
    scenario = in_place(
        with_(BASE, link=[before]),
        with_(BASE, link=[one_field, two_fields]),
        of_live={"cursors": {"x1": {"users": "1", "orders": "1"}}},
    )
    ids = make_plan(scenario.snapshot, scenario.live, scenario.options).ids
    assert ids[Key("link", "y")] == "x2"
