"""Promotion with three sides, where types have rules of their own: functions in use, classic keys, overlays, types."""

from typing import Any

import pytest

from jitsu_backup.model import Key
from jitsu_backup.planning import ActionKind
from jitsu_backup.sandbox import Generation
from tests.promotions import Promotion, key_named, promotion
from tests.restores.test_three_sides import action_of, both
from tests.support import PRODUCTION, STAGING


@pytest.fixture(params=[*Generation, "same console"], ids=lambda one: getattr(one, "value", one))
def cloned(request: pytest.FixtureRequest) -> Promotion:
    """Staging, cloned into production once."""
    same = request.param == "same console"
    made = promotion(same_console=True) if same else promotion(request.param)
    made.clone()
    return made


# -- functions that connections and profile builders run ------------------------


def _functions(row: Any) -> list[str]:
    data = row.data or {}
    return [item["functionId"].removeprefix("udf.") for item in data.get("functions", ())]


def _run(row: Any, *functions: str) -> None:
    row.data = {**(row.data or {}), "functions": [{"functionId": f"udf.{one}"} for one in functions]}


def _running(made: Promotion, function: str) -> list[Any]:
    """The connections of the target that run a function."""
    return [row for row in made.target.state.live_links(PRODUCTION) if function in _functions(row)]


def _replace_function(made: Promotion, old: str, *new: str) -> list[Any]:
    """Delete a function of the target, whose connections run others from now on."""
    changed = _running(made, old)
    for row in changed:
        _run(row, *new, *(one for one in _functions(row) if one != old))
    made.target.state.objects[old].deleted = True
    return changed


def test_a_connection_keeps_the_function_that_the_target_put_in_the_place_of_one_it_deleted(
    cloned: Promotion,
) -> None:
    _, there = both(cloned, "function", "Enrich")
    cloned.target.state.add_object(PRODUCTION, "function", "own-function", {"name": "Own", "code": "x"})
    changed = _replace_function(cloned, there, "own-function")
    for _ in range(2):
        links = [a for a in cloned.plan().actions if a.own == ("data.functions",)]
        assert {link.target_id for link in links} == {row.id for row in changed}
        assert not any(link.losses for link in links)
        cloned.silent_clone()
    assert all("own-function" in _functions(row) for row in changed)


def test_a_connection_that_the_target_took_a_deleted_function_out_of_takes_other_changes(
    cloned: Promotion,
) -> None:
    _, there = both(cloned, "function", "Enrich")
    (changed, *_) = _replace_function(cloned, there)
    cloned.silent_clone()
    (source,) = [
        row
        for row in cloned.source.state.live_links(STAGING)
        if row.type == "push" and cloned.id_in_target(Key("link", row.id)) == changed.id
    ]
    source.data = {**source.data, "batchSize": 77}
    cloned.clone()
    assert changed.data["batchSize"] == 77
    assert there not in _functions(changed)
    cloned.silent_clone()


def test_a_connection_that_still_names_a_function_that_the_target_deleted_takes_other_changes(
    cloned: Promotion,
) -> None:
    _, there = both(cloned, "function", "Enrich")
    changed = _running(cloned, there)
    cloned.target.state.objects[there].deleted = True
    cloned.silent_clone()
    for row in cloned.source.state.live_links(STAGING):
        if row.type == "push":
            row.data = {**(row.data or {}), "batchSize": 77}
    cloned.clone()
    assert all(there in _functions(row) and row.data["batchSize"] == 77 for row in changed)
    cloned.silent_clone()


def test_a_deleted_function_that_the_source_newly_runs_blocks_and_can_be_made_again(
    cloned: Promotion,
) -> None:
    key, there = both(cloned, "function", "Only known users")
    _replace_function(cloned, there)
    link = next(
        row for row in cloned.source.state.live_links(STAGING) if row.type == "push" and not _functions(row)
    )
    _run(link, key.id)
    action = action_of(cloned.plan(), Key("link", link.id))
    assert action.kind is ActionKind.BLOCKED
    assert "--take 'source:function/Only known users' makes it again" in action.reason
    cloned.clone(take=("source:function/Only known users",))
    new = key_named(cloned.live(), "function", "Only known users").id
    assert _functions(cloned.target.state.links[cloned.id_in_target(Key("link", link.id))]) == [new]
    cloned.silent_clone()


def test_a_function_that_is_made_again_does_not_come_back_to_where_the_target_replaced_it(
    cloned: Promotion,
) -> None:
    _, there = both(cloned, "function", "Enrich")
    cloned.target.state.add_object(PRODUCTION, "function", "own-function", {"name": "Own", "code": "x"})
    changed = _replace_function(cloned, there, "own-function")
    before = [_functions(row) for row in changed]
    cloned.clone(take=("source:function/Enrich",))
    assert [_functions(row) for row in changed] == before
    cloned.silent_clone()


def test_a_profile_builder_keeps_the_function_that_the_target_put_in_the_place_of_one_it_deleted() -> None:
    made = promotion()
    key = key_named(made.snapshot(), "function", "Enrich")
    (source,) = made.source.state.builders.values()
    options = {"functions": [{"functionId": f"udf.{key.id}"}]}
    source.fields["connectionOptions"] = {**source.fields["connectionOptions"], **options}
    made.clone()
    (there,) = made.target.state.builders.values()
    made.target.state.add_object(PRODUCTION, "function", "own-function", {"name": "Own", "code": "x"})
    own = {**there.fields["connectionOptions"], "functions": [{"functionId": "udf.own-function"}]}
    there.fields["connectionOptions"] = own
    _replace_function(made, made.id_in_target(key), "own-function")
    made.silent_clone()
    assert there.fields["connectionOptions"] == own
