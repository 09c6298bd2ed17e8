"""Slugs that move: a snapshot's workspace is known by its id, and a name that means another one now stops what writes.

| what happened | restore | diff | backup | clone | prune |
|---|---|---|---|---|---|
| renamed, nobody took the slug | goes on, by id | by id | one series | goes on | one series |
| renamed, another one took the slug | 7, both named | by id | 3, both named | 7, both named | asks which |
| two profiles of one workspace | goes on | by id | one series | itself: 2 | one series |
| console set up anew, same host | by --into ID only | says so | 3, both named | 7, both named | asks which |
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyrage
import pytest

from jitsu_backup.archive import parse_name
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from jitsu_backup.sandbox.state import OWNER as OWNER_USER
from tests.support import OWNER, PRODUCTION, STAGING, cli, writes

NEW = "cnewworkspace000000000004"


class Console:
    """A console, and a folder with a profile that names a workspace by its slug."""

    def __init__(self, sandbox: Sandbox, url: str, folder: Path) -> None:
        self.sandbox, self.url, self.folder = sandbox, url, folder
        text = f'[profiles.staging]\nhost = "{url}"\nkey = "{OWNER}"\nworkspace = "acme-staging"\n'
        (folder / "jitsu-backup.toml").write_text(text)
        (folder / "jitsu-backup.toml").chmod(0o600)

    def run(self, *arguments: str, **env: str) -> Any:
        return cli(*arguments, env={"JITSU_HOST": self.url, "JITSU_APIKEY": OWNER, **env}, cwd=self.folder)

    def rename(self) -> None:
        self.sandbox.state.workspaces[STAGING].slug = "acme-old"

    def take_slug(self) -> None:
        """Another workspace, with something of its own in it, gets the slug."""
        self.rename()
        self.sandbox.state.add_workspace(NEW, "New Staging", "acme-staging", {OWNER_USER.id: "owner"})
        for number in range(6):
            self.sandbox.state.add_object(
                NEW, "function", f"own-{number}", {"name": f"Own {number}", "code": "x"}
            )

    def archives_of(self, workspace: str) -> int:
        named = [parse_name(path.name) for path in (self.folder / "jitsu-backups").glob("*.json.gz")]
        return sum(archive is not None and archive.workspace_id == workspace for archive in named)

    def untouched(self) -> bool:
        return not any(row.deleted for row in self.sandbox.state.objects.values() if row.workspace_id == NEW)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    state = default_state()
    example_workspace(state, STAGING)
    sandbox = Sandbox(state, rate_limit=False)
    with running(sandbox) as url:
        made = Console(sandbox, url, tmp_path)
        assert made.run("backup", "@staging").returncode == 0
        yield made


def test_a_renamed_workspace_is_restored_compared_and_backed_up_by_its_id(console: Console) -> None:
    console.rename()
    console.sandbox.state.objects["enrich-0001"].config["code"] = "of today"
    assert "of today" in console.run("diff", "latest").stdout
    done = console.run("restore", "latest", "--yes")
    assert done.returncode == 0, done.stderr
    assert console.sandbox.state.objects["enrich-0001"].config["code"] != "of today"
    assert console.run("backup", "acme-old").returncode == 0
    assert console.archives_of(STAGING) == 4  # two, and what was there before the restore and after it
    pruned = console.run("prune", "--keep-last", "1", "--workspace", "acme-staging", "--dry-run")
    assert pruned.returncode == 0, pruned.stderr


@pytest.mark.parametrize("named", ["profile", "environment", "slug"])
def test_a_slug_that_another_workspace_took_stops_a_restore_and_both_are_named(
    console: Console, named: str
) -> None:
    console.take_slug()
    console.sandbox.requests.clear()
    if named == "slug":
        done = console.run("restore", "latest", "--prune", "--yes", "--into", "acme-staging")
    elif named == "profile":
        done = console.run("restore", "@staging/latest", "--prune", "--yes")
    else:
        (console.folder / "jitsu-backup.toml").unlink()
        done = console.run("restore", "latest", "--prune", "--yes", JITSU_WORKSPACE="acme-staging")
    assert done.returncode == 7, done.stderr
    assert NEW in done.stderr
    assert STAGING in done.stderr
    assert writes(console.sandbox) == 0
    assert console.untouched()
    done = console.run("restore", "latest", "--prune", "--yes", "--into", STAGING)
    assert done.returncode == 0, done.stderr
    assert console.untouched()


def test_diff_follows_the_id_and_not_the_slug(console: Console) -> None:
    console.take_slug()
    done = console.run("--json", "diff", "latest")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["after"]["workspace_id"] == STAGING


def test_a_backup_of_a_slug_that_moved_is_made_and_reported_until_it_is_accepted(console: Console) -> None:
    console.take_slug()
    done = console.run("backup", "@staging")
    assert done.returncode == 3, done.stderr
    assert NEW in done.stderr
    assert STAGING in done.stderr
    assert console.archives_of(NEW) == 1
    for _ in range(2):
        again = console.run("backup", "@staging", "--if-changed")
        assert again.returncode == 3, again.stderr
        assert STAGING in again.stderr
    assert console.run("backup", "@staging", "--allow-unseen", STAGING).returncode == 0
    assert console.run("backup", NEW).returncode == 0
    asks = console.run("prune", "--keep-last", "1", "--workspace", "acme-staging")
    assert asks.returncode == 2
    assert NEW in asks.stderr
    assert STAGING in asks.stderr


def test_a_moved_slug_is_no_alarm_once_its_old_workspace_is_backed_up_under_its_new_name(
    console: Console,
) -> None:
    console.take_slug()
    assert console.run("backup", "@staging").returncode == 3
    assert console.run("backup", STAGING).returncode == 0
    assert console.run("backup", "@staging").returncode == 0


def test_an_accepted_move_is_no_alarm(console: Console) -> None:
    console.take_slug()
    assert console.run("backup", "@staging", "--allow-unseen", STAGING).returncode == 0


def test_a_clone_into_a_slug_that_moved_is_stopped(console: Console) -> None:
    console.take_slug()
    console.sandbox.requests.clear()
    done = console.run("clone", "acme-production", "@staging", "--prune", "--yes")
    assert done.returncode == 7, done.stderr
    assert NEW in done.stderr
    assert STAGING in done.stderr
    assert writes(console.sandbox) == 0
    by_id = console.run("clone", "acme-production", NEW, "--yes")
    assert by_id.returncode == 0, by_id.stderr


def test_two_profiles_of_one_workspace_have_one_series_and_are_no_clone(console: Console) -> None:
    with (console.folder / "jitsu-backup.toml").open("a") as file:
        file.write(f'[profiles.again]\nhost = "{console.url}"\nkey = "{OWNER}"\nworkspace = "{STAGING}"\n')
    assert console.run("backup", "@again").returncode == 0
    assert console.archives_of(STAGING) == 2
    assert console.run("restore", "latest", "--dry-run").returncode == 0
    assert console.run("clone", "@staging", "@again", "--yes").returncode == 2


def test_a_console_set_up_again_under_the_same_host_is_not_taken_for_the_old_one(console: Console) -> None:
    state = console.sandbox.state
    del state.workspaces[STAGING]
    for row in list(state.objects.values()):
        row.deleted = row.deleted or row.workspace_id == STAGING
    state.add_workspace(NEW, "Acme Staging", "acme-staging", {OWNER_USER.id: "owner"})
    gone = console.run("restore", "latest", "--yes")
    assert gone.returncode in (1, 6), gone.stderr
    assert STAGING in gone.stderr
    stopped = console.run("restore", "latest", "--yes", "--into", "acme-staging")
    assert stopped.returncode == 7
    done = console.run(
        "restore", "latest", "--yes", "--into", NEW, "--allow-missing-secrets", "--keys-out", "keys.json"
    )
    assert done.returncode in (0, 3), done.stderr
    assert list(state.live_objects(NEW, "stream"))
    assert not list(state.live_objects(PRODUCTION, "stream"))


def test_a_store_that_this_machine_cannot_decrypt_stops_a_clone_by_the_ids_in_its_names(
    console: Console,
) -> None:
    for path in (console.folder / "jitsu-backups").glob("*.json.gz"):
        path.unlink()
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    assert console.run("backup", "@staging", "--encrypt-to", recipient).returncode == 0
    console.take_slug()
    console.sandbox.requests.clear()
    done = console.run("clone", "acme-production", "@staging", "--prune", "--accept-shrink", "--yes")
    assert done.returncode == 7, done.stderr
    assert console.run("backup", "@staging", "--encrypt-to", recipient).returncode == 3
    done = console.run("clone", "acme-production", "@staging", "--prune", "--accept-shrink", "--yes")
    assert done.returncode == 7, done.stderr  # a later backup of the other one changes nothing
    assert writes(console.sandbox) == 0


def test_a_slug_that_moved_is_no_alarm_where_both_are_backed_up(console: Console) -> None:
    console.take_slug()
    done = console.run("backup", "acme-staging", "acme-old")
    assert done.returncode == 0, done.stderr


def test_undo_means_the_workspace_that_has_the_slug_now_though_another_with_runs_had_it(
    console: Console,
) -> None:
    console.run("backup", "acme-staging")
    for workspace in (STAGING, NEW):
        if workspace == NEW:
            console.take_slug()
        restored = ("restore", f"{STAGING}/latest", "--into", workspace, "--only", "function/Enrich", "--yes")
        console.sandbox.state.objects["enrich-0001"].config["code"] = "of today"
        assert console.run(*restored).returncode == 0
    before = len([*console.sandbox.state.live_objects(NEW, "function")])
    undone = console.run("undo", "acme-staging", "--yes")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert len([*console.sandbox.state.live_objects(NEW, "function")]) == before - 1
    asked = console.run("undo", "--yes")
    both = [f"acme-staging ({one} on {console.url})" for one in (NEW, STAGING)]
    assert (asked.returncode, all(one in asked.stderr for one in both)) == (2, True), asked.stderr
