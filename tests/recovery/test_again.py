"""What is recovered is lost again, is half there, or is of a console whose address stays."""

import asyncio
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from jitsu_backup.catalogue.rate_limits import PACE_MARGIN
from jitsu_backup.errors import StorageAccessError, UsageError
from jitsu_backup.events import Event
from jitsu_backup.operations.recovery import ClashKind, RecoveryRun, recover
from jitsu_backup.operations.recovery.claims import settle_claims
from jitsu_backup.planning import PlanOptions, parse_overlay
from jitsu_backup.planning.forecast import Load
from jitsu_backup.reports.recovery_remarks import role_in_words
from jitsu_backup.sandbox import Generation
from jitsu_backup.store import FolderStore, archives
from tests.recovery.kit import ADMIN_KEY, OLD, SLUGS, World, add_workspace, problems, tables
from tests.recovery.test_console import equal, lost
from tests.recovery.test_kills import kill_at
from tests.support import OWNER, make_snapshot, run


def join_owner(world: World) -> None:
    for row in world.new.state.workspaces.values():
        row.access.setdefault("u-owner", "owner")


def lose_again(world: World) -> None:
    """The new console takes the place of the lost one, and is lost too."""
    world.old, world.new = world.new, world.console()
    world.gates.clear()


@pytest.mark.parametrize("killed", [0, 250, 330])
def test_a_console_that_is_lost_a_second_time_comes_back_as_it_was_last(killed: int, tmp_path: Path) -> None:
    world = lost(tmp_path)
    world.recover(world.job(host=OLD))
    join_owner(world)
    for one in world.new.state.objects.values():
        if one.type == "function" and one.config["name"] == "Enrich":
            one.config = {**one.config, "code": "export default async (e) => null"}
    world.seconds += 86_400
    world.run(world.backing_up(world.new, host=OLD))
    lose_again(world)
    if killed:
        kill_at(world, killed, reply=True)
    run = world.recover(world.job(host=OLD))
    assert problems(run) == {}
    assert all("recovered as" in one.why for one in run.plan.left_out)
    equal(world)


def test_whom_to_invite_is_known_after_a_second_loss_too_with_the_day_that_it_is_of(tmp_path: Path) -> None:
    world = lost(tmp_path)
    first = world.recover(world.job(host=OLD))
    had = {one.recovery.slug: {member.email for member in one.recovery.members} for one in first.outcomes}
    assert all(len(emails) == 2 for emails in had.values())
    day = {one.recovery.slug: one.recovery.archive.taken_at for one in first.outcomes}
    for count in (2, 3):  # and after a third
        join_owner(world)  # one of them is a member again, and backs up
        world.seconds += 86_400
        world.run(world.backing_up(world.new, host=OLD))
        lose_again(world)
        plan = world.plan(world.job(host=OLD))
        for one in plan.workspaces:
            assert {member.email for member in one.members} == had[one.slug], count
            (before,) = [member for member in one.members if member.as_of is not None]
            assert before.as_of == day[one.slug]
            assert role_in_words(before).endswith(
                f", as of {before.as_of:%Y-%m-%d}, before an earlier recovery"
            )
        run_ = world.recover(world.job(host=OLD))
        assert all({m.email for m in one.recovery.members} == had[one.recovery.slug] for one in run_.outcomes)


def test_what_was_killed_before_its_record_is_recorded_by_the_next_run(tmp_path: Path) -> None:
    world = lost(tmp_path)
    world.recover()
    for path in tmp_path.iterdir():  # as if the first run had been killed right before
        if ".cloned." in path.name:
            path.unlink()
    before = world.writes()
    assert problems(world.recover()) == {}
    assert world.writes() == before
    kept = run(archives(world.store))
    assert {one.slug for one in kept if one.cloned_from and not one.is_intent} == set(SLUGS)


@pytest.mark.parametrize("generation", Generation)
def test_a_second_run_writes_neither_to_the_console_nor_to_the_store(
    generation: Generation, tmp_path: Path
) -> None:
    world = World(tmp_path, generation)
    world.add("team-blue")
    world.back_up()
    world.recover()
    before, kept = world.writes(), sorted(tmp_path.iterdir())
    assert problems(world.recover()) == {}
    assert world.writes() == before
    assert sorted(tmp_path.iterdir()) == kept


def test_what_people_delete_after_a_recovery_stays_deleted(tmp_path: Path) -> None:
    world = lost(tmp_path)
    world.recover()
    for one in world.new.state.objects.values():
        if one.type == "notification":
            one.deleted = True
    before = world.writes()
    assert problems(world.recover()) == {}
    assert world.writes() == before


def test_a_workspace_that_was_emptied_after_a_recovery_is_filled_again(tmp_path: Path) -> None:
    world = lost(tmp_path)
    world.recover()
    green = world.new.state.find_workspace("team-green")
    assert green is not None
    state = world.new.state
    rows = (*state.objects.values(), *state.links.values(), *state.builders.values())
    for one in rows:
        one.deleted = one.deleted or one.workspace_id == green.id
    run_ = world.recover()
    assert problems(run_) == {}
    there, was = tables(state, "team-green"), tables(world.old.state, "team-green")
    assert len(there["objects"]) == len(was["objects"])
    assert len(there["links"]) == len(was["links"])


def test_secrets_that_the_archives_lack_come_from_an_overlay_for_each_workspace(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue", "team-green")
    world.run(world.backing_up(world.old, admin=False))
    given = {}
    for one in world.plan().stuck:
        lines = [line for line in one.snapshot.manifest.ledger if line.type != "workspace"]
        rules: dict[str, dict[str, str]] = {}
        for line in lines:
            rules.setdefault(f"{line.type}/{line.id}", {})[line.path] = "from-the-vault"
        given[one.slug] = parse_overlay(rules)
    run_ = world.recover(world.job(overlays={"team-blue": given["team-blue"]}))
    assert set(problems(run_)) == {"team-green"}
    (blue,) = [one for one in run_.plan.workspaces if one.slug == "team-blue"]
    assert not [loss for loss in blue.losses if loss.kind.label == "secrets"]
    stored = str(tables(world.new.state, "team-blue")["objects"])
    assert "from-the-vault" in stored
    run_ = world.recover(world.job(overlays=given))
    assert problems(run_) == {}


def test_a_recovery_deletes_nothing(tmp_path: Path) -> None:
    world = lost(tmp_path)
    with pytest.raises(UsageError, match="deletes nothing"):
        world.plan(world.job(options=PlanOptions(prune=True)))


def test_two_names_of_one_workspace_in_an_overlay_are_reported(tmp_path: Path) -> None:
    world = lost(tmp_path)
    blue = world.old.state.find_workspace("team-blue")
    assert blue is not None
    overlays = {
        name: parse_overlay({"function/Enrich": {"description": f"of {name}"}})
        for name in ("team-blue", blue.id)
    }
    with pytest.raises(UsageError, match="are the same workspace; use one name for its tables"):
        world.plan(world.job(overlays=overlays))
    with pytest.raises(UsageError, match="names 'team-none', but the store has no such workspace"):
        world.plan(world.job(overlays={"team-none": overlays["team-blue"]}))


def test_two_workspaces_are_not_recovered_into_one(tmp_path: Path) -> None:
    world = lost(tmp_path)
    add_workspace(world.new.state, "team-all", filled=False)
    into = {"team-blue": "team-all", "team-red": "team-all"}
    run_ = world.recover(world.job(into=into))
    assert "team-all is already the target of team-blue" in problems(run_)["team-red"]
    assert run_.exit_code == 7


def test_a_slug_that_has_moved_to_another_workspace_does_not_bring_one_into_the_other(tmp_path: Path) -> None:
    world = lost(tmp_path)
    world.new = world.old
    state = world.old.state
    blue, green = (state.find_workspace(slug) for slug in ("team-blue", "team-green"))
    assert blue is not None
    assert green is not None
    del state.workspaces[blue.id]
    for one in (*state.objects.values(), *state.links.values(), *state.builders.values()):
        one.deleted = one.deleted or one.workspace_id == blue.id
    green.slug = "team-blue"
    run_ = world.recover(world.job(host=OLD))
    assert f"its slug now belongs to {green.id}" in problems(run_)["team-blue"]
    assert set(problems(run_)) == {"team-blue"}
    assert world.writes() == 0


def test_a_store_that_can_only_be_read_is_recovered_from_all_the_same(tmp_path: Path) -> None:
    world = lost(tmp_path)
    told: list[str] = []

    async def only_readable() -> FolderStore:
        raise StorageAccessError("the store may not be written")

    async def recovering() -> RecoveryRun:
        plan = await world.planning(world.job())
        report = partial(_note, told)
        guards = replace(world.safeguards(report), open_store=only_readable)
        return await recover(world.job(), plan, guards, report, store=world.store)

    run_ = world.run(recovering())
    assert problems(run_) == {}
    equal(world)
    assert any("the console could not be locked" in text for text in told)
    assert run_.exit_code == 3  # what each restore has left could not be recorded


def _note(told: list[str], event: Event) -> None:
    told.append(getattr(event, "text", ""))


def test_what_workspaces_claim_of_a_console_is_settled_for_the_first() -> None:
    stream = {
        "id": "web", "name": "Web", "domains": ["A.example", "b.example"],
        "publicKeys": [{"id": "js.1", "hash": "salt.hash"}],
    }  # fmt: skip
    one = make_snapshot({"stream": [stream]}, workspace_id="ca", slug="one")
    other = make_snapshot(
        {"stream": [{**stream, "domains": ["a.example"], "publicKeys": [{"id": "js.2", "hash": "salt.hash"}]}]},
        workspace_id="cb", slug="two",
    )  # fmt: skip
    clashes, claimed = settle_claims([one, other])
    assert [(c.kind, c.name, c.claimed_by) for c in clashes] == [
        (ClashKind.DOMAIN, "a.example", ("one", "two")),
        (ClashKind.ID, "web", ("one", "two")),
        (ClashKind.WRITE_KEY, "js.1, js.2", ("one", "two")),
    ]
    assert (dict(claimed[0].domains), claimed[0].key_ids) == ({}, frozenset())
    assert dict(claimed[1].domains) == {"a.example": "one"}
    assert claimed[1].key_ids == {"js.1", "js.2"}
    assert "hash" not in str(clashes)


@pytest.mark.parametrize("key", [ADMIN_KEY, OWNER])
def test_workspaces_whose_write_keys_have_the_same_ids_keep_them_when_a_run_was_killed(
    key: str, tmp_path: Path
) -> None:
    world = World(tmp_path)
    world.add(*SLUGS)
    for one in world.old.state.objects.values():
        for name in ("publicKeys", "privateKeys"):
            for write_key in one.config.get(name, ()):
                of_all = write_key["id"].rpartition(".")[0]
                write_key |= {"id": of_all, "hash": f"salt.{one.id}.{of_all}"}
    world.back_up()
    assert world.plan().made_keys == 0
    kill_at(world, 330, reply=True)
    join_owner(world)
    run_ = world.recover(world.job(key))
    assert (problems(run_), run_.plan.made_keys) == ({}, 0)
    equal(world)


def test_an_id_of_a_write_key_that_a_stranger_uses_is_not_used_twice(tmp_path: Path) -> None:
    world = lost(tmp_path)
    streams = [one.config for one in world.old.state.objects.values() if one.type == "stream"]
    key = next(one["publicKeys"][0]["id"] for one in streams if one.get("publicKeys"))
    stranger = add_workspace(world.new.state, "stranger", filled=False)
    config = {"name": "Site", "publicKeys": [{"id": key, "hash": "salt.stranger"}]}
    world.new.state.add_object(stranger, "stream", "site-0001", config)
    run_ = world.recover()
    assert problems(run_) == {}
    assert run_.plan.made_keys == 1


def test_one_workspace_claims_nothing_from_itself() -> None:
    snapshot = make_snapshot({"stream": [{"id": "web", "domains": ["a.example", "a.example"]}]})
    clashes, claimed = settle_claims([snapshot])
    assert (clashes, [dict(one.domains) for one in claimed]) == ((), [{}])


def test_the_forecast_is_that_of_the_slowest_budget_at_the_pace_of_the_gate() -> None:
    load = Load(Counter({"POST": 240, "PUT": 120, "POST or PUT": 120, "GET": 6000}), workspaces=0)
    least = 540 * PACE_MARGIN  # 5,400 reads over ten a second
    assert load.seconds(limited=True) == pytest.approx((least, least + 60))
    assert load.seconds(limited=False) == (0, 0)
    both = Load(Counter({"POST": 240, "PUT": 0, "POST or PUT": 240}))
    assert both.seconds(limited=True) == pytest.approx((60 * PACE_MARGIN, 60 * PACE_MARGIN + 60))
    assert Load(workspaces=2).seconds(limited=True) == (0, 0)
    assert (Load(workspaces=3) + Load(workspaces=2)).seconds(limited=True) == (900, 1200)


def test_a_recovery_that_continues_takes_no_longer_than_its_plan_says(tmp_path: Path) -> None:
    world = World(tmp_path, rate_limit=True)
    world.add(*SLUGS)
    world.back_up()
    stop = asyncio.Event()

    async def interrupted() -> RecoveryRun:
        return await world.recovering(world.job(OWNER), stop=stop, on_outcome=lambda _: stop.set())

    world.run(interrupted())
    world.gates.clear()  # as in another process
    plan = world.plan(world.job(OWNER))
    world.gates.clear()
    began = world.time()
    assert not problems(world.recover(world.job(OWNER)))
    assert 300 < world.time() - began <= plan.seconds_at_most
