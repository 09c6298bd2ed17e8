"""A canary stands in every place of a secret; no output holds it that was not asked to."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

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
    state.admin_secret = CANARY
    state.add_user(replace(state.users["u-owner"], api_key=f"key1:{CANARY}"))
    return Sandbox(state, rate_limit=False)


def test_no_secret_reaches_any_output_of_any_command_in_success_or_failure(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "overlay.toml").write_text(
        f'["destination/*"]\npassword = {{env = "SECRET"}}\nkeyFile = "{CANARY}"\nhost = "{CANARY}.example"\n'
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
            ("diff", "live:acme-staging", "live:acme-production", "--html", "diff.html"),
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
            (*into, "--dry-run", "--overlay", "overlay.toml", "--html", "plan.html"),
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
            ),
            (*into, "--yes", "--overlay", "overlay.toml", "--no-schema-check", "--resend-secrets"),
            ("restore", "latest", "--yes", "--prune", "--recreate"),
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
                "--yes",
                "--allow-missing-secrets",
                "--disable-links",
            ),
            ("clone", "acme-staging", "acme-production", "--yes", "--overlay", "overlay.toml", "--prune"),
            ("backup", "acme-staging", "--admin-token", f"service:{CANARY}", "--plaintext-secrets"),
            ("unpack", "latest", "other-folder"),
            ("backup", "acme-staging", "--admin-token", f"service:{CANARY}"),
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


def test_a_refused_entity_is_told_by_its_field_without_its_values(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "o.toml").write_text('["function/Enrich"]\nname = "2026-01-01T00:00:00Z"\n')
    with running(sandbox) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": f"key1:{CANARY}"}
        cli("backup", "acme-staging", env=env, cwd=tmp_path)
        command = (
            "restore", "latest", "--into", "acme-production", "--yes", "--overlay", "o.toml", "--allow-missing-secrets",
        )  # fmt: skip
        foreseen = cli(*command, env=env, cwd=tmp_path)
        done = cli(*command, "--no-schema-check", env=env, cwd=tmp_path)
    assert foreseen.returncode == 7
    assert "name: text that looks like a date" in foreseen.stderr
    assert done.returncode == 3
    assert "Failed to validate schema of function (name: must be string)" in " ".join(done.stdout.split())
    assert "not attempted" in done.stdout  # the connections that run it
    assert sum(row.workspace_id == PRODUCTION for row in sandbox.state.objects.values()) > 10
