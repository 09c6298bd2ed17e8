"""A part of a snapshot, what the console would refuse, and ids in text."""

from dataclasses import replace
from typing import Any

import pytest

from jitsu_backup.errors import UsageError
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.planning import Overlay, PlanOptions, parse_overlay
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace
from tests.restores.kit import OTHER, delete, plan_for, roll_back
from tests.support import PRODUCTION, STAGING, console_of, prepare, read, restore, run, writes


def test_only_takes_what_was_chosen_and_what_it_needs_and_says_so(before: Snapshot) -> None:
    target = Sandbox(default_state(), rate_limit=False)
    result = run(restore(lambda: console_of(target, OTHER), before, only=("link/Web site -> ClickHouse",)))
    assert result.found == []
    assert sorted(str(a.key.type) for a in result.plan.writes) == [
        "destination", "function", "function", "link", "stream",
    ]  # fmt: skip
    assert any("stream 'Web site' is included" in note for note in result.plan.notes)
    with pytest.raises(UsageError, match="not in the snapshot"):
        run(restore(lambda: console_of(target, OTHER), before, only=("stream/nothing",)))


def test_what_still_names_a_deleted_object_outside_the_selection_is_reported(
    sandbox: Sandbox, before: Snapshot
) -> None:
    delete(sandbox.state, "hook-0001")
    plan = plan_for(sandbox, before, only=("destination/Alerts webhook",))
    assert [a.key.type for a in plan.writes] == ["destination"]
    (note,) = plan.notes
    assert (
        "link 'Mobile app → Alerts webhook' still refers to the deleted destination 'Alerts webhook'" in note
    )


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
    plan = run(prepare(console_of(target, OTHER), PRODUCTION, before, options, lambda _: None)).plan
    assert any(words in action.reason for action in plan.blocked), [a.reason for a in plan.blocked]
    assert writes(target) == 0


@pytest.mark.parametrize("secrets", [False, True])
def test_a_destination_type_that_the_target_does_not_know_is_left_out_with_skip_and_asks_for_no_secret(
    before: Snapshot, secrets: bool
) -> None:
    target = Sandbox(default_state(), rate_limit=False)
    newer = replace(before, entities=tuple(
        replace(e, body={**e.body, "destinationType": "oracle"}) if e.name == "Warehouse" else e
        for e in before.entities
    ))  # fmt: skip
    (warehouse,) = [e.key for e in newer.entities if e.name == "Warehouse"]
    skipped = PlanOptions(allow_missing_secrets=secrets)
    plan = run(prepare(console_of(target, OTHER), PRODUCTION, newer, skipped, lambda _: None)).plan
    (reason,) = [action.reason for action in plan.blocked if action.key == warehouse]
    assert (
        reason
        == f"the target console does not know the destination type 'oracle': leave it out with --skip={warehouse}"
    )
    followed = PlanOptions(allow_missing_secrets=True, skip=(reason.rpartition("--skip=")[2],))
    plan = run(prepare(console_of(target, OTHER), PRODUCTION, newer, followed, lambda _: None)).plan
    assert not plan.blocked, [action.reason for action in plan.blocked]


def test_what_the_target_would_refuse_can_be_left_out_as_the_plan_says(before: Snapshot) -> None:
    target = Sandbox(default_state(), rate_limit=False)
    overlay = parse_overlay({"destination/Warehouse": {"port": "many"}})
    options = PlanOptions(overlay=overlay, allow_missing_secrets=True)
    plan = run(prepare(console_of(target, OTHER), PRODUCTION, before, options, lambda _: None)).plan
    (reason,) = [action.reason for action in plan.blocked if action.key.type == "destination"]
    assert "; change it with --overlay, or leave it out with --skip=destination/" in reason
    followed = replace(options, skip=(reason.rpartition("--skip=")[2],))
    plan = run(prepare(console_of(target, OTHER), PRODUCTION, before, followed, lambda _: None)).plan
    assert not plan.blocked


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
    assert "function 'Enrich': its code mentions destination 'Warehouse' (warehouse-0001)" in told[0]
    assert sandbox.state.objects[result.plan.ids[Key("function", "enrich-0001")]].config["code"] == code
    assert not any("in text" in note for note in roll_back(sandbox, source).plan.notes)


def test_unknown_types_follow_only_whole_ids_and_each_is_reported() -> None:
    state = default_state()
    state.extra_types = ("gadget",)
    example_workspace(state, STAGING)
    query = {"name": "M", "to": "warehouse-0001", "fn": "udf.enrich-0001", "sql": "from warehouse-0001"}
    state.add_object(STAGING, "gadget", "m-1", query)
    sandbox = Sandbox(state, rate_limit=False)
    source = run(read(console_of(sandbox), STAGING))
    result = run(restore(lambda: console_of(sandbox), source))
    new = sandbox.state.objects[result.plan.ids[Key("gadget", "m-1")]].config
    assert new["to"] == result.plan.ids[Key("destination", "warehouse-0001")]
    assert (new["fn"], new["sql"]) == ("udf.enrich-0001", "from warehouse-0001")
    assert (
        "gadget 'M': its to is treated as a reference to destination 'Warehouse' and updated with it"
        in result.plan.notes
    )
    assert sum("is copied unchanged" in note for note in result.plan.notes) == 2
