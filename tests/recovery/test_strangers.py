"""Workspaces of somebody else that have the slugs of lost ones."""

from dataclasses import replace
from pathlib import Path

from tests.recovery.kit import World, add_workspace, problems


def test_a_workspace_of_somebody_else_gets_no_options_and_no_record_of_a_lost_one_that_was_empty(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    blue = add_workspace(world.old.state, "team-blue", filled=False)
    world.old.state.workspaces[blue].options = {"data-retention": {"historicalDataRetentionDays": 7}}
    world.back_up()
    mine = add_workspace(world.new.state, "team-blue", filled=False)
    world.new.state.add_object(
        mine, "function", "theirs", {"name": "Theirs", "code": "export default e => e"}
    )
    for over_existing in (False, True):
        run = world.recover(world.job(over_existing=over_existing))
        assert "another workspace has its slug and is in use" in problems(run)["team-blue"]
        assert (run.exit_code, world.writes()) == (7, 0)
    assert not list(tmp_path.glob(f"*.{mine}.*"))


def test_a_workspace_that_has_ids_of_two_lost_ones_is_named_for_one_of_them(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue", "team-red")
    world.back_up()
    merged = add_workspace(world.new.state, "merged", filled=False)
    for key, one in world.old.state.objects.items():
        if one.type in ("function", "stream"):
            world.new.state.objects[key] = replace(one, workspace_id=merged)
    for slug in ("team-blue", "team-red"):
        theirs = add_workspace(world.new.state, slug, filled=False)
        world.new.state.add_object(
            theirs, "function", f"of-{slug}", {"name": "Theirs", "code": "export default e => e"}
        )
    blue, red = (str(one.problem) for one in world.plan().workspaces)
    assert blue.endswith(
        "; merged has at least 5 of its entities; add --into team-blue=merged to continue there"
    )
    assert "name a workspace for it with --into team-red=OTHER" in red
