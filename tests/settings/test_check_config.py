"""`check --config`: everything that is wrong with a settings file is told at once, and no secret with it."""

import json
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import encode
from tests.support import cli, make_snapshot

GOOD = """
store = "./backups"
encrypt_to = ["recipients"]
ping = {env = "CHECK"}
metrics = "jitsu.prom"
shrink_alarm = 0.3

[sets.marketing]
only = ["link/Web site -> *"]

[retention]
keep_daily = 14
time_zone = "Europe/Berlin"

[profiles.staging]
host = "https://jitsu.example.com"
workspace = "acme-staging"
key = {env = "STAGING_KEY"}

[profiles.production]
host = "https://jitsu.example.com"
workspace = "acme-production"
key = {file = "production.key"}
overlay = "production.toml"
protect = ["stream/*", "destination/Warehouse"]
ignore = ["service/*:credentials.host"]
"""
ENVIRONMENT = {"CHECK": "https://hc.example/CANARY", "STAGING_KEY": "key:CANARY-staging"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "jitsu-backup.toml").write_text(GOOD)
    (tmp_path / "production.key").write_text("key:CANARY-production\n")
    (tmp_path / "production.toml").write_text('["destination/x"]\nhost = "y"\n')
    (tmp_path / "recipients").write_text("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\n")
    return tmp_path


def check(folder: Path, *arguments: str, **env: str) -> Any:
    done = cli("check", *arguments, env={**ENVIRONMENT, **env}, cwd=folder)
    assert "CANARY" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_a_good_file_has_no_problems(folder: Path) -> None:
    done = check(folder, "--config")
    assert (done.returncode, done.stderr) == (0, "")
    assert "profile   @production  https://jitsu.example.com acme-production" in done.stdout
    assert done.stdout.endswith("No problems.\n")
    report = json.loads(check(folder, "--json", "--config", "jitsu-backup.toml").stdout)
    assert report["problems"] == []


def test_all_unknown_keys_are_named_each_with_the_nearest_known_one(folder: Path) -> None:
    text = (
        GOOD.replace("store =", "stor =")
        .replace("keep_daily", "keep_dayly")
        .replace("overlay =", "overlays =")
        .replace("time_zone =", 'metrics = "m"\ntime_zone =')
    )
    (folder / "jitsu-backup.toml").write_text(text + "shrink_alarm = 3\n")
    done = check(folder, "--config")
    assert done.returncode == 2
    for line in (
        "unknown setting 'stor'; did you mean 'store'?",
        "retention: unknown setting 'keep_dayly'; did you mean 'keep_daily'?",
        "unknown setting 'profiles.production.overlays'; did you mean 'overlay'?",
        "'profiles.production.shrink_alarm'; it belongs at the top of the file: move its line above [profiles.production]",
        "retention: unknown setting 'metrics'; it belongs at the top of the file: move its line above [retention]",
    ):
        assert line in done.stdout
    assert "5 problems." in done.stdout
    other = cli("snapshots", cwd=folder)
    assert other.returncode == 2
    assert (
        "(and 4 more problems); correct it, then check the file with:\n  jitsu-backup check --config "
        in other.stderr
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"./backups"', '"ftp://x"', "unknown kind of store"),
        ('"./backups"', '"s3://u:CANARY@b"', "the URL has credentials or options"),
        ('["recipients"]', '["age1nope"]', "is not a recipient"),
        ('["recipients"]', '["AGE-SECRET-KEY-1CANARY"]', "a recipient is a secret key"),
        ("0.3", "30", "'shrink_alarm' must be a number from 0 to 1"),
        ('"Europe/Berlin"', '"Mars/Olympus"', "time zone 'Mars/Olympus' is unknown"),
        (
            '{env = "STAGING_KEY"}',
            '{env = "NOT_SET"}',
            "profiles.staging: `key`: the environment variable NOT_SET is not set",
        ),
        ('"production.key"', '"gone.key"', "profiles.production: cannot read the secret file"),
        ('"production.toml"', '"gone.toml"', "profiles.production: overlay: cannot read"),
        ('"https://jitsu.example.com"', '"ftp://x"', "profiles.staging: the host is not an address"),
        ('{env = "CHECK"}', '"CANARY"', "give the address of a check"),
        ("keep_daily = 14", 'keep_within = "soon"', "not a time span"),
        ("keep_daily = 14", 'keep_label = "No Label"', "is not a label"),
    ],
)
def test_what_cannot_be_used_is_named(old: str, new: str, words: str, folder: Path) -> None:
    assert old in GOOD
    (folder / "jitsu-backup.toml").write_text(GOOD.replace(old, new))
    (folder / "jitsu-backup.toml").chmod(0o600)
    done = check(folder, "--config")
    assert done.returncode == 2
    assert words in done.stdout


def test_every_problem_of_every_kind_is_listed_in_one_round_and_once(folder: Path) -> None:
    wrong = {
        "store =": "stor =", "0.3": "30", "keep_daily": "keep_dayly", '["recipients"]': '["age1nope"]',
        '"jitsu.prom"': '"gone/jitsu.prom"', '{env = "CHECK"}': '"CANARY"',
        '"production.key"': '"gone.key"',
    }  # fmt: skip
    text = GOOD
    for old, new in wrong.items():
        assert old in text
        text = text.replace(old, new)
    own = 'notify = "CANARY"\nhost = "https://jitsu.example.com"\nkey = {file = "gone.key"}\n'
    (folder / "jitsu-backup.toml").write_text(own + text)
    (folder / "jitsu-backup.toml").chmod(0o600)
    found = [line.removeprefix("problem   ") for line in check(folder, "--config").stdout.splitlines()[3:]]
    gone = folder / "gone"
    starts = (
        "unknown setting 'stor'", "retention: unknown setting 'keep_dayly'", "'shrink_alarm' must be",
        "encrypt_to: 'age1nope' is not a recipient", "ping: not a URL", "notify: not a supported address",
        f"metrics: cannot write {gone / 'jitsu.prom'}: there is no folder {gone}; create it",
        "cannot read the secret file", "8 problems.",
    )  # fmt: skip
    assert [start for start in starts if not any(line.startswith(start) for line in found)] == [], found
    assert len(found) == len(starts)


@pytest.mark.parametrize(("text", "words"), [("not = toml = x", "not TOML"), ("\xff", "")])
def test_what_is_no_settings_file_is_code_2(text: str, words: str, folder: Path) -> None:
    (folder / "jitsu-backup.toml").write_bytes(text.encode("latin-1"))
    done = check(folder, "--config")
    assert done.returncode == 2
    assert words in done.stderr


def test_without_a_settings_file_it_says_where_it_looked(tmp_path: Path) -> None:
    done = check(tmp_path, "--config")
    assert done.returncode == 2
    assert (
        f"looked for ./jitsu-backup.toml and {tmp_path}/.config/jitsu-backup/jitsu-backup.toml" in done.stderr
    )


def test_a_key_in_clear_that_others_can_read_gets_a_warning(folder: Path) -> None:
    (folder / "jitsu-backup.toml").write_text('key = "key:CANARY"\n')
    (folder / "jitsu-backup.toml").chmod(0o644)
    done = check(folder, "--config")
    assert done.returncode == 0
    assert "others can read it" in done.stderr


def test_a_profiles_overlay_serves_clones_and_restores_into_it(folder: Path) -> None:
    (folder / "production.toml").write_text('["destination/Nowhere"]\nhost = "y"\n')
    (folder / "production.toml").write_text("not toml")
    (folder / "x.json.gz").write_bytes(encode(make_snapshot({"stream": []}, host="http://elsewhere.example")))
    done = cli("restore", "x.json.gz", "--into", "@production", env=ENVIRONMENT, cwd=folder)
    assert (done.returncode, "production.toml: not TOML" in done.stderr) == (2, True)
    done = cli("clone", "@staging", "@production", env=ENVIRONMENT, cwd=folder)
    assert (done.returncode, "production.toml: not TOML" in done.stderr) == (2, True)
