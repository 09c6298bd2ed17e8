"""The traps of the real console, by their numbers in docs/real-console.md, each as a backup or a restore meets it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from jitsu_backup.console.admin_exports import read_exports, secrets_of
from jitsu_backup.errors import AccessError
from jitsu_backup.model import MASK, Key, Snapshot, unknown_secrets
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.planning import ActionKind, Overlay, PlanOptions, make_plan, parse_overlay
from jitsu_backup.sandbox import Generation, Sandbox, State, default_state
from jitsu_backup.sandbox.refusals import Refusal
from tests.restores.kit import ADMIN
from tests.support import (
    ANALYST,
    OWNER,
    PRODUCTION,
    STAGING,
    FakeTime,
    console_of,
    example_sandbox,
    read,
    restore,
    run,
    writes,
)

OTHER = "http://other.example"


@pytest.fixture
def sandbox() -> Sandbox:
    return example_sandbox()


@pytest.fixture
def state(sandbox: Sandbox) -> State:
    return sandbox.state


@pytest.fixture
def target() -> Sandbox:
    return Sandbox(default_state(), rate_limit=False)


def backup(sandbox: Sandbox) -> Snapshot:
    return run(read(console_of(sandbox), "acme-staging"))


def copy(sandbox: Sandbox, target: Sandbox, **options: Any) -> Any:
    return run(restore(lambda: console_of(target, OTHER), backup(sandbox), **options))


def roll_back(sandbox: Sandbox, snapshot: Snapshot, **options: Any) -> Any:
    return run(restore(lambda: console_of(sandbox), snapshot, STAGING, overlay=Overlay(), **options))


def ask(sandbox: Sandbox, path: str, key: str) -> httpx.Response:
    """What the console answers to a question that no command asks."""

    async def job() -> httpx.Response:
        transport = httpx.ASGITransport(sandbox.app)
        async with httpx.AsyncClient(transport=transport, base_url=OTHER) as client:
            return await client.get(path, headers={"Authorization": f"Bearer {key}"})

    answer: httpx.Response = run(job())
    return answer


def changing_after(sandbox: Sandbox, number: int, change: Callable[[], object]) -> None:
    """Let `change` happen once, after so many requests."""
    inner = sandbox.app

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)
        if len(sandbox.requests) == number:
            change()

    sandbox.app = app  # type: ignore[assignment]


def test_trap_01_a_slug_is_resolved_before_anything_is_listed(sandbox: Sandbox) -> None:
    assert sum(backup(sandbox).manifest.counts.values()) == 21
    asked = [r.path for r in sandbox.requests if "/config/" in r.path]
    assert asked
    assert all(path.startswith(f"/api/{STAGING}/") for path in asked)


def test_trap_02_a_refusal_dressed_as_500_is_not_asked_again(sandbox: Sandbox, target: Sandbox) -> None:
    overlay = parse_overlay({"function/Enrich": {"name": 7}})
    copy(sandbox, target, overlay=overlay, allow_missing_secrets=True, check_schemas=False)
    assert [r.status for r in target.requests].count(500) == 1


def test_trap_03_a_taken_id_moves_on_to_the_next_for_ever(sandbox: Sandbox, state: State) -> None:
    before = backup(sandbox)
    ids = set()
    for _ in range(3):
        result = run(restore(lambda: console_of(sandbox), before))
        new_id = result.plan.ids[Key("function", "enrich-0001")]
        made = next(o.target_id for o in result.outcomes if o.action.key == ("function", "enrich-0001"))
        assert made not in ids, new_id
        ids.add(made)
        state.objects[made].deleted = True


def test_trap_04_links_are_found_again_though_the_server_makes_their_ids(
    sandbox: Sandbox, target: Sandbox
) -> None:
    copy(sandbox, target)
    target.requests.clear()
    copy(sandbox, target)
    assert writes(target) == 0
    assert len(target.state.links) == 5


def test_trap_05_two_syncs_of_one_pair_stay_two_and_a_connection_stays_one(
    sandbox: Sandbox, target: Sandbox
) -> None:
    link = next(row for row in sandbox.state.links.values() if row.type == "sync")
    sandbox.state.add_link(STAGING, "sync", link.from_id, link.to_id, link.data)
    for _ in range(2):
        copy(sandbox, target)
    kinds = [row.type for row in target.state.links.values()]
    assert (kinds.count("sync"), kinds.count("push")) == (3, 3)


def test_trap_06_keys_are_removed_where_a_put_can_and_named_where_it_cannot(
    sandbox: Sandbox, state: State
) -> None:
    before = backup(sandbox)
    state.objects["web-0001"].config["legacy"] = {"a": 1}
    state.objects["enrich-0001"].config["slug"] = "new"
    state.objects["clicks-0001"].config["cluster"] = "new"
    result = roll_back(sandbox, before)
    assert [(r.name, r.path) for r in result.found] == [("ClickHouse", "cluster")]
    assert "legacy" not in state.objects["web-0001"].config
    assert "slug" not in state.objects["enrich-0001"].config


def test_trap_07_the_ledger_names_what_is_masked_and_the_archive_holds_the_rest(sandbox: Sandbox) -> None:
    snapshot = backup(sandbox)
    named = {(line.id, line.path) for line in snapshot.manifest.ledger}
    assert ("warehouse-0001", "password") in named
    assert ("crm-0001", "credentials.tunnel_method.ssh_key") in named
    bodies = repr([entity.body for entity in snapshot.entities])
    assert "hook-secret" in bodies
    assert "env-secret" in bodies
    assert "pg-secret" not in bodies


def test_trap_08_a_destination_is_never_made_from_a_mask(sandbox: Sandbox, target: Sandbox) -> None:
    live = run(read(console_of(target, OTHER), PRODUCTION))
    plan = make_plan(backup(sandbox), live, PlanOptions())
    assert {a.name for a in plan.blocked if a.key.type == "destination"} == {
        "Warehouse",
        "ClickHouse",
        "BigQuery",
    }
    copy(sandbox, target, overlay=Overlay(), allow_missing_secrets=True)
    assert MASK not in repr([row.config for row in target.state.objects.values()])


def test_trap_09_a_deleted_objects_secret_is_revived(sandbox: Sandbox, state: State) -> None:
    before = backup(sandbox)
    state.objects["lake-0001"].deleted = True
    result = roll_back(sandbox, before)
    new_id = result.plan.ids[Key("destination", "lake-0001")]
    assert state.objects[new_id].config["keyFile"] == state.objects["lake-0001"].config["keyFile"]


def test_trap_10_write_keys_are_recreated_and_reported_once(sandbox: Sandbox, target: Sandbox) -> None:
    assert len(copy(sandbox, target).keys) == 4
    assert copy(sandbox, target).keys == []


def test_trap_11_a_domain_of_another_workspace_is_left_out_and_reported(sandbox: Sandbox) -> None:
    result = run(restore(lambda: console_of(sandbox), backup(sandbox)))
    assert {r.key.type for r in result.found} == {"domain", "stream"}
    assert all("in use by workspace acme-staging" in r.reason for r in result.found)


def test_trap_12_a_provisioned_destination_is_paired_never_made(
    sandbox: Sandbox, state: State, target: Sandbox
) -> None:
    config = {"name": "P", "destinationType": "clickhouse", "provisioned": True}
    state.add_object(STAGING, "destination", "prov", config)
    state.add_link(STAGING, "push", "web-0001", "prov", {})
    live = run(read(console_of(target, OTHER), PRODUCTION))
    plan = make_plan(backup(sandbox), live, PlanOptions(allow_missing_secrets=True))
    assert [a.key.type for a in plan.blocked] == ["destination", "link"]
    target.state.add_object(PRODUCTION, "destination", "theirs", config)
    copy(sandbox, target)
    assert sum(row.to_id == "theirs" for row in target.state.links.values()) == 1


def test_trap_13_a_builders_function_is_not_copied_twice(sandbox: Sandbox, target: Sandbox) -> None:
    for _ in range(2):
        copy(sandbox, target)
    kinds = [row.config.get("kind") for row in target.state.objects.values() if row.type == "function"]
    assert sorted(kinds) == ["event", "event", "profile"]


def test_trap_14_dangling_links_are_left_out_with_the_reason_and_are_no_failure(
    sandbox: Sandbox, state: State, target: Sandbox
) -> None:
    state.objects["hook-0001"].deleted = True
    for _ in range(2):
        result = copy(sandbox, target)
        assert result.found == []
        (dead,) = result.plan.dead
        assert dead.reason == "dead: its destination hook-0001 was deleted, so no data flows through it"
    assert roll_back(sandbox, backup(sandbox)).found == []  # there it dangles as it did


def test_trap_15_alone_nobody_is_refused_by_the_rate_limit(sandbox: Sandbox) -> None:
    time = FakeTime()
    state = default_state(time.clock)
    for number in range(200):
        state.add_object(STAGING, "function", f"f{number}", {"name": f"F{number}", "code": "x"})
    limited = Sandbox(state, clock=time.clock)
    before = run(read(console_of(limited, time=time), STAGING))
    run(restore(lambda: console_of(limited, time=time), before))
    assert sum(r.method == "POST" for r in limited.requests) == 200
    assert all(r.status != 429 for r in limited.requests)


def test_trap_16_maintenance_is_waited_for(sandbox: Sandbox, target: Sandbox) -> None:
    target.maintenance = True
    time = FakeTime()
    end, sleep = time.now + 45, time.sleep

    async def sleeping(seconds: float) -> None:
        await sleep(seconds)
        target.maintenance = time.now < end

    time.sleep = sleeping  # type: ignore[method-assign]
    result = run(restore(lambda: console_of(target, OTHER, time=time), backup(sandbox)))
    assert result.found == []


def test_trap_17_what_changes_while_reading_is_read_again(sandbox: Sandbox, state: State) -> None:
    changing_after(
        sandbox, 14, lambda: state.add_object(STAGING, "function", "late", {"name": "L", "code": "x"})
    )
    snapshot = backup(sandbox)
    assert snapshot.manifest.consistent
    assert "late" in {entity.key.id for entity in snapshot.entities}


def test_trap_18_defaults_are_no_difference_and_dropped_fields_are_named(
    sandbox: Sandbox, state: State, target: Sandbox
) -> None:
    del state.objects["warehouse-0001"].config["sslMode"]
    state.objects["enrich-0001"].config["stranger"] = 1
    result = copy(sandbox, target)
    assert [(r.name, r.path) for r in result.found] == [("Enrich", "stranger")]
    assert copy(sandbox, target).plan.writes == ()


def test_trap_19_a_body_beyond_20_mb_fails_alone(sandbox: Sandbox, state: State, target: Sandbox) -> None:
    state.objects["enrich-0001"].config["code"] = "x" * 21 * 2**20
    result = copy(sandbox, target)
    failed = {o.action.name: o.reason for o in result.outcomes if o.status is Status.FAILED}
    assert failed == {"Enrich": "Body exceeded 20mb limit"}


def test_trap_20_a_refusal_is_reported_without_the_secrets_that_it_carries(
    sandbox: Sandbox, target: Sandbox
) -> None:
    overlay = parse_overlay({"destination/Warehouse": {"password": "canary-secret", "port": "canary-secret"}})
    result = copy(sandbox, target, overlay=overlay, allow_missing_secrets=True, check_schemas=False)
    (failed,) = [o for o in result.outcomes if o.status is Status.FAILED]
    assert failed.reason == "Failed to validate schema of destination (port: must be number)"
    assert "canary" not in repr(result)


def test_trap_21_text_like_a_date_is_foreseen(sandbox: Sandbox, target: Sandbox) -> None:
    live = run(read(console_of(target, OTHER), PRODUCTION))
    overlay = parse_overlay({"function/Enrich": {"description": "2026-01-01T00:00:00Z"}})
    schemas = {"function": {"properties": {"description": {"type": "string"}}}}
    plan = make_plan(backup(sandbox), live, PlanOptions(overlay=overlay, schemas=schemas))
    reasons = [a.reason for a in plan.blocked if a.key.type == "function"]
    assert len(reasons) == 1
    assert "looks like a date" in reasons[0]


def test_trap_22_nothing_is_asked_by_id_for_the_answer_ignores_the_type(
    sandbox: Sandbox, target: Sandbox
) -> None:
    copy(sandbox, target)
    asked = [
        r.path.split("/config/")[1] for r in target.requests if r.method == "GET" and "/config/" in r.path
    ]
    assert asked
    assert all("/" not in rest for rest in asked)


def test_trap_23_a_key_that_may_only_read_is_refused_and_changes_nothing(sandbox: Sandbox) -> None:
    before = backup(sandbox)
    result = run(restore(lambda: console_of(sandbox, key=ANALYST), before))
    assert isinstance(result.failure, AccessError)
    assert not any(row.workspace_id == PRODUCTION for row in sandbox.state.objects.values())
    assert "functionsEnv" in repr(run(read(console_of(sandbox, key=ANALYST), STAGING)).manifest.ledger)


def test_trap_24_an_empty_secret_is_a_value_and_is_written_once(
    sandbox: Sandbox, state: State, target: Sandbox
) -> None:
    state.objects["warehouse-0001"].config["password"] = ""
    given = {"destination/Warehouse": {"password": ""}, "service/CRM": {"credentials.password": ""}}
    overlay = parse_overlay({**given, "destination/*": {"password": "", "keyFile": ""}})
    options: dict[str, Any] = {"overlay": overlay, "allow_missing_secrets": True}
    copy(sandbox, target, **options)
    shown = run(read(console_of(target, OTHER), PRODUCTION)).manifest.ledger
    assert {line.path for line in shown} == {"password", "keyFile", "credentials.password"}
    target.requests.clear()
    copy(sandbox, target, **options)
    assert writes(target) == 0


def test_trap_25_a_grant_is_never_copied_and_the_targets_own_stays(
    sandbox: Sandbox, state: State, target: Sandbox
) -> None:
    state.objects["crm-0001"].config["authorized"] = True
    first = copy(sandbox, target)
    new = target.state.objects[first.plan.ids[Key("service", "crm-0001")]]
    assert "authorized" not in new.config
    assert "authorise it again in the UI" in next(line.reason for line in first.found if line.path == "grant")
    new.config["authorized"] = True
    state.objects["crm-0001"].config["authorized"] = False
    copy(sandbox, target)
    assert new.config["authorized"] is True


def test_trap_26_what_no_path_can_name_is_reported_and_nothing_is_sent(
    sandbox: Sandbox, state: State
) -> None:
    state.add_object(STAGING, "function", "..", {"name": "Odd", "code": "then", "kind": "event"})
    before = backup(sandbox)
    state.objects[".."].config["code"] = "now"
    sandbox.requests.clear()
    (line,) = roll_back(sandbox, before).found
    assert "the console's API cannot address the id '..'" in line.reason
    assert writes(sandbox) == 0


def test_trap_27_a_change_is_heard_at_its_own_millisecond_and_a_restore_is_one(
    sandbox: Sandbox, state: State
) -> None:
    def listen(since: str) -> httpx.Response:
        path = f"/api/{STAGING}/listen?maxWaitMs=0&ifModifiedSince={since}"
        return ask(sandbox, path, OWNER)

    before = backup(sandbox)
    state.objects["enrich-0001"].config["code"] = "now"
    roll_back(sandbox, before)
    changed = listen("2020-01-01T00:00:00.000Z").json()["lastModified"]
    assert changed == state.objects["enrich-0001"].updated_at
    assert listen(changed).status_code == 200
    later = datetime.fromisoformat(changed) + timedelta(milliseconds=1)
    assert listen(later.strftime("%Y-%m-%dT%H:%M:%S.%fZ")).status_code == 304


@pytest.mark.parametrize("kept", [True, False])
def test_trap_28_the_log_tells_what_a_restore_did_only_where_it_is_kept(
    sandbox: Sandbox, state: State, kept: bool
) -> None:
    before = backup(sandbox)
    state.objects["enrich-0001"].config["code"] = "now"
    state.audit_log = kept
    roll_back(sandbox, before)
    lines = ask(sandbox, f"/api/audit-log?workspaceId={STAGING}", OWNER).json()["items"]
    told = [(line["objectId"], line["actor"]["name"], line["diff"][0]["field"]) for line in lines]
    assert told == ([("enrich-0001", "Owner", "code")] if kept else [])


def test_trap_29_the_operators_token_reads_and_writes_a_workspace_without_members(
    sandbox: Sandbox,
) -> None:
    made = sandbox.workspaces
    with pytest.raises(Refusal):
        made.create({"name": "By operator", "slug": "by-operator"}, None)
    before = backup(sandbox)
    assert run(read(console_of(sandbox, key=ADMIN), STAGING)).manifest.counts == before.manifest.counts
    into = run(restore(lambda: console_of(sandbox, key=ADMIN), before, "by-operator", skip=("domain/*",)))
    assert into.failure is None
    assert ask(sandbox, "/api/workspace", ADMIN).status_code == 500
    with pytest.raises(AccessError):
        run(read(console_of(sandbox), "by-operator"))


def test_trap_30_a_secret_that_the_export_lacks_is_named_as_missing(sandbox: Sandbox, state: State) -> None:
    mongo = {
        "name": "Mongo",
        "destinationType": "mongodb",
        "url": "mongodb://m",
        "database": "d",
        "password": "pw",
    }
    state.add_object(STAGING, "destination", "mongo", mongo)

    async def operators() -> Snapshot:
        snapshot = await read(console_of(sandbox), STAGING)
        async with console_of(sandbox, key=ADMIN) as console:
            return replace(snapshot, secrets=secrets_of(await read_exports(console), snapshot))

    key = Key("destination", "mongo")
    alone: Snapshot = run(operators())
    assert key in {Key(line.type, line.id) for line in unknown_secrets(alone)}
    assert alone.secrets[Key("destination", "warehouse-0001")] == {"password": "pg-secret"}
    state.add_link(STAGING, "push", "web-0001", "mongo", {})
    assert run(operators()).secrets[key] == {"password": "pw"}


@pytest.mark.parametrize("lost", ["notification", "profile-builder", "sync cursors"])
def test_older_consoles_get_what_they_can_take_and_the_rest_is_named(sandbox: Sandbox, lost: str) -> None:
    old = Sandbox(default_state(generation=Generation.OCTOBER_2024), rate_limit=False)
    result = copy(sandbox, old)
    told = " ".join(f"{r.key.type} {r.path} {r.reason}" for r in result.found)
    assert {"sync cursors": "does not store cursors"}.get(lost, f"{lost}  the target console") in told
    assert copy(sandbox, old).plan.writes == ()
    back = run(read(console_of(old, OTHER), PRODUCTION))
    assert all(a.kind is not ActionKind.BLOCKED for a in make_plan(back, back, PlanOptions()).actions)
