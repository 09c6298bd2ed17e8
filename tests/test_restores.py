"""Restores as a production workspace needs them: in place, cloned, selected, saved, refused, interrupted."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from jitsu_backup.archive import encode
from jitsu_backup.cli.applying import carry_out, prepare
from jitsu_backup.errors import UsageError
from jitsu_backup.importer import Status, new_keys
from jitsu_backup.model import MASK, Key, Snapshot
from jitsu_backup.planning import Ids, Kind, Overlay, Plan, PlanOptions, make_plan, parse_overlay
from jitsu_backup.restoring import UNSEEN_KEYS, Result, new_secret
from jitsu_backup.sandbox import Sandbox, State, default_state, example_workspace, running
from jitsu_backup.sandbox.replies import Refusal
from tests.support import (
    ANALYST,
    OWNER,
    PRODUCTION,
    STAGING,
    FakeTime,
    cli,
    comparable,
    console_of,
    example_sandbox,
    read,
    restore,
    run,
    stand_ins,
    writes,
)

OTHER = "http://other.example"
ADMIN = "service:admintoken"
IN_PLACE: dict[str, Any] = {"overlay": Overlay()}


@pytest.fixture
def sandbox() -> Sandbox:
    return example_sandbox()


@pytest.fixture
def before(sandbox: Sandbox) -> Snapshot:
    return run(read(console_of(sandbox), STAGING))


def roll_back(sandbox: Sandbox, snapshot: Snapshot, **options: Any) -> Result:
    return run(restore(lambda: console_of(sandbox), snapshot, STAGING, **{**IN_PLACE, **options}))


def plan_for(sandbox: Sandbox, snapshot: Snapshot, workspace: str = STAGING, **options: Any) -> Plan:
    options = {**IN_PLACE, **options}
    plan, *_ = run(prepare(console_of(sandbox), workspace, snapshot, PlanOptions(**options), lambda _: None))
    return plan


def delete(state: State, object_id: str, *, cascade: bool = False) -> None:
    state.objects[object_id].deleted = True
    for link in state.links.values():
        link.deleted = link.deleted or (cascade and object_id in (link.from_id, link.to_id))


# -- in place --------------------------------------------------------------------------


def test_in_place_live_objects_keep_their_ids_and_only_differences_are_written(
    sandbox: Sandbox, before: Snapshot
) -> None:
    sandbox.state.objects["enrich-0001"].config["code"] = "changed"
    sandbox.requests.clear()
    result = roll_back(sandbox, before)
    assert result.found == []
    assert [r.path for r in sandbox.requests if r.method != "GET"] == [
        f"/api/{STAGING}/config/function/enrich-0001"
    ]
    assert run(read(console_of(sandbox), STAGING)).of_type("function")[0].body["code"] != "changed"


@pytest.mark.parametrize("cascade", [True, False])
def test_a_deleted_destination_comes_back_with_its_secret_its_connections_and_their_cursors(
    sandbox: Sandbox, before: Snapshot, cascade: bool
) -> None:
    delete(sandbox.state, "warehouse-0001", cascade=cascade)
    result = roll_back(sandbox, before, prune=True)
    assert result.found == []
    new_id = result.plan.ids[Key("destination", "warehouse-0001")]
    assert new_id != "warehouse-0001"  # its id is taken for ever
    assert sandbox.state.objects[new_id].config["password"] == "pg-secret"
    after = run(read(console_of(sandbox), STAGING))
    assert comparable(before, {"warehouse-0001": new_id}) == comparable(after, {})
    assert after.of_type("profile-builder")[0].body["destinationId"] == new_id


def test_a_deleted_profile_builder_comes_back_under_another_id_with_its_function(
    sandbox: Sandbox, before: Snapshot
) -> None:
    builder = sandbox.state.builders["profiles-0001"]
    builder.deleted = sandbox.state.objects[builder.function_id].deleted = True
    result = roll_back(sandbox, before)
    assert result.found == []
    after = run(read(console_of(sandbox), STAGING))
    assert comparable(before, {"profiles-0001": after.of_type("profile-builder")[0].key.id}) == comparable(
        after, {}
    )


def test_what_is_new_stays_without_prune_and_goes_with_it_but_not_what_somebody_connected_meanwhile(
    sandbox: Sandbox, before: Snapshot
) -> None:
    state = sandbox.state
    state.add_object(STAGING, "function", "new-fn", {"name": "New", "code": "x"})
    state.add_object(STAGING, "stream", "new-stream", {"name": "New stream"})
    state.add_link(STAGING, "push", "new-stream", "hook-0001", {"functions": [{"functionId": "udf.new-fn"}]})
    assert roll_back(sandbox, before).plan.writes == ()
    plan = plan_for(sandbox, before, prune=True)
    assert [(a.kind, a.key.type) for a in plan.writes] == [
        (Kind.DELETE, "link"), (Kind.DELETE, "function"), (Kind.DELETE, "stream"),
    ]  # fmt: skip

    live = run(read(console_of(sandbox), STAGING))
    state.add_link(STAGING, "push", "new-stream", "warehouse-0001", {})  # between plan and act
    result = run(
        carry_out(console_of(sandbox), before, live, plan, PlanOptions(prune=True), {}, lambda _: None)
    )
    failed = {o.action.name: o.reason for o in result.outcomes if o.status is Status.FAILED}
    assert list(failed) == ["New stream"]
    assert not state.objects["new-stream"].deleted
    assert {r.name for r in result.found} == {"New stream", "New stream → Warehouse"}


@pytest.mark.parametrize("old", [False, True], ids=["2026", "2024"])
def test_a_function_that_the_sources_connections_still_name_goes_from_another_console_with_prune(
    old: bool,
) -> None:
    def console() -> Sandbox:
        state = default_state(old=old)
        example_workspace(state, STAGING)
        return Sandbox(state, rate_limit=False)

    source, target = console(), console()
    delete(source.state, "filter-0001")  # the connection that runs it stays as it is
    wanted = run(read(console_of(source), STAGING))

    def again() -> Result:
        make = lambda: console_of(target, OTHER)  # noqa: E731
        return run(restore(make, wanted, STAGING, prune=True))

    result = again()
    deleted = [outcome for outcome in result.outcomes if outcome.action.kind is Kind.DELETE]
    assert [(outcome.action.key, outcome.status) for outcome in deleted] == [
        (Key("function", "filter-0001"), Status.DONE)
    ]
    assert result.found == []
    before = writes(target)
    again()
    assert writes(target) == before


def test_prune_refuses_an_incomplete_snapshot(sandbox: Sandbox, before: Snapshot) -> None:
    incomplete = replace(before, manifest=replace(before.manifest, consistent=False))
    with pytest.raises(UsageError, match="complete"):
        plan_for(sandbox, incomplete, prune=True)


def test_a_sync_that_stayed_keeps_its_cursor_even_where_somebody_reset_it(
    sandbox: Sandbox, before: Snapshot
) -> None:
    sandbox.state.sync_states.clear()
    assert roll_back(sandbox, before).plan.writes == ()


def test_keys_that_put_cannot_remove_are_foretold_and_recreate_brings_them_back(
    sandbox: Sandbox, before: Snapshot
) -> None:
    clicks = sandbox.state.objects["clicks-0001"]
    clicks.config = {**clicks.config, "cluster": "c", "parameters": {**clicks.config["parameters"], "x": "1"}}
    (action,) = [a for a in plan_for(sandbox, before).actions if a.losses]
    assert [loss.path for loss in action.losses] == ["cluster", "parameters.x"]
    assert [r.path for r in roll_back(sandbox, before).found] == ["cluster", "parameters.x"]
    result = roll_back(sandbox, before, recreate=True)
    assert result.found == []
    new = sandbox.state.objects[result.plan.ids[Key("destination", "clicks-0001")]]
    assert new.config["password"] == "ch-secret"
    assert clicks.deleted
    again = roll_back(sandbox, before, recreate=True)
    assert again.plan.writes == ()


def test_recreate_leaves_alone_what_a_connection_outside_the_snapshot_uses(
    sandbox: Sandbox, before: Snapshot
) -> None:
    sandbox.state.objects["clicks-0001"].config["cluster"] = "c"
    sandbox.state.add_link(STAGING, "push", "server-0001", "clicks-0001", {})
    result = roll_back(sandbox, before, recreate=True)
    assert result.plan.writes == ()
    assert "not made anew: connection 'Backend events → ClickHouse'" in result.found[0].reason


def test_write_keys_stay_in_place_and_only_unknown_ones_are_made_anew(
    sandbox: Sandbox, before: Snapshot
) -> None:
    stream = sandbox.state.objects["web-0001"].config
    hashes = {key["id"]: key["hash"] for key in stream["publicKeys"]}
    stream["privateKeys"] = [{"id": "s2s.since", "hash": "a.b"}]
    result = roll_back(sandbox, before)
    assert [key.source_key_id for key in result.keys] == ["s2s.web"]
    assert {key["id"]: key["hash"] for key in stream["publicKeys"]} == hashes
    ids = {key["id"] for key in sandbox.state.objects["web-0001"].config["privateKeys"]}
    assert ids == {"s2s.since", result.keys[0].key_id}
    (left,) = roll_back(sandbox, before, prune=True).found
    assert "s2s.since is only in the target; it stays" in left.reason


def test_a_console_set_up_anew_at_the_same_address_is_another_one(before: Snapshot) -> None:
    time = FakeTime(1.0)
    reborn = Sandbox(default_state(time.clock), rate_limit=False)
    plan = plan_for(reborn, before)
    assert {a.name for a in plan.blocked if a.key.type == "destination"} >= {
        "Warehouse"
    }  # nothing to revive it from
    result = roll_back(reborn, before, overlay=stand_ins(before))
    assert result.found == []
    assert result.plan.ids[Key("destination", "warehouse-0001")] == "warehouse-0001"


def test_the_same_workspace_under_another_host_name_is_rolled_back_in_place(
    sandbox: Sandbox, before: Snapshot
) -> None:
    delete(sandbox.state, "lake-0001")
    result = run(restore(lambda: console_of(sandbox, OTHER), before, STAGING, **IN_PLACE))
    assert result.found == []
    assert sandbox.state.objects[result.plan.ids[Key("destination", "lake-0001")]].config["keyFile"]


# -- ids and pairing ---------------------------------------------------------------------


@pytest.mark.parametrize("ids", list(Ids))
def test_ids_are_kept_on_another_console_by_auto_and_keep_and_derived_by_new(
    before: Snapshot, ids: Ids
) -> None:
    target = Sandbox(default_state(), rate_limit=False)
    result = run(restore(lambda: console_of(target, OTHER), before, ids=ids))
    assert result.found == []
    kept = result.plan.ids[Key("stream", "web-0001")] == "web-0001"
    assert kept == (ids is not Ids.NEW)
    target.requests.clear()
    run(restore(lambda: console_of(target, OTHER), before, ids=ids))
    assert writes(target) == 0


def test_an_id_taken_by_something_invisible_moves_on_and_with_keep_it_fails_alone(before: Snapshot) -> None:
    for ids in (Ids.AUTO, Ids.KEEP):
        target = Sandbox(default_state(), rate_limit=False)
        target.state.add_workspace("chidden", "Hidden", "hidden", {})
        target.state.add_object("chidden", "stream", "web-0001", {"name": "Theirs"})
        result = run(restore(lambda target=target: console_of(target, OTHER), before, ids=ids))
        failed = {o.action.name: o for o in result.outcomes if o.status is not Status.DONE}
        if ids is Ids.AUTO:
            assert not failed
            target.requests.clear()
            run(restore(lambda target=target: console_of(target, OTHER), before, ids=ids))
            assert writes(target) == 0
        else:
            assert "its id web-0001 is taken" in failed["Web site"].reason
            assert failed["Web site → Warehouse"].status is Status.NOT_ATTEMPTED


def test_keeping_ids_within_one_console_is_blocked(sandbox: Sandbox, before: Snapshot) -> None:
    plan = plan_for(sandbox, before, PRODUCTION, ids=Ids.KEEP, allow_missing_secrets=True)
    assert any("taken on this console for ever" in a.reason for a in plan.blocked)


def test_what_is_mapped_is_updated_and_keeps_its_id_and_secrets(before: Snapshot) -> None:
    target = Sandbox(default_state(), rate_limit=False)
    theirs = {
        "name": "Prod WH",
        "destinationType": "postgres",
        "host": "prod",
        "database": "d",
        "password": "p",
    }
    target.state.add_object(PRODUCTION, "destination", "theirs", theirs)
    mapping = (("destination/Warehouse", "destination/Prod WH"),)
    overlay = parse_overlay({"destination/Warehouse": {"host": "prod", "name": "Prod WH"}})
    rest = {"overlay": overlay, "allow_missing_secrets": True, "mapping": mapping}
    result = run(restore(lambda: console_of(target, OTHER), before, **rest))
    assert result.plan.ids[Key("destination", "warehouse-0001")] == "theirs"
    config = target.state.objects["theirs"].config
    assert (config["host"], config["name"], config["password"]) == ("prod", "Prod WH", "p")
    assert config["database"] == "analytics"
    assert sum(link.to_id == "theirs" for link in target.state.links.values()) == 3


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        (("stream/Web site", "stream/no"), "not in the target"),
        (("stream/no", "stream/taken"), "not in the snapshot"),
        (("destination/*", "destination/taken"), "names 4 entities of the snapshot"),
        (("stream/Web site", "function/taken"), "cannot stand for"),
        (("link/Web site -> ClickHouse", "link/*"), "not in the target"),
    ],
)
def test_a_mapping_that_names_nothing_several_or_another_type_is_refused(
    before: Snapshot, mapping: tuple[str, str], words: str
) -> None:
    target = Sandbox(default_state(), rate_limit=False)
    target.state.add_object(PRODUCTION, "function", "taken", {"name": "F", "code": "x"})
    live = run(read(console_of(target, OTHER), PRODUCTION))
    with pytest.raises(UsageError, match=words):
        make_plan(before, live, PlanOptions(mapping=(mapping,)))


def test_match_by_name_pairs_unique_names_and_blocks_ambiguous_ones_naming_both(before: Snapshot) -> None:
    target = Sandbox(default_state(), rate_limit=False)
    for object_id in ("one", "two"):
        target.state.add_object(PRODUCTION, "function", object_id, {"name": "Enrich", "code": "x"})
    target.state.add_object(PRODUCTION, "function", "three", {"name": "Only known users", "code": "x"})
    options = PlanOptions(match_by_name=True, allow_missing_secrets=True)
    plan = make_plan(before, run(read(console_of(target, OTHER), PRODUCTION)), options)
    actions = {action.name: action for action in plan.actions if action.key.type == "function"}
    assert actions["Only known users"].target_id == "three"
    assert actions["Only known users"].kind is Kind.UPDATE
    assert actions["Enrich"].kind is Kind.BLOCKED
    assert "function/one and function/two" in actions["Enrich"].reason


# -- cloning ---------------------------------------------------------------------------


def test_disabled_connections_and_schedules_stay_as_the_target_has_switched_them(sandbox: Sandbox) -> None:
    options = {"disable_links": True}
    source = run(read(console_of(sandbox), STAGING))
    run(restore(lambda: console_of(sandbox), source, **options))
    mine = [row for row in sandbox.state.links.values() if row.workspace_id == PRODUCTION]
    assert all(row.data["disabled"] for row in mine if row.type == "push")
    assert all("schedule" not in row.data for row in mine if row.type == "sync")
    sandbox.requests.clear()
    run(restore(lambda: console_of(sandbox), source, **options))
    assert writes(sandbox) == 0
    next(row for row in mine if row.type == "push").data.pop("disabled")  # somebody has switched it on
    run(restore(lambda: console_of(sandbox), source, **options))
    assert writes(sandbox) == 0
    run(restore(lambda: console_of(sandbox), source))
    assert not any(row.data.get("disabled") for row in mine if row.type == "push")
    assert all(row.data["schedule"] for row in mine if row.type == "sync")


def test_a_secret_in_clear_that_the_target_has_is_its_own_unless_the_overlay_gives_one(
    sandbox: Sandbox,
) -> None:
    source = run(read(console_of(sandbox), STAGING))
    result = run(restore(lambda: console_of(sandbox), source))
    hook = sandbox.state.objects[result.plan.ids[Key("destination", "hook-0001")]]
    hook.config["headers"] = ["Authorization: Bearer of-production"]
    again = run(restore(lambda: console_of(sandbox), source))
    assert hook.config["headers"] == ["Authorization: Bearer of-production"]
    assert [a.kept for a in again.plan.actions if a.kept] == [("headers",)]
    overlay = parse_overlay({"destination/Alerts webhook": {"headers": ["Authorization: Bearer new"]}})
    run(restore(lambda: console_of(sandbox), source, overlay=overlay, allow_missing_secrets=True))
    assert hook.config["headers"] == ["Authorization: Bearer new"]


def test_an_overlays_hidden_secret_is_sent_again_only_when_asked_or_with_another_change(
    sandbox: Sandbox,
) -> None:
    source = run(read(console_of(sandbox), STAGING))
    result = run(restore(lambda: console_of(sandbox), source))
    mine = sandbox.state.objects[result.plan.ids[Key("destination", "warehouse-0001")]]
    rules = {"destination/Warehouse": {"password": "rotated"}}
    options = {"overlay": parse_overlay(rules), "allow_missing_secrets": True}
    run(restore(lambda: console_of(sandbox), source, **options))
    assert mine.config["password"] == "stand-in"
    asked = run(restore(lambda: console_of(sandbox), source, resend_secrets=True, **options))
    assert mine.config["password"] == "rotated"
    assert "password" not in {r.path for r in asked.found if r.name == "Warehouse"}
    rules["destination/Warehouse"] = {"password": "once more", "host": "elsewhere"}
    options["overlay"] = parse_overlay(rules)
    run(restore(lambda: console_of(sandbox), source, **options))
    assert (mine.config["password"], mine.config["host"]) == ("once more", "elsewhere")


# -- key hashes -------------------------------------------------------------------------


def test_key_hashes_go_to_another_console_and_never_to_another_stream_of_the_same(
    sandbox: Sandbox, before: Snapshot
) -> None:
    stored = sandbox.state.objects["web-0001"].config["publicKeys"][0]["hash"]
    known = replace(before, secrets={Key("stream", "web-0001"): {"publicKeys.js.web.hash": stored}})
    target = Sandbox(default_state(), rate_limit=False)
    result = run(restore(lambda: console_of(target, OTHER), known))
    assert "js.web" not in {key.source_key_id for key in result.keys}
    assert target.state.objects["web-0001"].config["publicKeys"][0]["hash"] == stored
    second = run(restore(lambda: console_of(target, OTHER), known, STAGING, ids=Ids.NEW))
    assert "js.web" in {key.source_key_id for key in second.keys}  # production has that key already
    within = run(restore(lambda: console_of(sandbox), known))
    assert "js.web" in {key.source_key_id for key in within.keys}
    delete(sandbox.state, "web-0001")
    back = roll_back(sandbox, known)  # in place nobody else has it
    new = sandbox.state.objects[back.plan.ids[Key("stream", "web-0001")]]
    assert [key for key in back.keys if key.source_key_id == "js.web"] == []
    assert new.config["publicKeys"][0]["hash"] == stored


def test_with_the_operators_token_no_key_goes_to_a_second_stream_of_a_console(
    sandbox: Sandbox, before: Snapshot
) -> None:
    stored = sandbox.state.objects["web-0001"].config["publicKeys"][0]["hash"]
    known = replace(before, secrets={Key("stream", "web-0001"): {"publicKeys.js.web.hash": stored}})
    target = Sandbox(default_state(), rate_limit=False)
    for workspace_id in ("cone", "ctwo"):
        target.state.add_workspace(workspace_id, workspace_id, workspace_id, {})
        result = run(restore(lambda: console_of(target, OTHER, ADMIN), known, workspace_id))
        assert UNSEEN_KEYS not in result.plan.notes
    rows = [row for row in target.state.objects.values() if row.type == "stream"]
    assert [row.workspace_id for row in rows if stored in repr(row.config)] == ["cone"]


def test_a_key_that_cannot_see_every_workspace_is_told_of_the_hashes_that_it_sends(
    sandbox: Sandbox, before: Snapshot
) -> None:
    stored = sandbox.state.objects["web-0001"].config["publicKeys"][0]["hash"]
    known = replace(before, secrets={Key("stream", "web-0001"): {"publicKeys.js.web.hash": stored}})
    target = Sandbox(default_state(), rate_limit=False)
    assert UNSEEN_KEYS in run(restore(lambda: console_of(target, OTHER), known)).plan.notes
    assert (
        UNSEEN_KEYS not in run(restore(lambda: console_of(target, OTHER), known)).plan.notes
    )  # none is sent
    assert UNSEEN_KEYS not in run(restore(lambda: console_of(sandbox), known)).plan.notes


def test_a_new_key_of_a_stream_leaves_the_hints_of_its_other_keys(sandbox: Sandbox) -> None:
    source = sandbox.state.objects["web-0001"].config
    target = Sandbox(default_state(), rate_limit=False)

    def copy() -> Result:
        known = run(read(console_of(sandbox), STAGING))
        result: Result = run(restore(lambda: console_of(target, OTHER), known, ids=Ids.KEEP))
        return result

    copy()
    own = {"id": "own", "hash": "a.b", "hint": "own*key"}
    config = target.state.objects["web-0001"].config
    config["publicKeys"].append(own)
    keys = list(config["publicKeys"])
    source["publicKeys"].append({"id": "js.second", "hash": "x.y", "hint": "x*y"})
    assert len(copy().keys) == 1
    assert target.state.objects["web-0001"].config["publicKeys"][:-1] == keys
    assert all("hint" in key for key in keys)


# -- selection, foresight, text ------------------------------------------------------------


def test_only_takes_what_was_chosen_and_what_it_needs_and_says_so(before: Snapshot) -> None:
    target = Sandbox(default_state(), rate_limit=False)
    result = run(restore(lambda: console_of(target, OTHER), before, only=("link/Web site -> ClickHouse",)))
    assert result.found == []
    assert sorted(str(a.key.type) for a in result.plan.writes) == [
        "destination", "function", "function", "link", "stream",
    ]  # fmt: skip
    assert any("stream 'Web site' comes along" in note for note in result.plan.notes)
    with pytest.raises(UsageError, match="not in the snapshot"):
        run(restore(lambda: console_of(target, OTHER), before, only=("stream/nothing",)))


def test_what_still_names_a_deleted_object_outside_the_selection_is_told(
    sandbox: Sandbox, before: Snapshot
) -> None:
    delete(sandbox.state, "hook-0001")
    plan = plan_for(sandbox, before, only=("destination/Alerts webhook",))
    assert [a.key.type for a in plan.writes] == ["destination"]
    (note,) = plan.notes
    assert "link 'Mobile app → Alerts webhook' still names the deleted destination 'Alerts webhook'" in note


def test_skip_leaves_out_what_was_named_and_prune_leaves_it_too(sandbox: Sandbox, before: Snapshot) -> None:
    sandbox.state.objects["enrich-0001"].config["code"] = "mine"
    sandbox.state.add_object(STAGING, "function", "extra", {"name": "Extra", "code": "x"})
    result = roll_back(sandbox, before, skip=("function/*",), prune=True)
    assert (result.plan.writes, result.found) == ((), [])


@pytest.mark.parametrize(
    ("selector", "change", "words"),
    [
        ("destination/Warehouse", {"port": "many"}, "port: must be number"),
        (
            "destination/Warehouse",
            {"destinationType": "oracle"},
            "does not know the destination type 'oracle'",
        ),
        ("function/Enrich", {"name": "2026-01-01T00:00:00Z"}, "name: text that looks like a date"),
        ("destination/Warehouse", {"sslMode": "perhaps"}, "sslMode: must be one of disable, require"),
        ("service/CRM", {"credentials": None}, "credentials: must be object"),
    ],
)
def test_what_the_target_would_refuse_is_blocked_before_anything_is_written(
    before: Snapshot, selector: str, change: dict[str, Any], words: str
) -> None:
    target = Sandbox(default_state(), rate_limit=False)
    options = PlanOptions(overlay=parse_overlay({selector: change}), allow_missing_secrets=True)
    plan, *_ = run(prepare(console_of(target, OTHER), PRODUCTION, before, options, lambda _: None))
    assert any(words in action.reason for action in plan.blocked), [a.reason for a in plan.blocked]
    assert writes(target) == 0


def test_what_the_target_would_drop_is_named(before: Snapshot) -> None:
    target = Sandbox(default_state(), rate_limit=False)
    newer = replace(before, entities=tuple(
        replace(e, body={**e.body, "madeUp": 1}) if e.key.id == "enrich-0001" else e for e in before.entities
    ))  # fmt: skip
    result = run(
        restore(lambda: console_of(target, OTHER), newer, overlay=Overlay(), allow_missing_secrets=True)
    )
    assert ("Enrich", "madeUp") in {(r.name, r.path) for r in result.found}


def test_ids_in_text_are_left_as_they_are_and_listed(sandbox: Sandbox) -> None:
    code = "// for warehouse-0001 of cacmestaging0000000000001\nreturn 'web-00012'"
    sandbox.state.objects["enrich-0001"].config["code"] = code
    source = run(read(console_of(sandbox), STAGING))
    result = run(restore(lambda: console_of(sandbox), source))
    told = [note for note in result.plan.notes if "in text" in note]
    assert len(told) == 2
    assert "function 'Enrich': its code names destination 'Warehouse' (warehouse-0001)" in told[0]
    assert sandbox.state.objects[result.plan.ids[Key("function", "enrich-0001")]].config["code"] == code
    assert not any("in text" in note for note in roll_back(sandbox, source).plan.notes)


def test_unknown_types_follow_only_whole_ids_and_each_is_reported() -> None:
    state = default_state()
    state.extra_types = ("model",)
    example_workspace(state, STAGING)
    query = {"name": "M", "to": "warehouse-0001", "fn": "udf.enrich-0001", "sql": "from warehouse-0001"}
    state.add_object(STAGING, "model", "m-1", query)
    sandbox = Sandbox(state, rate_limit=False)
    source = run(read(console_of(sandbox), STAGING))
    result = run(restore(lambda: console_of(sandbox), source))
    new = sandbox.state.objects[result.plan.ids[Key("model", "m-1")]].config
    assert new["to"] == result.plan.ids[Key("destination", "warehouse-0001")]
    assert (new["fn"], new["sql"]) == ("udf.enrich-0001", "from warehouse-0001")
    assert "model 'M': its to is taken for destination 'Warehouse' and follows it" in result.plan.notes
    assert sum("stays as it is" in note for note in result.plan.notes) == 2


# -- failure ----------------------------------------------------------------------------


def refuse(sandbox: Sandbox, object_id: str) -> None:
    """Let the console refuse an id that nobody can see."""
    sandbox.state.add_workspace("chidden", "Hidden", "hidden", {})
    sandbox.state.add_object("chidden", "stream", object_id, {"name": "Theirs"})


def test_what_is_refused_fails_alone_and_fail_fast_stops_there(before: Snapshot) -> None:
    for fail_fast in (False, True):
        target = Sandbox(default_state(), rate_limit=False)
        refuse(target, "acme-source")
        refuse(target, "image-0001")
        options = PlanOptions(ids=Ids.KEEP, allow_missing_secrets=True, overlay=Overlay())
        plan, live, options = run(
            prepare(console_of(target, OTHER), PRODUCTION, before, options, lambda _: None)
        )
        console = console_of(target, OTHER, concurrency=1)
        keys = new_keys(plan, new_secret)
        result = run(
            carry_out(console, before, live, plan, options, keys, lambda _: None, fail_fast=fail_fast)
        )
        count = [o.status for o in result.outcomes].count
        assert count(Status.FAILED) == 1
        sent = [r.status for r in target.requests if r.method != "GET"]
        behind = len(sent) - next(at for at, status in enumerate(sent) if status >= 400) - 1
        assert (count(Status.NOT_ATTEMPTED) > 0) == fail_fast
        assert not fail_fast or behind <= 1  # what was under way beside it


def test_a_mask_is_never_sent_but_beside_a_clone_id(sandbox: Sandbox, before: Snapshot) -> None:
    delete(sandbox.state, "warehouse-0001")
    sent: list[dict[str, Any]] = []
    create = sandbox.config.create

    def spy(workspace_id: str, type_name: str, body: Any) -> Any:
        sent.append(body)
        return create(workspace_id, type_name, body)

    sandbox.config.create = spy  # type: ignore[method-assign]
    roll_back(sandbox, before)
    assert [(b["cloneId"], b["password"]) for b in sent if MASK in repr(b)] == [("warehouse-0001", MASK)]
    assert all("cloneId" in b or MASK not in repr(b) for b in sent)


def test_a_predecessor_that_the_console_does_not_know_makes_nothing_without_its_secret(
    sandbox: Sandbox, before: Snapshot
) -> None:
    """The console's database came from a dump older than the archive."""
    state = sandbox.state
    gone = [state.objects.pop(object_id) for object_id in ("warehouse-0001", "lake-0001")]
    delete(state, "clicks-0001")
    for link_id, link in list(state.links.items()):
        if link.to_id in {row.id for row in gone}:
            del state.links[link_id]
    result = roll_back(sandbox, before)
    failed = {o.action.key.id: o.reason for o in result.outcomes if o.status is Status.FAILED}
    assert failed.keys() == {"warehouse-0001", "lake-0001"}
    assert failed["warehouse-0001"].startswith("secret password did not come back")
    live = {row.config["name"]: row.config for row in state.live_objects(STAGING, "destination")}
    assert live.keys() == {"Alerts webhook", "ClickHouse"}
    assert live["ClickHouse"]["password"] == "ch-secret"
    assert all(
        state.live_object(STAGING, row.to_id) for row in state.live_links(STAGING) if row.type == "sync"
    )
    again = roll_back(sandbox, before, overlay=stand_ins(before))
    assert [o for o in again.outcomes if o.status is not Status.DONE] == []
    assert {row.config["name"] for row in state.live_objects(STAGING, "destination")} == {
        "Alerts webhook", "ClickHouse", "Warehouse", "BigQuery",
    }  # fmt: skip


def test_what_got_no_secret_and_cannot_be_deleted_again_is_told(sandbox: Sandbox, before: Snapshot) -> None:
    del sandbox.state.objects["lake-0001"]

    def keep(*_: Any, **__: Any) -> Any:
        raise Refusal(409, {"message": "Cannot delete destination because it has 1 linked connections"})

    sandbox.config.delete = keep  # type: ignore[method-assign]
    (failed,) = [o for o in roll_back(sandbox, before).outcomes if o.status is Status.FAILED]
    assert "it is there without it, and was not deleted again: Cannot delete destination" in failed.reason
    assert [a.key.id for a in plan_for(sandbox, before).blocked if a.key.type == "destination"] == [
        "lake-0001"
    ]


class Slow(httpx.AsyncBaseTransport):
    """A network on which requests overlap."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.002)
        return await self.inner.handle_async_request(request)


def test_many_that_are_revived_at_once_share_the_lists_that_check_them(sandbox: Sandbox) -> None:
    for number in range(40):
        like = sandbox.state.objects["clicks-0001"].config
        config = {**like, "name": f"D{number}", "password": f"p{number}"}
        sandbox.state.add_object(STAGING, "destination", f"d-{number}", config)
    source = run(read(console_of(sandbox), STAGING))
    for number in range(40):
        delete(sandbox.state, f"d-{number}")
    sandbox.requests.clear()
    result = run(restore(lambda: console_of(sandbox, wrap=Slow), source, STAGING, **IN_PLACE))
    assert sum(o.action.kind is Kind.CREATE for o in result.outcomes) == 40
    restored = {
        row.config["password"]
        for row in sandbox.state.live_objects(STAGING, "destination")
        if row.config["name"].startswith("D")
    }
    assert restored == {f"p{number}" for number in range(40)}
    lists = [r for r in sandbox.requests if r.method == "GET" and r.path.endswith("/config/destination")]
    assert len(lists) < 20, len(lists)


def test_what_the_workspaces_plan_does_not_include_fails_alone(before: Snapshot) -> None:
    target = Sandbox(default_state(), rate_limit=False)
    upsert = target.config.upsert_link

    def gated(workspace_id: str, body: Any, **options: Any) -> Any:
        if "env-secret" in repr(body):
            raise Refusal(403, {"message": "It is available on the Enterprise plan. Contact sales."})
        return upsert(workspace_id, body, **options)

    target.config.upsert_link = gated  # type: ignore[method-assign]
    result = run(restore(lambda: console_of(target, OTHER), before))
    assert result.failure is None
    (failed,) = [o for o in result.outcomes if o.status is not Status.DONE]
    assert (failed.action.key.type, failed.status) == ("link", Status.FAILED)
    assert "Enterprise plan" in failed.reason
    assert len(list(target.state.live_links(PRODUCTION))) == 4


# -- edges ---------------------------------------------------------------------------------


def test_an_archives_secret_goes_back_in_place_with_any_change_or_when_asked(
    sandbox: Sandbox, before: Snapshot
) -> None:
    known = replace(before, secrets={Key("destination", "warehouse-0001"): {"password": "pg-secret"}})
    config = sandbox.state.objects["warehouse-0001"].config
    config["password"] = "rotated since"
    result = roll_back(sandbox, known)
    assert result.plan.writes == ()
    assert "password" in next(a.unseen for a in result.plan.actions if a.name == "Warehouse")
    config["host"] = "elsewhere"
    (action,) = roll_back(sandbox, known).plan.writes
    assert "replaces password, which the console hides and no backup brings back" in action.reason
    assert sandbox.state.objects["warehouse-0001"].config["password"] == "pg-secret"
    sandbox.state.objects["warehouse-0001"].config["password"] = "rotated since"
    roll_back(sandbox, known, resend_secrets=True)
    assert sandbox.state.objects["warehouse-0001"].config["password"] == "pg-secret"


def test_the_targets_own_environment_and_classic_keys_survive_later_clones(sandbox: Sandbox) -> None:
    source = run(read(console_of(sandbox), STAGING))
    result = run(restore(lambda: console_of(sandbox), source))
    state = sandbox.state
    link = next(
        r for r in state.links.values() if r.workspace_id == PRODUCTION and "functionsEnv" in (r.data or {})
    )
    misc = state.objects[result.plan.ids[Key("misc", "classic-0001")]]
    web = result.plan.ids[Key("stream", "web-0001")]
    link.data = {**link.data, "functionsEnv": {"API_TOKEN": "of-production", "MORE": "1"}}
    misc.config["value"] = f"{web}=js.of-production"
    mine = next(
        r for r in state.links.values() if r.workspace_id == STAGING and "functionsEnv" in (r.data or {})
    )
    mine.data = {**mine.data, "functionsEnv": {"API_TOKEN": "of-staging", "NEW": "2"}}
    state.objects["classic-0001"].config["value"] += "\napp-0001=js.app"
    source = run(read(console_of(sandbox), STAGING))
    again = run(restore(lambda: console_of(sandbox), source))
    assert link.data["functionsEnv"] == {"API_TOKEN": "of-production", "MORE": "1", "NEW": "2"}
    app = again.plan.ids[Key("stream", "app-0001")]
    assert misc.config["value"].split("\n") == [f"{web}=js.of-production", f"{app}=js.app"]
    overlay = parse_overlay({"link/Web site -> Warehouse": {"data.functionsEnv.API_TOKEN": "given"}})
    run(restore(lambda: console_of(sandbox), source, overlay=overlay, allow_missing_secrets=True))
    assert link.data["functionsEnv"]["API_TOKEN"] == "given"


def test_comments_among_classic_keys_come_along_once(sandbox: Sandbox) -> None:
    sandbox.state.objects["classic-0001"].config["value"] += "\n# of the old site\n\nother"
    before = run(read(console_of(sandbox), STAGING))
    target = run(restore(lambda: console_of(sandbox), before)).plan.ids[Key("misc", "classic-0001")]
    row = sandbox.state.objects[target]
    changed = (
        row.config["value"].replace("js.classic.key", "js.production.key").replace("\n# of the old site", "")
    )
    row.config = {**row.config, "value": changed}
    run(restore(lambda: console_of(sandbox), before))
    lines = row.config["value"].split("\n")
    assert lines[0].endswith("=js.production.key")
    assert sorted(lines[1:]) == ["", "# of the old site", "other"]
    assert run(restore(lambda: console_of(sandbox), before)).plan.writes == ()


def test_a_builder_whose_function_was_deleted_is_named_and_made_anew_when_asked(
    sandbox: Sandbox, before: Snapshot
) -> None:
    builder = sandbox.state.builders["profiles-0001"]
    sandbox.state.objects[builder.function_id].deleted = True
    (left,) = roll_back(sandbox, before).found
    assert "its function was deleted" in left.reason
    assert roll_back(sandbox, before, recreate=True).found == []
    assert builder.deleted
    after = run(read(console_of(sandbox), STAGING))
    assert after.manifest.counts["function"] == before.manifest.counts["function"]
    broken = run(read(console_of(sandbox), STAGING))
    sandbox.state.objects[
        next(iter(b for b in sandbox.state.builders.values() if not b.deleted)).function_id
    ].deleted = True
    broken = run(read(console_of(sandbox), STAGING))
    for each in sandbox.state.builders.values():
        each.deleted = True
    roll_back(sandbox, broken)  # a snapshot whose builder's function is not among its functions
    assert roll_back(sandbox, broken).plan.writes == ()


def test_a_recreate_stopped_before_its_deletions_leaves_no_sync_twice(sandbox: Sandbox) -> None:
    state = sandbox.state
    old = state.add_link(STAGING, "sync", "crm-0001", "clicks-0001", {"schedule": "0 * * * *", "streams": {}})
    state.sync_states[old.id] = {"users": '{"cursor": 1}'}
    before = run(read(console_of(sandbox), STAGING))
    state.objects["clicks-0001"].config["cluster"] = "c"
    result = roll_back(sandbox, before, recreate=True)
    new = result.plan.ids[Key("destination", "clicks-0001")]
    state.objects["clicks-0001"].deleted = old.deleted = False  # as if killed just before

    def syncs() -> list[tuple[str, dict[str, str]]]:
        live = [
            row
            for row in state.live_links(STAGING)
            if row.to_id in (new, "clicks-0001") and row.type == "sync"
        ]
        return [(row.to_id, state.sync_states[row.id]) for row in live]

    assert len(syncs()) == 2
    assert roll_back(sandbox, before, recreate=True).found == []
    ((target, cursors),) = syncs()
    assert (target, {name: json.loads(text) for name, text in cursors.items()}) == (
        new,
        {"users": {"cursor": 1}},
    )


def test_a_builder_that_was_backed_up_after_its_function_was_deleted_stops_no_restore(
    sandbox: Sandbox,
) -> None:
    (builder,) = sandbox.state.builders.values()
    sandbox.state.objects[builder.function_id].deleted = True
    before = run(read(console_of(sandbox), STAGING))
    sandbox.state.objects["enrich-0001"].config["code"] = "changed"
    assert [str(a.key) for a in roll_back(sandbox, before).plan.writes] == ["function/enrich-0001"]


def test_a_connection_that_runs_a_function_which_the_target_will_lack_is_named(
    sandbox: Sandbox, before: Snapshot
) -> None:
    delete(sandbox.state, "filter-0001")
    found = roll_back(sandbox, before, skip=("function/*",)).found
    assert [(r.name, r.reason) for r in found] == [
        ("Web site → ClickHouse", "runs function 'Only known users', which the target lacks")
    ]


@pytest.mark.parametrize("option", [{"only": ("foo",)}, {"skip": ("streams",)}, {"only": ("stream/no",)}])
def test_a_selector_of_no_type_or_no_entity_is_refused(
    sandbox: Sandbox, before: Snapshot, option: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match=r"there is no type|not in the snapshot"):
        plan_for(sandbox, before, **option)


def test_under_prune_what_only_the_target_has_can_be_spared_by_name(
    sandbox: Sandbox, before: Snapshot
) -> None:
    sandbox.state.add_object(
        STAGING, "stream", "stray", {"name": "Stray", "publicKeys": [{"id": "k", "hash": "h"}]}
    )
    (action,) = plan_for(sandbox, before, prune=True).writes
    assert "its 1 write key(s) go with it for ever" in action.reason
    assert plan_for(sandbox, before, prune=True, skip=("stream/Stray",)).writes == ()


def test_names_pair_only_what_is_of_the_same_kind(before: Snapshot) -> None:
    target = Sandbox(default_state(), rate_limit=False)
    theirs = {
        "name": "ClickHouse",
        "destinationType": "bigquery",
        "keyFile": "k",
        "project": "p",
        "bqDataset": "d",
    }
    target.state.add_object(PRODUCTION, "destination", "theirs", theirs)
    live = run(read(console_of(target, OTHER), PRODUCTION))
    options = PlanOptions(match_by_name=True, allow_missing_secrets=True)
    action = next(a for a in make_plan(before, live, options).actions if a.name == "ClickHouse")
    assert action.kind is Kind.CREATE
    mapping = (("destination/ClickHouse", "destination/theirs"),)
    with pytest.raises(UsageError, match="cannot become"):
        make_plan(before, live, replace(options, mapping=mapping))


def test_an_overlay_that_moves_a_link_to_nowhere_holds_a_mask_or_adds_a_field_is_told(
    sandbox: Sandbox, before: Snapshot
) -> None:
    with pytest.raises(UsageError, match="toId 'nope' is not an id of the snapshot"):
        plan_for(sandbox, before, overlay=parse_overlay({"link/Web site -> Warehouse": {"toId": "nope"}}))
    with pytest.raises(UsageError, match="mask"):
        parse_overlay({"destination/Warehouse": {"password": MASK}})
    for selector, name, words in (
        ("link/Web site -> Warehouse", "name", "knows no 'name' there"),
        ("destination/Warehouse", "hots", "knows no 'hots' there; did you mean 'host'"),
        ("destination/*", "hots", "knows no 'hots' there"),
        ("service/CRM", "vershion", "did you mean 'version'"),
    ):
        with pytest.raises(UsageError, match=words):
            plan_for(sandbox, before, overlay=parse_overlay({selector: {name: "x"}}))


def test_an_overlays_name_that_two_entities_share_is_refused_but_for_syncs(
    sandbox: Sandbox, before: Snapshot
) -> None:
    twins = replace(before, entities=tuple(
        replace(e, body={**e.body, "name": "Twin"}) if e.key.type == "destination" else e for e in before.entities
    ))  # fmt: skip
    with pytest.raises(
        UsageError, match=r"'destination/Twin' names 4 entities: destination/\S+, .*write one's id"
    ):
        plan_for(sandbox, twins, overlay=parse_overlay({"destination/Twin": {"name": "x"}}))
    both = plan_for(
        sandbox, before, overlay=parse_overlay({"link/CRM -> Warehouse": {"data": {"schedule": "1 1 1 1 1"}}})
    )
    assert [a.changes for a in both.writes] == [("data.schedule",), ("data.schedule",)]


def test_what_goes_with_the_old_kind_of_a_destination_is_no_loss_and_needs_no_recreation(
    sandbox: Sandbox, before: Snapshot
) -> None:
    config = sandbox.state.objects["hook-0001"].config
    config.clear()
    config.update({"name": "Alerts webhook", "destinationType": "postgres", "host": "h", "database": "d",
                   "username": "u", "password": "p", "defaultSchema": "s", "port": 1})  # fmt: skip
    for recreate in (False, True):
        plan = plan_for(sandbox, before, recreate=recreate)
        assert [(a.kind, a.key.id, a.losses) for a in plan.writes] == [(Kind.UPDATE, "hook-0001", ())]
    assert roll_back(sandbox, before).found == []


def test_an_entity_of_another_console_that_has_the_id_by_chance_is_never_overwritten(
    before: Snapshot,
) -> None:
    target = Sandbox(default_state(), rate_limit=False)
    target.state.add_object(
        PRODUCTION, "destination", "hook-0001", {"name": "Prod PG", "destinationType": "postgres"}
    )
    live = run(read(console_of(target, OTHER), PRODUCTION))
    options = {"allow_missing_secrets": True, "same_console": False}
    (blocked,) = [
        a for a in make_plan(before, live, PlanOptions(**options)).blocked if a.key.type == "destination"
    ]
    assert "destination/hook-0001 is another one, 'Prod PG'" in blocked.reason
    fresh = make_plan(before, live, PlanOptions(**options, ids=Ids.NEW))
    assert fresh.blocked == ()
    assert fresh.ids[Key("destination", "hook-0001")] != "hook-0001"


def test_an_overlay_for_several_gives_each_the_fields_that_it_has(sandbox: Sandbox, before: Snapshot) -> None:
    overlay = parse_overlay({"destination/*": {"host": "db.new", "project": "p"}})
    plan = plan_for(sandbox, before, overlay=overlay)
    assert {(a.name, a.changes, a.losses) for a in plan.writes} == {
        ("Warehouse", ("host",), ()), ("BigQuery", ("project",), ()),
    }  # fmt: skip


def test_secrets_that_go_along_in_clear_are_named_unless_the_overlay_gives_others(
    sandbox: Sandbox, before: Snapshot
) -> None:
    def told(**rules: Any) -> str:
        rules = {
            "destination/*": {"password": "x", "keyFile": "{}"},
            **{k.replace("__", "/"): v for k, v in rules.items()},
        }
        plan, *_ = run(prepare(
            console_of(sandbox), PRODUCTION, before,
            PlanOptions(overlay=parse_overlay(rules), allow_missing_secrets=True), lambda _: None,
        ))  # fmt: skip
        return " ".join(note for note in plan.notes if note.startswith("secrets of the source"))

    assert "headers of destination 'Alerts webhook'" in told()
    assert "slackWebhookUrl of notification 'Ops'" in told()
    assert "password" not in told()
    assert "slackWebhookUrl" not in told(notification__Ops={"slackWebhookUrl": "https://hooks.example/own"})


def test_the_code_of_a_profile_builder_can_be_given_by_overlay(sandbox: Sandbox, before: Snapshot) -> None:
    overlay = parse_overlay({"profile-builder/Profiles": {"code": "export default 7"}})
    assert roll_back(sandbox, before, overlay=overlay).found == []
    function = sandbox.state.objects[sandbox.state.builders["profiles-0001"].function_id]
    assert function.config["code"] == "export default 7"
    assert roll_back(sandbox, before, overlay=overlay).plan.writes == ()


def test_a_write_key_is_told_with_the_stream_that_was_really_made(sandbox: Sandbox, before: Snapshot) -> None:
    for _ in range(2):
        live = [
            o
            for o in sandbox.state.objects.values()
            if o.config.get("name") == "Mobile app" and not o.deleted
        ]
        delete(sandbox.state, live[0].id, cascade=True)
        result = roll_back(sandbox, before)
    assert {sandbox.state.objects[key.stream_id].deleted for key in result.keys} == {False}


# -- the command line ----------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path: Path, sandbox: Sandbox) -> Any:
    with running(sandbox) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
        yield lambda *arguments: cli(*arguments, env=env, cwd=tmp_path)


def test_a_restore_that_updates_backs_up_first_and_prints_the_way_back_which_works(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    shell("backup", "acme-staging")
    sandbox.state.objects["enrich-0001"].config["code"] = "of today"
    done = shell("restore", "latest", "--yes")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "jitsu-backups").glob("*.pre-restore.json.gz"))) == 1
    assert sandbox.state.objects["enrich-0001"].config["code"] != "of today"
    way = done.stdout.split("The way back: jitsu-backup ")[1].split("\n")[0].split()
    assert shell(*way, "--yes").returncode == 0
    assert sandbox.state.objects["enrich-0001"].config["code"] == "of today"
    assert shell("show", "latest").returncode == 0  # latest is never one of before a restore
    names = json.loads(shell("--json", "verify", "latest").stdout)
    assert "pre-restore" not in json.dumps(names)


def test_without_a_writable_store_nothing_is_written_unless_told_so(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "a.json.gz").write_bytes(encode(run(read(console_of(sandbox), STAGING))))
    (tmp_path / "jitsu-backups").write_text("a file, not a folder")
    sandbox.state.objects["enrich-0001"].config["code"] = "of today"
    into = ("restore", "a.json.gz", "--into", "acme-staging", "--yes")
    refused = shell(*into)
    assert refused.returncode == 1
    assert "could not be backed up first" in refused.stderr
    assert sandbox.state.objects["enrich-0001"].config["code"] == "of today"
    assert shell(*into, "--no-safety-backup").returncode == 0
    assert sandbox.state.objects["enrich-0001"].config["code"] != "of today"


def test_a_saved_plan_is_carried_out_as_it_is_or_not_at_all(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "o.toml").write_text('["function/Enrich"]\ndescription = {env = "JITSU_APIKEY"}\n')
    shell("backup", "acme-staging")
    save = ("restore", "latest", "--overlay", "o.toml", "--plan-out", "plan.json")
    assert shell(*save).returncode == 0
    saved = (tmp_path / "plan.json").read_text()
    assert (tmp_path / "plan.json").stat().st_mode & 0o777 == 0o600
    assert not any(secret in saved for secret in (OWNER, "pg-secret", "env-secret", "mongo-secret"))
    sandbox.state.objects["filter-0001"].config["code"] = "somebody was quicker"
    late = shell("restore", "--plan", "plan.json", "--yes")
    assert late.returncode == 7
    assert "function/filter-0001 is changed" in late.stderr
    assert shell(*save).returncode == 0
    assert shell("restore", "--plan", "plan.json", "--yes").returncode == 0
    assert sandbox.state.objects["enrich-0001"].config["description"] == OWNER
    (tmp_path / "o.toml").write_text('["function/Enrich"]\ndescription = "x"\n')
    assert shell("restore", "--plan", "plan.json", "--yes").returncode == 7
    (tmp_path / "plan.json").write_text("{}")
    assert shell("restore", "--plan", "plan.json", "--yes").returncode == 2


def test_a_rollback_finds_the_profile_that_the_snapshot_came_from(sandbox: Sandbox, tmp_path: Path) -> None:
    with running(sandbox) as url:
        profile = f'[profiles.here]\nhost = "{url}"\nworkspace = "acme-staging"\nkey = {{env = "KEY"}}\n'
        (tmp_path / "jitsu-backup.toml").write_text(profile)
        env = {"KEY": OWNER}
        assert cli("backup", "@here", env=env, cwd=tmp_path).returncode == 0
        sandbox.state.objects["enrich-0001"].config["code"] = "of today"
        assert cli("restore", "latest", "--plan-out", "p.json", env=env, cwd=tmp_path).returncode == 0
        assert json.loads((tmp_path / "p.json").read_text())["into"] == "@here"
        assert cli("restore", "--plan", "p.json", "--yes", env=env, cwd=tmp_path).returncode == 0
        assert sandbox.state.objects["enrich-0001"].config["code"] != "of today"
        assert "no API key" in cli("restore", "latest", cwd=tmp_path).stderr


def test_clone_creates_then_updates_then_prunes(shell: Any, sandbox: Sandbox) -> None:
    clone = ("clone", "acme-staging", "acme-production", "--allow-missing-secrets", "--yes", "--json")
    first = json.loads(shell(*clone).stdout)
    assert first["plan"]["counts"]["create"] == 19
    sandbox.state.objects["enrich-0001"].config["code"] = "v2"
    delete(sandbox.state, "filter-0001")
    second = json.loads(shell(*clone, "--prune").stdout)
    counts = second["plan"]["counts"]
    assert (counts["create"], counts["update"], counts["delete"]) == (0, 2, 1)  # the connection that ran it
    assert second["way_back"].startswith("jitsu-backup restore acme-production/")
    for same in ("acme-staging", STAGING):
        refused = shell("clone", "acme-staging", same, "--yes")
        assert refused.returncode == 2
        assert "cannot be cloned into itself" in refused.stderr


def test_flags_that_a_saved_plan_has_decided_and_empty_paths_are_refused(shell: Any, tmp_path: Path) -> None:
    shell("backup", "acme-staging")
    assert shell("restore", "latest", "--plan-out", "p.json").returncode == 0
    beside = shell("restore", "--plan", "p.json", "--prune", "--dry-run")
    assert beside.returncode == 2
    assert "leave out --prune" in beside.stderr
    assert shell("restore", "--plan", "p.json", "--dry-run").returncode == 0
    for option in ("--plan-out", "--keys-out"):
        assert shell("restore", "latest", option, "").returncode == 2


def test_a_key_that_may_only_read_is_told_before_anything_is_stored(sandbox: Sandbox, tmp_path: Path) -> None:
    with running(sandbox) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
        cli("backup", "acme-staging", env=env, cwd=tmp_path)
        sandbox.state.objects["enrich-0001"].config["code"] = "of today"
        done = cli("restore", "latest", "--yes", env={**env, "JITSU_APIKEY": ANALYST}, cwd=tmp_path)
        assert done.returncode == 6
        assert "no permission to write into acme-staging" in done.stderr
        assert len(list((tmp_path / "jitsu-backups").iterdir())) == 1
        assert writes(sandbox) == 0
