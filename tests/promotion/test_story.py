"""From a pull request to production: reviewed, refused where production moved meanwhile, planned again, applied."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.promotion.files import ROOT, gitlab, jobs, script
from tests.promotion.gitlab_server import BOT, PROJECT, TOKEN, GitLab, gitlab_server, zipped
from tests.promotion.runner import ENDED_BADLY, ENDED_WELL, REPOSITORY, SKIPPED, Hub
from tests.promotion.stage import FIRST, HOT_FIX, READING, Stage, stage
from tests.promotions import edit
from tests.reports.samples import HOSTILE
from tests.reports.test_markdown import checked

pytestmark = pytest.mark.skipif(
    not (shutil.which("git") and shutil.which("bash")), reason="needs Git and bash"
)

PLAN, APPLY, DRIFT = "github-plan.yml", "github-apply.yml", "github-drift.yml"
OUR_LINE = "<!-- jitsu-backup: acme-production -->\n"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        yield made


@pytest.fixture
def hub(scene: Stage) -> Hub:
    secrets = {"promotion-plan": {**scene.secrets, **READING}, "production": scene.secrets}
    return Hub(scene.folder / "hub", scene.git, secrets)


def pull_request(head: str, repository: str = REPOSITORY) -> dict[str, Any]:
    return {"pull_request": {"number": 7, "head": {"sha": head, "repo": {"full_name": repository}}}}


def merged(hub: Hub, commit: str, head: str, repository: str = REPOSITORY) -> None:
    head_of = {"sha": head, "repo": {"full_name": repository}}
    pull = {"merge_commit_sha": commit, "merged_at": "2026-11-26", "base": {"ref": "main"}, "head": head_of}
    hub.note("pulls", [*hub.noted("pulls"), pull])


def test_what_a_pull_request_showed_is_applied_by_its_merge_or_nothing(scene: Stage, hub: Hub) -> None:
    scene.cloned().staging_changes()
    head = scene.propose("promotion")
    planned = hub.run(PLAN, head, pull_request(head))
    assert (planned["plan"].outputs, planned["comment"].conclusion) == ({"code": "4"}, ENDED_WELL), planned
    (comment,) = hub.noted("comments")
    assert comment["body"].startswith(OUR_LINE)
    assert "**update** function `Enrich`" in comment["body"]
    assert "+  event.first = true" in comment["body"]
    assert re.search(
        r"\n\nPlanned [\d :-]+ UTC by https://github\.example/acme/promotion/actions/runs/1\n$",
        comment["body"],
    )

    # somebody changes production between the review and the merge
    scene.production_changes("destination", "Warehouse", host="db2.production.acme.example")
    commit = scene.merge("promotion")
    merged(hub, commit, head)
    refused = hub.run(APPLY, commit)["apply"]
    assert refused.codes == [0, 7]
    assert "the target has changed since the plan was made: destination 'Warehouse'" in refused.told
    assert scene.code() != FIRST

    # the same plan once more, which is another one by now, and its comment takes the place of the first
    again = hub.run(PLAN, head, pull_request(head), again=1)
    (comment,) = hub.noted("comments")
    assert "**Kept in the target:** nothing" not in comment["body"]
    assert again["plan"].codes == [0]

    applied = hub.run(APPLY, commit)["apply"]
    assert applied.codes == [0, 0, 0], applied.told
    assert applied.summary.startswith(OUR_LINE)
    assert "- **Done:** 1 of 1 change applied" in applied.summary
    assert scene.code() == FIRST
    warehouse = scene.state.objects[scene.in_production("destination", "Warehouse")]
    assert warehouse.config["host"] == "db2.production.acme.example"

    # what production made its own is told in the night
    scene.production_changes()
    drifted = hub.run(DRIFT, commit)["drift"]
    assert drifted.codes == [4, 0]
    assert "**changed** function `Enrich`" in drifted.summary
    assert "hot fix" in drifted.summary


def test_what_both_sides_changed_is_red_until_the_pull_request_decides(scene: Stage, hub: Hub) -> None:
    scene.cloned().staging_changes()
    scene.production_changes()
    ill_will = "".join(f"// {text}\n" for text in (*HOSTILE, "```", "/close", "@acme/everyone fixes #1"))
    edit(scene.state, "filter-0001", name=f"@acme ![]({HOSTILE[2]}) </details>", code=ill_will)
    not_ours = {"id": 1, "user": {"login": "mallory"}, "body": OUR_LINE}
    hub.note("comments", [not_ours])
    head = scene.propose("promotion")
    blocked = hub.run(PLAN, head, pull_request(head))
    assert (blocked["plan"].outputs, blocked["plan"].conclusion) == ({"code": "7"}, ENDED_BADLY)
    assert blocked["comment"].conclusion == ENDED_WELL
    left, comment = hub.noted("comments")
    assert left == not_ours
    assert "hot fix" in comment["body"]
    assert "event.first = true" in comment["body"]
    plan = comment["body"].rpartition("\nPlanned ")[0]  # after it comes the workflow's own link
    assert "@acme" not in checked(plan).live

    commit = scene.merge("promotion")
    merged(hub, commit, head)
    stopped = hub.run(APPLY, commit)["apply"]
    assert stopped.codes == [1]
    assert "needs a decision" in stopped.told

    decided = scene.propose("decided", "--take=target:function/Enrich\n")
    assert hub.run(PLAN, decided, pull_request(decided))["plan"].outputs == {"code": "4"}
    assert len(hub.noted("comments")) == 2
    assert scene.code() == HOT_FIX


@pytest.mark.parametrize("flags", [(), ("--redact",)], ids=["plain", "redacted"])
def test_a_pull_request_that_changes_a_folder_is_applied_as_the_page_says(
    scene: Stage, hub: Hub, flags: tuple[str, ...]
) -> None:
    page = (
        (ROOT / "docs/promotion-access.md")
        .read_text(encoding="utf-8")
        .partition("## Can a folder take the place of staging?")[2]
    )
    written = re.findall(r"^```\n(jitsu-backup .*?)\n```$", page, re.MULTILINE | re.DOTALL)
    shipped = [
        found[0]
        for name, job in ((PLAN, "plan"), (APPLY, "apply"))
        for step in jobs(name)[job]["steps"]
        if (found := re.search(r"^jitsu-backup clone (?:.*\\\n)*.*", step.get("run", ""), re.MULTILINE))
    ]
    hub.instead = dict(zip(shipped, written, strict=True))
    scene.cloned().unpacked(*flags)
    head = scene.propose("promotion", code=FIRST)
    planned = hub.run(PLAN, head, pull_request(head))
    assert planned["plan"].outputs == {"code": "4"}, planned
    (comment,) = hub.noted("comments")
    assert "- **Will change:** 1 to update\n" in comment["body"]
    commit = scene.merge("promotion")
    merged(hub, commit, head)
    applied = hub.run(APPLY, commit)["apply"]
    assert applied.codes == [0, 0, 0], applied.told
    assert scene.code() == FIRST
    assert hub.run(DRIFT, commit)["drift"].codes == [0, 0]


def test_of_a_pull_request_of_a_fork_nothing_runs_and_no_plan_is_applied(scene: Stage, hub: Hub) -> None:
    fork = "mallory/promotion"
    head = scene.propose("promotion")
    assert {job.conclusion for job in hub.run(PLAN, head, pull_request(head, fork)).values()} == {SKIPPED}
    assert hub.noted("comments") == []
    commit = scene.merge("promotion")
    merged(hub, commit, head, fork)
    hub.note("runs", [{**hub.noted("runs")[0], "conclusion": ENDED_WELL}])  # with a workflow of its own
    assert hub.run(APPLY, commit)["apply"].codes == [1]
    hub.note("pulls", [])  # pushed without a pull request
    assert "no pull request" in hub.run(APPLY, commit)["apply"].told


# the same on GitLab


class Runner:
    """Runs GitLab's jobs in one folder, as its runner does in a clone that everybody may write to."""

    def __init__(self, scene: Stage, hub: GitLab) -> None:
        self.scene, self.hub, self.folder = scene, hub, scene.folder / "builds"

    def run(self, name: str, commit: str, **more: str) -> "subprocess.CompletedProcess[str]":
        shutil.rmtree(self.folder / "repository", ignore_errors=True)
        shutil.copytree(self.scene.git, self.folder / "repository")
        return self.go_on(name, commit, **more)

    def go_on(self, name: str, commit: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a job where another one has left its artifacts."""
        workspace = self.folder / "repository"
        subprocess.run(["git", "checkout", "-q", commit], cwd=workspace, check=True, timeout=60)
        for path in workspace.iterdir():
            path.chmod(0o777 if path.is_dir() else 0o666)
        self.scene.identity.chmod(0o666)
        review = {"GITLAB_TOKEN": TOKEN}
        kept = {**self.scene.secrets, "JITSU_BACKUP_IDENTITY": str(self.scene.identity)}
        environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(self.folder),
            "CI_API_V4_URL": self.hub.url, "CI_PROJECT_ID": PROJECT, "CI_COMMIT_SHA": commit, "CI_DEFAULT_BRANCH": "main",
            "JITSU_BACKUP_CONFIG": "jitsu-backup.toml", **(review if "review" in environment_of(name) else kept), **more,
        }  # fmt: skip
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script(gitlab()[name])], cwd=workspace, env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip


def environment_of(job: str) -> str:
    named = gitlab()[job]["environment"]
    return str(named if isinstance(named, str) else named["name"])


@pytest.fixture
def project() -> Iterator[GitLab]:
    with gitlab_server() as server:
        yield server


def test_on_gitlab_too_a_merge_applies_what_was_reviewed_or_nothing(scene: Stage, project: GitLab) -> None:
    runner = Runner(scene.cloned(), project)
    scene.staging_changes()
    head = scene.propose("promotion")
    request = {"CI_MERGE_REQUEST_IID": "7"}
    planned = runner.run("plan", head, **request)
    assert planned.returncode == 0, planned.stderr
    for _ in range(2):  # a second time updates the note
        assert runner.go_on("comment", head, **request).returncode == 0
    (note,) = project.notes
    assert note["body"].startswith(OUR_LINE)
    project.pipelines = [{"id": 1}]
    project.jobs[1] = [{"id": 5, "name": "plan", "status": "success"}]
    project.artifacts[5] = zipped(runner.folder / "repository" / "plan")

    scene.production_changes("destination", "Warehouse", host="db2.production.acme.example")
    commit = scene.merge("promotion")
    project.merged[commit] = [
        {"iid": 7, "state": "merged", "target_branch": "main", "source_project_id": int(PROJECT)}
    ]
    fetched = runner.run("reviewed", commit)
    assert fetched.returncode == 0, fetched.stderr
    refused = runner.go_on("apply", commit)
    assert (refused.returncode, scene.code() == FIRST) == (7, False), refused.stderr

    scene.production_changes("destination", "Warehouse", host="db.production.acme.example")
    applied = runner.go_on("apply", commit)
    assert (applied.returncode, scene.code() == FIRST) == (0, True), applied.stderr

    drifted = runner.run("drift", "main")
    assert drifted.returncode == 0, drifted.stdout + drifted.stderr


def test_gitlab_fetches_no_plan_of_a_fork_none_that_was_blocked_none_of_nobody_and_none_that_expired(
    scene: Stage, project: GitLab
) -> None:
    runner = Runner(scene, project)
    request = {"iid": 7, "state": "merged", "target_branch": "main", "source_project_id": 18}
    project.merged["main"] = [request]
    assert "no merge request of this project" in runner.run("reviewed", "main").stderr
    project.merged["main"] = [{**request, "source_project_id": int(PROJECT)}]
    assert "has no plan" in runner.go_on("reviewed", "main").stderr
    project.pipelines = [{"id": 3}, {"id": 2}, {"id": 1}]  # the newest is of a merge train
    project.jobs = {
        3: [{"id": 3, "name": "other", "status": "success"}],
        2: [{"id": 2, "name": "plan", "status": "failed"}],
        1: [{"id": 1, "name": "plan", "status": "success"}],
    }
    assert "needs a decision" in runner.go_on("reviewed", "main").stderr
    project.jobs[2] = [{"id": 2, "name": "plan", "status": "success"}]  # its artifacts are gone
    assert "merge request !7 has expired" in runner.go_on("reviewed", "main").stderr
    assert "ended before it wrote plan/plan.md" in runner.go_on("comment", "main").stderr


def test_a_line_of_flags_that_is_none_stops_the_plan(scene: Stage, hub: Hub) -> None:
    scene.cloned().staging_changes()
    head = scene.propose("promotion", "  --prune\n\n--take=target\n--skip='function/A b'\n")
    planned = hub.run(PLAN, head, pull_request(head))
    assert (planned["plan"].codes, planned["comment"].conclusion) == ([1], SKIPPED)
    assert "are empty; wrong: 2:  --prune\n5:--skip='function/A b'\n" in planned["plan"].told
    on_gitlab = gitlab()["plan"]["script"][1].partition("\ncode=0")[0]
    assert on_gitlab.replace('echo "', 'echo "::error::') in jobs(PLAN)["plan"]["steps"][2]["run"]


def test_gitlab_leaves_the_note_of_somebody_else_as_it_is(project: GitLab, tmp_path: Path) -> None:
    project.notes = [{"id": 1, "author": {"id": BOT + 1}, "body": OUR_LINE}]
    (tmp_path / "plan.md").write_text(f"{OUR_LINE}new")
    job = Path(__file__).parents[2] / "docs" / "promotion" / "gitlab_review.py"
    for _ in range(2):
        subprocess.run(
            [sys.executable, job, "comment", "plan.md"], cwd=tmp_path, check=True, timeout=60,
            env={**os.environ, "CI_API_V4_URL": project.url, "GITLAB_TOKEN": TOKEN, "CI_PROJECT_ID": PROJECT,
                 "CI_MERGE_REQUEST_IID": "7"},
        )  # fmt: skip
    assert [note["body"] for note in project.notes] == [OUR_LINE, f"{OUR_LINE}new"]
