"""What a recovery says to do next, with the whole command where the same one has to be run again."""

import shlex
from pathlib import Path

import httpx

from jitsu_backup.cli.app import App
from jitsu_backup.cli.recover import _again
from jitsu_backup.operations.recovery import RecoveryRun
from jitsu_backup.reports.recovery import RecoveryReport, run_summary
from jitsu_backup.sandbox.state import READER
from tests.recovery.kit import World, add_workspace, problems
from tests.recovery.test_console import equal, lost
from tests.support import OWNER, Meddling

GIVEN = {
    "at": "yesterday", "from_host": "lost.example", "overlay": Path("o.toml"), "keys_out": Path("keys.json"),
    "html_out": Path("r.html"), "markdown_out": None, "overlay_out": None, "workspaces": ("team-red",), "first": (),
    "over_existing": True, "allow_missing_secrets": False, "resend_secrets": False, "wait": True, "yes": True,
}  # fmt: skip


def steps(run: RecoveryRun) -> list[str]:
    report = RecoveryReport(run.plan, run.plan.workspaces[0].archive.taken_at, run=run, again="recover --yes")
    return [str(step) for step in run_summary(report, run).next_steps]


def test_after_a_write_that_failed_the_same_command_is_to_be_run_again(tmp_path: Path) -> None:
    world = lost(tmp_path)

    def boom(_: int, request: httpx.Request) -> httpx.Response | None:
        failing = request.method == "POST" and request.url.path.endswith("/config/function")
        return httpx.Response(500, json={"error": "boom"}) if failing else None

    run = world.recover(world.job(wrap=lambda inner: Meddling(inner, boom)))
    assert (run.exit_code, problems(run)) == (3, {})
    assert steps(run)[0] == (
        "Run the same command again: it continues where this run ended and writes nothing twice: recover --yes"
    )
    again = world.recover()
    assert again.exit_code == 0
    assert not any("again" in step for step in steps(again))
    equal(world)


def test_what_is_blocked_comes_with_the_command_to_run_once_it_is_resolved(tmp_path: Path) -> None:
    world = World(tmp_path)
    add_workspace(world.old.state, "team-blue", filled=False)
    world.back_up()
    world.new.state.add_workspace("csomebodys00000000000000x", "Theirs", "team-blue", {READER.id: "owner"})
    run = world.recover(world.job(OWNER))
    assert steps(run)[0] == (
        "Resolve what is blocked (1 workspace), then run the same command again: recover --yes"
    )


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
