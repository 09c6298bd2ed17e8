"""When an entity was last saved, as its console tells: by the later side, never from before it changed."""

from datetime import UTC, datetime
from typing import Any

import pytest

from jitsu_backup.model import Entity, Key
from jitsu_backup.operations.diff import Side, diff
from jitsu_backup.planning.changes import last_saved
from tests.support import MOMENT, make_snapshot

LATER = "2026-11-23T19:30:00.250Z"
SINCE = datetime(2026, 11, 23, 19, tzinfo=UTC)


def saved(*bodies: dict[str, Any]) -> str | None:
    found = last_saved([Entity(Key("function", "f"), body) for body in bodies], SINCE)
    return None if found is None else found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize(
    "nothing", [None, "", "yesterday", 7, "2026-11-23T19:30:00", "2026-01-01T00:00:00.000Z", []]
)
def test_what_says_nothing_of_the_change_is_left_out(nothing: Any) -> None:
    assert saved({"updatedAt": nothing}) is None
    assert saved({}) is None
    assert saved({"updatedAt": nothing}, {"updatedAt": LATER}) == LATER


def test_the_later_side_tells_in_whichever_order() -> None:
    sides = [{"updatedAt": LATER}, {"updatedAt": "2026-11-23T19:10:00.000Z"}]
    assert saved(*sides) == saved(*reversed(sides)) == LATER


def test_a_builder_was_saved_when_its_function_was() -> None:
    functions = [{"function": {"updatedAt": LATER}}, {"function": 7}, None]
    assert saved({"updatedAt": "2026-01-01T00:00:00.000Z", "functions": functions}) == LATER


def test_a_comparison_tells_it_of_what_is_still_there() -> None:
    assert MOMENT == SINCE

    def side(**bodies: str) -> Side:
        return Side(
            make_snapshot({"function": [{"id": n, "code": c, "updatedAt": LATER} for n, c in bodies.items()]})
        )

    changes = diff(side(a="1", gone="1"), side(a="2", new="1")).entities
    assert {change.name: change.saved_at is not None for change in changes} == {
        "a": True,
        "gone": False,
        "new": True,
    }
