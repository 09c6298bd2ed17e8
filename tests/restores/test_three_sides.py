"""Promotion with three sides: what the last clone left, what the source is now, what the target is now."""

from dataclasses import replace
from typing import Any

import pytest

from jitsu_backup.errors import UsageError
from jitsu_backup.model import Key
from jitsu_backup.planning import Action, ActionKind, Overlay, Plan, asked_in_vain, parse_overlay
from jitsu_backup.reports import kept_there
from jitsu_backup.reports.summary import conflict_sides
from jitsu_backup.sandbox import Generation
from tests.promotions import Promotion, edit, edit_through_api, key_named, promotion
from tests.restores.kit import delete
from tests.support import PRODUCTION, STAGING, stand_ins

GENERATIONS = pytest.mark.parametrize("generation", Generation, ids=lambda one: one.value)


@pytest.fixture
def cloned(request: pytest.FixtureRequest) -> Promotion:
    """Staging, cloned into production once."""
    made = promotion(getattr(request, "param", Generation.NEWEST))
    made.clone()
    return made


EACH = pytest.mark.parametrize("cloned", Generation, indirect=True, ids=lambda one: one.value)


def action_of(plan: Plan, key: Key) -> Action:
    (found,) = [action for action in plan.actions if action.key == key]
    return found


def both(made: Promotion, type_name: str, name: str) -> tuple[Key, str]:
    """The key of an entity of the source, and the id of the target's."""
    key = key_named(made.snapshot(), type_name, name)
    return key, made.id_in_target(key)


def code_of(made: Promotion, object_id: str) -> str:
    code: str = made.target.state.objects[object_id].config["code"]
    return code


@EACH
def test_a_second_clone_writes_nothing_and_leaves_the_same_record(cloned: Promotion) -> None:
    before = cloned.record
    cloned.silent_clone()
    assert before is not None
    assert cloned.record == replace(before, taken_at=cloned.record.taken_at)


@EACH
def test_what_only_the_source_changed_is_updated(cloned: Promotion) -> None:
    key, there = both(cloned, "function", "Enrich")
    edit(cloned.source.state, key.id, code="// of staging")
    assert action_of(cloned.plan(), key).kind is ActionKind.UPDATE
    cloned.clone()
    assert code_of(cloned, there) == "// of staging"
    cloned.silent_clone()


@EACH
def test_what_only_the_target_changed_is_kept_and_listed_in_every_later_clone(cloned: Promotion) -> None:
    key, there = both(cloned, "function", "Enrich")
    edit(cloned.target.state, there, code="// a hot fix")
    for _ in range(3):
        action = action_of(cloned.plan(), key)
        assert (action.kind, action.own) == (ActionKind.UNCHANGED, ("code",))
        cloned.silent_clone()
    assert code_of(cloned, there) == "// a hot fix"


def test_what_the_target_keeps_is_named_with_the_flag_that_restores_it(cloned: Promotion) -> None:
    _, there = both(cloned, "function", "Enrich")
    _, gone = both(cloned, "destination", "BigQuery")
    edit(cloned.target.state, there, code="// a hot fix")
    delete(cloned.target.state, gone, cascade=True)

    def in_vain(only: str, *take: str) -> list[str]:
        prepared = cloned.prepared(only=(only,), take=take)
        return [action.name for action in asked_in_vain(prepared.plan, prepared.options)]

    assert in_vain("function/Enrich") == ["Enrich"]
    assert in_vain("destination/BigQuery") == ["BigQuery"]
    assert in_vain("function/*") == in_vain("function") == in_vain("function/Only known users") == []
    assert in_vain("function/Enrich", "target:function/Enrich:code") == []
    assert in_vain("function/Enrich", "source:function/Enrich") == []
    plan = cloned.plan(only=("function", "destination/BigQuery"))
    assert kept_there(plan) == (
        "Kept as changed in the target: destination BigQuery (deleted), function Enrich (code); to restore them:"
        " --take=source:destination/BigQuery --take=source:function/Enrich"
    )
    assert kept_there(cloned.plan(only=("function/Only known users",))) == ""


def test_with_links_what_was_deleted_with_an_entity_is_restored_with_it(cloned: Promotion) -> None:
    key, gone = both(cloned, "destination", "ClickHouse")
    delete(cloned.target.state, gone, cascade=True)

    def links(*take: str) -> tuple[set[ActionKind], set[str]]:
        prepared = cloned.prepared(only=(str(key),), with_links=True, take=take)
        kept = asked_in_vain(prepared.plan, prepared.options)
        actions = (action for action in prepared.plan.actions if action.key.type == "link")
        return {action.kind for action in actions}, {action.key.type for action in kept}

    assert links(f"source:{key}") == ({ActionKind.CREATE}, set())
    assert links() == ({ActionKind.SKIPPED}, {"destination", "link"})
    assert links(f"source:{key}", "target:link") == ({ActionKind.SKIPPED}, set())


@EACH
def test_what_the_source_changes_after_the_targets_own_change_was_kept_is_a_conflict(
    cloned: Promotion,
) -> None:
    key, there = both(cloned, "function", "Enrich")
    edit(cloned.target.state, there, code="// a hot fix")
    cloned.silent_clone()
    edit(cloned.source.state, key.id, code="// of staging")
    action = action_of(cloned.plan(), key)
    assert action.conflicts == ("code",)
    kept = "the source changed code, and the target has kept its own since an earlier clone: settle it with "
    assert action.reason.startswith(kept)
    edit(cloned.target.state, there, code="// another hot fix")
    assert action_of(cloned.plan(), key).reason.startswith("both sides changed code differently since")


def test_a_later_change_of_staging_asks_again_where_the_target_was_taken(cloned: Promotion) -> None:
    key, there = both(cloned, "destination", "Warehouse")
    edit(cloned.target.state, there, host="of-production")
    edit(cloned.source.state, key.id, host="of-staging")
    cloned.clone(take=("target",))
    edit(cloned.source.state, key.id, host="of-staging-again")
    kept = "the source changed host, and the target has kept its own since an earlier clone: "
    assert action_of(cloned.plan(), key).reason.startswith(kept)


@EACH
def test_what_both_changed_to_the_same_is_nothing(cloned: Promotion) -> None:
    key, there = both(cloned, "function", "Enrich")
    edit(cloned.target.state, there, code="// the same")
    edit(cloned.source.state, key.id, code="// the same")
    assert action_of(cloned.plan(), key).kind is ActionKind.UNCHANGED
    cloned.silent_clone()


@EACH
def test_what_both_changed_differently_is_blocked_with_the_three_values(cloned: Promotion) -> None:
    key, there = both(cloned, "destination", "Warehouse")
    edit(cloned.target.state, there, host="of-production")
    edit(cloned.source.state, key.id, host="of-staging")
    action = action_of(cloned.plan(), key)
    assert (action.kind, action.conflicts) == (ActionKind.BLOCKED, ("host",))
    (change,) = action.fields
    assert (change.base, change.before, change.after) == (
        "db.staging.acme.example",
        "of-production",
        "of-staging",
    )
    assert "--take=source:destination/Warehouse" in action.reason


@EACH
def test_a_conflict_of_code_is_shown_as_the_changes_of_both_sides(cloned: Promotion) -> None:
    key, there = both(cloned, "function", "Only known users")
    edit(cloned.target.state, there, code="// of production")
    edit(cloned.source.state, key.id, code="// of staging")
    (change,) = action_of(cloned.plan(), key).fields
    assert "+// of staging" in change.code
    assert "+// of production" in change.own_code


@pytest.mark.parametrize("logged", [True, False])
def test_a_conflict_says_who_changed_the_target_last_where_the_console_tells(
    cloned: Promotion, logged: bool
) -> None:
    key, there = both(cloned, "function", "Enrich")
    cloned.target.state.audit_log = logged
    cloned.target.state.audit.clear()
    edit(cloned.source.state, key.id, code="// of staging")
    edit_through_api(cloned.target, PRODUCTION, Key("function", there), code="// of production")
    reason = action_of(cloned.plan(), key).reason
    assert ("owner@example.com last changed the target's side at 20" in reason) is logged


def test_what_an_earlier_clone_kept_is_shown_as_kept_and_nobody_is_named(cloned: Promotion) -> None:
    key, there = both(cloned, "destination", "BigQuery")
    edit(cloned.target.state, there, project="of-production")
    edit(cloned.source.state, key.id, project="of-staging", bqDataset="other")
    cloned.clone(take=("target:destination/BigQuery:project",))  # it writes the data set
    edit(cloned.source.state, key.id, project="newer")
    plan = cloned.plan()
    action = action_of(plan, key)
    assert "last changed the target's side" not in action.reason
    (change,) = action.fields
    assert conflict_sides(plan, change) == (
        ("source", "newer"),
        ("source at the last clone", "of-staging"),
        ("kept in the target", "of-production"),
    )


@EACH
@pytest.mark.parametrize(
    "take", ["source", "source:function", "source:function/Enrich", "source:function/Enrich:code"]
)
def test_taking_the_source_settles_a_conflict(cloned: Promotion, take: str) -> None:
    key, there = both(cloned, "function", "Enrich")
    edit(cloned.target.state, there, code="// of production")
    edit(cloned.source.state, key.id, code="// of staging")
    cloned.clone(take=(take,))
    assert code_of(cloned, there) == "// of staging"
    cloned.silent_clone()


@EACH
def test_taking_the_target_settles_a_conflict_for_good(cloned: Promotion) -> None:
    key, there = both(cloned, "function", "Enrich")
    edit(cloned.target.state, there, code="// of production")
    edit(cloned.source.state, key.id, code="// of staging", description="of staging")
    cloned.clone(take=("target:function/Enrich",))
    cloned.silent_clone()
    assert code_of(cloned, there) == "// of production"
    assert cloned.target.state.objects[there].config["description"] == "of staging"


def test_a_choice_of_another_entity_or_field_settles_nothing(cloned: Promotion) -> None:
    key, there = both(cloned, "function", "Enrich")
    edit(cloned.target.state, there, code="// of production")
    edit(cloned.source.state, key.id, code="// of staging")
    for take in ("source:destination", "target:function/Only known users", "source:function/Enrich:name"):
        assert action_of(cloned.plan(take=(take,)), key).kind is ActionKind.BLOCKED


def test_a_later_choice_wins_over_an_earlier_one(cloned: Promotion) -> None:
    key, there = both(cloned, "function", "Enrich")
    edit(cloned.target.state, there, code="// of production")
    edit(cloned.source.state, key.id, code="// of staging")
    cloned.clone(take=("source", "target:function/Enrich"))
    assert code_of(cloned, there) == "// of production"


@pytest.mark.parametrize("take", ["", "both", "source:", "staging:function", "target:/x"])
def test_a_choice_that_names_no_side_is_refused_in_one_line(cloned: Promotion, take: str) -> None:
    with pytest.raises(UsageError) as refusal:
        cloned.plan(take=(take,))
    assert "\n" not in str(refusal.value)


@EACH
def test_what_the_source_deleted_is_deleted_with_prune_where_the_target_left_it_as_it_was(
    cloned: Promotion,
) -> None:
    key, there = both(cloned, "destination", "BigQuery")
    delete(cloned.source.state, key.id, cascade=True)
    assert cloned.clone().extras
    cloned.silent_clone()  # the pair is still known
    cloned.clone(prune=True)
    assert cloned.target.state.objects[there].deleted
    cloned.silent_clone(prune=True)


@EACH
def test_what_the_source_deleted_and_the_target_changed_is_a_conflict_for_prune(cloned: Promotion) -> None:
    key, there = both(cloned, "destination", "BigQuery")
    delete(cloned.source.state, key.id, cascade=True)
    edit(cloned.target.state, there, project="of-production")
    (action,) = cloned.plan(prune=True).blocked
    assert action.target_id == there
    assert "changed in the target since the last clone" in action.reason
    cloned.clone(prune=True, take=("target:destination/BigQuery",))
    assert not cloned.target.state.objects[there].deleted
    cloned.clone(prune=True, take=("source:destination/BigQuery",))
    assert cloned.target.state.objects[there].deleted


@EACH
def test_what_the_target_deleted_stays_deleted_until_the_source_is_taken(cloned: Promotion) -> None:
    key, there = both(cloned, "destination", "BigQuery")
    delete(cloned.target.state, there, cascade=True)
    for _ in range(2):
        action = action_of(cloned.plan(), key)
        assert action.kind is ActionKind.SKIPPED
        assert "--take=source:destination/BigQuery" in action.reason
        assert cloned.silent_clone().found == []
    cloned.clone(take=("source:destination/BigQuery",))
    assert key_named(cloned.live(), "destination", "BigQuery").id != there
    cloned.silent_clone()


@EACH
def test_what_used_what_the_target_deleted_is_no_residue(cloned: Promotion) -> None:
    _, there = both(cloned, "destination", "Alerts webhook")
    delete(cloned.target.state, there, cascade=True)
    assert cloned.silent_clone().found == []


@EACH
def test_a_target_that_was_emptied_needs_a_decision(cloned: Promotion) -> None:
    before = _shape(cloned)
    _lose(cloned, cloned.target, PRODUCTION)
    reasons = [action.reason for action in cloned.plan().blocked]
    assert all("since the last clone: re-create them with --take=source" in reason for reason in reasons)
    assert reasons
    cloned.silent_clone(take=("target",))
    cloned.clone(take=("source",))
    assert _shape(cloned) == before


@EACH
def test_a_connection_that_the_target_deleted_stays_deleted(cloned: Promotion) -> None:
    gone = next(row for row in cloned.target.state.live_links(PRODUCTION) if row.type == "push")
    gone.deleted = True
    for _ in range(2):
        plan = cloned.plan()
        assert [a.key.type for a in plan.actions if a.kind is ActionKind.SKIPPED and a.deleted_there] == [
            "link"
        ]
        cloned.silent_clone()
    count = len(list(cloned.target.state.live_links(PRODUCTION)))
    cloned.clone(take=("source",))
    assert len(list(cloned.target.state.live_links(PRODUCTION))) == count + 1
    cloned.silent_clone()


@EACH
def test_what_the_target_made_is_kept_even_with_prune_and_goes_with_prune_own(cloned: Promotion) -> None:
    state = cloned.target.state
    state.add_object(PRODUCTION, "function", "own-function", {"name": "Of production", "code": "x"})
    plan = cloned.plan(prune=True)
    assert [extra.key.id for extra in plan.extras if extra.own] == ["own-function"]
    cloned.silent_clone(prune=True)
    cloned.clone(prune=True, prune_own=True)
    assert state.objects["own-function"].deleted


@EACH
def test_an_overlay_that_changed_since_is_a_change_of_the_source(cloned: Promotion) -> None:
    _, there = both(cloned, "destination", "BigQuery")
    given, secrets = (
        parse_overlay({"destination/BigQuery": {"project": "given"}}),
        stand_ins(cloned.snapshot()),
    )
    overlay = Overlay((*secrets.rules, *given.rules), secrets.secrets)
    cloned.clone(overlay=overlay)
    assert cloned.target.state.objects[there].config["project"] == "given"
    cloned.silent_clone(overlay=overlay)


@EACH
def test_sets_merge_item_by_item(cloned: Promotion) -> None:
    key, there = both(cloned, "destination", "ClickHouse")
    edit(cloned.source.state, key.id, hosts=["ch1:8443", "ch2:8443", "ch3:8443"])
    edit(cloned.target.state, there, hosts=["ch2:8443", "ch9:8443"])
    cloned.clone()
    assert cloned.target.state.objects[there].config["hosts"] == ["ch2:8443", "ch3:8443", "ch9:8443"]
    cloned.silent_clone()
    edit(cloned.source.state, key.id, hosts=["ch1:8443", "ch3:8443"])
    cloned.clone()
    assert cloned.target.state.objects[there].config["hosts"] == ["ch3:8443", "ch9:8443"]


@EACH
def test_functions_of_a_connection_merge_by_their_ids(cloned: Promotion) -> None:
    snapshot = cloned.snapshot()
    enrich, only = (key_named(snapshot, "function", name).id for name in ("Enrich", "Only known users"))
    link = next(row for row in cloned.source.state.live_links(STAGING) if enrich in _functions(row.data))
    there = cloned.target.state.links[cloned.id_in_target(Key("link", link.id))]
    state = cloned.target.state
    state.add_object(PRODUCTION, "function", "own-function", {"name": "Of production", "code": "x"})
    there.data = {**there.data, "functions": [*there.data["functions"], {"functionId": "udf.own-function"}]}
    link.data = {**link.data, "functions": [{"functionId": f"udf.{only}"}]}
    cloned.clone()
    assert _functions(there.data) == [cloned.id_in_target(Key("function", only)), "own-function"]
    cloned.silent_clone()


def _functions(data: Any) -> list[str]:
    return [item["functionId"].removeprefix("udf.") for item in (data or {}).get("functions", ())]


@EACH
def test_changes_of_code_that_do_not_touch_merge_as_lines(cloned: Promotion) -> None:
    key, there = both(cloned, "function", "Enrich")
    code = code_of(cloned, there)
    edit(cloned.source.state, key.id, code=f"{code}\n// the end\n")
    edit(cloned.target.state, there, code=f"// the beginning\n{code}")
    cloned.clone()
    assert code_of(cloned, there) == f"// the beginning\n{code}\n// the end\n"
    cloned.silent_clone()


@EACH
def test_a_rename_on_one_side_and_a_change_on_the_other_come_together(cloned: Promotion) -> None:
    key, there = both(cloned, "destination", "BigQuery")
    edit(cloned.source.state, key.id, name="The lake")
    edit(cloned.target.state, there, project="of-production")
    cloned.clone()
    config = cloned.target.state.objects[there].config
    assert (config["name"], config["project"]) == ("The lake", "of-production")
    cloned.silent_clone()


@EACH
def test_a_partial_clone_leaves_what_is_known_of_the_rest(cloned: Promotion) -> None:
    _, there = both(cloned, "function", "Enrich")
    edit(cloned.target.state, there, code="// a hot fix")
    cloned.clone(only=("destination",))
    cloned.silent_clone()
    assert code_of(cloned, there) == "// a hot fix"


@EACH
def test_a_clone_that_was_killed_before_its_record_leaves_no_conflict_with_itself(cloned: Promotion) -> None:
    key, there = both(cloned, "function", "Enrich")
    before = cloned.record
    edit(cloned.source.state, key.id, code="// of staging")
    cloned.clone()
    cloned.record = before
    cloned.silent_clone()
    assert code_of(cloned, there) == "// of staging"


@EACH
@pytest.mark.parametrize("rounds", [1, 3])
def test_after_rollbacks_of_the_source_nothing_is_made_a_second_time(cloned: Promotion, rounds: int) -> None:
    snapshot = cloned.snapshot()
    before = _shape(cloned)
    for _ in range(rounds):
        _lose(cloned, cloned.source, STAGING)
        cloned.roll_back(cloned.source, STAGING, snapshot)
        plan = cloned.plan()
        assert [(a.key, a.reason) for a in plan.actions if a.kind is ActionKind.CREATE] == []
        assert plan.made_keys == 0
        cloned.clone()
        assert _shape(cloned) == before


@EACH
def test_after_rollbacks_of_the_target_nothing_is_made_a_second_time(cloned: Promotion) -> None:
    for _ in range(3):
        live, before = cloned.live(), _shape(cloned)
        _lose(cloned, cloned.target, PRODUCTION)
        cloned.roll_back(cloned.target, PRODUCTION, live)
        plan = cloned.plan()
        assert [(a.key, a.reason) for a in plan.actions if a.kind is ActionKind.CREATE] == []
        assert plan.made_keys == 0
        cloned.clone()
        assert _shape(cloned) == before


@EACH
def test_after_rollbacks_of_both_nothing_is_made_a_second_time(cloned: Promotion) -> None:
    snapshot = cloned.snapshot()
    for _ in range(2):
        live, before = cloned.live(), _shape(cloned)
        _lose(cloned, cloned.source, STAGING)
        _lose(cloned, cloned.target, PRODUCTION)
        cloned.roll_back(cloned.source, STAGING, snapshot)
        cloned.roll_back(cloned.target, PRODUCTION, live)
        plan = cloned.plan()
        assert [(a.key, a.reason) for a in plan.actions if a.kind is ActionKind.CREATE] == []
        assert plan.made_keys == 0
        cloned.clone()
        assert _shape(cloned) == before


def _lose(made: Promotion, sandbox: Any, workspace: str) -> None:
    """Delete everything of a workspace that can be made again."""
    state = sandbox.state
    for row in [*state.objects.values(), *state.links.values(), *state.builders.values()]:
        provisioned = getattr(row, "config", {}).get("provisioned") is True
        if row.workspace_id == workspace and not provisioned:
            row.deleted = True


def _shape(made: Promotion) -> dict[str, int]:
    """How many entities and write keys the target has."""
    live = made.live()
    keys = sum(
        len(stream.body.get(name) or ())
        for stream in live.of_type("stream")
        for name in ("publicKeys", "privateKeys")
    )
    return {**live.manifest.counts, "write keys": keys}


def test_in_a_target_that_was_set_up_again_nothing_counts_as_deleted(cloned: Promotion) -> None:
    anew = promotion()
    anew.record = cloned.record
    anew.target.state.workspaces[PRODUCTION].created_at = "2026-11-26T00:00:00.000Z"
    plan = anew.plan()
    assert not plan.deleted_there
    assert [action.key.type for action in plan.actions if action.kind is ActionKind.SKIPPED] == []
    anew.clone()
    assert _shape(anew) == _shape(cloned)


def test_what_is_recreated_keeps_what_the_target_changed() -> None:
    made = promotion(Generation.JULY_2026)
    key = key_named(made.snapshot(), "destination", "ClickHouse")
    edit(made.source.state, key.id, cluster="c")
    made.clone()
    there = made.id_in_target(key)
    link = next(row for row in made.target.state.live_links(PRODUCTION) if row.to_id == there)
    link.data = {**(link.data or {}), "batchSize": 77}
    edit(made.target.state, there, database="of-production")
    edit(made.source.state, key.id, cluster=None)
    made.clone(recreate=True)
    new = made.id_in_target(key)
    assert made.target.state.objects[new].config["database"] == "of-production"
    (moved,) = [row for row in made.target.state.live_links(PRODUCTION) if row.to_id == new]
    assert moved.data["batchSize"] == 77
    assert new != there
    made.silent_clone(recreate=True)
