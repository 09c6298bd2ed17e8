"""Who stands for whom in the target, under which id."""

import pytest

from jitsu_backup.errors import UsageError
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.planning import ActionKind, Ids, PlanOptions, make_plan, parse_overlay
from jitsu_backup.sandbox import Sandbox, default_state
from tests.restores.kit import OTHER, plan_for
from tests.support import PRODUCTION, console_of, read, restore, run, writes


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
            assert "its id web-0001 is in use" in failed["Web site"].reason
            assert failed["Web site → Warehouse"].status is Status.NOT_ATTEMPTED


def test_keeping_ids_within_one_console_is_blocked(sandbox: Sandbox, before: Snapshot) -> None:
    plan = plan_for(sandbox, before, PRODUCTION, ids=Ids.KEEP, allow_missing_secrets=True)
    assert any("already used on this console" in a.reason for a in plan.blocked)


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
        (("destination/*", "destination/taken"), "matches 4 entities of the snapshot"),
        (("stream/Web site", "function/taken"), "cannot be mapped to"),
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
    assert actions["Only known users"].kind is ActionKind.UPDATE
    assert actions["Enrich"].kind is ActionKind.BLOCKED
    assert "function/one and function/two" in actions["Enrich"].reason
