"""News that were held back, or could not be told, are told by a later run, whatever that run finds to do."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from tests.asking.kit import long_ago
from tests.support import STAGING
from tests.unattended.workbench import Bench, monitor

ALWAYS = ("--notify-every", "0")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    state = default_state()
    example_workspace(state, STAGING)
    long_ago(state)
    with running(Sandbox(state, rate_limit=False)) as url:
        yield Bench(state, url, tmp_path)


def edit(bench: Bench, code: str = "of today") -> None:
    row = bench.state.objects["enrich-0001"]
    row.config["code"], row.updated_at = code, "2026-02-01T00:00:00.000Z"


def add(bench: Bench, name: str) -> None:
    bench.state.add_object(STAGING, "function", name.lower(), {"name": name, "code": name})
    day = len(bench.state.objects)  # later than whatever was added before
    bench.state.objects[name.lower()].updated_at = f"2026-03-{day:02}T00:00:00.000Z"


def run(bench: Bench, *flags: str, **env: str) -> Any:
    done = bench.run("backup", "acme-staging", "--if-changed", *flags, **env)
    assert done.returncode == 0, done.stderr
    assert "CANARY" not in done.stdout + done.stderr
    return done


def changes(body: str) -> list[tuple[str, str]]:
    return [(one["name"], one["what"]) for one in json.loads(body)["changes"]]


def test_a_run_that_only_asks_tells_what_was_held_back_and_only_once(bench: Bench) -> None:
    with monitor() as (url, told):
        run(bench, "--notify", url)
        edit(bench)
        run(bench, "--notify", url)
        assert len(told) == 1
        asked = run(bench, "--notify", url, *ALWAYS)
        assert "not read again" in asked.stdout
        assert (len(told), changes(told[-1][1])) == (2, [("Enrich", "changed")])
        run(bench, "--notify", url, *ALWAYS)
    assert len(told) == 2


def test_a_run_that_only_asks_tells_what_could_not_be_sent(bench: Bench) -> None:
    with monitor() as (url, told):
        run(bench, "--notify", url)
        assert len(told) == 1
    edit(bench)
    assert "the next message includes the changes" in run(bench, "--notify", url, *ALWAYS).stderr
    again = run(bench, "--notify", url, *ALWAYS)
    assert "not read again" in again.stdout
    assert "the notification about acme-staging could not be sent" in again.stderr


def test_where_all_is_reported_no_archive_is_read(bench: Bench) -> None:
    with monitor() as (url, told):
        run(bench, "--notify", url, *ALWAYS)
        edit(bench)
        run(bench, "--notify", url, *ALWAYS)
        assert len(told) == 2
        for archive in (bench.folder / "jitsu-backups").glob("*.json.gz"):
            archive.write_bytes(b"x" * archive.stat().st_size)  # whoever reads it stumbles
        asked = run(bench, "--notify", url, *ALWAYS)
    assert "not read again" in asked.stdout
    assert asked.stderr == ""
    assert len(told) == 2


def test_what_was_pruned_is_reported_as_far_as_the_archives_that_are_left_tell(bench: Bench) -> None:
    with monitor() as (url, told):
        run(bench, "--notify", url)
        for name in ("One", "Two", "Three"):
            add(bench, name)
            run(bench, "--notify", url, "--prune", "--keep-last", "2")
        assert len(told) == 1
        run(bench, "--notify", url, *ALWAYS)
    message = json.loads(told[1][1])
    assert changes(told[1][1]) == [("Three", "added")]
    assert message["summary"].split("\n")[1] == (
        "Earlier changes are not shown, because the archive to compare with no longer exists."
    )
    assert message["older_not_shown"]


def test_where_nothing_is_left_to_be_compared_the_names_of_the_archives_tell(bench: Bench) -> None:
    with monitor() as (url, told):
        run(bench, "--notify", url)
        for name in ("One", "Two"):
            add(bench, name)
            run(bench, "--notify", url, "--prune", "--keep-last", "1")
        assert len(told) == 1
        run(bench, "--notify", url, *ALWAYS)
        run(bench, "--notify", url, *ALWAYS)
    assert len(told) == 2
    message = json.loads(told[1][1])
    assert message["event"] == "changed"
    assert message["not_compared"] == "the archive to compare it with no longer exists"
    (counts,) = [line for line in message["summary"].split("\n") if line.startswith("Number of entities: ")]
    assert "function " in counts
    (archive,) = bench.archives
    assert message["summary"].count("jitsu-backup show " + archive.reference)


def settings(bench: Bench, text: str) -> None:
    (bench.folder / "jitsu-backup.toml").write_text('notify_every = "0s"\n' + text)


def test_an_address_that_cannot_be_read_at_the_moment_is_reported_by_a_later_run(bench: Bench) -> None:
    settings(bench, 'notify = {env = "TEAM"}\n')
    with monitor() as (url, told):
        edit(bench)
        first = run(bench)
        assert "no notification can be sent: the environment variable TEAM is not set" in first.stderr
        add(bench, "One")
        run(bench)
        asked = run(bench, TEAM=url)
        assert "not read again" in asked.stdout
        run(bench, TEAM=url)
    (only,) = told
    assert changes(only[1]) == [("One", "added")]


def test_a_change_that_a_wrong_address_was_not_told_is_told_the_right_one(bench: Bench) -> None:
    with monitor() as (url, told):
        run(bench)
        edit(bench)
        run(bench, "--notify", "http://127.0.0.1:9/CANARY", *ALWAYS)
        run(bench, "--notify", url, *ALWAYS)
        run(bench, "--notify", url, *ALWAYS)
    (only,) = told
    assert changes(only[1]) == [("Enrich", "changed")]


def test_a_run_that_is_killed_before_it_tells_is_reported_by_the_next(bench: Bench) -> None:
    (bench.folder / "wait.sh").write_text("#!/bin/sh\nkill -9 $PPID\n")
    (bench.folder / "wait.sh").chmod(0o755)
    settings(bench, 'notify = {command = ["./wait.sh"]}\n')
    run(bench, "--notify", "mailto:nobody@example.invalid")
    edit(bench)
    assert bench.run("backup", "acme-staging", "--if-changed").returncode == -9
    assert len(bench.archives) == 2
    with monitor() as (url, told):
        run(bench, "--notify", url)
    (only,) = told
    assert changes(only[1]) == [("Enrich", "changed")]


def test_it_is_said_where_nobody_remembers_what_was_told(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    env = {"XDG_STATE_HOME": str(tmp_path / "file")}
    with monitor() as (url, _):
        said = run(bench, "--notify", url, **env).stderr
        assert (
            "warning: notifications may be repeated, because what was sent cannot be remembered: cannot"
            in said
        )
        assert "warning" not in run(bench, "--notify", url, **env).stderr


def test_two_stores_of_one_relative_path_share_no_memory(bench: Bench, tmp_path: Path) -> None:
    with monitor() as (url, told):
        run(bench, "--notify", url)
        other = tmp_path / "other"
        other.mkdir()
        bench.folder = other
        run(bench, "--notify", url)
    assert [json.loads(body)["event"] for _, body in told] == ["first", "first"]


def test_a_webhook_that_hangs_takes_half_of_the_time_that_is_left_and_fails_nothing(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/CANARY"
        began = time.monotonic()
        done = run(bench, "--notify", url, "--deadline", "8", "--prune", "--keep-last", "3")
        assert time.monotonic() - began < 8
    assert (
        "no time left to send a notification about acme-staging; the next message includes the changes"
        in done.stderr
    )
    with monitor() as (url, told):
        run(bench, "--notify", url)
    assert len(told) == 1
