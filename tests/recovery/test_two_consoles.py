"""A store with archives of the lost console and of the new one, which has some of the same workspaces."""

from copy import deepcopy
from pathlib import Path

from jitsu_backup.reports.recovery import plan_summary
from jitsu_backup.reports.recovery_values import RecoveryReport
from jitsu_backup.sandbox import State
from tests.recovery.kit import NEW, OLD, World, problems, tables


def backed_up_again(folder: Path, *slugs: str, lost: tuple[str, ...] = ()) -> World:
    """Return a lost console, and a new one with its workspaces `slugs`, without their newest functions, both backed up."""
    world = World(folder)
    world.add(*slugs, *lost)
    for slug in slugs:
        row = world.old.state.find_workspace(slug)
        assert row is not None
        function = {"name": "Newest", "code": "export default async event => event"}
        world.old.state.add_object(row.id, "function", f"newest-{slug}", function)
    world.back_up()
    was, now = world.old.state, world.new.state
    for slug in slugs:
        row = was.find_workspace(slug)
        assert row is not None
        now.workspaces[row.id] = deepcopy(row)
        for old, new in ((was.objects, now.objects), (was.links, now.links), (was.builders, now.builders)):
            new.update(
                {
                    key: deepcopy(one)
                    for key, one in old.items()
                    if one.workspace_id == row.id and not key.startswith("newest-")
                }
            )
        now.sync_states.update(deepcopy(was.sync_states))
    world.seconds += 3600
    world.back_up(world.new)
    return world


def same_names(world: World, *slugs: str) -> bool:
    """Return whether both consoles have entities of the same names; ids of what the new one had may differ."""

    def names(state: State, slug: str) -> list[str]:
        return sorted(str(body.get("name")) for _, body in tables(state, slug)["objects"].values())

    return all(names(world.new.state, slug) == names(world.old.state, slug) for slug in slugs)


def test_backups_of_the_new_console_do_not_replace_those_of_the_lost_one(tmp_path: Path) -> None:
    world = backed_up_again(tmp_path, "team-blue", lost=("team-green",))
    run = world.recover()
    assert (run.exit_code, run.plan.source_host, run.plan.left_out) == (0, OLD, ())
    assert problems(run) == {}
    assert same_names(world, "team-blue", "team-green")


def test_what_only_the_new_console_has_is_left_out_as_its_own(tmp_path: Path) -> None:
    world = backed_up_again(tmp_path, "team-blue", lost=("team-green",))
    world.add("team-own", sandbox=world.new)
    world.seconds += 3600
    world.back_up(world.new)
    (own,) = world.plan().left_out
    assert (own.slug, own.exit_code) == ("team-own", 0)
    assert own.why == f"archives are of the console that is written into, {NEW}"


def test_if_all_newest_archives_are_of_the_new_console_the_plan_names_the_other_one(tmp_path: Path) -> None:
    world = backed_up_again(tmp_path, "team-blue")
    plan = world.plan()
    assert (plan.source_host, plan.other_hosts) == (NEW, (OLD,))
    note = f"the store also has archives of {OLD}; --from {OLD} restores from them"
    assert ("note", note) in plan_summary(RecoveryReport(plan, world.now())).facts
    chosen = world.plan(world.job(from_host=OLD))
    assert (chosen.source_host, chosen.other_hosts) == (OLD, ())


def test_a_workspace_that_was_not_backed_up_again_shows_which_console_is_lost(tmp_path: Path) -> None:
    world = backed_up_again(tmp_path, "team-blue", "team-green")
    for path in sorted(tmp_path.glob("team-green.*"))[1:]:
        path.unlink()
    run = world.recover()
    assert (run.exit_code, run.plan.source_host, run.plan.left_out) == (0, OLD, ())
    assert same_names(world, "team-blue", "team-green")
