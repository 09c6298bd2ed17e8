"""An archive as a folder fit for Git, by the command line: what changed shows, nothing is lost, nothing leaves it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import archive_name, decode, digest, encode, from_tree, to_tree
from jitsu_backup.errors import BackupError
from jitsu_backup.model import Snapshot
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from jitsu_backup.store import read_tree, write_tree
from jitsu_backup.store.files import TEMPORARY
from jitsu_backup.store.tree_folder import UNFINISHED
from tests import every
from tests.faults import Faults
from tests.support import STAGING, cli, console_of, example_sandbox, make_snapshot, read, run
from tests.test_bad_input import refused
from tests.unattended.workbench import Bench
from tests.zygote import Zygote, zygote

PASSPHRASE = {"JITSU_BACKUP_PASSPHRASE": "correct horse"}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    state = default_state()
    example_workspace(state, STAGING)
    with running(Sandbox(state, rate_limit=False)) as url:
        yield Bench(state, url, tmp_path)


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    found: Snapshot = run(read(console_of(example_sandbox()), "acme-staging"))
    return found


@pytest.fixture
def place(snapshot: Snapshot, tmp_path: Path) -> Path:
    """A folder with the archive `a.json.gz` and the tree `tree`."""
    (tmp_path / "a.json.gz").write_bytes(encode(snapshot))
    assert cli("unpack", "a.json.gz", "tree", cwd=tmp_path).returncode == 0
    return tmp_path


def files_of(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Everything in a folder: its bytes, which file it is, and when it was last touched."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and ".git" not in path.relative_to(folder).parts:
            state = path.stat()
            found[str(path.relative_to(folder))] = path.read_bytes(), state.st_ino, state.st_mtime_ns
    return found


def one(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


# -- there and back ----------------------------------------------------------------


def test_unpacked_and_packed_the_archive_is_the_same(place: Path, snapshot: Snapshot) -> None:
    done = cli("pack", "tree", "--output", "b.json.gz", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert (place / "b.json.gz").read_bytes() == (place / "a.json.gz").read_bytes()
    assert f"21 entities, complete, {(place / 'b.json.gz').stat().st_size:,} bytes" in done.stdout
    report = json.loads(cli("--json", "pack", "tree", cwd=place).stdout)
    assert report["digest"] == digest(snapshot)
    packed = archive_name(snapshot, ("packed",), size=(place / "b.json.gz").stat().st_size)
    assert report["archive"] == f"jitsu-backups/{packed}"
    again = cli("pack", "tree", cwd=place)
    assert "already in the store" in again.stdout
    assert cli("verify", digest(snapshot)[:12], cwd=place).returncode == 0


def test_files_and_folders_are_their_owners_only_and_the_secrets_in_them_are_reported(place: Path) -> None:
    for path in [place / "tree", *(place / "tree").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    done = cli("unpack", "a.json.gz", "other", cwd=place)
    assert "warning: other contains secrets in plain text" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert re.fullmatch(r"other: \d\d files written, 0 removed, 0 unchanged\n", done.stdout)


def test_an_edited_folder_packs_and_is_what_a_restore_then_plans(place: Path, snapshot: Snapshot) -> None:
    tree = place / "tree"
    one(tree, "function/enrich-*.js").write_text("export default e => null")
    (tree / "stream" / "new.json").write_text('{"id": "new-stream", "name": "New"}')
    one(tree, "link/mobile-app--*").unlink()
    report = json.loads(cli("--json", "pack", "tree", cwd=place).stdout)
    assert report["digest"] != digest(snapshot)
    assert (report["counts"]["stream"], report["counts"]["link"]) == (4, 4)
    packed = decode(next((place / "jitsu-backups").glob("*.gz")).read_bytes())
    assert digest(packed) == report["digest"]
    assert any(e.body.get("code") == "export default e => null" for e in packed.entities)
    sync = next(link for link in snapshot.cursors)
    next(path for path in tree.glob("link/*.json") if json.loads(path.read_bytes())["id"] == sync).unlink()
    done = cli("pack", "tree", "--output", "c.json.gz", cwd=place)
    assert done.returncode == 0
    assert "cursors.json refers to 1" in done.stderr


def test_a_merge_that_was_not_finished_is_reported(place: Path) -> None:
    (code,) = (place / "tree" / "function").glob("enrich-*.js")
    code.write_text("<<<<<<< HEAD\none\n=======\ntwo\n>>>>>>> theirs\n")
    done = cli("pack", "tree", "--output", "b.json.gz", cwd=place)
    assert done.returncode == 3
    assert f"function/{code.name} contains conflict markers of an unfinished merge" in done.stderr


def test_packing_encrypts_as_a_backup_does(place: Path) -> None:
    done = cli("pack", "tree", env=PASSPHRASE, cwd=place)
    assert done.returncode == 0, done.stderr
    (archive,) = (place / "jitsu-backups").glob("*.age")
    assert archive.name.endswith(".age")
    assert cli("verify", archive.name.split(".")[3], env=PASSPHRASE, cwd=place).returncode == 0
    assert cli("verify", "latest", env=PASSPHRASE, cwd=place).returncode == 1  # that is no backup
    assert "already in the store" in cli("pack", "tree", env=PASSPHRASE, cwd=place).stdout
    wrong = cli("pack", "tree", "--encrypt-to", "age1nobody", cwd=place)
    refused(wrong, 2, "recipient")


def test_what_the_token_read_is_unpacked_only_where_that_is_said(bench: Bench) -> None:
    token = ("--admin-token", f"service:{bench.state.admin_secret}")
    backed_up = bench.run("backup", "acme-staging", *token, "--unpack", "tree", **PASSPHRASE)
    refused(backed_up, 2, "--plaintext-secrets", "--redact")
    assert bench.run("backup", "acme-staging", *token, **PASSPHRASE).returncode == 0
    refused(bench.run("unpack", "latest", "tree", **PASSPHRASE), 2, "--plaintext-secrets", "--redact")
    assert not (bench.folder / "tree").exists()
    assert bench.run("unpack", "latest", "tree", "--plaintext-secrets", **PASSPHRASE).returncode == 0
    assert b"pg-secret" in (bench.folder / "tree" / "secrets.json").read_bytes()
    packed = json.loads(bench.run("--json", "pack", "tree", **PASSPHRASE).stdout)
    assert packed["id"] == bench.archives[0].digest_prefix
    assert bench.run("unpack", "latest", "hidden", "--redact", **PASSPHRASE).returncode == 0
    assert not (bench.folder / "hidden" / "secrets.json").exists()


# -- the Git job -------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_commit_shows_the_one_function_that_changed(bench: Bench) -> None:
    folder = bench.folder / "workspace"
    folder.mkdir()

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@t.example", "-c", "core.autocrlf=true")
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=60,
            env={"PATH": os.environ["PATH"], "HOME": str(bench.folder), "GIT_CONFIG_NOSYSTEM": "1"},
        )  # fmt: skip
        return done.stdout

    def job() -> None:
        done = bench.run("-q", "backup", "acme-staging", "--if-changed", "--unpack", "workspace")
        assert (done.returncode, done.stderr) == (0, "")

    bench.state.objects["filter-0001"].config["code"] = "first\r\nsecond\r\n"
    git("init", "-q")
    job()
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    job()
    assert git("status", "--porcelain") == ""
    bench.state.objects["enrich-0001"].config["code"] += "\n// one line more"
    job()
    changed = {re.sub(r"-\w{6}\.", ".", path) for path in git("diff", "--name-only").split()}
    assert changed - {"run.json"} == {"function/enrich.js"}  # where both were in one second, so is its time
    assert "1 file changed, 2 insertions(+), 1 deletion(-)" in git("diff", "--stat", "--", "function")
    git("commit", "-q", "-a", "-m", "second")
    shutil.rmtree(folder / "function")
    git("checkout", "--", ".")  # as another machine would, with its own idea of the ends of lines
    packed = json.loads(bench.run("--json", "pack", "workspace").stdout)
    assert packed["id"] == bench.archives[-1].digest_prefix


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_job_on_the_page_runs_as_written(bench: Bench) -> None:
    page = (Path(__file__).parents[1] / "docs" / "git.md").read_text(encoding="utf-8")
    clone, job = re.findall(r"```sh\n(git clone .*?|#!/bin/sh\n.*?)```", page, re.DOTALL)
    remote, folder = bench.folder / "remote.git", bench.folder / "lib"
    folder.mkdir()
    clone = clone.replace("git@git.example.com:acme/jitsu-workspace.git", str(remote))
    author = {
        f"GIT_{who}_{what}": "t@t.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**bench.env, **author, "PATH": path, "HOME": str(bench.folder), "GIT_CONFIG_NOSYSTEM": "1"}

    def sh(text: str) -> str:
        text = text.replace("/var/lib/jitsu-backup", str(folder)).replace("acme-production", "acme-staging")
        done = subprocess.run(
            ["sh", "-c", text], env=env, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    sh(f"git init -q --bare {remote}")
    sh(clone)
    sh("cd /var/lib/jitsu-backup/workspace && git config push.default current")
    for _ in range(2):
        assert sh(job) == ""
    bench.state.objects["enrich-0001"].config["code"] = "changed"
    assert sh(job) == ""
    log = sh(f"git --git-dir {remote} log -p --all")
    assert log.count("    Workspace as of 20") == 2
    assert "+changed" in log
    for secret in ("hook-secret", "env-secret", "slack-secret", "mongo-secret", "js.classic.key"):
        assert secret not in log


def test_where_nothing_changed_no_file_is_touched_and_where_something_did_only_that(bench: Bench) -> None:
    bench.run("backup", "acme-staging", "--unpack", "tree")
    folder = bench.folder / "tree"
    before = files_of(folder)
    bench.an_hour_passes()
    again = bench.run("--json", "backup", "acme-staging", "--unpack", "tree")
    report = json.loads(again.stdout)["unpacked"]
    assert (report["written"], report["removed"], report["unchanged"]) == ([], [], len(before) - 1)
    assert files_of(folder) == before
    bench.state.objects["warehouse-0001"].config["host"] = "elsewhere"
    bench.state.objects["filter-0001"].deleted = True
    bench.state.objects["enrich-0001"].config["name"] = "Renamed"
    report = json.loads(bench.run("--json", "backup", "acme-staging", "--unpack", "tree").stdout)["unpacked"]
    after = files_of(folder)
    assert {path for path in after if after[path] != before.get(path)} == set(report["written"])
    assert before.keys() - after.keys() == set(report["removed"])
    assert [re.sub(r"-\w{6}\.", ".", path) for path in report["removed"]] == [
        "function/enrich.js", "function/only-known-users.js", "function/enrich.json", "function/only-known-users.json",
    ]  # fmt: skip
    assert digest(from_tree(read_tree(folder))).startswith(bench.archives[-1].digest_prefix)


def test_an_unchanged_backup_still_mends_the_folder(bench: Bench) -> None:
    bench.run("backup", "acme-staging", "--unpack", "tree")
    lost = one(bench.folder / "tree", "function/enrich-*.js")
    before = lost.read_bytes()
    lost.unlink()
    done = bench.run("backup", "acme-staging", "--if-changed", "--unpack", "tree")
    assert "unchanged since" in done.stdout
    assert lost.read_bytes() == before


def test_an_incomplete_snapshot_leaves_the_folder_as_it_is_and_ends_with_3(tmp_path: Path) -> None:
    state = default_state()
    example_workspace(state, STAGING)
    sandbox = Sandbox(state, rate_limit=False)
    real = sandbox.app
    refusing = Faults(real, lambda _: None)
    with refusing.running() as url:
        bench = Bench(state, url, tmp_path)
        assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
        before = files_of(tmp_path / "tree")

        async def forbidding(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"].endswith("/config/destination"):
                await send({"type": "http.response.start", "status": 403, "headers": []})
                await send({"type": "http.response.body", "body": b"{}"})
            else:
                await real(scope, receive, send)

        refusing.app = forbidding
        done = bench.run("backup", "acme-staging", "--unpack", "tree")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "the folder is not up to date: tree: the snapshot is incomplete" in done.stderr
    assert files_of(tmp_path / "tree") == before


def test_a_folder_that_cannot_be_written_takes_no_backup_away(bench: Bench) -> None:
    (bench.folder / "mine").mkdir()
    (bench.folder / "mine" / "thesis.txt").write_text("mine")
    done = bench.run("backup", "acme-staging", "--unpack", "mine")
    assert done.returncode == 3
    assert "the folder is not up to date: mine is neither empty nor" in done.stderr
    assert len(bench.archives) == 1
    assert os.listdir(bench.folder / "mine") == ["thesis.txt"]  # noqa: PTH208
    log = json.loads(bench.run("backup", "acme-staging", "--unpack", "mine", "--log-format", "json").stderr)
    (alarm,) = log["alarms"]
    assert (alarm["what"], "neither empty" in alarm["why"]) == ("not_unpacked", True)


@pytest.mark.parametrize(
    "flags", [("--all", "--unpack", "x"), ("acme-staging", "acme-production", "--unpack", "x"), ("--redact",)]
)
def test_a_folder_holds_one_workspace(flags: tuple[str, ...], bench: Bench) -> None:
    refused(bench.run("backup", *flags), 2, "--unpack")
    assert bench.archives == []


# -- what is in the way ------------------------------------------------------------


def test_a_folder_of_something_else_is_never_written_to(place: Path, snapshot: Snapshot) -> None:
    (place / "file").write_text("")
    refused(cli("unpack", "a.json.gz", "file", cwd=place), 2, "is not a folder")
    refused(cli("unpack", "a.json.gz", ".", cwd=place), 2, "neither empty")
    other = make_snapshot({"stream": []}, workspace_id="cother")
    (place / "other.json.gz").write_bytes(encode(other))
    before = files_of(place / "tree")
    refused(
        cli("unpack", "other.json.gz", "tree", cwd=place), 2, "the folder tree belongs to workspace", STAGING
    )
    assert files_of(place / "tree") == before
    (place / "git" / ".git").mkdir(parents=True)
    assert cli("unpack", "a.json.gz", "git", cwd=place).returncode == 0


def test_what_was_redacted_never_gets_secrets_and_is_for_reading_only(place: Path) -> None:
    assert cli("unpack", "a.json.gz", "red", "--redact", cwd=place).stderr == ""
    everything = b"".join(data for data, *_ in files_of(place / "red").values())
    for secret in (b"hook-secret", b"env-secret", b"slack-secret", b"mongo-secret", b"js.classic.key"):
        assert secret not in everything
    refused(cli("unpack", "a.json.gz", "red", cwd=place), 2, "--redact")
    refused(cli("pack", "red", cwd=place), 7, "red: ", "--redact")
    assert not (place / "jitsu-backups").exists()


def test_files_of_others_are_left_alone_and_reported(place: Path) -> None:
    tree = place / "tree"
    (tree / "function" / "my-facade.js").write_text("mine")
    (tree / ".gitignore").write_text("mine")
    (tree / ".gitattributes").write_text("mine")
    (tree / "NOTES.md").write_text("mine")
    (tree / "function" / "enrich-4b7aaf.old.js").write_text("mine")
    (place / "b.json.gz").write_bytes(encode(make_snapshot({"stream": [{"id": "s"}]})))
    done = cli("unpack", "b.json.gz", "tree", cwd=place)
    assert done.returncode == 0
    assert "3 unexpected files" in done.stderr
    left = {path for path, (data, *_) in files_of(tree).items() if data == b"mine"}
    assert len(left) == 5
    assert not list((tree / "destination").glob("*"))
    refused(cli("pack", "tree", cwd=place), 5, "tree: NOTES.md is an unexpected file")


def test_no_symbolic_link_is_followed_in_or_out(place: Path, snapshot: Snapshot) -> None:
    tree = place / "tree"
    outside = place / "outside"
    outside.mkdir()
    (outside / "a.json").write_text('{"id": "a"}')
    (tree / "stream" / "a.json").symlink_to(outside / "a.json")
    refused(cli("pack", "tree", cwd=place), 5, "stream/a.json is a symbolic link")
    (tree / "stream" / "a.json").unlink()
    shutil.rmtree(tree / "domain")
    (tree / "domain").symlink_to(outside)
    refused(cli("pack", "tree", cwd=place), 5, "domain is a symbolic link")
    refused(cli("unpack", "a.json.gz", "tree", cwd=place), 1, "domain", "nothing was written")
    assert os.listdir(outside) == ["a.json"]  # noqa: PTH208
    (tree / "domain").unlink()
    target = one(tree, "function/enrich-*.js")
    target.unlink()
    (outside / "code.js").write_text("outside")
    target.symlink_to(outside / "code.js")
    assert cli("unpack", "a.json.gz", "tree", cwd=place).returncode == 0
    assert (outside / "code.js").read_text() == "outside"
    assert not target.is_symlink()
    assert from_tree(read_tree(tree)) == snapshot


def test_a_pipe_in_the_folder_stops_nothing(place: Path) -> None:
    os.mkfifo(place / "tree" / "stream" / "pipe.json")
    refused(cli("pack", "tree", cwd=place), 5, "stream/pipe.json is not a regular file")
    assert cli("unpack", "a.json.gz", "tree", cwd=place).returncode == 0


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (lambda tree: one(tree, "stream/web-site-*").write_text("<<<<<<< HEAD"), 5, ("stream/web-site-", "JSON")),
        (lambda tree: (tree / "stream" / "b.json").write_text('{"name": "B"}'), 5, ("stream/b.json has no id",)),
        (lambda tree: (tree / "stream" / "b.json").write_text('{"id": "web-0001"}'), 5, ("same id", "b.json", "web-site-")),
        (lambda tree: (tree / "stray\n.txt").write_text(""), 5, ("stray",)),
        (lambda tree: (tree / os.fsdecode(b"\xff.json")).write_text("{}"), 5, ("udcff",)),
        (lambda tree: (tree / "stream" / "deep").mkdir(), 5, ("stream/deep is not a regular file",)),
        (lambda tree: one(tree, "function/enrich-*.js").unlink(), 5, ("function/enrich-", "not in the same folder")),
        (lambda tree: (tree / "manifest.json").unlink(), 5, ("manifest.json is missing",)),
        (lambda tree: (tree / UNFINISHED).write_text(""), 5, ("interrupted", "run it again")),
        (shutil.rmtree, 1, ("cannot list tree", "no such file")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_with_the_file_and_nothing_is_stored(
    spoil: Callable[[Path], object], code: int, words: tuple[str, ...], place: Path
) -> None:
    spoil(place / "tree")
    done = cli("pack", "tree", cwd=place)
    refused(done, code, *words)
    assert len(done.stderr.splitlines()) == 1
    assert not (place / "jitsu-backups").exists()


def test_an_unreadable_name_in_the_folder_is_reported_in_json_too(place: Path) -> None:
    (place / "tree" / os.fsdecode(b"\xff.json")).write_text("{}")
    done = cli("--json", "unpack", "a.json.gz", "tree", cwd=place)
    assert json.loads(done.stdout)["foreign"] == ["?.json"]


# -- killed ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def processes() -> Iterator[Zygote]:
    with zygote() as made:
        yield made


def test_killed_at_every_file_operation_a_folder_is_old_new_or_refused_and_the_next_run_finishes_it(
    processes: Zygote, tmp_path: Path
) -> None:
    code = [{"id": f"f{n}", "name": f"F {n}", "code": "x" * 20} for n in range(2)]
    old = make_snapshot({"function": code, "stream": [{"id": "s1"}], "link": []})
    new = make_snapshot(
        {"function": [{**code[1], "code": "y"}, {"id": "f9", "code": "z"}], "stream": [], "link": []}
    )
    began = {"nothing": None, "old": old}
    for name, before in began.items():
        count = tmp_path / f"count-{name}"
        _begin(count, before, new)
        processes.start(["-q", "unpack", "new.json.gz", "tree"], {}, count, (0, "after"))
        assert processes.answer() == 0, (count / "log").read_text()
        calls = int((count / "calls").read_text())
        # "in" is before what is no write, and after one is before the next
        points = [*((number, "in") for number in range(1, calls + 1, every(3))), (calls, "after")]
        unfinished = 0
        for number, when in points:
            folder = tmp_path / f"{name}-{number}-{when}"
            _begin(folder, before, new)
            processes.start(["-q", "unpack", "new.json.gz", "tree"], {}, folder, (number, when))
            assert processes.answer() == signal.SIGKILL
            try:
                whole = from_tree(read_tree(folder / "tree"))
            except BackupError:
                unfinished += 1
            else:
                assert whole in (before, new), (number, when)
            processes.start(["-q", "unpack", "new.json.gz", "tree"], {}, folder)
            assert processes.answer() == 0, (folder / "log").read_text()
            files = {path: data for path, (data, *_) in files_of(folder / "tree").items()}
            assert files.pop(".gitattributes")
            assert files == to_tree(new), (number, when)
            assert not [path for path in files if TEMPORARY in path]
            shutil.rmtree(folder)
        print(f"from {name}: killed at {len(points)} points, {unfinished} left a folder that pack refuses")
        assert unfinished > 10


def _begin(folder: Path, before: Snapshot | None, new: Snapshot) -> None:
    folder.mkdir()
    (folder / "new.json.gz").write_bytes(encode(new))
    if before is not None:
        write_tree(folder / "tree", to_tree(before))
