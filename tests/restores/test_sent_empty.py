"""Secrets that nobody had are sent empty, and a console hides them as any other: the record of a clone knows them."""

import pytest

from jitsu_backup.model import Key
from jitsu_backup.operations.restore import Result
from jitsu_backup.planning import Overlay, UnreadSecret, parse_overlay
from jitsu_backup.sandbox import Generation
from tests.promotions import Promotion, edit, key_named, promotion

GIVEN = parse_overlay({"destination/ClickHouse": {"password": "of-the-vault"}})


def staging() -> Promotion:
    return promotion(Generation.JULY_2026)


def clone(made: Promotion, overlay: Overlay | None = None, **options: tuple[str, ...]) -> Result:
    return made.clone(overlay=overlay or Overlay(), allow_missing_secrets=True, **options)


def click_house(made: Promotion) -> Key:
    return key_named(made.snapshot(), "destination", "ClickHouse")


def password(made: Promotion) -> str:
    found: str = made.target.state.objects[made.id_in_target(click_house(made))].config["password"]
    return found


def told(result: Result) -> list[str]:
    return [one.reason for one in result.found if (one.name, one.path) == ("ClickHouse", "password")]


def test_an_empty_secret_is_reported_by_each_clone_and_sent_once_it_is_given() -> None:
    made = staging()
    assert told(clone(made)) == [UnreadSecret.SENT_EMPTY]
    for _ in range(2):
        result = clone(made)
        assert (told(result), result.outcomes) == ([UnreadSecret.STILL_EMPTY], [])
    result = clone(made, GIVEN)
    assert [one.action.key for one in result.outcomes] == [click_house(made)]
    assert (told(result), password(made)) == ([], "of-the-vault")
    for overlay in (GIVEN, None):
        result = clone(made, overlay)
        assert (told(result), result.outcomes) == ([], [])


def test_a_clone_that_changes_something_else_of_its_entity_tells_it_too() -> None:
    made = staging()
    clone(made)
    edit(made.source.state, click_house(made).id, username="other")
    assert told(clone(made)) == [UnreadSecret.STILL_EMPTY]
    assert told(clone(made)) == [UnreadSecret.STILL_EMPTY]


def test_a_clone_that_changes_something_else_tells_too_that_somebody_may_have_given_it() -> None:
    made = staging()
    clone(made)
    made.target.state.objects[made.id_in_target(click_house(made))].updated_at = "2030-01-01T00:00:00.000Z"
    edit(made.source.state, click_house(made).id, username="other")
    assert told(clone(made)) == [UnreadSecret.MAY_BE_EMPTY]
    assert told(clone(made)) == []


def test_a_clone_that_leaves_its_entity_out_does_not_forget_it() -> None:
    made = staging()
    clone(made)
    assert told(clone(made, only=("function",))) == []
    assert told(clone(made)) == [UnreadSecret.STILL_EMPTY]


@pytest.mark.parametrize("after", [False, True])
def test_a_clone_that_was_killed_while_it_sent_it_is_finished_by_the_next(after: bool) -> None:
    made = staging()
    clone(made)
    options = {"overlay": GIVEN, "allow_missing_secrets": True}
    assert made.killed_clone(1, after=after, **options)
    assert password(made) == ("of-the-vault" if after else "")
    result = clone(made, GIVEN)
    assert (told(result), password(made)) == ([], "of-the-vault")
    assert clone(made, GIVEN).outcomes == []


def test_where_the_target_has_its_own_for_good_nothing_is_lacking() -> None:
    made = staging()
    clone(made)
    result = made.clone(
        overlay=Overlay(), allow_missing_secrets=True, ignored=("destination/ClickHouse:password",)
    )
    assert told(result) == []


def test_an_overlay_that_gives_what_is_there_already_is_not_sent_again() -> None:
    made = staging()
    made.clone()
    assert clone(made, GIVEN).outcomes == []
