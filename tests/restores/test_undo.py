"""`undo`: what the last restore or clone of a workspace changed is taken back, and what others changed since is kept."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest

from jitsu_backup.archive import (
    ArchiveName,
    archive_name,
    backup_mark,
    decode,
    encode,
    parse_name,
    sized,
)
from jitsu_backup.model import Snapshot
from jitsu_backup.sandbox import Sandbox, running
from jitsu_backup.sandbox.routes import workspaces as routes
from tests.restores.kit import delete, typed, write_overlay
from tests.support import (
    OWNER,
    PRODUCTION,
    STAGING,
    console_of,
    example_sandbox,
    read,
    run,
    writes,
)
from tests.test_bad_input import refused

Shell = Callable[..., Any]


def code_of(sandbox: Sandbox, object_id: str = "enrich-0001") -> str:
    found: str = sandbox.state.objects[object_id].config["code"]
    return found


def archives(folder: Path, store: str = "jitsu-backups") -> list[ArchiveName]:
    names = (parse_name(path.name) for path in (folder / store).glob("*.json.gz*"))
    return sorted((name for name in names if name is not None), key=lambda name: name.sort_key)


def names_of(sandbox: Sandbox, workspace: str, kind: str = "function") -> set[str]:
    return {str(row.config.get("name")) for row in sandbox.state.live_objects(workspace, kind)}


def planned(done: Any) -> dict[tuple[str, str], str]:
    """What a plan does, by type and name."""
    return {(a["type"], a["name"]): a["action"] for a in json.loads(done.stdout)["plan"]["actions"]}


@pytest.fixture
def restored(shell: Shell, sandbox: Sandbox) -> Shell:
    """A workspace whose function was `of today`, before a restore made it as it was in the backup."""
    shell("backup", "acme-staging")
    sandbox.state.objects["enrich-0001"].config["code"] = "of today"
    assert shell("restore", "latest", "--yes").returncode == 0
    return shell


@pytest.fixture
def cloned(shell: Shell, sandbox: Sandbox, before: Snapshot, tmp_path: Path) -> Shell:
    """A production that was cloned into, with a function of its own from before."""
    sandbox.state.add_object(PRODUCTION, "function", "mine-0001", {"name": "Mine", "code": "mine"})
    write_overlay(before, tmp_path / "o.json")
    flags = ("--overlay", "o.json", "--skip", "domain", "--keys-out", "keys.json", "--yes")
    done = shell("clone", "acme-staging", "acme-production", *flags)
    assert done.returncode in (0, 3), done.stderr
    return shell


def test_an_undo_takes_back_the_last_restore_and_an_undo_after_it_takes_that_back(
    restored: Shell, sandbox: Sandbox
) -> None:
    old = code_of(sandbox)
    for now in ("of today", old, "of today"):
        done = restored("undo", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert code_of(sandbox) == now
    assert "The last run in acme-staging is the undo of 20" in done.stderr
    assert re.search("Back to: .*, from before the run of 20", done.stdout)
    assert "That run will be undone. Run undo again to redo it." in done.stderr
    assert "warning" not in done.stderr


def test_the_plan_alone_is_shown_as_any_and_changes_nothing(restored: Shell, sandbox: Sandbox) -> None:
    old = code_of(sandbox)
    done = restored("--json", "undo", "acme-staging", "--dry-run", "--exit-code")
    assert done.returncode == 4
    assert {key for key, what in planned(done).items() if what == "update"} == {("function", "Enrich")}
    pages = restored("undo", "--dry-run", "--html", "plan.html", "--markdown", "plan.md")
    assert pages.returncode == 0, pages.stderr
    refused(restored("undo"), 2, "cannot ask for confirmation without a terminal")
    assert code_of(sandbox) == old


def test_what_others_changed_and_made_since_is_kept_and_a_change_of_both_blocks(
    restored: Shell, sandbox: Sandbox
) -> None:
    sandbox.state.objects["lake-0001"].config["project"] = "of-a-colleague"
    sandbox.state.add_object(STAGING, "function", "new-0001", {"name": "New", "code": "new"})
    done = restored("undo", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert code_of(sandbox) == "of today"
    assert sandbox.state.objects["lake-0001"].config["project"] == "of-a-colleague"
    assert "New" in names_of(sandbox, STAGING)
    sandbox.state.objects["enrich-0001"].config["code"] = "of a colleague"
    blocked = restored("undo", "--yes")
    refused(
        blocked,
        7,
        "code changed in the run being undone, and again since: overwrite what changed since with",
        "--take=source:function/Enrich or keep it with --take=target:function/Enrich",
    )
    assert "unpacked" not in blocked.stdout + blocked.stderr
    kept = restored("undo", "--yes", "--take", "target")
    assert kept.returncode == 0, kept.stderr
    assert code_of(sandbox) == "of a colleague"


def test_an_undo_of_a_clone_deletes_what_it_made_and_nothing_else(cloned: Shell, sandbox: Sandbox) -> None:
    assert {"Mine", "Enrich"} <= names_of(sandbox, PRODUCTION)
    sandbox.state.add_object(PRODUCTION, "function", "later-0001", {"name": "Later", "code": "later"})
    done = cloned("undo", "acme-production", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert names_of(sandbox, PRODUCTION) == {"Mine", "Later"}
    kinds = {
        row.type
        for row in sandbox.state.objects.values()
        if row.workspace_id == PRODUCTION and not row.deleted
    }
    assert kinds == {"function"}
    again = cloned("undo", "acme-production", "--yes", "--keys-out", "more.json")
    assert again.returncode in (0, 3), again.stdout + again.stderr
    assert {"Mine", "Enrich", "Later"} <= names_of(sandbox, PRODUCTION)


def test_a_restore_of_what_the_target_changed_says_that_it_did_not_restore_it(
    cloned: Shell, sandbox: Sandbox
) -> None:
    (made,) = [r for r in sandbox.state.live_objects(PRODUCTION, "function") if r.config["name"] == "Enrich"]
    made.config["code"] = "of a colleague"
    cloned("backup", "acme-staging")
    command = ("restore", "acme-staging/latest", "--into", "acme-production", "--only", "function/Enrich")
    kept = cloned(*command, "--yes")
    assert kept.returncode == 3, kept.stderr
    assert "Nothing to change: the target keeps what it changed itself." in kept.stdout
    assert "function Enrich (code); to restore it: --take=source:function/Enrich" in kept.stdout
    assert cloned(*command, "--yes", "--take=source:function/Enrich").returncode == 0
    assert made.config["code"] != "of a colleague"


def test_what_a_clone_made_and_others_use_or_changed_since_is_not_deleted_unseen(
    cloned: Shell, sandbox: Sandbox
) -> None:
    (made,) = [r for r in sandbox.state.live_objects(PRODUCTION, "function") if r.config["name"] == "Enrich"]
    made.config["code"] = "of a colleague"
    blocked = cloned("undo", "acme-production", "--yes")
    refused(
        blocked, 7, "function 'Enrich': created by the run being undone, and changed since: delete it with"
    )
    assert "--take=source:function/Enrich or keep it with" in " ".join(blocked.stdout.split())


def test_what_was_made_since_goes_only_with_prune_own(cloned: Shell, sandbox: Sandbox) -> None:
    sandbox.state.add_object(PRODUCTION, "function", "later-0001", {"name": "Later", "code": "later"})
    done = cloned("undo", "acme-production", "--yes", "--prune-own", "--accept-shrink")
    assert done.returncode == 0, done.stdout + done.stderr
    assert names_of(sandbox, PRODUCTION) == {"Mine"}


def test_what_a_restore_recreated_under_new_ids_goes_back_to_what_it_stood_for(
    shell: Shell, sandbox: Sandbox
) -> None:
    shell("backup", "acme-staging")
    delete(sandbox.state, "lake-0001", cascade=True)
    gone = run(read(console_of(sandbox), STAGING))
    assert shell("restore", "latest", "--yes").returncode == 0
    assert "BigQuery" in names_of(sandbox, STAGING, "destination")
    there = run(read(console_of(sandbox), STAGING))
    assert shell("undo", "--yes").returncode == 0
    assert run(read(console_of(sandbox), STAGING)).entities == gone.entities
    done = shell("undo", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    back = run(read(console_of(sandbox), STAGING))
    assert len(back.entities) == len(there.entities) > len(gone.entities)
    assert "BigQuery" in names_of(sandbox, STAGING, "destination")


def test_only_a_part_is_taken_back_when_asked_for(restored: Shell, sandbox: Sandbox) -> None:
    assert restored("undo", "--yes", "--only", "destination/*").returncode == 0
    assert code_of(sandbox) != "of today"


def test_a_run_that_was_killed_half_way_is_taken_back_as_far_as_it_came(
    restored: Shell, sandbox: Sandbox, tmp_path: Path
) -> None:
    (record,) = [name for name in archives(tmp_path) if name.cloned_from]
    (tmp_path / "jitsu-backups" / str(record)).unlink()  # as a run that does not end leaves it
    sandbox.state.add_object(STAGING, "function", "new-0001", {"name": "New", "code": "new"})
    done = restored("undo", "--yes")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "warning: what that run wrote is unknown" in done.stderr
    assert "left no record of what it wrote, so it may have created function 'New'; if it" in done.stderr
    assert "only in the target, kept; --prune deletes it: function New." in " ".join(done.stdout.split())
    assert code_of(sandbox) == "of today"
    assert "New" in names_of(sandbox, STAGING)


def test_an_undo_that_cannot_attribute_what_is_there_does_not_say_that_all_is_well(
    restored: Shell, sandbox: Sandbox, tmp_path: Path
) -> None:
    (record,) = [name for name in archives(tmp_path) if name.cloned_from]
    (tmp_path / "jitsu-backups" / str(record)).unlink()
    sandbox.state.add_object(STAGING, "function", "new-0001", {"name": "New", "code": "new"})
    sandbox.state.objects["enrich-0001"].config["code"] = "of today"
    done = restored("undo", "--yes")
    assert done.returncode == 3
    assert "Nothing to change: the remaining differences are outside this plan." in done.stdout
    assert "Verified" not in done.stdout
    assert "so it may have created function 'New'" in done.stderr


def test_the_backup_of_an_earlier_run_that_did_not_end_is_named(
    restored: Shell, sandbox: Sandbox, tmp_path: Path
) -> None:
    (first,) = [name for name in archives(tmp_path) if "pre-restore" in name.marks]
    (record,) = [name for name in archives(tmp_path) if name.cloned_from]
    (tmp_path / "jitsu-backups" / str(record)).unlink()
    sandbox.state.objects["enrich-0001"].config["code"] = "of tomorrow"
    assert restored("restore", "latest", "--yes").returncode == 0
    done = restored("undo", "--dry-run")
    assert f"left no record. The state before that run is {first.reference}" in done.stderr
    for name in archives(tmp_path):
        if name.cloned_from:
            (tmp_path / "jitsu-backups" / str(name)).unlink()
    sandbox.state.objects["enrich-0001"].config["code"] = "of the day after"
    assert restored("restore", "latest", "--yes").returncode == 0
    done = restored("undo", "--dry-run")
    assert f"left no record. The state before the first of them is {first.reference}" in done.stderr


def test_a_restore_that_wrote_nothing_is_not_the_last_one(restored: Shell, sandbox: Sandbox) -> None:
    assert "Nothing to change" in restored("restore", "latest", "--yes").stdout
    assert restored("undo", "--yes").returncode == 0
    assert code_of(sandbox) == "of today"


def test_without_a_run_in_the_store_there_is_nothing_to_undo(shell: Shell) -> None:
    shell("backup", "acme-staging")
    refused(shell("undo", "--take", "'source'"), 2, "--take 'source': leave out the quotation marks")
    refused(shell("undo"), 1, "nothing to undo: the store", "has no backup from before a restore or clone")
    for name in ("acme-staging", "acme-production"):
        refused(shell("undo", name), 1, f"has no backup of {name} from before")
    refused(shell("--store", "elsewhere", "undo"), 1)
    refused(shell("undo", ""), 2, "the workspace is empty")


def test_of_several_workspaces_one_has_to_be_named(cloned: Shell, sandbox: Sandbox) -> None:
    cloned("backup", "acme-staging")
    sandbox.state.objects["enrich-0001"].config["code"] = "of today"
    cloned("restore", "acme-staging/latest", "--yes")
    refused(
        cloned("undo"), 2, "several workspaces have restores or clones to undo: acme-production, acme-staging"
    )
    assert cloned("undo", "acme-staging", "--yes").returncode == 0
    assert code_of(sandbox) == "of today"
    assert "Enrich" in names_of(sandbox, PRODUCTION)


def test_a_damaged_backup_is_reported_and_no_older_one_is_taken_for_it(
    restored: Shell, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.state.objects["enrich-0001"].config["code"] = "of tomorrow"
    restored("restore", "latest", "--yes")
    last = [name for name in archives(tmp_path) if "pre-restore" in name.marks][-1]
    path = tmp_path / "jitsu-backups" / str(last)
    path.write_bytes(path.read_bytes()[:-9])
    refused(restored("undo", "--yes"), 5, "the archive is damaged")


def test_an_encrypted_run_is_undone_by_whoever_has_the_key(
    shell: Shell, sandbox: Sandbox, tmp_path: Path
) -> None:
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "identity").write_text(str(identity))
    sealed = ("--yes", "--encrypt-to", str(identity.to_public()))
    shell("backup", "acme-staging")
    sandbox.state.objects["enrich-0001"].config["code"] = "of today"
    assert shell("restore", "latest", *sealed).returncode == 0
    refused(shell("undo", "--yes"), 2, "encrypted")
    done = shell("undo", "--identity", "identity", *sealed)
    assert (done.returncode, code_of(sandbox)) == (0, "of today"), done.stderr
    assert all(name.encrypted for name in archives(tmp_path) if name.set_aside)


def test_a_saved_plan_of_an_undo_is_carried_out_as_it_is_or_not_at_all(
    restored: Shell, sandbox: Sandbox
) -> None:
    saved = restored("undo", "--plan-out", "plan.json")
    assert saved.returncode == 0, saved.stderr
    assert "to carry it out:\n  jitsu-backup restore --plan plan.json" in saved.stderr
    done = restored("restore", "--plan", "plan.json", "--yes")
    assert done.returncode == 0, done.stderr
    assert code_of(sandbox) == "of today"
    refused(restored("restore", "--plan", "plan.json", "--yes"), 7, "the record of the last run has changed")


def test_a_run_on_another_console_is_not_taken_for_one_here(restored: Shell) -> None:
    done = restored("--host", "http://127.0.0.1:9", "--apikey", OWNER, "undo", "acme-staging", "--yes")
    refused(done, 2, "the last restore or clone of acme-staging was on http")


def test_a_record_that_cannot_be_read_is_reported_and_counts_as_none(
    restored: Shell, sandbox: Sandbox, tmp_path: Path
) -> None:
    (record,) = [name for name in archives(tmp_path) if name.cloned_from]
    path = tmp_path / "jitsu-backups" / str(record)
    path.write_bytes(path.read_bytes()[:-9])
    done = restored("undo", "--yes")
    assert (done.returncode, code_of(sandbox)) == (0, "of today"), done.stderr
    assert "the record of the last run cannot be read: " in done.stderr
    assert "warning: what that run wrote is unknown" in done.stderr


def test_a_restore_that_only_adds_is_undone_too(shell: Shell, sandbox: Sandbox) -> None:
    shell("--store", "./mine", "backup", "acme-staging", "--new-store")
    delete(sandbox.state, "lake-0001", cascade=True)
    done = shell("--store", "./mine", "restore", "latest", "--yes")
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "To undo this run:" in said
    (line,) = re.findall(r"To undo this run:\n  jitsu-backup (.*)", said)
    assert shell(*line.split(), "--yes").returncode == 0
    assert "BigQuery" not in names_of(sandbox, STAGING, "destination")


def test_a_run_that_only_adds_continues_without_a_store_and_says_that_it_cannot_be_undone(
    shell: Shell, sandbox: Sandbox, tmp_path: Path
) -> None:
    shell("backup", "acme-staging", "--output", "a.json.gz")
    delete(sandbox.state, "lake-0001", cascade=True)
    (tmp_path / "file").write_text("")
    done = shell("--store", "file", "restore", "./a.json.gz", "--yes")
    assert done.returncode == 0, done.stderr
    assert "the target could not be backed up first, so `undo` cannot revert this run" in done.stderr
    sandbox.state.objects["enrich-0001"].config["code"] = "of today"
    refused(shell("--store", "file", "restore", "./a.json.gz", "--yes"), 1, "nothing was written")


def test_on_a_terminal_it_asks_and_no_leaves_all_as_it_is(
    restored: Shell, sandbox: Sandbox, tmp_path: Path
) -> None:
    old, before = code_of(sandbox), writes(sandbox)
    host = json.loads(restored("--json", "undo", "--dry-run").stdout)["plan"]["target"]["host"]
    code, said = typed(host, tmp_path, ["undo"], [lambda: "n"])
    assert (code, writes(sandbox), code_of(sandbox)) == (1, before, old)
    assert "Apply 1 change to acme-staging on" in said
    assert all(len(line) <= 80 for line in said.splitlines()), said


def test_a_hidden_password_that_the_run_replaced_is_reported_and_goes_back_with_an_overlay(
    shell: Shell, sandbox: Sandbox, tmp_path: Path
) -> None:
    (row,) = [r for r in sandbox.state.live_objects(STAGING, "destination") if "password" in r.config][:1]
    name, old = row.config["name"], dict(row.config)
    overlay = f'["destination/{name}"]\nhost = "other.example"\npassword = "of-the-run"\n'
    (tmp_path / "o.toml").write_text(overlay)
    shell("backup", "acme-staging")
    assert shell("restore", "latest", "--overlay", "o.toml", "--yes").returncode == 0
    assert row.config["password"] == "of-the-run"
    told = shell("undo", "--dry-run", "--overlay-out", "lacking.toml")
    assert told.returncode == 3, told.stderr  # as the run itself
    said = " ".join((told.stdout + told.stderr).split())
    assert "password" in said
    assert "the run being undone replaced this secret, and no backup has the previous one" in said
    assert "an --overlay for the undo alone (--overlay-out FILE writes the form)" in said
    assert "password" in (tmp_path / "lacking.toml").read_text()
    done = shell("undo", "--yes")
    assert done.returncode == 3, done.stdout + done.stderr
    assert (row.config["host"], row.config["password"]) == (old["host"], "of-the-run")
    assert "of-the-run" not in done.stdout + done.stderr
    (tmp_path / "back.toml").write_text(f'["destination/{name}"]\npassword = "{old["password"]}"\n')
    assert shell("undo", "--yes").returncode == 0  # the undo has sent no secret
    undone = shell("undo", "--yes", "--overlay", "back.toml")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert (row.config["host"], row.config["password"]) == (old["host"], old["password"])


def test_a_hidden_password_that_is_the_only_thing_the_run_replaced_goes_back_too(
    shell: Shell, sandbox: Sandbox, tmp_path: Path
) -> None:
    (row,) = [r for r in sandbox.state.live_objects(STAGING, "destination") if "password" in r.config][:1]
    name, old = row.config["name"], row.config["password"]
    for file, password in (("o.toml", "of-the-run"), ("back.toml", old)):
        (tmp_path / file).write_text(f'["destination/{name}"]\npassword = "{password}"\n')
    shell("backup", "acme-staging")
    run_it = shell("restore", "latest", "--overlay", "o.toml", "--resend-secrets", "--yes")
    assert run_it.returncode == 0, run_it.stdout + run_it.stderr
    assert row.config["password"] == "of-the-run"
    kept = shell("undo", "--dry-run", "--take", "target")
    assert "replaced this secret" not in " ".join((kept.stdout + kept.stderr).split())
    assert shell("undo", "--yes").returncode == 3
    done = shell("undo", "--yes", "--overlay", "back.toml")
    assert (done.returncode, row.config["password"]) == (0, old), done.stdout + done.stderr


def test_only_and_skip_find_what_was_renamed_since_by_either_name(restored: Shell, sandbox: Sandbox) -> None:
    old = code_of(sandbox)
    sandbox.state.objects["enrich-0001"].config["name"] = "Enrich of today"
    for name in ("Enrich", "Enrich of today", "*of today"):
        assert restored("undo", "--yes", "--skip", f"function/{name}").returncode == 0
        assert code_of(sandbox) == old
    refused(restored("undo", "--only", "function/Nobody"), 2, "neither in the backup nor in the target")
    done = restored("undo", "--yes", "--only", "function/Enrich of today")
    assert done.returncode == 0, done.stdout + done.stderr
    assert code_of(sandbox) == "of today"
    assert sandbox.state.objects["enrich-0001"].config["name"] == "Enrich of today"


def test_a_workspace_that_was_renamed_is_found_by_its_new_name_its_old_one_and_its_id(
    restored: Shell, sandbox: Sandbox
) -> None:
    sandbox.state.workspaces[STAGING].slug = "acme-renamed"
    for name in ("acme-renamed", "acme-staging", STAGING):
        done = restored("undo", name, "--dry-run", "--exit-code")
        assert done.returncode == 4, done.stdout + done.stderr
    refused(restored("undo", "nobody", "--dry-run"), 1, "no workspace 'nobody' that this key can see")
    told = restored("history", "acme-renamed")
    refused(
        told, 1, "no snapshot of workspace 'acme-renamed'", "which has snapshots of acme-staging", "its id"
    )
    assert restored("undo", "acme-renamed", "--yes").returncode == 0
    assert code_of(sandbox) == "of today"


def test_workspaces_of_one_id_on_two_consoles_are_told_apart(
    restored: Shell, sandbox: Sandbox, tmp_path: Path
) -> None:
    other = example_sandbox()
    other.state.objects["enrich-0001"].config["code"] = "over there"
    with running(other) as url:
        there = ("--host", url, "--apikey", OWNER)
        assert restored(*there, "backup", "acme-staging").returncode == 0
        other.state.objects["enrich-0001"].config["code"] = "over there, today"
        assert restored(*there, "restore", "acme-staging/latest", "--yes").returncode == 0
        assert code_of(other) == "over there"
        done = restored("undo", "acme-staging", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert (code_of(sandbox), code_of(other)) == ("of today", "over there")
        done = restored(*there, "undo", "acme-staging", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert (code_of(sandbox), code_of(other)) == ("of today", "over there, today")


def test_a_later_run_without_a_backup_is_reported_and_not_taken_back(
    restored: Shell, sandbox: Sandbox
) -> None:
    sandbox.state.objects["lake-0001"].config["project"] = "of-a-colleague"
    assert restored("restore", "latest", "--yes", "--no-safety-backup").returncode == 0
    done = restored("undo", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "made no backup, so it cannot be undone" in " ".join(done.stderr.split())
    assert code_of(sandbox) == "of today"
    assert sandbox.state.objects["lake-0001"].config["project"] == "acme"
    assert "made no backup" not in restored("undo", "--dry-run").stderr


def test_what_the_settings_protect_and_a_workspace_that_is_read_only_are_as_safe_as_from_a_restore(
    cloned: Shell, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jitsu-backup.toml").write_text('protect = ["function/*"]\n')
    done = cloned("undo", "acme-production", "--yes")
    refused(done, 7, "protect", "--unprotect")
    assert "Enrich" in names_of(sandbox, PRODUCTION)
    before, line = writes(sandbox), routes.workspace_line
    features = {"featuresEnabled": ["reverse-etl", "readonly"]}
    monkeypatch.setattr(routes, "workspace_line", lambda *args: {**line(*args), **features})
    refused(cloned("undo", "acme-production", "--yes", "--unprotect", "function/*"), 6, "read-only")
    assert writes(sandbox) == before


def test_an_incomplete_backup_takes_back_what_it_can_and_says_that_what_was_made_stays(
    cloned: Shell, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Such as one that was read while the workspace kept changing."""
    store = tmp_path / "jitsu-backups"
    (backup,) = [name for name in archives(tmp_path) if "pre-restore" in name.marks]
    whole = decode((store / str(backup)).read_bytes())
    torn = replace(whole, manifest=replace(whole.manifest, consistent=False))
    data = encode(torn)
    name = sized(archive_name(torn, backup.marks), torn, len(data))
    (store / str(backup)).unlink()
    (store / str(name)).write_bytes(data)
    (left,) = [one for one in archives(tmp_path) if one.left_after]
    marks = tuple(backup_mark(name) if mark == left.left_after else mark for mark in left.marks)
    (store / str(left)).rename(store / str(replace(left, marks=marks)))
    done = cloned("undo", "acme-production", "--yes")
    assert "the backup from before that run is incomplete" in " ".join(done.stderr.split())
    assert "what that run wrote is unknown" not in done.stderr
    assert {"Enrich", "Mine"} <= names_of(sandbox, PRODUCTION)
    assert "only in the target, kept" in " ".join(done.stdout.split())
