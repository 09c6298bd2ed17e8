"""New write keys are never lost, and in no log unasked."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.sandbox import Sandbox, running
from tests.faults import Call, Faults
from tests.restores.kit import typed
from tests.support import OWNER, PRODUCTION, writes

CLONE = ("clone", "acme-staging", "acme-production", "--skip", "domain/*", "--allow-missing-secrets")


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    with running(sandbox) as url:
        yield url


def keys_made(sandbox: Sandbox) -> set[str]:
    """The ids of the write keys that the target's streams have."""
    return {
        str(key["id"])
        for stream in sandbox.state.live_objects(PRODUCTION, "stream")
        for name in ("publicKeys", "privateKeys")
        for key in stream.config.get(name, ())
    }


def kept(folder: Path) -> set[str]:
    """The ids of the keys in the one new file, which nobody else can read."""
    (path,) = folder.glob("jitsu-backup-keys-*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    return {key["key_id"] for key in json.loads(path.read_text())["stream_keys"]}


def test_without_a_terminal_a_run_that_makes_keys_is_blocked_before_anything_is_sent(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    done = shell(*CLONE, "--yes")
    assert done.returncode == 7
    assert "add --keys-out keys.json" in done.stderr
    assert writes(sandbox) == 0
    assert not (tmp_path / "jitsu-backups").exists()
    assert shell(*CLONE, "--dry-run").returncode == 3
    allowed = shell(*CLONE, "--yes", "--keys-out", "keys.json")
    assert allowed.returncode == 3, allowed.stderr
    told = {key["key_id"] for key in json.loads((tmp_path / "keys.json").read_text())["stream_keys"]}
    assert told == keys_made(sandbox) != set()
    assert shell(*CLONE, "--yes").returncode == 3  # a run that makes none needs no file


def test_a_saved_plan_that_makes_keys_needs_the_file_when_it_is_carried_out(
    shell: Any, sandbox: Sandbox
) -> None:
    shell("backup", "acme-staging")
    into = ("--into", "acme-production", "--only", "stream/*", "--skip", "domain/*")
    assert shell("restore", "latest", *into, "--plan-out", "plan.json").returncode == 3
    assert shell("restore", "--plan", "plan.json", "--yes").returncode == 7
    assert writes(sandbox) == 0
    assert shell("restore", "--plan", "plan.json", "--yes", "--keys-out", "k.json").returncode == 3


def test_json_holds_the_keys_because_it_was_asked_for(shell: Any, sandbox: Sandbox) -> None:
    done = shell(*CLONE, "--yes", "--json")
    assert {key["key_id"] for key in json.loads(done.stdout)["stream_keys"]} == keys_made(sandbox) != set()


def test_on_a_terminal_the_keys_are_shown(url: str, sandbox: Sandbox, tmp_path: Path) -> None:
    code, said = typed(url, tmp_path, [*CLONE], [lambda: "y"])
    assert code == 3, said
    assert "New write keys (shown only once)" in said
    assert keys_made(sandbox)
    assert all(f"{key}:" in said for key in keys_made(sandbox))
    assert not list(tmp_path.glob("jitsu-backup-keys-*"))


def test_where_nobody_can_answer_that_is_said_first(shell: Any) -> None:
    assert shell(*CLONE).returncode == 2


@pytest.mark.parametrize("broken", ["a full disk", "a closed pipe"])
def test_keys_that_the_output_does_not_take_go_to_a_new_file_that_standard_error_names(
    url: str, sandbox: Sandbox, tmp_path: Path, broken: str
) -> None:
    if broken == "a full disk":
        output = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, output = os.pipe()
        os.close(reader)
    environment = {**os.environ, "JITSU_HOST": url, "JITSU_APIKEY": OWNER, "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "jitsu_backup", "--json", *CLONE, "--yes"],
        cwd=tmp_path, env=environment, stdout=output, stderr=subprocess.PIPE, text=True, check=False, timeout=120,
    )  # fmt: skip
    os.close(output)
    assert done.returncode == 1, done.stderr
    assert "the new write keys were saved to jitsu-backup-keys-" in done.stderr
    assert "Traceback" not in done.stderr
    assert kept(tmp_path) == keys_made(sandbox) != set()


def test_without_any_standard_output_json_is_no_place_for_keys(
    url: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "jitsu_backup", "--json", *CLONE, "--yes"]
    environment = {**os.environ, "JITSU_HOST": url, "JITSU_APIKEY": OWNER, "HOME": str(tmp_path)}
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command],
        cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert writes(sandbox) == 0


def test_where_the_file_of_keys_cannot_be_brought_up_to_date_they_are_in_a_new_one_and_not_in_the_log(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()

    def lose_the_folder(call: Call) -> None:
        if call.method != "GET" and folder.exists():
            (folder / "keys.json").unlink()
            folder.rmdir()

    with Faults(sandbox.app, lose_the_folder).running() as url:
        environment = {**os.environ, "JITSU_HOST": url, "JITSU_APIKEY": OWNER, "HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-m", "jitsu_backup", *CLONE, "--yes", "--keys-out", "keys/keys.json"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "cannot write keys/keys.json" in done.stderr
    assert "new write keys saved to jitsu-backup-keys-" in done.stdout
    assert kept(tmp_path) == keys_made(sandbox) != set()
    assert not any(f"{key}:" in done.stdout + done.stderr for key in keys_made(sandbox))
