"""The files of `docs/schedule/` and its page, and what each of them runs."""

import configparser
import io
import json
import re
import shlex
import tomllib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import yaml
from dockerfile_parse import DockerfileParser

from jitsu_backup.cli import cli as program
from jitsu_backup.settings import Overrides, Settings, load

DOCUMENTS = Path(__file__).parents[2] / "docs"
FOLDER = DOCUMENTS / "schedule"
FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file())
PAGE = "".join(
    (DOCUMENTS / name).read_text(encoding="utf-8") for name in ("schedule.md", "schedule-containers.md")
)

PROGRAM = "/opt/jitsu-backup/bin/jitsu-backup"
HOURLY, NIGHTLY = timedelta(hours=1), timedelta(days=1)
KUSTOMIZATIONS = ("cron", "shards", "watch")
"""The folders of `kubernetes/` with one workload each; `production` builds on one of them."""
CRONJOB, INDEXED_JOB, DEPLOYMENT = (
    f"kubernetes/{name}" for name in ("cron/cronjob.yaml", "shards/indexed-job.yaml", "watch/deployment.yaml")
)
MANIFESTS = [CRONJOB, INDEXED_JOB]
KUSTOMIZE = [
    *(f"kubernetes/{name}/kustomization.yaml" for name in (*KUSTOMIZATIONS, "production")),
    "kubernetes/production/namespace.yaml",
]


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def document(name: str) -> Any:
    return yaml.safe_load(text(name))


# what each file runs


def crontab(content: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return a crontab's variables and its jobs: when, and the line for the shell."""
    lines = [line for line in content.splitlines() if line and not line.startswith("#")]
    given = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
    jobs = [line.split(maxsplit=5) for line in lines if not re.match(r"[A-Z_]+=", line)]
    return given, [(" ".join(fields), line) for *fields, line in jobs]


def after_program(line: str) -> list[str]:
    """Return the arguments in a shell's line, up to where it sends the output elsewhere."""
    words = shlex.split(line)
    words = words[words.index(PROGRAM) + 1 :] if PROGRAM in words else words[1:]
    return words[: words.index("2>&1")] if "2>&1" in words else words


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=["="])
    parser.optionxform = str
    parser.read_string(text(name))
    return parser


def pod(name: str) -> dict[str, Any]:
    found: dict[str, Any] = document(name)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


def container(name: str) -> dict[str, Any]:
    (found,) = pod(name)["containers"]
    return dict(found)


def workflow() -> dict[Any, Any]:
    return dict(document("github-actions.yml"))


def steps() -> list[dict[str, Any]]:
    return list(workflow()["jobs"]["backup"]["steps"])


def backup_step() -> dict[str, Any]:
    (step,) = [step for step in steps() if step.get("run", "").startswith("jitsu-backup ")]
    return step


CRONTABS = ("crontab", "crontab-checks")
"""The backup, and the nightly checks that another machine runs."""
JOBS = [line for name in CRONTABS for _, line in crontab(text(name))[1] if PROGRAM in line]
BACKUPS = {
    "crontab": after_program(JOBS[0]),
    "jitsu-backup.service": after_program(unit("jitsu-backup.service")["Service"]["ExecStart"]),
    CRONJOB: container(CRONJOB)["args"],
    INDEXED_JOB: container(INDEXED_JOB)["args"],
    "github-actions.yml": after_program(backup_step()["run"]),
}
WATCH_POD: dict[str, Any] = document(DEPLOYMENT)["spec"]["template"]["spec"]
(WATCH_CONTAINER,) = WATCH_POD["containers"]
WATCHES = {
    "jitsu-backup-watch.service": after_program(unit("jitsu-backup-watch.service")["Service"]["ExecStart"]),
    DEPLOYMENT: WATCH_CONTAINER["args"],
}
SHOWN = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.replace("\\\n", "").splitlines()
]
SHOWN_OURS = [line for line in SHOWN if line.startswith("jitsu-backup ")]
(TRIED,) = [block for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "--new-store" in block]
"""How the page tries the settings, beside the two files."""
(SHOWN_CONTAINER,) = [line for line in SHOWN if line.startswith("docker run ")]
ARGUMENTS = [
    *BACKUPS.items(),
    *WATCHES.items(),
    *((f"crontab-{number}", after_program(line)) for number, line in enumerate(JOBS[1:], 2)),
    *((f"page-{number}", after_program(line)) for number, line in enumerate(SHOWN_OURS, 1)),
    ("page-docker", shlex.split(SHOWN_CONTAINER.rpartition(" jitsu-backup ")[2])),
]


def parsed(arguments: Sequence[str]) -> click.Context:
    """Take arguments apart as the program would, without running anything."""
    context = program.make_context("jitsu-backup", list(arguments))
    command = program.get_command(context, arguments[0])
    if command is None:
        raise click.UsageError(f"no command {arguments[0]!r}")
    return command.make_context(arguments[0], list(arguments[1:]), parent=context)


def settings_of(folder: Path, environment: dict[str, str]) -> Settings:
    return load(folder / "jitsu-backup.toml", environment, None, Path("/"), Overrides())


def variables(content: str) -> dict[str, str]:
    """Read a file of variables as kubectl and Docker do, which know no quotes."""
    lines = [line for line in content.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def named_variables() -> set[str]:
    """Return the variables that the settings name."""
    values = tomllib.loads(text("jitsu-backup.toml")).values()
    return {value["env"] for value in values if isinstance(value, dict) and "env" in value}


def instructions() -> list[tuple[str, str]]:
    parser = DockerfileParser(fileobj=io.BytesIO(text("Dockerfile").encode()))
    return [(line["instruction"], line["value"]) for line in parser.structure]


def last_stage() -> list[tuple[str, str]]:
    lines = instructions()
    return lines[max(at for at, (name, _) in enumerate(lines) if name == "FROM") :]


def copied() -> dict[str, str]:
    """Return what the image is built from: paths in the repository, and where each comes to lie beneath the build's folder."""
    found = {}
    for name, value in instructions():
        if name == "COPY" and "--from" not in value:
            *sources, target = value.split()
            for source in sources:
                inside = target + Path(source).name if target.endswith("/") else target
                found[source] = inside.removeprefix("./")
    return found


def entrypoint() -> list[str]:
    return list(json.loads(dict(instructions())["ENTRYPOINT"]))
