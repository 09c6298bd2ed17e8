"""`drill` as somebody types it, or cron."""

import json
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup import sync
from jitsu_backup.errors import BackupError
from jitsu_backup.operations.drill import Drill, DrillJob, drill
from jitsu_backup.reports.drill import drill_summary
from jitsu_backup.reports.recovery_markdown import recovery_markdown
from jitsu_backup.reports.recovery_page import recovery_page
from tests.recovery.kit import SLUGS, World, add_workspace
from tests.recovery.test_bad_days import archive_of
from tests.reports.samples import HOSTILE
from tests.support import cli
from tests.unattended.workbench import monitor, samples


@pytest.fixture
def world(tmp_path: Path) -> World:
    folder = tmp_path / "s"
    folder.mkdir()
    made = World(folder)
    made.add(*SLUGS)
    return made


def run(world: World, *arguments: str) -> Any:
    return cli("drill", "./s", *arguments, cwd=world.folder.parent, env={})


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_whole_store_ends_with_0_and_says_how_long_it_would_take(world: World) -> None:
    world.back_up()
    done = run(world)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 workspaces restored completely." in done.stdout
    said = words(done.stdout)
    assert "restored 63 of 63 entities, compared down to secrets and cursors" in said
    assert "would be missing nothing" in said
    assert "about 5 to 10 minutes with a person's key" in said
    assert all(len(line) <= 80 for line in done.stdout.split("\n"))
    assert run(world, "-q").stderr == ""


def test_what_is_wrong_is_in_the_code_the_alarms_the_figures_and_the_pages(world: World) -> None:
    world.run(world.backing_up(world.old, admin=False))
    path = archive_of(world, "team-green")
    path.write_bytes(path.read_bytes()[:90])
    folder = world.folder.parent
    with monitor() as (url, told):
        done = run(
            world,
            "--metrics",
            "m",
            "--ping",
            url,
            "--log-format",
            "json",
            "--html",
            "r.html",
            "--markdown",
            "r.md",
        )
    assert done.returncode == 5
    log = json.loads(done.stderr)
    assert (log["command"], log["exit_code"], log["left_out"]) == ("drill", 5, ["team-green"])
    assert [alarm["what"] for alarm in log["alarms"]] == ["unreadable"]
    assert "2 of 3 workspaces come back; 10 secrets are missing in 2 of them: " in log["message"]
    assert "until you provide them, 1 left out; a recovery" in log["message"]
    assert "team-green" in told[-1][1]
    found = {(one.name, *sorted(one.labels.values())): one.value for one in samples(folder / "m")}
    host = "http://lost.example"
    assert found["jitsu_backup_drill_run_exit_code",] == 5
    assert found["jitsu_backup_console_drill_success", host] == 0
    assert found["jitsu_backup_console_drill_workspaces", "back", host] == 2
    assert found["jitsu_backup_console_drill_workspaces", host, "not_back"] == 1
    assert found["jitsu_backup_console_drill_lacks", host, "secrets"] == log["lacks"]["secrets"] > 0
    assert found["jitsu_backup_console_drill_senders_to_change", host] == log["lacks"]["write_keys"] > 0
    whole = {key[-1]: value for key, value in found.items() if key[0] == "jitsu_backup_drill_whole"}
    assert sorted(whole.values()) == [0, 1, 1]
    for page in ("r.html", "r.md"):
        assert "team-green" in (folder / page).read_text()


def test_a_drill_that_could_read_nothing_writes_no_figures_of_a_console(world: World) -> None:
    world.back_up()
    for slug in {path.name.partition(".")[0] for path in world.folder.glob("*.json.gz")}:
        path = archive_of(world, slug)
        path.write_bytes(path.read_bytes()[:90])
    done = run(world, "--metrics", "m")
    assert (done.returncode, "0 of 3 workspaces restored completely; 3 left out." in done.stdout) == (5, True)
    names = {one.name for one in samples(world.folder.parent / "m")}
    assert "jitsu_backup_drill_whole" in names
    assert not [name for name in names if name.startswith("jitsu_backup_console_")]


def test_losses_fail_only_where_that_is_asked(world: World) -> None:
    world.run(world.backing_up(world.old, admin=False))
    done = run(world)
    assert done.returncode == 0
    said = words(done.stdout)
    assert (
        "3 of 3 workspaces come back; 15 secrets are missing in 3 of them: `recover` is blocked until you"
        in said
    )
    done = run(world, "--fail-on-losses", "--json", "--from", "lost.example")
    assert done.returncode == 3
    document = json.loads(done.stdout)
    assert (document["document"], document["version"], document["exit_code"]) == ("drill", 1, 3)
    assert document["restored"] == document["meant"] == 63
    assert document["forecast"] == {"person": 300, "both": 300, "operator": 0}
    assert all(one["whole"] and one["lacking"]["secrets"] for one in document["workspaces"])
    assert done.stderr.count("could not be recovered completely on an empty console") == 3


def test_what_is_asked_for_wrongly_ends_with_2_and_a_missing_store_is_reported(world: World) -> None:
    world.back_up()
    for wrong in (
        ("--at", "soon"),
        ("--workspace", "none"),
        ("--from", "http://no.example"),
        ("--at", "2020-01-01"),
    ):
        done = run(world, *wrong)
        assert done.returncode == 2, wrong
        assert done.stderr.strip().count("\n") <= 2
    assert cli("drill", "./none", cwd=world.folder.parent, env={}).returncode == 1
    failed = run(world, "--no-such", "--metrics", "m")
    assert failed.returncode == 2
    assert "jitsu_backup_drill_run_exit_code 2.0" in (world.folder.parent / "m").read_text()


def test_archives_of_several_consoles_come_with_the_command_that_rehearses_the_newest(world: World) -> None:
    world.back_up()
    world.seconds += 3600
    world.back_up_second_console()
    done = run(world)
    assert done.returncode == 2
    assert done.stderr.endswith(
        "choose one with --from HOST; to take those of http://second.example, run:\n  jitsu-backup --store ./s drill --from http://second.example\n"
    )


def test_the_python_api_drills_too(world: World) -> None:
    world.back_up()
    found = sync.drill(str(world.folder), workspaces=("team-red",))
    assert [one.outcome.recovery.slug for one in found.back] == ["team-red"]
    with pytest.raises(BackupError):
        sync.drill(str(world.folder / "none"))


def many(tmp_path: Path, count: int) -> Drill:
    """A drill of many workspaces with one function each, of which every third has a name that no console takes."""
    world = World(tmp_path)
    for number in range(count):
        workspace_id = add_workspace(world.old.state, f"team-{number:03d}", filled=False)
        name = "2026-11-23T19:00:00Z" if number % 3 == 0 else "Enrich"
        body = {"name": name, "code": "export default async e => e"}
        world.old.state.add_object(workspace_id, "function", f"fn-{number:03d}", body)
    world.back_up()
    found: Drill = world.run(drill(DrillJob(), world.store, world.keys, now=world.now, monotonic=world.time))
    return found


def test_45_workspaces_are_reported_on_one_page_what_is_wrong_first_and_what_is_alike_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    from jitsu_backup.reports.recovery_view import recovery_view

    found = many(tmp_path, 45)
    assert (len(found.back), len(found.not_back), found.exit_code()) == (30, 15, 3)
    Console(width=80).print(recovery_view(drill_summary(found, "s3://backups/jitsu")))
    text = capsys.readouterr().out
    lines = text.split("\n")
    assert len(lines) < 60
    assert "30 of 45 workspaces restored completely; 15" in words(text)
    assert "more like this" in text
    assert text.index("team-000") < text.index("Workspaces (45)")


def test_names_that_could_command_a_terminal_or_a_page_are_harmless(tmp_path: Path) -> None:
    world = World(tmp_path)
    workspace_id = add_workspace(world.old.state, "team-blue", filled=False)
    for number, text in enumerate(HOSTILE):
        world.old.state.add_object(workspace_id, "function", f"fn-{number:04d}", {"name": text, "code": "x"})
    world.back_up()
    found: Drill = world.run(drill(DrillJob(), world.store, world.keys, now=world.now, monotonic=world.time))
    summary = drill_summary(found, "s")
    assert "<script>alert" not in recovery_page(summary)
    assert "<script>alert" not in recovery_markdown(summary)
