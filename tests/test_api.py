"""The Python API: what its page shows runs as written, and its promises hold."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest

import jitsu_backup
from jitsu_backup import sync
from jitsu_backup.errors import AccessError, BackupError, BlockedError, FolderError, UsageError
from jitsu_backup.operations.unpack import unpack
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from jitsu_backup.store import FolderStore
from tests.asking.kit import long_ago
from tests.support import ANALYST, OWNER, PRODUCTION, STAGING, recorded_snapshot

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "python.md").read_text(encoding="utf-8")
FUNCTIONS = (DOCS / "python-functions.md").read_text(encoding="utf-8")


@pytest.fixture
def sandbox() -> Sandbox:
    state = default_state()
    example_workspace(state, STAGING)
    return Sandbox(state, rate_limit=False)


@pytest.fixture
def host(sandbox: Sandbox) -> Iterator[str]:
    with running(sandbox) as url:
        yield url


def test_the_examples_of_the_page_run_as_written(host: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 5
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(blocks)], cwd=tmp_path, capture_output=True, text=True,
        timeout=60, check=False, env={"JITSU_HOST": host, "JITSU_APIKEY": OWNER, "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "create destination/warehouse-0001 not in the target" in done.stdout
    assert "4 new write keys: keep them now" in done.stdout
    assert "removed domain *.track.acme.example" in done.stdout
    assert "acme-staging whole" in done.stdout


def test_everything_on_the_page_is_there_and_the_command_line_does_not_load_it() -> None:
    named = set(re.findall(r"^\| `(\w+)\(", FUNCTIONS, re.MULTILINE)) | {"load"}
    assert named == {*sync.__all__} - {"Connection", "Folder", "Prepared", "Recovery"}
    assert all(callable(getattr(jitsu_backup, name)) for name in named)
    with pytest.raises(AttributeError):
        _ = jitsu_backup.nothing
    code = "import sys, jitsu_backup.cli; sys.exit('jitsu_backup.api' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_plan_that_needs_a_decision_writes_nothing_and_a_second_apply_does_nothing(
    host: str, sandbox: Sandbox
) -> None:
    jitsu = sync.connect(host, OWNER)
    snapshot = sync.read(jitsu, "acme-staging")
    blocked = sync.plan(jitsu, snapshot, "acme-production")
    sandbox.requests.clear()
    with pytest.raises(BlockedError, match="secret not in the snapshot"):
        sync.apply(jitsu, blocked)
    assert sandbox.requests == []
    keys: list[Any] = []
    first = sync.apply(
        jitsu, sync.plan(jitsu, snapshot, "acme-production", allow_missing_secrets=True), on_keys=keys.extend
    )
    assert len(first.outcomes) == 19
    assert sorted(k.write_key for k in keys) == sorted(k.write_key for k in first.keys)
    assert sync.plan(jitsu, snapshot, "acme-production", allow_missing_secrets=True).plan.writes == ()


def test_a_store_is_kept_read_and_pruned_with_its_keys(host: str, tmp_path: Path) -> None:
    jitsu, store = sync.connect(host, OWNER), str(tmp_path / "store")
    keys = jitsu_backup.ArchiveKeys(passphrase="a passphrase")
    with pytest.raises(BackupError, match="was never used"):
        sync.backup(jitsu, "acme-staging", store)
    saved = sync.backup(jitsu, "acme-staging", store, keys=keys, labels=("first",), new_store=True)
    assert (saved.whole, saved.written, saved.archive.encrypted) == (True, True, True)
    assert not sync.backup(
        jitsu, "acme-staging", store, keys=keys, labels=("first",), if_changed=True
    ).written
    with pytest.raises(UsageError):
        sync.verify(store, "first")
    found = sync.verify(store, "first", keys=keys)
    assert (found.whole, found.archive, found.snapshot) == (True, saved.archive, saved.snapshot)
    assert [verdict.keep for verdict in sync.prune(store, keep_last=1, dry_run=True)] == [True]
    with pytest.raises(UsageError, match="without rules"):
        sync.prune(store)


def test_what_is_surely_unchanged_is_asked_about_and_not_read(
    host: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    long_ago(sandbox.state)
    jitsu, store = sync.connect(host, OWNER), str(tmp_path / "store")
    saved = sync.backup(jitsu, "acme-staging", store, if_changed=True, new_store=True)
    sandbox.requests.clear()
    again = sync.backup(jitsu, "acme-staging", store, if_changed=True)
    assert (again.whole, again.written, again.archive) == (True, False, saved.archive)
    assert f"/api/{STAGING}/config/stream" not in [one.path for one in sandbox.requests]
    for options in ({"full_every": timedelta(0)}, {"if_changed": False}, {"accept_shrink": True}):
        whole = sync.backup(jitsu, "acme-staging", store, **{"if_changed": True, **options})
        assert whole.snapshot.entities == saved.snapshot.entities


def test_a_backup_of_a_slug_that_has_moved_says_so(host: str, sandbox: Sandbox, tmp_path: Path) -> None:
    told: list[object] = []
    jitsu, store = sync.connect(host, OWNER, report=told.append), str(tmp_path / "store")
    sync.backup(jitsu, "acme-staging", store, new_store=True)
    staging, production = (sandbox.state.workspaces[name] for name in (STAGING, PRODUCTION))
    staging.slug, production.slug = "acme-old", staging.slug
    sync.backup(jitsu, "acme-staging", store)
    assert any("now names another workspace" in str(event) for event in told)


def test_a_backup_that_nothing_can_be_compared_with_says_so(host: str, tmp_path: Path) -> None:

    class Unlisted(FolderStore):
        async def listing(self) -> dict[str, int]:
            raise AccessError("the store cannot be listed")

    with pytest.raises(AccessError, match="cannot be listed"):
        sync.backup(sync.connect(host, OWNER), "acme-staging", Unlisted(str(tmp_path / "store")))


def test_a_restore_backs_up_first_and_its_way_back_leads_back(
    host: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    jitsu, store = sync.connect(host, OWNER), str(tmp_path / "store")
    before = sync.read(jitsu, STAGING)
    sandbox.state.objects["enrich-0001"].config["code"] = "changed"
    changed = sync.read(jitsu, STAGING)
    with pytest.raises(BackupError, match="could not be backed up first, so nothing was written"):
        sync.restore(jitsu, before, STAGING, store)
    result = sync.restore(jitsu, before, STAGING, store, new_store=True)
    assert result.way_back is not None
    assert sync.diff(before, sync.read(jitsu, STAGING)).entities == ()
    undone = sync.restore(jitsu, sync.fetch(store, result.way_back.archive.digest_prefix), STAGING, store)
    assert undone.verified
    assert sync.diff(changed, sync.read(jitsu, STAGING)).entities == ()
    assert not list((tmp_path / "store").glob("jitsu-backup-lease.*"))


@pytest.mark.parametrize("redacted", [False, True], ids=["plain", "redacted"])
def test_a_folder_is_taken_where_a_snapshot_is_and_nobodys_change_is_reverted(
    host: str, sandbox: Sandbox, tmp_path: Path, redacted: bool
) -> None:
    jitsu, store = sync.connect(host, OWNER), str(tmp_path / "store")
    saved = sync.backup(jitsu, STAGING, store, new_store=True)
    unpack(saved.snapshot, tmp_path / "workspace", redacted=redacted)
    (code,) = (tmp_path / "workspace").glob("function/enrich-*.js")
    code.write_text("// edited")
    sandbox.state.objects["lake-0001"].config["project"] = "of-a-colleague"
    folder = sync.open_folder(tmp_path / "workspace")
    changes = sync.diff(saved.snapshot, folder)
    assert [one.name for one in changes.entities] == ["Enrich"]
    assert [a.name for a in sync.plan(jitsu, folder, STAGING).plan.writes] == ["BigQuery", "Enrich"]
    result = sync.restore(jitsu, folder, STAGING, store)
    assert [one.action.name for one in result.outcomes] == ["Enrich"]
    assert sandbox.state.objects["lake-0001"].config["project"] == "of-a-colleague"
    if redacted:
        with pytest.raises(BlockedError, match="redacted folder"):
            sync.dump(folder.snapshot)
    code.with_suffix(".json").write_text("{")
    with pytest.raises(FolderError, match="is not JSON"):
        sync.open_folder(tmp_path / "workspace")


def test_a_workspace_is_not_cloned_into_itself_and_a_reader_may_not_write(host: str, tmp_path: Path) -> None:
    jitsu, analyst = sync.connect(host, OWNER), sync.connect(host, ANALYST)
    store = str(tmp_path / "store")
    with pytest.raises(UsageError, match="give another workspace as the target"):
        sync.clone(jitsu, "acme-staging", jitsu, STAGING, store, new_store=True)
    sync.backup(jitsu, "acme-staging", store, new_store=True)
    with pytest.raises(AccessError, match="no permission to write"):
        sync.clone(jitsu, "acme-staging", analyst, "acme-production", store, allow_missing_secrets=True)


def test_the_waiting_functions_work_inside_a_running_loop_as_in_a_notebook(host: str) -> None:
    async def cell() -> int:
        return len(sync.read(sync.connect(host, OWNER), "acme-staging").entities)

    assert asyncio.run(cell()) == 21
    with pytest.raises(AccessError):
        asyncio.run(_fail(host))


async def _fail(host: str) -> None:
    sync.read(sync.connect(host, "key1:wrong"), "acme-staging")


@pytest.mark.parametrize(
    "begin", ["asyncio.run(cell())", "asyncio.new_event_loop().run_until_complete(cell())"]
)
def test_who_interrupts_a_cell_stops_the_work(begin: str, host: str, sandbox: Sandbox) -> None:
    code = """
import asyncio, os, sys, threading, time, signal
from jitsu_backup import sync
jitsu = sync.connect(os.environ["JITSU_HOST"], os.environ["JITSU_APIKEY"], concurrency=1)
snapshot = sync.read(jitsu, "acme-staging")
prepared = sync.plan(jitsu, snapshot, "acme-production", allow_missing_secrets=True)

def interrupt(keys):
    threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    time.sleep(0.2)

async def cell():
    sync.apply(jitsu, prepared, on_keys=interrupt)

try:
    BEGIN
except KeyboardInterrupt:
    sys.exit(7)
""".replace("BEGIN", begin)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False,
        env={"JITSU_HOST": host, "JITSU_APIKEY": OWNER, "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert sum(request.method != "GET" for request in sandbox.requests) < 19


@pytest.mark.parametrize("options", [{"passphrase": ""}, {"encrypt_to": ()}])
def test_encryption_that_is_none_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="is empty"):
        jitsu_backup.dump(recorded_snapshot(), **options)


@pytest.mark.parametrize("key", ["", "no-colon", "a:", None, "kéy:x"])
def test_a_key_that_is_none_is_refused_before_anything_is_asked(key: Any) -> None:
    with pytest.raises(AccessError, match="keyId:keySecret"):
        jitsu_backup.connect("https://x.example", key)


def test_archives_go_there_and_back_in_clear_and_encrypted() -> None:
    snapshot, key = recorded_snapshot(), pyrage.x25519.Identity.generate()
    assert jitsu_backup.load(jitsu_backup.dump(snapshot)) == snapshot
    sealed = jitsu_backup.dump(snapshot, encrypt_to=(str(key.to_public()),))
    assert jitsu_backup.load(sealed, identities=(str(key).encode(),)) == snapshot
    with pytest.raises(UsageError):
        jitsu_backup.load(sealed)
    assert jitsu_backup.diff(snapshot, snapshot).entities == ()


def test_a_restore_leaves_nothing_in_the_clear_in_a_store_of_encrypted_archives(
    host: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    jitsu, store, key = sync.connect(host, OWNER), str(tmp_path / "store"), pyrage.x25519.Identity.generate()
    sealing = jitsu_backup.ArchiveKeys((str(key.to_public()),))
    saved = sync.backup(jitsu, "acme-staging", store, keys=sealing, new_store=True)
    sandbox.state.objects["enrich-0001"].config["code"] = "of today"
    opening = jitsu_backup.ArchiveKeys(identities=(str(key).encode(),))
    done = sync.restore(jitsu, saved.snapshot, "acme-staging", store, keys=opening)
    assert done.way_back is not None
    assert done.way_back.archive.key == saved.archive.key
    assert all(path.name.endswith(".age") for path in (tmp_path / "store").glob("*.gz*"))


def test_no_secret_is_shown_and_no_address_is_refused() -> None:
    jitsu = jitsu_backup.connect("jitsu.example.com/api/", "key:CANARY")
    assert jitsu.host == "https://jitsu.example.com"
    assert "CANARY" not in repr(jitsu)
    with pytest.raises(UsageError):
        jitsu_backup.connect("ftp://x", "key:CANARY")
