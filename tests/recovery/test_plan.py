"""What a plan of a recovery says is what the run then does."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from jitsu_backup.archive import archive_name
from jitsu_backup.errors import BlockedError
from jitsu_backup.model import MASK
from jitsu_backup.operations.recovery import RecoveryPlan, WorkspaceRecovery
from jitsu_backup.operations.recovery.target import losses_of
from jitsu_backup.operations.recovery_losses import LossKind
from jitsu_backup.operations.restore import PreparedRestore
from jitsu_backup.operations.safeguards import first_blocked
from jitsu_backup.planning import PlanOptions, make_plan
from jitsu_backup.planning.console_overlay import overlay_tables
from jitsu_backup.reports.recovery import missing_overlay, plan_summary
from jitsu_backup.reports.recovery_documents import recovery_plan_document
from jitsu_backup.reports.recovery_endings import written
from jitsu_backup.reports.recovery_remarks import not_known
from jitsu_backup.reports.recovery_values import RecoveryReport
from jitsu_backup.sandbox import Generation
from jitsu_backup.sandbox.state import REVERSE_ETL
from tests.recovery.golden import shown
from tests.recovery.kit import ADMIN_KEY, World, problems
from tests.support import MOMENT, OWNER, make_snapshot


def lost(tmp_path: Path, generation: Generation, into: Generation | None = None, **options: bool) -> World:
    """Return a world whose console had one workspace, and a new, empty console of the generation `into`."""
    world = World(tmp_path, generation, **options)
    world.add("team-blue")
    world.back_up()
    if into is not None:
        world.generation = into
        world.new = world.console()
    return world


def in_words(plan: RecoveryPlan, *, verbose: bool = False) -> str:
    """Return what a terminal shows of a plan, on one line."""
    return " ".join(shown(plan_summary(RecoveryReport(plan, MOMENT)), verbose=verbose).split())


@pytest.mark.parametrize("generation", Generation)
def test_the_plan_and_the_run_count_every_entity_of_an_archive(
    generation: Generation, tmp_path: Path
) -> None:
    world = lost(tmp_path, generation)
    world.features = (REVERSE_ETL,) if generation.is_newest else ()
    run = world.recover()
    (planned,), (outcome,) = run.plan.workspaces, run.outcomes
    entities = planned.snapshot.entities
    needing = [
        one for one in entities if one.key.type in ("model", "reverse-sync")
    ]  # a feature, off until made
    assert planned.writes == len(entities) - len(needing)
    assert written(outcome) == len(entities)


@pytest.mark.parametrize(
    ("generation", "into"),
    [
        (Generation.JULY_2026, Generation.OCTOBER_2024),
        (Generation.NEWEST, Generation.OCTOBER_2024),
        (Generation.NEWEST, Generation.JULY_2026),
    ],
)
def test_the_plan_for_an_older_and_empty_console_names_all_that_will_differ(
    generation: Generation, into: Generation, tmp_path: Path
) -> None:
    world = lost(tmp_path, generation, into)
    run = world.recover()
    (planned,), (outcome,) = run.plan.workspaces, run.outcomes
    assert outcome.result is not None
    assert set(planned.shortfalls) == set(outcome.result.found)
    assert written(outcome) == planned.writes
    told = in_words(run.plan, verbose=True)
    assert ("so the sync starts over" in told) == into.is_2024
    assert ("does not support profile builders" in told) == into.is_2024
    assert "does not know this field" in told
    types = {line.key.type for line in planned.shortfalls if not line.path} - {"profile-builder"}
    assert set(not_known(planned)) == types


@pytest.mark.parametrize("generation", Generation)
def test_the_plan_says_what_is_overwritten_and_what_is_kept(generation: Generation, tmp_path: Path) -> None:
    world = lost(tmp_path, generation)
    world.new = world.old  # it still exists
    row = world.new.state.find_workspace("team-blue")
    assert row is not None
    for one in world.new.state.objects.values():
        if one.config.get("name") == "Enrich":
            one.config = {**one.config, "code": "export default () => null"}
    for number in range(3):
        world.new.state.add_object(
            row.id, "function", f"mine-{number}", {"name": f"Mine {number}", "code": "1"}
        )
    blocked = world.plan()
    (told,) = map(str, (one.problem for one in blocked.workspaces))
    assert "it has function 'Mine 0' and 2 more, which the archive lacks" in told
    assert "1 existing entity would be overwritten: function 'Enrich'" in told
    plan = world.plan(world.job(over_existing=True))
    assert "overwrites 1 entity, keeps 3 that the archive does not have" in in_words(plan)
    assert "Mine 0" not in in_words(plan)
    told = in_words(plan, verbose=True)
    assert "team-blue function Enrich code" in told
    assert "team-blue function Mine 0 team-blue function Mine 1 team-blue function Mine 2" in told
    (document,) = recovery_plan_document(RecoveryReport(plan, MOMENT))["plan"]["workspaces"]
    (over,) = document["overwritten"]
    assert (over["type"], over["name"], over["fields"]) == ("function", "Enrich", ["code"])
    assert [one["name"] for one in document["only_in_target"]] == ["Mine 0", "Mine 1", "Mine 2"]


@pytest.mark.parametrize(
    ("key", "known"),
    [(ADMIN_KEY, {"stream", "destination", "function"}), (OWNER, {"stream"})],
    ids=["operator", "person"],
)
def test_the_plan_names_ids_in_use_elsewhere_that_it_has_seen_and_claims_no_others(
    key: str, known: set[str], tmp_path: Path
) -> None:
    world = lost(tmp_path, Generation.JULY_2026)
    state, was = world.new.state, world.old.state
    other = state.add_workspace("cother00000000000000000001", "Other", "other-team", {"u-owner": "owner"}).id
    there = [one for one in was.objects.values() if one.type in ("stream", "destination", "function")]
    for one in there:
        state.add_object(other, one.type, one.id, dict(one.config))
    for link in was.links.values():
        state.links[link.id] = replace(link, workspace_id=other)
    run = world.recover(world.job(key, options=PlanOptions(allow_missing_secrets=True)))
    assert problems(run) == {}
    (planned,), (outcome,) = run.plan.workspaces, run.outcomes
    assert outcome.result is not None
    made = {o.action.key for o in outcome.result.outcomes if o.target_id != o.action.target_id}
    assert {one.key.type for one in planned.taken} == known
    assert {one.used_by for one in planned.taken} == {"other-team"}
    assert {one.key for one in planned.taken} < made
    assert "New ids" in in_words(run.plan)


def test_a_recovery_does_not_ask_to_replace_the_secrets_that_it_copies(tmp_path: Path) -> None:
    plan = lost(tmp_path, Generation.JULY_2026).plan()
    assert "copied unchanged" not in in_words(plan)
    assert "copied unchanged" not in str(recovery_plan_document(RecoveryReport(plan, MOMENT)))


def test_a_secret_in_a_field_that_the_console_does_not_know_is_not_to_be_given() -> None:
    """It is no loss that an overlay could prevent, but a difference, with or without the other secrets."""
    hook = {"id": "hook", "name": "Hook", "destinationType": "webhook", "auth": MASK, "signatureSecret": MASK}
    wanted = make_snapshot({"destination": [hook]})
    known = {name: {} for name in ("id", "name", "destinationType", "auth")}
    schemas = {
        "destination": {},
        "destination/webhook": {"properties": known, "additionalProperties": False},
    }
    live = make_snapshot({"destination": []}, workspace_id="other")
    for lacks in (True, False):
        options = PlanOptions(schemas=schemas, allow_missing_secrets=lacks)
        prepared = PreparedRestore(make_plan(wanted, live, options), wanted, live, options)
        losses = losses_of(prepared)
        assert [loss.path for loss in losses if loss.kind is LossKind.SECRET] == ["auth"]
        one = WorkspaceRecovery(archive_name(wanted), wanted, prepared=prepared, losses=losses)
        assert [line.path for line in one.shortfalls] == ["signatureSecret"]


@pytest.mark.parametrize("masked", [True, False])
def test_what_only_an_older_console_requires_is_in_the_overlay_to_fill_in_with_a_step_that_says_so(
    *, masked: bool
) -> None:
    """The archive lacks a password, because the lost console needed none; another secret may be missing besides."""
    secret = {"key": MASK} if masked else {}
    wanted = make_snapshot(
        {"destination": [{"id": "db", "name": "Warehouse", "destinationType": "postgres", **secret}]}
    )
    known = {"id": {}, "name": {}, "key": {}, "password": {"type": "string"}, "port": {"type": "number"}}
    schemas = {
        "destination": {},
        "destination/postgres": {"properties": known, "required": ["password", "port"]},
    }
    options = PlanOptions(schemas=schemas)
    live = make_snapshot({"destination": []}, workspace_id="")
    prepared = PreparedRestore(make_plan(wanted, live, options), wanted, live, options)
    problem = BlockedError(first_blocked(prepared.plan))
    one = WorkspaceRecovery(
        archive_name(wanted), wanted, prepared=prepared, losses=losses_of(prepared), problem=problem
    )
    plan = RecoveryPlan("https://lost.example", "https://new.example", (one,))
    (table,) = missing_overlay(plan)
    lines = table.splitlines()
    assert lines[0] == '["acme-staging:destination/Warehouse"]'
    assert (len(lines), '"key" = { env =' in table) == (4 if masked else 3, masked)
    needed = "  # required by the target console"
    assert f'"password" = {{ env = "ACME_STAGING_WAREHOUSE_PASSWORD" }}{needed}' in lines
    assert f'# "port" = …{needed}: number' in lines
    assert overlay_tables(tomllib.loads(table)).own["acme-staging"]
    told = in_words(plan)
    secrets = "1 missing secret and " if masked else ""
    assert f"1. Provide {secrets}2 fields that this console requires with --overlay FILE" in told
    if not masked:
        assert 'add them to ["acme-staging:destination/Warehouse"] in --overlay' in told
        assert "(once the workspace has been created, `jitsu-backup restore" in told


def test_whatever_blocks_a_plan_a_step_says_what_to_do() -> None:
    one = WorkspaceRecovery(
        archive_name(make_snapshot({})), make_snapshot({}), problem=BlockedError("its type is unknown")
    )
    report = RecoveryReport(RecoveryPlan("a", "b", (one,)), MOMENT, again="jitsu-backup recover")
    (step,) = plan_summary(report).next_steps
    assert step.text.startswith("Resolve what is blocked (1 workspace)")
