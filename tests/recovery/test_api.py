"""The Python API recovers a console as the command does."""

from pathlib import Path

import pyrage
import pytest

from jitsu_backup import sync
from jitsu_backup.errors import StorageAccessError, UsageError
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.sandbox import Sandbox, default_state, running
from jitsu_backup.store import FolderStore
from tests.recovery.kit import ADMIN_KEY, SLUGS, add_workspace, tables
from tests.support import OWNER, cli


def empty() -> Sandbox:
    state = default_state()
    state.workspaces.clear()
    return Sandbox(state, rate_limit=False)


class OnlyReadable(FolderStore):
    async def create(self, name: str, data: bytes) -> bool:
        raise StorageAccessError(f"{name} may not be written")


def test_a_store_that_can_only_be_read_is_enough(tmp_path: Path) -> None:
    old, new = empty(), empty()
    workspace_id = add_workspace(old.state, "team-blue", filled=False)
    old.state.add_object(workspace_id, "function", "fn-blue", {"name": "Blue", "code": "x"})
    add_workspace(new.state, "team-blue", filled=False)
    with running(old) as one, running(new) as other:
        env = {"JITSU_HOST": one, "JITSU_APIKEY": OWNER}
        assert cli("backup", "--all", env=env, cwd=tmp_path).returncode == 0
        store = OnlyReadable(str(tmp_path / "jitsu-backups"))
        run = sync.recover(sync.plan_recovery(sync.connect(other, ADMIN_KEY), store))
    assert [outcome.problem for outcome in run.outcomes] == [None]
    assert "fn-blue" in new.state.objects


def test_a_console_is_planned_and_recovered_from_python(tmp_path: Path) -> None:
    old, new = empty(), empty()
    for slug in SLUGS:
        add_workspace(old.state, slug)
    store = str(tmp_path / "jitsu-backups")
    with running(old) as one, running(new) as other:
        env = {"JITSU_HOST": one, "JITSU_APIKEY": OWNER}
        assert cli("backup", "--all", env=env, cwd=tmp_path).returncode == 0
        connection, person = sync.connect(other, ADMIN_KEY), sync.connect(other, OWNER)
        secrets = {
            f"{table}": {path: "from the vault"}
            for table, path in {
                "destination/Warehouse": "password", "destination/ClickHouse": "password", "destination/BigQuery": "keyFile",
            }.items()
        }  # fmt: skip
        secrets["service/CRM"] = {"credentials.password": "x", "credentials.tunnel_method.ssh_key": "x"}
        with pytest.raises(
            UsageError, match="overlay: 'stream/None' matches nothing in any workspace of this recovery"
        ):
            sync.plan_recovery(connection, store, overlay={"stream/None": {}})
        blocked = sync.plan_recovery(connection, store)
        assert blocked.plan.exit_code == 7
        assert not new.requests or all(request.method == "GET" for request in new.requests)
        recovery = sync.plan_recovery(connection, store, maker=person, overlay=secrets, first=["team-red"])
        assert [workspace.slug for workspace in recovery.plan.workspaces] == [
            "team-red",
            "team-blue",
            "team-green",
        ]
        assert "from the vault" not in repr(recovery)
        keyless = sync.recover(recovery)
        assert all("pass on_keys" in str(outcome.problem) for outcome in keyless.outcomes)
        given: dict[str, int] = {}
        run = sync.recover(
            sync.plan_recovery(connection, store, maker=person, overlay=secrets),
            on_keys=lambda slug, keys: given.update({slug: len(keys)}),
        )
        assert [outcome.problem for outcome in run.outcomes] == [None] * 3
        assert given == dict.fromkeys(SLUGS, 4)
        for slug in SLUGS:
            assert tables(new.state, slug)["objects"].keys() == tables(old.state, slug)["objects"].keys()


def test_nothing_of_encrypted_archives_gets_into_the_store_in_the_clear(tmp_path: Path) -> None:
    age = pyrage.x25519.Identity.generate()
    (tmp_path / "id").write_text(str(age))
    old, new = empty(), empty()
    for slug in ("team-blue", "team-red"):
        workspace_id = add_workspace(old.state, slug, filled=False)
        old.state.add_object(workspace_id, "function", f"fn-{slug}", {"name": slug, "code": "x"})
        add_workspace(new.state, slug, filled=False)
    store = tmp_path / "jitsu-backups"
    with running(old) as one, running(new) as other:
        env = {"JITSU_HOST": one, "JITSU_APIKEY": OWNER}
        kept = cli("backup", "--all", "--encrypt-to", str(age.to_public()), env=env, cwd=tmp_path)
        assert kept.returncode == 0, kept.stderr
        before = {*store.iterdir()}
        keys = ArchiveKeys(identities=(str(age).encode(),))
        plan = sync.plan_recovery(
            sync.connect(other, ADMIN_KEY), str(store), keys=keys, workspaces=("team-blue",)
        )
        assert sync.recover(plan).exit_code == 0
        by_api = {*store.iterdir()} - before
        env = {"JITSU_HOST": other, "JITSU_APIKEY": OWNER}
        done = cli("recover", "--yes", "--identity", "id", env=env, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        typed = {*store.iterdir()} - before - by_api
    for left in (by_api, typed):
        names = [path.name for path in left if ".json.gz" in path.name]
        assert names
        assert [name for name in names if not name.endswith(".age")] == []
