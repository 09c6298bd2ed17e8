"""What stays as the target has it, what cannot be there, and which flags are told."""

import re
from functools import partial
from pathlib import Path

from click.testing import CliRunner

from jitsu_backup.cli.flags.recover import command as recover_flags
from jitsu_backup.cli.flags.restore import command as restore_flags
from jitsu_backup.errors import BlockedError
from jitsu_backup.operations.recovery import RecoveryRun
from jitsu_backup.reports.recovery import plan_summary, reason, run_summary
from jitsu_backup.reports.recovery_documents import recovery_document, recovery_plan_document
from jitsu_backup.reports.recovery_remarks import OF_RESTORE, restore_command
from jitsu_backup.reports.recovery_values import RecoveryReport
from tests.recovery.kit import World, add_workspace, problems
from tests.recovery.samples import plan
from tests.support import OWNER

FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
KEPT = "Kept as changed in the target since the last recovery"


def recovered(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.add("team-blue")
    world.back_up()
    return world


def listed(world: World, run: RecoveryRun, heading: str) -> list[str]:
    summary = run_summary(RecoveryReport(run.plan, world.now(), run=run), run)
    return [row[-1] for one in summary.listings if one.heading == heading for row in one.rows]


def test_what_people_deleted_or_changed_since_a_recovery_is_reported_and_kept(tmp_path: Path) -> None:
    world = recovered(tmp_path)
    world.recover()
    for one in world.new.state.objects.values():
        if one.type == "notification":
            one.deleted = True
        if one.type == "function" and one.config["name"] == "Enrich":
            one.config = {**one.config, "code": "export default async (e) => null"}
    before = world.writes()
    looked = world.plan()
    assert looked.exit_code == 3
    (said,) = [
        one.rows for one in plan_summary(RecoveryReport(looked, world.now())).listings if one.heading == KEPT
    ]
    run = world.recover()
    assert (problems(run), run.exit_code, world.writes()) == ({}, 3, before)
    (told,) = listed(world, run, KEPT)
    assert said == (("team-blue", told),)
    assert told == "2 entities: notification 'Ops' (deleted), function 'Enrich' (changed: code)"
    (document,) = recovery_document(RecoveryReport(run.plan, world.now(), run=run))["workspaces"]
    assert [one["deleted"] for one in document["kept"]] == [True, False]


CALLED = "Called differently on this console"


def test_workspaces_that_are_called_otherwise_since_are_reported_by_their_names_of_now(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    world.add("team-blue", "team-red", "team-green")
    world.back_up()
    world.recover()
    rows = {row.slug: row for row in world.new.state.workspaces.values()}
    rows["team-blue"].slug, rows["team-red"].slug = "team-red", "team-blue"
    rows["team-green"].name = "Green again"
    looked = world.plan()
    (said,) = [
        one.rows
        for one in plan_summary(RecoveryReport(looked, world.now())).listings
        if one.heading == CALLED
    ]
    assert set(said) == {
        ("team-blue", "its slug is team-red"),
        ("team-red", "its slug is team-blue"),
        ("team-green", "its name is 'Green again', not 'Team Green'"),
    }
    assert looked.exit_code == 0
    document = recovery_plan_document(RecoveryReport(looked, world.now()))["plan"]["workspaces"]
    assert {one["workspace"]: one["called_now"]["slug"] for one in document} == {
        "team-blue": "team-red", "team-red": "team-blue", "team-green": "team-green",
    }  # fmt: skip
    run = world.recover()
    assert len(listed(world, run, CALLED)) == 3


def test_another_workspace_that_is_written_into_is_named_and_is_not_called_renamed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue")
    world.back_up()
    theirs = add_workspace(world.new.state, "team-blue", filled=False)
    world.new.state.workspaces[theirs].name = "Shop"
    run = world.recover()
    told = {one.heading: one.rows for one in plan_summary(RecoveryReport(run.plan, world.now())).listings}
    assert told["Goes into another workspace"] == (("team-blue", f"{theirs} ('Shop')"),)
    assert CALLED not in told
    assert told["Workspaces"][0][:2] == ("team-blue", "empty")
    assert listed(world, world.recover(), CALLED) == ["its name is 'Shop', not 'Team Blue'"]


def test_what_the_console_does_not_take_is_said_before_it_is_asked(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue")
    (row,) = world.old.state.workspaces.values()
    row.name = "Blau (Köln)"
    world.back_up()
    text = "\n".join(
        " ".join(row)
        for one in plan_summary(RecoveryReport(world.plan(), world.now())).listings
        for row in one.rows
    )
    assert "team-blue this console rejects its name 'Blau (Köln)', so it is called team-blue" in text


def test_a_change_alone_leaves_nothing_missing(tmp_path: Path) -> None:
    world = recovered(tmp_path)
    world.recover()
    for one in world.new.state.objects.values():
        if one.type == "function" and one.config["name"] == "Enrich":
            one.config = {**one.config, "code": "export default async (e) => null"}
    run = world.recover()
    assert run.exit_code == 0
    assert listed(world, run, KEPT) == ["1 entity: function 'Enrich' (changed: code)"]


def test_over_existing_brings_back_what_was_deleted_or_changed(tmp_path: Path) -> None:
    world = recovered(tmp_path)
    world.recover()
    for one in world.new.state.objects.values():
        if one.type == "notification":
            one.deleted = True
        if one.type == "function" and one.config["name"] == "Enrich":
            one.config = {**one.config, "code": "export default async (e) => null"}
    run = world.recover(world.job(over_existing=True))
    assert (problems(run), run.exit_code) == ({}, 0)
    living = [one for one in world.new.state.objects.values() if not one.deleted]
    assert "notification" in {one.type for one in living}
    assert all("=> null" not in one.config.get("code", "") for one in living)


def test_a_connection_whose_function_was_gone_is_left_out_and_the_rest_comes_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue")
    for one in world.old.state.objects.values():
        if one.type == "function" and one.config["name"] == "Enrich":
            one.deleted = True
    world.back_up()
    looked = world.plan()
    (blue,) = looked.workspaces
    assert (blue.problem, looked.exit_code) == (None, 3)
    assert blue.without
    for _ in range(2):
        run = world.recover()
        assert (problems(run), run.exit_code) == ({}, 3)
        told = listed(world, run, "Left out, because something they need no longer existed")
        assert len(told) == len(blue.without)
        assert all("had already been deleted when the workspace was backed up" in line for line in told)


def test_the_flags_that_recover_lacks_are_those_of_restore() -> None:
    own, other = (
        set(FLAG.findall(CliRunner().invoke(command, ["--help-all"]).output))
        for command in (recover_flags, restore_flags)
    )
    assert other - own == OF_RESTORE


def test_what_both_changed_since_a_recovery_is_blocked_with_a_command_that_names_store_and_console(
    tmp_path: Path,
) -> None:
    world = recovered(tmp_path)
    world.recover()
    world.seconds += 3600
    for sandbox, code in ((world.old, "null"), (world.new, "e.a")):
        for one in sandbox.state.objects.values():
            if one.type == "function" and one.config["name"] == "Enrich":
                one.config = {**one.config, "code": f"export default async (e) => {code}"}
    world.back_up()
    (blue,) = world.plan().stuck

    def again(*arguments: str) -> str:
        return " ".join(("jitsu-backup --store s --host h", *arguments))

    assert blue.problem is not None
    said = reason(blue.problem, blue, partial(restore_command, again=again))
    assert said.startswith("function 'Enrich': both sides changed code differently since the last recovery: ")
    assert f"(`jitsu-backup --store s --host h restore {blue.archive.reference} --into " in said


def test_what_people_deleted_for_the_most_part_is_restored_with_a_flag_that_recover_has(
    tmp_path: Path,
) -> None:
    world = recovered(tmp_path)
    world.recover()
    for one in world.new.state.objects.values():
        if one.type in ("function", "stream", "destination"):
            one.deleted = True
    for link in world.new.state.links.values():
        link.deleted = True
    looked = world.plan()
    (blue,) = looked.stuck
    assert (
        "deleted in the target since the last recovery, most of what it restored; add --over-existing"
        in str(blue.problem)
    )
    assert world.plan(world.job(over_existing=True)).stuck == ()


def test_a_reason_that_names_a_flag_of_restore_says_how_to_go_on() -> None:
    one = plan().workspaces[0]
    command = partial(restore_command, profile="new")
    said = reason(BlockedError("both changed it: --take source:x settles it"), one, command)
    assert f"`jitsu-backup restore {one.archive.reference} --into @new/" in said
    assert "restore" not in reason(BlockedError("give it with --overlay"), one, command)


def test_that_making_waits_for_a_limit_is_said_with_what_makes_all_at_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue", "team-green", "team-red")
    world.back_up()
    world.new.access.rate_limit = True
    person = world.connection(world.new, OWNER)
    for job, said in (
        (world.job(maker=person), "the operator's token alone creates all at once"),
        (world.job(OWNER), "the operator's token creates all at once"),
    ):
        (takes,) = [
            text
            for name, text in plan_summary(RecoveryReport(world.plan(job), world.now())).facts
            if name == "takes"
        ]
        assert "can create 2, then one every 5 minutes" in takes
        assert said in takes


def test_that_nobody_is_a_member_is_reported_again(tmp_path: Path) -> None:
    world = recovered(tmp_path)
    for _ in range(2):
        run = world.recover()
        steps = run_summary(RecoveryReport(run.plan, world.now(), run=run), run).next_steps
        assert any("nobody is a member yet" in one.text for one in steps)


def test_an_entity_whose_id_is_in_use_is_listed_with_its_new_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    workspace_id = add_workspace(world.old.state, "team-blue", filled=False)
    world.old.state.add_object(
        workspace_id, "function", "mine-0001", {"name": "Mine", "code": "export default 1"}
    )
    world.back_up()
    other = add_workspace(world.new.state, "by-hand", filled=False)
    world.new.state.add_object(other, "function", "mine-0001", {"name": "Theirs", "code": "export default 2"})
    run = world.recover()
    (new_id,) = listed(world, run, "New ids, because the old ones are taken on this console")
    assert world.new.state.objects[new_id].config["name"] == "Mine"
    again = world.recover()
    assert again.exit_code == 0
