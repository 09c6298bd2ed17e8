"""`diff` on the command line: archives, workspaces as they are, two consoles, and its exit codes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.operations.diff import Side, diff
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from tests.support import OWNER, STAGING, cli, make_snapshot


@pytest.fixture
def sandbox() -> Sandbox:
    state = default_state()
    example_workspace(state, STAGING)
    return Sandbox(state, rate_limit=False)


@pytest.fixture
def ask(sandbox: Sandbox, tmp_path: Path) -> Iterator[Any]:
    with running(sandbox) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
        yield lambda *arguments: cli(*arguments, env=env, cwd=tmp_path)


def test_since_the_last_backup_and_between_two(sandbox: Sandbox, ask: Any) -> None:
    assert ask("backup", "acme-staging").returncode == 0
    same = ask("diff", "latest", "--exit-code")
    assert (same.returncode, same.stdout.splitlines()[-1]) == (0, "no differences, 21 unchanged.")
    sandbox.state.objects["enrich-0001"].config["code"] += "\n// more"
    changed = ask("diff", "latest", "--exit-code")
    assert changed.returncode == 4
    assert "~ changed  function         Enrich" in changed.stdout
    assert "+// more" in changed.stdout
    assert ask("diff", "latest").returncode == 0
    assert ask("diff", "latest", "--exit-code", "--only", "stream/*").returncode == 0
    assert "function                               1          2" in ask("diff", "latest", "--stat").stdout
    report = json.loads(ask("--json", "diff", "live:acme-staging", "latest").stdout)
    assert report["counts"] == {"function": {"changed": 1}}
    assert report["changes"][0]["fields"][0]["code"][-1] == "-// more"


def test_a_pattern_that_finds_nothing_is_reported_and_changes_no_code(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "jitsu-backup.toml").write_text('[sets.none]\nonly = ["stream/y*"]\n')
    assert ask("backup", "acme-staging").returncode == 0
    note = "--only: 'function/x*' matches nothing on either side"
    for flags in ((), ("--stat",)):
        told = ask("diff", "latest", "--exit-code", "--only", "function/x*", "--only", "stream/*", *flags)
        assert (told.returncode, told.stdout.count(note)) == (0, 1), told.stdout
        assert "stream/*" not in told.stdout
    report = json.loads(ask("--json", "diff", "latest", "--only", "function/x*").stdout)
    assert report["notes"] == [note]
    assert "stream/y*" not in ask("diff", "latest", "--set", "none").stdout


def test_a_deleted_function_of_a_profile_builder_is_a_difference_and_counted_as_backup_counts(
    sandbox: Sandbox, ask: Any
) -> None:
    (told,) = json.loads(ask("--json", "backup", "acme-staging").stdout)["snapshots"]
    total = sum(told["counts"].values())
    same = ask("diff", "latest")
    assert same.stdout.splitlines()[-1] == f"no differences, {total} unchanged."
    function_id = sandbox.state.builders["profiles-0001"].function_id
    sandbox.state.objects[function_id].deleted = True
    gone = ask("diff", "latest", "--exit-code")
    assert gone.returncode == 4
    assert "- removed  function" in gone.stdout
    assert gone.stdout.splitlines()[-1] == f"1 removed, {total - 1} unchanged."


def test_what_changed_in_a_builders_function_is_found_by_the_functions_name_too(
    sandbox: Sandbox, ask: Any
) -> None:
    ask("backup", "acme-staging")
    function_id = sandbox.state.builders["profiles-0001"].function_id
    sandbox.state.objects[function_id].config["code"] += "\n// more"
    done = ask("diff", "latest", "--only", f"function/{function_id}", "--exit-code")
    assert done.returncode == 4
    assert "+// more" in done.stdout


def test_two_workspaces_as_they_are_and_a_clone_shows_only_real_differences(ask: Any) -> None:
    done = ask(
        "clone",
        "acme-staging",
        "acme-production",
        "--yes",
        "--allow-missing-secrets",
        "--keys-out",
        "keys.json",
    )
    assert done.returncode == 3
    both = ask("diff", "live:acme-staging", "live:acme-production", "--exit-code")
    assert both.returncode == 4
    lines = [line for line in both.stdout.splitlines() if line[:2] in ("~ ", "+ ", "- ")]
    assert [line.split(None, 2)[2].split(None, 1)[0] for line in lines if "domain" in line] == ["domain"]
    assert "enrich-0001" not in both.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("diff",), 2, "Missing argument"),
        (("diff", "latest"), 1, "is empty (the folder does not exist)"),
        (("diff", "live:acme-staging"), 2, "only one side; name the other one before it, or compare"),
        (("diff", "@staging", "latest"), 2, "no profile @staging"),
        (("diff", "live:@nobody", "latest"), 2, "no profile @nobody"),
        (("diff", "live:no-such-workspace", "live:acme-staging"), 1, "no-such-workspace"),
        (("diff", "live:acme-staging", "gone.json.gz"), 1, "gone.json.gz"),
        (("diff", "live:acme-staging", "live:acme-staging", "--only", "/x"), 2, "has no type"),
        (("diff", "live:", "latest"), 2, "no workspace"),
    ],
)
def test_what_cannot_be_compared_is_reported(
    arguments: tuple[str, ...], code: int, words: str, ask: Any
) -> None:
    done = ask(*arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_show_draws_what_is_connected_and_colour_is_asked_for_or_not(ask: Any) -> None:
    assert ask("backup", "acme-staging").returncode == 0
    lines = ask("show", "latest").stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("Connections (→) and syncs (⇢)"))
    drawn = [line.rstrip() for line in lines[at + 1 : at + 9]]
    assert drawn == [
        "CRM", "  ⇢ Warehouse       0 * * * *", "  ⇢ Warehouse       0 3 * * *", "Mobile app", "  → Alerts webhook",
        "Web site", "  → ClickHouse      Enrich, Only known users", "  → Warehouse       Enrich, user-recognition",
    ]  # fmt: skip
    assert "Not connected: BigQuery, Backend events" in lines
    assert "\x1b[" in ask("--color", "always", "show", "latest").stdout
    assert "\x1b[" not in ask("--color", "never", "show", "latest").stdout


def test_what_a_newer_console_fills_in_is_no_difference() -> None:
    hook = {"id": "h", "type": "destination", "destinationType": "webhook", "name": "H", "url": "https://x"}
    filled_in = {
        "signatureMethod": "none",
        "signatureHeader": "Jitsu-Signature",
        "signatureIncludeTimestamp": True,
    }
    before, after = (make_snapshot({"destination": [body]}) for body in (hook, {**hook, **filled_in}))
    assert diff(Side(before), Side(after)).counts() == {}
