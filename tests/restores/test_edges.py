"""Restores of what is seldom met."""

import json
from dataclasses import replace
from typing import Any

import pytest

from jitsu_backup.errors import UsageError
from jitsu_backup.model import MASK, Key, Snapshot
from jitsu_backup.planning import ActionKind, Ids, Overlay, PlanOptions, make_plan, parse_overlay
from jitsu_backup.sandbox import Sandbox, default_state
from tests.restores.kit import OTHER, delete, plan_for, roll_back
from tests.support import PRODUCTION, STAGING, console_of, prepare, read, restore, run, stand_ins


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
    assert "overwrites the password (hidden by Jitsu, so it cannot be restored)" in action.reason
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


def test_comments_among_classic_keys_are_copied_once(sandbox: Sandbox) -> None:
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


def test_a_builder_whose_function_was_deleted_is_named_and_recreated_when_asked(
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
    with pytest.raises(UsageError, match=r"unknown type|not in the snapshot"):
        plan_for(sandbox, before, **option)


def test_under_prune_what_only_the_target_has_can_be_spared_by_name(
    sandbox: Sandbox, before: Snapshot
) -> None:
    sandbox.state.add_object(
        STAGING, "stream", "stray", {"name": "Stray", "publicKeys": [{"id": "k", "hash": "h"}]}
    )
    (action,) = plan_for(sandbox, before, prune=True).writes
    assert (
        "its 1 write key is deleted with it, so senders that use it are rejected; only a backup made"
        in action.reason
    )
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
    assert action.kind is ActionKind.CREATE
    mapping = (("destination/ClickHouse", "destination/theirs"),)
    with pytest.raises(UsageError, match="cannot be mapped to"):
        make_plan(before, live, replace(options, mapping=mapping))


def test_an_overlay_that_moves_a_link_to_nowhere_holds_a_mask_or_adds_a_field_is_reported(
    sandbox: Sandbox, before: Snapshot
) -> None:
    with pytest.raises(UsageError, match="toId 'nope' is not an id in the snapshot"):
        plan_for(sandbox, before, overlay=parse_overlay({"link/Web site -> Warehouse": {"toId": "nope"}}))
    with pytest.raises(UsageError, match="mask"):
        parse_overlay({"destination/Warehouse": {"password": MASK}})
    for selector, name, words in (
        ("link/Web site -> Warehouse", "name", "has no field 'name' there"),
        ("destination/Warehouse", "hots", "has no field 'hots' there; did you mean 'host'"),
        ("destination/*", "hots", "has no field 'hots' there"),
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
        UsageError,
        match=r"'destination/Twin' matches 4 entities: destination/\S+, .*use the id of one of them",
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
        assert [(a.kind, a.key.id, a.losses) for a in plan.writes] == [(ActionKind.UPDATE, "hook-0001", ())]
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
    assert "destination/hook-0001 is a different entity, 'Prod PG'" in blocked.reason
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
        plan = run(prepare(
            console_of(sandbox), PRODUCTION, before,
            PlanOptions(overlay=parse_overlay(rules), allow_missing_secrets=True), lambda _: None,
        )).plan  # fmt: skip
        return " ".join(note for note in plan.notes if note.startswith("secrets copied unchanged"))

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


def test_a_write_key_is_reported_with_the_stream_that_was_really_made(
    sandbox: Sandbox, before: Snapshot
) -> None:
    for _ in range(2):
        live = [
            o
            for o in sandbox.state.objects.values()
            if o.config.get("name") == "Mobile app" and not o.deleted
        ]
        delete(sandbox.state, live[0].id, cascade=True)
        result = roll_back(sandbox, before)
    assert {sandbox.state.objects[key.stream_id].deleted for key in result.keys} == {False}


def test_a_builders_unpublished_draft_outlives_a_rollback_and_comes_back(sandbox: Sandbox) -> None:
    builder = next(iter(sandbox.state.builders.values()))
    config = sandbox.state.objects[builder.function_id].config
    config["draft"] = "work in progress"
    before = run(read(console_of(sandbox), STAGING))
    builder.fields["name"] = "Renamed"
    roll_back(sandbox, before)
    assert sandbox.state.objects[builder.function_id].config["draft"] == "work in progress"
    sandbox.state.objects[builder.function_id].config["draft"] = "something else"
    (action,) = roll_back(sandbox, before).plan.writes
    assert action.changes == ("draft",)
    assert sandbox.state.objects[builder.function_id].config["draft"] == "work in progress"
    assert roll_back(sandbox, before).plan.writes == ()


def test_cloned_there_and_back_nothing_is_made_a_second_time(sandbox: Sandbox) -> None:
    skip = {"skip": ("domain",), "overlay": Overlay()}
    source = run(read(console_of(sandbox), STAGING))
    secrets = stand_ins(source)
    run(restore(lambda: console_of(sandbox), source, PRODUCTION, **{**skip, "overlay": secrets}))
    there = run(read(console_of(sandbox), PRODUCTION))
    sandbox.requests.clear()
    back = run(restore(lambda: console_of(sandbox), there, STAGING, prune=True, **skip))
    assert back.plan.writes == ()


def test_a_clone_after_the_target_was_rolled_back_finds_what_it_made(sandbox: Sandbox) -> None:
    source = run(read(console_of(sandbox), STAGING))
    options = {"skip": ("domain",), "overlay": stand_ins(source)}
    run(restore(lambda: console_of(sandbox), source, PRODUCTION, **options))
    made = run(read(console_of(sandbox), PRODUCTION))
    for _ in range(4):  # made again, and lost again
        hooks = [
            e.key.id
            for e in run(read(console_of(sandbox), PRODUCTION)).of_type("destination")
            if e.name == "Alerts webhook"
        ]
        delete(sandbox.state, hooks[0], cascade=True)
        run(restore(lambda: console_of(sandbox), made, PRODUCTION, overlay=Overlay()))
    assert run(restore(lambda: console_of(sandbox), source, PRODUCTION, **options)).plan.writes == ()


def test_a_clone_after_the_source_was_rolled_back_asks_before_anything_gets_every_event_twice(
    sandbox: Sandbox,
) -> None:
    source = run(read(console_of(sandbox), STAGING))
    secrets = stand_ins(source)
    run(restore(lambda: console_of(sandbox), source, PRODUCTION, overlay=secrets))
    delete(sandbox.state, "hook-0001", cascade=True)
    roll_back(sandbox, source)
    again = run(read(console_of(sandbox), STAGING))
    plan = plan_for(sandbox, again, PRODUCTION, allow_missing_secrets=True)
    (blocked,) = [action for action in plan.blocked if action.key.type == "destination"]
    assert "and both would receive the same events: pair them with --map" in blocked.reason
    paired = run(
        restore(
            lambda: console_of(sandbox), again, PRODUCTION, match_by_name=True, allow_missing_secrets=True
        )
    )
    assert {action.kind for action in paired.plan.writes} <= {ActionKind.UPDATE}
    links = [(row.from_id, row.to_id) for row in sandbox.state.live_links(PRODUCTION) if row.type == "push"]
    assert len(links) == len(set(links)) == 3


def test_a_clone_after_the_whole_source_was_recreated_asks_before_it_doubles_or_deletes_the_target(
    sandbox: Sandbox,
) -> None:
    source = run(read(console_of(sandbox), STAGING))
    run(restore(lambda: console_of(sandbox), source, PRODUCTION, overlay=stand_ins(source)))
    for kind in ("stream", "destination", "service", "function"):
        for row in list(sandbox.state.live_objects(STAGING, kind)):
            delete(sandbox.state, row.id, cascade=True)
    roll_back(sandbox, source)
    again = run(read(console_of(sandbox), STAGING))
    for prune in (False, True):
        plan = plan_for(sandbox, again, PRODUCTION, overlay=stand_ins(again), prune=prune)
        assert {"stream", "service"} & {action.key.type for action in plan.blocked}
    options = {"match_by_name": True, "prune": True, "overlay": stand_ins(again), "skip": ("domain",)}
    paired = run(restore(lambda: console_of(sandbox), again, PRODUCTION, **options))
    assert {action.kind for action in paired.plan.writes} <= {ActionKind.UPDATE}
    assert run(restore(lambda: console_of(sandbox), again, PRODUCTION, **options)).plan.writes == ()
