"""`watch` as a process: it asks a real server, writes lines, figures and pings, and ends on a signal with 0."""

import asyncio
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import decode
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from jitsu_backup.store import folder_lock
from tests.support import STAGING
from tests.unattended.workbench import ROOT, Bench, monitor, samples


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    state = default_state()
    example_workspace(state, STAGING)
    with running(Sandbox(state)) as url:
        yield Bench(state, url, tmp_path)


def process_env(bench: Bench) -> dict[str, str]:
    own = ("PYTHON", "LC_", "LANG", "PATH")
    kept = {name: value for name, value in os.environ.items() if name.startswith(own)}
    return {**kept, **bench.env, "HOME": str(bench.folder)}


@contextmanager
def watching(bench: Bench, *arguments: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A watch that runs while the context lasts; it is killed at its end, if it is still there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "jitsu_backup", "watch", *arguments], cwd=bench.folder, text=True,
        env=process_env(bench) | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(there: Any, seconds: float = 60.0) -> None:
    """Wait until something is there."""
    ends = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.05)


def test_whoever_holds_the_folder_of_the_figures_holds_up_neither_the_watch_nor_its_end(bench: Bench) -> None:
    figures = bench.folder / "figures"
    figures.mkdir()
    with (
        folder_lock(figures),
        watching(bench, "--all", "--new-store", "--metrics", "figures/w.prom") as process,
    ):
        until(lambda: len(bench.archives) == 2)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == 0
    assert not [*figures.iterdir()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_backs_up_a_change_and_ends_on_a_signal_with_0(bench: Bench, number: signal.Signals) -> None:
    with monitor() as (ping, told):
        flags = (
            "--all",
            "--new-store",
            "--settle",
            "1s",
            "--log-format",
            "json",
            "--metrics",
            "watch.prom",
            "--ping",
            ping,
        )
        with watching(bench, *flags) as process:
            until(lambda: len(bench.archives) == 2 and len(told) > 1)
            row = next(bench.state.live_objects(STAGING, "function"))
            row.config["code"], row.updated_at = "export default 2", bench.state.now()
            until(lambda: len(bench.archives) == 3)
            began = time.monotonic()
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
            took = time.monotonic() - began
    assert process.returncode == 0
    assert took < 5
    lines = [json.loads(line) for line in err.splitlines()]
    assert "2 workspaces asked every 3 s" in " ".join(line["message"] for line in lines)
    changed = next(line for line in lines if "seconds" in line)
    assert changed["workspace"] == "acme-staging"
    assert changed["archive"] in {str(archive) for archive in bench.archives}
    assert (lines[-1]["command"], lines[-1]["exit_code"]) == ("watch", 0)
    assert {path.partition("?")[0].rpartition("/")[2] for path, _ in told} == {"start", "CANARY"}
    figures = {one.name: one.value for one in samples(bench.folder / "watch.prom")}
    assert figures["jitsu_backup_run_exit_code"] == 0
    assert "jitsu_backup_newest_archive_timestamp_seconds" in figures


LOADING = """
import os, signal, sys
from jitsu_backup.__main__ import main

class Meanwhile:
    def find_spec(self, name, path=None, target=None):
        if name == "{name}":
            os.kill(os.getpid(), signal.{number})

sys.meta_path.insert(0, Meanwhile())
main()
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(
    "name", ["click", "jitsu_backup.cli.app", "jitsu_backup.cli.watch", "jitsu_backup.store.folder"]
)
def test_a_signal_while_the_program_is_loaded_ends_it_as_later(bench: Bench, name: str, number: str) -> None:
    program = LOADING.format(name=name, number=number)
    done = subprocess.run(
        [sys.executable, "-c", program, "watch", "--all", "--new-store"], cwd=bench.folder, env=process_env(bench),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert re.fullmatch(r"\S+Z info: ended; 0 workspaces were watched\n", done.stderr)
    assert bench.archives == []


def test_a_signal_while_a_command_that_has_such_a_word_is_loaded_ends_it_with_130(bench: Bench) -> None:
    program = LOADING.format(name="jitsu_backup.cli.backup", number="SIGTERM")
    done = subprocess.run(
        [sys.executable, "-c", program, "backup", "watch", "--new-store"], cwd=bench.folder, env=process_env(bench),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "")


def test_a_signal_while_a_monitor_does_not_answer_ends_it_as_later(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/CANARY"
        with watching(bench, "--all", "--new-store", "--log-format", "json", "--ping", address) as process:
            silent.settimeout(60)
            hanging, _ = silent.accept()
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=60)
            hanging.close()
    assert process.returncode == 0
    last = json.loads(err.splitlines()[-1])
    assert (last["exit_code"], last["message"]) == (0, "ended; 0 workspaces were watched")


def test_a_key_that_is_refused_is_told_to_the_monitor_at_once_and_it_continues(bench: Bench) -> None:
    with (
        monitor() as (ping, told),
        watching(bench, "--all", "--new-store", "--ping", ping, JITSU_APIKEY="key1:x") as process,
    ):
        until(lambda: any("/fail" in path for path, _ in told))
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "error: the list of workspaces:" in err
    assert "exit code 6" in told[-1][1]
    assert "create a new API key" in told[-1][1]


def test_killed_in_the_middle_of_a_backup_it_leaves_nothing_half_and_continues(tmp_path: Path) -> None:
    sandbox = Sandbox(default_state())
    example_workspace(sandbox.state, STAGING)
    with running(sandbox) as url:
        bench = Bench(sandbox.state, url, tmp_path)
        bench.run("--new-store", "backup", "acme-staging")
        row = next(bench.state.live_objects(STAGING, "function"))
        row.config["code"], row.updated_at = "export default 2", bench.state.now()
        with watching(bench, "acme-staging") as process:
            sandbox.requests.clear()
            until(lambda: any(one.path.endswith("/config/function") for one in sandbox.requests))
            process.kill()
            process.communicate()
        with watching(bench, "acme-staging") as process:
            until(lambda: len(bench.archives) == 2)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
        newest = decode((tmp_path / "jitsu-backups" / str(bench.archives[-1])).read_bytes())
    assert process.returncode == 0
    assert "export default 2" in [one.body.get("code") for one in newest.of_type("function")]


@pytest.mark.parametrize(("flags", "told"), [((), False), (("--verbose",), True)])
def test_what_is_tried_again_is_told_only_who_wants_to_know(
    bench: Bench, flags: tuple[str, ...], told: bool
) -> None:
    with watching(bench, "--all", "--new-store", *flags, JITSU_HOST="http://127.0.0.1:9") as process:
        assert process.stderr is not None
        lines = [process.stderr.readline()]
        while "error: " not in lines[-1]:
            lines.append(process.stderr.readline())
            assert lines[-1], "it has ended"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert any("trying again" in line for line in lines) is told


@pytest.mark.parametrize("flags", [("--all", "acme-staging"), ("--settle", "soon"), ("--full-every", "1s")])
def test_wrong_usage_ends_it_with_2(bench: Bench, flags: tuple[str, ...]) -> None:
    assert bench.run("watch", *flags).returncode == 2


def test_a_store_that_was_never_begun_is_reported_and_waited_for(bench: Bench) -> None:
    with watching(bench, "--all", "--store", str(bench.folder / "mount")) as process:
        assert process.stderr is not None
        told = ""
        while "error: the store:" not in told:
            told = process.stderr.readline()
            assert told, "it has ended"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert not (bench.folder / "mount").exists()


PAGE = (ROOT / "docs/watch.md").read_text(encoding="utf-8")


def test_the_line_of_the_page_runs_as_written(bench: Bench) -> None:
    (line,) = re.findall(r"```sh\njitsu-backup watch (.*)\n```", PAGE)
    with watching(bench, *shlex.split(line)) as process:
        until(lambda: len(bench.archives) == 2)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    shown = re.findall(r"^\S+Z (info: 1 workspace asked .*)$", PAGE, re.MULTILINE)
    assert len(shown) == 1
    assert shown[0].replace("1 workspace ", "2 workspaces ").replace("12 s", "13 s") in err
    assert "acme-staging: backed up: 21 entities" in err


def test_the_program_of_the_page_runs_as_written(bench: Bench) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    bench.run("backup", "acme-staging")
    for old, new in {
        "https://jitsu.example.com": bench.url, "keyId:keySecret": bench.env["JITSU_APIKEY"],
        "/var/backups/jitsu": str(bench.folder / "jitsu-backups"), "acme-production": "acme-staging",
    }.items():  # fmt: skip
        program = program.replace(old, new)
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102  as written

    async def told() -> None:
        stop = asyncio.Event()
        running = asyncio.ensure_future(names["main"](stop))
        await asyncio.sleep(3)
        row = next(bench.state.live_objects(STAGING, "function"))
        row.config["code"], row.updated_at = "export default 2", bench.state.now()
        await asyncio.to_thread(until, lambda: len(bench.archives) == 2)
        stop.set()
        await running

    asyncio.run(told())
    assert len(bench.archives) == 2
