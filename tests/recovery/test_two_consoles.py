"""A store with archives of the lost console and of the new one, which has some of the same workspaces."""

import asyncio
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from jitsu_backup.archive import (
    CLONED,
    SHRUNK,
    ArchiveName,
    archive_name,
    newest_first,
    source_mark,
)
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.earlier import Earlier
from jitsu_backup.reports.recovery import plan_summary
from jitsu_backup.reports.recovery_values import RecoveryReport
from jitsu_backup.sandbox import Generation, State
from jitsu_backup.sandbox.state import OWNER
from jitsu_backup.store import FolderStore
from tests.recovery.kit import NEW, OLD, World, problems, tables
from tests.support import STAGING, make_snapshot


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


def recovered_onto_2024(folder: Path) -> World:
    """Return a lost console and one of 2024 in its place, where the workspace came back under its id."""
    world = World(folder)
    world.add("team-blue")
    (row,) = world.old.state.workspaces.values()
    world.back_up()
    world.generation = Generation.OCTOBER_2024
    world.new = world.console()
    world.new.state.add_workspace(row.id, row.name, row.slug, {OWNER.id: "owner"})
    world.recover()
    world.seconds += 3600
    return world


def newest(world: World) -> ArchiveName:
    found = (name for name in newest_first(path.name for path in world.folder.iterdir()))
    return next(name for name in found if not name.set_aside)


def test_what_a_new_console_does_not_support_is_not_missing_from_its_backups_but_what_it_loses_is(
    tmp_path: Path,
) -> None:
    """Neither the first backup raises an alarm nor the second, while archives of the lost console are still recent."""
    world = recovered_onto_2024(tmp_path)
    for _ in range(2):
        world.back_up(world.new)
        made = newest(world)
        assert made.sound, made
        assert "profile-builder" not in made.counts
        world.seconds += 3600
    assert world.plan(world.job(from_host=OLD)).workspaces[0].snapshot.of_type("profile-builder")
    for one in [*world.new.state.objects.values()]:
        if one.type == "stream":
            del world.new.state.objects[one.id]
    world.back_up(world.new)
    assert SHRUNK in newest(world).marks


@pytest.mark.parametrize("recovered", [True, False])
def test_where_an_archive_cannot_be_opened_the_record_of_the_recovery_shows_that_the_console_is_another(
    tmp_path: Path, *, recovered: bool
) -> None:
    """A machine that backs up has no private key. What was cloned from a workspace of the same console shows nothing."""
    wanted = make_snapshot({"model": [{"id": "m"}]}, host=OLD)
    before = archive_name(wanted)
    here = make_snapshot({"stream": []}, host=NEW, not_offered=("model",))
    mark = source_mark(OLD if recovered else NEW, STAGING)
    record = replace(
        archive_name(wanted, (CLONED, mark)),
        taken_at=wanted.taken_at + timedelta(hours=1),
        slug="acme-staging",
    )
    later = replace(here, taken_at=wanted.taken_at + timedelta(hours=2))
    earlier = Earlier(
        later, [before, record], FolderStore(str(tmp_path)), ArchiveKeys()
    )  # nothing can be read
    move = asyncio.run(earlier.before_move([before, record]))
    assert (move is not None) == recovered
