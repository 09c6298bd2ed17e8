"""A workspace that is read-only because of unpaid bills takes nothing from its members."""

import json
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.console.workspaces import is_read_only
from jitsu_backup.operations.restore import READ_ONLY
from jitsu_backup.planning import PlanOptions
from jitsu_backup.sandbox import Generation, Sandbox, default_state, running
from jitsu_backup.sandbox.routes import workspaces as routes
from tests.support import (
    OWNER,
    PRODUCTION,
    STAGING,
    cli,
    console_of,
    example_sandbox,
    make_snapshot,
    prepare,
    read,
    run,
    writes,
)

OPERATOR = "service:admintoken"


@pytest.fixture
def unpaid(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A console on which all workspaces are read-only [discovery/workspace, readonly/create]."""
    line = routes.workspace_line
    features = {"featuresEnabled": ["reverse-etl", "readonly"]}
    monkeypatch.setattr(routes, "workspace_line", lambda *args: {**line(*args), **features})
    return example_sandbox()


def changed_since_the_backup(sandbox: Sandbox, url: str, folder: Path) -> dict[str, str]:
    env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
    assert cli("backup", "acme-staging", env=env, cwd=folder).returncode == 0
    sandbox.state.objects["enrich-0001"].config["code"] = "of today"
    return env


@pytest.mark.parametrize(
    "command",
    [
        ("restore", "latest", "--yes"),
        ("clone", STAGING, "acme-production", "--yes", "--allow-missing-secrets"),
        ("clone", STAGING, "acme-production", "--yes"),
    ],
    ids=["restore", "clone", "a plan that is blocked"],
)
def test_a_restore_or_clone_into_a_read_only_workspace_ends_with_6_before_anything_is_asked_or_written(
    unpaid: Sandbox, tmp_path: Path, command: Any
) -> None:
    with running(unpaid) as url:
        env = changed_since_the_backup(unpaid, url, tmp_path)
        done = cli(*command, env=env, cwd=tmp_path)
    assert done.returncode == 6, done.stderr
    assert "is read-only because of unpaid bills" in done.stderr
    assert writes(unpaid) == 0
    assert not list((tmp_path / "jitsu-backups").glob("*pre-restore*"))


def test_a_dry_run_says_so_and_its_plan_is_carried_out_once_the_bills_are_paid(
    unpaid: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(unpaid) as url:
        env = changed_since_the_backup(unpaid, url, tmp_path)
        dry = cli("restore", "latest", "--dry-run", env=env, cwd=tmp_path)
        saved = cli("restore", "latest", "--plan-out", "plan.json", env=env, cwd=tmp_path)
        as_json = cli("--json", "restore", "latest", "--dry-run", env=env, cwd=tmp_path)
        monkeypatch.undo()
        done = cli("restore", "--plan", "plan.json", "--yes", env=env, cwd=tmp_path)
    assert (dry.returncode, saved.returncode, done.returncode) == (0, 0, 0), done.stderr
    assert "the target is read-only because of unpaid bills" in " ".join(dry.stdout.split())
    assert READ_ONLY in json.loads(as_json.stdout)["plan"]["notes"]
    assert unpaid.state.objects["enrich-0001"].config["code"] != "of today"


def test_a_plan_without_writes_does_not_mention_bills(unpaid: Sandbox) -> None:
    before = run(read(console_of(unpaid), "acme-staging"))
    prepared = run(prepare(console_of(unpaid), "acme-staging", before, PlanOptions(), lambda _: None))
    assert READ_ONLY not in prepared.plan.notes


def test_the_operator_may_write_into_it_all_the_same(unpaid: Sandbox, tmp_path: Path) -> None:
    with running(unpaid) as url:
        env = changed_since_the_backup(unpaid, url, tmp_path)
        done = cli("restore", "latest", "--yes", env={**env, "JITSU_APIKEY": OPERATOR}, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert unpaid.state.objects["enrich-0001"].config["code"] != "of today"


def test_check_says_that_bills_are_unpaid_and_not_that_it_can_restore(
    unpaid: Sandbox, tmp_path: Path
) -> None:
    with running(unpaid) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
        told = cli("check", "acme-staging", env=env, cwd=tmp_path).stdout
        as_json = cli("--json", "check", "acme-staging", env=env, cwd=tmp_path).stdout
    assert "owner: cannot restore into it, because unpaid bills make it read-only" in told
    assert "can restore into it" not in told
    assert '"can_write": false' in as_json
    assert '"read_only": true' in as_json


def test_check_says_which_feature_is_off_that_types_of_the_console_need(tmp_path: Path) -> None:
    state = default_state(generation=Generation.NEWEST)
    with running(Sandbox(state, rate_limit=False)) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
        assert "features " not in cli("check", "acme-production", env=env, cwd=tmp_path).stdout
        state.workspaces[PRODUCTION].features = []
        told = cli("check", "acme-production", env=env, cwd=tmp_path).stdout
        as_json = json.loads(cli("--json", "check", "acme-production", env=env, cwd=tmp_path).stdout)
    assert "features          reverse-etl: off\n" in told
    assert as_json["features_off"] == ["reverse-etl"]


def test_a_workspace_is_backed_up_and_compared_while_it_is_read_only(unpaid: Sandbox) -> None:
    snapshot = run(read(console_of(unpaid), "acme-staging"))
    assert snapshot.manifest.complete
    assert is_read_only(snapshot)


@pytest.mark.parametrize("features", [None, [], ["reverse-etl"], "readonly", {"readonly": True}])
def test_only_the_feature_itself_makes_a_workspace_read_only(features: Any) -> None:
    assert not is_read_only(make_snapshot({}, workspace={"featuresEnabled": features}))
