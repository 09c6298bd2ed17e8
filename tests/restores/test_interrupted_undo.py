"""An undo that did not end is gone on with when it is run again, as every run is."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from jitsu_backup.archive import parse_name
from jitsu_backup.sandbox import Sandbox
from jitsu_backup.store import FolderStore, Lease
from tests.restores.kit import delete
from tests.restores.test_undo import archives, code_of, names_of
from tests.support import STAGING, run

Shell = Callable[..., Any]


@pytest.fixture
def interrupted(shell: Shell, sandbox: Sandbox, tmp_path: Path) -> Shell:
    """An undo that has taken back a part of what a restore did, and was killed then."""
    sandbox.state.add_object(STAGING, "function", "more-0001", {"name": "More", "code": "more"})
    shell("backup", "acme-staging")
    sandbox.state.objects["enrich-0001"].config["code"] = "of today"
    sandbox.state.objects["filter-0001"].config["code"] = "of today"
    sandbox.state.objects["lake-0001"].config["project"] = "of-today"
    delete(sandbox.state, "more-0001")
    assert shell("restore", "latest", "--yes").returncode == 0
    sandbox.state.objects["web-0001"].config["name"] = "Web of a colleague"
    assert shell("undo", "--yes", "--only", "function/Enrich").returncode == 0
    (left,) = [name for name in archives(tmp_path) if name.left_after][1:]
    (tmp_path / "jitsu-backups" / str(left)).unlink()  # as a run that does not end leaves it
    return shell


def test_an_interrupted_undo_continues_when_it_is_run_again(
    interrupted: Shell, sandbox: Sandbox, tmp_path: Path
) -> None:
    half = archives(tmp_path)[-1]
    done = interrupted("undo", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    told = " ".join(done.stderr.split())
    assert (
        f"did not finish or left no record, so this run continues it. The state before that undo is {half.reference}"
        in told
    )
    objects = sandbox.state.objects
    assert [code_of(sandbox, one) for one in ("enrich-0001", "filter-0001")] == ["of today"] * 2
    assert objects["lake-0001"].config["project"] == "of-today"
    assert objects["web-0001"].config["name"] == "Web of a colleague"
    assert "More" not in names_of(sandbox, STAGING)


def test_while_a_run_writes_undo_says_so_and_to_wait(interrupted: Shell, tmp_path: Path) -> None:
    for path in (tmp_path / "jitsu-backups").iterdir():
        archive = parse_name(path.name)
        if archive is not None and archive.left_after and not archive.is_intent:
            path.unlink()  # the restore has not ended either
    store = FolderStore(str(tmp_path / "jitsu-backups"))
    lease = Lease(store, STAGING, "restore", now=lambda: datetime.now(UTC), monotonic=monotonic)
    run(lease.take(wait=False))
    looked = " ".join(interrupted("undo", "--dry-run").stderr.split())
    assert "warning: another run is writing into this workspace: restore by " in looked
    assert "; wait until it has ended, then run undo again" in looked
    assert "what that run wrote is unknown, because it has not ended yet: " in looked
    run(lease.release())
    assert "another run" not in interrupted("undo", "--dry-run").stderr


def test_one_that_is_interrupted_again_and_carried_out_by_a_plan_continues_too(
    interrupted: Shell, sandbox: Sandbox, tmp_path: Path
) -> None:
    assert interrupted("undo", "--plan-out", "plan.json", "--only", "function/*").returncode == 0
    assert interrupted("restore", "--plan", "plan.json", "--yes").returncode == 0
    left = [name for name in archives(tmp_path) if name.left_after][-1]
    (tmp_path / "jitsu-backups" / str(left)).unlink()
    first, *others = {name.undoes for name in archives(tmp_path) if name.undoes}
    assert (bool(first), others) == (True, [])
    assert interrupted("undo", "--yes").returncode == 0
    assert sandbox.state.objects["lake-0001"].config["project"] == "of-today"
    assert code_of(sandbox) == "of today"


def test_an_undo_that_ended_is_taken_back_by_an_undo_and_its_backup_is_told_apart(
    interrupted: Shell, sandbox: Sandbox
) -> None:
    assert interrupted("undo", "--yes").returncode == 0
    done = interrupted("undo", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "did not finish" not in done.stderr
    assert code_of(sandbox, "filter-0001") != "of today"
    assert "pre-restore, undo" in " ".join(interrupted("snapshots").stdout.split())
