"""S3 over HTTP on bad days, and the whole tour on it: one clear line, the right code, nothing lost."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyrage
import pytest

from jitsu_backup.archive import parse_name
from jitsu_backup.errors import AccessError, BackupError, StorageAccessError
from jitsu_backup.events import Event
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from jitsu_backup.store import Store, keep, open_store
from jitsu_backup.store.control import MARKER
from jitsu_backup.store.object_store import RETRY
from tests.asking.kit import long_ago
from tests.s3_server import BUCKET, S3Server, s3_server
from tests.support import OWNER, STAGING, cli, run

ARCHIVE = parse_name("acme.w1.20261123T190000Z.0123456789ab.7_4stream.json.gz")
assert ARCHIVE is not None
NAME = str(ARCHIVE)
PLACE = f"s3://{BUCKET}/jitsu"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as made:
        yield made


@pytest.fixture
def s3(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    server.befall = lambda _number, _method: None
    server.ask("POST", "moto-api/reset")
    server.ask("PUT", BUCKET)
    server.number, server.seen = 0, []
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(RETRY, "max_retries", 1)
    yield server
    server.befall = lambda _number, _method: None


@pytest.fixture
def store(s3: S3Server) -> Store:
    return open_store(PLACE, s3.environment)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ((403, "AccessDenied"), StorageAccessError, "access denied"),
        ((403, "InvalidAccessKeyId"), StorageAccessError, "the access key is unknown"),
        ((403, "SignatureDoesNotMatch"), StorageAccessError, "the secret key is wrong"),
        ((400, "ExpiredToken"), StorageAccessError, "the credentials have expired"),
        ((403, "RequestTimeTooSkewed"), StorageAccessError, "this machine's clock is wrong"),
        ((401, "Whatever"), StorageAccessError, "HTTP 401 Whatever"),
        ((404, "NoSuchBucket"), BackupError, "the bucket does not exist"),
        ((301, "PermanentRedirect"), BackupError, "set AWS_REGION"),
        ((503, "SlowDown"), BackupError, "HTTP 503 SlowDown"),
        ((507, "StorageFull"), BackupError, "HTTP 507 StorageFull"),
    ],
)
def test_a_refusal_is_reported_in_words_with_its_branch_and_without_secrets(
    fault: tuple[int, str], kind: type[BackupError], words: str, store: Store, s3: S3Server
) -> None:
    s3.befall = lambda _number, _method: fault
    jobs: tuple[Callable[[], Any], ...] = (
        store.names, lambda: keep(store, ARCHIVE, b"one"), lambda: store.read(NAME), lambda: store.remove(NAME),
    )  # fmt: skip
    for job in jobs:
        with pytest.raises(BackupError, match=words) as caught:
            run(job())
        assert type(caught.value) is kind
        assert "CANARY" not in str(caught.value)
        assert "\n" not in str(caught.value)
    s3.befall = lambda _number, _method: None
    assert run(store.names()) == []


def test_what_cannot_be_reached_is_reported(monkeypatch: pytest.MonkeyPatch, s3: S3Server) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BackupError, match=f"cannot list the store {PLACE}: cannot be reached"):
        run(open_store(PLACE, {}).names())


def test_without_credentials_it_says_which_to_set(monkeypatch: pytest.MonkeyPatch, s3: S3Server) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(AccessError, match="AWS_ACCESS_KEY_ID"):
        run(open_store(PLACE, {}).names())


@pytest.mark.parametrize("fault", [(501, "NotImplemented"), (405, "MethodNotAllowed")])
def test_a_server_without_conditional_create_is_asked_first_and_that_is_said_once(
    fault: tuple[int, str], s3: S3Server
) -> None:
    told: list[Event] = []
    store = open_store(PLACE, s3.environment, report=told.append)

    def old(environ: Any, start_response: Any, real: Any) -> Any:
        if environ.get("HTTP_IF_NONE_MATCH"):
            start_response(f"{fault[0]} No", [])
            return [f"<Error><Code>{fault[1]}</Code></Error>".encode()]
        return real(environ, start_response)

    s3.befall = lambda _number, _method: old
    assert run(store.create(NAME, b"one")) is True
    assert run(store.create(NAME, b"two")) is False
    assert run(store.read(NAME)) == b"one"
    assert len(told) == 1
    assert "no conditional create" in str(told[0])


def _locked(environ: Any, start_response: Any, real: Any) -> Any:
    """Be a bucket with Object Lock: every PUT needs a checksum."""
    if environ["REQUEST_METHOD"] == "PUT" and not environ.get("HTTP_X_AMZ_CHECKSUM_SHA256"):
        start_response("400 No", [])
        return [b"<Error><Code>InvalidRequest</Code></Error>"]
    return real(environ, start_response)


def test_every_put_carries_a_checksum_as_buckets_with_object_lock_want_it(s3: S3Server) -> None:
    told: list[Event] = []
    store = open_store(PLACE, s3.environment, report=told.append)
    s3.befall = lambda _number, _method: _locked
    run(keep(store, ARCHIVE, b"one"))
    run(store.create(MARKER, b"{}"))
    assert run(store.names()) == [NAME]
    assert told == []


def test_encryption_at_rest_that_the_environment_names_is_asked_for_with_every_put(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def seen(environ: Any, start_response: Any, real: Any) -> Any:
        if environ["REQUEST_METHOD"] == "PUT":
            names = ("", "_AWS_KMS_KEY_ID", "_BUCKET_KEY_ENABLED")
            asked.extend(environ.get(f"HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION{name}", "") for name in names)
        return real(environ, start_response)

    variables = {
        "SERVER_SIDE_ENCRYPTION": "aws:kms",
        "SSE_KMS_KEY_ID": "key",
        "SSE_BUCKET_KEY_ENABLED": "true",
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3.befall = lambda _number, _method: seen
    run(open_store(PLACE, s3.environment).create(NAME, b"one"))
    assert asked == ["aws:kms", "key", "true"]


def test_a_400_is_never_taken_for_no_conditional_create(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Event] = []
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    environment = {**s3.environment, "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required"}
    store = open_store(PLACE, environment, report=told.append)
    s3.befall = lambda _number, _method: _locked
    for _ in range(2):
        with pytest.raises(BackupError, match="HTTP 400 InvalidRequest"):
            run(keep(store, ARCHIVE, b"one"))
    assert told == []
    assert [method for method, _ in s3.seen] == ["PUT", "PUT"]


def test_a_server_that_knows_no_checksums_is_reported_with_the_variable_that_helps(s3: S3Server) -> None:
    def old(environ: Any, start_response: Any, real: Any) -> Any:
        if environ.get("HTTP_X_AMZ_CHECKSUM_SHA256"):
            start_response("400 No", [])
            return [b"<Error><Code>InvalidArgument</Code></Error>"]
        return real(environ, start_response)

    s3.befall = lambda _number, _method: old
    with pytest.raises(BackupError, match="set AWS_REQUEST_CHECKSUM_CALCULATION=when_required"):
        run(keep(open_store(PLACE, s3.environment), ARCHIVE, b"one"))
    without = {**s3.environment, "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required"}
    run(keep(open_store(PLACE, without), ARCHIVE, b"one"))


def test_a_reply_that_is_lost_after_the_server_acted_is_no_failure(store: Store, s3: S3Server) -> None:
    def lost(environ: Any, start_response: Any, real: Any) -> Any:
        list(real(environ, start_response))
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError

    s3.befall = lambda number, _method: lost if number == 1 else None
    run(keep(store, ARCHIVE, b"one"))
    assert run(store.read(NAME)) == b"one"
    assert [method for method, _ in s3.seen].count("PUT") == 2


def test_a_store_that_gives_back_something_else_is_found_out_and_the_name_freed(
    store: Store, s3: S3Server
) -> None:
    def damaged(environ: Any, start_response: Any, real: Any) -> Any:
        return [b"".join(real(environ, start_response)).replace(b"one", b"0ne")]

    s3.befall = lambda _number, method: damaged if method == "GET" else None
    with pytest.raises(BackupError, match="returned other data than was written"):
        run(keep(store, ARCHIVE, b"one"))
    s3.befall = lambda _number, _method: None
    assert run(store.names()) == []


@pytest.mark.parametrize("removable", [True, False])
def test_an_archive_that_cannot_be_read_back_is_removed_again_or_said_to_be_unverified(
    removable: bool, store: Store, s3: S3Server
) -> None:
    def kept_from(method: str) -> Any:
        refused = ("GET", "HEAD") if removable else ("GET", "HEAD", "POST", "DELETE")
        return (403, "AccessDenied") if method in refused else None

    s3.befall = lambda _number, method: kept_from(method)
    with pytest.raises(AccessError, match=f"cannot read {NAME} in .*: access denied; {NAME} ") as caught:
        run(keep(store, ARCHIVE, b"one"))
    s3.befall = lambda _number, _method: None
    if removable:
        assert str(caught.value).endswith("was removed")
        assert run(store.names()) == []
    else:
        assert "stays unverified, because it could not be removed: " in str(caught.value)
        assert str(caught.value).endswith("access denied; remove it")
        assert run(store.names()) == [NAME]


def test_an_archive_that_was_there_and_cannot_be_read_is_not_removed(store: Store, s3: S3Server) -> None:
    run(keep(store, ARCHIVE, b"one"))
    s3.befall = lambda _number, method: (403, "AccessDenied") if method == "GET" else None
    with pytest.raises(AccessError, match=f"{NAME} already existed and stays unverified"):
        run(keep(store, ARCHIVE, b"one"))
    s3.befall = lambda _number, _method: None
    assert run(store.names()) == [NAME]


def test_what_could_not_be_read_back_is_not_called_unchanged_by_the_next_run(
    s3: S3Server, tmp_path: Path
) -> None:
    state = default_state()
    example_workspace(state, STAGING)

    def unreadable(environ: Any, start_response: Any, real: Any) -> Any:
        if environ["REQUEST_METHOD"] == "GET" and "list-type" not in environ["QUERY_STRING"]:
            start_response("403 No", [])
            return [b"<Error><Code>AccessDenied</Code></Error>"]
        return real(environ, start_response)

    s3.befall = lambda _number, _method: unreadable
    with running(Sandbox(state, rate_limit=False)) as host:
        env = {"JITSU_HOST": host, "JITSU_APIKEY": OWNER, "JITSU_BACKUP_STORE": PLACE, **s3.environment}
        arguments = ("backup", "acme-staging", "--if-changed", "--new-store")
        runs = [cli(*arguments, env=env, cwd=tmp_path) for _ in range(2)]
    assert [done.returncode for done in runs] == [6, 6]
    assert all("was removed" in done.stderr for done in runs)


def test_what_is_unchanged_is_asked_about_there_too(s3: S3Server, tmp_path: Path) -> None:
    state = default_state()
    example_workspace(state, STAGING)
    long_ago(state)
    with running(Sandbox(state, rate_limit=False)) as host:
        env = {"JITSU_HOST": host, "JITSU_APIKEY": OWNER, "JITSU_BACKUP_STORE": PLACE, **s3.environment}
        arguments = ("backup", "acme-staging", "--if-changed", "--new-store")
        first, again = (cli(*arguments, env=env, cwd=tmp_path) for _ in range(2))
    assert (first.returncode, again.returncode) == (0, 0)
    assert "not read again" in again.stdout


def test_what_is_foreign_in_the_bucket_is_left_alone(store: Store, s3: S3Server) -> None:
    foreign = ("jitsu/notes.txt", f"jitsu/sub/{NAME}", f"jitsu-other/{NAME}", NAME, "jitsu/strange%20name~")
    for name in foreign:
        s3.ask("PUT", f"{BUCKET}/{name}", b"x")
    run(keep(store, ARCHIVE, b"one"))
    assert run(store.names()) == [NAME]
    run(store.remove(NAME))
    listed = s3.ask("GET", f"{BUCKET}?list-type=2").decode()
    assert all(name.replace("%20", " ") in listed for name in foreign)


def test_listing_asks_for_lists_only_and_once_a_thousand_names(store: Store, s3: S3Server) -> None:
    for number in range(1100):
        s3.ask("PUT", f"{BUCKET}/jitsu/acme.w1.20261123T190000Z.{number:012x}.json.gz", b"x")
    s3.seen.clear()
    assert len(run(store.names())) == 1100
    assert s3.seen == [("GET", f"/{BUCKET}")] * 2


def test_ctrl_c_is_heard_while_a_store_hangs(s3: S3Server, tmp_path: Path) -> None:
    reached, over = threading.Event(), threading.Event()

    def hangs(environ: Any, start_response: Any, real: Any) -> Any:
        reached.set()
        over.wait(60)
        return real(environ, start_response)

    s3.befall = lambda _number, _method: hangs
    process = subprocess.Popen(
        [sys.executable, "-m", "jitsu_backup", "--store", PLACE, "snapshots"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"PATH": "/bin", **s3.environment},
    )  # fmt: skip
    try:
        assert reached.wait(30)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=50)
        assert process.returncode == 130
        assert err.strip() == "jitsu-backup: interrupted"
        assert time.monotonic() - began < 20  # and not after the minutes for which a store may be silent
    finally:
        over.set()


def test_the_tour_on_s3_backup_list_show_restore_verify_prune(s3: S3Server, tmp_path: Path) -> None:
    state = default_state()
    example_workspace(state, STAGING)
    key = pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(str(key))
    with running(Sandbox(state, rate_limit=False)) as host:
        env = {
            "JITSU_HOST": host, "JITSU_APIKEY": OWNER, "JITSU_BACKUP_STORE": PLACE, "JITSU_BACKUP_ENCRYPT_TO": str(key.to_public()),
            "JITSU_BACKUP_IDENTITY": str(tmp_path / "key"),
            **s3.environment,
        }  # fmt: skip

        def ask(*arguments: str) -> Any:
            return cli(*arguments, env=env, cwd=tmp_path)

        first = ask("--json", "backup", "acme-staging", "--label", "first", "--new-store")
        assert first.returncode == 0, first.stderr
        where = json.loads(first.stdout)["snapshots"][0]["archive"]
        assert where.startswith(f"{PLACE}/acme-staging.{STAGING}.")
        assert ask("show", where).returncode == 0  # an archive's own URL is a SNAPSHOT too
        unchanged = ask("backup", "acme-staging", "--if-changed")
        assert "unchanged" in unchanged.stdout
        state.objects["enrich-0001"].config["code"] = "broken"
        rolled = ask("restore", "latest", "--yes")
        assert rolled.returncode == 0, rolled.stderr
        assert state.objects["enrich-0001"].config["code"] != "broken"
        listed = json.loads(ask("--json", "snapshots").stdout)
        assert listed["store"] == PLACE
        marks = [set(line["marks"]) for line in listed["snapshots"]]
        (key,) = marks[1] & marks[2]
        assert [
            {mark for mark in own if mark != key and not mark.startswith(("from-", "after-"))}
            for own in marks
        ] == [
            {"cloned"},  # what the restore has left
            {"pre-restore"},
            {"first"},
        ]
        assert ask("verify", "--all").returncode == 0
        assert ask("backup", "acme-staging").returncode == 0
        pruned = ask("prune", "--keep-last", "1", "--keep-pre-restore", "0h", "--keep-label", "another")
        assert pruned.returncode == 0
        assert "1 kept, 3 removed" in pruned.stdout  # what a restore in place left goes with its backup
        output = [p.stdout + p.stderr for p in (first, unchanged, rolled, pruned)]
    assert not any("CANARY" in text for text in output)
    assert [path.name for path in tmp_path.iterdir()] == ["key"]  # nothing stays on this machine
    creates = [path for method, path in s3.seen if method == "PUT"]
    assert (
        len(creates) == len(set(creates)) == 8
    )  # four archives, the marker, the reading, and the note and the lease while it wrote


def test_a_store_that_may_be_written_but_not_listed_gets_the_backup_and_code_3(
    s3: S3Server, tmp_path: Path
) -> None:
    state = default_state()
    example_workspace(state, STAGING)

    def no_lists(environ: Any, start_response: Any, real: Any) -> Any:
        if "list-type" in environ["QUERY_STRING"]:
            start_response("403 No", [])
            return [b"<Error><Code>AccessDenied</Code></Error>"]
        return real(environ, start_response)

    s3.befall = lambda _number, _method: no_lists
    with running(Sandbox(state, rate_limit=False)) as host:
        env = {"JITSU_HOST": host, "JITSU_APIKEY": OWNER, "JITSU_BACKUP_STORE": PLACE, **s3.environment}
        done = cli("backup", "acme-staging", env=env, cwd=tmp_path)
        assert done.returncode == 3
        assert "nothing was compared with the existing archives: cannot list the store" in done.stderr
        assert "access denied" in done.stderr
        s3.befall = lambda _number, _method: None
        (line,) = json.loads(cli("--json", "snapshots", env=env, cwd=tmp_path).stdout)["snapshots"]
        assert line["marks"] == ["uncompared"]  # so no later alarm takes it for the state of before
        s3.befall = lambda _number, _method: no_lists
        without = cli("backup", "acme-staging", "--shrink-alarm", "1", env=env, cwd=tmp_path)
        assert (without.returncode, without.stderr) == (0, "reading acme-staging ...\n")
        listed = cli("snapshots", env=env, cwd=tmp_path)
        assert listed.returncode == 6
    assert [method for method, _ in s3.seen].count("PUT") == 2


def test_a_store_in_which_nothing_may_be_deleted_takes_backups_and_restores_and_prune_says_so(
    s3: S3Server, tmp_path: Path
) -> None:
    state = default_state()
    example_workspace(state, STAGING)

    def kept(_number: int, method: str) -> Any:
        return (403, "AccessDenied") if method in ("DELETE", "POST") else None  # one, and several

    s3.befall = kept
    with running(Sandbox(state, rate_limit=False)) as host:
        env = {"JITSU_HOST": host, "JITSU_APIKEY": OWNER, "JITSU_BACKUP_STORE": PLACE, **s3.environment}

        def ask(*arguments: str) -> Any:
            return cli(*arguments, env=env, cwd=tmp_path)

        assert ask("backup", "acme-staging", "--new-store").returncode == 0
        state.objects["enrich-0001"].config["code"] = "broken"
        restored = ask("restore", "latest", "--yes")
        assert restored.returncode == 0, restored.stderr
        state.objects["enrich-0001"].config["code"] = "one more"
        assert ask("backup", "acme-staging").returncode == 0
        pruned = ask("prune", "--keep-last", "1", "--keep-pre-restore", "0h")
        assert pruned.returncode == 6, pruned.stdout
        assert "access denied" in pruned.stderr
        assert (
            len(json.loads(ask("--json", "snapshots").stdout)["snapshots"]) == 5
        )  # with the note of the run


def test_in_a_versioned_bucket_what_was_removed_is_gone_and_its_name_is_free_again(
    store: Store, s3: S3Server
) -> None:
    s3.ask(
        "PUT",
        f"{BUCKET}?versioning",
        b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    )
    run(keep(store, ARCHIVE, b"one"))
    run(store.remove(NAME))
    assert run(store.names()) == []
    assert run(store.create(NAME, b"two"))
    assert run(store.read(NAME)) == b"two"
    assert not run(store.create(NAME, b"three"))
