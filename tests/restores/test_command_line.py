"""`restore` and `clone` as somebody types them."""

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import encode
from jitsu_backup.sandbox import Sandbox, running
from tests.restores.kit import delete, write_overlay
from tests.support import ANALYST, OWNER, STAGING, cli, console_of, read, run, writes


def test_a_restore_that_updates_backs_up_first_and_prints_the_way_back_which_works(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    shell("backup", "acme-staging")
    sandbox.state.objects["enrich-0001"].config["code"] = "of today"
    done = shell("restore", "latest", "--yes")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "jitsu-backups").glob("*.pre-restore.json.gz"))) == 1
    assert sandbox.state.objects["enrich-0001"].config["code"] != "of today"
    way = done.stdout.split("To undo this run:\n  jitsu-backup ")[1].split("\n")[0].split()
    assert shell(*way, "--yes").returncode == 0
    assert sandbox.state.objects["enrich-0001"].config["code"] == "of today"
    assert shell("show", "latest").returncode == 0  # latest is never one of before a restore
    names = json.loads(shell("--json", "verify", "latest").stdout)
    assert "pre-restore" not in json.dumps(names)


def test_what_only_the_target_has_is_reported_before_and_after_and_the_target_does_not_match(
    shell: Any, sandbox: Sandbox
) -> None:
    shell("backup", "acme-staging")
    same = shell("restore", "latest", "--yes")
    assert "Verified: the target matches the snapshot, except for what Jitsu hides." in same.stdout
    assert [line for line in same.stdout.splitlines() if line != line.rstrip()] == []
    sandbox.state.add_object(STAGING, "function", "mine-0001", {"name": "Mine", "code": "x"})
    more = shell("restore", "latest", "--yes")
    assert more.returncode == 0
    told = " ".join(more.stdout.split())
    assert "1 only in the target, kept; --prune deletes it: function Mine." in told
    assert (
        "everything that was to be restored matches the snapshot; kept in the target: 1 only there." in told
    )
    report = json.loads(shell("--json", "restore", "latest", "--yes").stdout)
    assert report["only_in_target"] == [
        {
            "type": "function",
            "id": "mine-0001",
            "name": "Mine",
            "prunable": True,
            "left_out": False,
            "dead": False,
            "own": False,
            "blocks": False,
        }
    ]
    assert report["snapshot"].keys() == {"digest", "taken_at"}
    pruned = shell("restore", "latest", "--prune", "--yes")
    assert "Verified: the target matches the snapshot" in pruned.stdout


@pytest.mark.parametrize("told", [("--keys-out", "keys.json"), ("--json",)])
def test_a_stream_made_again_ends_with_0_where_its_senders_can_be_told(
    shell: Any, sandbox: Sandbox, told: Any
) -> None:
    shell("backup", "acme-staging")
    delete(sandbox.state, "web-0001", cascade=True)
    assert "senders need new write keys" in shell("restore", "latest", "--dry-run").stdout
    done = shell("restore", "latest", "--yes", *told)
    assert done.returncode == 0, done.stdout
    assert shell("restore", "latest", "--yes").returncode == 0


def test_a_stream_recreated_ends_with_3_where_its_keys_were_only_shown(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    shell("backup", "acme-staging")
    delete(sandbox.state, "web-0001", cascade=True)
    url = json.loads(shell("--json", "restore", "latest", "--dry-run").stdout)["plan"]["target"]["host"]
    ours, theirs = pty.openpty()
    env = {**os.environ, "JITSU_HOST": url, "JITSU_APIKEY": OWNER}
    command = (sys.executable, "-m", "jitsu_backup", "restore", "latest", "--yes")
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=tmp_path
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the end of a terminal is an error
            while part := os.read(ours, 65_536):
                shown += part
    os.close(ours)
    assert process.returncode == 3, shown.decode()
    assert "its senders need the new write keys" in " ".join(shown.decode().split())


def test_without_a_writable_store_nothing_is_written_unless_told_so(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "a.json.gz").write_bytes(encode(run(read(console_of(sandbox), STAGING))))
    (tmp_path / "jitsu-backups").write_text("a file, not a folder")
    sandbox.state.objects["enrich-0001"].config["code"] = "of today"
    into = ("restore", "a.json.gz", "--into", "acme-staging", "--yes")
    refused = shell(*into)
    assert refused.returncode == 1
    assert "could not be backed up first" in refused.stderr
    assert refused.stderr.count("; ") == 2, refused.stderr  # what to do, and how to do without, once
    assert sandbox.state.objects["enrich-0001"].config["code"] == "of today"
    assert shell(*into, "--no-safety-backup").returncode == 0
    assert sandbox.state.objects["enrich-0001"].config["code"] != "of today"


def test_a_saved_plan_is_carried_out_as_it_is_or_not_at_all(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "o.toml").write_text('["function/Enrich"]\ndescription = {env = "GIVEN"}\n')
    shell("backup", "acme-staging")
    save = ("restore", "latest", "--overlay", "o.toml", "--plan-out", "plan.json")
    assert shell(*save).returncode == 0
    saved = (tmp_path / "plan.json").read_text()
    assert (tmp_path / "plan.json").stat().st_mode & 0o777 == 0o600
    assert not any(secret in saved for secret in (OWNER, "CANARY", "pg-secret", "env-secret", "mongo-secret"))
    sandbox.state.objects["filter-0001"].config["code"] = "somebody was quicker"
    late = shell("restore", "--plan", "plan.json", "--yes")
    assert late.returncode == 7
    assert "function 'Only known users' (function/filter-0001) has changed" in late.stderr
    assert shell(*save).returncode == 0
    assert shell("restore", "--plan", "plan.json", "--yes").returncode == 0
    assert sandbox.state.objects["enrich-0001"].config["description"] == "CANARY-given"
    (tmp_path / "o.toml").write_text('["function/Enrich"]\ndescription = "x"\n')
    assert shell("restore", "--plan", "plan.json", "--yes").returncode == 7
    (tmp_path / "plan.json").write_text("{}")
    assert shell("restore", "--plan", "plan.json", "--yes").returncode == 2


def test_a_rollback_finds_the_profile_that_the_snapshot_came_from(sandbox: Sandbox, tmp_path: Path) -> None:
    with running(sandbox) as url:
        profile = f'[profiles.here]\nhost = "{url}"\nworkspace = "acme-staging"\nkey = {{env = "KEY"}}\n'
        (tmp_path / "jitsu-backup.toml").write_text(profile)
        env = {"KEY": OWNER}
        assert cli("backup", "@here", env=env, cwd=tmp_path).returncode == 0
        sandbox.state.objects["enrich-0001"].config["code"] = "of today"
        assert cli("restore", "latest", "--plan-out", "p.json", env=env, cwd=tmp_path).returncode == 0
        assert json.loads((tmp_path / "p.json").read_text())["into"] == "@here"
        assert cli("restore", "--plan", "p.json", "--yes", env=env, cwd=tmp_path).returncode == 0
        assert sandbox.state.objects["enrich-0001"].config["code"] != "of today"
        assert "no API key" in cli("restore", "latest", cwd=tmp_path).stderr


def test_clone_creates_then_updates_then_prunes(shell: Any, sandbox: Sandbox) -> None:
    clone = ("clone", "acme-staging", "acme-production", "--allow-missing-secrets", "--yes", "--json")
    first = json.loads(shell(*clone).stdout)
    assert first["plan"]["counts"]["create"] == 19
    sandbox.state.objects["enrich-0001"].config["code"] = "v2"
    delete(sandbox.state, "filter-0001")
    blocked = shell(*clone, "--prune")
    assert blocked.returncode == 7
    assert "its function filter-0001 is neither in the snapshot nor in the target" in blocked.stderr
    for row in sandbox.state.links.values():
        functions = row.data.get("functions", []) if row.workspace_id == STAGING else []
        functions[:] = [one for one in functions if one["functionId"] != "udf.filter-0001"]
    second = json.loads(shell(*clone, "--prune").stdout)
    counts = second["plan"]["counts"]
    assert (counts["create"], counts["update"], counts["delete"]) == (0, 2, 1)  # the connection that ran it
    assert second["way_back"].startswith("jitsu-backup undo acme-production")
    for same in ("acme-staging", STAGING):
        refused = shell("clone", "acme-staging", same, "--yes")
        assert refused.returncode == 2
        assert "give another workspace as the target" in refused.stderr


def test_flags_that_a_saved_plan_has_decided_and_empty_paths_are_refused(shell: Any, tmp_path: Path) -> None:
    shell("backup", "acme-staging")
    assert shell("restore", "latest", "--plan-out", "p.json").returncode == 0
    beside = shell("restore", "--plan", "p.json", "--prune", "--dry-run")
    assert beside.returncode == 2
    assert "--prune cannot change a saved plan; leave it out" in beside.stderr
    assert shell("restore", "--plan", "p.json", "--dry-run").returncode == 0
    for option in ("--plan-out", "--keys-out"):
        assert shell("restore", "latest", option, "").returncode == 2


def test_a_key_that_may_only_read_is_reported_before_anything_is_stored(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    with running(sandbox) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
        cli("backup", "acme-staging", env=env, cwd=tmp_path)
        sandbox.state.objects["enrich-0001"].config["code"] = "of today"
        done = cli("restore", "latest", "--yes", env={**env, "JITSU_APIKEY": ANALYST}, cwd=tmp_path)
        assert done.returncode == 6
        assert "no permission to write into acme-staging" in done.stderr
        assert len(list((tmp_path / "jitsu-backups").glob("*.json.gz"))) == 1
        assert writes(sandbox) == 0


def test_a_builders_deleted_function_is_reported_with_the_flag_that_brings_it_back(
    shell: Any, sandbox: Sandbox
) -> None:
    shell("backup", "acme-staging")
    sandbox.state.objects[sandbox.state.builders["profiles-0001"].function_id].deleted = True
    looked = shell("restore", "latest", "--dry-run")
    assert looked.returncode == 3
    assert "Stays different: profile-builder Profiles (code), unless you add --recreate" in looked.stdout
    assert shell("restore", "latest", "--dry-run", "--recreate").returncode == 0
    done = shell("restore", "latest", "--yes")
    assert done.returncode == 3
    told = " ".join(done.stdout.split())
    assert "its function was deleted, and an update cannot restore it (--recreate can)" in told
    assert "Nothing to change: the remaining differences are outside this plan." in told
    assert "up to date" not in told
    assert shell("restore", "latest", "--recreate", "--yes").returncode == 0
    assert "Nothing to change: everything is up to date." in shell("restore", "latest", "--yes").stdout


def test_a_clone_of_a_workspace_with_a_dead_connection_ends_with_0(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    write_overlay(run(read(console_of(sandbox), STAGING)), tmp_path / "o.json")
    delete(sandbox.state, "hook-0001")
    clone = (
        "clone",
        "acme-staging",
        "acme-production",
        "--overlay",
        "o.json",
        "--skip",
        "domain",
        "--skip",
        "stream/Web site",
    )
    for _ in range(2):
        done = shell(*clone, "--keys-out", "k.json", "--yes")
        assert done.returncode == 0, done.stdout
        assert "1 dead connection is left out" in " ".join(done.stdout.split())
