"""A connection to a destination that cannot take events yet is blocked, with what to do, where the console checks it."""

from typing import Any

import pytest

from jitsu_backup.model import MASK
from jitsu_backup.planning import Action, ActionKind, make_plan
from tests.planning.scenarios.scenario import (
    MODERN,
    SCHEMAS,
    TYPES,
    WEB,
    Lists,
    Scenario,
    elsewhere,
    here,
    in_place,
    link,
    overlay,
)

OPEN = {
    **SCHEMAS,
    **{
        f"destination/{one}": {"properties": MODERN}
        for one in ("facebook-conversions", "google-ads", "webhook")
    },
}
NEWEST: dict[str, Any] = {"of_live": {"types": (*TYPES, "model")}, "schemas": OPEN}
NO_PIXEL = "its destination 'Meta' accepts no events without a pixelId; provide it with --overlay, or leave this out with --skip=link/l1"
SOURCE = {**WEB, "name": "Site"}


def meta(**more: Any) -> dict[str, Any]:
    return {"id": "meta-1", "name": "Meta", "destinationType": "facebook-conversions", **more}


def ads(**more: Any) -> dict[str, Any]:
    return {"id": "meta-1", "name": "Meta", "destinationType": "google-ads", **more}


def connected(destination: dict[str, Any], data: Any = None) -> Lists:
    return {
        "stream": [SOURCE],
        "destination": [destination],
        "link": [link("l1", "web-1", "meta-1", data or {})],
    }


def unconnected(destination: dict[str, Any]) -> Lists:
    return {**connected(destination), "link": []}


def action(scenario: Scenario, key: str = "link/l1") -> Action:
    plan = make_plan(scenario.snapshot, scenario.live, scenario.options)
    return next(one for one in plan.actions if str(one.key) == key)


@pytest.mark.parametrize("destination", [meta(), meta(pixelId=""), meta(pixelId=None)])
def test_a_connection_is_blocked_where_its_destination_is_made_without_a_pixel(destination: Any) -> None:
    found = action(elsewhere(connected(destination), {}, **NEWEST))
    assert (found.kind, found.reason) == (ActionKind.BLOCKED, NO_PIXEL)


@pytest.mark.parametrize(
    "destination",
    [
        meta(pixelId="123"),
        ads(conversionActionId="7"),
        ads(conversionActions=["", "sign_up=123"]),
        ads(conversionActions="other\n sign up = 123 \n"),
        {"id": "meta-1", "name": "Meta", "destinationType": "webhook"},
    ],
)
def test_a_connection_is_made_where_its_destination_takes_events(destination: Any) -> None:
    assert action(elsewhere(connected(destination), {}, **NEWEST)).kind is ActionKind.CREATE


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"conversionActionId": ""},
        {"conversionActions": []},
        {"conversionActions": ["a=b", "=5", "a=5x", "6"]},
    ],
)
def test_a_connection_to_google_ads_is_blocked_without_a_conversion(more: Any) -> None:
    found = action(elsewhere(connected(ads(**more)), {}, **NEWEST))
    assert found.kind is ActionKind.BLOCKED
    assert "without a conversionActionId, or a line EVENT=NUMBER in conversionActions;" in found.reason


def test_an_older_console_takes_every_connection() -> None:
    assert action(elsewhere(connected(meta()), {}, schemas=OPEN)).kind is ActionKind.CREATE
    emptied = in_place(connected(meta(pixelId="")), connected(meta(pixelId="1")), schemas=OPEN)
    assert action(emptied, "destination/meta-1").kind is ActionKind.UPDATE


def test_a_sync_needs_no_pixel() -> None:
    service = {"id": "crm", "name": "CRM", "package": "a/b"}
    before = {
        **unconnected(meta()),
        "service": [service],
        "link": [link("l1", "crm", "meta-1", {}, type="sync")],
    }
    assert action(in_place(before, {}, **NEWEST)).kind is ActionKind.CREATE


def test_the_destination_counts_as_the_overlay_makes_it() -> None:
    given = overlay({"destination/Meta": {"pixelId": "9"}})
    assert action(elsewhere(connected(meta()), {}, overlay=given, **NEWEST)).kind is ActionKind.CREATE
    taken = overlay({"destination/Meta": {"pixelId": ""}})
    assert (
        action(elsewhere(connected(meta(pixelId="9")), {}, overlay=taken, **NEWEST)).kind
        is ActionKind.BLOCKED
    )


@pytest.mark.parametrize(("pixel", "kind"), [("9", ActionKind.CREATE), ("", ActionKind.BLOCKED)])
def test_a_destination_that_is_left_out_counts_as_the_target_has_it(pixel: str, kind: ActionKind) -> None:
    live = unconnected({**meta(pixelId=pixel), "id": here("destination", "meta-1")})
    live["stream"] = [{**SOURCE, "id": here("stream", "web-1")}]
    before = connected(meta(pixelId="" if pixel else "9"))
    assert action(elsewhere(before, live, only=("link",), **NEWEST)).kind is kind


def test_what_an_update_leaves_as_it_is_counts_too() -> None:
    before, live = (
        connected(meta(accessToken=MASK)),
        unconnected(meta(accessToken=MASK, pixelId="9", name="Old")),
    )
    scenario = in_place(before, live, **NEWEST)
    assert action(scenario, "destination/meta-1").kind is ActionKind.UPDATE
    assert action(scenario).kind is ActionKind.CREATE


def test_a_connection_is_blocked_where_it_would_be_changed_and_left_where_it_is_as_intended() -> None:
    before = connected(meta(), {"mode": "batch"})
    changed = action(in_place(before, connected(meta(), {"mode": "stream"}), **NEWEST))
    assert (changed.kind, changed.target_id, changed.reason) == (ActionKind.BLOCKED, "l1", NO_PIXEL)
    assert action(in_place(before, before, **NEWEST)).kind is ActionKind.UNCHANGED


def test_a_destination_that_is_recreated_has_nothing_of_the_old_one() -> None:
    before = connected(meta())
    scenario = in_place(before, connected(meta(pixelId="9", extra=1)), recreate=True, **NEWEST)
    assert action(scenario, "destination/meta-1").kind is ActionKind.CREATE
    assert action(scenario).kind is ActionKind.BLOCKED
    plan = make_plan(scenario.snapshot, scenario.live, scenario.options)
    assert [str(one.key) for one in plan.actions if one.kind is ActionKind.DELETE] == []


def test_an_update_that_leaves_a_connected_destination_its_pixel_is_made() -> None:
    scenario = in_place(connected(meta(pixelId="9")), connected(meta(pixelId="9", name="Old")), **NEWEST)
    assert action(scenario, "destination/meta-1").kind is ActionKind.UPDATE


def test_an_update_that_takes_the_pixel_is_blocked_whatever_comes_before_it() -> None:
    before, live = connected(meta(pixelId="")), connected(meta(pixelId="9"))
    for lists in (before, live):
        lists["destination"] = [{**meta(pixelId="1"), "id": "a"}, *lists["destination"]]
    assert action(in_place(before, live, **NEWEST), "destination/meta-1").kind is ActionKind.BLOCKED


def test_an_update_that_takes_the_pixel_from_a_connected_destination_is_blocked() -> None:
    before, live = connected(meta(pixelId="")), connected(meta(pixelId="9"))
    found = action(in_place(before, live, **NEWEST), "destination/meta-1")
    assert (found.kind, found.target_id) == (ActionKind.BLOCKED, "meta-1")
    assert found.reason == (
        "its connection 'Site → Meta' accepts no events without a pixelId;"
        " provide it with --overlay, or leave this out with --skip=destination/meta-1"
    )
    assert action(in_place(before, live, **NEWEST)).kind is ActionKind.UNCHANGED


@pytest.mark.parametrize(
    "links",
    [
        [],
        [link("l1", "web-1", "other", {})],
        [link("l1", "gone", "meta-1", {})],
        [link("l1", "crm", "meta-1", {}, type="sync")],
    ],
)
def test_a_destination_without_a_connection_may_lose_its_pixel(links: Any) -> None:
    crm, other = {"id": "crm", "name": "CRM", "package": "a/b"}, {**meta(pixelId="1"), "id": "other"}
    live = {**unconnected(meta(pixelId="9")), "service": [crm], "link": links}
    live["destination"] = [*live["destination"], other]
    scenario = in_place(unconnected(meta(pixelId="")), live, **NEWEST)
    assert action(scenario, "destination/meta-1").kind is ActionKind.UPDATE


def test_a_destination_that_never_took_events_may_be_changed() -> None:
    scenario = in_place(connected(meta(name="New")), connected(meta()), **NEWEST)
    assert action(scenario, "destination/meta-1").kind is ActionKind.UPDATE


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, ActionKind.BLOCKED),
        ({"prune": True}, ActionKind.UPDATE),
        ({"prune": True, "skip": ("link/l1",)}, ActionKind.BLOCKED),
    ],
)
def test_a_connection_that_goes_in_the_same_run_does_not_count(options: Any, kind: ActionKind) -> None:
    scenario = in_place(
        unconnected(meta(pixelId="")), connected(meta(pixelId="9")), accept_shrink=True, **options, **NEWEST
    )
    assert action(scenario, "destination/meta-1").kind is kind
