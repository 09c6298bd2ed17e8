"""`backup` with the operator's token: a whole console, its secrets in the same run, and what even the token cannot read."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from jitsu_backup.archive import CLONED, OPERATOR, ArchiveName, decode, source_mark
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.known_before import KnownBefore
from jitsu_backup.operations.vanished_store import ExpectedStore
from jitsu_backup.sandbox import Generation, Sandbox, default_state, example_workspace, running
from tests.support import OWNER, PRODUCTION, STAGING
from tests.unattended.workbench import Bench

TOKEN = "service:admintoken"
MONGO = {
    "name": "Mongo",
    "destinationType": "mongodb",
    "url": "mongodb://m",
    "database": "d",
    "password": "pw-canary",
}
OTHERS = "cothers00000000000000009"


def as_operator(bench: Bench, *arguments: str, **env: str) -> Any:
    bench.env = {"JITSU_HOST": bench.url}
    return bench.run(*arguments, **{"JITSU_ADMIN_TOKEN": TOKEN, **env})


@pytest.mark.parametrize("variable", ["JITSU_APIKEY", "JITSU_ADMIN_TOKEN"])
def test_all_workspaces_are_backed_up_with_their_secrets_in_one_run(bench: Bench, variable: str) -> None:
    bench.state.add_workspace(OTHERS, "Others", "others-co", {})
    bench.env = {"JITSU_HOST": bench.url}
    done = bench.run("backup", "--all", "--plaintext-secrets", **{variable: TOKEN})
    assert (done.returncode, "3 workspaces: 3 backed up" in done.stdout) == (0, True)
    assert {archive.slug for archive in bench.archives} == {"acme-staging", "acme-production", "others-co"}
    (secret,) = (archive for archive in bench.archives if archive.workspace_id == STAGING)
    assert secret.key_class == OPERATOR
    snapshot = decode((bench.folder / "jitsu-backups" / str(secret)).read_bytes())
    assert snapshot.manifest.source.role == "admin"
    assert snapshot.manifest.complete
    assert [member["role"] for member in snapshot.members] == ["owner", "analyst"]


@pytest.mark.parametrize("what", [["--all"], ["acme-staging"], ["acme-staging", "acme-production"]])
def test_secrets_in_clear_are_refused_before_anything_is_kept(bench: Bench, what: list[str]) -> None:
    done = as_operator(bench, "backup", *what)
    assert done.returncode == 2
    assert done.stderr.count("would hold unencrypted secrets; encrypt it with --encrypt-to") == 1
    assert "or use a user's key" in done.stderr
    done = bench.run("backup", *what, JITSU_APIKEY=TOKEN)
    assert done.returncode == 2
    assert "would hold unencrypted secrets" in done.stderr
    assert bench.archives == []


def test_encrypted_archives_need_no_other_word(bench: Bench) -> None:
    done = as_operator(bench, "backup", "acme-staging", JITSU_BACKUP_PASSPHRASE="correct horse")
    assert done.returncode == 0
    assert [archive.key_class for archive in bench.archives] == [OPERATOR]


def test_secrets_in_clear_beside_the_encrypted_archives_of_their_workspace_are_warned_of(
    bench: Bench,
) -> None:
    assert bench.run("backup", "acme-staging", JITSU_BACKUP_PASSPHRASE="correct horse").returncode == 0
    warning = "the store's newest archives of acme-staging are encrypted, and this run writes"
    done = as_operator(bench, "backup", "acme-production", "--plaintext-secrets")
    assert (done.returncode, warning in done.stderr) == (0, False)
    done = as_operator(bench, "backup", "--all", "--plaintext-secrets")
    assert (done.returncode, done.stderr.count(warning)) == (0, 1)
    done = as_operator(bench, "backup", "--all", "--plaintext-secrets")
    assert (done.returncode, warning in done.stderr) == (0, False)


def test_an_archive_of_a_person_in_plain_text_beside_an_encrypted_one_is_warned_of(bench: Bench) -> None:
    assert bench.run("backup", "acme-staging", JITSU_BACKUP_PASSPHRASE="correct horse").returncode == 0
    done = bench.run("backup", "acme-staging")
    assert (done.returncode, "acme-staging are encrypted, and this run writes" in done.stderr) == (0, True)


def test_the_backup_under_its_id_or_slug_says_how_a_workspace_is_kept_before_what_a_recovery_left() -> None:
    lost, kept, left = (
        ArchiveName("shop", one, datetime(2026, 11, day, tzinfo=UTC), f"{day:012x}", marks)
        for one, day, marks in (
            ("clost", 1, ()),
            ("cnew", 2, ()),
            ("cnew", 3, (CLONED, source_mark("http://lost.example", "clost"))),
        )
    )
    for names, known, newest in (
        ({"cnew", "shop"}, (lost, left), lost),
        ({"cnew", "shop"}, (left, kept, lost), kept),
        ({"cnew"}, (lost, left), left),
        ({"cother"}, (lost, left), None),
        ({"cnew", "shop"}, (kept, replace(lost, taken_at=datetime(2026, 11, 9, tzinfo=UTC))), kept),
    ):
        before = KnownBefore(ExpectedStore(), ArchiveKeys())
        before.add(known)
        assert next(before.newest_of([names]), None) == newest


def test_what_even_the_token_cannot_read_is_reported_by_entity_in_one_line(bench: Bench) -> None:
    for number in range(5):
        bench.state.add_object(
            PRODUCTION, "destination", f"mongo-{number}", {**MONGO, "name": f"Mongo {number}"}
        )
    done = as_operator(bench, "backup", "--all", "--plaintext-secrets")
    assert done.returncode == 0
    (told,) = (
        line for line in done.stderr.splitlines() if "not readable even with the operator's token" in line
    )
    assert "password of Mongo 0 (acme-production), " in told
    assert re.search(r" and \d+ more, because Jitsu exports secrets only of connected entities", told)
    assert "canary" not in told
    unchanged = as_operator(bench, "backup", "--all", "--plaintext-secrets", "--if-changed")
    assert unchanged.returncode == 0


def test_nothing_is_reported_where_the_token_reads_everything(bench: Bench) -> None:
    done = as_operator(bench, "backup", "acme-staging", "--plaintext-secrets")
    assert (done.returncode, "not readable even" in done.stderr, "masks" in done.stdout) == (0, False, False)


def test_workspaces_that_only_the_token_sees_are_reported_where_a_users_key_reads(bench: Bench) -> None:
    bench.state.add_workspace(OTHERS, "Others", "others-co", {})
    run = ("backup", "--all", "--plaintext-secrets")
    done = bench.run(*run, JITSU_ADMIN_TOKEN=TOKEN)
    assert done.returncode == 0
    assert {archive.slug for archive in bench.archives} == {"acme-staging", "acme-production"}
    assert "not backed up: 1 workspace that only the operator's token can see" in done.stderr
    assert "others-co; to back up every workspace with --all, give that token as the only key" in done.stderr
    assert (
        "that only the operator's token can see"
        not in bench.run(*run, "--allow-unseen", "others-co", JITSU_ADMIN_TOKEN=TOKEN).stderr
    )


def test_a_token_that_is_refused_ends_with_6(bench: Bench) -> None:
    for env in ({"JITSU_ADMIN_TOKEN": "service:wrong-token"}, {"JITSU_APIKEY": "service:wrong-token"}):
        bench.env = {"JITSU_HOST": bench.url}
        done = bench.run("backup", "--all", "--plaintext-secrets", **env)
        assert (done.returncode, "Invalid API key id service" in done.stderr) == (6, True)
        assert "wrong-token" not in done.stderr
    done = bench.run(
        "backup", "--all", "--plaintext-secrets", JITSU_APIKEY=OWNER, JITSU_ADMIN_TOKEN="a:wrong-token"
    )
    assert (done.returncode, "Invalid API key id a (the operator's token)" in done.stderr) == (6, True)


@pytest.mark.parametrize("generation", list(Generation))
def test_check_says_what_the_token_can_do(bench: Bench, generation: Generation) -> None:
    state = default_state(generation=generation)
    example_workspace(state, STAGING)
    with running(Sandbox(state)) as bench.url:
        whole, one = as_operator(bench, "check"), as_operator(bench, "check", "acme-staging")
        facts = orjson.loads(as_operator(bench, "--json", "check", "acme-staging").stdout)
    assert (whole.returncode, one.returncode) == (0, 0)
    assert "the operator's token: `backup --all` reads every workspace, with its secrets" in whole.stdout
    assert "acme-production, acme-staging" in whole.stdout
    assert "the operator's token: can restore into it" in one.stdout
    assert (facts["operator"], facts["can_write"], facts["role"], facts["limits"]) == (
        True,
        True,
        "admin",
        {},
    )


def test_every_command_takes_the_token_where_there_is_no_other_key(bench: Bench) -> None:
    assert as_operator(bench, "backup", "acme-staging", "--plaintext-secrets").returncode == 0
    into = ("--allow-missing-secrets", "--keys-out", "keys.json", "--yes")
    there = ("acme-staging/latest", "--into", "acme-production", "--ids", "new")
    for arguments, code in (
        (("check", "acme-staging"), 0),
        (("diff", "acme-staging/latest"), 0),
        (("restore", "acme-staging/latest", "--dry-run"), 0),
        (("restore", *there, *into), 3),  # a reverse sync comes back disabled
        (("undo", "acme-production", "--yes"), 0),
        (
            ("clone", "acme-staging", "acme-production", "--take", "source", *into, "--dry-run"),
            3,
        ),  # a domain is in use
    ):
        done = as_operator(bench, *arguments)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert TOKEN.partition(":")[2] not in done.stdout + done.stderr


def test_a_key_for_another_console_does_not_stand_in_the_way_of_the_token(bench: Bench) -> None:
    (bench.folder / ".jitsu").mkdir()
    (bench.folder / ".jitsu" / "jitsu-cli.json").write_text(
        '{"host": "https://use.jitsu.com", "apikey": "a:bbbbbbbb"}'
    )
    done = as_operator(bench, "check", HOME=str(bench.folder))
    assert (done.returncode, "the operator's token" in done.stdout) == (0, True)
    typed = as_operator(bench, "--host", "http://127.0.0.1:9", "--apikey", "a:bbbbbbbb", "check")
    assert "operator" not in typed.stdout + typed.stderr
