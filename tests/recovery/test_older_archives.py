"""An archive that is older than another one of its workspace is never taken silently."""

from pathlib import Path

from jitsu_backup.archive import (
    CLONED,
)
from jitsu_backup.errors import BlockedError
from jitsu_backup.operations.drill import DrillJob, drill
from jitsu_backup.operations.recovery import RecoveryRun
from jitsu_backup.reports.drill import drill_state
from jitsu_backup.reports.recovery import plan_summary, run_summary
from jitsu_backup.reports.recovery_values import RecoveryReport, RecoverySummary
from jitsu_backup.sandbox import example_workspace
from tests.recovery.kit import World, add_workspace

ELSEWHERE = "from-0123456789ab"


def emptied(tmp_path: Path) -> tuple[World, Path]:
    """A workspace with an empty backup, the record of a promotion that filled it, and a damaged backup of that."""
    world = World(tmp_path)
    workspace = add_workspace(world.old.state, "team-blue", filled=False)
    world.back_up()
    example_workspace(world.old.state, workspace)
    for _ in range(2):
        world.seconds += 3600
        world.old.state.objects[next(iter(world.old.state.objects))].config["name"] = f"of {world.seconds}"
        world.back_up()
    _, filled, newest = sorted(tmp_path.glob("team-blue.*"), key=lambda path: path.name.split(".")[2])
    filled.rename(filled.with_name(filled.name.replace(".json.gz", f".{CLONED}.{ELSEWHERE}.json.gz")))
    newest.write_bytes(newest.read_bytes()[:100])
    return world, newest


def summaries(world: World) -> tuple[RecoverySummary, RecoverySummary]:
    run: RecoveryRun = world.recover()
    report = RecoveryReport(run.plan, world.now(), again="jitsu-backup recover --yes")
    return plan_summary(report), run_summary(report, run)


def test_an_older_archive_without_most_of_the_entities_is_only_taken_if_that_is_decided(
    tmp_path: Path,
) -> None:
    world, newest = emptied(tmp_path)
    run = world.recover()
    assert (run.exit_code, world.writes()) == (7, 0)
    newest.unlink()  # as `prune --quarantine` does
    plan, ended = summaries(world)
    assert (world.plan().exit_code, world.writes()) == (7, 0)
    (one,) = world.plan().workspaces
    assert isinstance(one.problem, BlockedError)
    assert one.newer is not None
    assert f"has 0 entities, but a newer one has {one.newer.total}" in str(one.problem)
    at = one.archive.taken_at.isoformat(timespec="milliseconds").replace("+00:00", "")
    for summary in (plan, ended):
        told = [str(step) for step in summary.next_steps]
        assert any(f"restore {one.newer.reference} --into team-blue" in step for step in told)
        assert any(step.endswith(f"recover --yes --workspace team-blue --at {at}") for step in told)
        assert any(fact == "older" and "0 entities, but a newer one" in text for fact, text in summary.facts)
    drilled = world.run(drill(DrillJob(), world.store, world.keys, now=world.now, monotonic=world.time))
    assert (len(drilled.back), drilled.exit_code()) == (0, 3)
    assert drill_state(drilled).startswith("0 of 1 workspace restored completely")
    decided = world.recover(world.job(workspaces=("team-blue",), at=one.archive.taken_at))
    assert (decided.exit_code, decided.plan.workspaces[0].newer) == (0, None)
