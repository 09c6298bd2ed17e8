"""What goes wrong with one workspace is told, and harms no other."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pyrage
import pytest

from jitsu_backup.archive import UNCOMPARED
from jitsu_backup.errors import BlockedError, KeyRejectedError, UsageError
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.recovery import ClashKind, Presence, RecoveryRun
from jitsu_backup.reports.recovery import plan_summary
from jitsu_backup.reports.recovery_remarks import notes
from jitsu_backup.reports.recovery_values import RecoveryReport
from jitsu_backup.sandbox import Generation
from jitsu_backup.sandbox.state import READER
from tests.recovery.kit import ADMIN_KEY, OLD, SLUGS, World, add_workspace, left, problems, tables
from tests.recovery.test_console import equal, lost
from tests.support import OWNER, Meddling

MINE, THEIRS = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()


def archive_of(world: World, slug: str) -> Path:
    (found,) = [
        path for path in world.folder.iterdir() if path.name.startswith(f"{slug}.") and "json.gz" in path.name
    ]
    return found


def test_a_damaged_archive_is_reported_and_the_one_before_it_is_taken(tmp_path: Path) -> None:
    world = lost(tmp_path)
    first = archive_of(world, "team-green").read_bytes()
    world.seconds += 3600
    world.back_up()
    newest = max(path for path in tmp_path.iterdir() if path.name.startswith("team-green."))
    newest.write_bytes(first[: len(newest.read_bytes())].ljust(len(newest.read_bytes()), b"\0"))
    run = world.recover()
    (green,) = [one for one in run.outcomes if one.recovery.slug == "team-green"]
    assert [past.exit_code for past in green.recovery.passed_over] == [5]
    assert str(green.recovery.passed_over[0].archive) == newest.name
    assert run.exit_code == 5
    equal(world)


def test_a_workspace_whose_only_archive_is_damaged_is_left_out_alone(tmp_path: Path) -> None:
    world = lost(tmp_path)
    path = archive_of(world, "team-green")
    path.write_bytes(path.read_bytes()[:100])
    run = world.recover()
    assert [(one.slug, one.exit_code) for one in run.plan.left_out] == [("team-green", 5)]
    assert run.exit_code == 5
    equal(world, "team-blue", "team-red")
    alone = world.plan(world.job(workspaces=("team-green",), first=("team-green",)))
    assert [(one.slug, one.exit_code) for one in alone.left_out] == [("team-green", 5)]


def test_a_name_that_matches_nothing_is_reported_with_what_the_store_has(tmp_path: Path) -> None:
    world = lost(tmp_path)
    there = "it has team-blue, team-green, team-red$"
    for job, message in (
        ({"workspaces": ("nosuch",)}, f"has no backup of 'nosuch'; {there}"),
        ({"first": ("nosuch",)}, f"the store has no such workspace; {there}"),
        ({"workspaces": ("team-red",), "first": ("nosuch",)}, f"the store has no such workspace; {there}"),
        (
            {"workspaces": ("team-red",), "first": ("team-blue",)},
            "--first names 'team-blue', which --workspace leaves out; omit this --first, or add --workspace team-blue",
        ),
        (
            {"workspaces": ("team-red",), "into": {"team-blue": "x"}},
            "--into names 'team-blue', which --workspace",
        ),
    ):
        with pytest.raises(UsageError, match=message):
            world.plan(world.job(**job))


@pytest.mark.parametrize(
    ("slugs", "keys", "others"),
    [
        (SLUGS[:1], ArchiveKeys(passphrase="not to be told"), ArchiveKeys(passphrase="another one")),
        (SLUGS, ArchiveKeys((str(MINE.to_public()),)), ArchiveKeys(identities=(str(THEIRS).encode(),))),
    ],
    ids=["passphrase", "identity"],
)
def test_without_an_identity_nothing_is_read_and_each_workspace_is_reported(
    slugs: tuple[str, ...], keys: ArchiveKeys, others: ArchiveKeys, tmp_path: Path
) -> None:
    world = World(tmp_path, keys=keys)
    world.add(*slugs)
    world.back_up()
    world.keys = others
    plan = world.plan()
    assert [(one.slug, one.exit_code) for one in plan.left_out] == [(slug, 6) for slug in slugs]
    assert plan.workspaces == ()
    assert plan.exit_code == 6
    assert "not to be told" not in str(plan)


def test_archives_of_different_ages_are_reported_as_old(tmp_path: Path) -> None:
    world = World(tmp_path)
    add_workspace(world.old.state, "team-blue", filled=False)
    world.back_up()
    world.seconds += 5 * 86_400
    world.old.state.workspaces.clear()
    world.add("team-green")
    world.back_up()
    assert {one.slug: one.is_old for one in world.plan().workspaces} == {
        "team-blue": True,
        "team-green": False,
    }


def test_no_archive_newer_than_the_moment_is_taken(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue")
    world.back_up()
    moment = world.now()
    was = tables(world.old.state, "team-blue")
    world.seconds += 3600
    for one in world.old.state.objects.values():
        if one.type == "function":
            one.config = {**one.config, "code": "export default async (e) => null"}
    world.back_up()
    world.recover(world.job(at=moment))
    assert tables(world.new.state, "team-blue") == was


def test_a_store_of_two_consoles_is_recovered_one_at_a_time(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue")
    world.back_up()
    world.back_up_second_console()
    with pytest.raises(UsageError, match="several consoles"):
        world.plan()
    run = world.recover(world.job(from_host="lost.example"))
    assert [one.recovery.slug for one in run.outcomes] == ["team-blue"]
    assert run.plan.source_host == OLD
    equal(world, "team-blue")


def test_a_wrong_from_names_the_consoles_even_if_only_a_shrunk_archive_is_newest(tmp_path: Path) -> None:
    world = lost(tmp_path)
    for one in world.old.state.objects.values():
        one.deleted = one.deleted or one.type != "stream"
    world.seconds += 3600
    world.back_up()
    with pytest.raises(UsageError, match=r"no archive of the console nowhere; it has: http://lost\.example"):
        world.plan(world.job(from_host="nowhere"))


def test_workspaces_that_moved_to_another_console_count_for_both(tmp_path: Path) -> None:
    world = lost(tmp_path)
    world.seconds += 3600
    world.back_up()
    world.old.state.workspaces.pop(next(iter(world.old.state.workspaces)))
    for _ in range(2):
        world.seconds += 3600
        world.run(world.backing_up(world.old, host="http://second.example"))
    counted = r"lost\.example \(3 workspaces, the newest archive of 2026-11-23 20:00:00.*second\.example \(2 workspaces"
    for job in (world.job(), world.job(from_host="nowhere")):
        with pytest.raises(UsageError, match=counted):
            world.plan(job)
    with pytest.raises(UsageError, match=r"\(1 named workspace, "):
        world.plan(world.job(from_host="nowhere", workspaces=("team-red",)))
    plan = world.plan(world.job(from_host=OLD))
    assert [one.slug for one in plan.workspaces] == list(SLUGS)
    assert plan.oldest is not None
    assert {one.archive.taken_at.hour for one in plan.workspaces} == {plan.oldest.hour}
    assert (plan.left_out, plan.exit_code) == ((), 0)
    second = world.plan(world.job(from_host="second.example"))
    assert [one.slug for one in second.workspaces] == ["team-green", "team-red"]
    assert [(one.slug, one.why, one.exit_code) for one in second.left_out] == [
        ("team-blue", f"archives are of another console, {OLD}", 0)
    ]
    for path in sorted(tmp_path.glob("team-red.*"))[:2]:
        path.write_bytes(path.read_bytes()[:100])
    (red,) = world.plan(world.job(from_host=OLD)).left_out
    assert (red.slug, red.exit_code) == ("team-red", 5)
    assert "was found, only of http://second.example, but 2 archives cannot be read" in red.why


def test_of_a_named_console_an_archive_that_was_not_compared_is_better_than_none(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue")
    world.back_up(host="http://second.example")
    world.seconds += 3600
    world.back_up(admin=False)
    (first,) = world.plan(world.job(from_host=OLD)).workspaces
    alone = replace(first.archive, marks=(UNCOMPARED,))
    (tmp_path / str(first.archive)).rename(tmp_path / str(alone))
    (first,) = world.plan(world.job(from_host=OLD)).workspaces
    (second,) = world.plan(world.job(from_host="second.example")).workspaces
    assert (first.archive, second.archive.key_class) == (alone, "operator")
    assert (first.passed_over, second.passed_over) == ((), ())


def test_a_workspace_of_somebody_else_is_not_touched_unless_it_is_named_as_the_target(tmp_path: Path) -> None:
    world = lost(tmp_path)
    mine = add_workspace(world.new.state, "team-green", filled=False)
    world.new.state.add_object(
        mine, "function", "somebodys", {"name": "Somebody's", "code": "export default e => e"}
    )
    before = tables(world.new.state, "team-green")
    run = world.recover()
    assert re.search(
        rf"another workspace has its slug and is in use: {mine} \('Team Green'\).*--into team-green=OTHER.*create.*only --into team-green=team-green --over-existing",
        problems(run)["team-green"],
    )
    (green,) = [one for one in run.plan.workspaces if one.slug == "team-green"]
    assert green.called_now is None
    assert tables(world.new.state, "team-green") == before
    assert run.exit_code == 7
    equal(world, "team-blue", "team-red")
    again = world.recover(world.job(over_existing=True))
    assert problems(again) == problems(run)
    assert tables(world.new.state, "team-green") == before
    itself = world.job(into={"team-green": "team-green"})
    run = world.recover(itself)
    assert problems(run)["team-green"].endswith("add --over-existing")
    (problem,) = filter(None, (one.problem for one in run.outcomes))
    assert getattr(problem, "flags", ()) == ("--over-existing",)
    assert tables(world.new.state, "team-green") == before
    assert problems(world.recover(replace(itself, over_existing=True))) == {}
    there = tables(world.new.state, "team-green")
    assert there["objects"].pop("somebodys")
    assert there["objects"] == tables(world.old.state, "team-green")["objects"]


def test_a_live_entity_that_differs_is_not_changed_back_unless_it_is_asked_for(tmp_path: Path) -> None:
    world = lost(tmp_path)
    world.new = world.old  # the console is there, and one of its workspaces was changed since
    for one in world.old.state.objects.values():
        if one.type == "function" and one.config["name"] == "Enrich":
            one.config = {**one.config, "code": "export default async (e) => null"}
    run = world.recover(world.job(host=OLD))
    assert set(problems(run)) == set(SLUGS)
    assert "would be overwritten" in problems(run)["team-blue"]
    assert world.writes() == 0


def test_an_empty_workspace_that_is_there_needs_no_flag(tmp_path: Path) -> None:
    world = lost(tmp_path)
    world_id = add_workspace(world.new.state, "team-green", filled=False)
    run = world.recover()
    assert problems(run) == {}
    (green,) = [one for one in run.outcomes if one.recovery.slug == "team-green"]
    assert (green.made, green.target_id) == (False, world_id)
    equal(world)


def test_secrets_that_nobody_gives_block_a_workspace_before_it_is_made(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue", "team-green")
    world.run(world.backing_up(world.old, admin=False))
    plan = world.plan()
    assert {one.slug for one in plan.stuck} == {"team-blue", "team-green"}
    assert plan.exit_code == 7
    assert all(one.losses for one in plan.stuck)
    run = world.recover()
    assert world.writes() == 0
    assert not world.new.state.workspaces
    assert run.exit_code == 7


def taken_by_others(world: World) -> None:
    row = world.new.state.add_workspace(
        "csomebodys00000000000000x", "Theirs", "team-green", {READER.id: "owner"}
    )
    assert row.slug == "team-green"


def test_a_slug_of_a_workspace_that_the_key_cannot_see_is_reported_and_costs_no_budget(
    tmp_path: Path,
) -> None:
    world = lost(tmp_path)
    taken_by_others(world)
    looked = world.plan(world.job(OWNER))
    assert ([one.slug for one in looked.stuck], looked.exit_code) == (["team-green"], 7)
    run = world.recover(world.job(OWNER))
    assert "cannot see; add the operator's token" in problems(run)["team-green"]
    assert "another slug in the UI, and name it with --into team-green=OTHER" in problems(run)["team-green"]
    assert sum(one.path == "/api/workspace" and one.method == "POST" for one in world.new.requests) == 2
    equal(world, "team-blue", "team-red")


def test_another_workspace_can_be_named_for_one_whose_slug_is_taken(tmp_path: Path) -> None:
    world = lost(tmp_path)
    taken_by_others(world)
    mine = add_workspace(world.new.state, "team-green-2", filled=False)
    run = world.recover(world.job(OWNER, into={"team-green": "team-green-2"}))
    assert problems(run) == {}
    assert {one.recovery.slug: one.target_id for one in run.outcomes}["team-green"] == mine
    there, was = tables(world.new.state, "team-green-2"), tables(world.old.state, "team-green")
    assert there["objects"] == was["objects"]
    stranger = "csomebodys00000000000000x"
    world.new.state.add_object(stranger, "function", "theirs", {"name": "Theirs", "code": "export default 1"})
    run = world.recover()
    again = problems(run)["team-green"]
    flags = [getattr(one.problem, "flags", ()) for one in run.outcomes if one.recovery.slug == "team-green"]
    assert flags == [("--into", "team-green=team-green-2")]
    unseen = problems(world.recover(world.job(OWNER)))["team-green"]
    assert unseen.startswith("its slug cannot be had for a new workspace; team-green-2 has ")
    assert unseen.endswith("; add --into team-green=team-green-2 to continue there")
    listings = plan_summary(RecoveryReport(run.plan, world.now())).listings
    assert not [one.heading for one in listings if "New ids" in one.heading]
    assert [note for one in run.plan.workspaces for note in notes(one)] == []  # the store has the record
    itself = world.plan(world.job(into={"team-green": "team-green"}))
    assert "no record of a recovery of it into this workspace" in str(list(map(notes, itself.workspaces)))
    assert f"another workspace has its slug and is in use: {stranger}" in again
    assert "team-green-2 has" in again
    assert again.endswith("add --into team-green=team-green-2 to continue there")
    with pytest.raises(UsageError, match="create it in the UI first"):
        world.plan(world.job(into={"team-green": "nowhere"}))


@pytest.mark.parametrize("generation", Generation)
def test_a_workspace_that_somebody_makes_after_the_plan_is_used_and_not_made_twice(
    generation: Generation, tmp_path: Path
) -> None:
    world = World(tmp_path, generation)
    workspace_id = add_workspace(world.old.state, "team-blue", filled=False)
    world.old.state.add_object(
        workspace_id, "function", "fn-blue", {"name": "Blue", "code": "export default e => e"}
    )
    world.back_up()
    run = world.run(
        world.recovering(
            world.job(), between=lambda: add_workspace(world.new.state, "team-blue", filled=False)
        )
    )
    assert problems(run) == {}
    assert [one.made for one in run.outcomes] == [False]
    assert [row.slug for row in world.new.state.workspaces.values()] == ["team-blue"]
    equal(world, "team-blue")


def test_what_somebody_puts_into_a_workspace_after_the_plan_keeps_it_from_being_touched(
    tmp_path: Path,
) -> None:
    world = lost(tmp_path)

    def somebody() -> None:
        mine = add_workspace(world.new.state, "team-green", filled=False)
        world.new.state.add_object(
            mine, "function", "theirs", {"name": "Theirs", "code": "export default e => e"}
        )

    run = world.run(world.recovering(world.job(), between=somebody))
    assert "in use" in problems(run)["team-green"]
    equal(world, "team-blue", "team-red")


def meddled(
    world: World, meddle: Callable[[int, httpx.Request], httpx.Response | None], **options: object
) -> RecoveryRun:
    key = str(options.pop("key", ADMIN_KEY))
    return world.recover(world.job(key, wrap=lambda inner: Meddling(inner, meddle), **options))


def test_a_reply_that_is_lost_when_a_workspace_is_made_makes_no_second_one(tmp_path: Path) -> None:
    for generation in Generation:
        world = World(tmp_path / generation.value, generation)
        world.folder.mkdir()
        add_workspace(world.old.state, "team-blue", filled=False)
        world.back_up()
        inner = httpx.ASGITransport(world.new.app)

        class Losing(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request, inner=inner) -> httpx.Response:  # type: ignore[no-untyped-def]
                reply = await inner.handle_async_request(request)
                if request.method == "POST" and request.url.path == "/api/workspace":
                    raise httpx.ReadError("the connection broke", request=request)
                return reply

        run = world.recover(world.job(OWNER, wrap=lambda _inner: Losing()))
        assert problems(run) == {}
        assert [row.slug for row in world.new.state.workspaces.values()] == ["team-blue"]


def test_a_limit_that_somebody_else_has_hit_is_waited_for(tmp_path: Path) -> None:
    world = lost(tmp_path)
    world.new.access.rate_limit = True
    hit = False

    def others(_: int, request: httpx.Request) -> None:
        nonlocal hit
        if request.url.path == "/api/workspace" and request.method == "POST" and not hit:
            hit = True
            for _ in range(3):
                world.new.limiter.take("key1", "workspace-create")

    run = meddled(world, others, key=OWNER)
    assert problems(run) == {}
    assert any(one.status == 429 for one in world.new.requests)
    equal(world)


def test_a_name_that_the_console_does_not_take_becomes_the_slug_and_is_reported(tmp_path: Path) -> None:
    world = World(tmp_path)
    workspace_id = add_workspace(world.old.state, "team-blue", filled=False)
    world.old.state.workspaces[workspace_id].name = "Blau (Köln)"
    world.back_up()
    for key in (OWNER, ADMIN_KEY):
        looked = world.plan(world.job(key))
        assert ([one.renamed for one in looked.workspaces], looked.exit_code) == (["team-blue"], 3)
    (outcome,) = world.recover(world.job(OWNER)).outcomes
    assert (outcome.renamed, outcome.exit_code) == ("team-blue", 3)
    assert [row.name for row in world.new.state.workspaces.values()] == ["team-blue"]
    (again,) = world.recover(world.job(OWNER)).outcomes
    assert (again.renamed, again.exit_code) == ("team-blue", 3)
    world.new = world.console()
    world.new.state.generation = Generation.OCTOBER_2024  # which takes any name
    assert [one.renamed for one in world.plan().workspaces] == [""]


def test_a_slug_that_the_console_does_not_take_is_left_to_a_person(tmp_path: Path) -> None:
    world = World(tmp_path, Generation.OCTOBER_2024)
    workspace_id = add_workspace(world.old.state, "team-blue", filled=False)
    world.old.state.workspaces[workspace_id].slug = "ab"
    add_workspace(world.old.state, "team-red", filled=False)
    world.back_up()
    world.new.state.generation = Generation.JULY_2026
    run = world.recover()
    assert "have at least 5 characters" in problems(run)["ab"]
    assert "another slug in the UI, and name it with --into ab=OTHER" in problems(run)["ab"]
    assert run.exit_code == 7
    assert [row.slug for row in world.new.state.workspaces.values()] == ["team-red"]


def test_a_slug_that_the_console_will_not_take_is_reported_in_the_plan(tmp_path: Path) -> None:
    world = World(tmp_path, Generation.OCTOBER_2024)
    world.add("team-blue")
    (row,) = [one for one in world.old.state.workspaces.values() if one.slug == "team-blue"]
    row.slug = "solo"
    world.back_up()
    world.new.state.generation = Generation.JULY_2026
    (one,) = world.plan().stuck
    assert "have at least 5 characters" in str(one.problem)
    world.new.state.generation = Generation.OCTOBER_2024
    assert not world.plan().stuck


def test_what_two_workspaces_claim_is_planned_for_the_first_and_reported(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue", "team-green")
    for one in world.old.state.objects.values():
        if one.config.get("domains"):
            one.config = {**one.config, "domains": ["same.example"]}
    world.back_up()
    run = world.recover()
    assert [(c.kind, c.name, c.claimed_by) for c in run.plan.clashes] == [
        (ClashKind.DOMAIN, "same.example", ("team-blue", "team-green"))
    ]
    assert problems(run) == {}
    assert [left(one) for one in run.outcomes if one.recovery.slug == "team-blue"] == [[]]
    (told,) = [left(one) for one in run.outcomes if one.recovery.slug == "team-green"]
    assert all("in use by workspace team-blue" in line for line in told)
    assert run.plan.exit_code == run.exit_code == 3
    row = world.new.state.find_workspace("team-green")
    assert row is not None
    row.created_at = (
        f"9{row.created_at[1:]}"  # it was made after the other, at another moment than by this clock
    )
    again = world.recover(world.job(first=("team-green",)))
    assert {one.recovery.slug: len(left(one)) for one in again.outcomes} == {
        "team-green": len(told),
        "team-blue": 0,
    }


def test_two_recoveries_of_one_console_do_not_run_at_once(tmp_path: Path) -> None:
    world = lost(tmp_path)

    async def both() -> list[object]:
        return await asyncio.gather(
            world.recovering(world.job()), world.recovering(world.job()), return_exceptions=True
        )

    ended = world.run(both())
    assert sorted(type(one) for one in ended if isinstance(one, Exception)) == [BlockedError]
    assert len(world.new.state.workspaces) == 3
    equal(world)


def test_a_full_disk_while_the_targets_are_backed_up_harms_none_that_is_only_added_to(tmp_path: Path) -> None:
    world = lost(tmp_path)
    create = world.store.create
    told: list[str] = []

    async def full(name: str, data: bytes) -> bool:
        if "pre-restore" in name:
            from jitsu_backup.errors import BackupError

            raise BackupError("the disk is full")
        return await create(name, data)

    world.store.create = full  # type: ignore[method-assign]
    run = world.recover(report=lambda event: told.append(getattr(event, "text", "")))
    assert problems(run) == {}
    assert any("team-blue" in text and "the disk is full" in text for text in told)
    equal(world)


def test_names_that_mean_nothing_are_refused_before_anything_is_done(tmp_path: Path) -> None:
    world = lost(tmp_path)
    for options in ({"first": ("team-rde",)}, {"workspaces": ("team-rde",)}, {"into": {"team-rde": "x"}}):
        with pytest.raises(UsageError, match="team-rde"):
            world.plan(world.job(**options))
    add_workspace(world.new.state, "team-there", filled=False)
    with pytest.raises(
        UsageError, match=r"--into team-red=nowhere: .* no workspace 'nowhere' .*; create it .*: team-there"
    ):
        world.plan(world.job(into={"team-red": "nowhere"}))


def test_one_workspace_alone_can_be_recovered(tmp_path: Path) -> None:
    world = lost(tmp_path)
    run = world.recover(world.job(workspaces=("team-green",)))
    assert [one.recovery.slug for one in run.outcomes] == ["team-green"]
    assert [one.presence for one in run.plan.workspaces] == [Presence.NEW]
    assert len(world.new.state.workspaces) == 1
    equal(world, "team-green")


def test_which_of_two_keys_is_refused_is_reported_before_anything_is_made(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue")
    world.back_up()
    bad = "bad:key"
    for operators, persons, refused in ((bad, OWNER, "the token"), (ADMIN_KEY, bad, "the person's key")):
        job = world.job(
            operators,
            called="the token",
            maker=world.connection(world.new, persons, called="the person's key"),
        )
        with pytest.raises(
            KeyRejectedError, match=rf"rejects {refused}: Invalid API key id bad; nothing was"
        ):
            world.plan(job)
