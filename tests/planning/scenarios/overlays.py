"""Scenarios: overlays."""

from tests.planning.scenarios.scenario import (
    BASE,
    DB,
    MODERN,
    SCHEMAS,
    TEXT,
    Scenario,
    db,
    elsewhere,
    overlay,
    scenario,
    with_,
)


@scenario
def an_overlay_changes_items_of_lists_nested_fields_and_dotted_names() -> Scenario:
    rules = {
        "destination/db-1": {
            "list": {"1": {"b": 2}}, "deep.must": "mm", "deep": {"x": {"y": 1}}, "x.y": 3, "host": "db.production",
            "headers": {"a": 1}, "closed": {}, "new.one.two": 1,
        },
        "destination/*": {"name": "Named"},
        "link/Web -> *": {"data": {"mode": "batch"}},
        "stream": {"nothing.known": 1},
    }  # fmt: skip
    row = db("db-1", list=[1, {"a": 1}], deep={"must": "m"}, **{"x.y": 1})
    return elsewhere(
        with_(BASE, destination=[row]), {}, overlay=overlay(rules), schemas={}, allow_missing_secrets=True
    )


@scenario
def a_field_that_some_chosen_entities_have_is_no_mistake() -> Scenario:
    other = {**db("db-2", password="p"), "destinationType": "other"}
    schemas = {**SCHEMAS, "destination/other": {"type": "object", "properties": {**MODERN, "cluster": TEXT}}}
    rules = {"destination/*": {"cluster": "c", "password": "given"}}
    return elsewhere({"destination": [DB, other]}, {}, overlay=overlay(rules, "given"), schemas=schemas)


@scenario
def what_the_target_would_drop_is_a_loss() -> Scenario:
    row = db(
        "db-1", strange=1, closed={"in": "a", "out": {"b": 1}}, deep={"must": "m", "free": "x"}, password="p"
    )
    return elsewhere({"destination": [row]}, {})
