"""The store is full: what is in use is left alone, and what is written all the same is reported as not to be undone."""

from collections.abc import Callable
from pathlib import Path

from jitsu_backup.errors import BackupError
from jitsu_backup.reports.recovery import run_summary
from jitsu_backup.reports.recovery_values import RecoveryReport
from tests.recovery.kit import World, add_workspace, problems, tables
from tests.recovery.test_console import equal, lost


def full(world: World) -> Callable[[], None]:
    """Let the disk of the store be full from now on; return what frees space."""
    create = world.store.create

    async def no_space(name: str, data: bytes) -> bool:
        raise BackupError(f"cannot write {world.folder / name}: No space left on device")

    world.store.create = no_space  # type: ignore[method-assign]
    return lambda: setattr(world.store, "create", create)


def test_on_a_full_disk_what_is_in_use_is_not_written_and_what_is_only_added_to_is_told_to_have_no_way_back(
    tmp_path: Path,
) -> None:
    world = lost(tmp_path)
    world.recover(world.job(workspaces=("team-blue",)))
    add_workspace(world.new.state, "team-green", filled=False)
    for one in world.old.state.objects.values():
        if one.config.get("name") == "Enrich":
            one.config = {**one.config, "code": "export default async (e) => 1"}
    world.seconds += 3600
    world.back_up()
    blue, free = tables(world.new.state, "team-blue"), full(world)
    run = world.recover()
    assert tables(world.new.state, "team-blue") == blue
    assert "could not be backed up first, so nothing was written" in problems(run)["team-blue"]
    equal(world, "team-green", "team-red")
    assert all("No space left" in one.unbacked for one in run.outcomes)
    report = RecoveryReport(run.plan, world.now(), store=world.store.url, run=run, again="recover --yes")
    (unsafe,) = [one for one in run_summary(report, run).listings if one.heading == "Cannot be undone"]
    assert [row[0] for row in unsafe.rows] == ["team-green", "team-red"]
    assert str(run_summary(report, run).next_steps[0]) == (
        f"Free space in {world.store.url}, or make it writable, then run the same command again: it continues where this"
        " run ended and writes nothing twice: recover --yes"
    )
    summary = run_summary(report, run)
    assert summary.state == (
        "2 of 3 workspaces restored completely; 1 failed, the record of 2 could not be stored"
    )
    (unrecorded,) = [one for one in summary.listings if one.heading == "Records that could not be stored"]
    assert [row[0] for row in unrecorded.rows] == ["team-green", "team-red"]
    assert "Still different" not in [one.heading for one in summary.listings]
    second = world.recover()
    report = RecoveryReport(
        second.plan, world.now(), store=world.store.url, run=second, again="recover --yes"
    )
    assert str(run_summary(report, second).next_steps[0]).startswith("Free space in ")
    free()
    again = world.recover()
    assert (problems(again), again.exit_code) == ({}, 0)
    assert all(one.result is not None and one.result.record is not None for one in again.outcomes)
    equal(world)
