"""What an overlay's file may hold, how it refers to secrets, and the overlay that the tool itself writes."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import encode
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Snapshot
from jitsu_backup.planning import Overlay, PlanOptions, make_plan, parse_overlay
from jitsu_backup.reports import overlay_text
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from jitsu_backup.settings.overlay_file import open_overlay
from tests.support import OWNER, PRODUCTION, STAGING, cli, make_snapshot, recorded_snapshot

BOM = "\ufeff"


def overlay(folder: Path, text: str, name: str = "o.toml") -> Overlay:
    (folder / name).write_text(text, encoding="utf-8")
    return open_overlay(folder / name, os.environ).parse()


def refusal(folder: Path, text: str, name: str = "o.toml") -> str:
    with pytest.raises(UsageError) as caught:
        overlay(folder, text, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "twice"),
    [
        ('{"destination/A": {"host": "staging"}, "destination/A": {"host": "production"}}', "destination/A"),
        ('{"destination/A": {"host": "staging", "host": "production"}}', "host"),
        ('{"link/A": {"data": {"functionsEnv": {"X": "1", "X": "2"}}}}', "X"),
    ],
)
def test_a_key_that_stands_twice_in_json_is_refused_by_name(text: str, twice: str, tmp_path: Path) -> None:
    assert f"{twice!r} occurs twice in one object" in refusal(tmp_path, text, "o.json")


@pytest.mark.parametrize("name", ["o.toml", "o.json"])
def test_a_field_given_both_dotted_and_nested_is_refused_by_name(name: str, tmp_path: Path) -> None:
    given = {
        "o.toml": '["service/A"]\n"credentials.password" = "x"\ncredentials.password = "y"',
        "o.json": '{"service/A": {"credentials.password": "x", "credentials": {"password": "y"}}}',
    }
    message = refusal(tmp_path, given[name], name)
    assert message.endswith("'service/A' sets 'credentials.password' twice; remove one of them")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('functionsEnv = { literal = { env = "production" } }', {"functionsEnv": {"env": "production"}}),
        ('functionsEnv = { literal = { file = "a.csv" } }', {"functionsEnv": {"file": "a.csv"}}),
        ('"functionsEnv.env" = "production"', {"functionsEnv.env": "production"}),
        ('functionsEnv = { env = "production", X = "1" }', {"functionsEnv": {"env": "production", "X": "1"}}),
        ('functionsEnv = { literal = "x" }', {"functionsEnv": {"literal": "x"}}),
        ('x = { literal = { literal = { env = "a" } } }', {"x": {"literal": {"env": "a"}}}),
    ],
)
def test_a_table_that_looks_like_a_reference_can_be_written(text: str, meant: Any, tmp_path: Path) -> None:
    found = overlay(tmp_path, f'["link/A"]\n{text}\n')
    assert found.rules[0].patch == meant
    assert found.secrets == frozenset()


def test_a_reference_that_may_be_meant_as_it_stands_says_how_to_write_that(tmp_path: Path) -> None:
    message = refusal(tmp_path, '["link/A"]\nfunctionsEnv = { env = "production" }\n')
    assert message.endswith(
        'the environment variable production is not set (for the table itself, write { literal = { env = "production" } })'
    )


@pytest.mark.parametrize(
    ("given", "by"),
    [
        ('{ env = "A", file = "b" }', "env and file"),
        ('{ command = ["pass", "show"] }', "command"),
        ('{ env = "A", command = "x", plain = true }', "command and env"),
    ],
)
def test_what_was_intended_as_a_reference_and_is_none_is_reported(
    given: str, by: str, tmp_path: Path
) -> None:
    message = refusal(tmp_path, f'["destination/A"]\npassword = {given}\n')
    assert (
        f"destination/A.password has {by} in one reference; write only {{ env = … }} or {{ file = … }}"
        in message
    )


@pytest.mark.parametrize("name", ["o.toml", "o.json"])
def test_byte_order_marks_are_part_of_no_overlay_and_no_secret(name: str, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(f"{BOM}pw\n", encoding="utf-8")
    text = {
        "o.toml": 'password = { file = "pw" }',
        "o.json": '{"destination/A": {"password": {"file": "pw"}}}',
    }
    head = '["destination/A"]\n' if name == "o.toml" else ""
    assert overlay(tmp_path, BOM + head + text[name], name).rules[0].patch == {"password": "pw"}


def test_all_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    lines = "".join(f'["destination/{n}"]\npassword = {{ env = "NOT_SET_{n}" }}\n' for n in range(21))
    message = refusal(tmp_path, f'{lines}keyFile = {{ file = "gone-1" }}\ntoken = {{ file = "gone-2" }}\n')
    assert all(f"NOT_SET_{n}" in message for n in range(21))
    assert message.count("gone-") == 2


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_an_empty_variable_or_file_is_an_error_that_names_every_field_it_is_for(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CH_PASSWORD", text)
    (tmp_path / "host").write_text(text)
    given = '["destination/A"]\npassword = { env = "CH_PASSWORD" }\n["service/B".credentials]\nhost = { file = "host", plain = true }\n'
    message = refusal(tmp_path, given)
    assert message.startswith(f"overlay {tmp_path / 'o.toml'}: these values are empty: ")
    assert 'destination/A password from { env = "CH_PASSWORD" }' in message
    assert 'service/B credentials.host from { file = "host" }' in message
    assert 'write "" in the overlay' in message


def test_an_empty_text_in_an_overlay_is_a_value(tmp_path: Path) -> None:
    found = overlay(tmp_path, '["destination/A"]\npassword = ""\n')
    assert (found.rules[0].patch, found.secrets) == ({"password": ""}, frozenset())


@pytest.mark.parametrize("name", ["JITSU_APIKEY", "JITSU_ADMIN_TOKEN", "JITSU_BACKUP_PASSPHRASE", "JITSU_X"])
def test_an_overlay_sends_none_of_the_tools_own_variables_away(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "CANARY")
    message = refusal(tmp_path, f'["destination/A"]\npassword = {{ env = "{name}" }}\n')
    assert name in message
    assert "CANARY" not in message


def test_selectors_that_find_nothing_are_named_at_once() -> None:
    rules = parse_overlay({"destination/A": {"a": 1}, "destination/B": {"a": 1}})
    with pytest.raises(UsageError, match="'destination/A', 'destination/B' are not in the snapshot"):
        make_plan(_snapshot(), make_snapshot({}), PlanOptions(overlay=rules))


# -- the overlay that the tool writes ------------------------------------------------


def _snapshot(*names: tuple[str, str]) -> Snapshot:
    mask = "__MASKED_BY_JITSU__"
    bodies = [
        {"id": one, "name": name, "type": "destination", "destinationType": "clickhouse", "password": mask}
        for one, name in names
    ]
    return make_snapshot({"destination": bodies})


def _printed(*names: tuple[str, str]) -> dict[str, Any]:
    live = make_snapshot({"destination": []}, workspace_id=PRODUCTION, slug="acme-production")
    plan = make_plan(_snapshot(*names), live, PlanOptions())
    assert plan.blocked
    return tomllib.loads(overlay_text(plan))


def test_the_overlay_that_is_printed_names_an_entity_by_its_name_where_that_is_unique() -> None:
    printed = _printed(
        ("d1", "Warehouse"), ("d2", "Twin"), ("d3", "Twin"), ("d4", "d5"), ("d5", "x*"), ("d6", "y" * 101)
    )
    assert set(printed) == {f"destination/{n}" for n in ("Warehouse", "d2", "d3", "d4", "d5", "d6")}


@pytest.mark.parametrize("name", ['say "x"', "a\\b", "\u202eevil", "🦊", "tab\there", "\x7f"])
def test_the_overlay_that_is_printed_finds_its_entity_whatever_that_is_called(name: str) -> None:
    printed = _printed(("d\x7f1", name))
    found = parse_overlay({selector: {"password": "x"} for selector in printed})
    live = make_snapshot({"destination": []}, workspace_id=PRODUCTION)
    assert not make_plan(_snapshot(("d\x7f1", name)), live, PlanOptions(overlay=found)).blocked


def test_the_overlay_that_is_printed_has_a_variable_of_its_own_for_each_secret_that_it_may_use() -> None:
    printed = _printed(("d1", "Twin"), ("d2", "Twin"), ("d3", "Jitsu DB"), ("d4", "2nd"), ("d5", "数据"))
    names = [table["password"]["env"] for table in printed.values()]
    assert len(set(names)) == 5
    assert not any(name.startswith("JITSU_") or name[0].isdigit() for name in names)


def test_overlay_out_writes_what_is_missing_once_and_never_over_a_file(tmp_path: Path) -> None:
    state = default_state()
    example_workspace(state, STAGING)
    state.add_workspace("cproduction00000000000001", "Target", "target", {OWNER.partition(":")[0]: "owner"})
    out = tmp_path / "missing.toml"
    with running(Sandbox(state, rate_limit=False)) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
        line = ("clone", "acme-staging", "acme-production", "--overlay-out", "missing.toml")
        done = cli(*line, env=env, cwd=tmp_path)
        assert (done.returncode, out.stat().st_mode & 0o777) == (7, 0o600)
        assert "overlay to fill in written to missing.toml" in done.stderr
        assert "Overlay for what is missing" not in done.stdout
        written = out.read_text()
        variables = [v["env"] for table in tomllib.loads(written).values() for v in table.values()]
        again = cli(*line, env=env, cwd=tmp_path)
        assert (again.returncode, out.read_text()) == (2, written)
        filled = {**env, **dict.fromkeys(variables, "given")}
        more = (
            *line[:3],
            "--overlay",
            "missing.toml",
            "--overlay-out",
            "rest.toml",
            "--yes",
            "--keys-out",
            "k",
        )
        done = cli(*more, env=filled, cwd=tmp_path)
    assert done.returncode in (0, 3), done.stderr
    assert "nothing is missing that an overlay could provide" in done.stderr
    assert not (tmp_path / "rest.toml").exists()


@pytest.mark.parametrize(
    "reference",
    ['{ env = "MINE" }', '{ file = "key" }', '{ file = "whole" }', '{ file = "/proc/self/environ" }'],
)
def test_an_overlay_sends_no_key_of_a_console_away_however_it_is_named(
    reference: str, tmp_path: Path
) -> None:
    if "/proc" in reference and not Path("/proc/self/environ").exists():
        pytest.skip("there is no /proc here")
    (tmp_path / "key").write_text(OWNER)
    (tmp_path / "whole").write_text(json.dumps({"apikey": OWNER}))
    (tmp_path / "o.toml").write_text(f'["destination/Warehouse"]\npassword = {reference}\n')
    env = {"JITSU_HOST": "http://127.0.0.1:9", "JITSU_APIKEY": OWNER, "MINE": OWNER}
    # a fork has the /proc/self/environ of what it was forked from
    done = cli("clone", "a", "b", "--overlay", "o.toml", env=env, cwd=tmp_path, fresh="/proc" in reference)
    assert done.returncode == 2
    assert "contains the API key for http://127.0.0.1:9" in done.stderr
    assert OWNER not in done.stderr


@pytest.mark.parametrize(
    ("setting", "reference"),
    [
        ('[profiles.p]\nkey = { env = "PRODUCTION_KEY" }', '{ env = "PRODUCTION_KEY" }'),
        ('[profiles.p]\nadmin_token = { env = "PRODUCTION_KEY" }', '{ env = "ALIAS" }'),
        ('[profiles.p]\nkey = { env = "PRODUCTION_KEY" }', '{ env = "PRODUCTION_KEY", plain = true }'),
        ('key = { env = "PRODUCTION_KEY" }', '{ file = "whole" }'),
        ('key = { file = "key" }', '{ env = "PRODUCTION_KEY" }'),
        ('key = "prod:CANARY-key"', '{ env = "PRODUCTION_KEY" }'),
        ('passphrase = { env = "SHORT" }', '{ env = "SHORT" }'),
        ('ping = { env = "PRODUCTION_KEY" }', '{ env = "PRODUCTION_KEY" }'),
        ('identity = "AGE-SECRET-KEY-1CANARY"', '{ env = "IDENTITY" }'),
    ],
)
@pytest.mark.parametrize("command", ["clone", "restore"])
def test_an_overlay_sends_away_no_secret_that_the_settings_file_names_for_another_profile_or_use(
    setting: str, reference: str, command: str, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("prod:CANARY-key\n")
    (tmp_path / "whole").write_text(json.dumps({"apikey": "prod:CANARY-key"}))
    (tmp_path / "o.toml").write_text(f'["destination/Warehouse"]\nhost = {reference}\n')
    never = f'[profiles.never]\nkey = {{ command = ["touch", "{tmp_path}/run"] }}\n'
    (tmp_path / "jitsu-backup.toml").write_text(f"{setting}\n{never}")
    (tmp_path / "a.json.gz").write_bytes(encode(recorded_snapshot()))
    env = {
        "JITSU_HOST": "http://127.0.0.1:9", "JITSU_APIKEY": OWNER, "PRODUCTION_KEY": "prod:CANARY-key",
        "ALIAS": "prod:CANARY-key", "SHORT": "CANARY", "IDENTITY": "# a key\nAGE-SECRET-KEY-1CANARY\n",
    }  # fmt: skip
    line = ("clone", "a", "b") if command == "clone" else ("restore", "./a.json.gz", "--into", "b")
    done = cli(*line, "--overlay", "o.toml", env=env, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "another secret of this tool, such as another profile's key" in done.stderr
    assert "CANARY" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_an_overlay_may_hold_what_a_short_secret_of_the_settings_happens_to_stand_in(tmp_path: Path) -> None:
    (tmp_path / "o.toml").write_text('["destination/Warehouse"]\nhost = { env = "DATABASE" }\n')
    (tmp_path / "jitsu-backup.toml").write_text('passphrase = "data"\n')
    env = {"JITSU_HOST": "http://127.0.0.1:9", "JITSU_APIKEY": OWNER, "DATABASE": "database.example"}
    done = cli("clone", "a", "b", "--overlay", "o.toml", env=env, cwd=tmp_path)
    assert "own secrets" not in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("text", "mode", "warns"),
    [
        ('["destination/A"]\npassword = "CANARY"\n', 0o644, True),
        ('["a:destination/A"]\n"credentials.secretKey" = "CANARY"\n', 0o640, True),
        ('["destination/A"]\npassword = "CANARY"\n', 0o600, False),
        ('["destination/password"]\nhost = "db"\npassword = { env = "DB" }\n', 0o644, False),
        ('["service/CRM".credentials]\nhost = "db"\npassword = { env = "DB" }\n', 0o644, False),
        ('["service/CRM"]\n"credentials.host" = "db"\n', 0o644, False),
        ('["destination/A"]\nheaders = ["Authorization: CANARY"]\n', 0o644, True),
        ('["destination/A"]\nurl = "https://user:CANARY@hook.example"\n', 0o644, True),
        ('["destination/A"]\nurl = "https://hook.example"\n', 0o644, False),
    ],
)
def test_a_file_with_secrets_in_clear_that_others_can_read_gets_a_warning(
    text: str, mode: int, warns: bool, tmp_path: Path
) -> None:
    path = tmp_path / "o.toml"
    path.write_text(text)
    path.chmod(mode)
    warning = open_overlay(path, {}).warning()
    assert ("run chmod 600 on it" in warning, "CANARY" in warning) == (warns, False)
    assert (" of " in warning) == warns
