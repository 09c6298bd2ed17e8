"""What a first user is told: words that name snapshots, exit codes that fit, advice that works when followed."""

import ast
import os
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pyrage
import pytest

from jitsu_backup.archive import BY_PHRASE, archive_name, encode
from jitsu_backup.cli import cli as program
from jitsu_backup.cli.app import App
from jitsu_backup.errors import AccessError, BackupError, LockedError, StorageAccessError
from jitsu_backup.operations.verify import UnreadArchive, alarms_of
from jitsu_backup.sandbox import Sandbox, State, default_state, example_workspace, running
from jitsu_backup.store import FolderStore, read_file, write_file
from tests.restores.kit import typed
from tests.support import OWNER, STAGING, cli, make_snapshot, run

ROOT = Path(__file__).parents[1]


@pytest.fixture
def state() -> State:
    made = default_state()
    example_workspace(made, STAGING)
    return made


@pytest.fixture
def url(state: State) -> Iterator[str]:
    with running(Sandbox(state, rate_limit=False)) as address:
        yield address


@pytest.fixture
def ask(url: str, tmp_path: Path) -> Any:
    env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
    return lambda *arguments, **more: cli(*arguments, env={**env, **more}, cwd=tmp_path)


# -- SNAPSHOT ------------------------------------------------------------------------


def put(
    folder: Path, days_ago: float, count: int, *marks: str, slug: str = "acme", workspace: str = "w1"
) -> str:
    """Put an archive of `count` functions into the store, and return its id."""
    functions = [{"id": f"f{n}", "name": f"F{n}"} for n in range(count)]
    snapshot = make_snapshot({"function": functions}, slug=slug, workspace_id=workspace)
    object.__setattr__(snapshot, "taken_at", datetime.now(UTC) - timedelta(days=days_ago))
    name = archive_name(snapshot, marks)
    folder.mkdir(exist_ok=True)
    (folder / str(name)).write_bytes(encode(snapshot))
    return name.digest_prefix


def test_a_label_a_workspace_a_profile_and_a_relative_date_name_a_snapshot_wherever_one_is_taken(
    tmp_path: Path,
) -> None:
    store = tmp_path / "jitsu-backups"
    put(store, 9, 1, "release")
    put(store, 4, 2, "release")
    put(store, 0, 3)
    put(store, 0, 5, slug="other", workspace="w2")
    (tmp_path / "jitsu-backup.toml").write_text('[profiles.staging]\nworkspace = "acme"\n')

    def counted(*reference: str) -> int:
        done = cli("verify", "--json", *reference, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return int(re.findall(r'"function": ?(\d+)', done.stdout)[0])

    for reference, count in (
        ("acme", 3), ("w1", 3), ("@staging", 3), ("other", 5), ("release", 2), ("acme/release", 2),
        ("acme/7d", 1), ("@staging/3d", 2), ("acme/yesterday", 2), ("@staging/release", 2),
    ):  # fmt: skip
        assert counted(reference) == count, reference
    for line in (
        ("show", "release"),
        ("diff", "acme/7d", "@staging"),
        ("unpack", "other", "folder"),
        ("verify", "acme", "release"),
    ):
        done = cli(*line, cwd=tmp_path)
        assert done.returncode == 0, (line, done.stderr)
    told = cli("show", "release", cwd=tmp_path).stderr
    assert "2 snapshots have the label release: acme/" in told
    assert ", is the newest" in told
    assert (
        "@staging is a workspace, so its latest snapshot is used"
        in cli("show", "@staging", cwd=tmp_path).stderr
    )
    several = cli("show", "7d", cwd=tmp_path)
    assert (several.returncode, "acme/7d, other/7d" in several.stderr) == (2, True), several.stderr


def test_a_word_with_several_meanings_ends_with_2_and_names_each(tmp_path: Path) -> None:
    store = tmp_path / "jitsu-backups"
    labelled = put(store, 2, 1, "other")
    latest = put(store, 1, 2, slug="other", workspace="w2")
    done = cli("restore", "other", cwd=tmp_path)
    assert done.returncode == 2
    assert f"a label, acme/{labelled}; a workspace, other/{latest}" in done.stderr
    assert cli("show", "acme/other", cwd=tmp_path).returncode == 0
    assert cli("show", "other/latest", cwd=tmp_path).returncode == 0


def test_a_shrunken_snapshot_is_not_restored_by_a_word_that_is_no_id(ask: Any, tmp_path: Path) -> None:
    digest = put(tmp_path / "jitsu-backups", 8, 1, "shrunk", "mine", slug="acme-staging", workspace=STAGING)
    for word in ("mine", "acme-staging", "7d", "acme-staging/mine"):
        done = ask("restore", word, "--dry-run")
        assert (done.returncode, "is marked shrunk" in done.stderr) == (7, True), (word, done.stderr)
    assert (
        "is marked shrunk: many entities are missing"
        not in ask("restore", digest, "--into", "acme-staging", "--dry-run").stderr
    )


# -- exit codes ------------------------------------------------------------------------


def test_no_at_the_question_is_1_and_its_end_is_130(url: str, ask: Any, state: State, tmp_path: Path) -> None:
    assert ask("backup", "acme-staging").returncode == 0
    state.objects["enrich-0001"].config["code"] = "of today"
    for answer, code, words in (
        ("n", 1, "nothing was changed"),
        ("", 1, "nothing was changed"),
        ("\x04", 130, "interrupted"),
    ):
        got, said = typed(url, tmp_path, ["restore", "latest"], [lambda answer=answer: answer])  # type: ignore[misc]
        assert (got, words in said) == (code, True), (answer, said)
        assert state.objects["enrich-0001"].config["code"] == "of today"


def test_a_missing_key_to_an_archive_is_usage_a_wrong_one_access_and_damage_integrity(tmp_path: Path) -> None:
    data = encode(make_snapshot({"function": []}))
    key, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    sealed = pyrage.encrypt(data, [key.to_public()])
    (tmp_path / "sealed.age").write_bytes(sealed)
    (tmp_path / "cut.age").write_bytes(sealed[:-9])
    (tmp_path / "phrase.age").write_bytes(pyrage.passphrase.encrypt(data, "right"))
    (tmp_path / "key").write_text(str(key))
    (tmp_path / "other").write_text(str(other))
    (tmp_path / "none").write_text("nothing of the kind")
    right, wrong = {"JITSU_BACKUP_PASSPHRASE": "right"}, {"JITSU_BACKUP_PASSPHRASE": "wrong"}
    for line, env, code, words in (
        (("sealed.age", "--identity", "key"), {}, 0, ""),
        (("sealed.age",), {}, 2, "give --identity FILE"),
        (("sealed.age", "--identity", "gone"), {}, 2, "cannot read gone"),
        (("sealed.age",), {"JITSU_BACKUP_IDENTITY": "gone"}, 2, "cannot read"),
        (("sealed.age", "--identity", "none"), {}, 2, "AGE-SECRET-KEY-1"),
        (("sealed.age", "--identity", str(key)), {}, 2, "takes a file, but a key itself was given"),
        (("sealed.age", "--identity", "other"), {}, 6, "give one of them with --identity FILE"),
        (("cut.age", "--identity", "key"), {}, 5, "damaged or truncated"),
        (("phrase.age",), right, 0, ""),
        (("phrase.age",), {}, 2, "set JITSU_BACKUP_PASSPHRASE"),
        (("phrase.age",), wrong, 6, "the passphrase is wrong"),
    ):
        for command in (("show",), ("verify",)):
            done = cli(*command, *line, env=env, cwd=tmp_path)
            assert (done.returncode, words in done.stderr) == (code, True), (command, line, done.stderr)
            assert str(key) not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may be refused nothing")
def test_what_may_not_be_read_or_written_is_6_as_with_a_bucket(monkeypatch: Any, tmp_path: Path) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    monkeypatch.setattr("os.scandir", refuse)
    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    store, name = FolderStore(str(tmp_path)), str(archive_name(make_snapshot({})))
    for job in (
        lambda: read_file(tmp_path / "x"),
        lambda: write_file(tmp_path / "x", b""),
        lambda: run(store.listing()),
        lambda: run(store.create(name, b"")),
    ):
        with pytest.raises(StorageAccessError, match="ermission denied") as caught:
            job()
        assert caught.value.exit_code == AccessError.exit_code == 6


def test_an_archive_that_cannot_be_opened_gets_no_advice_for_damaged_ones() -> None:
    app = App({"as_json": False, "quiet": True, "verbose": False})
    (alarm,) = alarms_of(UnreadArchive("a.age", LockedError("the passphrase is wrong")), app.again)
    assert "quarantine" not in str(alarm)


def test_a_plan_that_is_stale_names_what_changed_what_is_new_and_what_is_gone(
    ask: Any, state: State, tmp_path: Path
) -> None:
    assert ask("backup", "acme-staging").returncode == 0
    assert ask("restore", "latest", "--plan-out", "plan.json").returncode == 0
    state.objects["enrich-0001"].config["code"] = "of today"
    state.objects["filter-0001"].deleted = True
    state.add_object(STAGING, "function", "extra", {"name": "Extra", "code": "x"})
    done = ask("restore", "--plan", "plan.json", "--yes")
    assert done.returncode == 7
    for words in (
        "function 'Enrich' (function/enrich-0001) has changed",
        "function 'Extra' (function/extra) is new",
        "function 'Only known users' (function/filter-0001) was deleted",
        "create a new plan with --plan-out",
    ):
        assert words in done.stderr, done.stderr


# -- advice ------------------------------------------------------------------------------


def flags_of(command: click.Command) -> set[str]:
    return {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}


def test_every_flag_and_command_that_a_message_names_exists() -> None:
    context = click.Context(program)
    commands = {name: program.get_command(context, name) for name in program.list_commands(context)}
    known = flags_of(program) | {"--help", "--help-all", "--version"}
    known |= {flag for command in commands.values() if command is not None for flag in flags_of(command)}
    known |= {"--now", "--from-file", "--from-env-file"}  # of systemctl and kubectl, in what init prints
    for path in (ROOT / "jitsu_backup").rglob("*.py"):
        if "sandbox" in path.parts or path.name == "page_rendering.py":  # which has a page's variables
            continue
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        unsaid = {node.value for node in nodes if isinstance(node, ast.Expr)}  # docstrings
        for node in nodes:
            if node in unsaid:
                continue
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            strange = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z](?![\w-])", text)) - known
            assert not strange, (path.name, strange)
            for name in re.findall(r"`jitsu-backup ([a-z]+)", text):
                assert name in commands, (path.name, text)


def test_errors_of_one_kind_have_one_code() -> None:
    for kind in (*AccessError.__subclasses__(), AccessError):
        assert kind.exit_code == 6
    assert BackupError.exit_code == 1


def test_a_command_to_run_later_has_what_reaches_the_console_and_no_key() -> None:
    options = {
        "config": Path("site.toml"), "store": "s3://backups/jitsu", "host": "http://jitsu.internal:3000",
        "ca_bundle": "our ca.pem", "insecure_http": True, "apikey": "key1:canary", "admin_token": "service:canary",
    }  # fmt: skip
    app = App({"as_json": False, "quiet": True, "verbose": False, **options})
    assert app.again("restore", "acme/latest") == (
        "jitsu-backup --config site.toml --store s3://backups/jitsu --host http://jitsu.internal:3000"
        " --ca-bundle 'our ca.pem' --insecure-http restore acme/latest"
    )
    assert App({"as_json": False}).again("check") == "jitsu-backup check"


@pytest.mark.parametrize(
    ("store", "shown"),
    [
        ("s3://AKIA:CANARY@bucket/p", "s3://bucket/p"), ("az://c/p?sig=CANARY", "az://c/p"), ("gs://b#CANARY", "gs://b"),
        ("https://h.example:9000/c?sig=CANARY", "https://h.example:9000/c"), ("s3://AKIA:x/CANARY@bucket", "URL"),
        ("s3://AKIA:x@y/CANARY@bucket", "URL"), ("s3://AKIA:CANARY/bucket", "URL"), ("s3://[u:CANARY@bucket", "s3://bucket"),
        ("s3:AKIA:CANARY@bucket", "URL"), ("file://u:CANARY@h/a", "file://h/a"), ("file:///a@b", "file:///a@b"),
        ("s3://b/a@b", "s3://b/a@b"), ("a@b/c?d", "a@b/c?d"), ("s3://u:CANARY@a://b@c", "URL"),
    ],
)  # fmt: skip
def test_a_command_to_run_later_names_a_store_without_its_credentials(store: str, shown: str) -> None:
    command = App({"as_json": False, "store": store}).again("check")
    assert shlex.split(command) == ["jitsu-backup", "--store", shown, "check"]


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("https://u:CANARY@jitsu.example/x", "https://jitsu.example/x"), ("u:CANARY@jitsu.example", "jitsu.example"),
        ("http://localhost:3000", "http://localhost:3000"), ("localhost:3000?t=CANARY", "localhost:3000"),
        ("http://u:x?CANARY@h", "URL"), ("http://[::1]:3000/#CANARY", "http://[::1]:3000/"), ("http://[u:CANARY@h", "http://h"),
    ],
)  # fmt: skip
def test_a_command_to_run_later_names_a_console_without_its_credentials(host: str, shown: str) -> None:
    command = App({"as_json": False, "host": host}).again("check")
    assert shlex.split(command) == ["jitsu-backup", "--host", shown, "check"]


def test_a_command_to_run_later_names_no_file_that_ends_with_this_run() -> None:
    passing = App({"as_json": False, "identity": ("/dev/fd/63", "/dev/null"), "config": "/proc/self/fd/3"})
    assert passing.identity_flags == ["--identity", "FILE", "--identity", "/dev/null"]
    assert passing.again("check") == "jitsu-backup --config FILE check"


def test_a_backup_to_run_later_protects_secrets_as_this_run_did() -> None:
    """Without these flags, a backup with the operator's token ends with 2."""
    app = App({"as_json": False, "encrypt_to": ("age1abc", "/dev/fd/63")})
    assert app.again("backup", "acme") == "jitsu-backup backup acme --encrypt-to age1abc --encrypt-to FILE"
    assert app.again("diff", "a", "b") == "jitsu-backup diff a b"
    plain = App({"as_json": False}, in_plain_text=True)
    assert plain.again("backup", "acme") == "jitsu-backup backup acme --plaintext-secrets"


@pytest.mark.parametrize(
    ("marks", "encrypted", "identities", "flags"),
    [
        (("key-abcdef",), True, (), ["--identity", "FILE"]), (("key-abcdef",), True, ("settings.key",), []),
        ((BY_PHRASE,), True, (), []), ((), False, (), []),
    ],
)  # fmt: skip
def test_a_command_that_opens_an_archive_asks_for_the_private_key_that_nothing_names(
    marks: tuple[str, ...], encrypted: bool, identities: tuple[str, ...], flags: list[str]
) -> None:
    archive = archive_name(make_snapshot({}), marks, encrypted=encrypted)
    app = App({"as_json": False})
    app.__dict__["settings"] = SimpleNamespace(identities=identities)
    assert app.flags_to_open([archive]) == flags
