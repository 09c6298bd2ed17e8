"""Models as the console stores them, and which settings of a reverse sync an overlay can give."""

import pytest

from jitsu_backup.errors import UsageError
from jitsu_backup.planning import make_plan
from jitsu_backup.planning.models import trimmed
from tests.planning.scenarios.reverse_syncs import ONE, again
from tests.planning.scenarios.scenario import overlay


def test_only_name_and_query_of_a_model_are_stored_trimmed() -> None:
    body = {"name": " a ", "query": "\n b\t", "description": " c ", "primaryKey": [" id "]}
    assert trimmed(body) == {**body, "name": "a", "query": "b"}
    assert trimmed({"name": 5}) == {"name": 5}


def test_an_overlay_that_gives_a_reverse_sync_a_field_that_it_has_not_is_refused() -> None:
    scenario = again(ONE, ONE, overlay=overlay({"reverse-sync/*": {"shedule": "@daily"}}))
    with pytest.raises(UsageError, match="shedule"):
        make_plan(scenario.snapshot, scenario.live, scenario.options)
