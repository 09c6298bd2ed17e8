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
from jitsu_backup.errors import UsageError
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


def wipe(world: World) -> None:
    """Delete everything in the workspaces of the new console."""
    for rows in (world.new.state.objects, world.new.state.links, world.new.state.builders):
        rows.clear()


def test_if_a_workspace_that_exists_has_archives_of_the_lost_console_and_newer_ones_a_person_chooses(
    tmp_path: Path,
) -> None:
    world = backed_up_again(tmp_path, "team-blue", lost=("team-green",))
    counted = r"several consoles: .*lost\.example \(2.*new\.example \(1.*; choose one with --from HOST$"
    for names in ((), ("team-blue", "team-green")):
        with pytest.raises(UsageError, match=counted):
            world.plan(world.job(workspaces=names))
    newest = world.plan(world.job(from_host=NEW))
    assert [(one.slug, one.writes) for one in newest.workspaces] == [("team-blue", 0)]
    run = world.recover(world.job(from_host=OLD))
    assert (run.exit_code, run.plan.source_host, run.plan.left_out) == (0, OLD, ())
    assert problems(run) == {}
    assert same_names(world, "team-blue", "team-green")


def test_backups_of_an_empty_new_console_neither_hide_those_of_the_lost_one_nor_ask(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue", "team-green")
    world.back_up()
    blue = world.old.state.find_workspace("team-blue")
    assert blue is not None
    world.new.state.workspaces[blue.id] = deepcopy(blue)
    for _ in range(2):
        world.seconds += 3600
        world.back_up(world.new)
    plan = world.plan()
    assert (plan.exit_code, plan.source_host, plan.left_out) == (0, OLD, ())
    assert all(one.writes for one in plan.workspaces)


def test_what_only_the_new_console_has_is_left_out_and_one_of_its_archives_is_read_besides_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.add("team-green")
    world.back_up()
    world.add("team-own", sandbox=world.new)
    for _ in range(5):
        world.seconds += 3600
        world.back_up(world.new)
    read, reads = FolderStore.read, list[str]()

    async def counted(self: FolderStore, name: str) -> bytes:
        reads.append(name)
        return await read(self, name)

    monkeypatch.setattr(FolderStore, "read", counted)
    (own,) = world.plan().left_out
    assert (own.slug, own.exit_code) == ("team-own", 0)
    assert own.why == f"archives are of the console that is written into, {NEW}"
    assert len(reads) == 3
    for path in sorted(tmp_path.glob("team-own.*"))[:2]:
        path.write_bytes(path.read_bytes()[:100])
    assert world.plan().left_out == (own,)
    wipe(world)
    (own,) = world.plan().left_out
    restores = f"`recover --from {NEW} --workspace team-own` restores it"
    assert (own.slug, own.exit_code) == ("team-own", 3)
    assert own.why == f"its newest archive is of {NEW}, and it differs from that; {restores}"
    (own_back,) = world.plan(world.job(from_host=NEW, workspaces=("team-own",))).workspaces
    assert own_back.writes == len(own_back.snapshot.entities)


def test_if_all_newest_archives_are_of_the_new_console_the_plan_names_the_other_one(tmp_path: Path) -> None:
    world = backed_up_again(tmp_path, "team-blue")
    plan = world.plan()
    assert (plan.source_host, plan.other_hosts) == (NEW, (OLD,))
    note = f"the store also has archives of {OLD}; --from {OLD} restores from them"
    assert ("note", note) in plan_summary(RecoveryReport(plan, world.now())).facts
    chosen = world.plan(world.job(from_host=OLD))
    assert (chosen.source_host, chosen.other_hosts) == (OLD, ())


def test_if_every_workspace_exists_each_comes_from_its_newest_archive_whichever_console_that_is_of(
    tmp_path: Path,
) -> None:
    world = backed_up_again(tmp_path, "team-blue", "team-green")
    for path in sorted(tmp_path.glob("team-green.*"))[1:]:
        path.unlink()
    wipe(world)
    plan = world.plan()
    assert (plan.exit_code, plan.source_host, plan.other_hosts) == (0, NEW, (OLD,))
    hosts = {one.slug: one.snapshot.manifest.source.host for one in plan.workspaces if one.writes}
    assert hosts == {"team-blue": NEW, "team-green": OLD}


def test_a_workspace_that_was_deleted_on_purpose_does_not_choose_the_console(tmp_path: Path) -> None:
    world = backed_up_again(tmp_path, "team-blue", lost=("team-green",))
    wipe(world)
    with pytest.raises(UsageError, match="several consoles"):
        world.plan()
    plan = world.plan(world.job(gone=("team-green",)))
    assert (plan.source_host, plan.other_hosts) == (NEW, (OLD,))
    assert [one.snapshot.manifest.source.host for one in plan.workspaces] == [NEW]
    assert [(one.slug, one.exit_code) for one in plan.left_out] == [("team-green", 0)]


def test_a_console_with_two_addresses_comes_back_whole(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue", "team-green", sandbox=world.new)
    world.back_up(world.new)
    world.seconds += 3600
    state = world.new.state
    rows = dict(state.workspaces)
    green = next(row for row in rows.values() if row.slug == "team-green")
    state.workspaces.pop(green.id)
    world.run(world.backing_up(world.new, host="https://public.example"))
    state.workspaces.update(rows)
    wipe(world)
    plan = world.plan()
    assert (plan.exit_code, plan.source_host, plan.left_out) == (0, NEW, ())
    assert plan.other_hosts == ("https://public.example",)
    assert [one.slug for one in plan.workspaces if one.writes] == ["team-blue", "team-green"]


def test_newer_archives_of_what_was_emptied_after_a_recovery_are_listed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue")
    world.back_up()
    world.recover()
    for row in world.new.state.workspaces.values():
        row.access.setdefault("u-owner", "owner")
    world.seconds += 90 * 86_400
    world.back_up(world.new)
    plan = world.plan()
    assert (plan.exit_code, plan.workspaces[0].passed_over) == (0, ())
    wipe(world)
    plan = world.plan()
    (past,) = plan.workspaces[0].passed_over
    assert (plan.exit_code, past.archive.taken_at.year) == (3, 2027)
    assert past.why == "it was taken after an earlier recovery; to use it, `restore` it by its id"


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
        archive_name(here, (CLONED, mark)),
        taken_at=wanted.taken_at + timedelta(hours=1),
        slug="acme-staging",
    )
    later = replace(here, taken_at=wanted.taken_at + timedelta(hours=2))
    earlier = Earlier(
        later, [before, record], FolderStore(str(tmp_path)), ArchiveKeys()
    )  # nothing can be read
    move = asyncio.run(earlier.before_move([before, record]))
    assert (move is not None) == recovered


@pytest.mark.parametrize("before", [True, False])
def test_a_clone_from_a_workspace_that_is_not_in_the_store_shows_no_other_console(
    tmp_path: Path, *, before: bool
) -> None:
    """Its source cloned before the archive too, or the backup from before it has what the console has lost since."""
    wanted = make_snapshot({"model": [{"id": "m"}]}, host=NEW)
    archive, mark = archive_name(wanted), source_mark("https://staging.example", "cstaging")
    there = make_snapshot({"model" if not before else "function": [{"id": "m"}]}, host=NEW)
    clones = [
        replace(archive_name(one, marks), taken_at=wanted.taken_at + timedelta(minutes=minutes))
        for one, marks, minutes in (
            (there, (CLONED, mark), -60 if before else 60),
            (make_snapshot({"function": []}, host=NEW), (CLONED, mark), 61),
            (there, (CLONED, mark, "after-0123456789ab"), 62),
        )
    ]
    now = make_snapshot({"stream": []}, host=NEW, not_offered=("model",))
    now = replace(now, taken_at=wanted.taken_at + timedelta(hours=2))
    own = [archive, *clones]
    earlier = Earlier(now, own, FolderStore(str(tmp_path)), ArchiveKeys())  # nothing can be read
    assert asyncio.run(earlier.before_move(own)) is None
