"""What a recovery says to do next, with the whole command where the same one has to be run again."""

import asyncio
import io
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console as Screen

from jitsu_backup.cli.app import App
from jitsu_backup.cli.recover import _again, _alone
from jitsu_backup.errors import (
    AccessError,
    BackupError,
    BlockedError,
    ConsoleError,
    UnreachableError,
    UsageError,
    WrongAddressError,
)
from jitsu_backup.operations.alarms import What
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.drill import DrillJob, alarms_of, drill
from jitsu_backup.operations.recovery import RecoveryJob, RecoveryOutcome, RecoveryRun, WorkspaceRecovery
from jitsu_backup.reports.recovery import plan_summary, run_summary
from jitsu_backup.reports.recovery_documents import recovery_document
from jitsu_backup.reports.recovery_next_steps import next_steps
from jitsu_backup.reports.recovery_values import RecoveryReport
from jitsu_backup.reports.recovery_view import recovery_view
from jitsu_backup.sandbox.state import READER
from tests.recovery.kit import World, add_workspace, problems
from tests.recovery.samples import many, planned
from tests.recovery.test_console import equal, lost
from tests.support import OWNER, Meddling

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
GIVEN = {
    "at": "yesterday", "from_host": "lost.example", "overlay": Path("o.toml"), "keys_out": Path("keys.json"),
    "html_out": Path("r.html"), "markdown_out": None, "overlay_out": None, "workspaces": ("team-red",), "first": (),
    "over_existing": True, "allow_missing_secrets": False, "resend_secrets": False, "wait": True, "yes": True,
}  # fmt: skip


def steps(run: RecoveryRun) -> list[str]:
    report = RecoveryReport(run.plan, run.plan.workspaces[0].archive.taken_at, run=run, again="recover --yes")
    return [str(step) for step in run_summary(report, run).next_steps]


def test_one_missing_key_is_one_line_and_one_step(tmp_path: Path) -> None:
    world = World(tmp_path, keys=ArchiveKeys(passphrase="not to be told"))
    world.add("team-blue", "team-green")
    world.back_up()
    world.keys = ArchiveKeys()
    report = RecoveryReport(world.plan(), world.now(), again="recover")
    screen = Screen(record=True, width=80, file=io.StringIO())
    screen.print(recovery_view(plan_summary(report)))
    shown = screen.export_text()
    assert " ".join(shown.split()).count("is encrypted with a passphrase; set JITSU_BACKUP_PASSPHRASE") == 1
    assert "team-blue, team-green: " in shown
    assert "1. Give the key that opens the archives of 2 workspaces" in shown
    assert not [line for line in shown.splitlines() if line.endswith(" ")]


def test_after_a_write_that_failed_the_same_command_is_to_be_run_again(tmp_path: Path) -> None:
    world = lost(tmp_path)
    run = world.recover(failing(world, "POST", "/config/function"))
    assert (run.exit_code, problems(run)) == (3, {})
    assert steps(run)[0] == (
        "Run the same command again: it continues where this run ended and writes nothing twice: recover --yes"
    )
    again = world.recover()
    assert again.exit_code == 0
    assert not any("again" in step for step in steps(again))
    equal(world)


def failing(world: World, method: str, path: str) -> RecoveryJob:
    """A job for a console that answers requests to a path with an error that it does not explain."""

    def boom(_: int, request: httpx.Request) -> httpx.Response | None:
        fails = (request.method, True) == (method, request.url.path.endswith(path))
        return httpx.Response(500, json={"error": "boom"}) if fails else None

    return world.job(wrap=lambda inner: Meddling(inner, boom))


def with_options(tmp_path: Path) -> World:
    world = World(tmp_path)
    workspace_id = add_workspace(world.old.state, "team-blue", filled=False)
    world.old.state.workspaces[workspace_id].options = {"data-retention": {"kafkaRetentionHours": 24}}
    world.back_up()
    return world


def test_a_workspace_that_could_not_be_created_is_to_be_tried_again_before_a_person_creates_it(
    tmp_path: Path,
) -> None:
    world = with_options(tmp_path)
    (problem,) = problems(world.recover(failing(world, "POST", "/api/workspace"))).values()
    assert "boom; run the same command again; if it keeps failing, create one named 'Team Blue'" in problem


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("GET", "it could not be compared with the target, which could not be read (boom)"),
        ("POST", "it could not be set (boom)"),
    ],
)
def test_an_option_that_could_not_be_read_or_set_is_no_lack_of_the_console_and_is_set_by_the_next_run(
    method: str, told: str, tmp_path: Path
) -> None:
    world = with_options(tmp_path)
    run = world.recover(failing(world, method, "/data-retention"))
    assert [one.problem for one in run.outcomes[0].options_left] == [told]
    assert steps(run)[0].startswith("Run the same command again")
    assert world.recover().exit_code == 0
    (row,) = world.new.state.workspaces.values()
    assert row.options["data-retention"]["kafkaRetentionHours"] == 24


def test_a_list_that_failed_does_not_make_its_type_look_unknown_to_the_console(tmp_path: Path) -> None:
    world = lost(tmp_path)
    add_workspace(world.new.state, "team-other")
    plan = world.plan(failing(world, "GET", "/config/function"))
    assert [one.problem for one in plan.workspaces] == [None] * 3


def test_a_plan_says_to_run_again_what_a_failure_of_the_console_kept_from_being_planned(
    tmp_path: Path,
) -> None:
    world = with_options(tmp_path)
    add_workspace(world.new.state, "team-blue", filled=False)
    plan = world.plan(failing(world, "GET", "/config/function"))
    report = RecoveryReport(plan, world.now(), again="recover --yes")
    assert [str(step) for step in plan_summary(report).next_steps] == [
        "Run the same command again, because 1 workspace could not be planned: recover --yes"
    ]
    wrong = replace(plan.workspaces[0], problem=UsageError("overlay o.toml: 'x' cannot change 'id'"))
    (step,) = plan_summary(replace(report, plan=replace(plan, workspaces=(wrong,)))).next_steps
    assert step.text.startswith(
        "Correct the overlay or the flag that the reason of 1 blocked workspace names, then"
    )
    with pytest.raises(ConsoleError, match=r"boom\); nothing was written; run the same command again$"):
        world.plan(failing(world, "GET", "/api/workspace"))


def unreadable_now(world: World, slug: str) -> list[str]:
    """Let the store fail to read the newest archive of a workspace until the list that is returned is cleared."""
    read = world.store.read
    newest = max(path.name for path in world.folder.glob(f"{slug}.*.json.gz"))
    away = [newest]

    async def reading(name: str) -> bytes:
        if name in away:
            raise BackupError(f"cannot read {name}: the store does not answer; try again later")
        return await read(name)

    world.store.read = reading  # type: ignore[method-assign]
    return away


@pytest.mark.parametrize("from_host", [None, "lost.example"])
def test_while_the_newest_archive_cannot_be_read_no_older_one_is_restored_and_the_next_run_restores_it(
    tmp_path: Path, from_host: str | None
) -> None:
    world = World(tmp_path)
    world.add("team-blue", "team-red")
    world.back_up()
    world.seconds += 3600
    for one in world.old.state.objects.values():
        one.config["name"] = "since yesterday" if one.type == "function" else one.config["name"]
    world.back_up()
    away = unreadable_now(world, "team-red")
    drilled = world.run(
        drill(DrillJob(from_host=from_host), world.store, world.keys, now=world.now, monotonic=world.time)
    )
    assert (drilled.exit_code(), [one.slug for one in drilled.left_out]) == (1, ["team-red"])
    assert [(one.what, one.workspace) for one in alarms_of(drilled, lambda *_: "")] == [
        (What.UNREADABLE, "team-red")
    ]
    run = world.recover(world.job(from_host=from_host))
    assert (run.exit_code, [one.slug for one in run.plan.left_out]) == (1, ["team-red"])
    assert (
        "the store does not answer; try again later; if that lasts, use an older" in run.plan.left_out[0].why
    )
    assert steps(run)[0].startswith("Run the same command again")
    assert [row.slug for row in world.new.state.workspaces.values()] == ["team-blue"]
    away.clear()
    assert world.recover(world.job(from_host=from_host)).exit_code == 0
    red = world.new.state.find_workspace("team-red")
    restored = [one for one in world.new.state.objects.values() if red and one.workspace_id == red.id]
    assert "since yesterday" in {one.config.get("name") for one in restored}


def test_while_one_of_two_workspaces_of_a_slug_cannot_be_read_the_other_one_is_not_taken_for_it(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    world.add("team-red")
    world.back_up()
    first = next(iter(world.old.state.workspaces))
    world.seconds += 3600
    world.old = world.console()
    world.add("team-red")
    world.back_up()
    away = unreadable_now(world, "team-red")
    plan = world.plan()
    assert (plan.exit_code, plan.workspaces, len(plan.left_out)) == (1, (), 2)
    assert any(f"--workspace {first}" in one.why for one in plan.left_out)
    assert len(world.plan(world.job(workspaces=(first,))).workspaces) == 1
    away[:] = [path.name for path in world.folder.glob(f"*{first}*")]
    older = world.plan()
    assert [one.workspace_id for one in older.workspaces] == list(world.old.state.workspaces)
    assert [one.workspace_id for one in older.left_out] == [first]
    away.clear()
    assert [one.workspace_id for one in world.plan().workspaces] == list(world.old.state.workspaces)


def test_what_is_blocked_comes_with_the_command_to_run_once_it_is_resolved(tmp_path: Path) -> None:
    world = World(tmp_path)
    add_workspace(world.old.state, "team-blue", filled=False)
    world.back_up()
    world.new.state.add_workspace("csomebodys00000000000000x", "Theirs", "team-blue", {READER.id: "owner"})
    run = world.recover(world.job(OWNER))
    assert steps(run)[0] == (
        "Continue with what is blocked (team-blue), as the reason advises; put the slug of an empty workspace in place of"
        " OTHER: recover --yes --into team-blue=OTHER"
    )


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("analyst", "Run it again with the key of an owner or an editor of team-red: recover --yes"),
        ("owner", "Run it again once the bills of team-red are paid: recover --yes"),
    ],
)
def test_a_key_that_may_not_write_is_not_to_be_tried_again(role: str, said: str) -> None:
    report = replace(planned(), again="recover --yes")
    *_, red, _ = report.plan.workspaces
    assert red.prepared is not None
    target = replace(red.prepared.plan.target, role=role)
    prepared = replace(red.prepared, plan=replace(red.prepared.plan, target=target))
    options = replace(red.plan_options, allow_missing_secrets=True)
    red = replace(red, problem=AccessError("no permission"), prepared=prepared, plan_options=options)
    report = replace(report, plan=replace(report.plan, workspaces=(red,), left_out=()))
    run = RecoveryRun(report.plan, (RecoveryOutcome(red, failure=red.problem),))
    for summary in (plan_summary(report), run_summary(report, run)):
        told = [str(step) for step in summary.next_steps]
        assert (told[0], [one for one in told if "same command" in one or "missing secret" in one]) == (
            said,
            [],
        )


def test_what_was_written_into_more_than_ten_workspaces_is_undone_one_by_one() -> None:
    report = many(20)
    outcomes = [RecoveryOutcome(one, f"id-{n}") for n, one in enumerate(report.plan.workspaces)]
    for count, wanted in ((10, 10), (11, 1)):
        ways = {f"id-{n}": f"jitsu-backup undo id-{n}" for n in range(count)}
        found = [*next_steps(replace(report, ways_back=ways), RecoveryRun(report.plan, tuple(outcomes)))]
        told = [str(one) for one in found if one.text.startswith("To undo")]
        assert (len(told), told[0].startswith("To undo team-000")) == (wanted, True)
        assert told[0].endswith(": jitsu-backup undo id-0")
    assert "list all 11 commands under 'How to undo this'" in told[0]


def test_a_continued_run_still_says_to_test_a_write_key_and_what_each_workspace_has(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue")
    world.back_up()
    stop = asyncio.Event()

    def stopping(_: int, request: httpx.Request) -> None:
        if request.method == "POST" and request.url.path.endswith("/config/misc"):
            stop.set()

    run = world.recover(world.job(wrap=lambda inner: Meddling(inner, stopping)), stop=stop)
    assert (run.interrupted, run.outcomes[0].memberless) == (True, True)
    assert any("Invite an owner to team-blue, because nobody is a member yet" in step for step in steps(run))
    again = world.recover()
    (row,) = plan_table(again, world)
    assert re.fullmatch(r"has [1-9]\d* of 2\d", row[1])
    assert not [one for one in again.plan.workspaces[0].prepared.plan.writes if one.key.type == "stream"]
    assert any(step.startswith("Send one event with a previous write key") for step in steps(again))
    assert not any(step.startswith("Send one event") for step in steps(world.recover()))


def plan_table(run: RecoveryRun, world: World) -> tuple[tuple[str, ...], ...]:
    (table,) = [
        one
        for one in plan_summary(RecoveryReport(run.plan, world.now())).listings
        if one.heading == "Workspaces"
    ]
    return table.rows


def test_the_command_for_what_is_blocked_has_the_flags_that_the_reasons_advise() -> None:
    blue, billing, green, red, black = planned().plan.workspaces
    into = BlockedError("its slug is taken").with_flags("--into", "team-black=mine")
    kept = replace(changed(green), problem=None)
    stuck = (replace(blue, problem=into), billing, kept, red, replace(black, problem=BlockedError("x")))
    report = replace(planned(), again="recover --yes")
    report = replace(report, plan=replace(report.plan, workspaces=stuck))
    run = RecoveryRun(report.plan, tuple(RecoveryOutcome(one, failure=one.problem) for one in stuck))
    wanted = [
        (
            "Continue with what is blocked (team-blue), as the reason advises: recover --yes --into team-black=mine"
            " --keys-out keys.json"
        ),
        (
            "Continue with what is blocked (team-red), as the reason advises; this also restores what was deleted or"
            " changed in team-green since the last recovery: recover --yes --over-existing --keys-out keys.json"
        ),
    ]
    told = [str(step) for step in run_summary(report, run).next_steps]
    assert told[:3] == [
        *wanted,
        "Resolve what is blocked (1 workspace), then run the same command again: recover --yes",
    ]
    assert set(wanted) <= {str(step) for step in plan_summary(report).next_steps}


def test_a_dry_run_prints_the_command_that_carries_out_its_plan() -> None:
    report = replace(planned(), again="recover", dry_run=True)
    keys = report.plan.made_keys
    assert keys > 0
    assert str(plan_summary(report).next_steps[-1]) == (
        "To carry out this plan (what is blocked is left out): recover --keys-out keys.json"
    )
    named = replace(report, again="recover --keys-out k.json", keys_out="k.json")
    assert plan_summary(named).next_steps[-1].command == "recover --keys-out k.json"
    asked = [str(step) for step in plan_summary(replace(report, dry_run=False)).next_steps]
    assert not [text for text in asked if "carry out" in text]


def test_connections_are_listed_with_both_ids_because_they_always_get_a_new_one(tmp_path: Path) -> None:
    world = lost(tmp_path)
    run = world.recover()
    report = RecoveryReport(run.plan, world.now(), run=run)
    heading = "Connections and syncs with a new id"
    (listing,) = (one for one in run_summary(report, run).listings if one.heading == heading)
    made = recovery_document(report)["workspaces"]
    pairs = {(one["id"], one["new_id"]) for of in made for one in of["new_ids"] if one["type"] == "link"}
    assert {(was, now) for _, _, was, now in listing.rows} == pairs
    state = world.new.state
    live = {link.id for of in made for link in state.live_links(of["target_id"])}
    assert {now for _, now in pairs} == live
    assert any(f"connections and syncs (under '{heading}')" in text for text in steps(run))


def changed(one: WorkspaceRecovery) -> WorkspaceRecovery:
    """A workspace in which people have deleted an entity since it was recovered."""
    assert one.prepared is not None
    first, *others = one.prepared.plan.actions
    actions = (replace(first, deleted_there=True), *others)
    return replace(one, prepared=replace(one.prepared, plan=replace(one.prepared.plan, actions=actions)))


def test_the_command_to_run_again_is_whole_and_names_no_key() -> None:
    options = {
        "store": "s3://b/j", "host": "http://new.example", "apikey": "a:CANARY", "admin_token": "b:CANARY",
        "identity": ("id.txt",), "encrypt_to": (),
    }  # fmt: skip
    again = _again(App(options), "s3://b/j", ("@new",), GIVEN)
    assert shlex.split(again) == [
        "jitsu-backup", "--store", "s3://b/j", "--host", "http://new.example", "recover", "--into", "@new",
        "--workspace", "team-red", "--at", "yesterday", "--from", "lost.example", "--overlay", "o.toml",
        "--keys-out", "keys.json", "--html", "r.html", "--over-existing", "--wait", "--yes", "--identity", "id.txt",
    ]  # fmt: skip


def test_the_command_for_one_workspace_has_nothing_about_others_and_overwrites_no_report() -> None:
    one = planned().plan.workspaces[0]
    known = [one.archive, replace(one.archive, workspace_id="cother", slug="team-other")]
    given = {**GIVEN, "workspaces": (), "first": ("team-other",)}
    into = ("@new", f"{one.slug}=mine", "team-other=theirs")
    alone = _alone(App({}), None, into, given, known, one, "--workspace", one.slug, "--at", "2026-11-01")
    assert shlex.split(alone) == [
        "jitsu-backup", "recover", "--into", "@new", "--into", f"{one.slug}=mine", "--from", "lost.example",
        "--overlay", "o.toml", "--keys-out", "keys.json", "--over-existing", "--wait", "--yes",
        "--workspace", one.slug, "--at", "2026-11-01",
    ]  # fmt: skip


def meeting(world: World, answer: Callable[[httpx.Request], httpx.Response]) -> RecoveryJob:
    """A job for a console whose address gives the same answer to every request."""
    job = world.job(wrap=lambda inner: Meddling(inner, lambda _, request: answer(request)))
    return replace(job, target=replace(job.target, retry_for=0.0), named_by="JITSU_HOST")


def test_a_console_that_cannot_be_reached_may_be_the_lost_one(tmp_path: Path) -> None:
    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    world = with_options(tmp_path)
    with pytest.raises(
        UnreachableError,
        match="nothing was written; JITSU_HOST names this console; if it is the lost one, name",
    ):
        world.plan(meeting(world, gone))


def test_an_address_with_a_path_is_not_a_consoles_root(tmp_path: Path) -> None:
    def no_route(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404, json={"error": f"API route not found: {request.url.path}"})

    world = with_options(tmp_path)
    with pytest.raises(
        WrongAddressError, match=r"not the address of a console's root .*; give the address that the UI has"
    ):
        world.plan(meeting(world, no_route))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"workspaces": ("team-blu",)},
            "' has no backup of 'team-blu'; it has team-blue; did you mean 'team-blue'?",
        ),
        ({"at": LONG_AGO}, "has no backup from before 2020-01-01 00:00:00 UTC; the oldest is of 2026-11-"),
        (
            {"at": LONG_AGO, "workspaces": ("team-blue",)},
            "has no backup of 'team-blue' from before 2020-01-01 00:00:00 UTC; the oldest is of 2026-11-",
        ),
    ],
)
def test_what_the_store_lacks_is_named_with_what_it_has_nearest(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    world = with_options(tmp_path)
    with pytest.raises(UsageError, match=re.escape(message)):
        world.plan(world.job(**options))


def test_a_store_without_any_archive_is_an_error_that_says_how_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"has no archive.*; name the store with --store") as told:
        World(tmp_path).plan()
    assert told.value.exit_code == 1
