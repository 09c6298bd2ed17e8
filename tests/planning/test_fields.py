"""What a plan says of each field: as it is and as it will be, in words, and nothing of a secret."""

from dataclasses import replace
from typing import Any

from jitsu_backup.model import Snapshot
from jitsu_backup.planning import Action, ActionKind, FieldChange, PlanOptions, make_plan, parse_overlay
from tests.support import make_snapshot


def workspace(host: str, *, functions: tuple[str, ...] = ("f1",), **more: Any) -> Snapshot:
    return make_snapshot({
        "stream": [{"id": "s", "name": "Web"}],
        "destination": [{"id": "d", "name": "Warehouse", "host": host, "password": "shown-password", **more}],
        "function": [{"id": one, "name": f"Function {one}", "code": "one\ntwo\n"} for one in ("f1", "f2")],
        "link": [{"id": "l", "fromId": "s", "toId": "d", "data": {
            "functions": [{"functionId": f"udf.{one}"} for one in functions], "functionsEnv": {"KEY": f"secret-{host}"}}}],
    })  # fmt: skip


def planned(
    snapshot: Snapshot, live: Snapshot, rules: Any = None, hidden: tuple[str, ...] = ()
) -> dict[str, Action]:
    overlay = parse_overlay(rules or {}, frozenset(hidden))
    plan = make_plan(snapshot, live, PlanOptions(overlay=overlay))
    return {action.key.id: replace(action, fields=plan.fields(action)) for action in plan.actions}


def fields(action: Action) -> dict[str, tuple[Any, Any]]:
    return {found.path: (found.before, found.after) for found in action.fields}


def test_an_update_tells_what_is_and_what_will_be_by_name() -> None:
    live = workspace("db.now", functions=("f1", "f2"))
    actions = planned(workspace("db.then"), live)
    assert fields(actions["d"]) == {"host": ("db.now", "db.then")}
    assert fields(actions["l"]) == {
        "data.functions": (["Function f1", "Function f2"], ["Function f1"]), "data.functionsEnv.KEY": ("***", "***"),
    }  # fmt: skip
    assert all(
        set(a.changes) >= {f.path for f in a.fields} for a in actions.values() if a.kind is ActionKind.UPDATE
    )


def test_what_is_made_tells_all_of_it_without_its_secrets() -> None:
    source = workspace("db.then")
    elsewhere = make_snapshot({name: [] for name in source.manifest.counts}, workspace_id="w2")
    actions = planned(source, elsewhere)
    assert fields(actions["d"]) == {
        "host": (None, "db.then"), "name": (None, "Warehouse"), "password": (None, "***"),
    }  # fmt: skip
    assert actions["f1"].fields[0] == FieldChange(
        "code", None, "one\ntwo\n", code=("@@ -0,0 +1,3 @@", "+one", "+two", "+")
    )
    assert fields(actions["l"])["data"][1] == {"functions": ["Function f1"], "functionsEnv": {"KEY": "***"}}
    assert fields(actions["l"])["toId"] == (None, "Warehouse")


def test_what_is_made_hides_the_secrets_of_an_overlay() -> None:
    source = workspace("db.then")
    elsewhere = make_snapshot({name: [] for name in source.manifest.counts}, workspace_id="w2")
    action = planned(source, elsewhere, {"destination/d": {"host": "a hidden host"}}, ("hidden",))["d"]
    assert fields(action)["host"] == (None, "a *** host")


def test_what_an_overlay_took_from_a_reference_to_a_secret_is_hidden_wherever_it_stands() -> None:
    rules = {
        "destination/Warehouse": {
            "host": "long-secret",
            "hosts": ["a", {"b": "x long-secret y"}],
            "port": "7",
            "note": "x7 abc secret",
        }
    }
    live = workspace("db.now")
    action = planned(live, live, rules, ("long-secret", "7", "abc", "secret"))["d"]
    assert fields(action) == {
        "host": ("db.now", "***"), "hosts": (None, ["a", {"b": "x *** y"}]), "port": (None, "***"), "note": (None, "x7 abc ***"),
    }  # fmt: skip
    assert "long-secret" not in repr(action)


def test_two_functions_of_one_name_are_told_apart_in_a_plan() -> None:
    live = workspace("db", functions=("f1",))
    alike = replace(live, entities=tuple(
        replace(e, body={**e.body, "name": "Enrich"}) if e.key.type == "function" else e for e in live.entities
    ))  # fmt: skip
    other = replace(alike, entities=tuple(
        e if e.key.type != "link" else replace(e, body={**e.body, "data": {"functions": [{"functionId": "udf.f2"}]}})
        for e in alike.entities
    ))  # fmt: skip
    assert fields(planned(alike, other)["l"])["data.functions"] == (["Enrich (f2)"], ["Enrich (f1)"])
