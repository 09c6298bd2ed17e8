"""The files of `docs/promotion/` are what their readers accept, and give nothing away."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from cronsim import CronSim
from jsonschema import Draft7Validator

from jitsu_backup.settings import Overrides, load
from jitsu_backup.settings.schema import problems
from tests.promotion.files import (
    ACTION,
    FOLDER,
    ROOT,
    SCRIPTS,
    WORKFLOWS,
    gitlab,
    jobs,
    steps,
    text,
    workflow,
)
from tests.schedule.files import parsed

COMMIT = re.compile(r"@([0-9a-f]{40} # v\d+\.\d+\.\d+|COMMIT # .*a commit that you have reviewed)$")
SECRET = re.compile(r"\$\{\{ secrets\.(\w+) \}\}")
OURS = re.compile(r"jitsu-backup ((?:clone|diff|snapshots).*?)(?:\||$|\)$)", re.MULTILINE)


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        *(("vendor.github-workflows", FOLDER / name) for name in WORKFLOWS),
        ("vendor.github-actions", ACTION),
        ("vendor.gitlab-ci", FOLDER / "gitlab-ci.yml"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_file_is_what_its_platform_accepts(schema: str, path: Path) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document = {("on" if key is True else key): value for key, value in document.items()}
    assert not [error.message for error in Draft7Validator(get_builtin_schema(schema)).iter_errors(document)]


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="actionlint is not installed")
def test_actionlint_finds_nothing() -> None:
    files = [FOLDER / name for name in WORKFLOWS]
    done = subprocess.run(["actionlint", *files], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", [pytest.param(script, id=name) for name, script in SCRIPTS])
def test_shellcheck_finds_nothing(script: str) -> None:
    done = subprocess.run(
        ["shellcheck", "--shell", "bash", "-"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", [pytest.param(script, id=name) for name, script in SCRIPTS])
def test_a_command_line_is_one_that_the_program_takes(script: str) -> None:
    joined = script.replace("\\\n", "")
    for line in OURS.findall(joined):
        words = line.replace('"${flags[@]}"', "--prune").replace('"$record"', "3f9a").partition("|| ")[0]
        words = re.sub(r"<\(.*?\)", "identity.txt", words)
        assert parsed(words.split()).info_name in ("clone", "diff", "snapshots")
    assert ("jitsu-backup" in joined) == bool(OURS.findall(joined))


def test_flags_of_the_example_are_those_of_a_clone() -> None:
    flags = [line for line in text("promotion.flags").splitlines() if line.startswith("--")]
    assert parsed(["clone", "a", "b", *flags]).params["prune"]
    with pytest.raises(click.UsageError):
        parsed(["clone", "a", "b", "--prume"])


# nothing that somebody else could run, and nothing more than a step needs


def test_no_workflow_runs_with_secrets_for_a_pull_request_of_a_fork() -> None:
    triggers = {name: set(workflow(name)["on"]) for name in WORKFLOWS}
    assert triggers == {
        "github-apply.yml": {"push"},
        "github-drift.yml": {"schedule", "workflow_dispatch"},
        "github-plan.yml": {"pull_request"},
    }  # never `pull_request_target`, nor `workflow_run`, `issue_comment`
    own = "github.event.pull_request.head.repo.full_name == github.repository"
    assert jobs("github-plan.yml")["plan"]["if"] == own
    assert jobs("github-plan.yml")["comment"]["needs"] == "plan"
    of_requests = [job for name, job in gitlab().items() if name in ("plan", "comment")]
    own = "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID"
    assert all(own in rule["if"] for job in of_requests for rule in job["rules"])


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_has_no_rights_but_those_that_a_job_names(name: str) -> None:
    assert workflow(name)["permissions"] == {}
    writing = {
        (job_name, right)
        for job_name, job in jobs(name).items()
        for right, level in job["permissions"].items()
        if level != "read"
    }
    assert writing == ({("comment", "pull-requests")} if name == "github-plan.yml" else set())
    assert all("timeout-minutes" in job for job in jobs(name).values())


@pytest.mark.parametrize("name", WORKFLOWS)
def test_secrets_are_only_in_the_step_that_runs_the_tool(name: str) -> None:
    for step in steps(name):
        given = json.dumps(step)
        runs_the_tool = "jitsu-backup " in step.get("run", "")
        assert bool(SECRET.findall(given)) == runs_the_tool
        # the token of the run only where GitHub is asked, and never beside a secret
        assert ("github.token" in given) == bool(re.search(r"\bgh (api|run) ", step.get("run", "")))
        assert "${{" not in step.get("run", ""), "what others wrote would become part of a shell's line"
    for job in jobs(name).values():
        assert ("environment" in job) == bool(SECRET.findall(json.dumps(job)))
        assert "secrets." not in json.dumps({**job, "steps": []})
    assert "secrets." not in json.dumps({**workflow(name), "jobs": {}})


def test_a_step_has_only_the_secrets_that_it_needs() -> None:
    store = {"AGE_IDENTITY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    given = {name: set(SECRET.findall(text(name))) - store for name in WORKFLOWS}
    assert given == {
        "github-apply.yml": {"PRODUCTION_KEY", "PG_PASSWORD"},
        "github-drift.yml": {"PRODUCTION_KEY"},
        "github-plan.yml": {"STAGING_KEY", "PRODUCTION_KEY", "PG_PASSWORD"},
    }


def test_every_action_is_a_commit_that_cannot_change_and_none_keeps_the_token() -> None:
    for path in (*(FOLDER / name for name in WORKFLOWS), ACTION):
        used = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
        assert used
        assert all(COMMIT.search(line) for line in used), used
        assert all(line.startswith(("actions/", "OWNER/jitsu-backup/")) for line in used)
    assert "@COMMIT" in gitlab()["plan"]["before_script"][0]
    for name in WORKFLOWS:
        for step in steps(name):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}


def test_production_is_written_by_one_job_at_a_time_in_an_environment_that_can_be_guarded() -> None:
    assert workflow("github-apply.yml")["concurrency"] == {"group": "promotion", "cancel-in-progress": False}
    assert jobs("github-apply.yml")["apply"]["environment"] == "production"
    apply = gitlab()["apply"]
    assert (apply["environment"], apply["resource_group"], apply["interruptible"]) == (
        "production",
        "production",
        False,
    )
    assert [name for name, job in gitlab().items() if job["environment"] == "production"] == ["apply"]
    # the token for comments is in jobs that run nothing but the script
    reviewing = [name for name, job in gitlab().items() if "review" in str(job["environment"])]
    assert reviewing == ["comment", "reviewed"]
    assert all("before_script" not in gitlab()[name] for name in reviewing)


# what the repository holds


def test_the_settings_are_understood_and_hold_no_secret(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    assert list(problems(tomllib.loads(text("jitsu-backup.toml")))) == []
    keys = {"STAGING_KEY": "a:b", "PRODUCTION_KEY": "c:d"}
    settings = load(tmp_path / "jitsu-backup.toml", keys, None, tmp_path, Overrides())
    assert settings.warnings == ()
    place = settings.place("@production")
    assert (place.workspace, place.overlay) == ("acme-production", tmp_path / "production.toml")
    overlay = tomllib.loads(text("production.toml"))
    assert overlay["destination/Warehouse"]["password"] == {"env": "PG_PASSWORD"}
    assert settings.selection(["marketing"])[0]


def test_a_promotion_begins_where_a_file_changes_that_decides_about_it() -> None:
    deciding = ["jitsu-backup.toml", "production.toml", "promotion.flags"]
    assert workflow("github-plan.yml")["on"]["pull_request"]["paths"] == deciding
    assert workflow("github-apply.yml")["on"]["push"]["paths"] == deciding
    for name in ("plan", "comment", "reviewed", "apply"):
        assert gitlab()[name]["rules"][0]["changes"] == deciding


def test_drift_is_looked_for_once_a_night() -> None:
    (trigger,) = workflow("github-drift.yml")["on"]["schedule"]
    moments = CronSim(trigger["cron"], datetime(2026, 11, 23, tzinfo=UTC))
    assert {b - a for a, b in pairwise(next(moments) for _ in range(9))} == {timedelta(days=1)}


def test_the_action_installs_the_tool_from_its_own_commit(tmp_path: Path) -> None:
    """It finds the tool's own folder above it, however the platform lays it out."""
    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\nfor last; do :; done\nexec ls "$last"\n')
    fake.chmod(0o755)
    action: dict[str, Any] = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    _, install = action["runs"]["steps"]
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_ACTION_PATH": str(ACTION.parent)}
    done = subprocess.run(
        ["bash", "-e", "-c", install["run"]],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "pyproject.toml" in done.stdout.split()
    assert (ROOT / "pyproject.toml").exists()


def test_the_script_for_gitlab_says_how_it_is_called() -> None:
    done = subprocess.run(
        [sys.executable, FOLDER / "gitlab_review.py"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, "`comment FILE`" in done.stderr) == (1, True)
