"""Golden: fixtures/plans, what planning makes of each scenario, looked at by hand."""

import json

import pytest

from tests.planning.golden import NAMES, as_text, golden_file, outcome, scenario_of


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_is_planned_and_compared_as_its_golden_file_says(name: str) -> None:
    found = outcome(scenario_of(name))
    assert json.loads(as_text(found)) == json.loads(golden_file(name).read_text(encoding="utf-8"))
