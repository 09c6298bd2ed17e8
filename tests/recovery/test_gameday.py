"""The game day script runs as it stands, and is clean."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.free_ports import free_ports

SCRIPT = Path(__file__).parents[2] / "docs" / "gameday.sh"


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="it uses bash and curl")
def test_a_console_is_lost_and_recovered_by_the_game_day_script(tmp_path: Path) -> None:
    environment = {
        **os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TMPDIR": str(tmp_path), "GAMEDAY_PORT": str(free_ports(2)[0]), "JITSU_HOST": "http://127.0.0.1:1",
    }  # fmt: skip
    done = subprocess.run(
        ["bash", str(SCRIPT), "4"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count("no differences") == 4
    assert "== Recovered and compared: 4 workspaces, back " in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing_in_it() -> None:
    done = subprocess.run(
        ["shellcheck", str(SCRIPT)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout
