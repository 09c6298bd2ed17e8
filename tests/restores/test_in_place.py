"""A workspace goes back to what it was."""

from dataclasses import replace

import pytest

from jitsu_backup.errors import UsageError
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.operations.restore import PreparedRestore
from jitsu_backup.planning import ActionKind, PlanOptions
from jitsu_backup.sandbox import Generation, Sandbox, default_state, example_workspace
from tests.restores.kit import IN_PLACE, OTHER, delete, plan_for, roll_back
from tests.support import (
    STAGING,
    FakeTime,
    carry_out,
    comparable,
    console_of,
    prepare,
    read,
    restore,
    run,
    stand_ins,
    writes,
)


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
        (ActionKind.DELETE, "link"), (ActionKind.DELETE, "function"), (ActionKind.DELETE, "stream"),
    ]  # fmt: skip

    live = run(read(console_of(sandbox), STAGING))
    result = run(
        carry_out(
            console_of(sandbox), PreparedRestore(plan, before, live, PlanOptions(prune=True)), lambda _: None,
            before_writing=lambda: state.add_link(STAGING, "push", "new-stream", "warehouse-0001", {}),
        )
    )  # fmt: skip
    failed = {o.action.name: o.reason for o in result.outcomes if o.status is Status.FAILED}
    assert list(failed) == ["New stream"]
    assert not state.objects["new-stream"].deleted
    assert {r.name for r in result.found} == {"New stream", "New stream → Warehouse"}


@pytest.mark.parametrize("generation", [Generation.JULY_2026, Generation.OCTOBER_2024])
def test_prune_never_takes_a_function_that_the_sources_connections_still_name(
    generation: Generation,
) -> None:
    def console() -> Sandbox:
        state = default_state(generation=generation)
        example_workspace(state, STAGING)
        return Sandbox(state, rate_limit=False)

    source, target = console(), console()
    delete(source.state, "filter-0001")  # the connection that runs it stays as it is
    wanted = run(read(console_of(source), STAGING))

    options = PlanOptions(overlay=stand_ins(wanted), prune=True)
    make = console_of(target, OTHER)
    plan = run(prepare(make, STAGING, wanted, options, lambda _: None)).plan
    (blocked,) = plan.blocked
    assert blocked.key == Key("function", "filter-0001")
    assert "uses it and stays: keep this one with --skip=function/filter-0001" in blocked.reason
    kept = run(
        restore(
            lambda: console_of(target, OTHER), wanted, STAGING, prune=True, skip=("function/filter-0001",)
        )
    )
    assert (kept.found, writes(target)) == ([], 0)


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
    assert "not re-created: connection 'Backend events → ClickHouse'" in result.found[0].reason


def test_write_keys_stay_in_place_and_only_unknown_ones_are_recreated(
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
    again = roll_back(sandbox, before, prune=True)
    assert (
        again.found == []
    )  # what only the target has is a note, and no reason to end with code 3 for ever after
    assert (
        "stream 'Web site': 1 write key only in the target is kept, because deleted write keys cannot be recovered: s2s.since"
        in again.plan.notes
    )


def test_a_console_set_up_again_at_the_same_address_is_another_one(before: Snapshot) -> None:
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
