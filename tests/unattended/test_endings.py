"""Runs that are ended from outside, and outputs that cannot be written."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.sandbox import Sandbox, default_state, example_workspace
from tests.faults import Call, Faults
from tests.support import OWNER, STAGING
from tests.unattended.workbench import Bench, monitor

INTERRUPTED = (
    r"exit code 130: interrupted( \(console \S+: [^)]+\))?; the next run continues with what is left"
)


def test_a_background_job_of_a_script_hears_sigterm(tmp_path: Path) -> None:
    with monitor() as (url, told):
        hanging = socket.create_server(("127.0.0.1", 0))
        script = f"{sys.executable} -m jitsu_backup --timeout 50 backup x --ping {url} & P=$!; read line; kill -TERM $P; wait $P"
        process = subprocess.Popen(
            ["sh", "-c", script], cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "JITSU_HOST": f"http://127.0.0.1:{hanging.getsockname()[1]}", "JITSU_APIKEY": OWNER},
        )  # fmt: skip
        with hanging, hanging.accept()[0]:
            _, err = process.communicate("go\n", timeout=60)
    assert process.returncode == 130, err
    assert re.fullmatch(INTERRUPTED, told[-1][1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_run_that_is_ended_from_outside_tells_the_monitor_and_leaves_nothing_half_written(
    number: signal.Signals, tmp_path: Path
) -> None:
    state = default_state()
    example_workspace(state, STAGING)
    sandbox = Sandbox(state, rate_limit=False)
    reached = threading.Event()

    def choose(_call: Call) -> None:
        reached.set()
        time.sleep(0.2)

    with Faults(sandbox.app, choose).running() as host, monitor() as (url, told):
        process = subprocess.Popen(
            [sys.executable, "-m", "jitsu_backup", "backup", "acme-staging", "--ping", url],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "JITSU_HOST": host, "JITSU_APIKEY": OWNER},
        )  # fmt: skip
        assert reached.wait(30)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert told[-1][0] == "/ping/CANARY/fail?create=1"
    assert re.fullmatch(INTERRUPTED, told[-1][1])
    assert "Traceback" not in err
    assert not (tmp_path / "jitsu-backups").exists()


ENDED_AT_THE_HUNDREDTH = """
import os, signal
from jitsu_backup.cli import main
from jitsu_backup.store import FolderStore

remove, removed = FolderStore.remove, []

async def counted(store, name):
    removed.append(name)
    if len(removed) == 100:
        os.kill(os.getpid(), signal.SIGTERM)
    await remove(store, name)

FolderStore.remove = counted
main(["prune", "--keep-last", "1"])
"""


def test_sigterm_ends_the_pruning_of_a_folder_of_thousands_at_the_file_that_it_is_at(tmp_path: Path) -> None:
    folder = tmp_path / "jitsu-backups"
    folder.mkdir()
    for number in range(12_000):
        taken_at = datetime(2025, 1, 1) + timedelta(hours=number)
        name = f"acme.w1.{taken_at:%Y%m%dT%H%M%S}Z.{number:012x}.7_4stream.json.gz"
        (folder / name).write_bytes(b"x")
    done = subprocess.run(
        [sys.executable, "-c", ENDED_AT_THE_HUNDREDTH], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert "interrupted" in done.stderr
    assert len(list(folder.iterdir())) == 11_900


@contextlib.contextmanager
def dead_pipe() -> Iterator[Any]:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as file:  # noqa: PTH123  a descriptor, not a path
        yield file


@pytest.mark.parametrize("flags", [(), ("-q",), ("--log-format", "json")], ids=" ".join)
@pytest.mark.parametrize("where", ["a full disk", "a dead pipe"])
def test_a_backup_is_made_where_nothing_can_be_told_on_standard_error(
    where: str, flags: tuple[str, ...], bench: Bench
) -> None:
    arguments = ["backup", "acme-staging", *flags, "--ping", "http://127.0.0.1:9/x"]
    with Path("/dev/full").open("w") if where == "a full disk" else dead_pipe() as stderr:
        done = subprocess.run(
            [sys.executable, "-m", "jitsu_backup", *arguments], cwd=bench.folder, timeout=120, check=False,
            stdout=subprocess.DEVNULL, stderr=stderr, env={**os.environ, **bench.env},
        )  # fmt: skip
    assert done.returncode == 0
    assert len(bench.archives) == 1


def test_a_backup_is_made_whose_terminal_goes_away_under_its_bars(tmp_path: Path) -> None:
    state = default_state()
    example_workspace(state, STAGING)
    sandbox = Sandbox(state, rate_limit=False)
    gone = threading.Event()
    screen, terminal = os.openpty()
    with Faults(sandbox.app, lambda _call: gone.wait(30) and None).running() as host:
        process = subprocess.Popen(
            [sys.executable, "-m", "jitsu_backup", "backup", "acme-staging"], cwd=tmp_path, stderr=terminal,
            stdout=subprocess.DEVNULL, env={**os.environ, "JITSU_HOST": host, "JITSU_APIKEY": OWNER, "TERM": "xterm"},
        )  # fmt: skip
        os.close(terminal)
        os.read(screen, 1)  # the first bar
        os.close(screen)
        gone.set()
        assert process.wait(60) == 0
    assert len(list((tmp_path / "jitsu-backups").glob("*.json.gz"))) == 1


ENDING = """
import atexit, os, signal, sys
from jitsu_backup.cli import main

class Last:
    def __del__(self, kill=os.kill, me=os.getpid(), number=signal.{number}):
        kill(me, number)

kept = Last()
sys.kept = kept
atexit.register(lambda: os.kill(os.getpid(), signal.{number}))
main(["--version"])
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_while_the_interpreter_ends_changes_nothing(number: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDING.format(number=number)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


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
@pytest.mark.parametrize("name", ["click", "orjson"])
def test_a_signal_before_the_command_begins_ends_it_with_130_and_without_a_word(
    name: str, number: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADING.format(name=name, number=number), "snapshots"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
