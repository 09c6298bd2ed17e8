"""What cron needs of `backup`: it writes what matters, marks what is odd, and shouts when something is wrong."""

import asyncio
import contextlib
import http.server
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest
from prometheus_client.parser import text_string_to_metric_families

from jitsu_backup.archive import ArchiveName, parse_name
from jitsu_backup.reports.metrics import RunFigures, metrics_text
from jitsu_backup.sandbox import Sandbox, State, default_state, example_workspace, running
from tests.faults import Call, Faults
from tests.s3_server import BUCKET, s3_server
from tests.support import OWNER, PRODUCTION, STAGING, cli

ROOT = Path(__file__).parents[1]


class Bench:
    """A console, a folder to run in, and the command line."""

    def __init__(self, state: State, url: str, folder: Path) -> None:
        self.state, self.url, self.folder = state, url, folder
        self.env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}

    def run(self, *arguments: str, **env: str) -> Any:
        return cli(*arguments, env={**self.env, **env}, cwd=self.folder)

    @property
    def archives(self) -> list[ArchiveName]:
        named = (parse_name(path.name) for path in (self.folder / "jitsu-backups").glob("*.json.gz*"))
        return sorted((archive for archive in named if archive is not None), key=lambda archive: archive.age)

    def an_hour_passes(self) -> None:
        """Make all archives older, by their names, which is all that a backup looks at."""
        folder = self.folder / "jitsu-backups"
        for archive in self.archives:
            older = replace(archive, taken_at=archive.taken_at - timedelta(hours=1))
            (folder / str(archive)).rename(folder / str(older))

    def forget(self, type_name: str, left: int) -> None:
        """Let somebody delete all but `left` objects of a type."""
        rows = list(self.state.live_objects(STAGING, type_name))
        for row in rows[left:]:
            row.deleted = True


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    state = default_state()
    example_workspace(state, STAGING)
    with running(Sandbox(state, rate_limit=False)) as url:
        yield Bench(state, url, tmp_path)


def test_if_changed_writes_nothing_where_the_latest_archive_holds_the_same(bench: Bench) -> None:
    first = bench.run("backup", "acme-staging", "--if-changed")
    again = bench.run("backup", "acme-staging", "--if-changed")
    assert (first.returncode, again.returncode) == (0, 0)
    assert "unchanged since" in again.stdout
    assert len(bench.archives) == 1
    report = json.loads(bench.run("--json", "backup", "acme-staging", "--if-changed").stdout)
    (line,) = report["snapshots"]
    assert (line["written"], line["bytes"], line["id"]) == (False, 0, bench.archives[0].digest_prefix)
    assert len(line["digest"]) == 64
    bench.state.objects["enrich-0001"].config["code"] = "changed"
    assert "unchanged" not in bench.run("backup", "acme-staging", "--if-changed").stdout
    assert len(bench.archives) == 2


def test_if_changed_still_writes_what_gets_a_label_or_encryption_that_the_latest_lacks(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    bench.an_hour_passes()
    bench.run("backup", "acme-staging", "--if-changed", "--label", "before-upgrade")
    assert bench.archives[-1].labels == {"before-upgrade"}
    bench.run("backup", "acme-staging", "--if-changed", JITSU_BACKUP_PASSPHRASE="correct horse")
    assert len(bench.archives) == 3
    assert [archive.encrypted for archive in bench.archives].count(True) == 1


@pytest.mark.parametrize("label", ["Upper", "incomplete", "shrunk", "a.b", ""])
def test_a_label_that_is_none_is_refused_before_anything_is_read(label: str, bench: Bench) -> None:
    done = bench.run("backup", "acme-staging", "--label", label)
    assert done.returncode == 2
    assert "--label" in done.stderr
    assert bench.archives == []


def test_a_workspace_that_has_shrunk_is_kept_marked_and_told_until_somebody_accepts_it(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    bench.an_hour_passes()
    bench.forget("destination", 1)
    done = bench.run("backup", "acme-staging", "--if-changed")
    assert done.returncode == 3
    assert "SHRUNKEN  destination: 4 before, 1 now" in done.stdout
    assert "jitsu-backup: acme-staging has shrunk: destination: 4 before, 1 now" in done.stderr
    assert [archive.marks for archive in bench.archives] == [(), ("shrunk",)]
    bench.an_hour_passes()
    again = bench.run("backup", "acme-staging", "--if-changed")  # nobody may have heard the first alarm
    assert again.returncode == 3
    assert "unchanged since" in again.stdout
    assert "has shrunk" in again.stderr
    kept = bench.run("prune", "--keep-last", "1")
    assert kept.returncode == 0, kept.stderr
    assert len(bench.archives) == 2  # what was there before the fall outlives the policy for a while
    accepted = bench.run("backup", "acme-staging", "--if-changed", "--accept-shrink")
    assert accepted.returncode == 0
    assert [archive.marks for archive in bench.archives] == [(), ("shrunk",), ()]
    bench.an_hour_passes()
    assert bench.run("backup", "acme-staging").returncode == 0


@pytest.mark.parametrize(
    ("flags", "settings", "left", "code"),
    [
        ((), "", 2, 0),  # half is not more than half
        (("--shrink-alarm", "0.4"), "", 2, 3),
        ((), "shrink_alarm = 0.4\n", 2, 3),
        (("--shrink-alarm", "1"), "", 0, 0),
    ],
)
def test_how_far_a_count_may_fall_is_a_setting(
    flags: tuple[str, ...], settings: str, left: int, code: int, bench: Bench
) -> None:
    (bench.folder / "jitsu-backup.toml").write_text(settings)
    bench.run("backup", "acme-staging")
    bench.forget("destination", left)
    assert bench.run("backup", "acme-staging", *flags).returncode == code


def test_the_shrink_alarm_needs_no_key_to_encrypted_archives(bench: Bench) -> None:
    secret = {"JITSU_BACKUP_PASSPHRASE": "correct horse"}
    bench.run("backup", "acme-staging", **secret)
    bench.forget("destination", 1)
    assert bench.run("backup", "acme-staging", JITSU_BACKUP_PASSPHRASE="another one").returncode == 3


def test_prune_after_a_backup_keeps_to_the_workspaces_that_were_backed_up(bench: Bench) -> None:
    (bench.folder / "jitsu-backup.toml").write_text(
        '[retention]\nkeep_last = 1\ntime_zone = "Europe/Berlin"\n'
    )
    for _ in range(2):
        bench.run("backup", "--all", "--label", f"run-{len(bench.archives)}")
    assert len(bench.archives) == 4
    done = bench.run("backup", "acme-staging", "--prune")
    assert done.returncode == 0
    assert "2 old archives removed" in done.stdout
    assert sorted(archive.slug for archive in bench.archives) == ["acme-production"] * 2 + ["acme-staging"]
    flags = bench.run("backup", "acme-production", "--prune", "--keep-last", "2")
    assert "1 old archives removed" in flags.stdout


def test_prune_without_a_policy_is_refused_before_anything_is_read(bench: Bench) -> None:
    done = bench.run("backup", "acme-staging", "--prune")
    assert done.returncode == 2
    assert "empty policy" in done.stderr
    assert bench.archives == []


def test_of_several_workspaces_one_that_fails_is_named_and_the_others_are_done(bench: Bench) -> None:
    done = bench.run("backup", "acme-staging", "nobody", "acme-production")
    assert done.returncode == 3
    assert "jitsu-backup: nobody: " in done.stderr
    assert "3 workspace(s): 2 backed up, 1 failed: nobody:" in done.stdout
    assert len(bench.archives) == 2
    assert bench.run("backup", "nobody", "no-one").returncode == 1


@pytest.mark.parametrize("shard", ["4/4", "x", "1", "-1/2", "0/0"])
def test_a_shard_that_is_none_is_refused(shard: str, bench: Bench) -> None:
    done = bench.run("backup", "--all", "--shard", shard)
    assert done.returncode == 2
    assert "--shard" in done.stderr


def test_every_workspace_is_in_one_shard_and_an_empty_shard_is_no_failure(bench: Bench) -> None:
    codes = [bench.run("backup", "--all", "--shard", f"{index}/5").returncode for index in range(5)]
    assert codes == [0] * 5
    assert sorted(archive.slug for archive in bench.archives) == ["acme-production", "acme-staging"]


def test_a_key_that_reads_no_workspace_is_told_and_no_quiet_success(bench: Bench) -> None:
    for row in bench.state.workspaces.values():
        row.access.clear()
    done = bench.run("backup", "--all")
    assert done.returncode == 6
    assert "no workspace" in done.stderr


def test_an_archive_of_later_than_now_is_told_and_the_backup_made(bench: Bench) -> None:
    folder = bench.folder / "jitsu-backups"
    folder.mkdir()
    future = f"acme-staging.{STAGING}.20990101T000000Z.0123456789ab.900_900stream.json.gz"
    (folder / future).write_bytes(b"x")
    bench.run("backup", "acme-staging", "--shrink-alarm", "1")
    bench.an_hour_passes()
    done = bench.run("-q", "backup", "acme-staging", "--if-changed")
    assert done.returncode == 0  # compared with what was there, not with what is to come
    assert "a clock is or was wrong" in done.stderr
    assert "unchanged" in done.stdout
    assert len(bench.archives) == 2
    assert bench.run("prune", "--keep-last", "1").returncode == 0
    assert len(bench.archives) == 2  # the one of the future takes no place of a true one


def test_an_open_alarm_outlives_every_policy_and_every_age(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    bench.an_hour_passes()
    bench.forget("destination", 0)
    assert bench.run("backup", "acme-staging").returncode == 3
    for archive in bench.archives:  # two months ago
        older = replace(archive, taken_at=archive.taken_at - timedelta(days=60))
        folder = bench.folder / "jitsu-backups"
        (folder / str(archive)).rename(folder / str(older))
    assert bench.run("backup", "acme-staging").returncode == 3
    assert bench.run("prune", "--keep-last", "1").returncode == 0
    assert [archive.sound for archive in bench.archives] == [True, False]
    assert bench.run("backup", "acme-staging", "--if-changed").returncode == 3


def test_many_small_types_that_go_together_are_an_alarm_too(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    bench.an_hour_passes()
    for table in (bench.state.objects, bench.state.links, bench.state.builders):
        for row in table.values():
            row.deleted = row.workspace_id == STAGING and getattr(row, "type", "") not in (
                "destination",
                "push",
            )
    for row in bench.state.links.values():
        row.deleted = False
    done = bench.run("backup", "acme-staging")
    assert done.returncode == 3
    assert "all entities: 21 before, 9 now" in done.stdout


def test_what_was_packed_by_hand_is_no_backup_that_alarms_compare_with(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    bench.an_hour_passes()
    bench.forget("destination", 1)
    assert bench.run("backup", "acme-staging").returncode == 3
    assert bench.run("unpack", "latest", "tree", "--redact").returncode == 0
    assert bench.run("unpack", "latest", "clear").returncode == 0
    packed = bench.run("pack", "clear")
    assert packed.returncode == 0
    assert "restore it with: jitsu-backup restore acme-staging/" in packed.stdout
    assert bench.run("backup", "acme-staging", "--if-changed").returncode == 3


def test_after_a_clock_that_ran_ahead_the_alarm_is_given_again_and_again(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    (archive,) = bench.archives
    folder = bench.folder / "jitsu-backups"
    ahead = replace(archive, taken_at=archive.taken_at + timedelta(days=300))
    (folder / str(archive)).rename(folder / str(ahead))
    bench.forget("destination", 0)
    assert [bench.run("backup", "acme-staging", "--if-changed").returncode for _ in range(3)] == [3, 3, 3]


def test_a_workspace_that_the_key_no_longer_sees_is_told(bench: Bench) -> None:
    assert bench.run("backup", "--all").returncode == 0
    bench.state.workspaces[STAGING].access.clear()
    gone = bench.run("backup", "--all")
    assert gone.returncode == 3
    assert "acme-staging is in the store, but this key does not see it" in gone.stderr
    assert "1 only in the store" in gone.stdout
    shards = [bench.run("backup", "--all", "--shard", f"{index}/3").returncode for index in range(3)]
    assert sorted(shards) == [0, 0, 3]  # told by the one that it belongs to
    assert bench.run("backup", "--all", "--allow-unseen", "acme-staging").returncode == 0
    assert bench.run("backup", "--all", "--allow-unseen", "another").returncode == 3
    (bench.folder / "jitsu-backup.toml").write_text('allow_unseen = ["*"]\n')
    assert bench.run("backup", "--all").returncode == 0


def test_an_empty_file_or_a_folder_with_an_archives_name_is_no_backup(bench: Bench) -> None:
    assert bench.run("backup", "acme-staging").returncode == 0
    (archive,) = bench.archives
    path = bench.folder / "jitsu-backups" / str(archive)
    path.write_bytes(b"")
    (path.parent / path.name.replace(archive.digest_prefix, "b" * 12)).mkdir()
    (path.parent / path.name.replace(archive.digest_prefix, "c" * 12)).symlink_to("nowhere")
    assert json.loads(bench.run("--json", "snapshots").stdout)["snapshots"] == []
    bench.an_hour_passes()
    assert "unchanged" not in bench.run("backup", "acme-staging", "--if-changed").stdout


@pytest.mark.parametrize("text", ["", "# nobody yet\n"])
def test_recipients_that_are_none_never_mean_in_clear(text: str, bench: Bench) -> None:
    (bench.folder / "recipients").write_text(text)
    token = ("--admin-token", "service:admintoken")
    done = bench.run("backup", "acme-staging", "--encrypt-to", "recipients", *token)
    assert done.returncode == 2
    assert "holds none" in done.stderr
    for variables in (
        {"JITSU_BACKUP_ENCRYPT_TO": ","}, {"JITSU_BACKUP_ENCRYPT_TO": ""}, {"JITSU_BACKUP_PASSPHRASE": ""},
    ):  # fmt: skip
        assert bench.run("backup", "acme-staging", **variables).returncode == 2
    for settings in ("encrypt_to = []", 'passphrase = {file = "recipients"}', 'passphrase = ""'):
        (bench.folder / "jitsu-backup.toml").write_text(
            settings if text == "" else "encrypt_to = ['recipients']"
        )
        assert bench.run("backup", "acme-staging").returncode == 2
    assert bench.archives == []


def test_with_new_keys_an_unchanged_workspace_is_written_again(bench: Bench) -> None:
    one, two = (str(pyrage.x25519.Identity.generate().to_public()) for _ in range(2))
    for recipients, count in (((one,), 1), ((one,), 1), ((two,), 2), ((one, two), 3), ((two, one), 3)):
        flags = [flag for each in recipients for flag in ("--encrypt-to", each)]
        assert bench.run("backup", "acme-staging", "--if-changed", *flags).returncode == 0
        bench.an_hour_passes()
        assert len(bench.archives) == count, recipients


def test_flags_of_a_policy_without_prune_are_refused(bench: Bench) -> None:
    done = bench.run("backup", "acme-staging", "--keep-daily", "3")
    assert done.returncode == 2
    assert "--keep-daily goes with --prune" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--store", ""), "--store is empty"),
        (("--store", "s3:/bucket/x"), "two slashes"),
        (("--shrink-alarm", "nan"), "take a number"),
        (("--deadline", "nan"), "take a number"),
        (("--label", "x" * 40, "--label", "y" * 40), "80 characters in all"),
        (("--prune", "--keep-within", "9999y"), "no time span"),
    ],
)
def test_what_would_quietly_do_something_else_is_refused(
    arguments: tuple[str, ...], words: str, bench: Bench
) -> None:
    done = bench.run("backup", "acme-staging", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert not list(bench.folder.iterdir())


# -- the monitor -----------------------------------------------------------------


@contextlib.contextmanager
def monitor(status: int = 200) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A monitor, its URL, and what it was told."""
    told: list[tuple[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            told.append((self.path, body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/ping/CANARY?create=1", told
        server.shutdown()


def test_what_nobody_could_compare_is_written_again_once_it_can_be_and_then_compared_with(
    bench: Bench,
) -> None:
    bench.run("backup", "acme-staging")
    bench.an_hour_passes()
    for number in range(40):
        bench.state.add_object(STAGING, "function", f"more-{number}", {"name": f"More {number}", "code": "x"})
    bench.run("backup", "acme-staging")
    grown = bench.archives[-1]
    folder = bench.folder / "jitsu-backups"
    (folder / str(grown)).rename(folder / str(replace(grown, marks=("uncompared",))))
    bench.an_hour_passes()
    promoted = bench.run("backup", "acme-staging", "--if-changed")
    assert promoted.returncode == 0
    assert bench.archives[-1].sound
    bench.an_hour_passes()
    bench.forget("function", 3)
    lost = bench.run("backup", "acme-staging", "--if-changed", "--prune", "--keep-last", "1")
    assert lost.returncode == 3
    assert grown.digest_prefix in {archive.digest_prefix for archive in bench.archives}


def test_a_place_whose_settings_are_wrong_fails_alone(bench: Bench) -> None:
    (bench.folder / "jitsu-backup.toml").write_text(
        '[profiles.ok]\nworkspace = "acme-staging"\n[profiles.broken]\nworkspace = "x"\nkey = {command = ["false"]}\n'
    )
    for places in (("@ok", "@broken"), ("@broken", "@ok")):
        done = bench.run("backup", *places)
        assert done.returncode == 3
        assert "@broken" in done.stderr
    assert len(bench.archives) == 2
    assert bench.run("backup", "@broken").returncode == 2
    assert bench.run("backup", "@broken", "@nobody").returncode == 2


def test_a_full_standard_output_is_told_as_that(bench: Bench) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "jitsu_backup", "backup", "acme-staging"], cwd=bench.folder, text=True,
            env={**os.environ, **bench.env}, stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "jitsu-backup: cannot write the output: No space left on device" in done.stderr
    assert len(bench.archives) == 1


def test_a_store_whose_path_is_no_text_is_told_as_far_as_it_can_be(bench: Bench) -> None:
    store = os.fsdecode(b"odd-\xff")
    done = bench.run("backup", "acme-staging", "--store", store, "--log-format", "json")
    assert done.returncode == 0
    assert json.loads(done.stderr)["exit_code"] == 0
    assert bench.run("--json", "check", "acme-staging", "--store", store).returncode == 0


def test_check_shows_nothing_of_a_store_whose_address_it_cannot_use(bench: Bench) -> None:
    for style in ((), ("--json",)):
        done = bench.run(
            *style, "check", "acme-staging", "--store", "s3://AKIA:CANARY@bucket/p?secret=CANARY"
        )
        assert done.returncode != 0
        assert "CANARY" not in done.stdout + done.stderr


def test_pruning_a_store_that_is_not_there_is_no_success(bench: Bench) -> None:
    done = bench.run("prune", "--keep-last", "1", "--store", "missing")
    assert (done.returncode, done.stderr) == (1, "jitsu-backup: the store missing is not there\n")


def test_the_monitor_hears_of_start_and_success(bench: Bench) -> None:
    with monitor() as (url, told):
        assert bench.run("backup", "acme-staging", "--ping", url).returncode == 0
    assert [path for path, _ in told] == ["/ping/CANARY/start?create=1", "/ping/CANARY?create=1"]
    assert told[1][1] == "exit code 0: 1 workspace(s): 1 backed up"


def test_the_monitor_hears_of_failure_with_the_exit_code_and_a_short_reason(bench: Bench) -> None:
    (bench.folder / "jitsu-backup.toml").write_text('ping = {env = "CHECK"}\n')
    with monitor() as (url, told):
        assert bench.run("backup", "nobody", CHECK=url).returncode == 1
        assert (
            bench.run("backup", "acme-staging", JITSU_BACKUP_PING=url, JITSU_APIKEY="key1:x").returncode == 6
        )
        assert (
            bench.run("prune", "--keep-last", "1", CHECK=url).returncode == 1
        )  # there is no store, and it is not the business of this check
        assert bench.run("verify", "latest", "--ping", url).returncode == 1
    assert [path.partition("?")[0].rpartition("/")[2] for path, _ in told] == ["start", "fail"] * 3
    assert told[1][1].startswith("exit code 1: console http://127.0.0.1")
    assert told[3][1].startswith("exit code 6: ")


def test_the_monitor_hears_of_an_alarm(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    bench.forget("destination", 0)
    with monitor() as (url, told):
        assert bench.run("backup", "acme-staging", "--ping", url).returncode == 3
    assert told[1] == (
        "/ping/CANARY/fail?create=1",
        "exit code 3: 1 workspace(s): 1 backed up, 1 of them shrunken",
    )


@pytest.mark.parametrize("status", [404, 500])
def test_a_monitor_that_refuses_is_told_of_without_its_secret_and_harms_nothing(
    status: int, bench: Bench
) -> None:
    with monitor(status) as (url, _):
        done = bench.run("backup", "acme-staging", "-q", "--ping", url)
    assert done.returncode == 0
    assert f"the monitor at 127.0.0.1 was not told: HTTP {status}" in done.stderr
    assert "CANARY" not in done.stderr + done.stdout
    gone = bench.run("backup", "acme-staging", "-q", "--ping", "http://127.0.0.1:9/CANARY")
    assert gone.returncode == 0
    assert "cannot be reached" in gone.stderr


@pytest.mark.parametrize("url", ["CANARY", "ftp://x/CANARY", "http://", "http://[CANARY"])
def test_an_address_that_is_none_is_refused_without_being_shown(url: str, bench: Bench) -> None:
    done = bench.run("backup", "acme-staging", "--ping", url)
    assert done.returncode == 2
    assert "CANARY" not in done.stderr
    assert bench.archives == []


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "HTTP_PROXY", "SSL_CERT_FILE"])
def test_a_monitor_behind_a_proxy_set_wrong_harms_nothing_that_it_need_not(
    variable: str, bench: Bench
) -> None:
    value = "/nowhere" if variable == "SSL_CERT_FILE" else "foo://x:1"
    env = {variable: value, "NO_PROXY": "127.0.0.1"}
    done = bench.run("backup", "acme-staging", "--ping", "http://127.0.0.1:9/CANARY", **env)
    assert "mistake" not in done.stderr
    assert done.returncode == (1 if variable == "SSL_CERT_FILE" else 0)


def test_settings_that_cannot_be_read_are_told_to_the_monitor_of_the_environment(bench: Bench) -> None:
    (bench.folder / "jitsu-backup.toml").write_text('stroe = "x"\n')
    with monitor() as (url, told):
        assert bench.run("backup", "acme-staging", JITSU_BACKUP_PING=url).returncode == 2
    assert "stroe" in told[-1][1]


def test_a_background_job_of_a_script_hears_sigterm(tmp_path: Path) -> None:
    with monitor() as (url, told):
        hanging = socket.create_server(("127.0.0.1", 0))
        script = f"{sys.executable} -m jitsu_backup --timeout 50 backup x --ping {url} & P=$!; read line; kill -TERM $P; wait $P"
        process = subprocess.Popen(
            ["sh", "-c", script], cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "JITSU_HOST": f"http://127.0.0.1:{hanging.getsockname()[1]}", "JITSU_APIKEY": OWNER},
        )  # fmt: skip
        with hanging, hanging.accept()[0]:
            _, err = process.communicate("go\n", timeout=60)
    assert process.returncode == 130, err
    assert told[-1][1] == "exit code 130: interrupted"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_run_that_is_ended_from_outside_tells_the_monitor_and_leaves_nothing_half_written(
    number: signal.Signals, tmp_path: Path
) -> None:
    state = default_state()
    example_workspace(state, STAGING)
    sandbox = Sandbox(state, rate_limit=False)
    reached = threading.Event()

    def choose(_call: Call) -> None:
        reached.set()
        time.sleep(0.2)

    with Faults(sandbox.app, choose).running() as host, monitor() as (url, told):
        process = subprocess.Popen(
            [sys.executable, "-m", "jitsu_backup", "backup", "acme-staging", "--ping", url],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "JITSU_HOST": host, "JITSU_APIKEY": OWNER},
        )  # fmt: skip
        assert reached.wait(30)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert told[-1] == ("/ping/CANARY/fail?create=1", "exit code 130: interrupted")
    assert "Traceback" not in err
    assert not (tmp_path / "jitsu-backups").exists()


ENDED_AT_THE_HUNDREDTH = """
import os, signal
from jitsu_backup.cli import main
from jitsu_backup.store import FolderStore

remove, removed = FolderStore.remove, []

async def counted(store, name):
    removed.append(name)
    if len(removed) == 100:
        os.kill(os.getpid(), signal.SIGTERM)
    await remove(store, name)

FolderStore.remove = counted
main(["prune", "--keep-last", "1"])
"""


def test_sigterm_ends_the_pruning_of_a_folder_of_thousands_at_the_file_that_it_is_at(tmp_path: Path) -> None:
    folder = tmp_path / "jitsu-backups"
    folder.mkdir()
    for number in range(12_000):
        taken_at = datetime(2025, 1, 1) + timedelta(hours=number)
        name = f"acme.w1.{taken_at:%Y%m%dT%H%M%S}Z.{number:012x}.7_4stream.json.gz"
        (folder / name).write_bytes(b"x")
    done = subprocess.run(
        [sys.executable, "-c", ENDED_AT_THE_HUNDREDTH], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert "interrupted" in done.stderr
    assert len(list(folder.iterdir())) == 11_900


# -- a standard error that cannot be written ---------------------------------------


@contextlib.contextmanager
def dead_pipe() -> Iterator[Any]:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as file:  # noqa: PTH123  a descriptor, not a path
        yield file


@pytest.mark.parametrize("flags", [(), ("-q",), ("--log-format", "json")], ids=" ".join)
@pytest.mark.parametrize("where", ["a full disk", "a dead pipe"])
def test_a_backup_is_made_where_nothing_can_be_told_on_standard_error(
    where: str, flags: tuple[str, ...], bench: Bench
) -> None:
    arguments = ["backup", "acme-staging", *flags, "--ping", "http://127.0.0.1:9/x"]
    with Path("/dev/full").open("w") if where == "a full disk" else dead_pipe() as stderr:
        done = subprocess.run(
            [sys.executable, "-m", "jitsu_backup", *arguments], cwd=bench.folder, timeout=120, check=False,
            stdout=subprocess.DEVNULL, stderr=stderr, env={**os.environ, **bench.env},
        )  # fmt: skip
    assert done.returncode == 0
    assert len(bench.archives) == 1


def test_a_backup_is_made_whose_terminal_goes_away_under_its_bars(tmp_path: Path) -> None:
    state = default_state()
    example_workspace(state, STAGING)
    sandbox = Sandbox(state, rate_limit=False)
    gone = threading.Event()
    screen, terminal = os.openpty()
    with Faults(sandbox.app, lambda _call: gone.wait(30) and None).running() as host:
        process = subprocess.Popen(
            [sys.executable, "-m", "jitsu_backup", "backup", "acme-staging"], cwd=tmp_path, stderr=terminal,
            stdout=subprocess.DEVNULL, env={**os.environ, "JITSU_HOST": host, "JITSU_APIKEY": OWNER, "TERM": "xterm"},
        )  # fmt: skip
        os.close(terminal)
        os.read(screen, 1)  # the first bar
        os.close(screen)
        gone.set()
        assert process.wait(60) == 0
    assert len(list((tmp_path / "jitsu-backups").iterdir())) == 1


# -- figures and logs -----------------------------------------------------------------


def figures(path: Path) -> dict[tuple[str, str], float]:
    """The samples of a metrics file by short name and workspace."""
    return {
        (sample.name.removeprefix("jitsu_backup_"), sample.labels["workspace"]): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
        if "workspace" in sample.labels and "type" not in sample.labels
    }


def test_the_time_of_the_last_success_outlives_a_failure_and_a_run_of_another_workspace(bench: Bench) -> None:
    path = bench.folder / "jitsu.prom"
    began = time.time() - 1
    assert bench.run("backup", "acme-staging", "--metrics", "jitsu.prom").returncode == 0
    first = figures(path)
    assert path.stat().st_mode & 0o044 == 0o044  # the collector is somebody else
    assert first["last_success_timestamp_seconds", "acme-staging"] >= began
    assert first["exit_code", "acme-staging"] == 0
    assert first["archive_bytes", "acme-staging"] == sum(f.stat().st_size for f in bench.folder.rglob("*.gz"))
    (bench.folder / "jitsu-backup.toml").write_text('metrics = "jitsu.prom"\n')
    bench.run("backup", "acme-production")
    failed = bench.run("backup", "acme-staging", JITSU_APIKEY="key1:wrong")
    assert failed.returncode == 6
    after = figures(path)
    assert after["exit_code", "acme-staging"] == 6
    for name in ("last_success_timestamp_seconds", "archive_bytes"):
        assert after[name, "acme-staging"] == first[name, "acme-staging"]
    assert after["exit_code", "acme-production"] == 0
    assert 'type="destination",workspace="acme-staging"' in path.read_text()


def test_a_run_that_could_not_even_begin_is_in_the_figures(bench: Bench) -> None:
    bench.run("backup", "--all", "--metrics", "m")
    assert "jitsu_backup_run_exit_code 0.0" in (bench.folder / "m").read_text()
    assert bench.run("backup", "--all", "--metrics", "m", JITSU_APIKEY="key1:wrong").returncode == 6
    assert "jitsu_backup_run_exit_code 6.0" in (bench.folder / "m").read_text()
    assert figures(bench.folder / "m")["exit_code", "acme-staging"] == 0


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ("passphrase = {command = ['false']}", 2),
        ("encrypt_to = ['age1nobody']", 2),
        ("encrypt_to = ['gone.pub']", 2),
        ("passphrase = {env = 'UNSET'}", 2),
        ("stroe = 'x'", 2),
    ],
)
def test_a_run_that_ends_before_it_asks_the_console_is_in_the_figures(
    settings: str, code: int, bench: Bench
) -> None:
    bench.run("backup", "--all", "--metrics", "m")
    before = figures(bench.folder / "m")
    (bench.folder / "jitsu-backup.toml").write_text(settings + "\n")
    done = bench.run("backup", "--all", JITSU_BACKUP_METRICS=str(bench.folder / "m"))
    assert done.returncode == code, done.stderr
    assert f"jitsu_backup_run_exit_code {code}.0" in (bench.folder / "m").read_text()
    assert figures(bench.folder / "m") == before
    assert bench.run("backup", "acme-staging", "--metrics", "m").returncode == code
    assert figures(bench.folder / "m")["exit_code", "acme-staging"] == code


def test_a_run_that_is_ended_while_it_reads_is_in_the_figures(tmp_path: Path) -> None:
    (tmp_path / "m").write_text(metrics_text("", [], 0, datetime.now(UTC)))
    reached = threading.Event()

    def choose(_call: Call) -> None:
        reached.set()
        time.sleep(0.2)

    with Faults(Sandbox(default_state(), rate_limit=False).app, choose).running() as host:
        process = subprocess.Popen(
            [sys.executable, "-m", "jitsu_backup", "backup", "acme-staging", "--metrics", "m"], cwd=tmp_path,
            stderr=subprocess.DEVNULL, env={**os.environ, "JITSU_HOST": host, "JITSU_APIKEY": OWNER},
        )  # fmt: skip
        assert reached.wait(30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
    assert "jitsu_backup_run_exit_code 130.0" in (tmp_path / "m").read_text()


@contextlib.contextmanager
def pruning_that_hangs(bench: Bench) -> Iterator[tuple[dict[str, str], threading.Event]]:
    """The environment of a backup of two workspaces into S3 with something to prune, and when that is reached."""
    reached, over = threading.Event(), threading.Event()

    def hangs(environ: Any, start_response: Any, real: Any) -> Any:
        reached.set()
        over.wait(60)
        return real(environ, start_response)

    with s3_server() as s3:
        env = {**os.environ, **bench.env, **s3.environment, "JITSU_BACKUP_STORE": f"s3://{BUCKET}/jitsu"}
        first = bench.run("backup", "--all", **env)
        assert first.returncode == 0, first.stderr
        s3.befall = lambda _number, method: hangs if method in ("POST", "DELETE") else None
        try:
            yield env, reached
        finally:
            over.set()


PRUNING = ("backup", "--all", "--prune", "--keep-last", "1", "--metrics", "m", "--log-format", "json")


def test_the_deadline_holds_for_pruning_and_what_was_saved_is_in_the_log_and_the_figures(
    bench: Bench,
) -> None:
    began = time.monotonic()
    with pruning_that_hangs(bench) as (env, reached):
        done = bench.run(*PRUNING, "--deadline", "8", **env)
        assert reached.is_set()
    assert time.monotonic() - began < 40
    assert done.returncode == 3
    line = json.loads(done.stderr)
    assert [(one["exit_code"], one["written"]) for one in line["workspaces"]] == [(0, True)] * 2
    assert (line["removed"], line["not_removed"]) == (0, 2)
    assert line["notices"] == ["2 old archive(s) were not removed before the deadline"]
    found = figures(bench.folder / "m")
    assert [found["exit_code", name] for name in ("acme-staging", "acme-production")] == [0, 0]
    assert "jitsu_backup_run_exit_code 3.0" in (bench.folder / "m").read_text()


def test_a_run_that_is_ended_while_it_prunes_has_what_was_saved_in_the_log_and_the_figures(
    bench: Bench,
) -> None:
    with pruning_that_hangs(bench) as (env, reached):
        process = subprocess.Popen(
            [sys.executable, "-m", "jitsu_backup", *PRUNING], cwd=bench.folder, env=env, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert reached.wait(60)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    line = json.loads(err)
    assert (line["exit_code"], line["message"]) == (130, "interrupted")
    assert [(one["exit_code"], one["written"]) for one in line["workspaces"]] == [(0, True)] * 2
    found = figures(bench.folder / "m")
    success = "last_success_timestamp_seconds"
    assert all(found[success, name] > 0 for name in ("acme-staging", "acme-production"))
    assert "jitsu_backup_run_exit_code 130.0" in (bench.folder / "m").read_text()


def test_a_run_that_is_ended_while_it_reads_has_what_was_saved_in_the_log_and_the_figures(
    bench: Bench,
) -> None:
    sandbox, reached = Sandbox(bench.state, rate_limit=False), threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while PRODUCTION in scope["path"] and not reached.is_set():
            if bench.archives:
                reached.set()
            await asyncio.sleep(0.05)
        await sandbox.app(scope, receive, send)

    with Faults(app, lambda _: None).running() as host:
        process = subprocess.Popen(
            [sys.executable, "-m", "jitsu_backup", "backup", "--all", "--metrics", "m", "--log-format", "json"],
            cwd=bench.folder, env={**os.environ, **bench.env, "JITSU_HOST": host}, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert reached.wait(60)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [one["workspace"] for one in json.loads(err)["workspaces"]] == ["acme-staging"]
    assert figures(bench.folder / "m")["last_success_timestamp_seconds", "acme-staging"] > 0


def test_a_monitor_that_the_settings_cannot_name_is_told_of_and_stops_no_backup(bench: Bench) -> None:
    (bench.folder / "jitsu-backup.toml").write_text('ping = {env = "UNSET"}\n')
    done = bench.run("-q", "backup", "acme-staging")
    assert done.returncode == 0
    assert "no monitor is told of this run" in done.stderr
    assert "UNSET" in done.stderr


def test_wrong_usage_is_code_2_where_it_cannot_be_told_too(bench: Bench) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "jitsu_backup", "backup", "--nonsense"],
            cwd=bench.folder,
            stderr=full,
            check=False,
        )
    assert done.returncode == 2


def test_a_failure_is_counted_for_the_same_workspace_by_id_and_by_slug(bench: Bench) -> None:
    bench.run("backup", "acme-staging", "--metrics", "m")
    bench.run("backup", STAGING, "--metrics", "m", JITSU_APIKEY="key1:wrong")
    found = figures(bench.folder / "m")
    assert {workspace for _, workspace in found} == {"acme-staging"}
    assert found["exit_code", "acme-staging"] == 6


def test_many_shards_at_once_share_a_file_of_figures(bench: Bench) -> None:
    for number in range(8):
        bench.state.add_workspace(f"cshard{number}", f"S{number}", f"shard-{number}", {"u-owner": "owner"})
    with ThreadPoolExecutor(4) as pool:
        jobs = [("backup", "--all", "--shard", f"{index}/4", "--metrics", "m") for index in range(4)]
        assert {done.returncode for done in pool.map(lambda job: bench.run(*job), jobs)} == {0}
    assert len({workspace for _, workspace in figures(bench.folder / "m")}) == 10


def test_what_was_counted_under_half_a_name_goes_once_it_is_known_whole(bench: Bench) -> None:
    bench.run("backup", "acme-staging", "--metrics", "m", JITSU_APIKEY="key1:wrong")
    assert figures(bench.folder / "m")["exit_code", "acme-staging"] == 6
    bench.run("backup", "acme-staging", "--metrics", "m")
    assert (bench.folder / "m").read_text().count("jitsu_backup_exit_code{") == 1
    damaged = (bench.folder / "m").read_text() + 'jitsu_backup_exit_code{workspace="x\n'
    (bench.folder / "m").write_text(damaged)
    bench.run("backup", "acme-staging", "--metrics", "m")
    assert figures(bench.folder / "m")["exit_code", "acme-staging"] == 0


@pytest.mark.parametrize("key", [OWNER, "key1:wrong"], ids=["well", "badly"])
def test_a_workspace_with_another_slug_keeps_one_series_and_its_last_success(key: str, bench: Bench) -> None:
    bench.run("backup", "acme-staging", "--metrics", "m")
    before = figures(bench.folder / "m")
    bench.state.workspaces[STAGING].slug = "acme-renamed"
    if key == OWNER:
        bench.run("backup", "acme-renamed", "--metrics", "m")
    else:
        later = RunFigures("acme-renamed", STAGING, 6, 1.0, datetime.now(UTC))  # as `--all` knows it
        text = (bench.folder / "m").read_text()
        (bench.folder / "m").write_text(metrics_text(text, [later], 6, datetime.now(UTC)))
    after = figures(bench.folder / "m")
    assert {workspace for _, workspace in after} == {"acme-renamed"}
    assert {name for name, _ in after} == {name for name, _ in before}
    success = "last_success_timestamp_seconds"
    assert (after[success, "acme-renamed"] > before[success, "acme-staging"]) == (key == OWNER)
    text = (bench.folder / "m").read_text()
    assert 'type="destination",workspace="acme-renamed"' in text
    assert "acme-staging" not in text


def test_a_file_that_holds_no_metrics_is_left_alone_and_the_backup_made(bench: Bench) -> None:
    (bench.folder / "notes").write_text("my notes: {\n")
    done = bench.run("backup", "acme-staging", "--metrics", "notes")
    assert done.returncode == 0
    assert "holds no metrics" in done.stderr
    assert (bench.folder / "notes").read_text() == "my notes: {\n"
    assert "cannot write" in bench.run("backup", "acme-staging", "--metrics", "none/m").stderr


def test_the_log_is_one_line_of_json_a_run_and_nothing_else(bench: Bench) -> None:
    done = bench.run("backup", "--all", "--log-format", "json")
    assert (done.returncode, done.stdout) == (0, "")
    (text,) = done.stderr.splitlines()
    line = json.loads(text)
    assert (line["level"], line["command"], line["exit_code"]) == ("info", "backup", 0)
    assert line["message"] == "2 workspace(s): 2 backed up"
    assert [one["workspace"] for one in line["workspaces"]] == ["acme-staging", "acme-production"]
    assert line["workspaces"][0]["entities"] == 21
    failed = bench.run("backup", "acme-staging", "nobody", "--log-format", "json")
    (text,) = failed.stderr.splitlines()
    line = json.loads(text)
    assert (failed.returncode, line["exit_code"], line["level"]) == (3, 3, "error")
    assert "nobody" in line["workspaces"][1]["failure"]
    usage = bench.run("backup", "acme-staging", "--all", "--log-format", "json")
    assert json.loads(usage.stderr)["message"] == "give workspaces or --all, not both"
    assert usage.returncode == 2
    both = bench.run("--json", "backup", "acme-staging", "--log-format", "json")
    assert json.loads(both.stdout)["snapshots"]
    assert len(both.stderr.splitlines()) == 1
    pruned = bench.run("prune", "--keep-last", "1", "--log-format", "json")
    assert json.loads(pruned.stderr)["message"].startswith("2 kept")


def test_the_cron_line_of_the_readme_runs_without_home_terminal_or_path(bench: Bench) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```cron\n(.*?)\n```", readme, re.DOTALL)
    *variables, line = lines.split("\n")
    command = " ".join([*variables, line.split(None, 5)[5]])
    for old, new in {
        "/opt/jitsu-backup/bin/": f"{Path(sys.executable).parent}/",
        "https://jitsu.example.com": bench.url,
        "keyId:keySecret": OWNER,
        "/var/": f"{bench.folder}/var/",
    }.items():
        assert old in command
        command = command.replace(old, new)
    (bench.folder / "var" / "log").mkdir(parents=True)
    shell = ["env", "-i", "PATH=/usr/bin:/bin", "SHELL=/bin/sh", "/bin/sh", "-c", command.replace("\\%", "%")]
    done = subprocess.run(
        shell, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), shlex.join(shell)
    stored = [parse_name(path.name) for path in (bench.folder / "var").rglob("*.json.gz")]
    assert sorted(archive.slug for archive in stored if archive is not None) == [
        "acme-production",
        "acme-staging",
    ]
