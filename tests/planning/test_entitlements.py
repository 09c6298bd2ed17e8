"""What the subscription of a workspace does not include is left out and told, and nothing is lost whole."""

from typing import Any

import pytest

from jitsu_backup.planning import (
    Action,
    ActionKind,
    Entitlements,
    Loss,
    entitlements,
    residue,
)
from tests.planning.scenarios.scenario import (
    BASE,
    RUNS,
    WEB,
    Scenario,
    elsewhere,
    here,
    in_place,
    link,
    overlay,
    plan_of,
    recreate,
    with_,
)

NOTHING = Entitlements(custom_domains=False, identity_stitching=False)
STITCHING = {"functionId": "builtin.transformation.user-recognition", "functionOptions": {"ttl": 5}}
STITCHES = {"functions": [*RUNS["functions"], STITCHING], "mode": "batch"}
NO_DOMAINS = "your Jitsu subscription does not include custom domains"
NO_STITCHING = "your Jitsu subscription does not include identity stitching"
DOMAIN = {"id": "dom-1", "name": "*.Track.example"}


def action(scenario: Scenario, key: str) -> Action:
    return next(one for one in plan_of(scenario).actions if str(one.key) == key)


def cannot(done: str, *domains: str) -> tuple[Loss, ...]:
    return tuple(Loss("domains", f"domain {domain} cannot {done}: {NO_DOMAINS}") for domain in domains)


def streams(*listed: list[str]) -> dict[str, Any]:
    return {
        "stream": [
            {**WEB, "id": f"web-{n}", "name": f"Web {n}", "domains": one} for n, one in enumerate(listed, 1)
        ]
    }


# -- what the console tells ------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        ({"customDomains": True, "identityStitching": False}, Entitlements(True, False)),
        ({"customDomains": None, "identityStitching": None}, Entitlements()),
        ({"customDomains": "no"}, Entitlements()),
        ([False], Entitlements()),
        (None, Entitlements()),
    ],
)
def test_only_a_plain_yes_or_no_is_known(answer: Any, known: Entitlements) -> None:
    assert entitlements(answer, {"featuresEnabled": ["reverse-etl"]}) == known


def test_the_feature_misc_grants_custom_domains_and_no_stitching() -> None:
    answer = {"customDomains": False, "identityStitching": False}
    assert entitlements(answer, {"featuresEnabled": ["misc"]}) == Entitlements(True, False)
    assert entitlements(answer, {"featuresEnabled": "misc"}) == entitlements(answer, {}) == NOTHING


@pytest.mark.parametrize("known", [Entitlements(), Entitlements(True, True)])
def test_what_is_included_or_not_known_is_sent_as_it_is(known: Entitlements) -> None:
    before = with_(
        BASE, **streams(["a.example"]), domain=[DOMAIN], link=[link("l1", "web-1", "db-1", STITCHES)]
    )
    scenario = elsewhere(before, {}, allow_missing_secrets=True, entitlements=known)
    assert action(scenario, "stream/web-1").body["domains"] == ["a.example"]
    assert action(scenario, "link/l1").body["data"] == STITCHES
    assert action(scenario, "domain/dom-1").kind is ActionKind.CREATE
    assert not any(NO_DOMAINS in loss.reason for one in plan_of(scenario).actions for loss in one.losses)


# -- domains ---------------------------------------------------------------------------


def test_a_stream_is_made_without_the_domains_that_are_not_included() -> None:
    made = action(elsewhere(streams(["A.example", "b.example"]), {}, entitlements=NOTHING), "stream/web-1")
    assert (made.kind, made.body["domains"]) == (ActionKind.CREATE, [])
    assert made.losses == cannot("be added", "a.example", "b.example")


def test_a_stream_deleted_since_comes_back_without_its_domains() -> None:
    made = action(in_place(streams(["a.example"]), {}, entitlements=NOTHING), "stream/web-1")
    assert (made.kind, made.body["domains"], made.losses) == (
        ActionKind.CREATE,
        [],
        cannot("be added", "a.example"),
    )


def test_a_stream_keeps_the_domains_that_it_has_in_the_target() -> None:
    before, live = streams(["a.example", "b.example"]), streams(["A.Example", "c.example"])
    changed = action(in_place(before, live, entitlements=NOTHING), "stream/web-1")
    assert (changed.kind, changed.body["domains"]) == (ActionKind.UPDATE, ["a.example"])
    assert changed.losses == cannot("be added", "b.example")


def test_a_domain_that_only_an_overlay_gives_is_left_out_too() -> None:
    given = overlay({"stream/Web 1": {"domains": ["mine.example"]}})
    made = action(elsewhere(streams(["a.example"]), {}, overlay=given, entitlements=NOTHING), "stream/web-1")
    assert (made.body["domains"], made.losses) == ([], cannot("be added", "mine.example"))


def test_without_a_domain_that_cannot_be_added_nothing_is_written_again_and_it_is_reported_again() -> None:
    live = {"stream": [{**streams([])["stream"][0], "id": here("stream", "web-1")}]}
    plan = plan_of(elsewhere(streams(["a.example"]), live, entitlements=NOTHING))
    assert [one.kind for one in plan.actions] == [ActionKind.UNCHANGED]
    assert [(one.path, one.reason) for one in residue(plan)] == [
        ("domains", f"domain a.example cannot be added: {NO_DOMAINS}")
    ]


def test_a_domain_stays_where_it_is_rather_than_belong_to_no_stream() -> None:
    scenario = in_place(streams(["a.example"], []), streams([], ["a.example"]), entitlements=NOTHING)
    assert not plan_of(scenario).writes
    assert action(scenario, "stream/web-1").losses == cannot("be added", "a.example")
    assert action(scenario, "stream/web-2").losses == cannot("move", "a.example")


def test_a_domain_leaves_a_stream_where_another_one_has_it_already_or_nothing_wants_it() -> None:
    live = streams(["a.example"], ["a.example", "b.example"])
    changed = action(in_place(streams(["a.example"], []), live, entitlements=NOTHING), "stream/web-2")
    assert (changed.kind, changed.body["domains"], changed.losses) == (ActionKind.UPDATE, [], ())


def test_another_workspaces_domain_is_reported_as_such() -> None:
    options = {"domains_elsewhere": {"a.example": "acme-staging"}, "entitlements": NOTHING}
    made = action(elsewhere(streams(["a.example"]), {}, **options), "stream/web-1")
    assert made.losses == (Loss("domains", "domain a.example not set: in use by workspace acme-staging"),)


def test_a_domain_object_is_skipped_where_it_would_be_made_and_stays_where_it_is() -> None:
    made = action(elsewhere({"domain": [DOMAIN]}, {}, entitlements=NOTHING), "domain/dom-1")
    assert (made.kind, made.reason) == (ActionKind.SKIPPED, NO_DOMAINS)
    there = in_place(
        {"domain": [DOMAIN]}, {"domain": [{**DOMAIN, "name": "*.track.example"}]}, entitlements=NOTHING
    )
    assert action(there, "domain/dom-1").kind is ActionKind.UNCHANGED


# -- identity stitching ----------------------------------------------------------------


def test_a_link_is_made_without_identity_stitching_but_with_all_else() -> None:
    before = with_(BASE, link=[link("l1", "web-1", "db-1", STITCHES)])
    made = action(elsewhere(before, {}, allow_missing_secrets=True, entitlements=NOTHING), "link/l1")
    assert (made.kind, made.body["data"]) == (ActionKind.CREATE, {**RUNS, "mode": "batch"})
    assert made.losses == (Loss("data.functions", NO_STITCHING),)


def test_a_link_that_stitches_in_the_target_continues_with_it() -> None:
    before = with_(BASE, link=[link("l1", "web-1", "db-1", STITCHES)])
    live = with_(BASE, link=[link("l1", "web-1", "db-1", {**STITCHES, "mode": "stream"})])
    changed = action(in_place(before, live, entitlements=NOTHING), "link/l1")
    assert (changed.kind, changed.body["data"], changed.losses) == (ActionKind.UPDATE, STITCHES, ())


def test_a_link_that_lacks_only_identity_stitching_is_not_written_and_it_is_reported() -> None:
    before = with_(BASE, link=[link("l1", "web-1", "db-1", {"functions": [*RUNS["functions"], STITCHING]})])
    found = action(in_place(before, BASE, entitlements=NOTHING), "link/l1")
    assert (found.kind, found.losses) == (ActionKind.UNCHANGED, (Loss("data.functions", NO_STITCHING),))


def test_nothing_is_recreated_where_its_connection_would_lose_identity_stitching() -> None:
    links = [link("l1", "web-1", "db-1", STITCHES)]
    assert plan_of(recreate(before={"link": links}, live={"link": links})).writes
    plan = plan_of(recreate(before={"link": links}, live={"link": links}, entitlements=NOTHING))
    assert not plan.writes
    told = f"not re-created: connection 'Web → Db-1' would lose its identity stitching: {NO_STITCHING}"
    assert all(told in loss.reason for one in plan.actions for loss in one.losses)
