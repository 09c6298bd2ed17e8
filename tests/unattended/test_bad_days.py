"""`backup` from cron, when something around it is wrong."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tests.support import STAGING
from tests.unattended.workbench import Bench


def test_what_nobody_could_compare_is_written_again_once_it_can_be_and_then_compared_with(
    bench: Bench,
) -> None:
    bench.run("backup", "acme-staging")
    bench.an_hour_passes()
    for number in range(40):
        bench.state.add_object(STAGING, "function", f"more-{number}", {"name": f"More {number}", "code": "x"})
    bench.run("backup", "acme-staging")
    grown = bench.archives[-1]
    folder = bench.folder / "jitsu-backups"
    (folder / str(grown)).rename(folder / str(replace(grown, marks=("uncompared",))))
    bench.an_hour_passes()
    promoted = bench.run("backup", "acme-staging", "--if-changed")
    assert promoted.returncode == 0
    assert bench.archives[-1].sound
    bench.an_hour_passes()
    bench.forget("function", 3)
    lost = bench.run("backup", "acme-staging", "--if-changed", "--prune", "--keep-last", "1")
    assert lost.returncode == 3
    assert grown.digest_prefix in {archive.digest_prefix for archive in bench.archives}


def test_a_place_whose_settings_are_wrong_fails_alone(bench: Bench) -> None:
    (bench.folder / "jitsu-backup.toml").write_text(
        '[profiles.ok]\nworkspace = "acme-staging"\n[profiles.broken]\nworkspace = "x"\nkey = {command = ["false"]}\n'
    )
    for places in (("@ok", "@broken"), ("@broken", "@ok")):
        done = bench.run("backup", *places)
        assert done.returncode == 3
        assert "jitsu-backup: x: not backed up: the command for a secret, false, failed" in done.stderr
    assert len(bench.archives) == 2
    assert bench.run("backup", "@broken").returncode == 2
    assert bench.run("backup", "@broken", "@nobody").returncode == 2


def test_a_full_standard_output_is_reported_as_that(bench: Bench) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "jitsu_backup", "backup", "acme-staging"], cwd=bench.folder, text=True,
            env={**os.environ, **bench.env}, stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "jitsu-backup: cannot write the output: No space left on device" in done.stderr
    assert len(bench.archives) == 1


def test_a_store_whose_path_is_no_text_is_reported_as_far_as_it_can_be(bench: Bench) -> None:
    store = os.fsdecode(b"odd-\xff")
    done = bench.run("backup", "acme-staging", "--store", store, "--new-store", "--log-format", "json")
    assert done.returncode == 0
    assert json.loads(done.stderr)["exit_code"] == 0
    assert bench.run("--json", "check", "acme-staging", "--store", store).returncode == 0


def test_check_shows_nothing_of_a_store_whose_address_it_cannot_use(bench: Bench) -> None:
    for style in ((), ("--json",)):
        done = bench.run(
            *style, "check", "acme-staging", "--store", "s3://AKIA:CANARY@bucket/p?secret=CANARY"
        )
        assert done.returncode != 0
        assert "CANARY" not in done.stdout + done.stderr


def test_pruning_a_store_that_is_not_there_is_no_success(bench: Bench) -> None:
    done = bench.run("prune", "--keep-last", "1")
    assert (done.returncode, done.stderr) == (
        1,
        "jitsu-backup: the store jitsu-backups does not exist; check --store\n",
    )
    named = bench.run("prune", "--keep-last", "1", "--store", "missing")
    assert named.returncode == 1
    assert "the store missing is empty (the folder does not exist) and was never used" in named.stderr
