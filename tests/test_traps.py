"""Traps of the real console, one by one, each as a restore meets it."""

from typing import Any

import pytest

from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.planning import ActionKind, Overlay, PlanOptions, make_plan, parse_overlay
from jitsu_backup.sandbox import Sandbox, State, default_state, example_workspace
from tests.support import (
    PRODUCTION,
    STAGING,
    comparable,
    console_of,
    id_map,
    make_snapshot,
    read,
    restore,
    run,
    stand_ins,
    writes,
)

OTHER = "http://other.example"


@pytest.fixture
def state() -> State:
    state = default_state()
    example_workspace(state, STAGING)
    return state


def twice(state: State, target: Sandbox, **options: Any) -> Any:
    """Restore staging into the target's production, twice; the second must write nothing."""
    before = run(read(console_of(Sandbox(state, rate_limit=False)), "acme-staging"))
    first = run(restore(lambda: console_of(target, OTHER), before, **options))
    target.requests.clear()
    second = run(restore(lambda: console_of(target, OTHER), before, **options))
    assert writes(target) == 0, second.plan.writes
    assert second.found == first.found
    return first


def empty() -> Sandbox:
    return Sandbox(default_state(), rate_limit=False)


def test_dangling_links_are_skipped_with_the_reason(state: State) -> None:
    state.objects["warehouse-0001"].deleted = True
    result = twice(state, empty())
    skipped = [a for a in result.plan.actions if a.kind is ActionKind.SKIPPED]
    assert len(skipped) == 4  # a profile builder writes there too, and that one is no connection
    assert len(result.plan.dead) == 3
    assert [line.key.type for line in result.found] == ["profile-builder"]


def test_a_builder_that_names_functions_its_own_too_has_them_rewritten(state: State) -> None:
    builder = state.builders["profiles-0001"]
    functions = [{"functionId": f"udf.{i}"} for i in ("enrich-0001", builder.function_id)]
    builder.fields["connectionOptions"] = {"functions": [*functions, {"functionId": "builtin.x"}]}
    target = empty()
    result = twice(state, target)
    assert result.found == []
    new_id = result.plan.ids[("profile-builder", "profiles-0001")]
    new = target.state.builders[new_id]
    assert new.fields["connectionOptions"]["functions"] == [
        {"functionId": f"udf.{result.plan.ids[('function', 'enrich-0001')]}"},
        {"functionId": f"udf.{new.function_id}"},
        {"functionId": "builtin.x"},
    ]
    rows = [o for o in target.state.objects.values() if o.config.get("kind") == "profile"]
    assert len(rows) == 1  # its function is not copied twice


def test_links_go_to_the_targets_own_provisioned_destination(state: State) -> None:
    provisioned = {"name": "P", "destinationType": "clickhouse", "provisioned": True}
    state.add_object(STAGING, "destination", "prov-s", provisioned)
    state.add_link(STAGING, "push", "web-0001", "prov-s", {"mode": "batch"})
    target = empty()
    target.state.add_object(PRODUCTION, "destination", "prov-t", provisioned)
    assert twice(state, target).found == []
    assert sum(row.to_id == "prov-t" for row in target.state.links.values()) == 1


def test_without_one_of_its_own_the_provisioned_destination_and_its_links_are_blocked(state: State) -> None:
    provisioned = {"name": "P", "destinationType": "clickhouse", "provisioned": True}
    state.add_object(STAGING, "destination", "prov-s", provisioned)
    state.add_link(STAGING, "push", "web-0001", "prov-s", {"mode": "batch"})
    target = empty()
    before = run(read(console_of(Sandbox(state, rate_limit=False)), "acme-staging"))
    plan = make_plan(before, run(read(console_of(target, OTHER), "acme-production")), PlanOptions())
    blocked = [(a.key.type, a.reason) for a in plan.blocked if a.name in ("P", "Web site → P")]
    assert [kind for kind, _ in blocked] == ["destination", "link"]
    assert "--map" in blocked[0][1]
    result = twice(state, target, skip=("destination/prov-s",))
    assert result.found == []  # left out on request
    assert [a.reason for a in result.plan.actions if a.kind is ActionKind.SKIPPED] == [
        "its destination, destination 'P', is left out"
    ]


def test_a_domain_of_an_invisible_workspace_is_left_out_when_the_console_says_so(state: State) -> None:
    target = empty()
    target.state.add_workspace("chidden", "Hidden", "hidden", {})
    target.state.add_object("chidden", "stream", "theirs", {"name": "T", "domains": ["data.acme.example"]})
    before = run(read(console_of(Sandbox(state, rate_limit=False)), "acme-staging"))
    result = run(restore(lambda: console_of(target, OTHER), before))
    (left,) = result.found
    assert (left.key.type, left.path) == ("stream", "domains")
    assert "in use by another workspace" in left.reason
    assert all(outcome.status is Status.DONE for outcome in result.outcomes)


def test_a_streams_own_domains_in_the_target_stay_when_the_sources_cannot_come(state: State) -> None:
    sandbox = Sandbox(state, rate_limit=False)
    before = run(read(console_of(sandbox), "acme-staging"))
    result = run(restore(lambda: console_of(sandbox), before))
    copied = state.objects[result.plan.ids[("stream", "web-0001")]]
    copied.config["domains"] = ["data.production.example"]
    sandbox.requests.clear()
    run(restore(lambda: console_of(sandbox), before))
    assert writes(sandbox) == 0
    assert copied.config["domains"] == ["data.production.example"]


def test_a_domain_that_is_refused_takes_none_of_the_targets_own_away_and_changes_nothing_again() -> None:
    target = empty()
    target.state.add_workspace("chidden", "Hidden", "hidden", {})
    target.state.add_object("chidden", "stream", "theirs", {"name": "T", "domains": ["a.taken", "b.taken"]})
    mine = target.state.add_object(PRODUCTION, "stream", "web", {"name": "Web", "domains": ["own.example"]})
    before = make_snapshot(
        {"stream": [{"id": "web", "name": "Web", "domains": ["a.taken", "free.example", "b.taken"]}]},
        workspace_id="cforeign",
    )
    for accepted in (1, 0):
        target.requests.clear()
        result = run(restore(lambda: console_of(target, OTHER), before))
        assert mine.config["domains"] == ["own.example", "free.example"]
        assert {r.reason for r in result.found} == {"domain a.taken, b.taken is in use by another workspace"}
        assert [r.status for r in target.requests if r.method == "PUT"].count(200) == accepted


def test_another_change_of_a_stream_is_made_though_its_domain_is_refused() -> None:
    target = empty()
    target.state.add_workspace("chidden", "Hidden", "hidden", {})
    target.state.add_object("chidden", "stream", "theirs", {"name": "T", "domains": ["a.taken"]})
    mine = target.state.add_object(PRODUCTION, "stream", "web", {"name": "Old", "domains": ["own.example"]})
    before = make_snapshot(
        {"stream": [{"id": "web", "name": "Web", "domains": ["a.taken"]}]}, workspace_id="cforeign"
    )
    result = run(restore(lambda: console_of(target, OTHER), before))
    assert (mine.config["name"], mine.config["domains"]) == ("Web", ["own.example"])
    assert [(r.path, r.reason) for r in result.found] == [
        ("domains.0", "domain a.taken is in use by another workspace")
    ]


def test_a_domain_under_another_workspaces_wildcard_is_foreseen() -> None:
    sandbox = empty()
    sandbox.state.add_object(STAGING, "domain", "all", {"name": "*.track.example"})
    before = make_snapshot(
        {"stream": [{"id": "web", "name": "Web", "domains": ["a.track.example", "other.example"]}]},
        workspace_id="cforeign",
    )
    result = run(restore(lambda: console_of(sandbox), before))
    assert [r.reason for r in result.found] == [
        "domain a.track.example not set: in use by workspace acme-staging"
    ]
    assert [r.status for r in sandbox.requests if r.method != "GET"] == [200]


def test_an_overlay_moves_hosts_names_and_domains_and_keeps_moving_them(state: State) -> None:
    before = run(read(console_of(Sandbox(state, rate_limit=False)), "acme-staging"))
    moved = {
        "destination/Warehouse": {"host": "db.production", "name": "Production warehouse"},
        "stream/Web site": {"domains": ["Data.Production.example"]},
        "domain/*": {"name": "*.production.example"},
        "link/Web site -> Warehouse": {"data.functionsEnv.API_TOKEN": "production"},
    }
    overlay = Overlay((*stand_ins(before).rules, *parse_overlay(moved).rules))
    target = Sandbox(state, rate_limit=False)  # within one console
    result = run(restore(lambda: console_of(target), before, overlay=overlay))
    assert result.found == []
    target.requests.clear()
    run(restore(lambda: console_of(target), before, overlay=overlay))
    assert writes(target) == 0
    warehouse = state.objects[result.plan.ids[("destination", "warehouse-0001")]].config
    assert (warehouse["host"], warehouse["name"], warehouse["database"]) == (
        "db.production", "Production warehouse", "analytics",
    )  # fmt: skip
    link = next(
        r
        for r in state.links.values()
        if r.workspace_id == PRODUCTION and r.data and "functionsEnv" in r.data
    )
    assert link.data["functionsEnv"] == {"API_TOKEN": "production"}
    assert link.data["frequency"] == 5
    cursors = [s for sync, s in state.sync_states.items() if sync.startswith(PRODUCTION)]
    assert cursors == []  # another warehouse: the old cursor would leave a gap


def test_a_live_secret_is_never_lost_by_an_update(state: State) -> None:
    target = empty()
    result = twice(state, target)
    crm = target.state.objects[result.plan.ids[("service", "crm-0001")]].config
    crm["credentials"]["password"] = "rotated"
    state.objects["crm-0001"].config["credentials"]["host"] = "crm2"
    before = run(read(console_of(Sandbox(state, rate_limit=False)), "acme-staging"))
    run(restore(lambda: console_of(target, OTHER), before, overlay=Overlay()))
    crm = target.state.objects[result.plan.ids[("service", "crm-0001")]].config
    assert crm["credentials"]["host"] == "crm2"
    assert crm["credentials"]["password"] == "rotated"
    assert crm["credentials"]["tunnel_method"]["ssh_key"] == "stand-in"


def test_a_key_that_put_cannot_remove_is_foretold_as_a_loss_and_never_written_again(state: State) -> None:
    target = empty()
    result = twice(state, target)
    clicks = target.state.objects[result.plan.ids[("destination", "clicks-0001")]].config
    clicks["parameters"]["extra"] = "1"
    before = run(read(console_of(Sandbox(state, rate_limit=False)), "acme-staging"))
    live = run(read(console_of(target, OTHER), "acme-production"))
    plan = make_plan(before, live, PlanOptions(overlay=stand_ins(before)))
    action = next(a for a in plan.actions if a.key == ("destination", "clicks-0001"))
    assert action.kind is ActionKind.UNCHANGED
    assert [loss.path for loss in action.losses] == ["parameters.extra"]


def test_new_write_keys_differ_from_the_old_and_come_only_once(state: State) -> None:
    target = empty()
    result = twice(state, target)
    assert len({key.write_key for key in result.keys}) == 4
    assert not {key.key_id for key in result.keys} & {"js.web", "s2s.web", "js.app", "s2s.app"}
    stored = [k for o in target.state.objects.values() for k in o.config.get("publicKeys", [])]
    assert {k["id"] for k in stored} == {k.key_id for k in result.keys if k.kind == "browser"}


def test_a_write_key_that_was_added_in_the_source_is_made_in_the_target_and_the_others_stay(
    state: State,
) -> None:
    target = empty()
    first = twice(state, target)
    stream = target.state.objects[first.plan.ids[("stream", "web-0001")]].config
    old = [key["hash"] for key in stream["publicKeys"]]
    state.objects["web-0001"].config["publicKeys"].append({"id": "js.second", "hash": "x.y"})
    second = twice(state, target)
    assert [key.source_key_id for key in second.keys] == ["js.second"]
    stream = target.state.objects[first.plan.ids[("stream", "web-0001")]].config
    assert [key["hash"] for key in stream["publicKeys"]][:1] == old
    assert len(stream["publicKeys"]) == 2


def test_two_equal_syncs_stay_two(state: State) -> None:
    link = next(row for row in state.links.values() if row.type == "sync")
    state.add_link(STAGING, "sync", link.from_id, link.to_id, link.data)
    target = empty()
    result = twice(state, target)
    assert sum(row.type == "sync" for row in target.state.links.values()) == 3
    before = run(read(console_of(Sandbox(state, rate_limit=False)), "acme-staging"))
    after = run(read(console_of(target, OTHER), "acme-production"))
    assert comparable(before, id_map(result)) == comparable(after, {})
