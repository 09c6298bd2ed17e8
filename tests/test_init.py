"""`init` asks, tests each answer, writes settings that work, and leaves nothing if it is stopped."""

import configparser
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time as real_time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from jitsu_backup.archive import archives_in
from jitsu_backup.archive.retention_words import settings_of_words, words_of_settings
from jitsu_backup.cli import cli as program
from jitsu_backup.cli.init import RETENTION
from jitsu_backup.errors import UsageError
from jitsu_backup.operations import first_settings
from jitsu_backup.operations.first_settings import (
    FirstSettings,
    NewIdentity,
    begin,
    variables_of_store,
    write,
)
from jitsu_backup.operations.schedule_lines import HourlyBackup, cron_lines, kubernetes_lines, systemd_lines
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from jitsu_backup.settings import SecretText
from jitsu_backup.store import FolderStore
from tests.advice import assert_advice, last_message
from tests.serving import serving
from tests.support import ANALYST, MOMENT, OWNER, STAGING, cli, run

ROOT = Path(__file__).parents[1]
SETTINGS = "jitsu-backup.toml"
WRONG_KEY = "key1:wrong-CANARY-key"
TOKEN = "service:admintoken"
QUESTIONS = 9
SECRETS = (OWNER.partition(":")[2], "CANARY", "AGE-SECRET-KEY-1")


@pytest.fixture
def url() -> Iterator[str]:
    state = default_state()
    example_workspace(state, STAGING)
    with running(Sandbox(state, rate_limit=False)) as address:
        yield address


@pytest.fixture
def monitor() -> Iterator[tuple[str, list[str]]]:
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_address[1]}/CANARY-check", heard


def dialogue(
    folder: Path, answers: Sequence[str], *flags: str, stop_at: int | None = None, **environment: str
) -> tuple[int, str]:
    """Run init on a terminal; give an answer at each question, or Ctrl-C at the one numbered `stop_at`."""
    ours, theirs = pty.openpty()
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JITSU")}
    process = subprocess.Popen(
        [sys.executable, "-m", "jitsu_backup", *flags], stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder,
        env={**clean, "HOME": str(folder), "TERM": "dumb", "COLUMNS": "80", **environment}, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    said, seen, answered, ends = "", 0, 0, real_time.monotonic() + 120
    while real_time.monotonic() < ends:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                said += os.read(ours, 65536).decode(errors="replace")
            except OSError:
                break
            if said.endswith(": ") and len(said) > seen and not select.select([ours], [], [], 0.1)[0]:
                seen = len(said)
                if answered == stop_at:
                    process.send_signal(signal.SIGINT)
                else:
                    os.write(ours, f"{answers[answered]}\n".encode())
                answered += 1
        elif process.poll() is not None:
            break
    os.close(ours)
    code = process.wait(20)
    assert_advice(flags, code, said)
    return code, said.replace("\r\n", "\n")


def scheduled(lines: str) -> str:
    """The command of a crontab line, as cron gives it to the shell."""
    (line,) = [line for line in lines.splitlines() if line.startswith("15 * * * *")]
    return re.split(r"\s+", line, maxsplit=5)[5].replace(r"\%", "%")


def in_cron(folder: Path, command: str) -> Any:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def modes(folder: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}


def unattended(folder: Path, url: str, *flags: str, key: str = OWNER, **environment: str) -> Any:
    """Run init without a terminal."""
    return cli("--host", url, "init", *flags, env={"JITSU_APIKEY": key, **environment}, cwd=folder)


# -- on a terminal -------------------------------------------------------------------


def test_wrong_answers_are_asked_again_and_what_is_written_works(
    url: str, monitor: tuple[str, list[str]], tmp_path: Path
) -> None:
    address, heard = monitor
    (tmp_path / "file").write_text("mine")
    answers = [
        "http://127.0.0.1:9", "htp:/127.0.0.1:9", url,
        "no key", WRONG_KEY, OWNER,
        "",
        "acme-stagin", "acme-staging",
        "ftp://host/x", "file/store", "/proc/backups/a", "a store",
        "age1wrong", "new",
        "gone/key.txt", "a store/key.txt", "file", "key.txt",
        "3 fortnights", "0 daily", "7d, 2 daily",
        "ftp://CANARY", "http://127.0.0.1:9/CANARY", address,
        "",
    ]  # fmt: skip
    code, said = dialogue(tmp_path, answers, "init")
    assert code == 0, said
    for words in (
        "cannot be reached: connection refused",
        "must look like keyId:keySecret",
        "Invalid API key secret",
        "acme-production owner",
        "did you mean",
        "unknown kind of store",
        "cannot list the store",
        "not a recipient",
        "there is no folder",
        "inside the store",
        "file exists, and is never overwritten",
        "'3 fortnights' is not a retention policy",
        "keeps nothing",
        "Error: not a URL; give the address of a check",
        "the host is not an address",
        "cannot create /proc/backups: ",
        "127.0.0.1:9 cannot be reached: ",
        "Keep a copy outside the store",
    ):
        assert words in " ".join(said.split()), words
    assert " ".join(said.split()).count("Error: ") == 16
    assert (
        max(len(line) for line in said.partition("15 * * * *")[0].splitlines() if str(tmp_path) not in line)
        <= 80
    )
    assert not [secret for secret in SECRETS if secret in said]
    assert modes(tmp_path / "a store") == {0o600}
    names = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert names == {"file", "key.txt", SETTINGS, "jitsu-backup.key", "jitsu-backup.ping"}
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in names - {"file"}} == {0o600}
    document = tomllib.loads((tmp_path / SETTINGS).read_text())
    assert (document["host"], document["workspace"]) == (url, "acme-staging")
    assert document["retention"] == {"keep_within": "7d", "keep_daily": 2}
    assert not [secret for secret in SECRETS if secret in (tmp_path / SETTINGS).read_text()]
    assert heard == ["/CANARY-check"]

    for arguments in (("check",), ("check", "--config"), ("--config", SETTINGS, "check", "acme-production")):
        checked = cli(*arguments, cwd=tmp_path)
        assert checked.returncode == 0, checked.stderr
    done = in_cron(tmp_path, scheduled(said))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert heard[-1] == "/CANARY-check"
    (archive,) = archives_in(run(FolderStore(str(tmp_path / "a store")).listing()))
    assert archive.encrypted
    shown = cli("show", "latest", "--identity", "key.txt", cwd=tmp_path)
    assert (shown.returncode, "acme-staging" in shown.stdout) == (0, True), shown.stderr


def test_enter_takes_the_defaults_and_a_key_that_is_set_is_not_asked_for(url: str, tmp_path: Path) -> None:
    code, said = dialogue(tmp_path, [""] * QUESTIONS, "init", JITSU_HOST=url, JITSU_APIKEY=OWNER)
    assert code == 0, said
    assert "API key, keyId:keySecret, as it is set" in said
    document = tomllib.loads((tmp_path / SETTINGS).read_text())
    assert document["retention"] == RETENTION
    assert document["store"] == str(tmp_path / "jitsu-backups")
    assert "workspace" not in document
    assert (tmp_path / "jitsu-backup-identity.txt").exists()
    assert f"jitsu-backup --config={tmp_path / SETTINGS} backup --all\n" in said
    assert in_cron(tmp_path, scheduled(said)).returncode == 0
    assert len(archives_in(run(FolderStore(str(tmp_path / "jitsu-backups")).listing()))) == 2


@pytest.mark.parametrize("question", range(QUESTIONS))
def test_ctrl_c_at_a_question_leaves_nothing(question: int, url: str, tmp_path: Path) -> None:
    answers = [url, OWNER, "", "", "", "", "", "", ""]
    code, said = dialogue(tmp_path, answers, "init", stop_at=question)
    assert (code, said.rstrip().endswith("\njitsu-backup: interrupted")) == (130, True), said
    assert list(tmp_path.iterdir()) == []


def test_no_at_the_end_leaves_nothing(url: str, tmp_path: Path) -> None:
    answers = [url, OWNER, "", "", "", "none", "all", "", "n"]
    code, said = dialogue(tmp_path, answers, "init")
    assert (code, "nothing was written" in said) == (1, True), said
    assert list(tmp_path.iterdir()) == []


def test_without_a_file_for_the_key_the_settings_refer_to_the_environment(url: str, tmp_path: Path) -> None:
    answers = [url, OWNER, "n", "", "", "none", "all", "", ""]
    code, said = dialogue(tmp_path, answers, "init")
    assert code == 0, said
    assert tomllib.loads((tmp_path / SETTINGS).read_text())["key"] == {"env": "JITSU_APIKEY"}
    assert {path.name for path in tmp_path.iterdir()} == {SETTINGS, "jitsu-backups"}
    environment = tmp_path / "jitsu-backup.env"
    assert f"Write the line JITSU_APIKEY=keyId:keySecret into {environment}." in said
    environment.write_text(f"JITSU_APIKEY={OWNER}\n")
    assert in_cron(tmp_path, scheduled(said)).returncode == 0


# -- without a terminal --------------------------------------------------------------


def test_the_printed_lines_are_the_result_and_nothing_secret_is_in_them(url: str, tmp_path: Path) -> None:
    done = unattended(
        tmp_path, url, "--workspace", "acme-staging", "--workspace", "acme-production", "--store", "100% mine",
        "--new-identity", "key.txt", "--keep-daily", "3", "--time-zone", "Europe/Berlin", "--yes",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not [secret for secret in SECRETS if secret in done.stdout + done.stderr]
    assert "without this key, no archive can be read" in done.stderr
    assert all(line.startswith(("# ", "15 * * * * ")) for line in done.stdout.splitlines())
    assert tomllib.loads((tmp_path / SETTINGS).read_text())["retention"] == {
        "keep_daily": 3,
        "time_zone": "Europe/Berlin",
    }
    ran = in_cron(tmp_path, scheduled(done.stdout))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    found = archives_in(run(FolderStore(str(tmp_path / "100% mine")).listing()))
    assert {archive.slug for archive in found} == {"acme-staging", "acme-production"}


def test_what_no_flag_sets_is_left_out(url: str, tmp_path: Path) -> None:
    done = unattended(tmp_path, url, "--all", "--yes", "--json", "--schedule", "systemd")
    assert done.returncode == 0, done.stderr
    for warning in ("archives are not encrypted", "no monitor is set", "no retention is set"):
        assert warning in done.stderr
    document = tomllib.loads((tmp_path / SETTINGS).read_text())
    assert document.keys() == {"host", "key", "store"}
    told = json.loads(done.stdout)
    assert told["written"] == [str(tmp_path / "jitsu-backup.key"), str(tmp_path / SETTINGS)]
    assert (told["workspaces"], told["schedule"]) == (None, "systemd")
    assert "--prune" not in told["lines"]


@pytest.mark.parametrize(
    ("flags", "key", "code", "words"),
    [
        ((), "", 2, "give JITSU_APIKEY or JITSU_ADMIN_TOKEN, and --workspace SLUG or --all, and --yes"),
        (("--all",), OWNER, 2, "give --yes"),
        (("--all", "--yes", "--schedule", "kubernetes"), OWNER, 2, "give --store with a bucket or the path of a volume"),
        (("--all", "--workspace", "acme-staging", "--yes"), OWNER, 2, "give one of them"),
        (("--workspace", "", "--yes"), OWNER, 2, "no workspace is named"),
        (("--workspace", "acme", "--yes"), OWNER, 2, "sees no workspace 'acme'"),
        (("--all", "--yes"), WRONG_KEY, 6, "Invalid API key secret"),
        (("--all", "--yes", "--store", "ftp://x"), OWNER, 2, "unknown kind of store"),
        (("--all", "--yes", "--encrypt-to", "age1wrong"), OWNER, 2, "not a recipient"),
        (("--all", "--yes", "--new-identity", "jitsu-backup.toml"), OWNER, 2, "writes beside it"),
        (("--all", "--yes", "--keep-last", "0"), OWNER, 2, "keeps nothing"),
        (("--all", "--yes", "--time-zone", "Mars"), OWNER, 2, "time zone"),
        (("--all", "--yes", "--ping", "http://127.0.0.1:9/CANARY"), OWNER, 1, "cannot be reached: connection refused"),
        (("--all", "--yes"), TOKEN, 2, "encrypt its archives"),
    ],
)  # fmt: skip
def test_what_is_wrong_ends_with_one_line_and_leaves_nothing(
    flags: tuple[str, ...], key: str, code: int, words: str, url: str, tmp_path: Path
) -> None:
    environment = {"JITSU_ADMIN_TOKEN" if key == TOKEN else "JITSU_APIKEY": key} if key else {}
    done = cli("--host", url, "init", *flags, env=environment, cwd=tmp_path)
    last, *command = last_message(done.stderr).splitlines()
    assert (done.returncode, done.stdout, words in last) == (code, "", True), done.stderr
    assert all(line.startswith("  jitsu-backup ") for line in command)
    assert not [secret for secret in SECRETS if secret in done.stderr]
    assert [path.name for path in tmp_path.iterdir() if path.name != "jitsu-backups"] == []


@pytest.mark.parametrize("name", [SETTINGS, "jitsu-backup.key"])
def test_an_existing_file_is_never_overwritten(name: str, url: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    done = unattended(tmp_path, url, "--all", "--yes")
    assert (done.returncode, f"{name} exists, and is never overwritten" in done.stderr) == (2, True), (
        done.stderr
    )
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_a_key_goes_only_to_the_console_that_its_source_names(url: str, tmp_path: Path) -> None:
    done = unattended(tmp_path, url, "--all", "--yes", JITSU_HOST="https://other.example")
    assert (done.returncode, "never sent elsewhere" in done.stderr) == (2, True), done.stderr


def test_a_store_with_archives_keeps_all_that_is_in_it(url: str, tmp_path: Path) -> None:
    environment = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
    assert (
        cli("backup", "acme-staging", "--store", "s", "--new-store", env=environment, cwd=tmp_path).returncode
        == 0
    )
    before = {path.name: path.read_bytes() for path in (tmp_path / "s").iterdir()}
    assert unattended(tmp_path, url, "--all", "--yes", "--store", "s").returncode == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "s").iterdir()} == before


@pytest.mark.skipif(not shutil.which("bash"), reason="the page uses bash")
def test_the_page_runs_as_written(url: str, tmp_path: Path) -> None:
    (block,) = re.findall(
        r"```sh\n(.*?)```", (ROOT / "docs" / "init.md").read_text(encoding="utf-8"), re.DOTALL
    )
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT),
        "JITSU_HOST": url, "JITSU_APIKEY": OWNER,
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-ec", block], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert scheduled((tmp_path / "crontab.txt").read_text())


# -- pieces --------------------------------------------------------------------------


def first_settings_in(folder: Path) -> FirstSettings:
    identity = NewIdentity.generate(folder / "identity.txt", MOMENT)
    return FirstSettings(
        path=folder / SETTINGS, host="https://jitsu.example.com", key=SecretText(OWNER), store="s3://bucket/p",
        recipients=[identity.recipient], identity=identity, variables={"AWS_REGION": SecretText("x")},
    )  # fmt: skip


def test_the_gitignore_of_a_promotion_leaves_out_every_secret_that_init_writes(tmp_path: Path) -> None:
    first = replace(first_settings_in(tmp_path), ping=SecretText("https://monitor.example/x"))
    lines = (ROOT / "docs" / "promotion" / "gitignore").read_text().splitlines()
    names = {path.name for path in first.files()} - {SETTINGS} | {"jitsu-backup-identity.txt"}
    assert len(names) == 5
    assert [name for name in names if not any(fnmatch(name, line) for line in lines)] == []


def test_files_that_were_written_without_settings_are_named(monkeypatch: Any, tmp_path: Path) -> None:
    first, write_new = first_settings_in(tmp_path), first_settings.write_new_file

    def late(path: Path, data: bytes) -> bool:
        return path.name != SETTINGS and write_new(path, data)

    def stopped(path: Path, data: bytes) -> bool:
        if path.name == SETTINGS:
            raise KeyboardInterrupt
        return write_new(path, data)

    for number, (writer, kind) in enumerate(((late, UsageError), (stopped, KeyboardInterrupt))):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.setattr(first_settings, "write_new_file", writer)
        with pytest.raises(kind, match=r"written without settings: .*identity\.txt, .*\.key, .*\.env$"):
            write(first_settings_in(folder))
    assert "AGE-SECRET" not in repr(first)
    assert OWNER not in repr(first)


def test_a_store_that_cannot_be_written_to_is_reported_though_it_was_begun(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(first_settings.BackupError):
        run(begin(FolderStore(str(tmp_path / "file")), lambda: MOMENT))


def test_variables_of_a_store_are_those_of_its_kind_that_need_no_quotes() -> None:
    given = {
        "AWS_REGION": "eu",
        "AWS_SECRET_ACCESS_KEY": "a+b/c=",
        "AWS_ODD": "a b",
        "AWS_EMPTY": "",
        "HOME": "/",
    }
    plain, others = variables_of_store("s3://bucket/p", given)
    assert (sorted(plain), others) == (["AWS_REGION", "AWS_SECRET_ACCESS_KEY"], ["AWS_ODD"])
    assert variables_of_store("/folder", given) == ({}, [])


def test_a_retention_is_read_as_it_is_written() -> None:
    assert settings_of_words(words_of_settings(RETENTION)) == RETENTION
    assert settings_of_words("3 LAST,1yearly") == {"keep_last": 3, "keep_yearly": 1}
    assert settings_of_words("6mo") == {"keep_within": "6mo"}
    for wrong in ("", "7", "7d, 2w", "daily", "14 daily 3 weekly"):
        with pytest.raises(UsageError):
            settings_of_words(wrong)


def job_in(folder: str, **more: Any) -> HourlyBackup:
    given = {"program": ["/opt/x y/jitsu-backup"], "settings": Path(folder) / SETTINGS, "user": "me", **more}
    return HourlyBackup(**given)


def test_the_lines_advise_a_monitor_only_where_the_settings_have_none() -> None:
    for pings in (False, True):
        job = job_in("/etc/jitsu", pings=pings)
        assert ("use a monitor" in cron_lines(job), "without a monitor" in systemd_lines(job)) == (
            not pings,
            not pings,
        )


def arguments_of(words: list[str]) -> dict[str, Any]:
    command = program.get_command(click.Context(program), "backup")
    assert command is not None
    with program.make_context("jitsu-backup", [*words]) as context:
        return command.make_context("backup", words[words.index("backup") + 1 :], parent=context).params


@pytest.mark.parametrize("folder", ["/etc/jitsu", '/home/o\'hara/100% "odd" $HOME'])
def test_the_lines_of_each_scheduler_run_one_command(folder: str) -> None:
    job = job_in(
        folder, workspaces=["acme", "on"], prunes=True, in_clear=True, environment=Path(folder) / "jitsu.env",
        secrets=[Path(folder) / "jitsu-backup.key"], store=f"{folder}/store",
    )  # fmt: skip
    line = cron_lines(job).splitlines()[-1]
    words = shlex.split(re.split(r"\s+", line, maxsplit=5)[5].replace(r"\%", "%"))
    assert words[:4] == ["set", "-a;", ".", f"{folder}/jitsu.env;"]
    assert words[4] == "/opt/x y/jitsu-backup"
    ran = words[5 : words.index("2>&1")]

    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=["="])
    unit.read_string(systemd_lines(job).partition("# /etc/systemd/system/jitsu-backup.timer")[0])
    started = shlex.split(unit["Service"]["ExecStart"].replace("%%", "%").replace("$$", "$"))
    assert started[0] == "/opt/x y/jitsu-backup"

    manifest = yaml.safe_load(kubernetes_lines(job))
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    pod = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {
        "/etc/jitsu-backup",
        f"{folder}/store",
    }
    assert container["envFrom"] == [{"secretRef": {"name": "jitsu-backup-environment"}}]

    for found, settings in (
        (ran, f"{folder}/{SETTINGS}"),
        (started[1:], f"{folder}/{SETTINGS}"),
        (container["args"], f"/etc/jitsu-backup/{SETTINGS}"),
    ):
        params = arguments_of(found)
        assert (params["places"], params["if_changed"], params["prune"]) == (("acme", "on"), True, True)
        assert str(params["config"]) == settings
        assert found[0] == "--insecure-http"


def test_a_job_without_more_needs_no_more() -> None:
    job = job_in("/etc/jitsu")
    for lines in (cron_lines(job), systemd_lines(job), kubernetes_lines(job)):
        assert "--all" in lines
        for name in (
            "--prune", "EnvironmentFile", "jitsu-backup-environment", "--insecure-http", "\nReadWritePaths",
            "PersistentVolumeClaim", "--new-store",
        ):  # fmt: skip
            assert name not in lines, name


def test_the_lines_for_kubernetes_begin_a_store_in_a_volume_and_the_others_name_who_hears() -> None:
    job = job_in("/etc/jitsu", store="/var/store")
    assert "| sed 's/--if-changed/--new-store/' | kubectl apply -f -\n" in kubernetes_lines(job)
    assert "#OnFailure=" in systemd_lines(job)
    assert "\n# MAILTO=" in cron_lines(job)


# -- check ---------------------------------------------------------------------------


def test_check_without_a_workspace_says_what_the_key_sees_and_its_roles(url: str, tmp_path: Path) -> None:
    environment = {"JITSU_HOST": url, "JITSU_APIKEY": ANALYST}
    done = cli("check", env=environment, cwd=tmp_path)
    assert (done.returncode, "role         analyst: acme-" in done.stdout) == (0, True), done.stdout
    found = json.loads(cli("--json", "check", env=environment, cwd=tmp_path).stdout)["workspaces"]
    assert {each["role"] for each in found} == {"analyst"}
