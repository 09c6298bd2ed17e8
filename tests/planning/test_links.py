"""What becomes of links: what they run, whether they run at all, and which state a sync begins with."""

from typing import Any

import pytest

from jitsu_backup.model import Key
from jitsu_backup.planning import ActionKind, Loss, Plan, needs_authorising
from jitsu_backup.planning.reasons import AwaitsGrant
from tests.planning.scenarios.grants import KNOWN, connected, force, sheets
from tests.planning.scenarios.scenario import (
    BASE,
    CRM,
    DB,
    ENRICH,
    WEB,
    action_of,
    db,
    elsewhere,
    here,
    in_place,
    link,
    overlay,
    plan_of,
    sync,
    with_,
)


def test_a_link_that_still_runs_a_deleted_function_that_is_left_out_tells_so() -> None:
    found = action_of(in_place(BASE, with_(BASE, function=[]), skip=("function",)), "l1")
    lost = (Loss("data.functions", "runs function 'Enrich', which the target lacks"),)
    assert (found.kind, found.losses) == (ActionKind.UNCHANGED, lost)
    assert action_of(in_place(BASE, with_(BASE, function=[])), "l1").losses == ()


def test_a_function_is_missed_whatever_else_has_its_id() -> None:
    like = with_(BASE, stream=[WEB, {**WEB, "id": "enrich", "name": "Other"}])
    found = action_of(in_place(like, with_(like, function=[]), skip=("function",)), "l1")
    assert found.losses == (Loss("data.functions", "runs function 'Enrich', which the target lacks"),)


OFF = "switched off until {} is authorised; then run this again"


def ungranted(**more: Any) -> dict[str, Any]:
    """The other workspace after a clone: its copies lack the grants."""
    bare = {"destinationType": "salesforce", "name": "Salesforce"}
    return {
        "stream": [{**WEB, "id": here("stream", "web-1")}],
        "destination": [{**bare, "id": here("destination", "sf-1")}],
        "service": [{**sheets(here("service", "sh-1")), "authorized": False}], **more,
    }  # fmt: skip


def test_a_link_without_a_grant_is_off_unless_the_targets_own_one_is_on() -> None:
    web, sf = here("stream", "web-1"), here("destination", "sf-1")
    lost = Loss("events", AwaitsGrant(OFF.format("destination 'Salesforce'")))
    for data, off, losses in (
        ({"batchSize": 1, "disabled": True}, True, (lost,)),
        ({"batchSize": 1}, None, ()),
        ({"batchSize": 1, "disabled": False}, False, (lost,)),
        ({"batchSize": 9, "disabled": False}, False, (lost,)),
    ):
        live = ungranted(link=[link("own", web, sf, data)])
        found = action_of(elsewhere(connected(), live, schemas=KNOWN), "l1")
        assert found.losses == losses
        assert found.kind is (ActionKind.UPDATE if data["batchSize"] == 9 else ActionKind.UNCHANGED)
        assert found.body.get("data", {}).get("disabled", off) == off
    found = action_of(elsewhere(connected(), ungranted(), schemas=KNOWN), "l1")
    assert (found.kind, found.body["data"], found.losses) == (
        ActionKind.CREATE,
        {"batchSize": 1, "disabled": True},
        (lost,),
    )
    assert isinstance(found.losses[0].reason, AwaitsGrant)


def test_a_link_that_is_off_in_the_source_goes_off_where_both_sides_have_the_grant() -> None:
    web, sf = here("stream", "web-1"), here("destination", "sf-1")
    before = connected(link=[link("l1", "web-1", "sf-1", {"disabled": True})])
    live = {"stream": [{**WEB, "id": web}], "destination": [force(sf)], "link": [link("own", web, sf, {})]}
    found = action_of(elsewhere(before, live, schemas=KNOWN), "l1")
    assert (found.kind, found.body["data"], found.kept) == (ActionKind.UPDATE, {"disabled": True}, ())


def test_a_link_with_odd_data_can_be_made_switched_off() -> None:
    before = with_(BASE, link=[link("l1", "web-1", "db-1", ["odd"])])
    found = action_of(elsewhere(before, {}, disable_links=True, allow_missing_secrets=True), "l1")
    assert (found.kind, found.body["data"]) == (ActionKind.CREATE, {"disabled": True})


def test_a_link_tells_of_its_functions_and_of_its_grant_together() -> None:
    data = {"functions": [{"functionId": "udf.enrich"}]}
    before = connected(function=[ENRICH], link=[link("l1", "web-1", "sf-1", data)])
    bare = {"destinationType": "salesforce", "name": "Salesforce", "id": "sf-1"}
    live = with_(
        before,
        function=[],
        destination=[bare],
        link=[link("l1", "web-1", "sf-1", {**data, "disabled": True})],
    )
    found = action_of(in_place(before, live, schemas=KNOWN, skip=("function",)), "l1")
    assert [loss.path for loss in found.losses] == ["data.functions", "events"]


def test_why_something_waits_for_a_grant_stays_known_when_secrets_are_scrubbed() -> None:
    rules = overlay({"stream/web-1": {"name": "quite hidden"}}, "quite hidden")
    plan = plan_of(elsewhere(connected(), {}, schemas=KNOWN, overlay=rules))
    waiting = [loss.reason for action in plan.actions for loss in action.losses if loss.path == "grant"]
    assert len(waiting) == 2
    assert all(isinstance(reason, AwaitsGrant) for reason in waiting)


def test_only_what_waits_for_a_grant_needs_authorising() -> None:
    assert needs_authorising("grant", "withdrawn since the backup")
    assert needs_authorising("schedule", AwaitsGrant(OFF.format("service 'Sheets'")))
    assert not needs_authorising("schedule", OFF.format("service 'Sheets'"))


def test_a_secret_of_the_overlay_is_scrubbed_from_the_reason_of_an_action() -> None:
    for kind, shown in (
        ("hidden-kind", "***"),
        ("kind", "***"),
        ("odd", "odd"),
    ):  # a short one is in any text
        rules = overlay({"destination/db-1": {"destinationType": kind}}, kind)
        found = action_of(elsewhere(BASE, {}, overlay=rules, allow_missing_secrets=True), "db-1")
        told = f"the target console does not know the destination type '{shown}': leave it out with --skip=destination/db-1"
        assert (found.kind, found.reason) == (ActionKind.BLOCKED, told)


def test_a_link_of_the_target_keeps_its_own_environment_beside_odd_data() -> None:
    db_1, web = here("destination", "db-1"), here("stream", "web-1")
    own = {"functionsEnv": {"TOKEN": "mine"}}
    live = {
        "stream": [{**WEB, "id": web}], "destination": [{**DB, "id": db_1}], "link": [link("own", web, db_1, own)],
    }  # fmt: skip
    found = action_of(elsewhere(with_(BASE, link=[link("l1", "web-1", "db-1", ["odd"])]), live), "l1")
    assert (found.kind, found.kept) == (ActionKind.UNCHANGED, ("data.functionsEnv.TOKEN",))


# -- cursors -------------------------------------------------------------------


def moved_on(rules: dict[str, Any] | None = None, **more: Any) -> Plan:
    """A sync that is cloned with its cursor, under an overlay."""
    before = {"service": [CRM], "destination": [DB], "link": [sync("y1", "crm-1", "db-1", {"schedule": "1"})]}
    options = {"allow_missing_secrets": True, "overlay": overlay(rules or {})}
    return plan_of(elsewhere(before, {}, of_snapshot={"cursors": {"y1": {"users": "1"}}}, **options, **more))


NOTE = "sync 'CRM → {}' starts without cursors, because its source or destination differs in the target"


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({}, None),
        ({"destination/db-1": {"name": "Other"}}, None),
        ({"destination/db-1": {"host": "other"}}, "Db-1"),
        ({"service/crm-1": {"credentials.host": "other"}}, "Db-1"),
        ({"destination/db-1": {"name": "Other", "host": "other"}}, "Other"),
    ],
)
def test_a_sync_takes_its_cursors_along_unless_it_reads_or_writes_something_else(
    rules: dict[str, Any], told: str | None
) -> None:
    plan = moved_on(rules)
    (made,) = (action for action in plan.actions if action.key.type == "link")
    assert made.cursors == ({"users": 1} if told is None else {})
    assert [note for note in plan.notes if "cursors" in note] == ([] if told is None else [NOTE.format(told)])


def test_that_a_sync_began_without_cursors_is_not_reported_again() -> None:
    crm, db_1 = here("service", "crm-1"), here("destination", "db-1")
    before = {"service": [CRM], "destination": [DB], "link": [sync("y1", "crm-1", "db-1", {"schedule": "1"})]}
    live = {
        "service": [{**CRM, "id": crm}], "destination": [{**DB, "id": db_1, "host": "other"}],
        "link": [sync("own", crm, db_1, {"schedule": "1"})],
    }  # fmt: skip
    rules = overlay({"destination/db-1": {"host": "other"}})
    plan = plan_of(elsewhere(before, live, of_snapshot={"cursors": {"y1": {"users": "1"}}}, overlay=rules))
    assert [note for note in plan.notes if "cursors" in note] == []
    assert {str(action.key): action.kind for action in plan.actions} == dict.fromkeys(
        ("service/crm-1", "destination/db-1", "link/y1"), ActionKind.UNCHANGED
    )


# -- doubles -------------------------------------------------------------------


def test_what_would_feed_a_namesake_twice_is_found_behind_links_that_are_off() -> None:
    names = {"service": [CRM], "destination": [DB, db("db-2")]}
    off, on = sync("a", "crm-1", "db-1", {"disabled": True}), sync("b", "crm-1", "db-2", {"schedule": "1"})
    live = {
        "service": [{**CRM, "id": "own-crm"}], "destination": [{**db("db-2"), "id": "own-db"}],
        "link": [sync("own", "own-crm", "own-db", {"schedule": "1"})],
    }  # fmt: skip
    scenario = elsewhere({**names, "link": [off, on]}, live, allow_missing_secrets=True)
    blocked = {str(action.key) for action in plan_of(scenario).blocked}
    assert {"service/crm-1", "destination/db-2"} <= blocked
    assert "destination/db-1" not in blocked


@pytest.mark.parametrize(
    ("sources", "namesakes", "by_name"), [(1, 1, True), (1, 2, False), (2, 1, False), (2, 2, False)]
)
def test_pairing_by_name_is_offered_only_where_one_of_that_name_meets_one(
    sources: int, namesakes: int, by_name: bool
) -> None:
    services = [{**CRM, "id": f"crm-{n}"} for n in range(1, sources + 1)]
    own = [{**CRM, "id": f"own-{n}"} for n in range(1, namesakes + 1)]
    before = {
        "service": services,
        "destination": [DB],
        "link": [sync("y", "crm-1", "db-1", {"schedule": "1"})],
    }
    live = {
        "service": own, "destination": [{**DB, "id": here("destination", "db-1")}],
        "link": [sync("own", "own-1", here("destination", "db-1"), {"schedule": "1"})],
    }  # fmt: skip
    (blocked,) = plan_of(elsewhere(before, live, allow_missing_secrets=True)).blocked[:1]
    assert blocked.key == Key("service", "crm-1")
    assert ("or --match-by-name" in blocked.reason) is by_name


# -- twins ---------------------------------------------------------------------

TWINS = {
    "service": [CRM], "destination": [DB],
    "link": [sync(one, "crm-1", "db-1", {"schedule": "1"}, createdAt=one) for one in ("y1", "y2")],
}  # fmt: skip
MADE = {**TWINS, "link": [sync("made", "crm-1", "db-1", {"schedule": "1"})]}
READ = {"y1": {"users": "1"}, "y2": {"users": "2"}}


@pytest.mark.parametrize("choice", [{"only": ("link/y2",)}, {"skip": ("link/y1",)}], ids=["only", "skip"])
@pytest.mark.parametrize("cursors", [{}, {"made": {"users": "3"}}, {"made": {"users": "2"}}])
def test_a_link_that_is_there_is_the_chosen_one_of_two_twins(
    choice: dict[str, Any], cursors: dict[str, dict[str, str]]
) -> None:
    scenario = in_place(TWINS, MADE, of_snapshot={"cursors": READ}, of_live={"cursors": cursors}, **choice)
    found = action_of(scenario, "y2")
    assert (found.target_id, found.kind) == ("made", ActionKind.UNCHANGED if cursors else ActionKind.UPDATE)


def test_a_sync_that_is_there_is_the_twin_that_has_read_as_far() -> None:
    for made, text in (("y1", "1"), ("y2", " 2 ")):
        scenario = in_place(
            TWINS, MADE, of_snapshot={"cursors": READ}, of_live={"cursors": {"made": {"users": text}}}
        )
        kinds = {
            action.key.id: action.kind for action in plan_of(scenario).actions if action.key.type == "link"
        }
        expected = dict.fromkeys(("y1", "y2"), ActionKind.CREATE) | {made: ActionKind.UNCHANGED}
        assert kinds == expected


def test_a_twin_that_is_not_chosen_keeps_what_has_read_as_far_as_it_and_what_is_more_like_it() -> None:
    read = {"made": {"users": "1"}}
    scenario = in_place(
        TWINS, MADE, of_snapshot={"cursors": READ}, of_live={"cursors": read}, only=("link/y2",)
    )
    assert action_of(scenario, "y2").kind is ActionKind.CREATE
    like = with_(TWINS, link=[TWINS["link"][0], sync("y2", "crm-1", "db-1", {"schedule": "2", "more": 1})])
    changed = with_(MADE, link=[sync("made", "crm-1", "db-1", {"schedule": "3"})])
    assert action_of(in_place(like, changed, only=("link/y2",)), "y2").kind is ActionKind.CREATE


def of_one_source(**options: Any) -> Plan:
    """Two streams of the snapshot that are one in the target, each with a connection to the same destination."""
    two = {"stream": [WEB, {**WEB, "id": "web-2", "name": "Shop"}], "destination": [DB]}
    before = {
        **two,
        "link": [link("l1", "web-1", "db-1", {}), link("l2", "web-2", "db-1", {"mode": "batch"})],
    }
    live = {"stream": [{**WEB, "id": "own"}], "destination": [{**DB, "id": here("destination", "db-1")}]}
    live["link"] = [
        link("made", "own", here("destination", "db-1"), data) for data in options.pop("there", [])
    ]
    rules = overlay({"link/l2": {"fromId": "web-1"}})
    return plan_of(elsewhere(before, live, overlay=rules, mapping=(("stream/Web", "stream/Web"),), **options))


ONE_ONLY = (
    "a console keeps one connection from a source to a destination, and 'Web → Db-1' already joins these two"
)


@pytest.mark.parametrize("there", [[], [{"mode": "batch"}]], ids=["new", "there"])
@pytest.mark.parametrize("choice", [{"only": ("link/l2",)}, {"skip": ("link/l1",)}], ids=["only", "skip"])
def test_a_connection_is_not_in_the_way_of_another_one_while_it_is_neither_chosen_nor_there(
    choice: dict[str, Any], there: list[Any]
) -> None:
    (found,) = (a for a in of_one_source(there=there, **choice).actions if a.key.type == "link")
    assert found.kind is (ActionKind.UNCHANGED if there else ActionKind.CREATE)


def test_a_connection_that_is_chosen_or_there_is_in_the_way_of_another_one() -> None:
    for options in ({}, {"there": [{}]}, {"there": [{}], "skip": ("link/l1",)}):
        (found,) = (a for a in of_one_source(**options).actions if a.key.id == "l2")
        assert (found.kind, found.reason) == (ActionKind.BLOCKED, ONE_ONLY)
