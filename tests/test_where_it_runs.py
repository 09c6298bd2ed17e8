"""A working folder that is gone, and standard output in the place of a file."""

import gzip
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from jitsu_backup.archive import decode
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from tests.support import OWNER, STAGING, cli


@pytest.fixture(scope="module")
def env() -> Iterator[dict[str, str]]:
    state = default_state()
    example_workspace(state, STAGING)
    with running(Sandbox(state, rate_limit=False)) as url:
        yield {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}


def nowhere(folder: Path, *arguments: str, env: dict[str, str]) -> Any:
    """Run the command line in a folder that is gone."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JITSU")}
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    return subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-m", "jitsu_backup", *arguments],
        cwd=folder, env={**clean, "HOME": str(folder), **env}, capture_output=True, text=True, timeout=120,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_in_a_working_folder_that_is_gone_whole_paths_do(tmp_path: Path, env: dict[str, str]) -> None:
    store = ("--store", str(tmp_path / "store"))
    lines = [
        ((*store, "--new-store", "backup", "acme-staging"), 0),
        ((*store, "snapshots"), 0),
        ((*store, "restore", "latest", "--dry-run"), 0),
        (("backup", "acme-staging", "--output", str(tmp_path / "a.json.gz")), 0),
        (("show", str(tmp_path / "a.json.gz")), 0),
    ]
    for line, code in lines:
        done = nowhere(tmp_path, *line, env=env)
        assert (done.returncode, "mistake" in done.stderr) == (code, False), (line, done.stderr)


@pytest.mark.parametrize(
    "line",
    [
        ("snapshots",),
        ("backup", "acme-staging"),
        ("--store", "here", "snapshots"),
        ("backup", "acme-staging", "--output", "x.gz"),
        ("show", "./x.gz"),
        ("pack", "folder", "--output", "x.gz"),
    ],
)
def test_in_a_working_folder_that_is_gone_relative_paths_fail_and_say_so(
    line: tuple[str, ...], tmp_path: Path, env: dict[str, str]
) -> None:
    done = nowhere(tmp_path, *line, env=env)
    assert done.returncode == 1
    assert "the working folder no longer exists" in done.stderr


def test_an_archive_can_go_to_standard_output_and_nothing_else_does(
    tmp_path: Path, env: dict[str, str]
) -> None:
    out = tmp_path / "out"
    with out.open("wb") as file:
        line = [sys.executable, "-m", "jitsu_backup", "backup", "acme-staging", "--output", "-"]
        done = subprocess.run(
            line, env={**os.environ, **env}, cwd=tmp_path, stdout=file, stderr=-1, check=False
        )
    assert done.returncode == 0
    assert orjson.loads(gzip.decompress(out.read_bytes()))
    assert decode(out.read_bytes()).manifest.complete
    assert b"acme-staging: " in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    with out.open("rb") as file:
        again = subprocess.run(
            [*line[:3], "show", "/dev/stdin"], stdin=file, capture_output=True, check=False
        )
    assert again.returncode == 0


def test_a_packed_folder_can_go_to_standard_output(tmp_path: Path, env: dict[str, str]) -> None:
    cli("backup", "acme-staging", "--output", "a.json.gz", env=env, cwd=tmp_path)
    cli("unpack", "a.json.gz", "tree", cwd=tmp_path)
    line = [sys.executable, "-m", "jitsu_backup", "pack", "tree", "--output", "-"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0
    assert decode(done.stdout) == decode((tmp_path / "a.json.gz").read_bytes())


def test_an_archive_goes_to_no_terminal_and_not_where_json_goes(tmp_path: Path, env: dict[str, str]) -> None:
    done = cli("--json", "backup", "acme-staging", "--output", "-", env=env, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    terminal, end = pty.openpty()
    line = [sys.executable, "-m", "jitsu_backup", "backup", "acme-staging", "--output", "-"]
    shown = subprocess.run(line, env={**os.environ, **env}, cwd=tmp_path, stdout=end, stderr=-1, check=False)
    os.close(end)
    os.close(terminal)
    assert shown.returncode == 2
    assert b"standard output is a terminal" in shown.stderr


def test_an_archive_that_nobody_reads_is_a_failure(tmp_path: Path, env: dict[str, str]) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    line = [sys.executable, "-m", "jitsu_backup", "backup", "acme-staging", "--output", "-"]
    done = subprocess.run(
        line, env={**os.environ, **env}, cwd=tmp_path, stdout=writes, stderr=-1, check=False
    )
    os.close(writes)
    assert done.returncode == 1
    assert b"cannot write the archive to standard output" in done.stderr


@pytest.mark.parametrize(
    "line",
    [
        ("backup", "acme-staging", "--metrics", "-"),
        ("clone", "a", "b", "--keys-out", "-"),
        ("clone", "a", "b", "--overlay-out", "-"),
        ("clone", "a", "b", "--html", "-"),
    ],
)
def test_no_file_is_called_by_a_hyphen(line: tuple[str, ...], tmp_path: Path, env: dict[str, str]) -> None:
    done = cli(*line, env=env, cwd=tmp_path)
    assert done.returncode == 2
    assert "only --output can write to standard output" in done.stderr
    assert not list(tmp_path.iterdir())
