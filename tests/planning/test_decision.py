"""How one entity is changed: what is sent, what stays secret, and in which words it is told."""

from dataclasses import replace
from typing import Any

import pytest

from jitsu_backup.model import MASK, Key
from jitsu_backup.planning import ActionKind, NotRecreated
from jitsu_backup.planning.options import Since
from jitsu_backup.planning.records import record_in_place
from tests.planning.scenarios.scenario import (
    BASE,
    CRM,
    DB,
    ENRICH,
    WEB,
    action_of,
    builder,
    db,
    elsewhere,
    here,
    in_place,
    link,
    plan_of,
    recreate,
    with_,
)


def test_fields_are_reported_in_the_order_of_their_paths() -> None:
    then = db("db-1", host="a", deep={"must": "a"}) | {"deep-er": "a"}
    now = db("db-1", host="b", deep={"must": "b"}) | {"deep-er": "b"}
    found = action_of(in_place({"destination": [then]}, {"destination": [now]}, schemas={}), "db-1")
    assert [field.path for field in found.fields] == [*found.changes] == ["deep-er", "deep.must", "host"]


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (1, "1 write key only in the target is kept, because deleted write keys cannot be recovered: k0"),
        (6, "6 write keys only in the target are kept, because deleted write keys cannot be recovered: k0, k1, k2, k3, k4, k5"),
        (7, "7 write keys only in the target are kept, because deleted write keys cannot be recovered: k0, k1, k2, k3, k4, k5 and 1 more"),
    ],
)  # fmt: skip
def test_write_keys_that_only_the_target_has_are_reported_up_to_six(count: int, told: str) -> None:
    live = with_(BASE, stream=[{**WEB, "publicKeys": [{"id": f"k{n}"} for n in range(count)]}])
    assert f"stream 'Web': {told}" in plan_of(in_place(BASE, live)).notes


def test_what_the_source_shows_never_replaces_what_the_target_hides() -> None:
    crm = here("service", "crm-1")
    then = {**CRM, "credentials": {"host": "new", "password": "staging"}}
    now = {**CRM, "id": crm, "credentials": {"host": "old", "password": MASK}}
    found = action_of(elsewhere({"service": [then]}, {"service": [now]}), "crm-1")
    assert (found.kind, found.body) == (ActionKind.UPDATE, {"credentials": {"host": "new"}})
    assert found.unseen == ("credentials.password",)


def test_a_secret_in_a_list_that_the_target_has_shorter_is_missing() -> None:
    then = {**CRM, "credentials": {"list": [{"secret": MASK}, {"secret": MASK}]}}
    now = {**CRM, "credentials": {"list": [{"secret": "known"}]}}
    found = action_of(in_place({"service": [then]}, {"service": [now]}), "crm-1")
    told = "secret not in the snapshot: credentials.list.1.secret; provide it with --overlay"
    assert (found.kind, found.reason) == (ActionKind.BLOCKED, told)


def test_a_secret_where_the_target_has_a_list_is_missing() -> None:
    then, now = ({**CRM, "credentials": {"a": value}} for value in ({"secret": MASK}, [1]))
    found = action_of(in_place({"service": [then]}, {"service": [now]}), "crm-1")
    told = "secret not in the snapshot: credentials.a.secret; provide it with --overlay"
    assert (found.kind, found.reason) == (ActionKind.BLOCKED, told)


def test_a_function_that_something_else_has_the_id_of_is_not_there() -> None:
    gone = {"functions": [{"functionId": "udf.web-1"}]}
    before = with_(BASE, link=[], profile_builder=[builder("pb", "pf", "db-1", connectionOptions=gone)])
    found = action_of(in_place(before, {"stream": [WEB], "destination": [DB]}), "pb")
    told = (
        "its function web-1 is neither in the snapshot nor in the target: leave this out with"
        " --skip=profile-builder/pb, or set other functions with --overlay"
    )
    assert (found.kind, found.reason) == (ActionKind.BLOCKED, told)


def test_a_text_that_happens_to_be_an_id_keeps_nothing_from_being_recreated() -> None:
    note = {"id": "note", "name": "Note", "code": "x", "description": "db-1"}
    actions = plan_of(recreate(live={"function": [ENRICH, note]})).actions
    kinds = [action.kind for action in actions if action.key == Key("destination", "db-1")]
    assert kinds == [ActionKind.CREATE, ActionKind.DELETE]


@pytest.mark.parametrize("one", [".", ".."])
def test_what_no_path_can_name_is_not_recreated(one: str) -> None:
    then, now = (db(one, host="h"), db(one, host="h", mode="a", apiKey="shown"))
    found = action_of(
        recreate(before={"destination": [then], "link": []}, live={"destination": [now], "link": []}), one
    )
    told = f"not re-created: the console's API cannot address the id '{one}', so it cannot be deleted"
    assert found.losses
    assert all(isinstance(loss.reason, NotRecreated) and loss.reason.endswith(told) for loss in found.losses)


def test_the_secrets_of_the_source_that_are_copied_are_all_named() -> None:
    def told(count: int) -> list[str]:
        services = [
            {**CRM, "id": f"crm-{n}", "name": f"CRM {n}", "credentials": {"password": "shown"}}
            for n in range(count)
        ]
        plan = plan_of(elsewhere({"service": services}, {}))
        return [note for note in plan.notes if note.startswith("secrets copied unchanged")]

    def named(count: int) -> str:
        return ", ".join(f"credentials (password) of service 'CRM {n}'" for n in range(count))

    words = "secrets copied unchanged from the source: {}; replace them with --overlay"
    assert told(0) == []
    assert told(9) == [words.format(named(9))]


def test_dead_connections_are_reported_up_to_six() -> None:
    def told(count: int) -> list[str]:
        links = [link(f"l{n}", "web-1", f"gone-{n}") for n in range(count)]
        plan = plan_of(elsewhere({"stream": [WEB], "link": links}, {}))
        return [note for note in plan.notes if "dead" in note]

    words = "source or destination was deleted and no data flows through"
    six = ", ".join(f"Web → gone-{n}" for n in range(6))
    assert told(0) == []
    assert told(1) == [f"1 dead connection is left out, because its {words} it: Web → gone-0"]
    assert told(7) == [f"7 dead connections are left out, because their {words} them: {six} and 1 more"]


def test_namesakes_are_reported_up_to_six() -> None:
    functions = [{**ENRICH, "id": f"f{n}", "name": f"F {n}"} for n in range(7)]
    own = [{**ENRICH, "id": f"own{n}", "name": f"F {n}"} for n in range(7)]
    plan = plan_of(elsewhere({"function": functions}, {"function": own}))
    six = ", ".join(f"function 'F {n}' (function/own{n})" for n in range(6))
    told = (
        f"created although the target has another of the same name: {six} and 1 more;"
        " use --match-by-name or --map to pair them instead"
    )
    assert plan.notes == (told,)


def test_an_undo_names_no_namesake_that_it_deletes() -> None:
    sides = in_place({"function": [ENRICH]}, {"function": [{**ENRICH, "id": "other"}]}, prune=True)
    assert "same name: function 'Enrich' (function/other)" in plan_of(sides).notes[0]
    undo = replace(sides, options=replace(sides.options, since=Since.RUN, record=record_in_place(sides.live)))
    plan = plan_of(undo)
    assert [str(action.kind.name) for action in plan.actions] == ["CREATE", "DELETE"]
    assert plan.notes == ()


def test_an_id_in_the_draft_of_a_builders_code_is_no_mention_of_what_is_written() -> None:
    pb: dict[str, Any] = builder("pb-1", "pf-1", "db-1", "uses db-1", config={"draft": "uses web-1"})
    notes = plan_of(elsewhere(with_(BASE, profile_builder=[pb]), {}, allow_missing_secrets=True)).notes
    assert (
        "profile-builder 'Pb-1': its code mentions destination 'Db-1' (db-1) in text, which is copied unchanged"
        in notes
    )
    assert not any("Web" in note for note in notes)
