"""Just as much of GitHub's runner as the workflows need, and a repository whose other commands are recorded."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.promotion.files import jobs

REPOSITORY = "acme/promotion"
ENDED_WELL, ENDED_BADLY, SKIPPED = "success", "failure", "skipped"
NAME = re.compile(r"\b(?:secrets|github|steps|needs)(?:\.\w+)+")
GH = Path(__file__).with_name("fake_gh.py")


@dataclass
class Job:
    """What became of one job; `ran` are the steps of a shell, each with its exit code and what it printed."""

    conclusion: str
    ran: list[tuple[str, int, str]] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""

    @property
    def told(self) -> str:
        return "".join(output for _, _, output in self.ran)

    @property
    def codes(self) -> list[int]:
        return [code for _, code, _ in self.ran]


@dataclass
class Hub:
    """A repository on GitHub: its commits are those of a real Git repository, the rest is in files of `folder`.

    `secrets` are those of each of its environments; `instead` are words of command lines, and what stands in their place.
    """

    folder: Path
    git: Path
    secrets: dict[str, dict[str, str]]
    instead: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "bin").mkdir(parents=True)
        command = self.folder / "bin" / "gh"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{GH}" "{self.folder}" "$@"\n')
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
        for name in ("comments", "pulls", "runs", "asked"):
            self.note(name, [])

    def noted(self, name: str) -> Any:
        return json.loads((self.folder / f"{name}.json").read_text())

    def note(self, name: str, value: Any) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(value))

    def run(
        self, name: str, commit: str, event: dict[str, Any] | None = None, again: int | None = None
    ) -> dict[str, Job]:
        """Run a workflow at a commit; `again` is the number of a run that somebody runs once more."""
        number = again or len(self.noted("runs")) + 1
        github = {"event": event or {}, "repository": REPOSITORY, "token": "token-of-the-run"}
        context: dict[str, Any] = {"github": github, "needs": {}, "secrets": {}}
        ended: dict[str, Job] = {}
        for job_name, job in jobs(name).items():
            one = ended[job_name] = self._job(job, commit, context, number)
            context["needs"][job_name] = {"outputs": one.outputs}
        bad = any(job.conclusion == ENDED_BADLY for job in ended.values())
        good = any(job.conclusion == ENDED_WELL for job in ended.values())
        run = {
            "databaseId": number, "workflow": f"promotion-{name.removeprefix('github-')}",
            "conclusion": ENDED_BADLY if bad else ENDED_WELL if good else SKIPPED,
            "event": "pull_request" if event else "push",
            "commit": (event or {}).get("pull_request", {}).get("head", {}).get("sha", commit),
        }  # fmt: skip
        self.note("runs", [run, *(one for one in self.noted("runs") if one["databaseId"] != number)])
        return ended

    def _job(self, job: dict[str, Any], commit: str, context: dict[str, Any], number: int) -> Job:
        if not _holds(job.get("if", "true"), context, Path()):
            return Job(SKIPPED)
        of_job = {**context, "secrets": self.secrets.get(job.get("environment", ""), {}), "steps": {}}
        workspace = self.folder / "work"
        shutil.rmtree(workspace, ignore_errors=True)
        workspace.mkdir()
        made, good = Job(ENDED_WELL), True
        for step in job["steps"]:
            condition = step.get("if")
            if not (good if condition is None else _holds(condition, of_job, workspace)):
                continue
            if "uses" in step:
                self._uses(step["uses"], step.get("with", {}), workspace, commit, number)
            else:
                code = self._shell(step, of_job, workspace, commit, made)
                good = good and code == 0
        made.conclusion = ENDED_WELL if good else ENDED_BADLY
        made.outputs = {key: _filled(value, of_job) for key, value in job.get("outputs", {}).items()}
        return made

    def _uses(self, action: str, given: dict[str, Any], workspace: Path, commit: str, number: int) -> None:
        """Do what an action would; the tool is installed already."""
        kept = self.folder / "artifacts" / str(number) / str(given.get("name"))
        match action.partition("@")[0]:
            case "actions/checkout":
                subprocess.run(["git", "clone", "-q", self.git, workspace], check=True, timeout=60)
                subprocess.run(["git", "checkout", "-q", commit], check=True, timeout=60, cwd=workspace)
            case "actions/upload-artifact":
                assert not kept.exists() or given["overwrite"]
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(workspace / given["path"], kept)
            case "actions/download-artifact":
                shutil.copytree(kept, workspace, dirs_exist_ok=True)
            case "OWNER/jitsu-backup/.github/actions/install":
                pass
            case other:
                raise AssertionError(other)

    def _shell(
        self, step: dict[str, Any], context: dict[str, Any], workspace: Path, commit: str, made: Job
    ) -> int:
        """Run a step in a shell that has nothing of this machine but what the step is given; return its exit code."""
        output, summary = self.folder / "output", self.folder / "summary"
        output.write_text("")
        summary.write_text("")
        environment = {
            "PATH": f"{self.folder / 'bin'}:{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(self.folder),
            "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_SHA": commit,
            "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_SERVER_URL": "https://github.example", "GITHUB_RUN_ID": "1",
            **{key: _filled(value, context) for key, value in step.get("env", {}).items()},
        }  # fmt: skip
        command = step["run"]
        for words, others in self.instead.items():
            command = command.replace(words, others)
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command], cwd=workspace, env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        made.ran.append((step["name"], done.returncode, done.stdout + done.stderr))
        made.summary += summary.read_text()
        if "id" in step:
            pairs = dict(line.split("=", 1) for line in output.read_text().splitlines())
            context["steps"][step["id"]] = {"outputs": pairs}
        return done.returncode


def _value(path: str, context: dict[str, Any]) -> Any:
    found: Any = context
    for name in path.split("."):
        found = found.get(name, "")
    return found


def _filled(text: str, context: dict[str, Any]) -> str:
    return re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda found: str(_value(found[1], context)), text)


def _holds(condition: str, context: dict[str, Any], workspace: Path) -> bool:
    """Return whether a condition holds, of the few forms that the workflows have. No run is ever cancelled."""
    words = re.sub(r"^\$\{\{ (.*) \}\}$", r"\1", condition)
    words = NAME.sub(lambda found: repr(_value(found[0], context)), words)
    words = words.replace("!cancelled()", "True").replace("&&", " and ").replace("true", "True")
    known = {
        "hashFiles": lambda name: "hash" if (workspace / name).exists() else "",
        "contains": lambda items, one: one in items,
        "fromJSON": json.loads,
    }
    return bool(eval(words, {"__builtins__": {}}, known))  # noqa: S307 # of our own files


def git(folder: Path, *arguments: str) -> str:
    """Run Git as somebody, whatever the machine's own settings are; return what it printed."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=A", "-c", "user.email=a@acme.example", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *who, *arguments],
        cwd=folder,
        env=clean,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()
