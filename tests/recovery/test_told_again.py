"""What a recovery could not bring back is told by every later one, until somebody gives it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import parse_name
from jitsu_backup.events import Event
from jitsu_backup.operations.recovery import RecoveryJob, RecoveryRun
from jitsu_backup.operations.recovery_losses import LossKind
from jitsu_backup.planning import PlanOptions, UnreadSecret, parse_overlay
from jitsu_backup.reports.recovery import missing_overlay, run_summary
from jitsu_backup.reports.recovery_remarks import restore_command
from jitsu_backup.reports.recovery_values import RecoveryReport
from jitsu_backup.sandbox import Generation
from jitsu_backup.sandbox.state import OWNER
from tests.recovery.kit import SLUGS, World, add_workspace, problems
from tests.recovery.test_kills import kill_at

WITHOUT = PlanOptions(allow_missing_secrets=True)
PASSWORDS = parse_overlay({"destination/ClickHouse": {"password": "of-the-vault"}})


def without_secrets(tmp_path: Path) -> World:
    """A lost console of which a person's key has read the backups: no secrets, no hashes of write keys."""
    world = World(tmp_path)
    world.add(*SLUGS[:2])
    world.run(world.backing_up(world.old, admin=False))
    return world


def again(world: World, options: PlanOptions = WITHOUT) -> RecoveryRun:
    world.seconds += 60  # what a run without writes records is as old as its reading
    return world.recover(world.job(options=options))


def passwords(world: World) -> set[str]:
    objects = world.new.state.objects.values()
    return {one.config["password"] for one in objects if one.config.get("name") == "ClickHouse"}


def told(run: RecoveryRun, path: str = "password") -> list[str]:
    lines = (line for one in run.outcomes if one.result is not None for line in one.result.found)
    return [line.reason for line in lines if (line.name, line.path) == ("ClickHouse", path)]


def secrets_to_give(run: RecoveryRun) -> int:
    return sum(loss.kind is LossKind.SECRET for one in run.outcomes for loss in one.recovery.losses)


def summary(world: World, run: RecoveryRun) -> str:
    found = run_summary(RecoveryReport(run.plan, world.now(), run=run, keys_out="keys.json"), run)
    return "\n".join([*(f"{label}: {value}" for label, value in found.facts), *map(str, found.next_steps)])


def test_a_secret_that_was_sent_empty_is_reported_until_it_is_given_and_then_sent(tmp_path: Path) -> None:
    world = without_secrets(tmp_path)
    first = again(world)
    assert told(first) == [UnreadSecret.SENT_EMPTY] * 2
    lacking, before = secrets_to_give(first), world.writes()
    for _ in range(2):
        second = again(world)
        assert (second.exit_code, world.writes()) == (3, before)
        assert told(second) == [UnreadSecret.STILL_EMPTY] * 2
        assert secrets_to_give(second) == lacking > 0
        assert f"Still to do: {lacking} secrets" in summary(world, second)
        assert '"password" = { env = "TEAM_BLUE_CLICKHOUSE_PASSWORD" }' in "\n".join(
            missing_overlay(second.plan)
        )
    third = again(world, PlanOptions(allow_missing_secrets=True, overlay=PASSWORDS))
    assert (told(third), passwords(world)) == ([], {"of-the-vault"})
    before = world.writes()
    for options in (PlanOptions(allow_missing_secrets=True, overlay=PASSWORDS), WITHOUT):
        assert told(again(world, options)) == []
        assert world.writes() == before


def test_where_a_console_shows_that_a_secret_is_empty_it_is_reported_until_it_is_given_and_nothing_is_stored(
    tmp_path: Path,
) -> None:
    world = without_secrets(tmp_path)
    world.new.state.generation = Generation.OCTOBER_2024
    assert told(again(world)) == [UnreadSecret.SENT_EMPTY] * 2
    stored, written = {*world.folder.iterdir()}, world.writes()
    assert told(again(world)) == [UnreadSecret.STILL_EMPTY] * 2
    assert ({*world.folder.iterdir()}, world.writes()) == (stored, written)
    world.seconds += 3600
    world.back_up()  # with the operator's token
    assert (told(again(world)), "" in passwords(world)) == ([], False)


def test_whole_is_said_only_once_nothing_is_empty(tmp_path: Path) -> None:
    world = without_secrets(tmp_path)
    for one in world.old.state.objects.values():  # what a console requires, so that it is sent empty
        one.deleted = one.deleted or (one.type == "destination" and one.config["name"] != "ClickHouse")
        one.deleted = one.deleted or one.type in ("service", "model")
    world.seconds += 3600
    world.run(world.backing_up(world.old, admin=False, shrink_alarm=1))
    again(world)
    second = again(world)
    assert [one.whole for one in second.outcomes] == [False, False]
    assert second.exit_code == 3


def in_place(tmp_path: Path) -> World:
    """A console that was set back to a time when its workspaces were empty, and has no deleted objects to revive secrets from."""
    world = without_secrets(tmp_path)
    for row in world.old.state.workspaces.values():
        made = world.new.state.add_workspace(row.id, row.name, row.slug, {OWNER.id: "owner"})
        assert made.created_at == row.created_at
    again(world)  # finds out that nothing can be revived
    return world


OVER = {"over_existing": True}


def test_a_secret_that_was_sent_empty_in_place_is_reported_until_it_is_given_and_then_sent(
    tmp_path: Path,
) -> None:
    world = in_place(tmp_path)
    first = world.recover(world.job(options=WITHOUT, **OVER))
    assert {one.recovery.target_id for one in first.outcomes} == {*world.old.state.workspaces}
    assert (told(first), passwords(world)) == ([UnreadSecret.SENT_EMPTY] * 2, {""})
    before = world.writes()
    for _ in range(2):
        second = again(world)
        assert (told(second), second.exit_code) == ([UnreadSecret.STILL_EMPTY] * 2, 3)
        assert (problems(second), world.writes()) == ({}, before)
        assert secrets_to_give(second) > 0
    third = again(world, PlanOptions(allow_missing_secrets=True, overlay=PASSWORDS))
    assert (problems(third), told(third), passwords(world)) == ({}, [], {"of-the-vault"})
    assert told(again(world)) == []


@pytest.mark.parametrize("at", [200, 210])
def test_a_run_in_place_that_was_killed_forgets_no_secret_that_it_sent_empty(at: int, tmp_path: Path) -> None:
    world = in_place(tmp_path)
    world.job = partial(with_options, world.job, **OVER)  # type: ignore[method-assign]
    kill_at(world, at, reply=True)
    first = world.recover()
    second = world.recover()
    assert (problems(second), passwords(world)) == ({}, {""})
    assert len(told(first)) == len(told(second)) == 2


def test_a_record_that_cannot_be_read_stops_no_recovery_in_place(tmp_path: Path) -> None:
    world = in_place(tmp_path)
    world.recover(world.job(options=WITHOUT, **OVER))
    for name in world.run(world.store.names()):
        archive = parse_name(name)
        if archive is not None and archive.cloned_from and not archive.left_after:
            (world.folder / name).write_bytes(b"damaged")
    heard: list[Event] = []
    run = world.run(world.recovering(world.job(options=WITHOUT), report=heard.append))
    assert problems(run) == {}


@pytest.mark.parametrize("at", [120, 200, 300])
def test_a_run_that_was_killed_forgets_no_secret_that_it_sent_empty(at: int, tmp_path: Path) -> None:
    world = without_secrets(tmp_path)
    world.job = partial(with_options, world.job)  # type: ignore[method-assign]
    kill_at(world, at, reply=True)
    assert world.writes() > 0
    run = world.recover()
    assert problems(run) == {}
    assert len(told(run)) == 2
    before = world.writes()
    last = world.recover(world.job(options=PlanOptions(allow_missing_secrets=True, overlay=PASSWORDS)))
    assert (told(last), passwords(world), world.writes() > before) == ([], {"of-the-vault"}, True)


def with_options(job: Callable[..., RecoveryJob], *args: Any, **options: Any) -> RecoveryJob:
    return job(*args, **{"options": WITHOUT, **options})


def test_what_a_newer_archive_has_takes_the_place_of_an_empty_secret(tmp_path: Path) -> None:
    world = without_secrets(tmp_path)
    again(world)
    world.back_up()  # with the operator's token, while the old console can be read
    run = again(world)
    was = {
        one.config["password"]
        for one in world.old.state.objects.values()
        if one.config.get("name") == "ClickHouse"
    }
    assert (told(run), passwords(world)) == ([], was)
    assert "" not in was


def save_in_the_ui(world: World) -> None:
    for one in world.new.state.objects.values():
        if one.config.get("name") == "ClickHouse":
            one.config["password"], one.updated_at = "given in the UI", "2030-01-01T00:00:00.000Z"


def test_an_entity_that_somebody_has_saved_since_may_have_its_secret_which_is_reported_once(
    tmp_path: Path,
) -> None:
    world = without_secrets(tmp_path)
    again(world)
    save_in_the_ui(world)
    assert told(again(world)) == [UnreadSecret.MAY_BE_EMPTY] * 2
    assert told(again(world)) == []
    assert passwords(world) == {"given in the UI"}


def test_what_the_overlay_gives_is_sent_also_where_somebody_has_saved_the_entity_since(
    tmp_path: Path,
) -> None:
    world = without_secrets(tmp_path)
    again(world)
    save_in_the_ui(world)
    run = again(world, PlanOptions(allow_missing_secrets=True, overlay=PASSWORDS))
    assert (told(run), passwords(world)) == ([], {"of-the-vault"})


@pytest.mark.parametrize("at", [None, 250, 330])
def test_write_keys_that_earlier_runs_made_are_counted_and_their_streams_named(
    at: int | None, tmp_path: Path
) -> None:
    world = without_secrets(tmp_path)
    world.job = partial(with_options, world.job)  # type: ignore[method-assign]
    total = world.plan().made_keys
    assert total > 0
    if at is not None:
        kill_at(world, at, reply=True)
        run = world.recover()
        made = sum(len(one.result.keys) for one in run.outcomes if one.result is not None)
        before = sum(len(one.recovery.keys_before) for one in run.outcomes)
        assert made + before == total
        assert before > 0
    else:
        assert not any(one.recovery.keys_before for one in world.recover().outcomes)
    text = summary(world, world.recover())
    assert f"write keys: {total} created by earlier runs" in text
    assert f"Give senders the {total} write keys of earlier runs, unless they have them: " in text
    assert "in team-blue" in text
    assert "no new keys" not in text


def test_where_write_keys_come_back_no_later_run_tells_of_any(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add(*SLUGS[:2])
    world.back_up()
    world.recover()
    none = (
        "write keys: no new keys; senders need no change if this console has the hash secret of the old one"
    )
    assert none in summary(world, world.recover())


def test_a_wrong_secret_of_what_a_reverse_sync_uses_holds_up_no_other_and_its_command_is_whole(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, Generation.NEWEST, features=("reverse-etl",))
    world.add("team-blue")
    world.run(world.backing_up(world.old, admin=False))
    (blue,) = world.plan().stuck
    rules: dict[str, dict[str, str]] = {}
    for line in blue.snapshot.manifest.ledger:
        if line.type != "workspace":
            rules.setdefault(f"{line.type}/{line.id}", {})[line.path] = "wrong"
    assert problems(again(world, PlanOptions(overlay=parse_overlay(rules)))) == {}
    right = parse_overlay({name: dict.fromkeys(fields, "right") for name, fields in rules.items()})
    unsent = again(world, PlanOptions(overlay=right))
    assert (unsent.exit_code, passwords(world)) == (0, {"wrong"})
    assert "hidden secrets were not sent where nothing else changes (team-blue)" in summary(world, unsent)
    run = again(world, PlanOptions(overlay=right, resend_secrets=True))
    assert (run.exit_code, problems(run), passwords(world)) == (3, {}, {"right"})
    command = partial(restore_command, given=("--overlay", "o.toml", "--resend-secrets"))
    report = RecoveryReport(run.plan, world.now(), run=run, restore=command)
    (rows,) = (one.rows for one in run_summary(report, run).listings if one.heading == "Still different")
    assert {what for _, what, _ in rows} == {"destination CRM webhook", "destination Warehouse"}
    assert not any("jitsu-backup restore" in why for *_, why in rows)
    (step,) = (one for one in run_summary(report, run).next_steps if "--rebind" in one.command)
    assert step.command.endswith("--overlay o.toml --resend-secrets --rebind")
    assert step.text == (
        "In team-blue, send the corrected secrets of destinations 'CRM webhook' and 'Warehouse', which a reverse sync uses"
    )
    assert not any("--skip" in why for *_, why in rows)


def test_a_workspace_that_lacks_secrets_and_is_in_use_is_reported_as_both_at_once(tmp_path: Path) -> None:
    world = without_secrets(tmp_path)
    theirs = add_workspace(world.new.state, "team-blue", filled=False)
    world.new.state.add_object(theirs, "function", "mine-0001", {"name": "Mine", "code": "x"})
    job = world.job(into={"team-blue": theirs})
    (told,) = (str(one.problem) for one in world.plan(job).stuck if one.slug == "team-blue")
    assert told.startswith(
        "team-blue is in use: it has function 'Mine', which the archive lacks; to write into"
    )
    assert "add --over-existing; besides, destination" in told
    assert "secret not in the snapshot" in told
    (told,) = (
        str(one.problem)
        for one in world.plan(replace(job, over_existing=True)).stuck
        if one.slug == "team-blue"
    )
    assert "in use" not in told
