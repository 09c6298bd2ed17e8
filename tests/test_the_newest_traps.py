"""The traps of the console of autumn 2026 that no other test meets, by section and number of the table of traps."""

import re
from collections import Counter
from typing import Any

import httpx
import pytest

from jitsu_backup.errors import AccessError
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.planning import Overlay
from jitsu_backup.sandbox import Generation, Sandbox, default_state, example_workspace
from jitsu_backup.sandbox.state import REVERSE_SYNC
from tests.support import (
    ANALYST,
    PRODUCTION,
    STAGING,
    FakeTime,
    Meddling,
    console_of,
    read,
    restore,
    run,
    stand_ins,
    writes,
)

MODEL, HOOK, WAREHOUSE = "users-0001", "crm-hook-0001", "warehouse-0001"
OTHER = "http://other.example"


@pytest.fixture
def sandbox() -> Sandbox:
    state = default_state(generation=Generation.NEWEST)
    example_workspace(state, STAGING)
    return Sandbox(state, rate_limit=False)


@pytest.fixture
def target() -> Sandbox:
    return Sandbox(default_state(generation=Generation.NEWEST), rate_limit=False)


def backup(sandbox: Sandbox) -> Snapshot:
    found: Snapshot = run(read(console_of(sandbox), "acme-staging"))
    return found


def copy(sandbox: Sandbox, target: Sandbox, **options: Any) -> Any:
    return run(restore(lambda: console_of(target, OTHER), backup(sandbox), **options))


def roll_back(sandbox: Sandbox, snapshot: Snapshot, **options: Any) -> Any:
    return run(restore(lambda: console_of(sandbox), snapshot, STAGING, overlay=Overlay(), **options))


def sent(sandbox: Sandbox) -> list[tuple[str, str]]:
    """The writes that a console has received: method and path below the workspace."""
    paths = [(r.method, r.path.partition("?")[0].split("/", 3)[-1]) for r in sandbox.requests]
    return [(method, path) for method, path in paths if method != "GET"]


def failures(result: Any) -> dict[str, str]:
    return {o.action.key.type: o.reason for o in result.outcomes if o.status is Status.FAILED}


def google_sync(sandbox: Sandbox, **options: Any) -> str:
    """A reverse sync of the example's model to Google Ads, which nobody has authorised; return its id."""
    state = sandbox.state
    (webhook_sync,) = state.reverse_syncs(STAGING)
    ads = {"name": "Ads", "destinationType": "google-ads", "customerId": "1"}
    state.add_object(STAGING, "destination", "ads", ads)
    action = {"conversionActionId": "12", **options}
    settings = {"name": "To Ads", "stream": "click-conversions", "streamOptions": action}
    state.objects[MODEL].config = {
        n: v for n, v in state.objects[MODEL].config.items() if n != "deleteColumn"
    }
    data = {**webhook_sync.data, **settings}
    return state.add_link(STAGING, REVERSE_SYNC, MODEL, "ads", data, "retl-ads").id


def test_trap_n3_01_every_object_is_deleted_through_the_route_of_its_own_type(sandbox: Sandbox) -> None:
    before = backup(sandbox)
    state = sandbox.state
    model = {**state.objects[MODEL].config, "name": "Extra"}
    state.add_object(STAGING, "model", "extra-model", model)
    state.add_object(STAGING, "function", "extra-function", {"name": "F", "code": "x"})
    result = roll_back(sandbox, before, prune=True)
    assert result.found == []
    assert state.objects["extra-model"].deleted
    assert state.objects["extra-function"].deleted


def test_trap_n3_02_every_new_object_has_an_id_of_ours(sandbox: Sandbox, target: Sandbox) -> None:
    result = copy(sandbox, target)
    made = {row.id for row in target.state.objects.values() if row.type == "model"}
    assert made == {result.plan.ids[Key("model", MODEL)]}


def test_trap_n3_05_a_slug_is_resolved_before_reverse_syncs_are_listed(
    sandbox: Sandbox, target: Sandbox
) -> None:
    before = backup(sandbox)
    for _ in range(2):
        result = run(restore(lambda: console_of(target, OTHER), before, "acme-production"))
        assert result.found == []
    asked = [r.path for r in target.requests if "/reverse-etl/" in r.path]
    assert any(path.endswith("/syncs") for path in asked)
    assert all(path.startswith(f"/api/{PRODUCTION}/") for path in asked)


def test_trap_n3_06_a_lost_model_comes_back_under_another_id_each_time(sandbox: Sandbox) -> None:
    before = backup(sandbox)
    ids = {MODEL}
    for _ in range(3):
        for row in [*sandbox.state.reverse_syncs(STAGING), *sandbox.state.live_objects(STAGING, "model")]:
            row.deleted = True
        assert roll_back(sandbox, before).found == []
        (model,) = sandbox.state.live_objects(STAGING, "model")
        assert model.id not in ids
        ids.add(model.id)


def test_trap_n3_08_the_budgets_hold_for_models_and_reverse_syncs_too(sandbox: Sandbox) -> None:
    state = sandbox.state
    for number in range(100):
        state.add_object(
            STAGING, "model", f"m{number}", {**state.objects[MODEL].config, "name": f"M{number}"}
        )
    before = backup(sandbox)
    time = FakeTime()
    target = Sandbox(default_state(time.clock, Generation.NEWEST), clock=time.clock)
    result = run(restore(lambda: console_of(target, OTHER, time=time), before))
    assert result.found == []
    assert all(request.status != 429 for request in target.requests)


def test_trap_n4_02_a_model_is_made_after_its_warehouse_and_a_sync_after_both_its_ends(
    sandbox: Sandbox, target: Sandbox
) -> None:
    copy(sandbox, target)
    kinds = [path.rpartition("/")[2] for method, path in sent(target) if method == "POST"]
    last_destination = len(kinds) - 1 - kinds[::-1].index("destination")
    assert kinds.index("destination") < kinds.index("model") < kinds.index("syncs")
    assert last_destination < kinds.index("syncs")


def test_trap_n4_02_a_model_whose_warehouse_no_model_can_read_is_blocked(
    sandbox: Sandbox, target: Sandbox
) -> None:
    sandbox.state.objects[WAREHOUSE].config["authenticationMethod"] = "google-psc"
    with pytest.raises(AssertionError, match="is of a type that models cannot read"):
        copy(sandbox, target)
    assert writes(target) == 0


def test_trap_n4_04_a_query_that_the_warehouse_refuses_fails_alone_in_the_consoles_words(
    sandbox: Sandbox, target: Sandbox
) -> None:
    sandbox.state.objects[MODEL].config["query"] = "SELECT id, email, plan, updated_at, gone FROM elsewhere"
    result = copy(sandbox, target)
    assert failures(result).keys() == {"model"}
    assert failures(result)["model"].startswith("Could not inspect model columns.")
    unmade = {line.key.type for line in result.found}
    assert unmade == {"model", "reverse-sync"}
    assert [path for _, path in sent(target)].count("config/model") == 1


def test_trap_n4_06_a_model_whose_warehouse_changes_during_the_save_is_made_by_the_next_run(
    sandbox: Sandbox, target: Sandbox
) -> None:
    told = {"message": "Warehouse configuration changed while saving; save again"}

    def once(_: int, request: httpx.Request) -> httpx.Response | None:
        is_save = request.method == "POST" and request.url.path.endswith("/model")
        return httpx.Response(409, json=told, request=request) if is_save else None

    before = backup(sandbox)
    wrapped = {"wrap": lambda inner: Meddling(inner, once)}
    first = run(restore(lambda: console_of(target, OTHER, **wrapped), before))
    assert failures(first) == {"model": told["message"]}
    assert copy(sandbox, target).found == []


@pytest.mark.parametrize("feature", [True, False])
def test_trap_n4_08_a_key_that_may_only_read_backs_up_models_and_reverse_syncs_and_writes_none(
    sandbox: Sandbox, feature: bool
) -> None:
    sandbox.state.workspaces[STAGING].features[:] = ["reverse-etl"] if feature else []
    shown = run(read(console_of(sandbox, key=ANALYST), STAGING))
    assert (shown.manifest.counts["model"], shown.manifest.counts["reverse-sync"]) == (1, 1)
    result = run(
        restore(lambda: console_of(sandbox, key=ANALYST), backup(sandbox), only=("model/*", "destination/*"))
    )
    assert isinstance(result.failure, AccessError)
    assert not list(sandbox.state.live_objects(PRODUCTION, "model"))


def test_trap_n5_01_no_reverse_sync_is_sent_to_the_route_of_links(sandbox: Sandbox) -> None:
    before = backup(sandbox)
    links = {row.id for row in sandbox.state.links.values()}
    (row,) = sandbox.state.reverse_syncs(STAGING)
    row.data = {**row.data, "name": "Renamed"}
    roll_back(sandbox, before)
    row.deleted = True
    roll_back(sandbox, before)
    (made,) = sandbox.state.reverse_syncs(STAGING)
    assert made.id not in links
    assert sent(sandbox) == [("PUT", "reverse-etl/sync"), ("POST", "reverse-etl/syncs")]


def test_trap_n5_03_a_refused_reverse_sync_is_sent_once(sandbox: Sandbox, target: Sandbox) -> None:
    google_sync(sandbox)
    sandbox.state.objects[MODEL].config["deleteColumn"] = "gone"
    result = copy(sandbox, target)
    assert failures(result) == {
        "reverse-sync": "Conversion streams require insert mode and a model without a delete column"
    }
    assert [path for _, path in sent(target)].count("reverse-etl/syncs") == 2  # the other one goes through


def test_trap_n5_04_a_sync_to_an_account_that_nobody_authorised_is_made(
    sandbox: Sandbox, target: Sandbox
) -> None:
    google_sync(sandbox)
    result = copy(sandbox, target)
    assert result.found == []
    assert len(target.state.reverse_syncs(PRODUCTION)) == 2


def test_trap_n5_06_a_list_of_issues_is_a_refusal_and_reported_by_its_paths(
    sandbox: Sandbox, target: Sandbox
) -> None:
    google_sync(sandbox, conversionActionId="no number")
    result = copy(sandbox, target)
    (reason,) = failures(result).values()
    assert "conversionActionId" in reason
    assert Counter(r.status for r in target.requests)[500] == 1


def test_trap_n5_08_what_a_reverse_sync_gained_is_taken_away_and_its_id_stays(sandbox: Sandbox) -> None:
    (row,) = sandbox.state.reverse_syncs(STAGING)
    row.data = {name: value for name, value in row.data.items() if name not in ("schedule", "name")}
    before, bare = backup(sandbox), dict(row.data)
    row.data = {**row.data, "schedule": "0 * * * *", "name": "Gained", "checkpointEvery": 7}
    assert roll_back(sandbox, before).found == []
    assert (row.data, row.deleted) == (bare, False)


def test_trap_n5_10_with_the_feature_off_an_extra_sync_is_paused_and_deleted_all_the_same(
    sandbox: Sandbox,
) -> None:
    (row,) = sandbox.state.reverse_syncs(STAGING)
    row.deleted = True
    before = backup(sandbox)
    row.deleted = False
    sandbox.state.workspaces[STAGING].features.clear()
    result = roll_back(sandbox, before, prune=True)
    assert failures(result) == {}
    assert row.deleted
    assert row.data["disabled"] is True


def test_trap_n5_12_a_sync_whose_model_is_gone_holds_the_warehouse_all_the_same(sandbox: Sandbox) -> None:
    before, state = backup(sandbox), sandbox.state
    state.objects[MODEL].deleted = True
    state.objects[WAREHOUSE].config["name"] = "Renamed"
    with pytest.raises(AssertionError, match="an entity that a reverse sync uses cannot change"):
        roll_back(sandbox, before)
    assert roll_back(sandbox, before, rebind=True).found == []
    sandbox.requests.clear()
    roll_back(sandbox, before)
    assert writes(sandbox) == 0


def test_trap_n5_16_what_a_reverse_sync_has_no_cursors_of_is_not_asked_for(sandbox: Sandbox) -> None:
    before = backup(sandbox)
    (row,) = sandbox.state.reverse_syncs(STAGING)
    assert row.id not in before.cursors
    assert not [r.path for r in sandbox.requests if "sources/state" in r.path and row.id in r.path]


def test_trap_n5_18_no_schema_of_reverse_syncs_is_asked_for(sandbox: Sandbox, target: Sandbox) -> None:
    copy(sandbox, target)
    asked = [r.path for r in target.requests if re.search(r"/schema/", r.path)]
    assert any(path.endswith("/model") for path in asked)
    assert not [path for path in asked if "reverse-sync" in path]


def test_trap_n6_newly_masked_fields_are_in_the_ledger_and_never_sent_as_a_mask(
    sandbox: Sandbox, target: Sandbox
) -> None:
    before = backup(sandbox)
    assert (HOOK, "signatureSecret") in {(line.id, line.path) for line in before.manifest.ledger}
    copy(sandbox, target, overlay=stand_ins(before))
    secrets = [
        row.config.get("signatureSecret") for row in target.state.live_objects(PRODUCTION, "destination")
    ]
    assert [secret for secret in secrets if secret] == ["stand-in"]


@pytest.mark.parametrize("wait", [45, None], ids=["a window", "for ever"])
def test_trap_n7_03_a_console_that_stays_read_only_is_waited_for_with_an_end(
    sandbox: Sandbox, target: Sandbox, wait: int | None
) -> None:
    before, time = backup(sandbox), FakeTime()
    target.maintenance = True
    began, sleep = time.now, time.sleep

    async def sleeping(seconds: float) -> None:
        await sleep(seconds)
        target.maintenance = wait is None or time.now < began + wait

    time.sleep = sleeping  # type: ignore[method-assign]
    result = run(restore(lambda: console_of(target, OTHER, time=time), before))
    assert (result.failure is None) is (wait is not None)
    assert time.now < began + 3 * 3600
