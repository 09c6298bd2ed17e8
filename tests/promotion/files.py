"""The files of `docs/promotion/`, and what each of them runs."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "promotion"
WORKFLOWS = sorted(path.name for path in FOLDER.glob("github-*.yml"))
ACTION = ROOT / ".github" / "actions" / "install" / "action.yml"
KEYWORDS = {"stages", "workflow", "default", "variables"}
"""The names at the top of GitLab's file that are no jobs."""


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def workflow(name: str) -> dict[Any, Any]:
    """Return a workflow of GitHub; YAML 1.1 reads the word `on` as true."""
    found = yaml.safe_load(text(name))
    return {("on" if key is True else key): value for key, value in found.items()}


def jobs(name: str) -> dict[str, Any]:
    found: dict[str, Any] = workflow(name)["jobs"]
    return found


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in jobs(name).values() for step in job["steps"]]


def gitlab() -> dict[str, Any]:
    """Return the jobs of GitLab's file, each with what it extends."""
    found: dict[str, Any] = yaml.safe_load(text("gitlab-ci.yml"))
    made = {}
    for name, job in found.items():
        if name in KEYWORDS or name.startswith("."):
            continue
        above = job.get("extends", [])
        merged: dict[str, Any] = {}
        for other in [above] if isinstance(above, str) else above:
            merged |= found[other]
        made[name] = {**merged, **job}
    return made


def script(job: dict[str, Any]) -> str:
    """Return what a job of GitLab runs, without what it installs."""
    return "\n".join(job["script"])


SCRIPTS = [
    *(
        (f"{name}-{step.get('name')}", step["run"])
        for name in WORKFLOWS
        for step in steps(name)
        if "run" in step
    ),
    *((f"gitlab-{name}", script(job)) for name, job in gitlab().items()),
]
