"""What the files of `docs/schedule/` run is there, and runs."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyrage
import pytest

from jitsu_backup.sandbox import running
from tests.s3_server import BUCKET, S3Server, s3_server
from tests.schedule.files import (
    CRONJOB,
    CRONTABS,
    INDEXED_JOB,
    PROGRAM,
    TRIED,
    backup_step,
    container,
    crontab,
    entrypoint,
    text,
    unit,
    variables,
)
from tests.serving import serving
from tests.support import OWNER, example_sandbox


class _Check(BaseHTTPRequestHandler):
    server: "_Monitor"

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Monitor(ThreadingHTTPServer):
    """A monitor that notes what it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Check)
        self.told: list[str] = []


@contextmanager
def monitor() -> Iterator[_Monitor]:
    server = _Monitor()
    with serving(server):
        yield server


@dataclass
class Stage:
    """A console, a bucket and a monitor, and what stands for them and for the places in the files."""

    folder: Path
    stands_for: dict[str, str]
    monitor: _Monitor

    def here(self, content: str) -> str:
        for name, stand_in in self.stands_for.items():
            content = content.replace(name, stand_in)
        return content

    @property
    def environment(self) -> dict[str, str]:
        return variables(self.here(text("environment")))

    def run(
        self, command: Sequence[str], environment: dict[str, str], code: int = 0, folder: str | Path = "/"
    ) -> "subprocess.CompletedProcess[str]":
        """Run as a scheduler does: no home, no terminal, nothing in the environment but what is given."""
        self.monitor.told.clear()
        done = subprocess.run(
            list(command), env={"PATH": "/usr/bin:/bin", **environment}, cwd=folder, stdin=subprocess.DEVNULL,
            start_new_session=True, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def contained(
        self, name: str, before: Sequence[str] = (), **more: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a manifest's container, its $(NAME) filled in as Kubernetes does."""
        given = {**self.environment, **more}
        arguments = [
            re.sub(r"\$\((\w+)\)", lambda found: given[found[1]], word) for word in container(name)["args"]
        ]
        return self.run([*before, *map(self.here, [*entrypoint(), *arguments])], given)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("schedule")
    for name in ("etc", "lib/metrics"):
        (folder / name).mkdir(parents=True)
    identity = pyrage.x25519.Identity.generate()
    (folder / "etc" / "identity.txt").write_text(f"{identity}\n")
    server: S3Server
    with s3_server() as server, monitor() as watching, running(example_sandbox()) as url:
        made = Stage(
            folder,
            {
                "https://jitsu.example.com": url,
                "s3://acme-backups": f"s3://{BUCKET}",
                "# AWS_ENDPOINT_URL=https://minio.example.com:9000": f"AWS_ENDPOINT_URL={server.url}",
                "https://ping.example.com": f"http://127.0.0.1:{watching.server_port}",
                "keyId:keySecret": OWNER,
                "age1-your-own-public-key": str(identity.to_public()),
                "/opt/jitsu-backup/bin": str(Path(sys.executable).parent),
                "/etc/jitsu-backup": str(folder / "etc"),
                "/var/lib/jitsu-backup": str(folder / "lib"),
            },
            watching,
        )
        for name in ("environment", "jitsu-backup.toml"):
            (folder / "etc" / name).write_text(made.here(text(name)))
        try_the_settings(made)  # which begins the store, as the page says
        yield made


def try_the_settings(stage: Stage) -> None:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    stage.run(
        ["bash", "-e", "-c", TRIED],
        {"PATH": path},
        folder=stage.folder / "etc",
    )


Job = tuple[dict[str, str], str]
"""The variables of a crontab, and a line for the shell."""


def cron_jobs(stage: Stage, *, ours: bool = True) -> list[Job]:
    """Return the jobs of both crontabs that run the program, or the others, with what stands for the places."""
    files = [crontab(stage.here(text(name))) for name in CRONTABS]
    return [
        (given, line) for given, jobs in files for _, line in jobs if (stage.here(PROGRAM) in line) is ours
    ]


def log_of(job: Job) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(job[0]["LOG"]).read_text().splitlines()]


def test_the_lines_of_cron_run_as_they_stand_and_nothing_is_mailed(stage: Stage) -> None:
    jobs, told = cron_jobs(stage), []
    for given, line in jobs:
        done = stage.run([given["SHELL"], "-c", line], given)
        assert (done.stdout, done.stderr) == ("", "")
        told.append(list(stage.monitor.told))
    check = "/secret/jitsu-backup"
    names = (check, f"{check}-verify", f"{check}-rehearse", f"{check}-drill")
    assert told == [[f"{name}/start", name] for name in names]
    backup, (verify, rehearsal, drill) = log_of(jobs[0])[-1], log_of(jobs[-1])[-3:]
    assert {line["workspace"] for line in backup["workspaces"]} == {"acme-staging", "acme-production"}
    assert backup["store"] == f"s3://{BUCKET}/jitsu"
    assert verify["archives"] == rehearsal["archives"] == 2
    assert (drill["workspaces"], drill["not_brought_back"]) == (2, [])
    figures = (stage.folder / "lib" / "metrics" / "jitsu_backup.prom").read_text()
    assert figures.count("jitsu_backup_exit_code{") == 2


def test_the_line_of_cron_for_a_backup_needs_no_private_key(stage: Stage) -> None:
    identity = stage.folder / "etc" / "identity.txt"
    away = identity.rename(stage.folder / "away.txt")
    given, line = job = cron_jobs(stage)[0]
    try:
        for _ in range(2):  # the second one compares with what it cannot read
            stage.run([given["SHELL"], "-c", line], given)
    finally:
        away.rename(identity)
    assert log_of(job)[-1]["message"] == "2 workspaces: 2 unchanged"


@pytest.mark.parametrize("number", range(4))
def test_a_failure_is_mailed_and_reaches_the_log_and_the_monitor(stage: Stage, number: int) -> None:
    given, line = job = cron_jobs(stage)[number]
    host = stage.stands_for["https://jitsu.example.com"]
    line = line.replace("backup --all", f"--host {host} --apikey key1:wrong backup --all")
    for command in ("verify", "drill"):
        line = line.replace(f"{command} --", f"{command} --no-such --")
    done = stage.run([given["SHELL"], "-c", line], given)
    assert stage.monitor.told[-1].endswith("/fail")
    mailed = json.loads(done.stdout)
    assert mailed == log_of(job)[-1]
    assert (mailed["exit_code"], mailed["level"]) == ((6, "error") if number == 0 else (2, "error"))
    assert mailed["alarms"][0]["why"]


def test_what_no_job_could_say_is_mailed_too(stage: Stage) -> None:
    given, line = cron_jobs(stage)[0]
    environment = stage.folder / "etc" / "environment"
    missing = line.replace(str(environment), f"{environment}-gone")
    assert f"{environment}-gone" in stage.run([given["SHELL"], "-c", missing], given, code=2).stderr
    unwritable = {**given, "LOG": str(stage.folder / "gone" / "log.jsonl")}
    assert "No such file" in stage.run([given["SHELL"], "-c", line], unwritable).stderr


@pytest.mark.parametrize("number", range(len(CRONTABS)))
def test_cron_begins_a_new_log_every_week_and_keeps_old_ones_for_a_while(stage: Stage, number: int) -> None:
    given, line = cron_jobs(stage, ours=False)[number]
    log = Path(given["LOG"])
    before = log.read_text() if log.exists() else ""
    line = line.replace("\\%", "%")  # as cron reads it
    ancient = log.with_name(f"{log.name}.2026-01-01")
    try:
        for _ in range(2):  # where there is nothing to put away nothing happens
            log.write_text(before or "one\n")
            ancient.touch()
            os.utime(ancient, (0, 0))
            done = stage.run([given["SHELL"], "-c", line], given)
            assert (done.stdout, done.stderr) == ("", "")
            (kept,) = log.parent.glob(f"{log.name}.*")
            assert (log.exists(), kept.read_text()) == (False, before or "one\n")
            stage.run([given["SHELL"], "-c", line], given)
            kept.unlink()
    finally:
        log.write_text(before)


def test_the_service_runs_as_it_stands(stage: Stage) -> None:
    service = unit("jitsu-backup.service")["Service"]
    done = stage.run(shlex.split(stage.here(service["ExecStart"])), stage.environment)
    assert json.loads(done.stderr)["exit_code"] == 0


def test_a_container_runs_as_it_stands(stage: Stage) -> None:
    done = stage.contained(CRONJOB)
    assert {line["workspace"] for line in json.loads(done.stderr)["workspaces"]} == {
        "acme-staging",
        "acme-production",
    }
    assert stage.monitor.told == ["/secret/jitsu-backup/start", "/secret/jitsu-backup"]


def test_the_shards_together_back_up_every_workspace_once(stage: Stage) -> None:
    found: list[str] = []
    for index in map(str, range(4)):
        done = stage.contained(INDEXED_JOB, JOB_COMPLETION_INDEX=index)
        found += (line["workspace"] for line in json.loads(done.stderr)["workspaces"])
        assert stage.monitor.told == [f"/secret/jitsu-backup-{index}/start", f"/secret/jitsu-backup-{index}"]
    assert sorted(found) == ["acme-production", "acme-staging"]


def test_a_container_runs_on_a_root_file_system_that_it_cannot_write_to(stage: Stage) -> None:
    metrics = stage.folder / "lib" / "metrics"
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro / && shift && [ ! -w / ] && exec "$@"'
    alone = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", str(metrics)]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no mount namespace can be had here")
    figures = metrics / "jitsu_backup.prom"
    figures.unlink(missing_ok=True)
    stage.contained(CRONJOB, before=alone)
    assert figures.exists()


def test_the_workflow_runs_as_it_stands(stage: Stage, tmp_path: Path) -> None:
    shutil.copy(stage.folder / "etc" / "jitsu-backup.toml", tmp_path)
    secrets = stage.environment
    given = {
        name: re.sub(r"\$\{\{ secrets\.(\w+) \}\}", lambda found: secrets[found[1]], value)
        for name, value in backup_step()["env"].items()
    }
    given["JITSU_BACKUP_METRICS"] = given["JITSU_BACKUP_METRICS"].replace("${{ runner.temp }}", str(tmp_path))
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    endpoint = {"AWS_ENDPOINT_URL": secrets["AWS_ENDPOINT_URL"], "PATH": path}
    done = stage.run(["bash", "-e", "-c", backup_step()["run"]], {**given, **endpoint}, folder=tmp_path)
    assert json.loads(done.stderr)["exit_code"] == 0
    assert (tmp_path / "jitsu_backup.prom").exists()
    assert not [value for value in given.values() if "${{" in value]


def test_what_the_page_says_to_try_runs_as_it_stands_and_once_more(stage: Stage) -> None:
    try_the_settings(stage)


def test_until_the_public_key_is_yours_nothing_is_backed_up(stage: Stage, tmp_path: Path) -> None:
    (recipient,) = tomllib.loads(text("jitsu-backup.toml"))["encrypt_to"]
    yours = stage.stands_for[recipient]
    settings = tmp_path / "jitsu-backup.toml"
    settings.write_text(stage.here(text("jitsu-backup.toml")).replace(yours, recipient))
    done = stage.run(
        [stage.here(PROGRAM), "backup", "--all", "--config", str(settings)], stage.environment, code=2
    )
    assert f"{recipient!r} is not a recipient" in done.stderr
