"""What keeps an operator from harm: nothing overwritten, no loss restored by accident, commands that work when pasted."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyrage
import pytest

from jitsu_backup.archive import parse_name
from jitsu_backup.sandbox import Generation, Sandbox, State, default_state, example_workspace, running
from jitsu_backup.sandbox.refusals import Refusal
from jitsu_backup.sandbox.routes.objects import Objects
from jitsu_backup.sandbox.routes.reverse_syncs import ReverseSyncs
from tests.advice import last_message
from tests.support import OWNER, PRODUCTION, STAGING, cli


@pytest.fixture
def state(request: pytest.FixtureRequest) -> State:
    made = default_state(**getattr(request, "param", {}))
    example_workspace(made, STAGING)
    return made


@pytest.fixture
def ask(state: State, tmp_path: Path) -> Iterator[Any]:
    with running(Sandbox(state, rate_limit=False)) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
        yield lambda *arguments, **more: cli(*arguments, env={**env, **more}, cwd=tmp_path)


def ids(folder: Path) -> list[str]:
    """The ids of a store's archives, oldest first."""
    named = [name for path in folder.iterdir() if (name := parse_name(path.name)) is not None]
    return [name.digest_prefix for name in sorted(named, key=lambda name: name.sort_key)]


def test_no_file_is_overwritten_by_a_backup_or_a_page(ask: Any, tmp_path: Path) -> None:
    assert ask("backup", "acme-staging", "--output", "full.json.gz").returncode == 0
    before = (tmp_path / "full.json.gz").read_bytes()
    (tmp_path / "notes.txt").write_text("mine")
    for arguments in (
        ("backup", "acme-staging", "--output", "full.json.gz"),
        ("backup", "acme-staging", "--output", "notes.txt"),
        ("diff", "full.json.gz", "--html", "notes.txt"),
    ):
        done = ask(*arguments)
        assert (done.returncode, "the file exists" in done.stderr) == (2, True), done.stderr
    assert (tmp_path / "full.json.gz").read_bytes() == before
    assert (tmp_path / "notes.txt").read_text() == "mine"
    for _ in range(2):  # a page takes the place of a page
        assert ask("diff", "full.json.gz", "--html", "page.html").returncode == 0


def test_a_shrunken_latest_is_never_restored_unless_it_is_named(
    ask: Any, state: State, tmp_path: Path
) -> None:
    assert ask("backup", "acme-staging").returncode == 0
    for row in list(state.live_objects(STAGING, "destination")):
        row.deleted = True
    shrunk = ask("backup", "acme-staging")
    assert shrunk.returncode == 3
    good, bad = ids(tmp_path / "jitsu-backups")
    assert f"jitsu-backup restore acme-staging/{good} --dry-run\n" in shrunk.stderr
    for reference in ("latest", "acme-staging/latest", "2999-01-01"):
        done = ask("restore", reference, "--dry-run")
        assert done.returncode == 7
        assert f"the previous acme-staging/{good} has 21" in done.stderr
    assert f"acme-staging/{bad} is marked shrunk" in ask("show", "latest").stderr
    assert ask("restore", bad, "--dry-run").returncode == 0
    assert ask("restore", good, "--yes").returncode == 0
    assert len(list(state.live_objects(STAGING, "destination"))) == 4


def test_two_backups_of_one_second_are_told_apart(ask: Any, state: State, tmp_path: Path) -> None:
    for code in ("one", "two", "three"):
        state.objects["enrich-0001"].config["code"] = code
        assert ask("backup", "acme-staging").returncode == 0
    (latest,) = json.loads(ask("--json", "show", "latest", "function/Enrich").stdout)
    assert latest["code"] == "three"
    assert json.loads(ask("--json", "show", "latest~2", "function/Enrich").stdout)[0]["code"] == "one"


def test_the_way_back_works_as_it_is_printed(ask: Any, state: State, tmp_path: Path) -> None:
    store = ("--store", "a store")
    assert ask(*store, "backup", "acme-staging", "--new-store").returncode == 0
    state.objects["enrich-0001"].config["code"] = "of today"
    done = ask(*store, "restore", "latest", "--yes")
    (line,) = re.findall(r"To undo this run:\n  (.*)", done.stdout)
    program, *arguments = shlex.split(line)
    assert program == "jitsu-backup"
    assert ask(*arguments, "--yes").returncode == 0
    assert state.objects["enrich-0001"].config["code"] == "of today"


def test_the_way_back_to_an_encrypted_backup_works_as_it_is_printed(
    ask: Any, state: State, tmp_path: Path
) -> None:
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "my identity").write_text(str(identity))
    sealed = ("--identity", "my identity", "--encrypt-to", str(identity.to_public()))
    assert ask("backup", "acme-staging", "--new-store").returncode == 0
    state.objects["enrich-0001"].config["code"] = "of today"
    done = ask("restore", "latest", *sealed, "--yes")
    told = {
        line: shlex.split(line)
        for line in re.findall(r"To undo this run:\n  (.*)", done.stdout + done.stderr)
    }
    ((program, *arguments),) = told.values()  # as told before the first write, and at the end
    assert program == "jitsu-backup"
    back = ask(*arguments, "--yes")
    assert back.returncode == 0, back.stderr
    assert state.objects["enrich-0001"].config["code"] == "of today"


@pytest.mark.parametrize("state", [{"generation": Generation.NEWEST}], indirect=True)
@pytest.mark.parametrize("switched_on", [True, False])
def test_the_way_back_of_a_rebind_frees_what_the_sync_uses_again_and_leaves_the_sync_as_it_was(
    ask: Any, state: State, switched_on: bool
) -> None:
    def syncs() -> list[tuple[str, bool]]:
        rows = [row for row in state.live_links(STAGING) if row.type == "reverse-sync"]
        return [(row.to_id, not row.data["disabled"]) for row in rows]

    (row,) = (row for row in state.live_links(STAGING) if row.type == "reverse-sync")
    assert ask("backup", "acme-staging", "--new-store").returncode == 0
    row.data = {**row.data, "disabled": not switched_on}
    before, hook = syncs(), state.objects["crm-hook-0001"]
    hook.config["name"] = "CRM of today"
    done = ask("-v", "restore", "latest", "--rebind", "--yes")
    assert hook.config["name"] == "CRM webhook", done.stderr
    (line,) = re.findall(r"To return to the backup .*:\n  jitsu-backup (restore .*)", done.stdout)
    assert ("--rebind" in line, "--enable-reverse-syncs" in line) == (True, switched_on)
    back = ask(*shlex.split(line), "--yes")
    assert back.returncode == 0, back.stderr
    assert (hook.config["name"], syncs()) == ("CRM of today", before)


def refuse(*_: Any) -> Any:
    """Refuse to create a reverse sync, by a rule that nobody foresees."""
    raise Refusal(409, {"message": "A rule of tomorrow"})


@pytest.mark.parametrize("state", [{"generation": Generation.NEWEST}], indirect=True)
@pytest.mark.parametrize("switched_on", [True, False])
def test_a_sync_that_is_deleted_and_cannot_be_recreated_is_reported_with_the_command_that_brings_it_back(
    ask: Any, state: State, switched_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = (row for row in state.live_links(STAGING) if row.type == "reverse-sync")
    assert ask("backup", "acme-staging", "--new-store").returncode == 0
    row.data = before = {**row.data, "disabled": not switched_on}
    state.objects["crm-hook-0001"].config["name"] = "CRM of today"
    monkeypatch.setattr(ReverseSyncs, "create", refuse)
    done = ask("restore", "latest", "--rebind", "--yes")
    assert done.returncode == 3, done.stderr
    (why, line) = re.findall(r"^Lost: (.*)\nTo restore it:\n  jitsu-backup (.*)$", done.stdout, re.MULTILINE)[
        0
    ]
    assert (
        why
        == "reverse-sync 'Users → CRM of today' was deleted and could not be re-created: A rule of tomorrow"
    )
    monkeypatch.undo()
    back = ask(*shlex.split(line), "--yes")
    assert back.returncode == 0, back.stderr
    (made,) = (row for row in state.live_links(STAGING) if row.type == "reverse-sync")
    assert (made.to_id, made.data) == (row.to_id, before)
    assert state.objects["crm-hook-0001"].config["name"] == "CRM of today"


def test_after_a_write_that_failed_it_says_to_run_the_same_command_again(
    ask: Any, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask("backup", "acme-staging", "--new-store").returncode == 0
    code = state.objects["enrich-0001"].config["code"]
    state.objects["enrich-0001"].config["code"] = "of today"
    monkeypatch.setattr(Objects, "_merged", refuse)
    done = ask("restore", "latest", "--yes")
    assert (done.returncode, done.stderr.count("Traceback")) == (3, 0)
    assert "A rule of tomorrow\nRun the same command again: it writes what failed, and nothing" in done.stdout
    monkeypatch.undo()
    done = ask("restore", "latest", "--yes")
    assert (done.returncode, "the same command" in done.stdout) == (0, False)
    assert state.objects["enrich-0001"].config["code"] == code


@pytest.mark.parametrize("state", [{"generation": Generation.NEWEST}], indirect=True)
@pytest.mark.parametrize("as_json", [True, False])
def test_without_a_safety_backup_a_lost_sync_is_made_by_running_the_same_again(
    ask: Any, state: State, as_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask("backup", "acme-staging", "--new-store").returncode == 0
    state.objects["crm-hook-0001"].config["name"] = "CRM of today"
    monkeypatch.setattr(ReverseSyncs, "create", refuse)
    command = ("restore", "latest", "--rebind", "--no-safety-backup", "--yes")
    done = ask(*["--json"] * as_json, *command)
    assert done.returncode == 3, done.stderr
    if as_json:
        (lost,) = json.loads(done.stdout)["lost"]
        assert (lost["type"], lost["reason"]) == ("reverse-sync", "A rule of tomorrow")
    else:
        assert (
            "could not be re-created: A rule of tomorrow\nRun the same command again to re-create it.\n"
            in done.stdout
        )
    assert "Lost: " not in ask(*command).stdout
    monkeypatch.undo()
    assert ask(*command).returncode == 0
    assert [row.type for row in state.live_links(STAGING)].count("reverse-sync") == 1


def test_the_way_back_of_a_clone_is_untouched_by_the_profiles_overlay(
    ask: Any, state: State, tmp_path: Path
) -> None:
    settings = """
[profiles.staging]
workspace = "acme-staging"
[profiles.production]
workspace = "acme-production"
overlay = "production.toml"
"""
    (tmp_path / "jitsu-backup.toml").write_text(settings)
    overlay = tmp_path / "production.toml"
    overlay.write_text('["destination/Warehouse"]\nhost = "db.production"\n')
    clone = (
        "clone",
        "@staging",
        "@production",
        "--skip",
        "domain/*",
        "--allow-missing-secrets",
        "--keys-out",
        "k",
        "--yes",
    )
    assert ask(*clone).returncode == 3
    overlay.write_text('["destination/Warehouse"]\nhost = "db.typo"\n')
    done = ask(*clone)

    def hosts() -> list[str]:
        return sorted(
            str(o.config.get("host")) for o in state.objects.values() if "postgres" in str(o.config)
        )

    assert "db.typo" in hosts()
    (line,) = re.findall(r"To undo this run:\n  (.*)", done.stdout)
    back = ask(*shlex.split(line)[1:], "--yes")
    assert back.returncode == 0, back.stderr
    assert "db.typo" not in hosts()
    assert "db.production" in hosts()


def test_a_leading_tilde_is_the_home_folder_in_every_path(ask: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    assert ask("backup", "acme-staging", "--output=~/x.json.gz", HOME=str(home)).returncode == 0
    assert ask("diff", "~/x.json.gz", "--html=~/x.html", HOME=str(home)).returncode == 0
    assert ask("unpack", str(home / "x.json.gz"), "~/tree", HOME=str(home)).returncode == 0
    assert sorted(path.name for path in home.iterdir()) == ["tree", "x.html", "x.json.gz"]
    assert not (tmp_path / "~").exists()


def test_what_is_not_named_as_an_archive_is_reported(ask: Any, tmp_path: Path) -> None:
    assert ask("backup", "acme-staging").returncode == 0
    store = tmp_path / "jitsu-backups"
    (store / "before-upgrade.json.gz").write_bytes(next(store.iterdir()).read_bytes())
    for command in (("snapshots",), ("verify", "--all")):
        done = ask(*command)
        assert done.returncode == 0
        assert "before-upgrade.json.gz" in done.stderr


def test_a_key_of_another_console_is_reported_as_that(ask: Any) -> None:
    done = ask("--host", "http://127.0.0.1:9", "check", "acme-staging")
    assert done.returncode == 2
    assert "belongs to http://127.0.0.1" in done.stderr


def test_texts_of_a_workspace_cannot_command_the_terminal_through_json(ask: Any, state: State) -> None:
    state.objects["enrich-0001"].config["name"] = "En\u202erich\u200b"
    shown = (
        ask("--json", "show", "latest", "function/*")
        if ask("backup", "acme-staging").returncode == 0
        else None
    )
    assert shown is not None
    assert "\u202e" not in shown.stdout
    assert "En\u202erich\u200b" in [body["name"] for body in json.loads(shown.stdout)]


def test_a_blocked_plan_prints_an_overlay_that_unblocks_it_once_filled_in(ask: Any, tmp_path: Path) -> None:
    clone = (
        "clone",
        "acme-staging",
        "acme-production",
        "--skip",
        "domain/*",
        "--keys-out",
        "keys.json",
        "--yes",
    )
    done = ask(*clone)
    assert done.returncode == 7
    text = done.stdout.split("Overlay for what is missing (--overlay-out FILE writes it):\n\n")[1]
    variables = {
        value["env"]: "filled-in" for table in tomllib.loads(text).values() for value in table.values()
    }
    assert "WAREHOUSE_PASSWORD" in variables
    (tmp_path / "overlay.toml").write_text(text)
    filled = ask(*clone, "--overlay", "overlay.toml", **variables)
    assert filled.returncode == 3, filled.stderr  # a stream's domain stays with staging
    assert "filled-in" not in filled.stdout + filled.stderr
    assert "secret" not in filled.stdout.split("changes applied")[1]


def test_an_archive_with_the_operators_secrets_says_so_and_shows_them_when_asked(
    ask: Any, tmp_path: Path
) -> None:
    full = (
        "backup",
        "acme-staging",
        "--admin-token",
        "service:admintoken",
        "--plaintext-secrets",
        "--output",
        "full.json.gz",
    )
    made = ask(*full)
    assert "secrets and key hashes, " in made.stdout
    assert "masked by the console" not in made.stdout
    shown = ask("show", "full.json.gz").stdout
    assert "hidden by Jitsu" not in shown
    assert (
        json.loads(ask("show", "full.json.gz", "destination/Warehouse", "--secrets").stdout)["password"]
        == "pg-secret"
    )
    assert "pg-secret" not in shown + ask("show", "full.json.gz", "destination/Warehouse").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("check", "--host", "U"), 2, "--host goes before the command; write:\n  jitsu-backup --host URL check\n"),
        (("check", "--ca-bundle=F"), 2, "--ca-bundle goes before the command; write:\n  jitsu-backup --ca-bundle FILE check\n"),
        (("backup", "x", "--concurrency", "3"), 2, "before the command; write:\n  jitsu-backup --concurrency N backup\n"),
        (("check", "--new-store"), 2, "--new-store goes before the command; write:\n  jitsu-backup --new-store check\n"),
        (("check", "--hots", "U"), 2, "No such option '--hots'"),
        (("bakup",), 2, "Did you mean 'backup'"),
        (("backup", "acme-stagin"), 1, "it sees acme-production, acme-staging"),
        (("diff", "latest", "--only", "functions"), 2, "unknown type 'functions'; did you mean 'function'?"),
        (("diff", "latest", "--only", "function/nope"), 2, "'function/nope' matches nothing on either side"),
        (("show", "latest", "Warehouse"), 2, "unknown type 'Warehouse'"),
        (("show", "latest", "destination/no*"), 1, "no entity in the snapshot matches 'destination/no*'"),
        (("restore", "@staging"), 2, "no profile @staging, because the settings have no profiles"),
        (("restore", "live:@staging"), 2, "use @staging/latest"),
        (("show", "latest/@staging"), 2, "use @staging/latest"),
        (("show", "acme-stagin"), 2, "'acme-stagin' is not a snapshot; did you mean 'acme-staging'?"),
        (("restore", "30m"), 2, "'30m' could be minutes or months; write 30min or 30mo"),
        (("restore", "7d"), 1, "the store has no snapshot from 7d or before; the oldest is of "),
        (("restore", "latest~7"), 1, "latest to latest~0"),
        (("restore", "latest", "--overlay", "gone.toml"), 2, "cannot read gone.toml"),
        (("restore", "latest", "--html", "."), 2, "--html is empty or names a folder"),
        (("--store", "nope", "restore", "latest"), 1, "the store nope is empty (the folder does not exist)"),
    ],
)  # fmt: skip
def test_a_slip_of_the_hand_is_reported_with_what_was_intended(
    arguments: tuple[str, ...], code: int, words: str, ask: Any
) -> None:
    assert ask("backup", "acme-staging").returncode == 0
    done = ask(*arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr


def test_a_console_that_does_not_answer_is_reported_with_the_reason(ask: Any) -> None:
    refused = ask("backup", "acme-staging", JITSU_HOST="http://127.0.0.1:9")
    assert "cannot be reached: connection refused" in last_message(refused.stderr).splitlines()[0]
    host = re.search(r"127\S+", ask("check", "acme-staging").stdout)
    assert host is not None
    tls = ask("backup", "acme-staging", JITSU_HOST=f"https://{host[0]}")
    assert "try http:// instead of https://" in tls.stderr


@pytest.mark.parametrize("state", [{"generation": Generation.NEWEST}], indirect=True)
def test_a_backup_with_the_operators_token_tells_which_secrets_an_export_that_is_cut_short_keeps_from_it(
    ask: Any, state: State
) -> None:
    audience = {"audience": {"kind": "existing", "audienceId": "1"}, "customerMatchTermsAccepted": True}
    (row,) = (row for row in state.live_links(STAGING) if row.type == "reverse-sync")
    ads = {"name": "Ads", "destinationType": "google-ads", "customerId": "1", "developerToken": "CANARY"}
    state.add_object(STAGING, "destination", "ads-0001", ads)
    data = {**row.data, "stream": "audience", "streamOptions": audience, "disabled": True}
    state.add_link(STAGING, "reverse-sync", row.from_id, "ads-0001", data, "retl-ads")
    command = ("backup", "acme-staging", "--plaintext-secrets", "--new-store")
    whole = ask(*command, JITSU_ADMIN_TOKEN="service:admintoken")
    assert (whole.returncode, "missing:" in whole.stderr) == (0, False), whole.stderr
    state.add_object(PRODUCTION, "model", "model-0002", dict(state.objects[row.from_id].config))
    state.add_object(PRODUCTION, "destination", "hook-0002", dict(state.objects[row.to_id].config))
    state.add_link(PRODUCTION, "reverse-sync", "model-0002", "hook-0002", {"version": 1}, "retl-old")
    cut = ask(*command, JITSU_ADMIN_TOKEN="service:admintoken")
    assert cut.returncode == 0, cut.stderr
    (told,) = (line for line in cut.stderr.splitlines() if "missing:" in line)
    assert told.startswith(
        "warning: missing: developerToken of Ads (acme-staging), because the console's export of reverse syncs cannot be read"
    )
    assert "put these secrets into an overlay" in told
    assert "CANARY" not in cut.stderr + cut.stdout
    assert "missing:" not in ask("backup", "acme-staging").stderr
