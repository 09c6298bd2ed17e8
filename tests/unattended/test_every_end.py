"""However a run ends, figures, monitor and log hear of it, one that ends before it has begun too."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.model import laid_out
from tests.unattended.workbench import Bench, monitor, samples

WRONG_LINES = [
    ("backup", "--all", "--nonsense"),
    ("backup", "--nonsense", "--all"),
    ("--nonsense", "backup", "--all"),
    ("backup", "--all", "--deadline", "soon"),
    ("backup", "--all", "acme-staging"),
    ("backup", "--all", "--shard", "4/4"),
    ("backup", "--all", "--label"),
    ("backup", "--all", "--ping", ""),
    ("backup", "--all", "--keep-last", "1"),
    ("backup", "--all", "--store", ""),
    ("backup", "--all", "--config", "nowhere.toml"),
]
EMPTY = ["JITSU_HOST", "JITSU_APIKEY", "JITSU_BACKUP_STORE"]


def exit_code_in(path: Path) -> float:
    (value,) = [one.value for one in samples(path) if one.name == "jitsu_backup_run_exit_code"]
    return value


def well(bench: Bench, **env: str) -> None:
    assert bench.run("backup", "--all", "--metrics", "m", **env).returncode == 0
    assert exit_code_in(bench.folder / "m") == 0


def problem_in(path: Path) -> str:
    (reason,) = {one.labels["reason"] for one in samples(path) if one.labels.get("reason")}
    return reason


@pytest.mark.parametrize("line", WRONG_LINES, ids=" ".join)
def test_a_wrong_command_line_is_in_the_figures_that_a_flag_names(
    line: tuple[str, ...], bench: Bench
) -> None:
    well(bench)
    for flag in (("--metrics", "m"), ("--metrics=m",)):
        done = bench.run(line[0], *flag, *line[1:]) if line[0] == "backup" else bench.run(*line, *flag)
        assert done.returncode == 2, done.stderr
        assert exit_code_in(bench.folder / "m") == 2
        assert problem_in(bench.folder / "m")


@pytest.mark.parametrize("line", [("bakcup",), ("xyz", "--all"), ("--config", "c.toml")], ids=" ".join)
def test_a_line_of_which_no_command_can_be_reported_may_have_been_a_backup(
    line: tuple[str, ...], bench: Bench
) -> None:
    well(bench)
    with monitor() as (url, told):
        done = bench.run(*line, "--metrics", "m", "--log-format", "json", JITSU_BACKUP_PING=url)
    assert done.returncode == exit_code_in(bench.folder / "m") == 2
    assert json.loads(done.stderr)["exit_code"] == 2
    assert [path.partition("?")[0].rpartition("/")[2] for path, _ in told] == ["start", "fail"]
    assert "jitsu-backup jitsu-backup" not in told[-1][1]


def test_another_command_that_goes_wrong_is_reported_by_its_own_name_and_to_the_monitor_of_its_flags_alone(
    bench: Bench,
) -> None:
    with monitor() as (url, told):
        done = bench.run("restore", "latest", "--nosuch", JITSU_BACKUP_PING=url, JITSU_BACKUP_METRICS="m")
        assert (done.returncode, told) == (2, [])
        assert bench.run("restore", "latest", "--ping", url, "--metrics", "m", "--nosuch").returncode == 2
    assert "`jitsu-backup restore --help` lists the options" in told[-1][1]
    assert not (bench.folder / "m").exists()


def test_without_arguments_the_first_screen_is_shown_and_nobody_is_told(bench: Bench) -> None:
    with monitor() as (url, told):
        done = bench.run(JITSU_BACKUP_PING=url)
    assert (done.returncode, told) == (2, [])
    assert done.stderr.endswith("All commands:\n  jitsu-backup --help\n")
    assert "Traceback" not in done.stderr
    assert "mistake" not in done.stderr


def level_of(done: Any) -> str:
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stderr)["level"])


def test_who_hears_of_runs_and_cannot_be_told_makes_the_line_of_a_good_run_a_warning(bench: Bench) -> None:
    (bench.folder / "jitsu-backup.toml").write_text('ping = {env = "JITSU_BACKUP_PING"}\n')
    backup = ("backup", "acme-staging", "--log-format", "json")
    assert level_of(bench.run(*backup)) == "warning"  # the variable is not there
    assert level_of(bench.run(*backup, JITSU_BACKUP_PING="")) == "warning"
    assert level_of(bench.run(*backup, JITSU_BACKUP_PING="http://127.0.0.1:9/x")) == "warning"
    with monitor() as (url, _):
        assert level_of(bench.run(*backup, JITSU_BACKUP_PING=url)) == "info"
        for metrics in (("--metrics", "no/such/folder/m"), ("--metrics", "jitsu-backup.toml")):
            assert level_of(bench.run(*backup, *metrics, JITSU_BACKUP_PING=url)) == "warning"
        empty = {"JITSU_BACKUP_PING": url, "JITSU_BACKUP_METRICS": ""}
        assert level_of(bench.run(*backup, **empty)) == "warning"


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ({"JITSU_HOST": "http://127.0.0.1:9"}, ("backup", "--all")),
        ({"JITSU_HOST": "http://127.0.0.1:9"}, ("backup", "acme-staging")),
        ({"JITSU_HOST": ""}, ("backup", "--all")),
        ({"JITSU_BACKUP_STORE": "s3://"}, ("backup", "--all")),
        ({"JITSU_APIKEY": "key1:wrong"}, ("backup", "--all")),
        ({}, ("backup", "--all", "--deadline", "0s", "--shard", "9/4")),
        ({}, ("verify", "--all", "--store", "nowhere")),
    ],
    ids=str,
)
def test_a_run_that_fails_as_a_whole_says_everywhere_what_to_do(
    env: dict[str, str], line: tuple[str, ...], bench: Bench
) -> None:
    with monitor() as (url, told):
        done = bench.run("-q", *line, "--ping", url, "--metrics", "m", **env)
    assert done.returncode in (1, 2, 6)
    (remedy,) = {one.labels["remedy"] for one in samples(bench.folder / "m") if one.labels.get("reason")}
    assert remedy
    assert remedy in told[-1][1]
    assert laid_out(remedy) in done.stderr or "\nUsage: jitsu-backup backup " in done.stderr


def test_what_a_broken_settings_file_says_line_by_line_names_who_hears_of_it(bench: Bench) -> None:
    well(bench)
    with monitor() as (url, told):
        text = f'host = "x\nmetrics = "m"\nping = "{url}"\n[profiles.a]\nmetrics = "not this one"\n'
        (bench.folder / "jitsu-backup.toml").write_text(text)
        done = bench.run("backup", "--all")
    assert done.returncode == exit_code_in(bench.folder / "m") == 2
    assert "not TOML" in told[-1][1]


@pytest.mark.parametrize("where", ["environment", "file"])
@pytest.mark.parametrize("line", [WRONG_LINES[0], WRONG_LINES[2], WRONG_LINES[4]], ids=" ".join)
def test_and_in_those_that_environment_or_settings_name_and_the_monitor_hears_of_it(
    line: tuple[str, ...], where: str, bench: Bench
) -> None:
    well(bench)
    with monitor() as (url, told):
        env = (
            {"JITSU_BACKUP_METRICS": "m", "JITSU_BACKUP_PING": url}
            if where == "environment"
            else {"CHECK": url}
        )
        if where == "file":
            (bench.folder / "jitsu-backup.toml").write_text('metrics = "m"\nping = {env = "CHECK"}\n')
        done = bench.run(*line, **env)
    assert done.returncode == exit_code_in(bench.folder / "m") == 2
    assert [path.partition("?")[0].rpartition("/")[2] for path, _ in told] == ["start", "fail"]
    assert told[-1][1].startswith("exit code 2: ")
    assert problem_in(bench.folder / "m") in told[-1][1]
    assert "CANARY" not in done.stderr + (bench.folder / "m").read_text()


@pytest.mark.parametrize("variable", EMPTY)
def test_an_empty_variable_is_told_to_those_whom_the_settings_file_names(variable: str, bench: Bench) -> None:
    well(bench)
    with monitor() as (url, told):
        (bench.folder / "check").write_text(url)
        (bench.folder / "jitsu-backup.toml").write_text('metrics = "m"\nping = {file = "check"}\n')
        done = bench.run("backup", "--all", **{variable: ""})
    assert done.returncode == exit_code_in(bench.folder / "m") == 2
    assert problem_in(bench.folder / "m") == f"{variable} is empty"
    remedy = "set it to a value, or unset it"
    assert told[-1] == (
        "/ping/CANARY/fail?create=1",
        f"exit code 2: {problem_in(bench.folder / 'm')}; {remedy}",
    )


@pytest.mark.parametrize("wrong", ["stroe = 'x'", "shrink_alarm = 7", "retention = 5", "profiles = 1"])
def test_wrong_settings_are_reported_to_those_whom_they_name(wrong: str, bench: Bench) -> None:
    well(bench)
    with monitor() as (url, told):
        text = f'metrics = "m"\nping = "{url}"\n{wrong}\n'
        (bench.folder / "jitsu-backup.toml").write_text(text)
        done = bench.run("backup", "--all")
    assert done.returncode == exit_code_in(bench.folder / "m") == 2
    assert "jitsu-backup.toml" in problem_in(bench.folder / "m")
    assert len(told) == 2


def test_the_settings_file_of_somebody_else_names_nobody_who_hears_of_a_run(bench: Bench) -> None:
    with monitor() as (url, told):
        path = bench.folder / "jitsu-backup.toml"
        path.write_text(f'metrics = "m"\nping = "{url}"\nhost = "http://127.0.0.1:9"\n')
        path.chmod(0o666)
        assert bench.run("backup", "--all").returncode == 2
    assert (told, (bench.folder / "m").exists()) == ([], False)


def test_no_command_of_settings_that_are_wrong_is_run(bench: Bench) -> None:
    (bench.folder / "jitsu-backup.toml").write_text('stroe = "x"\nping = {command = ["touch", "ran"]}\n')
    assert bench.run("backup", "--all").returncode == 2
    assert not (bench.folder / "ran").exists()


@pytest.mark.parametrize("name", ["backup", "verify", "prune"])
@pytest.mark.parametrize(
    "rest",
    [("--nonsense",), ("--keep-last", "x"), ("--ping", "ftp://x"), ("--config", "nowhere.toml")],
    ids=" ".join,
)
def test_with_json_logs_standard_error_has_one_line_and_no_other_text(
    name: str, rest: tuple[str, ...], bench: Bench
) -> None:
    with monitor() as (url, told):
        pinged = () if "--ping" in rest else ("--ping", url)
        for order in (("--log-format", "json", *pinged, *rest), (*pinged, *rest, "--log-format=json")):
            done = bench.run(name, *order)
            (text,) = done.stderr.splitlines()
            line = json.loads(text)
            assert (line["command"], line["exit_code"], line["level"]) == (name, done.returncode, "error")
            assert done.returncode in (1, 2)
            assert line["message"].startswith(line["alarms"][0]["why"])
            assert done.stdout == ""
    assert len(told) == (4 if pinged else 0)
    assert all(path.partition("?")[0].endswith(("start", "fail")) for path, _ in told)


def test_a_check_of_archives_leaves_the_monitor_and_the_figures_of_the_settings_alone(bench: Bench) -> None:
    with monitor() as (url, told):
        (bench.folder / "jitsu-backup.toml").write_text(f'metrics = "m"\nping = "{url}"\n')
        assert bench.run("verify", "--nonsense").returncode == 2
        assert bench.run("prune", "--nonsense").returncode == 2
    assert (told, (bench.folder / "m").exists()) == ([], False)


def test_a_good_line_without_listeners_is_told_to_nobody_and_shows_its_usage(bench: Bench) -> None:
    done = bench.run("backup", "--nonsense")
    assert done.returncode == 2
    assert done.stderr.startswith("jitsu-backup: ")
    assert "\nUsage: jitsu-backup backup " in done.stderr
    assert bench.run("backup", "--help", "--metrics", "m").returncode == 0
    assert not (bench.folder / "m").exists()


@pytest.mark.parametrize(
    "flags", [(), ("--json",), ("--log-format", "json"), ("--json", "--log-format", "json")], ids=" ".join
)
def test_an_output_that_cannot_be_written_is_in_the_figures_and_the_log(
    flags: tuple[str, ...], bench: Bench
) -> None:
    with Path("/dev/full").open("w") as full, monitor() as (url, told):
        done: Any = subprocess.run(
            [sys.executable, "-m", "jitsu_backup", "backup", "--all", "--metrics", "m", "--ping", url, *flags],
            cwd=bench.folder, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env={**os.environ, **bench.env},
        )  # fmt: skip
    silent = flags == ("--log-format", "json")  # writes nothing there
    assert done.returncode == exit_code_in(bench.folder / "m") == (0 if silent else 1)
    assert told[-1][1].startswith(f"exit code {done.returncode}")
    assert len(bench.archives) == 2
    if not silent:
        assert problem_in(bench.folder / "m") == (
            "cannot write the output: No space left on device; free space on its disk"
        )
    if "--log-format" in flags:
        (text,) = done.stderr.splitlines()
        assert json.loads(text)["exit_code"] == done.returncode
