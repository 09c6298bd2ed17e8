"""What `--prune` takes, what it leaves, and what stops it, in words that tell what to do."""

from typing import Any

import pytest

from jitsu_backup.planning import Action, ActionKind, mostly_gone
from tests.planning.scenarios.scenario import (
    BASE,
    DB,
    ENRICH,
    WEB,
    Lists,
    db,
    in_place,
    link,
    plan_of,
    with_,
)


def pruned(before: Lists, live: Lists, **options: Any) -> dict[str, tuple[ActionKind, str]]:
    """What becomes of all that only the target has: the kind of its action and the reason."""
    plan = plan_of(in_place(before, live, prune=True, **options))
    keys = {(name, body["id"]) for name, bodies in before.items() for body in bodies}
    return {str(a.key): (a.kind, a.reason) for a in plan.actions if tuple(a.key) not in keys}


def functions(*names: str) -> list[dict[str, Any]]:
    return [{"id": name, "name": name.title(), "code": "x"} for name in names]


BLOCKED = "--prune would delete {}; add --accept-shrink to allow it"
GONE = (ActionKind.DELETE, "not in the snapshot")


def test_more_than_half_of_the_four_of_a_type_is_deleted_only_when_that_is_said_to_be_meant() -> None:
    live = with_(BASE, function=[ENRICH, *functions("a", "b", "c")], destination=[DB, db("old")])
    braked = (ActionKind.BLOCKED, BLOCKED.format("3 of the 4 function entities"))
    three = {f"function/{name}": braked for name in ("a", "b", "c")}
    assert pruned(BASE, live) == {**three, "destination/old": GONE}
    assert pruned(BASE, live, accept_shrink=True) == {**dict.fromkeys(three, GONE), "destination/old": GONE}


def test_half_of_a_type_is_deleted_and_so_is_all_but_one_of_three() -> None:
    half = with_(BASE, function=[ENRICH, *functions("a", "b", "c")], destination=[DB, db("x"), db("y")])
    before = with_(BASE, function=[ENRICH, *functions("a")])
    taken = ("function/b", "function/c", "destination/x", "destination/y")
    assert pruned(before, half) == dict.fromkeys(taken, GONE)


def test_where_more_than_half_of_all_would_go_every_deletion_is_blocked() -> None:
    live: Lists = {"stream": [WEB], "destination": [db("x"), db("y")], "function": functions("a")}
    braked = (ActionKind.BLOCKED, BLOCKED.format("3 of the 4 entities"))
    taken = ("destination/x", "destination/y", "function/a")
    assert pruned({"stream": [WEB]}, live) == dict.fromkeys(taken, braked)


def test_what_jitsu_provisioned_makes_no_deletion_look_small() -> None:
    given = [db(f"given-{number}", provisioned=True) for number in range(4)]
    maybe = db("maybe", provisioned=False)
    live = with_(BASE, destination=[DB, *given, maybe, db("x"), db("y")])
    braked = (ActionKind.BLOCKED, BLOCKED.format("3 of the 4 destination entities"))
    assert pruned(BASE, live) == {f"destination/{name}": braked for name in ("maybe", "x", "y")}


def test_connections_that_lost_an_end_go_uncounted() -> None:
    ends = {"stream": [WEB, *({**WEB, "id": f"web-{n}", "name": str(n)} for n in range(2, 5))]}
    before = with_(BASE, **ends, link=[link("l1", "web-1", "db-1")])
    dead = [link(f"dead-{n}", "web-1", f"gone-{n}") for n in range(4)]
    more = [link(f"l{n}", f"web-{n}", "db-1") for n in range(2, 5)]
    braked = (ActionKind.BLOCKED, BLOCKED.format("3 of the 4 link entities"))
    assert pruned(before, with_(before, link=[*before["link"], *dead, *more])) == {
        **{f"link/dead-{n}": GONE for n in range(4)},
        **{f"link/l{n}": braked for n in range(2, 5)},
    }
    assert pruned(before, with_(before, link=[*before["link"], *dead])) == {
        f"link/dead-{n}": GONE for n in range(4)
    }


def test_what_is_recreated_elsewhere_does_not_count_as_gone() -> None:
    names = ("a", "b", "c", "d")
    before: Lists = {"destination": [db(name, host="h") for name in names]}
    live: Lists = {"destination": [db(name, host="h", mode="a", apiKey="shown") for name in names]}
    plan = plan_of(in_place(before, live, prune=True, recreate=True))
    assert plan.counts() == {**dict.fromkeys(plan.counts(), 0), "create": 4, "delete": 4}


@pytest.mark.parametrize(
    ("had", "taken", "told"),
    [
        ({"a": 4, "b": 9}, {"a": 3}, {"a": "3 of the 4 a entities"}),
        ({"a": 4, "b": 9}, {"a": 2}, {}),
        ({"a": 3, "b": 9}, {"a": 3}, {}),
        ({"a": 4, "b": 2}, {"a": 3, "b": 1}, dict.fromkeys("ab", "4 of the 6 entities")),
        ({"a": 2, "b": 2}, {"a": 1, "b": 1}, {}),
        ({"a": 2, "b": 1}, {"a": 2, "b": 1}, {}),
    ],
)  # fmt: skip
def test_most_is_more_than_half_of_at_least_four(had: Any, taken: Any, told: Any) -> None:
    assert mostly_gone(had, taken) == told


@pytest.mark.parametrize("one", [".", ".."])
def test_what_no_path_can_name_is_left_and_says_so(one: str) -> None:
    live = with_(BASE, function=[ENRICH, {"id": one, "name": "Dots", "code": "x"}])
    plan = plan_of(in_place(BASE, live, prune=True))
    reason = (
        f"not in the snapshot, but the console's API cannot address the id '{one}', so it cannot be deleted"
    )
    (left,) = (action for action in plan.actions if action.key.id == one)
    assert left == Action(ActionKind.SKIPPED, left.key, "Dots", one, reason)
    assert str(left.key) == f"function/{one}"


def test_a_link_is_deleted_whatever_its_id_because_no_path_names_it() -> None:
    live = with_(BASE, destination=[DB, db("db-2")], link=[*BASE["link"], link(".", "web-1", "db-2")])
    assert pruned(with_(BASE, destination=[DB, db("db-2")]), live) == {"link/.": GONE}


def test_three_of_many_users_are_named_where_a_deletion_is_blocked_and_the_others_are_counted() -> None:
    streams = [{**WEB, "id": f"web-{n}", "name": f"Web {n}"} for n in range(1, 5)]
    before = with_(BASE, stream=streams)
    links = [link(f"old-{n}", f"web-{n}", "old") for n in range(1, 5)]
    live = with_(before, destination=[DB, db("old")], link=[*BASE["link"], *links])
    three = ", ".join(f"link 'Web {n} → Old'" for n in range(1, 4))
    way = "keep this one with --skip=destination/old, or change or delete what uses it"
    assert pruned(before, live, only=("destination",)) == {
        "destination/old": (ActionKind.BLOCKED, f"{three} and 1 more use it and stay: {way}")
    }
    live = with_(live, link=[*BASE["link"], *links[:1]])
    assert pruned(before, live, only=("destination",)) == {
        "destination/old": (ActionKind.BLOCKED, f"link 'Web 1 → Old' uses it and stays: {way}")
    }
