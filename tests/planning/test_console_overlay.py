"""An overlay of several workspaces: what holds for all, what holds for one, and what a profile says."""

from typing import Any

import pytest

from jitsu_backup.errors import UsageError
from jitsu_backup.model import Source
from jitsu_backup.planning import Outside, Overlay, PlanOptions, make_plan
from jitsu_backup.planning.console_overlay import (
    OverlayTables,
    console_overlay,
    overlay_tables,
    parse_any_overlay,
)
from tests.support import PRODUCTION, make_snapshot

NAMES = {"acme": "c1", "c1": "c1", "other": "c2"}


def merged(document: dict[str, Any], **profiles: OverlayTables) -> dict[str, Overlay]:
    found = console_overlay(overlay_tables(document), profiles, lambda name: NAMES.get(name, name))
    return {"": found.shared, **found.own}


def patches(overlay: Overlay) -> dict[str, Any]:
    return {rule.selector.text: dict(rule.patch) for rule in overlay.rules}


def test_a_table_of_one_workspace_stands_beside_those_of_all_and_wins() -> None:
    found = merged(
        {
            "destination/DB": {"host": "new", "port": 5432},
            "acme:destination/DB": {"host": "acme"},
            "c1 : function/F": {"code": "x"},
        }
    )
    assert patches(found[""]) == {"destination/DB": {"host": "new", "port": 5432}}
    own = {"destination/DB": {"host": "acme", "port": 5432}, "function/F": {"code": "x"}}
    assert patches(found["acme"]) == patches(found["c1"]) == own


def test_a_colon_in_a_name_does_not_make_it_a_workspace() -> None:
    found = merged({"destination/Team: DB": {"host": "x"}, "link/A: B -> C": {"data": {}}})
    assert patches(found[""]).keys() == {"destination/Team: DB", "link/A: B -> C"}


def test_a_profiles_overlay_is_beneath_the_file() -> None:
    profile = overlay_tables({"destination/DB": {"host": "profile", "password": "p"}}, frozenset({"p"}))
    found = merged({"destination/DB": {"host": "all"}}, acme=profile)
    assert patches(found["acme"]) == {"destination/DB": {"host": "all", "password": "p"}}
    assert found["acme"].secrets == {"p"}
    assert found[""].secrets == frozenset()


def test_what_holds_for_all_need_not_be_in_each_but_what_is_for_one_has_to() -> None:
    live = make_snapshot({"destination": []}, workspace_id=PRODUCTION)
    snapshot = make_snapshot({"destination": [{"id": "d", "name": "DB", "destinationType": "webhook"}]})
    found = merged({"destination/Lake": {"host": "x"}, "other:destination/Lake": {"host": "x"}})
    assert make_plan(snapshot, live, PlanOptions(overlay=found[""])).writes
    with pytest.raises(UsageError, match="'destination/Lake' is not in the snapshot"):
        make_plan(snapshot, live, PlanOptions(overlay=found["other"]))
    overlay = console_overlay(overlay_tables({"destination/Lake": {}, "destination/DB": {}}), {}, str)
    with pytest.raises(
        UsageError, match="overlay x: 'destination/Lake' matches nothing in any workspace of this recovery"
    ):
        overlay.check_used("overlay x", [snapshot, live])


def test_values_from_outside_go_to_the_table_that_names_them() -> None:
    outside = (
        Outside("acme:destination/DB", ("password",), "{ env = X }", "s"),
        Outside("destination/DB", ("host",), "{ env = Y }", "h"),
    )
    tables = overlay_tables(
        {"acme:destination/DB": {"password": "s"}, "destination/DB": {"host": "h"}}, frozenset("sh"), outside
    )
    found = console_overlay(tables, {}, str)
    assert [one.place for one in found.shared.outside] == ["destination/DB host"]
    assert sorted(one.place for one in found.own["acme"].outside) == [
        "destination/DB host",
        "destination/DB password",
    ]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (
            {"acme:destination/DB": {"id": "x"}},
            "the table 'acme:destination/DB' of workspace acme: .* cannot change 'id'",
        ),
        ({"acme:destination/DB": {}, "acme : destination/DB": {}}, "appears twice, with and without spaces"),
        ({"acme:destination/DB": "x"}, "workspace acme: 'destination/DB' must be a table"),
        ([], "an overlay must be a table"),
    ],
)
def test_what_is_wrong_is_reported_with_the_table_and_the_workspace(document: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        overlay_tables(document)


def test_what_two_tables_together_make_wrong_is_reported_with_file_and_workspace() -> None:
    given = overlay_tables(
        {"service/S": {"credentials.password": "x"}, "acme:service/S": {"credentials": {"password": "y"}}},
        called="overlay o.toml",
    )
    with pytest.raises(
        UsageError, match=r"overlay o.toml: workspace acme: 'service/S' sets 'credentials.password' twice"
    ):
        console_overlay(given, {}, str)


def test_one_workspace_takes_its_own_tables_and_those_for_all_by_its_slug_or_id() -> None:
    outside = (Outside("acme:destination/DB", ("password",), "{ env = X }", "s"),)
    tables = {
        "acme:destination/DB": {"password": "s"},
        "c2:destination/DB": {"host": "of c2"},
        "destination/*": {"port": 5432},
    }
    found = parse_any_overlay(tables, frozenset("s"), outside, "overlay o.toml")
    own = found.of(Source("h", "c1", "acme"))
    assert patches(own) == {"destination/*": {"port": 5432}, "destination/DB": {"password": "s"}}
    assert [one.place for one in own.outside] == ["destination/DB password"]
    assert patches(found.of(Source("h", "c2", "other")))["destination/DB"] == {"host": "of c2"}
    assert patches(found.of(Source("h", "c3", None))) == {"destination/*": {"port": 5432}}
    with pytest.raises(UsageError, match=r"overlay o\.toml: 'c2' and 'acme' are the same workspace"):
        found.of(Source("h", "c2", "acme"))


def test_a_plan_says_that_all_tables_of_its_overlay_are_for_other_workspaces() -> None:
    overlay = parse_any_overlay({"other:destination/DB": {"host": "x"}}, called="overlay o.toml")
    snapshot = make_snapshot({"destination": []})
    options = PlanOptions(overlay=overlay.of(snapshot.manifest.source))
    (note,) = make_plan(snapshot, make_snapshot({"destination": []}), options).notes
    assert note.startswith("overlay o.toml is not used: its tables are for other, and the snapshot is of ")


def test_a_plan_says_that_its_overlay_has_only_tables_for_all_workspaces_and_for_others() -> None:
    tables = {"acme-stagin:destination/DB": {"host": "x"}, "destination/*": {"port": 1}}
    overlay = parse_any_overlay(tables, called="overlay o.toml")
    snapshot = make_snapshot({"destination": []})
    source = snapshot.manifest.source
    plan = make_plan(snapshot, make_snapshot({"destination": []}), PlanOptions(overlay=overlay.of(source)))
    said = "of overlay o.toml, only the tables for all workspaces are used: the others are for acme-stagin, and none for "
    assert any(note == f"{said}{source.slug}" for note in plan.notes)
    named = parse_any_overlay({**tables, f"{source.slug}:destination/*": {"port": 2}})
    assert named.of(source).elsewhere == ()
