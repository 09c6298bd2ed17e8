"""Figures for Prometheus, the log, and the line for cron in `docs/get-started.md`."""

import asyncio
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jitsu_backup.archive import parse_name
from jitsu_backup.operations.alarms import Alarm, What
from jitsu_backup.reports.metrics import RunFigures, metrics_text, unseen_workspaces
from jitsu_backup.sandbox import Sandbox, default_state
from tests.faults import Call, Faults
from tests.s3_server import BUCKET, s3_server
from tests.support import OWNER, PRODUCTION, STAGING
from tests.unattended.workbench import ROOT, Bench, samples


def test_a_mistyped_workspace_leaves_no_figures_of_its_own_behind(bench: Bench) -> None:
    assert bench.run("backup", "acme-staging", "--metrics", "m").returncode == 0
    assert bench.run("backup", "acme-stagin", "--metrics", "m").returncode == 1
    text = (bench.folder / "m").read_text()
    assert 'jitsu_backup_run_problem{problem="failed"' in text
    assert 'jitsu_backup_failed{reason="console' not in text
    assert bench.run("backup", "acme-staging", "--metrics", "m").returncode == 0
    assert 'acme-stagin"' not in (bench.folder / "m").read_text()


def test_a_workspace_that_is_gone_and_was_known_keeps_its_figures(bench: Bench) -> None:
    assert bench.run("backup", "acme-production", "--metrics", "m").returncode == 0
    bench.state.workspaces.pop("cacmeprod0000000000000002")
    for figures in ("m", "of-another-file"):  # the second one knows it by its archive alone
        assert bench.run("backup", "acme-production", "--metrics", figures).returncode == 1
        found = [one for one in samples(bench.folder / figures) if one.name == "jitsu_backup_failed"]
        assert [(one.labels["workspace"], one.value) for one in found] == [("acme-production", 1)]


def figures(path: Path) -> dict[tuple[str, str], float]:
    """The samples of a metrics file by short name and workspace."""
    return {
        (sample.name.removeprefix("jitsu_backup_"), sample.labels["workspace"]): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
        if "workspace_id" in sample.labels and "type" not in sample.labels
    }


def test_the_time_of_the_last_success_outlives_a_failure_and_a_run_of_another_workspace(bench: Bench) -> None:
    path = bench.folder / "jitsu.prom"
    began = time.time() - 1
    assert bench.run("backup", "acme-staging", "--metrics", "jitsu.prom").returncode == 0
    first = figures(path)
    assert path.stat().st_mode & 0o044 == 0o044  # the collector is somebody else
    assert first["last_success_timestamp_seconds", "acme-staging"] >= began
    assert first["exit_code", "acme-staging"] == 0
    assert first["archive_bytes", "acme-staging"] == sum(f.stat().st_size for f in bench.folder.rglob("*.gz"))
    (bench.folder / "jitsu-backup.toml").write_text('metrics = "jitsu.prom"\n')
    bench.run("backup", "acme-production")
    failed = bench.run("backup", "acme-staging", JITSU_APIKEY="key1:wrong")
    assert failed.returncode == 6
    after = figures(path)
    assert after["exit_code", "acme-staging"] == 6
    for name in ("last_success_timestamp_seconds", "archive_bytes"):
        assert after[name, "acme-staging"] == first[name, "acme-staging"]
    assert after["exit_code", "acme-production"] == 0
    assert 'type="destination",workspace="acme-staging"' in path.read_text()


def test_a_run_that_could_not_even_begin_is_in_the_figures(bench: Bench) -> None:
    bench.run("backup", "--all", "--metrics", "m")
    assert "jitsu_backup_run_exit_code 0.0" in (bench.folder / "m").read_text()
    assert bench.run("backup", "--all", "--metrics", "m", JITSU_APIKEY="key1:wrong").returncode == 6
    assert "jitsu_backup_run_exit_code 6.0" in (bench.folder / "m").read_text()
    assert figures(bench.folder / "m")["exit_code", "acme-staging"] == 0


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ("passphrase = {command = ['false']}", 2),
        ("encrypt_to = ['age1nobody']", 2),
        ("encrypt_to = ['gone.pub']", 2),
        ("passphrase = {env = 'UNSET'}", 2),
        ("stroe = 'x'", 2),
    ],
)
def test_a_run_that_ends_before_it_asks_the_console_is_in_the_figures(
    settings: str, code: int, bench: Bench
) -> None:
    bench.run("backup", "--all", "--metrics", "m")
    before = figures(bench.folder / "m")
    (bench.folder / "jitsu-backup.toml").write_text(settings + "\n")
    done = bench.run("backup", "--all", JITSU_BACKUP_METRICS=str(bench.folder / "m"))
    assert done.returncode == code, done.stderr
    assert f"jitsu_backup_run_exit_code {code}.0" in (bench.folder / "m").read_text()
    assert figures(bench.folder / "m") == before
    assert bench.run("backup", "acme-staging", "--metrics", "m").returncode == code
    assert figures(bench.folder / "m")["exit_code", "acme-staging"] == code


def test_a_run_that_is_ended_while_it_reads_is_in_the_figures(tmp_path: Path) -> None:
    (tmp_path / "m").write_text(metrics_text("", [], 0, datetime.now(UTC)))
    reached = threading.Event()

    def choose(_call: Call) -> None:
        reached.set()
        time.sleep(0.2)

    with Faults(Sandbox(default_state(), rate_limit=False).app, choose).running() as host:
        process = subprocess.Popen(
            [sys.executable, "-m", "jitsu_backup", "backup", "acme-staging", "--metrics", "m"], cwd=tmp_path,
            stderr=subprocess.DEVNULL, env={**os.environ, "JITSU_HOST": host, "JITSU_APIKEY": OWNER},
        )  # fmt: skip
        assert reached.wait(30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
    assert "jitsu_backup_run_exit_code 130.0" in (tmp_path / "m").read_text()


@contextlib.contextmanager
def pruning_that_hangs(bench: Bench) -> Iterator[tuple[dict[str, str], threading.Event]]:
    """The environment of a backup of two workspaces into S3 with something to prune, and when that is reached."""
    reached, over = threading.Event(), threading.Event()

    def hangs(environ: Any, start_response: Any, real: Any) -> Any:
        reached.set()
        over.wait(60)
        return real(environ, start_response)

    with s3_server() as s3:
        env = {**os.environ, **bench.env, **s3.environment, "JITSU_BACKUP_STORE": f"s3://{BUCKET}/jitsu"}
        first = bench.run("backup", "--all", "--new-store", **env)
        assert first.returncode == 0, first.stderr
        s3.befall = lambda _number, method: hangs if method in ("POST", "DELETE") else None
        try:
            yield env, reached
        finally:
            over.set()


PRUNING = ("backup", "--all", "--prune", "--keep-last", "1", "--metrics", "m", "--log-format", "json")


def test_the_deadline_holds_for_pruning_and_what_was_saved_is_in_the_log_and_the_figures(
    bench: Bench,
) -> None:
    began = time.monotonic()
    with pruning_that_hangs(bench) as (env, reached):
        done = bench.run(*PRUNING, "--deadline", "8", **env)
        assert reached.is_set()
    assert time.monotonic() - began < 40
    assert done.returncode == 3
    line = json.loads(done.stderr)
    assert [(one["exit_code"], one["written"]) for one in line["workspaces"]] == [(0, True)] * 2
    assert (line["removed"], line["not_removed"]) == (0, 2)
    assert line["notices"] == []  # the alarms have it
    assert [(alarm["why"], alarm["remedy"]) for alarm in line["alarms"]] == [
        ("2 of them: the deadline passed", "remove them with `jitsu-backup prune`")
    ]
    found = figures(bench.folder / "m")
    assert [found["exit_code", name] for name in ("acme-staging", "acme-production")] == [0, 0]
    assert "jitsu_backup_run_exit_code 3.0" in (bench.folder / "m").read_text()


def test_a_run_that_is_ended_while_it_prunes_has_what_was_saved_in_the_log_and_the_figures(
    bench: Bench,
) -> None:
    with pruning_that_hangs(bench) as (env, reached):
        process = subprocess.Popen(
            [sys.executable, "-m", "jitsu_backup", *PRUNING], cwd=bench.folder, env=env, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert reached.wait(60)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    line = json.loads(err)
    assert (line["exit_code"], line["message"]) == (130, "interrupted")
    assert [(one["exit_code"], one["written"]) for one in line["workspaces"]] == [(0, True)] * 2
    found = figures(bench.folder / "m")
    success = "last_success_timestamp_seconds"
    assert all(found[success, name] > 0 for name in ("acme-staging", "acme-production"))
    assert "jitsu_backup_run_exit_code 130.0" in (bench.folder / "m").read_text()


def test_a_run_that_is_ended_while_it_reads_has_what_was_saved_in_the_log_and_the_figures(
    bench: Bench,
) -> None:
    sandbox, reached = Sandbox(bench.state, rate_limit=False), threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while PRODUCTION in scope["path"] and not reached.is_set():
            if bench.archives:
                reached.set()
            await asyncio.sleep(0.05)
        await sandbox.app(scope, receive, send)

    with Faults(app, lambda _: None).running() as host:
        process = subprocess.Popen(
            [sys.executable, "-m", "jitsu_backup", "backup", "--all", "--metrics", "m", "--log-format", "json"],
            cwd=bench.folder, env={**os.environ, **bench.env, "JITSU_HOST": host}, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert reached.wait(60)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [one["workspace"] for one in json.loads(err)["workspaces"]] == ["acme-staging"]
    assert figures(bench.folder / "m")["last_success_timestamp_seconds", "acme-staging"] > 0


def test_a_monitor_that_the_settings_cannot_name_is_reported_and_stops_no_backup(bench: Bench) -> None:
    (bench.folder / "jitsu-backup.toml").write_text('ping = {env = "UNSET"}\n')
    done = bench.run("-q", "backup", "acme-staging")
    assert done.returncode == 0
    assert "this run is not reported to the monitor" in done.stderr
    assert "UNSET" in done.stderr


def test_wrong_usage_is_code_2_where_it_cannot_be_told_too(bench: Bench) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "jitsu_backup", "backup", "--nonsense"],
            cwd=bench.folder,
            stderr=full,
            check=False,
        )
    assert done.returncode == 2


def test_a_failure_is_counted_for_the_same_workspace_by_id_and_by_slug(bench: Bench) -> None:
    bench.run("backup", "acme-staging", "--metrics", "m")
    bench.run("backup", STAGING, "--metrics", "m", JITSU_APIKEY="key1:wrong")
    found = figures(bench.folder / "m")
    assert {workspace for _, workspace in found} == {"acme-staging"}
    assert found["exit_code", "acme-staging"] == 6


def test_many_shards_at_once_share_a_file_of_figures(bench: Bench) -> None:
    for number in range(8):
        bench.state.add_workspace(f"cshard{number}", f"S{number}", f"shard-{number}", {"u-owner": "owner"})
    with ThreadPoolExecutor(4) as pool:
        jobs = [("backup", "--all", "--shard", f"{index}/4", "--metrics", "m") for index in range(4)]
        assert {done.returncode for done in pool.map(lambda job: bench.run(*job), jobs)} == {0}
    assert len({workspace for _, workspace in figures(bench.folder / "m")}) == 10


def test_what_was_counted_under_half_a_name_goes_once_it_is_known_whole(bench: Bench) -> None:
    bench.run("backup", "acme-staging", "--metrics", "m", JITSU_APIKEY="key1:wrong")
    assert figures(bench.folder / "m")["exit_code", "acme-staging"] == 6
    bench.run("backup", "acme-staging", "--metrics", "m")
    assert (bench.folder / "m").read_text().count("jitsu_backup_exit_code{") == 1
    damaged = (bench.folder / "m").read_text() + 'jitsu_backup_exit_code{workspace="x\n'
    (bench.folder / "m").write_text(damaged)
    bench.run("backup", "acme-staging", "--metrics", "m")
    assert figures(bench.folder / "m")["exit_code", "acme-staging"] == 0


@pytest.mark.parametrize("key", [OWNER, "key1:wrong"], ids=["well", "badly"])
def test_a_workspace_with_another_slug_keeps_one_series_and_its_last_success(key: str, bench: Bench) -> None:
    bench.run("backup", "acme-staging", "--metrics", "m")
    before = figures(bench.folder / "m")
    bench.state.workspaces[STAGING].slug = "acme-renamed"
    if key == OWNER:
        bench.run("backup", "acme-renamed", "--metrics", "m")
    else:
        later = RunFigures("acme-renamed", STAGING, 6, 1.0, datetime.now(UTC))  # as `--all` knows it
        text = (bench.folder / "m").read_text()
        (bench.folder / "m").write_text(metrics_text(text, [later], 6, datetime.now(UTC)))
    after = figures(bench.folder / "m")
    assert {workspace for _, workspace in after} == {"acme-renamed"}
    assert {name for name, _ in after} == {name for name, _ in before}
    success = "last_success_timestamp_seconds"
    assert (after[success, "acme-renamed"] > before[success, "acme-staging"]) == (key == OWNER)
    text = (bench.folder / "m").read_text()
    assert 'type="destination",workspace="acme-renamed"' in text
    assert "acme-staging" not in text


def test_a_file_that_holds_no_metrics_is_left_alone_and_the_backup_made(bench: Bench) -> None:
    (bench.folder / "notes").write_text("my notes: {\n")
    done = bench.run("backup", "acme-staging", "--metrics", "notes")
    assert done.returncode == 0
    assert "contains no metrics" in done.stderr
    assert (bench.folder / "notes").read_text() == "my notes: {\n"
    assert "cannot write" in bench.run("backup", "acme-staging", "--metrics", "none/m").stderr


def test_the_log_is_one_line_of_json_a_run_and_nothing_else(bench: Bench) -> None:
    done = bench.run("backup", "--all", "--log-format", "json")
    assert (done.returncode, done.stdout) == (0, "")
    (text,) = done.stderr.splitlines()
    line = json.loads(text)
    assert (line["level"], line["command"], line["exit_code"]) == ("info", "backup", 0)
    assert line["message"] == "2 workspaces: 2 backed up"
    assert [one["workspace"] for one in line["workspaces"]] == ["acme-staging", "acme-production"]
    assert line["workspaces"][0]["entities"] == 21
    failed = bench.run("backup", "acme-staging", "nobody", "--log-format", "json")
    (text,) = failed.stderr.splitlines()
    line = json.loads(text)
    assert (failed.returncode, line["exit_code"], line["level"]) == (3, 3, "error")
    assert "nobody" in line["workspaces"][1]["failure"]
    usage = bench.run("backup", "acme-staging", "--all", "--log-format", "json")
    assert json.loads(usage.stderr)["message"] == "give workspaces or --all, not both"
    assert usage.returncode == 2
    both = bench.run("--json", "backup", "acme-staging", "--log-format", "json")
    assert json.loads(both.stdout)["snapshots"]
    assert len(both.stderr.splitlines()) == 1
    pruned = bench.run("prune", "--keep-last", "1", "--log-format", "json")
    assert json.loads(pruned.stderr)["message"].startswith("2 kept")


def test_the_cron_line_of_get_started_runs_without_home_terminal_or_path(bench: Bench) -> None:
    page = (ROOT / "docs/get-started.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```cron\n(.*?)\n```", page, re.DOTALL)
    *variables, line = lines.split("\n")
    command = " ".join([*variables, line.split(None, 5)[5]])
    for old, new in {
        "/opt/jitsu-backup/bin/": f"{Path(sys.executable).parent}/",
        "https://jitsu.example.com": bench.url,
        "keyId:keySecret": OWNER,
        "/var/": f"{bench.folder}/var/",
    }.items():
        assert old in command
        command = command.replace(old, new)
    (bench.folder / "var" / "log").mkdir(parents=True)
    shell = ["env", "-i", "PATH=/usr/bin:/bin", "SHELL=/bin/sh", "/bin/sh", "-c", command.replace("\\%", "%")]

    def scheduled() -> Any:
        return subprocess.run(
            shell, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )

    early = scheduled()
    assert (early.returncode, "--new-store" in early.stderr) == (1, True)
    (begins,) = re.findall(r"^jitsu-backup (--store /var/backups/jitsu .*--new-store)", page, re.MULTILINE)
    assert bench.run(*begins.replace("/var/", f"{bench.folder}/var/").split()).returncode == 0
    done = scheduled()
    assert (done.returncode, done.stderr) == (0, ""), shlex.join(shell)
    stored = [parse_name(path.name) for path in (bench.folder / "var").rglob("*.json.gz")]
    assert sorted(archive.slug for archive in stored if archive is not None) == [
        "acme-production",
        "acme-staging",
    ]


def test_a_place_whose_settings_are_wrong_is_counted_under_its_workspace(bench: Bench) -> None:
    settings = bench.folder / "jitsu-backup.toml"
    right = '[profiles.one]\nworkspace = "acme-staging"\n[profiles.two]\nworkspace = "acme-production"\n'
    settings.write_text(right)
    bench.run("backup", "@one", "@two", "--metrics", "m")
    settings.write_text(right + 'key = {command = ["false"]}\n')
    assert bench.run("backup", "@one", "@two", "--metrics", "m").returncode == 3
    found = figures(bench.folder / "m")
    assert {workspace for _, workspace in found} == {"acme-staging", "acme-production"}
    assert (found["exit_code", "acme-staging"], found["exit_code", "acme-production"]) == (0, 2)
    settings.write_text(right)
    bench.run("backup", "@one", "@two", "--metrics", "m")
    assert figures(bench.folder / "m")["exit_code", "acme-production"] == 0


def test_a_profile_that_cannot_be_read_leaves_no_figures_of_a_workspace(bench: Bench) -> None:
    (bench.folder / "jitsu-backup.toml").write_text("not toml")
    assert bench.run("backup", "@one", "--metrics", "m").returncode == 2
    assert figures(bench.folder / "m") == {}
    assert "jitsu_backup_run_exit_code 2.0" in (bench.folder / "m").read_text()


def test_check_reads_from_the_metrics_which_workspaces_the_last_run_no_longer_saw() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    unseen = Alarm(What.UNSEEN, "its archives are those of acme", "give access again", "w1")
    others = Alarm(What.RUN_FAILED, "no reply", "try again", "acme")
    assert unseen_workspaces(metrics_text("", (), 3, now, [unseen, others])) == [unseen]
    assert unseen_workspaces(metrics_text("", (), 0, now)) == []
