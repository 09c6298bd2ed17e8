"""`watch` as a process: it asks a real server, writes lines, figures and pings, and ends on a signal with 0."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from tests.support import STAGING
from tests.unattended.workbench import Bench, monitor, samples


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    state = default_state()
    example_workspace(state, STAGING)
    with running(Sandbox(state)) as url:
        yield Bench(state, url, tmp_path)


@contextmanager
def watching(bench: Bench, *arguments: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A watch that runs while the context lasts; it is killed at its end, if it is still there."""
    import os

    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("PYTHON", "LC_", "LANG", "PATH"))
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "jitsu_backup", "watch", *arguments], cwd=bench.folder, text=True,
        env={**kept, **bench.env, "HOME": str(bench.folder), **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
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


def test_a_key_that_is_refused_is_told_to_the_monitor_at_once_and_it_goes_on(bench: Bench) -> None:
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
    assert "exit code 3" in told[-1][1]


@pytest.mark.parametrize("flags", [("--all", "acme-staging"), ("--settle", "soon"), ("--full-every", "1s")])
def test_wrong_usage_ends_it_with_2(bench: Bench, flags: tuple[str, ...]) -> None:
    assert bench.run("watch", *flags).returncode == 2


def test_a_store_that_was_never_begun_is_told_and_waited_for(bench: Bench) -> None:
    with watching(bench, "--all", "--store", str(bench.folder / "mount")) as process:
        time.sleep(3)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert "error: the store:" in err
    assert not (bench.folder / "mount").exists()
