"""An archive that is older than another one of its workspace is never taken silently."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from jitsu_backup.archive import ACCEPTED, CLONED, CLONING, PRE_RESTORE, SHRUNK, ArchiveName, source_mark
from jitsu_backup.errors import BlockedError
from jitsu_backup.operations.drill import DrillJob, drill
from jitsu_backup.operations.recovery import LeftOut, RecoveryPlan, RecoveryRun
from jitsu_backup.operations.recovery.choice import Living, candidates, choose
from jitsu_backup.operations.recovery.newer import beyond, newer_than
from jitsu_backup.reports.drill import drill_state
from jitsu_backup.reports.recovery import plan_summary, run_summary
from jitsu_backup.reports.recovery_endings import Ending, ending
from jitsu_backup.reports.recovery_values import RecoveryReport, RecoverySummary
from jitsu_backup.sandbox import example_workspace
from tests.recovery.kit import NEW, OLD, World, add_workspace
from tests.recovery.samples import ended
from tests.recovery.test_choice import HOST, NOON, archive, opened, record

ELSEWHERE = "from-0123456789ab"


def emptied(tmp_path: Path) -> tuple[World, Path]:
    """A workspace with an empty backup, the backup from before a restore of what filled it, and a damaged backup of that."""
    world = World(tmp_path)
    workspace = add_workspace(world.old.state, "team-blue", filled=False)
    world.back_up()
    example_workspace(world.old.state, workspace)
    for _ in range(2):
        world.seconds += 3600
        world.old.state.objects[next(iter(world.old.state.objects))].config["name"] = f"of {world.seconds}"
        world.back_up()
    _, filled, newest = sorted(tmp_path.glob("team-blue.*"), key=lambda path: path.name.split(".")[2])
    filled.rename(filled.with_name(filled.name.replace(".json.gz", f".{PRE_RESTORE}.json.gz")))
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
    assert "has 0 entities, but a newer one, team-blue/" in str(one.problem)
    at = one.archive.taken_at.isoformat(timespec="milliseconds").replace("+00:00", "")
    for summary in (plan, ended):
        told = [str(step) for step in summary.next_steps]
        assert any(f"restore {one.newer.reference} --into team-blue" in step for step in told)
        assert any(step.endswith(f": jitsu-backup recover --workspace team-blue --at {at}") for step in told)
        assert any(fact == "older" and "0 entities, but a newer one" in text for fact, text in summary.facts)
    drilled = world.run(drill(DrillJob(), world.store, world.keys, now=world.now, monotonic=world.time))
    assert (len(drilled.back), drilled.exit_code()) == (0, 3)
    assert drill_state(drilled).startswith("0 of 1 workspace restored completely")
    decided = world.recover(world.job(workspaces=("team-blue",), at=one.archive.taken_at))
    assert (decided.exit_code, decided.plan.workspaces[0].newer) == (0, None)
    (older,) = (text for fact, text in facts(decided, world) if fact == "older")
    assert "with 0 entities, as chosen with --at, but a newer one of " in older
    again = world.recover()  # what was recovered remembers the decision: here it was nothing
    assert (again.exit_code, again.plan.workspaces[0].newer) == (7, one.newer)


def facts(run: RecoveryRun, world: World) -> tuple[tuple[str, str], ...]:
    report = RecoveryReport(run.plan, world.now(), run=run)
    assert plan_summary(report).facts[1] == run_summary(report, run).facts[1]
    return run_summary(report, run).facts


def test_with_at_only_a_later_archive_that_is_damaged_or_much_larger_is_worth_a_line() -> None:
    used, known = opened(archive(hours=-4, total=5)), [archive(hours=-4, total=5)]
    for later, wanted in (
        (replace(archive(hours=-1, total=6), digest_prefix="e" * 12), False),
        (replace(archive(hours=-1, total=60), digest_prefix="e" * 12), True),
        (replace(archive(hours=-1, total=5, damaged=True), digest_prefix="e" * 12), True),
    ):
        (found,) = candidates([*known, later], NOON, NOON - timedelta(hours=2))
        assert beyond(used, 5, found) == (later if wanted else None)


def test_what_was_decided_and_is_done_is_not_asked_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    workspace = add_workspace(world.old.state, "team-blue", filled=False)
    world.old.state.add_object(workspace, "function", "one", {"name": "One", "code": "x"})
    world.back_up()
    example_workspace(world.old.state, workspace)
    world.seconds += 3600
    world.back_up()
    filled = max(tmp_path.glob("team-blue.*"), key=lambda path: path.name.split(".")[2])
    filled.rename(filled.with_name(filled.name.replace(".json.gz", f".{PRE_RESTORE}.json.gz")))
    (one,) = world.recover().plan.workspaces
    assert isinstance(one.problem, BlockedError)
    decided = world.recover(world.job(workspaces=("team-blue",), at=one.archive.taken_at))
    assert decided.exit_code == 0
    written = world.writes()
    again = world.recover()
    assert (again.exit_code, world.writes()) == (3, written)
    assert [ending(one) for one in again.outcomes] == [Ending.OLDER]
    assert again.plan.workspaces[0].problem is None
    assert again.plan.workspaces[0].newer == one.newer


def test_a_newer_archive_that_cannot_be_read_is_not_offered_for_a_restore(tmp_path: Path) -> None:
    world, newest = emptied(tmp_path)
    newest.unlink()
    (record,) = tmp_path.glob(f"team-blue.*{PRE_RESTORE}*")
    content = record.read_bytes()
    record.write_bytes(content[:-20] + bytes(20))  # of the same size
    plan = world.plan()
    (one,) = plan.workspaces
    assert [past.exit_code for past in one.passed_over] == [5]
    assert isinstance(one.problem, BlockedError)
    assert "; get a good copy of it, or use the older one with `--workspace team-blue --at" in str(
        one.problem
    )


def newer(*known: ArchiveName, exists: bool = False) -> list[ArchiveName]:
    """What is newer than the archive that is used of a workspace."""
    (found,) = candidates(known, NOON + timedelta(days=1))
    used = opened(found.archives[0])
    passed_over = newer_than(used, found.passed_over, found, exists=exists)
    return [past.archive for past in passed_over if past.exit_code]


def test_a_record_of_a_promotion_since_the_last_backup_is_newer_and_one_before_it_is_not() -> None:
    backup, promoted = archive(hours=-2, total=23), archive("ca", -1, CLONED, ELSEWHERE, total=23)
    assert newer(backup, promoted) == [promoted]
    assert newer(backup, promoted, archive(hours=-0.5, total=23)) == []
    assert newer(backup, replace(promoted, digest_prefix=backup.digest_prefix)) == []


def test_what_a_recovery_in_place_leaves_is_not_newer_than_the_archive_that_it_restored() -> None:
    backup, before = archive(hours=-3, total=23), archive("ca", -2, PRE_RESTORE, total=20)
    intent = archive("ca", -1.9, CLONING, source_mark(HOST, "ca"), total=23)
    left = archive("ca", -1, CLONED, source_mark(HOST, "ca"), total=25)
    assert newer(backup, before, intent, exists=True) == []
    assert newer(backup, before, intent, left, exists=True) == []
    assert newer(backup, before, left) == []
    again = archive("ca", -0.9, CLONED, source_mark(HOST, "ca"), f"after-{'0' * 12}", total=25)
    assert newer(backup, before, left, again) == []
    assert newer(backup, before) == [before]  # a run on the lost console, killed before it recorded anything
    much_more = replace(left, total=60)
    assert newer(backup, before, much_more, exists=True) == [much_more]


def test_what_a_promotion_left_is_newer_until_it_is_undone() -> None:
    backup, before = archive(hours=-4, total=20), archive("ca", -3, PRE_RESTORE, total=20)
    promoted = archive("ca", -2.9, CLONED, ELSEWHERE, total=23)
    left = archive("ca", -2.8, CLONED, source_mark(HOST, "ca"), f"after-{'0' * 12}", total=25)
    assert newer(backup, before, promoted, left) == [left]
    assert newer(backup, before, promoted, left, exists=True) == [left]
    undoing = archive("ca", -2, PRE_RESTORE, f"undoes-{'0' * 12}", total=25)
    undone = replace(left, taken_at=NOON - timedelta(hours=1), digest_prefix="e" * 12, total=20)
    assert newer(backup, before, promoted, left, undoing, undone) == []


def test_what_was_emptied_on_purpose_and_a_loss_are_not_newer() -> None:
    full = archive("ca", -3, CLONED, ELSEWHERE, total=23)
    assert newer(archive(hours=-4, total=23), full, archive("ca", -1, ACCEPTED, total=0)) == []
    assert newer(archive(hours=-4, total=23), archive("ca", -1, SHRUNK, total=0)) == []
    assert newer(archive(hours=-4, total=23), archive("ca", -1, CLONED, ELSEWHERE, total=0)) == []


def test_a_damaged_archive_behind_one_that_is_marked_shrunk_is_not_hidden() -> None:
    damaged = archive(hours=-2, total=23, damaged=True)
    assert newer(archive(hours=-3, total=0), damaged, archive("ca", -1, SHRUNK, total=0)) == [damaged]


def test_a_workspace_restored_from_an_older_archive_does_not_count_as_restored_completely(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    world.add("team-blue")
    world.back_up()
    world.seconds += 3600
    next(iter(world.old.state.objects.values())).config["name"] = "edited"
    world.back_up()
    newest = max(tmp_path.glob("team-blue.*"), key=lambda path: path.name.split(".")[2])
    newest.write_bytes(newest.read_bytes()[:100])
    plan, ended = summaries(world)
    assert "1 from an older archive" in plan.state
    assert ended.state == "0 of 1 workspace restored completely; 1 restored from an older archive"
    (table,) = [one for one in ended.listings if one.heading == "Workspaces"]
    assert (table.rows[0][1], table.rows[0][2]) == ("restored (older)", "1 hour ago (older)")
    assert any("Replace the damaged archive of team-blue with" in str(step) for step in ended.next_steps)


def test_with_from_the_archives_of_what_was_recovered_on_the_new_console_are_not_listed() -> None:
    lost = opened(archive("ca", -5))
    made = opened(archive("cnew", -1), NEW)
    known = [lost.archive, record("cnew", "ca", -2), made.archive]
    chosen = choose([lost, made], known, [Living("cnew", "acme")], from_host=HOST, target_host=NEW)
    assert (chosen.kept, chosen.left_out) == ((lost,), ())


def test_workspaces_of_one_slug_that_are_left_out_are_told_apart() -> None:
    out = tuple(LeftOut(name, "acme", "no given key opens it", 6, locked=True) for name in ("ca", "cb"))
    (listing,) = plan_summary(RecoveryReport(RecoveryPlan(OLD, NEW, left_out=out), NOON)).listings
    assert [row[0] for row in listing.rows] == ["acme (ca)", "acme (cb)"]


def test_what_an_interrupted_run_says_of_several_workspaces_fits_each_of_them() -> None:
    report = ended()
    assert report.run is not None
    cut_off = tuple(replace(one, failure=None, begun=False) for one in report.run.outcomes)
    (bad, *_) = run_summary(report, replace(report.run, outcomes=cut_off)).listings
    assert {row[1] for row in bad.rows} == {"not started: the run was interrupted first"}
