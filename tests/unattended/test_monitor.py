"""A monitor hears of every run, and harms none."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from jitsu_backup.events import Event, Problem, silent
from jitsu_backup.operations.alarms import Alarm, What
from jitsu_backup.operations.monitoring import LONGEST_BODY, Monitor
from tests.support import STAGING
from tests.unattended.workbench import Bench, monitor


def test_the_monitor_hears_of_start_and_success(bench: Bench) -> None:
    with monitor() as (url, told):
        assert bench.run("backup", "acme-staging", "--ping", url).returncode == 0
    assert [path for path, _ in told] == ["/ping/CANARY/start?create=1", "/ping/CANARY?create=1"]
    assert told[1][1] == "exit code 0: 1 workspace: 1 backed up"


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
    assert told[1][1].startswith("exit code 1: nobody: not backed up: console http://127.0.0.1")
    assert told[3][1].startswith("exit code 6: ")


def test_the_monitor_hears_of_an_alarm(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    before = bench.archives[0].digest_prefix
    bench.forget("destination", 0)
    with monitor() as (url, told):
        assert bench.run("backup", "acme-staging", "--ping", url).returncode == 3
    now = bench.archives[1].digest_prefix
    body = (
        "exit code 3: 1 workspace: 1 backed up; alarms: 1 shrunk\n"
        "acme-staging has shrunk: destination: 4 before, 0 now; see what is gone with"
        f" `jitsu-backup diff acme-staging/{before} acme-staging/{now}`;"
        f" then see what a restore brings back with `jitsu-backup restore acme-staging/{before} --dry-run`;"
        " or if that was on purpose, accept every loss of this workspace with `jitsu-backup backup acme-staging --accept-shrink`"
    )
    assert told[1] == ("/ping/CANARY/fail?create=1", body)


@pytest.mark.parametrize("status", [404, 429, 500])
def test_a_monitor_that_refuses_is_reported_without_its_secret_and_harms_nothing(
    status: int, bench: Bench
) -> None:
    with monitor(status) as (url, _):
        done = bench.run("backup", "acme-staging", "-q", "--ping", url)
    assert done.returncode == 0
    port = url.split("/")[2].partition(":")[2]
    assert done.stderr.startswith(f"warning: the monitor at 127.0.0.1:{port} answered {status}")
    assert ("its server reports an error" in done.stderr) is (status == 500)
    assert ("it has no such check" in done.stderr) is (status == 404)
    assert ("its server limits the number of messages; " in done.stderr) is (status == 429)
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


def test_settings_that_cannot_be_read_are_reported_to_the_monitor_of_the_environment(bench: Bench) -> None:
    (bench.folder / "jitsu-backup.toml").write_text('stroe = "x"\n')
    with monitor() as (url, told):
        assert bench.run("backup", "acme-staging", JITSU_BACKUP_PING=url).returncode == 2
    assert "stroe" in told[-1][1]


ENDLESS = {
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "nothing at all": (b"", b""),
    "a redirect's body": (b"HTTP/1.1 302 x\r\nLocation: /y\r\nContent-Length: 9999999\r\n\r\n", b"x"),
    "a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", b"x"),
}


@contextmanager
def endless(first: bytes, then: bytes) -> Iterator[str]:
    """A monitor whose answer never ends."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with suppress(OSError):
                one, _ = server.accept()
                with one:
                    one.recv(65536)
                    one.sendall(first)
                    while not over.wait(0.01):
                        one.sendall(then)

        threading.Thread(target=answer, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/CANARY"
        finally:
            over.set()


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_monitor_whose_answer_never_ends_holds_no_run_and_its_body_is_not_read(kind: str) -> None:
    told: list[str] = []

    def report(event: Event) -> None:
        assert isinstance(event, Problem)
        told.append(event.text)

    with endless(*ENDLESS[kind]) as url:
        Monitor(url, report, {}, seconds=0.3).start()
    if kind == "a body":
        assert told == []
    else:
        assert told == [
            f"the monitor at {url.split('/')[2]} could not be reached: no answer within 0.3 s; check its URL"
        ]


def test_a_service_tells_once_that_its_monitor_is_not_reached_until_the_reason_changes() -> None:
    told: list[Event] = []
    gone = Monitor("http://127.0.0.1:9/CANARY", told.append, {}, seconds=2)
    for _ in range(3):
        gone.end(0, "watching 1 workspace", ())
    assert told == [
        Problem("the monitor at 127.0.0.1:9 cannot be reached: connection refused; check its URL")
    ]


def test_a_monitor_gets_no_longest_body_whatever_a_run_says_of_itself() -> None:
    with monitor() as (url, told):
        Monitor(url, silent, {}).end(3, "why " * 10_000, [Alarm(What.RUN_FAILED, "why " * 100)] * 300)
    ((_, body),) = told
    assert len(body.encode()) <= LONGEST_BODY
    assert "more" in body.splitlines()[-1]


def test_the_monitor_hears_of_an_outage_of_a_service_once_for_each_reason_and_when_it_is_over() -> None:
    away = [Alarm(What.FAILED, "console x: away", "wait", name) for name in ("a", "b")]
    listing = Alarm(What.RUN_FAILED, "console x: away", "wait")
    shrunk = [Alarm(What.SHRUNK, "stream: 8 before, 2 now", "look", name) for name in ("a", "b")]
    with monitor() as (url, told):
        heard = Monitor(url, silent, {})
        for alarms in ([], [], away[:1], [*away, listing], [*away, shrunk[0]], away[1:], [*shrunk], [], away):
            heard.stands(3 if alarms else 0, "", alarms)
    ends = [path.partition("?")[0].removeprefix("/ping/CANARY") for path, _ in told]
    assert ends == ["", "", "/fail", "/fail", "/fail", "", "/fail"]


def test_a_trouble_that_comes_back_is_reported_though_another_lasts() -> None:
    lasting, full = (
        Alarm(What.SHRUNK, "stream: 8 before, 2 now", "look", "a"),
        Alarm(What.RUN_FAILED, "full", ""),
    )
    with monitor() as (url, told):
        heard = Monitor(url, silent, {})
        for alarms in ([lasting], [lasting, full], *[[lasting]] * 6, [lasting, full]):
            heard.stands(3, "", alarms)
    assert ["full" in body for _, body in told] == [False, True, True]


def test_the_monitor_hears_a_reason_once_though_the_outcome_has_it_too() -> None:
    full = Alarm(What.FAILED, "the disk is full", "free space", "a")
    with monitor() as (url, told):
        Monitor(url, silent, {}).end(3, "2 workspaces: 2 failed: a: the disk is full; free space", [full])
    assert told[0][1] == "exit code 3: 2 workspaces: 2 failed\na: not backed up: the disk is full; free space"


def test_what_the_monitor_did_not_take_is_reported_again() -> None:
    away = [Alarm(What.FAILED, "console x: away", "wait", "a")]
    with monitor(404) as (url, told):
        heard = Monitor(url, silent, {})
        heard.stands(1, "", away)
        heard.stands(1, "", away)
    assert len(told) == 2


def test_what_a_person_runs_for_some_workspaces_hides_no_alarm_of_the_schedule_and_raises_none(
    bench: Bench,
) -> None:
    def lines(name: str) -> list[str]:
        return [one for one in (bench.folder / "m").read_text().splitlines() if one.startswith(name)]

    with monitor() as (url, told):
        settings = {"JITSU_BACKUP_PING": url, "JITSU_BACKUP_METRICS": "m"}
        assert bench.run("backup", STAGING, "gone", **settings).returncode == 3
        before, run, last = told.copy(), lines("jitsu_backup_run_"), lines("jitsu_backup_last_run_")
        failed = lines("jitsu_backup_failed{")
        code, shown = bench.at_terminal("backup", STAGING, "--if-changed", **settings)
        assert code == 0
        assert "not reported to the monitor, because this run was started by hand" in shown
        assert bench.at_terminal("backup", "--all", "--shard", "4/4", **settings)[0] == 2
        assert bench.at_terminal("backup", "--all", "--if-change", **settings)[0] == 2
        assert bench.at_terminal("backup", STAGING, **settings, JITSU_APIKEY="key1:wrong")[0] == 6
        assert (told, lines("jitsu_backup_run_")) == (before, run)
        assert lines("jitsu_backup_last_run_") != last
        assert lines("jitsu_backup_failed{") == failed
        assert bench.at_terminal("backup", "--all", **settings)[0] == 0
    assert [body.partition(":")[0] for _, body in told[len(before) :]] == ["exit code 0"]
    assert lines("jitsu_backup_run_") != run
