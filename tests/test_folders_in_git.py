"""A folder of `unpack` in Git, and the flow on the page about it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.restores.kit import delete
from tests.support import STAGING
from tests.unattended.workbench import Bench
from tests.unpacked import add, an_edit, enriched, file, planned, unpacked

GIT = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with unpacked(tmp_path) as made:
        yield made


class Git:
    """A repository in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self("init", "-q")

    def __call__(self, *arguments: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@t.example")
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.folder, capture_output=True, text=True, check=True, timeout=60,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder.parent), "GIT_CONFIG_NOSYSTEM": "1"},
        )  # fmt: skip
        return done.stdout

    def commit(self) -> None:
        self("add", "-A")
        self("commit", "-q", "-m", "x")

    def changed(self) -> set[str]:
        self("add", "-A")
        return {line[3:] for line in self("status", "--porcelain").splitlines()}


@pytest.fixture
def git(bench: Bench) -> Git:
    made = Git(bench.folder / "tree")
    made.commit()
    return made


@GIT
def test_a_time_alone_makes_no_commit(bench: Bench, git: Git) -> None:
    for row in (*bench.state.objects.values(), *bench.state.links.values(), *bench.state.builders.values()):
        row.updated_at = row.created_at = "2027-01-01T00:00:00.000Z"
    bench.state.workspaces[STAGING].updated_at = "2027-01-01T00:00:00.000Z"
    bench.an_hour_passes()
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert git.changed() == set()


@GIT
def test_a_file_keeps_its_name_over_a_new_id_and_changes_it_with_the_name(bench: Bench, git: Git) -> None:
    path = file(bench, "function/only-known-users-*.json")
    delete(bench.state, "filter-0001")
    done = bench.run("restore", "latest", "--yes")
    assert done.returncode == 0, done.stderr
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    changed = git.changed()
    assert all(name.startswith(("function/only-known-users", "link/", "run.json")) for name in changed), (
        changed
    )
    assert path.exists()
    assert json.loads(path.read_text())["id"] != "filter-0001"
    stat = git("diff", "--cached", "--stat", "--", "function")
    assert "1 file changed, 2 insertions(+), 2 deletions(-)" in stat  # its id, and when it was made
    git.commit()
    bench.state.objects[json.loads(path.read_text())["id"]].config["name"] = "Renamed"
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert not path.exists()
    assert bench.run("pack", "tree").returncode == 0
    bench.state.objects[json.loads(file(bench, "function/renamed-*.json").read_text())["id"]].deleted = True
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert list((bench.folder / "tree" / "function").glob("renamed-*")) == []


@GIT
def test_a_file_that_somebody_added_keeps_its_name_once_it_was_applied(bench: Bench, git: Git) -> None:
    add("function/new.json", '{"id": "new-function", "name": "New", "code": {"$file": "new.js"}}')(bench)
    add("function/new.js", "// new")(bench)
    git.commit()
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert git.changed() == set()  # it is not applied yet, and nothing takes it away
    done = bench.run("restore", "tree", "--yes")
    assert done.returncode == 0, done.stderr
    assert bench.state.objects["new-function"].config["code"] == "// new"
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert git.changed() <= {"function/new.json", "run.json"}
    git.commit()
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert git.changed() == set()
    bench.state.objects["new-function"].deleted = True
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert not (bench.folder / "tree" / "function" / "new.json").exists()
    assert not (bench.folder / "tree" / "function" / "new.js").exists()


@GIT
def test_a_file_whose_id_was_taken_and_one_of_a_connection_become_those_of_what_was_made(
    bench: Bench, git: Git
) -> None:
    bench.state.add_object(STAGING, "function", "taken", {"name": "Gone", "code": "x"})
    bench.state.objects["taken"].deleted = True
    add("function/new.json", '{"id": "taken", "name": "New", "code": "// new"}')(bench)
    link = {"id": "mine", "fromId": "server-0001", "toId": "lake-0001", "data": {"mode": "batch"}}
    add("link/mine.json", json.dumps(link))(bench)
    done = bench.run("restore", "tree", "--yes")
    assert done.returncode == 0, done.stderr
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert json.loads(file(bench, "function/new.json").read_text())["id"] != "taken"
    assert not (bench.folder / "tree" / "link" / "mine.json").exists()
    assert json.loads(file(bench, "link/backend-events--bigquery-*.json").read_text())["id"] != "mine"
    plan = planned(bench.run("--json", "restore", "tree", "--dry-run"))
    assert {action["action"] for action in plan["actions"]} == {"unchanged"}


@GIT
def test_a_file_under_a_name_that_does_not_fit_moves_to_one_that_does(bench: Bench, git: Git) -> None:
    add("stream/My Stream.json", '{"id": "new-stream", "name": "New"}')(bench)
    assert bench.run("restore", "tree", "--yes").returncode == 0
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert not (bench.folder / "tree" / "stream" / "My Stream.json").exists()
    assert json.loads(file(bench, "stream/new-*.json").read_text())["id"] == "new-stream"
    assert bench.run("pack", "tree").returncode == 0


@GIT
def test_a_branch_with_an_edit_merges_with_what_was_unpacked_meanwhile(bench: Bench, git: Git) -> None:
    git("checkout", "-q", "-b", "edit")
    an_edit(bench)
    git.commit()
    git("checkout", "-q", "-")
    bench.state.objects["lake-0001"].config["project"] = "of-a-colleague"
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    git.commit()
    git("merge", "-q", "edit", "-m", "merged")
    plan = planned(bench.run("--json", "restore", "tree", "--dry-run"))
    assert [(a["name"], a["action"]) for a in plan["actions"] if a["action"] != "unchanged"] == [
        ("Enrich", "update")
    ]


@GIT
def test_the_flow_on_the_page_runs_as_written(bench: Bench) -> None:
    page = (Path(__file__).parents[1] / "docs" / "git.md").read_text(encoding="utf-8")
    section = page.split("## How do I edit a workspace as files?\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    author = {
        f"GIT_{who}_{what}": "t@t.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**bench.env, **author, "PATH": path, "HOME": str(bench.folder), "GIT_CONFIG_NOSYSTEM": "1"}
    told = []
    for block in blocks:
        done = subprocess.run(
            ["sh", "-e", "-c", block], env=env, cwd=bench.folder, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
    assert "edited: true" in told[-1]
    assert "edited: true" in enriched(bench)
    assert bench.state.objects["anonymize"].config["name"] == "Anonymize"
    again = bench.run("restore", "workspace", "--yes")
    assert again.returncode == 0
