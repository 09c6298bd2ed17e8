"""A canary stands in every place of a secret; no output holds it that was not asked to."""

import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from jitsu_backup import sync
from jitsu_backup.errors import BackupError
from jitsu_backup.planning import parse_overlay
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from tests.faults import Fault, Faults
from tests.support import PRODUCTION, STAGING, cli

CANARY = "CANARY-7f3a"
PLACES = (
    "pg-secret", "ch-secret", "bq-secret", "hook-secret", "crm-secret", "ssh-secret", "slack-secret", "env-secret",
    "mongo-secret", "js.classic.key",
)  # fmt: skip


@pytest.fixture
def sandbox() -> Sandbox:
    state = default_state()
    example_workspace(state, STAGING)
    for table in (state.objects, state.links, state.builders):
        for row in table.values():
            for name in ("config", "data", "fields"):
                value: Any = getattr(row, name, None)
                if value is not None:
                    text = orjson.dumps(value).decode()
                    for place in PLACES:
                        text = text.replace(place, CANARY)
                    setattr(row, name, orjson.loads(text))
    state.admin_secret = f"{CANARY}-of-the-operator"  # else the owner's key would be the operator's too
    state.add_user(replace(state.users["u-owner"], api_key=f"key1:{CANARY}"))
    return Sandbox(state, rate_limit=False)


def test_no_secret_reaches_any_output_of_any_command_in_success_or_failure(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "overlay.toml").write_text(
        f'["destination/*"]\npassword = {{env = "SECRET"}}\nkeyFile = "{CANARY}"\nhost = "db.example"\n'
        f'["service/CRM".credentials]\npassword = "{CANARY}"\ntunnel_method.ssh_key = "{CANARY}"\n'
        '["function/Enrich"]\nname = "2026-01-01T00:00:00Z"\n'  # the console refuses it, with the whole object
    )
    faults = Faults(sandbox.app, lambda _: None)
    with faults.running() as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": f"key1:{CANARY}", "SECRET": CANARY}
        into = ("restore", "latest", "--into", "acme-production")
        commands = [
            ("check", "acme-staging"),
            ("backup", "acme-staging"),
            ("show", "latest"),
            ("show", "latest", "destination/Warehouse"),
            ("show", "latest", "*"),
            ("show", "latest", "--html", "show.html"),
            (
                "diff",
                "live:acme-staging",
                "live:acme-production",
                "--html",
                "diff.html",
                "--markdown",
                "diff.md",
            ),
            ("verify", "latest"),
            ("unpack", "latest", "folder", "--redact"),
            ("pack", "folder"),
            ("unpack", "latest", "folder"),
            ("backup", "acme-staging", "--unpack", "folder", "--redact"),
            (
                "verify",
                "--all",
                "--rehearse",
                "--log-format",
                "json",
                "--ping",
                f"http://127.0.0.1:9/{CANARY}",
            ),
            ("backup", "--all", "--metrics", "m.prom", "--ping", f"http://127.0.0.1:9/{CANARY}"),
            ("backup", "acme-staging", "nobody", "--log-format", "json", "--if-changed", "--label", "x"),
            ("backup", "acme-staging", "--encrypt-to", f"AGE-SECRET-KEY-1{CANARY}"),
            ("--store", f"s3://key:{CANARY}@bucket", "snapshots"),
            ("prune", "--keep-last", "1", "--workspace", "acme-production", "--log-format", "json"),
            ("snapshots",),
            (*into, "--yes"),
            (*into, "--dry-run", "--overlay", "overlay.toml", "--html", "plan.html", "--markdown", "plan.md"),
            (
                *into,
                "--yes",
                "--overlay",
                "overlay.toml",
                "--keys-out",
                "keys.json",
                "--no-schema-check",
                "--html",
                "restore.html",
                "--markdown",
                "restore.md",
            ),
            (*into, "--yes", "--overlay", "overlay.toml", "--no-schema-check", "--resend-secrets"),
            ("restore", "latest", "--yes", "--prune", "--recreate"),
            ("history", "acme-staging", "-p", "--markdown", "history.md", "--html", "history.html"),
            ("--json", "history", "acme-staging"),
            (
                "restore",
                "latest",
                "--overlay",
                "overlay.toml",
                "--no-schema-check",
                "--plan-out",
                "plan.json",
            ),
            ("restore", "--plan", "plan.json", "--yes"),
            (
                "clone",
                "acme-staging",
                "acme-production",
                "--overlay",
                "overlay.toml",
                "--no-schema-check",
                "--plan-out",
                "clone.json",
            ),
            ("restore", "--plan", "clone.json", "--overlay", "overlay.toml", "--yes"),
            (
                "clone",
                "acme-staging",
                "acme-production",
                "--yes",
                "--allow-missing-secrets",
                "--disable-links",
            ),
            ("clone", "acme-staging", "acme-production", "--yes", "--overlay", "overlay.toml", "--prune"),
            (
                "backup",
                "acme-staging",
                "--admin-token",
                f"service:{CANARY}-of-the-operator",
                "--plaintext-secrets",
            ),
            ("unpack", "latest", "other-folder"),
            ("backup", "acme-staging", "--admin-token", f"service:{CANARY}-of-the-operator"),
            ("show", "latest"),
        ]
        for command in commands:
            for style in (("-v",), ("--json",)):
                done = cli(*style, *command, env=env, cwd=tmp_path)
                assert "Traceback" not in done.stderr
                shown = done.stdout + done.stderr
                assert CANARY not in shown, (command, shown[:3000])
        faults.choose = lambda call: Fault("502") if call.number % 2 else Fault("cut-before", reached=True)
        done = cli("-v", "backup", "acme-staging", env=env, cwd=tmp_path)
        assert done.returncode == 1
        assert CANARY not in done.stdout + done.stderr
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != "overlay.toml":
            assert CANARY.encode() not in path.read_bytes(), path
            assert path.stat().st_mode & 0o077 == 0 or path.name == "m.prom", path


def test_a_refused_entity_is_reported_by_its_field_without_its_values(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "o.toml").write_text('["function/Enrich"]\nname = "2026-01-01T00:00:00Z"\n')
    with running(sandbox) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": f"key1:{CANARY}"}
        cli("backup", "acme-staging", env=env, cwd=tmp_path)
        command = (
            "restore", "latest", "--into", "acme-production", "--yes", "--overlay", "o.toml", "--allow-missing-secrets",
            "--keys-out", "keys.json",
        )  # fmt: skip
        foreseen = cli(*command, env=env, cwd=tmp_path)
        done = cli(*command, "--no-schema-check", env=env, cwd=tmp_path)
    assert foreseen.returncode == 7
    assert "name: text that looks like a date" in foreseen.stderr
    assert done.returncode == 3
    assert "Failed to validate schema of function (name: must be string)" in " ".join(done.stdout.split())
    assert "not attempted" in done.stdout  # the connections that run it
    assert sum(row.workspace_id == PRODUCTION for row in sandbox.state.objects.values()) > 10


CONFIG = f"""\
host = "URL"
workspace = "acme-staging"
key = {{command = ["sh", "-c", "echo key1:{CANARY}; echo {CANARY} >&2; exit $FAILS", "{CANARY}"]}}
ping = {{file = "ping-url"}}
store = "store"
[profiles.production]
workspace = "acme-production"
key = "key1:{CANARY}"
admin_token = {{file = "token"}}
overlay = "overlay.toml"
[profiles.broken]
host = "http://127.0.0.1:9/"
workspace = "acme-staging"
key = {{command = ["no-such-command", "{CANARY}"]}}
[profiles.closed]
host = "https://127.0.0.1:9/"
workspace = "acme-staging"
key = "key1:{CANARY}"
"""


def test_no_secret_of_settings_passphrases_proxies_or_stores_reaches_any_output(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    for name, text in {
        "overlay.toml": f'["destination/*"]\npassword = {{env = "SECRET"}}\nkeyFile = "{CANARY}"\n'
        f'["service/CRM".credentials]\npassword = "{CANARY}"\ntunnel_method.ssh_key = "{CANARY}"\n'
        f'["link/*".data.functionsEnv]\nAPI_TOKEN = "{CANARY}"\n',
        "bad-overlay.toml": f'["destination/*"]\npassword = "{CANARY}\n',
        "bad-overlay.json": f'{{"destination/*": {{"password": "{CANARY}"}}',
        "odd-overlay.json": f'{{"destination/*": {{"password": "{CANARY}\\ud800"}}}}',
        "bad.toml": f'key = "key1:{CANARY}\n',
        "odd.toml": f'key = 7\nadmin_token = ["{CANARY}"]\npassphrase = ["{CANARY}"]\n',
        "token": f"service:{CANARY}\n",
        "ping-url": f"http://user:{CANARY}@127.0.0.1:9/{CANARY}?{CANARY}",
        "identity": f"AGE-SECRET-KEY-1{CANARY}\n",
        "recipients": f"AGE-SECRET-KEY-1{CANARY}\n",
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    given = {path.name for path in tmp_path.iterdir()} | {"jitsu-backup.toml"}
    with running(sandbox) as url:
        (tmp_path / "jitsu-backup.toml").write_text(CONFIG.replace("URL", url))
        (tmp_path / "jitsu-backup.toml").chmod(0o600)
        env = {"SECRET": CANARY, "FAILS": "0", "JITSU_BACKUP_DEBUG": "1", "NO_PROXY": "127.0.0.1"}
        production = ("restore", "acme-staging/latest", "--into", "@production", "--overlay", "overlay.toml")
        store = {
            "AWS_ACCESS_KEY_ID": CANARY, "AWS_SECRET_ACCESS_KEY": CANARY, "AWS_SESSION_TOKEN": CANARY, "AWS_REGION": "x",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AZURE_STORAGE_ACCOUNT_NAME": "acc", "AZURE_STORAGE_ACCOUNT_KEY": CANARY,
            "GOOGLE_SERVICE_ACCOUNT_KEY": f'{{"private_key": "{CANARY}"}}', "GOOGLE_BASE_URL": "http://127.0.0.1:9",
        }  # fmt: skip
        proxy = {"HTTPS_PROXY": f"http://user:{CANARY}@127.0.0.1:9", "NO_PROXY": ""}
        odd_proxy = {"HTTPS_PROXY": f"gopher://user:{CANARY}@127.0.0.1:9", "NO_PROXY": ""}
        phrase = {"JITSU_BACKUP_PASSPHRASE": CANARY}
        commands: list[tuple[tuple[str, ...], dict[str, str]]] = [
            (("check", "--config"), {}), (("check",), {}), (("check", "@production"), {}), (("check", "@broken"), {}),
            (("check", "--config", "odd.toml"), {}), (("--config", "bad.toml", "snapshots"), {}), (("check",), {"FAILS": "3"}),
            (("check", "@closed"), proxy), (("check", "@closed"), odd_proxy), (("check",), {"SECRET": ""}),
            (("backup", "@production", "--log-format", "json", "--metrics", "m.prom"), {}),
            (("backup", "@production", "--plaintext-secrets", "--log-format", "json"), {}),
            (("backup",), {}), (("backup", "--encrypt-to", "recipients"), {}), (("backup",), {"JITSU_BACKUP_PING": f"ftp://{CANARY}"}),
            (("backup",), {"JITSU_BACKUP_PING": f"http://[{CANARY}"}), (("backup",), proxy), (("backup", "@closed"), proxy),
            (("backup", "--notify", f"http://user:{CANARY}@127.0.0.1:9/{CANARY}"), {}), (("backup", "--notify", CANARY), {}),
            (("backup",), {"JITSU_BACKUP_NOTIFY": f"slack:http://127.0.0.1:9/{CANARY}"}), (("backup", "--log-format", "json"), {"JITSU_BACKUP_NOTIFY": CANARY}),
            (("backup", "--output", "sealed.age"), phrase), (("show", "sealed.age"), {"JITSU_BACKUP_PASSPHRASE": f"{CANARY}-another"}),
            (("show", "acme-staging/latest", "--identity", "identity"), {}), (("show", "acme-staging/latest", "*"), {}),
            (("show", "acme-staging/latest", "--html", "show.html"), {}), (("snapshots",), {}), (("verify", "--all"), {}),
            (("verify", "--all", "--rehearse", "--log-format", "json", "--ping", f"http://a:{CANARY}@127.0.0.1:9/"), {}),
            (("diff", "acme-staging/latest", "live:@production", "--html", "diff.html", "--markdown", "diff.md"), {}),
            (("diff", "acme-staging/latest", "live:@production", "--stat"), {}),
            (("unpack", "acme-staging/latest", "redacted", "--redact"), {}), (("pack", "redacted"), {}),
            ((*production, "--dry-run"), {}), ((*production[:-1], "bad-overlay.toml", "--dry-run"), {}),
            ((*production[:-1], "bad-overlay.json", "--dry-run"), {}), ((*production[:-1], "odd-overlay.json", "--dry-run"), {}),
            ((*production, "--plan-out", "plan.json"), {}), (("restore", "--plan", "plan.json", "--yes"), {}),
            ((*production, "--yes", "--resend-secrets", "--html", "restored.html", "--markdown", "restored.md"), {}),
            (("clone", "acme-staging", "@production", "--yes", "--keys-out", "keys.json", "--prune"), {}),
            (("clone", "acme-staging", "@production", "--yes", "--dry-run"), {"SECRET": ""}),
            (("undo", "@production", "--yes", "--keys-out", "more.json", "--html", "undone.html"), {}),
            (("history", "-p", "--markdown", "history.md"), {}), (("history", "@production", "-p"), {}),
            (("prune", "--keep-last", "1", "--log-format", "json", "--ping", f"http://127.0.0.1:9/{CANARY}"), {}),
            (("prune", "--keep-last", "1", "--dry-run"), {}), (("completion", "bash"), {}),
            (("--store", "s3://bucket/x", "snapshots"), store), (("--store", "gs://bucket/x", "snapshots"), store),
            (("--store", "az://bucket/x", "snapshots"), store), (("--store", f"s3://k:{CANARY}@b/x", "backup"), store),
            (("--store", "s3://bucket", "snapshots"), {**store, "AWS_ENDPOINT_URL": f"http://a:{CANARY}@127.0.0.1:9"}),
            (("--host", f"http://user:{CANARY}@127.0.0.1:9", "check"), {}),
            (("--store", f"s3://k:{CANARY}@b/x", "backup", "--log-format", "json", "--metrics", "store.prom"), {}),
            (("--store", f"az://c/x?sig={CANARY}", "clone", "acme-staging", "@production", "--yes"), {}),
            (("--host", f"http://127.0.0.1:9?{CANARY}", "drill", "--metrics", "drill.prom"), {}),
            (("show", f"s3://k:{CANARY}@b"), {}), (("show", f"https://127.0.0.1:9/x.json.gz?{CANARY}"), {}),
            (("show", f"file://u:{CANARY}@h/x"), {}), (("backup", f"s3://k:{CANARY}@b/x"), {}), (("snapshots", f"s3://k:{CANARY}@b/x"), {}), ((f"s3://k:{CANARY}@b",), {}),
            (("check", "x", f"s3://k:{CANARY}@b"), {}), (("backup", "--log-format", "json", "--deadline", f"az://c?{CANARY}"), {}),
            (("pack", f"s3://k:{CANARY}@b/x"), {}), (("recover", "--from", f"https://u:{CANARY}@h", "--yes"), {}),
            (("recover", "--into", f"https://u:{CANARY}@h", "--yes"), {}), (("--apikey", CANARY, "check"), {}),
            (("--apikey", f"key1:{CANARY}-wrong", "check"), {}), (("backup", "--admin-token", CANARY), {}),
            (("backup", "--admin-token", f"service:{CANARY}-wrong", "--plaintext-secrets"), {}),
            (("show", "acme-staging/latest", "--identity", f"AGE-SECRET-KEY-1{CANARY}"), {}),
        ]  # fmt: skip
        for number, (command, more) in enumerate(commands):
            done = cli(
                "-v", *(("--json",) if number % 2 else ()), *command, env={**env, **more}, cwd=tmp_path
            )
            shown = done.stdout + done.stderr
            assert "Traceback" not in done.stderr, (command, shown[-2000:])
            assert CANARY not in shown, (command, shown[:3000])
            completing = {**env, **more, "_JITSU_BACKUP_COMPLETE": "bash_complete", "COMP_CWORD": "2"}
            if number < 3:
                words = {"COMP_WORDS": f"jitsu-backup {command[0]} "}
                assert CANARY not in str(cli(env={**completing, **words}, cwd=tmp_path))
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name not in given:
            assert CANARY.encode() not in path.read_bytes(), path


def test_the_python_api_shows_no_secret_in_what_it_gives_or_raises(sandbox: Sandbox) -> None:
    rules = {
        "destination/*": {"password": CANARY, "keyFile": CANARY},
        "service/*": {"credentials": {"password": CANARY}},
    }
    seen: list[str] = []
    with running(sandbox) as url:
        connection = sync.connect(url, f"key1:{CANARY}", report=lambda event: seen.append(repr(event)))
        snapshot = sync.read(connection, "acme-staging")
        prepared = sync.plan(
            connection, snapshot, "acme-production", overlay=rules, allow_missing_secrets=True
        )
        result = sync.apply(connection, prepared)
        overlay = parse_overlay(rules)
        changes = sync.diff(snapshot, sync.read(connection, "acme-production"))
        for value in (
            connection, connection.key, connection.open(), snapshot, *snapshot.entities, prepared, prepared.plan,
            *prepared.plan.actions, prepared.options, overlay, *overlay.rules, result, *result.outcomes, *result.found, changes,
            *result.keys,
        ):  # fmt: skip
            seen += [repr(value), str(value), f"{value}"]
        wrong: list[Callable[[], object]] = [
            lambda: sync.connect(f"http://user:{CANARY}@host", "a:b"),
            lambda: sync.connect(url, CANARY),
            lambda: sync.read(sync.connect(url, f"key1:{CANARY}-wrong"), "acme-staging"),
            lambda: sync.read(
                sync.connect("http://127.0.0.1:9", f"key1:{CANARY}", timeout=1.0), "acme-staging"
            ),
            lambda: sync.plan(connection, snapshot, "acme-production", overlay={"destination/*": CANARY}),
            lambda: sync.plan(
                connection, snapshot, "acme-production", overlay={"destination/*": {"password": {1: CANARY}}}
            ),
            lambda: sync.plan(
                connection, snapshot, "acme-production", overlay={"destination/x": {"password": CANARY}}
            ),
            lambda: sync.dump(snapshot, encrypt_to=(f"AGE-SECRET-KEY-1{CANARY}",)),
            lambda: sync.load(sync.dump(snapshot, passphrase=CANARY), passphrase=f"{CANARY}-wrong"),
            lambda: sync.load(sync.dump(snapshot)[:-9]),
        ]
        for job in wrong:
            with pytest.raises(BackupError) as caught:
                job()
            seen += traceback.format_exception(caught.value, chain=True)[-1:]
            chained = caught.value
            while chained is not None:
                seen += [repr(chained), str(chained)]
                chained = None if chained.__suppress_context__ else chained.__context__
    assert [text for text in seen if CANARY in text] == []
