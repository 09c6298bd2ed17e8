"""Ids that no path can name: such an object is listed and backed up, and nothing is sent that would mean another one."""

from typing import Any

import pytest

from jitsu_backup.console import RefusalKind, RefusedError
from jitsu_backup.console.client import api_path, config_path
from jitsu_backup.console.console_info import read_schemas
from jitsu_backup.console.workspaces import find_workspace
from jitsu_backup.errors import NotFoundError
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.planning import ActionKind, Ids, Overlay
from jitsu_backup.sandbox import Sandbox, default_state
from tests.restores.kit import OTHER, plan_for, roll_back
from tests.support import PRODUCTION, STAGING, console_of, read, restore, run

ODD = ("a/b?c#d%25", "..a", "%2e%2e", "...", " ", "\\", "ключ", "a;b", ".well-known", "a/..b")


def with_functions(*ids: str) -> Sandbox:
    state = default_state()
    for one in ids:
        state.add_object(STAGING, "function", one, {"name": f"called {one}", "code": "then", "kind": "event"})
    return Sandbox(state, rate_limit=False)


def snapshot_of(sandbox: Sandbox, workspace: str = STAGING) -> Snapshot:
    found: Snapshot = run(read(console_of(sandbox), workspace))
    return found


def moved(sandbox: Sandbox) -> list[str]:
    """What was asked for and lies elsewhere, but for a route that a console of July 2026 lacks."""
    found = [request.path for request in sandbox.requests if request.status in (308, 404, 405)]
    return [path for path in found if path != f"/api/{STAGING}/entitlements"]


@pytest.mark.parametrize("one", ["", ".", "..", "../..", "a/../b", "a/.", "..\\..", "../../admin/users"])
def test_no_path_is_built_that_leads_elsewhere(one: str) -> None:
    for steps in ((one,), ("w", "config", one, "x"), ("w", "config", "function", one)):
        with pytest.raises(RefusedError, match="cannot be part of a path of the console") as refused:
            api_path(*steps)
        assert refused.value.kind is RefusalKind.NOT_FOUND
    with pytest.raises(RefusedError):
        config_path("w", "function", one)


@pytest.mark.parametrize("one", [".", ".."])
def test_an_object_of_such_an_id_is_backed_up_and_what_it_would_need_is_reported_in_the_plan(
    one: str,
) -> None:
    sandbox = with_functions(one, "plain")
    before = snapshot_of(sandbox)
    assert Key("function", one) in {entity.key for entity in before.entities}
    for row in sandbox.state.objects.values():
        row.config = {**row.config, "code": "now"}
    sandbox.requests.clear()
    result = roll_back(sandbox, before)
    skipped = next(a for a in result.plan.actions if a.key.id == one)
    assert (skipped.kind, skipped.target_id) == (ActionKind.SKIPPED, one)
    assert f"changes code, but the console's API cannot address the id '{one}'" in skipped.reason
    assert [(line.key.id, line.reason) for line in result.found] == [(one, skipped.reason)]
    assert sandbox.state.objects["plain"].config["code"] == "then"
    assert moved(sandbox) == []


@pytest.mark.parametrize("one", [".", ".."])
def test_a_prune_leaves_such_an_object_and_says_so(one: str) -> None:
    sandbox = with_functions("plain")
    before = snapshot_of(sandbox)
    sandbox.state.add_object(STAGING, "function", one, {"name": "odd", "code": "x"})
    sandbox.state.add_object(STAGING, "function", "extra", {"name": "extra", "code": "x"})
    sandbox.requests.clear()
    result = roll_back(sandbox, before, prune=True)
    assert {(a.key.id, a.kind) for a in result.plan.actions if a.key.id != "plain"} == {
        (one, ActionKind.SKIPPED), ("extra", ActionKind.DELETE),
    }  # fmt: skip
    assert [line.key.id for line in result.found] == [one]
    assert "cannot be deleted" in result.found[0].reason
    assert (sandbox.state.objects[one].deleted, sandbox.state.objects["extra"].deleted) == (False, True)
    assert moved(sandbox) == []


@pytest.mark.parametrize("one", [".", ".."])
def test_on_another_console_such_an_object_gets_an_id_that_a_path_can_name(one: str) -> None:
    before, target = snapshot_of(with_functions(one, "plain")), Sandbox(default_state(), rate_limit=False)
    for _ in range(2):
        result = run(restore(lambda: console_of(target, OTHER), before, overlay=Overlay()))
        assert result.found == []
    assert result.plan.writes == ()
    assert one not in target.state.objects
    assert "plain" in target.state.objects
    kept = plan_for(Sandbox(default_state()), before, PRODUCTION, ids=Ids.KEEP, same_console=False)
    assert "run without --ids keep" in next(a.reason for a in kept.actions if a.key.id == one)


def test_every_other_odd_id_is_named_in_a_path_and_means_itself() -> None:
    sandbox = with_functions(*ODD)
    before = snapshot_of(sandbox)
    for row in sandbox.state.objects.values():
        row.config = {**row.config, "code": "now"}
    assert roll_back(sandbox, before).found == []
    assert {row.config["code"] for row in sandbox.state.objects.values()} == {"then"}
    empty = snapshot_of(with_functions("plain"))
    roll_back(sandbox, empty, prune=True, accept_shrink=True)
    assert [row.id for row in sandbox.state.objects.values() if not row.deleted and row.id in ODD] == []
    assert moved(sandbox) == []


def test_a_workspace_and_a_schema_that_no_path_can_name_are_not_asked_for() -> None:
    sandbox = with_functions()

    async def ask(job: Any) -> Any:
        async with console_of(sandbox) as console:
            return await job(console)

    for name in (".", "..", ""):
        with pytest.raises(NotFoundError):
            run(ask(lambda console, name=name: find_workspace(console, name)))
    names = [
        "destination/..",
        "..",
        "destination/../../admin/users",
        "destination/a/b",
        "destination/..;/admin",
        "destination/.%00",
        "x/y?z",
        "a/%2e%2e",
    ]
    assert run(ask(lambda console: read_schemas(console, names))) == {}
    asked = [request.path for request in sandbox.requests if "schema" in request.path or ".." in request.path]
    assert asked == []


def test_a_destination_type_of_an_archive_chooses_no_route() -> None:
    sandbox = with_functions()
    sandbox.state.add_object(
        STAGING, "destination", "d1", {"name": "D", "destinationType": "../../admin/users", "code": "then"}
    )
    before = snapshot_of(sandbox)
    sandbox.state.objects["d1"].config["name"] = "Changed"
    sandbox.requests.clear()
    plan_for(sandbox, before, STAGING)
    assert all("admin" not in request.path for request in sandbox.requests)
