"""Bad input and bad days: one clear line, the right exit code, no traceback, nothing half-written."""

import contextlib
import gzip
import http.server
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import decode, encode, parse_name
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from tests.advice import last_message
from tests.faults import Call, Faults
from tests.serving import serving
from tests.support import (
    ANALYST,
    OWNER,
    PRODUCTION,
    STAGING,
    cli,
    console_of,
    example_sandbox,
    read,
    run,
    writes,
)


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    state = default_state()
    example_workspace(state, STAGING)
    state.add_workspace("cother0000000000000000003", "Other", "other-co", {})
    return Sandbox(state, rate_limit=False)


@pytest.fixture(scope="module")
def url(sandbox: Sandbox) -> Iterator[str]:
    with running(sandbox) as url:
        yield url


@pytest.fixture(scope="module")
def archive() -> bytes:
    return encode(run(read(console_of(example_sandbox()), "acme-staging")))


def refused(done: Any, code: int, *words: str) -> None:
    """Assert one clear line, with the usage or a command to run below it, the code, and no traceback."""
    assert done.returncode == code, (done.returncode, done.stderr, done.stdout)
    assert "Traceback" not in done.stderr
    last, *below = last_message(done.stderr).splitlines()
    assert last.startswith("jitsu-backup: "), done.stderr
    assert all(line.startswith(("  ", "Usage: ", "List the options")) for line in below), done.stderr
    for word in words:
        assert word.lower() in last.lower(), last


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("key1:wrong-secret", ("invalid api key",)),
        ("nobody:secret", ("invalid api key",)),
        ("not-a-pair", ("keyId:keySecret",)),
        ("key1:", ("keyId:keySecret",)),
    ],
)
def test_a_wrong_or_malformed_key_is_code_6(
    url: str, tmp_path: Path, key: str, words: tuple[str, ...]
) -> None:
    done = cli("backup", "acme-staging", env={"JITSU_HOST": url, "JITSU_APIKEY": key}, cwd=tmp_path)
    refused(done, 6, *words)
    assert key not in done.stderr
    assert not list(tmp_path.iterdir())


def test_no_key_at_all_is_code_2_and_says_where_to_put_one(url: str, tmp_path: Path) -> None:
    refused(cli("backup", "acme-staging", env={"JITSU_HOST": url}, cwd=tmp_path), 2, "JITSU_APIKEY")


def test_a_key_without_access_is_code_6(url: str, tmp_path: Path) -> None:
    for place in ("other-co", "cother0000000000000000003"):
        done = cli("backup", place, env={"JITSU_HOST": url, "JITSU_APIKEY": OWNER}, cwd=tmp_path)
        refused(done, 6, "access")


def test_an_unknown_workspace_is_named(url: str, tmp_path: Path) -> None:
    done = cli("backup", "never-heard-of", env={"JITSU_HOST": url, "JITSU_APIKEY": OWNER}, cwd=tmp_path)
    refused(done, 1, "never-heard-of")
    assert not list(tmp_path.iterdir())


def test_an_analyst_cannot_restore_and_nothing_changes(
    url: str, sandbox: Sandbox, tmp_path: Path, archive: bytes
) -> None:
    (tmp_path / "a.json.gz").write_bytes(archive)
    sandbox.requests.clear()
    done = cli(
        "restore", "a.json.gz", "--into", "acme-production", "--yes", "--allow-missing-secrets",
        env={"JITSU_HOST": url, "JITSU_APIKEY": ANALYST}, cwd=tmp_path,
    )  # fmt: skip
    refused(done, 6, "permission")
    assert all(r.status != 200 for r in sandbox.requests if r.method != "GET")


@contextlib.contextmanager
def answering(reply: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}"


def page(status: int, text: str, **headers: str) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Type": "text/html", **headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text.encode())

    return reply


def cut(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"id": "cacmest')


def slow(_handler: http.server.BaseHTTPRequestHandler) -> None:
    time.sleep(1.2)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (page(200, "<html><body>Welcome to nginx</body></html>"), ("web page",)),
        (
            page(302, "", Location="https://sso.example/login?next=x"),
            ("redirects to https://sso.example/login",),
        ),
        (page(502, "<html>Bad Gateway</html>"), ("502",)),
        (page(404, "<html>Not here</html>"), ()),
        (page(200, '{"hello": "world"}', **{"Content-Type": "application/json"}), ("jitsu",)),
        (cut, ("connection",)),
        (slow, ("no reply in time",)),
    ],
    ids=[
        "a web page",
        "a login",
        "a proxy's 502",
        "a 404 page",
        "some other JSON",
        "a cut reply",
        "a slow host",
    ],
)
def test_what_is_no_jitsu_console_is_code_1(reply: Any, words: tuple[str, ...], tmp_path: Path) -> None:
    with answering(reply) as host:
        done = cli(
            "--timeout", "0.5", "backup", "x", env={"JITSU_HOST": host, "JITSU_APIKEY": OWNER}, cwd=tmp_path
        )
    refused(done, 1, *words)
    assert not list(tmp_path.iterdir())


def test_an_unreachable_host_is_code_1(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{free.getsockname()[1]}"
    done = cli("backup", "x", env={"JITSU_HOST": host, "JITSU_APIKEY": OWNER}, cwd=tmp_path)
    refused(done, 1, "cannot be reached")


@pytest.mark.parametrize("host", ["ftp://x", "http://", "http://user:pw@x", "http://x:port"])
def test_a_host_that_is_no_address_is_code_2(host: str, tmp_path: Path) -> None:
    done = cli("backup", "x", env={"JITSU_HOST": host, "JITSU_APIKEY": OWNER}, cwd=tmp_path)
    refused(done, 2, "host")
    assert "pw" not in done.stderr


def damaged(archive: bytes) -> dict[str, tuple[bytes, str]]:
    document = json.loads(gzip.decompress(archive))
    flipped = bytearray(archive)
    flipped[len(flipped) // 2] ^= 0x10
    edited = json.loads(gzip.decompress(archive))
    edited["content"]["entities"]["function"][0]["name"] = "Forged"
    twice = gzip.decompress(archive).replace(b'"version":1', b'"version":1,"version":1')
    return {
        "empty": (b"", "empty"),
        "cut": (archive[: len(archive) // 2], "truncated"),
        "flipped": (bytes(flipped), "damaged"),
        "not gzip": (b"hello", "not gzipped"),
        "not JSON": (gzip.compress(b"{nope"), "not JSON"),
        "of another tool": (gzip.compress(b'{"a": 1}'), "not an archive"),
        "format 99": (gzip.compress(json.dumps({**document, "version": 99}).encode()), "newer jitsu-backup"),
        "a bomb": (gzip.compress(b"\0" * (300 * 2**20), 1), "unpacks to more"),
        "edited": (gzip.compress(json.dumps(edited).encode()), "digest"),
        "a key twice": (gzip.compress(twice), "twice"),
        "with a tail": (archive + b"x", "after its end"),
    }


def test_a_bad_archive_is_code_5_and_the_target_is_not_touched(
    url: str, sandbox: Sandbox, archive: bytes, tmp_path: Path
) -> None:
    for what, (data, word) in damaged(archive).items():
        path = tmp_path / "bad.json.gz"
        path.write_bytes(data)
        sandbox.requests.clear()
        for command in (
            ("verify", "bad.json.gz"),
            ("restore", "bad.json.gz", "--into", "acme-production", "--yes"),
        ):
            done = cli(*command, env={"JITSU_HOST": url, "JITSU_APIKEY": OWNER}, cwd=tmp_path)
            assert done.returncode == 5, (what, done)
            refused(done, 5, word)
        assert sandbox.requests == []


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    refused(cli("verify", "no.json.gz", cwd=tmp_path), 1, "no.json.gz")
    refused(cli("show", "latest", cwd=tmp_path), 1, "store")
    refused(cli("show", "nonsense!", cwd=tmp_path), 1)


def test_an_output_that_cannot_be_written_is_code_1_and_leaves_nothing(url: str, tmp_path: Path) -> None:
    env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
    (tmp_path / "file").write_text("x")
    refused(cli("--store", "file/store", "backup", "acme-staging", env=env, cwd=tmp_path), 1, "file/store")
    refused(
        cli("backup", "acme-staging", "--output", "none/a.json.gz", env=env, cwd=tmp_path),
        1,
        "none/a.json.gz",
    )
    refused(cli("--store", "ftp://bucket", "backup", "acme-staging", env=env, cwd=tmp_path), 2, "folder")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_code_1_and_leaves_nothing(url: str, tmp_path: Path) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))

    env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER, "PYTHONDONTWRITEBYTECODE": "1"}
    done = cli("backup", "acme-staging", env=env, cwd=tmp_path, preexec_fn=limit)
    refused(done, 1, "cannot write")
    assert list((tmp_path / "jitsu-backups").iterdir()) == []


def test_without_a_terminal_nothing_is_written_unless_told(
    url: str, sandbox: Sandbox, archive: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a.json.gz").write_bytes(archive)
    sandbox.requests.clear()
    command = ("restore", "a.json.gz", "--into", "acme-production", "--allow-missing-secrets")
    env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
    refused(cli(*command, env=env, cwd=tmp_path), 2, "--yes")
    assert cli(*command, "--dry-run", env=env, cwd=tmp_path).returncode == 3
    assert writes(sandbox) == 0


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("not = toml = at all", "not TOML"),
        ('["destination/Nowhere"]\nhost = "x"', "Nowhere"),
        ('"destination/Warehouse" = 3', "table"),
        ('["destination/Warehouse"]\npassword = {env = "NOT_SET"}', "NOT_SET"),
        ('["destination/Warehouse"]\npassword = {file = "gone"}', "gone"),
        ('["destination/Warehouse"]\nid = "x"', "id"),
    ],
)
def test_a_bad_overlay_is_code_2_and_named(
    url: str, archive: bytes, tmp_path: Path, text: str, word: str
) -> None:
    (tmp_path / "a.json.gz").write_bytes(archive)
    (tmp_path / "o.toml").write_text(text)
    done = cli(
        "restore", "a.json.gz", "--into", "acme-production", "--overlay", "o.toml", "--yes",
        env={"JITSU_HOST": url, "JITSU_APIKEY": OWNER}, cwd=tmp_path,
    )  # fmt: skip
    refused(done, 2, word)


def test_a_keys_file_that_is_something_else_is_not_overwritten(
    url: str, sandbox: Sandbox, archive: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a.json.gz").write_bytes(archive)
    (tmp_path / "keys.json").write_text("precious")
    sandbox.requests.clear()
    done = cli(
        "restore", "a.json.gz", "--into", "acme-production", "--allow-missing-secrets", "--yes", "--keys-out", "keys.json",
        env={"JITSU_HOST": url, "JITSU_APIKEY": OWNER}, cwd=tmp_path,
    )  # fmt: skip
    refused(done, 2, "keys.json")
    assert (tmp_path / "keys.json").read_text() == "precious"
    assert writes(sandbox) == 0


def test_rolling_back_on_another_console_than_the_snapshots_is_code_2(url: str, tmp_path: Path) -> None:
    env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
    assert cli("backup", "acme-staging", env=env, cwd=tmp_path).returncode == 0
    elsewhere = {**env, "JITSU_HOST": "http://127.0.0.1:9"}
    refused(cli("restore", "latest", "--yes", env=elsewhere, cwd=tmp_path), 2, "came from", "--into")


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_ctrl_c_is_code_130_without_a_traceback_and_leaves_nothing_half_written(
    command: str, archive: bytes, tmp_path: Path
) -> None:
    state = default_state()
    example_workspace(state, STAGING)
    sandbox = Sandbox(state, rate_limit=False)
    reached, ended = threading.Event(), threading.Event()

    def choose(call: Call) -> None:
        if not ended.is_set() and (command == "backup" or call.method != "GET"):
            reached.set()
            time.sleep(0.3)

    (tmp_path / "a.json.gz").write_bytes(archive)
    arguments = ["backup", "acme-staging"]
    if command == "restore":
        arguments = [
            "restore",
            "a.json.gz",
            "--into",
            "acme-production",
            "--yes",
            "--allow-missing-secrets",
            "--keys-out",
            "k.json",
        ]
    with Faults(sandbox.app, choose).running() as url:
        process = subprocess.Popen(
            [sys.executable, "-m", "jitsu_backup", *arguments],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "JITSU_HOST": url, "JITSU_APIKEY": OWNER},
        )  # fmt: skip
        assert reached.wait(30)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        ended.set()
        store = tmp_path / "jitsu-backups"
        left = sorted(path.name for path in store.iterdir()) if store.is_dir() else []
        for name in filter(parse_name, left):
            decode((store / name).read_bytes())
        if command == "restore":
            _, _, way_back = out.rpartition("To undo this run:\n  jitsu-backup ")
            undone = cli(
                *way_back.split(), "--yes", env={"JITSU_HOST": url, "JITSU_APIKEY": OWNER}, cwd=tmp_path
            )
            assert (undone.returncode, "did not end" in undone.stderr) == (0, True), (way_back, undone.stderr)
            assert not [
                one for one in state.objects.values() if one.workspace_id == PRODUCTION and not one.deleted
            ]
    assert process.returncode == 130, (out, err)
    assert "Traceback" not in err
    assert "interrupted" in err
    archives = {name: parse_name(name) for name in left if parse_name(name) is not None}
    # what was there, and what the run was about to leave, for `undo` and for the next clone; the lease was given back
    assert sorted(one.marks[0] for one in archives.values() if one) == (
        [] if command == "backup" else ["cloning", "cloning", "pre-restore"]
    )
    assert [name for name in left if name not in archives] == (
        [] if command == "backup" else ["jitsu-backup-store.json"]
    )


def test_a_workspaces_own_texts_cannot_command_the_terminal(tmp_path: Path) -> None:
    state = default_state()
    example_workspace(state, STAGING)
    state.objects["enrich-0001"].config["name"] = "\x1b[31m\x07evil\r\n"
    (tmp_path / "o.toml").write_text('["function/enrich-0001"]\nkind = "no such kind"\n')
    with running(Sandbox(state, rate_limit=False)) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
        into = ("restore", "latest", "--into", "acme-production", "--yes", "--allow-missing-secrets")
        for command in (("backup", "acme-staging"), ("show", "latest", "*"), (*into, "--overlay", "o.toml")):
            done = cli(*command, env=env, cwd=tmp_path)
            assert not any(c in done.stdout + done.stderr for c in "\x1b\x07\r"), command
        assert "evil" in done.stdout
