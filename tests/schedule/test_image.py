"""The image: what its recipe is built from, as whom it runs, and how its health is seen."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.schedule.files import (
    DOCUMENTS,
    FOLDER,
    MANIFESTS,
    PROGRAM,
    WATCH_CONTAINER,
    copied,
    entrypoint,
    instructions,
    last_stage,
    pod,
    settings_of,
)

ROOT = DOCUMENTS.parent


def test_the_image_ends_as_a_user_with_a_number_that_is_not_root() -> None:
    (user,) = [value for name, value in last_stage() if name == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    after = [name for name, _ in last_stage()].index("USER")
    assert {name for name, _ in last_stage()[after:]} <= {"USER", "COMMENT", "HEALTHCHECK", "ENTRYPOINT"}
    assert entrypoint() == [PROGRAM]
    for name in MANIFESTS:
        context = pod(name)["securityContext"]
        assert f"{context['runAsUser']}:{context['runAsGroup']}" == user


def test_the_image_is_built_from_pinned_bases_and_leaves_the_builder_behind() -> None:
    assert [value for name, value in instructions() if name == "FROM"] == [
        "python:3.13-slim AS build",
        "python:3.13-slim",
    ]
    assert [value for name, value in last_stage() if name in ("COPY", "ADD")] == [
        "--from=build /opt/jitsu-backup /opt/jitsu-backup"
    ]
    assert ("ENV", "PYTHONDONTWRITEBYTECODE=1") in last_stage()


def test_the_image_has_what_its_own_wheel_installs() -> None:
    (build,) = [value for name, value in instructions() if name == "RUN" and "pip" in value]
    wheel, environment, install = re.split(r"\s+&& ", build)
    assert re.fullmatch(r"pip wheel .*--no-deps --wheel-dir /wheel \.", wheel)
    assert environment == "python -m venv /opt/jitsu-backup"
    assert re.fullmatch(r"/opt/jitsu-backup/bin/pip install .*/wheel/\*\.whl", install)


def test_whatever_the_wheel_is_made_of_is_copied_to_where_it_is_looked_for() -> None:
    for source in copied():
        assert (ROOT / source).exists(), source
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, hatch = document["project"], document["tool"]["hatch"]
    needed = {
        "pyproject.toml", project["readme"], *project["license-files"],
        *hatch["build"]["targets"]["wheel"]["shared-data"],
    }  # fmt: skip
    assert needed < set(copied())
    assert all(source == target for source, target in copied().items())
    assert Path(hatch["version"]["path"]).parts[0] in copied()


@pytest.mark.skipif(
    not (Path(sys.executable).parent / "hadolint").exists(), reason="hadolint is not installed"
)
def test_hadolint_has_nothing_to_say_of_the_image() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", "--no-color", FOLDER / "Dockerfile"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


# its health


def health() -> tuple[dict[str, int], list[str]]:
    """Return the options of the health check, and its command."""
    (value,) = [value for name, value in last_stage() if name == "HEALTHCHECK"]
    options, _, command = value.partition("CMD ")
    return {name: int(number) for name, number in re.findall(r"--([a-z-]+)=(\d+)", options)}, json.loads(
        command
    )


def test_docker_asks_for_health_as_often_as_kubernetes_does_and_looks_at_the_same_figures() -> None:
    start, alive = WATCH_CONTAINER["startupProbe"], WATCH_CONTAINER["livenessProbe"]
    options, command = health()
    assert options == {
        "interval": alive["periodSeconds"], "timeout": alive["timeoutSeconds"], "retries": alive["failureThreshold"],
        "start-period": start["periodSeconds"] * start["failureThreshold"],
    }  # fmt: skip
    metrics = str(settings_of(FOLDER, {}).metrics)
    assert f"${{JITSU_BACKUP_METRICS:-{metrics}}}" in command[-1]
    assert alive["exec"]["command"][-1].replace(metrics, "") == re.sub(
        r'"\$\{[^}]+\}"', "", command[-1].partition(" || ")[2]
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the image has GNU grep")
@pytest.mark.parametrize(
    ("words", "minutes", "healthy"),
    [
        (["watch", "--all"], 0, True),
        (["watch", "--all"], 9, True),
        (["watch", "--all"], 11, False),
        (["watch", "--all"], None, False),
        (["backup", "--all", "--ping=https://ping.example.com/watch"], None, True),
    ],
)
def test_a_watch_is_healthy_while_its_figures_are_new_and_any_other_command_always(
    words: Sequence[str], minutes: int | None, healthy: bool, tmp_path: Path
) -> None:
    process = tmp_path / "cmdline"
    process.write_bytes(b"".join(word.encode() + b"\0" for word in (PROGRAM, *words)))
    figures = tmp_path / "figures of backups.prom"
    if minutes is not None:
        figures.write_text("x")
        then = figures.stat().st_mtime - 60 * minutes
        os.utime(figures, (then, then))
    command = [word.replace("/proc/1/cmdline", str(process)) for word in health()[1]]
    done = subprocess.run(
        command, env={"PATH": "/usr/bin:/bin", "JITSU_BACKUP_METRICS": str(figures)},
        check=False, capture_output=True,
    )  # fmt: skip
    assert (done.returncode == 0) is healthy
