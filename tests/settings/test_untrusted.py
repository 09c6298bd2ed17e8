"""What others may have written, or put in the place of a file, is not obeyed and not waited for."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from jitsu_backup.archive import encode
from jitsu_backup.cli.app import App
from jitsu_backup.cli.archive_keys import NamedArchiveKeys, recipients_of
from jitsu_backup.cli.unattended import monitor_at
from jitsu_backup.errors import UsageError
from jitsu_backup.network import TRUST, check_files
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from jitsu_backup.settings import Overrides, Settings, load
from jitsu_backup.settings.sources import _split
from jitsu_backup.store import open_store
from tests.advice import last_message
from tests.support import OWNER, STAGING, cli, recorded_snapshot

KEY = "key1:secret"
HARMFUL = [
    'key = { command = ["steal"] }', 'host = "https://evil.example"', 'key = "a:b"', 'admin_token = "a:b"',
    'passphrase = "x"', 'ping = "https://evil.example"', 'encrypt_to = "age1x"', 'ca_bundle = "evil.pem"',
    'store = "/evil"', 'metrics = "/evil.prom"', '[profiles.a]\noverlay = "evil.toml"',
    '[profiles.a]\nhost = "https://evil.example"', '[profiles.a]\nkey = { env = "X" }',
]  # fmt: skip


@pytest.fixture
def url() -> Iterator[str]:
    state = default_state()
    example_workspace(state, STAGING)
    with running(Sandbox(state, rate_limit=False)) as url:
        yield url


def settings(folder: Path, toml: str, *, named: bool = False, **environment: str) -> Settings:
    path = folder / "jitsu-backup.toml"
    if not path.exists():
        path.write_text(toml)
    return load(path if named else None, environment, None, folder, Overrides())


@pytest.mark.parametrize("mode", [0o666, 0o602, 0o620])
@pytest.mark.parametrize("toml", HARMFUL)
def test_settings_that_others_may_write_are_refused_where_they_can_do_harm(
    mode: int, toml: str, tmp_path: Path
) -> None:
    (tmp_path / "jitsu-backup.toml").write_text(toml)
    (tmp_path / "jitsu-backup.toml").chmod(mode)
    with pytest.raises(UsageError, match="can be written by others") as caught:
        settings(tmp_path, toml)
    assert f"settings file {tmp_path / 'jitsu-backup.toml'}: " in str(caught.value)
    assert str(caught.value).endswith("; run chmod go-w on it, or name it with --config if you trust it")
    settings(tmp_path, toml, named=True)  # whoever names the file trusts it
    settings(tmp_path, toml, JITSU_BACKUP_CONFIG=str(tmp_path / "jitsu-backup.toml"))
    (tmp_path / "jitsu-backup.toml").chmod(0o644)
    settings(tmp_path, toml)


def test_settings_that_somebody_else_owns_are_refused_where_they_can_do_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "jitsu-backup.toml"
    path.write_text(HARMFUL[0])
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(UsageError, match=r"belongs to another user .*sets key; name it with --config"):
        settings(tmp_path, "")
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid)
    settings(tmp_path, "")
    monkeypatch.setattr(os, "geteuid", lambda: 0)  # by sudo
    settings(tmp_path, "", SUDO_UID=str(path.stat().st_uid))


def official(home: Path, mode: int = 0o600) -> Path:
    path = home / ".jitsu" / "jitsu-cli.json"
    path.parent.mkdir()
    path.write_text(
        '{"host": "https://evil.example", "apikey": "evil:CANARY", "defaultWorkspace": "acme-staging"}'
    )
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o666, 0o602, 0o620])
def test_the_official_tools_file_that_others_may_write_names_no_console_and_no_key(
    mode: int, tmp_path: Path
) -> None:
    path = official(tmp_path, mode)
    told = re.escape(
        f"{path}: it can be written by others, and sets host, key; run chmod go-w on it, or set JITSU_HOST"
    )
    only_one: tuple[dict[str, str], ...] = ({}, {"JITSU_APIKEY": KEY}, {"JITSU_HOST": "https://mine.example"})
    for environment in only_one:
        with pytest.raises(UsageError, match=told) as caught:
            load(None, environment, tmp_path, tmp_path, Overrides()).place(None)
        assert "CANARY" not in str(caught.value)
    both = {"JITSU_APIKEY": KEY, "JITSU_HOST": "https://mine.example"}
    place = load(None, both, tmp_path, tmp_path, Overrides()).place(None)
    assert (place.host, place.key.reveal(), place.workspace) == ("https://mine.example", KEY, "acme-staging")
    path.chmod(0o644)
    assert load(None, {}, tmp_path, tmp_path, Overrides()).place(None).host == "https://evil.example"


def test_the_official_tools_file_of_somebody_else_names_no_console_and_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = official(tmp_path)
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(
        UsageError, match=r"jitsu-cli\.json: it belongs to another user .*; set JITSU_HOST and"
    ):
        load(None, {}, tmp_path, tmp_path, Overrides()).place(None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)  # by sudo
    caller = {"SUDO_UID": str(path.stat().st_uid)}
    assert load(None, caller, tmp_path, tmp_path, Overrides()).place(None).key.reveal() == "evil:CANARY"


@pytest.mark.parametrize(
    "toml", ["shrink_alarm = 0.7", "[retention]\nkeep_daily = 7", 'workspace = "acme"', ""]
)
def test_settings_that_can_do_no_harm_may_be_anybodys(toml: str, tmp_path: Path) -> None:
    (tmp_path / "jitsu-backup.toml").write_text(toml)
    (tmp_path / "jitsu-backup.toml").chmod(0o666)
    settings(tmp_path, toml)


def test_a_command_for_a_secret_gets_none_of_our_own(tmp_path: Path) -> None:
    toml = 'workspace = "w"\nadmin_token = { env = "OPERATOR" }\nkey = { command = ["/usr/bin/env"] }'
    own = ("JITSU_APIKEY", "JITSU_ADMIN_TOKEN", "JITSU_BACKUP_PASSPHRASE", "JITSU_BACKUP_PING", "OPERATOR")
    (tmp_path / "show").write_text("#!/bin/sh\nenv > shown\necho key1:secret\n")
    (tmp_path / "show").chmod(0o700)
    toml = toml.replace("/usr/bin/env", str(tmp_path / "show"))
    environment = {**dict.fromkeys(own, "a:CANARY"), "PATH": os.environ["PATH"], "VAULT_TOKEN": "needed"}
    del environment["JITSU_APIKEY"]  # else the command is not needed
    found = settings(tmp_path, toml, **environment, JITSU_HOST="https://use.jitsu.com")
    assert found.place(None).key.reveal() == KEY
    shown = (tmp_path / "shown").read_text()
    assert "CANARY" not in shown
    assert "VAULT_TOKEN=needed" in shown


# -- pipes, devices and sockets ----------------------------------------------------------


def special(path: Path, kind: str) -> Path:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as made:
            before = Path.cwd()
            os.chdir(path.parent)  # the path of a socket is short
            made.bind(path.name)
            os.chdir(before)
    return path


@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
@pytest.mark.parametrize(
    ("line", "code"),
    [
        (("--config", "x", "snapshots"), 2),
        (("check", "--config", "x"), 2),
        (("clone", "a", "b", "--overlay", "x"), 2),
        (("show", "--identity", "x", "sealed.age"), 2),
        (("backup", "a", "--encrypt-to", "./x"), 2),
        (("restore", "--plan", "x"), 1),
        (("--ca-bundle", "x", "backup", "a"), 2),
        (("show", "./x"), 1),
        (("verify", "./x"), 1),
        (("sandbox", "--seed", "x"), 1),
    ],
)
def test_what_is_no_regular_file_is_refused_and_never_waited_for(
    kind: str, line: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    special(tmp_path / "x", kind)
    key = pyrage.x25519.Identity.generate()
    (tmp_path / "sealed.age").write_bytes(pyrage.encrypt(b"x", [key.to_public()]))
    env = {"JITSU_HOST": "http://127.0.0.1:9", "JITSU_APIKEY": OWNER}
    done = cli(*line, env=env, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    last = last_message(done.stderr).splitlines()[0]
    assert "not a regular file" in last or "no such device" in last
    assert "Traceback" not in done.stderr


def test_a_pipe_for_figures_or_keys_is_reported_as_what_cannot_be_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    env = {"JITSU_HOST": "http://127.0.0.1:9", "JITSU_APIKEY": OWNER}
    done = cli("clone", "a", "b", "--keys-out", "x", env=env, cwd=tmp_path)
    assert done.returncode == 1
    assert (
        done.stderr == "jitsu-backup: cannot write x: not a regular file; name another\n"
    )  # before anything is asked


@pytest.mark.parametrize(
    ("variable", "line"),
    [
        *((v, ("--store", "gs://b/p", "snapshots")) for v in (
            "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "SERVICE_ACCOUNT", "GOOGLE_APPLICATION_CREDENTIALS",
            "SSL_CERT_FILE", "SSL_CERT_DIR",
        )),
        *((v, ("--store", "s3://b/p", "snapshots")) for v in (
            "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "SSL_CERT_FILE",
        )),
        ("AZURE_FEDERATED_TOKEN_FILE", ("--store", "az://b/p", "snapshots")),
        *((v, ("check", "a")) for v in ("SSL_CERT_FILE", "SSL_CERT_DIR", "JITSU_CA_BUNDLE", "JITSU_BACKUP_CONFIG")),
        ("JITSU_BACKUP_ENCRYPT_TO", ("backup", "a")),
    ],
)  # fmt: skip
def test_a_pipe_that_a_variable_names_is_refused_before_a_library_waits_for_it(
    variable: str, line: tuple[str, ...], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "CANARY")
    env = {"JITSU_HOST": "http://127.0.0.1:9", "JITSU_APIKEY": OWNER, variable: "./CANARY"}
    done = cli(*line, env=env, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "not a regular file" in done.stderr
    assert "CANARY" not in done.stderr or variable.startswith("JITSU_")


def test_a_pipe_among_the_certificates_and_one_for_googles_credentials_are_refused(tmp_path: Path) -> None:
    (tmp_path / ".config" / "gcloud").mkdir(parents=True)
    os.mkfifo(tmp_path / ".config" / "gcloud" / "application_default_credentials.json")
    with pytest.raises(UsageError, match=r"application_default_credentials\.json: not a regular file"):
        open_store("gs://b", {"HOME": str(tmp_path)})
    (tmp_path / "certificates").mkdir()
    os.mkfifo(tmp_path / "certificates" / "0a1b2c3d.0")
    with pytest.raises(UsageError, match="SSL_CERT_DIR cannot be used"):
        open_store("gs://b", {"SSL_CERT_DIR": f"/nowhere:{tmp_path / 'certificates'}"})


def test_a_pipe_in_the_current_folder_is_no_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "x")
    monkeypatch.chdir(tmp_path)
    check_files(TRUST, {})
    check_files(TRUST, {"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""})


def test_a_monitor_is_not_told_where_a_pipe_stands_for_the_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "x")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "x"))
    monitor_at(App({"quiet": True, "as_json": False, "verbose": False}), "https://127.0.0.1:9/check").start()
    assert (
        "SSL_CERT_FILE cannot be used, because it names something that is not a regular file"
        in capsys.readouterr().err
    )


def test_a_pipe_that_is_called_like_the_settings_is_refused_not_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "jitsu-backup.toml")
    done = cli("snapshots", cwd=tmp_path)
    assert done.returncode == 2
    assert "jitsu-backup.toml: not a regular file" in done.stderr


def test_what_the_shell_hands_over_may_be_a_pipe(tmp_path: Path) -> None:
    line = f"{sys.executable} -m jitsu_backup --config <(echo 'store = \"./elsewhere\"') snapshots"
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert "elsewhere" in done.stderr
    assert "not a regular file" not in done.stderr


def test_figures_that_are_a_pipe_are_reported_and_harm_no_backup(tmp_path: Path, url: str) -> None:
    os.mkfifo(tmp_path / "x")
    env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
    done = cli("backup", "acme-staging", "--metrics", "x", env=env, cwd=tmp_path)
    assert done.returncode == 0
    assert f"cannot write {tmp_path / 'x'}: not a regular file" in done.stderr
    assert len(list((tmp_path / "jitsu-backups").glob("*.gz"))) == 1


def test_a_pipe_for_new_keys_is_refused_before_anything_is_sent(tmp_path: Path, url: str) -> None:
    os.mkfifo(tmp_path / "x")
    env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
    line = ("clone", "acme-staging", "acme-production", "--keys-out", "x", "--allow-missing-secrets", "--yes")
    done = cli(*line, env=env, cwd=tmp_path)
    assert done.returncode != 0
    assert "cannot write x: not a regular file" in done.stderr
    again = json.loads(
        cli("--json", *line[:3], "--dry-run", "--allow-missing-secrets", env=env, cwd=tmp_path).stdout
    )
    assert again["plan"]["counts"]["unchanged"] == 0


def test_a_pipe_in_the_place_of_the_official_tools_file_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / ".jitsu").mkdir()
    os.mkfifo(tmp_path / ".jitsu" / "jitsu-cli.json")
    assert load(None, {}, tmp_path, tmp_path, Overrides()).store == "./jitsu-backups"


# -- byte order marks ---------------------------------------------------------------------


def test_byte_order_marks_are_part_of_no_recipient_no_identity_and_no_settings(tmp_path: Path) -> None:
    key = pyrage.x25519.Identity.generate()
    (tmp_path / "to").write_text(f"\ufeff{key.to_public()}\r\n", encoding="utf-8")
    (tmp_path / "key").write_text(f"\ufeff{key}\r\n", encoding="utf-8")
    (tmp_path / "jitsu-backup.toml").write_text(
        '\ufeffencrypt_to = "to"\nidentity = "key"\n', encoding="utf-8"
    )
    found = settings(tmp_path, "")
    keys = NamedArchiveKeys({}, lambda: found)
    assert keys.recipients == [str(key.to_public())]
    sealed = keys.seal(encode(recorded_snapshot()))
    assert keys.open(sealed) == recorded_snapshot()


def test_an_identity_variable_that_is_empty_is_reported_as_that(tmp_path: Path) -> None:
    found = settings(tmp_path, "", JITSU_BACKUP_IDENTITY="")
    with pytest.raises(UsageError, match="JITSU_BACKUP_IDENTITY is empty; set it to a file"):
        _ = NamedArchiveKeys({}, lambda: found).identities


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_file_of_recipients_in_another_encoding_is_refused_by_name(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "to").write_text("# Schlüssel\nage1x", encoding=encoding)
    with pytest.raises(UsageError, match=r"the recipients file .*to is not UTF-8 text"):
        recipients_of(str(tmp_path / "to"))


# -- recipients ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("ssh-ed25519 AAAA jane, laptop", ["ssh-ed25519 AAAA jane, laptop"]),
        ("ssh-ed25519 AAAA a,b,age1x", ["ssh-ed25519 AAAA a,b", "age1x"]),
        ("age1x,ssh-ed25519 AAAA a,b,ssh-rsa BBBB c", ["age1x", "ssh-ed25519 AAAA a,b", "ssh-rsa BBBB c"]),
        ("ssh-ed25519 AAAA jane,./keys", ["ssh-ed25519 AAAA jane", "./keys"]),
        ("ssh-ed25519 AAAA,keys", ["ssh-ed25519 AAAA", "keys"]),
        ("a.txt,b.txt", ["a.txt", "b.txt"]),
    ],
)
def test_a_comma_in_the_comment_of_an_ssh_key_splits_no_recipient(given: str, parts: list[str]) -> None:
    assert _split(given) == parts


def test_a_file_behind_an_ssh_key_is_a_recipient_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys").write_text("age1x")
    monkeypatch.chdir(tmp_path)
    assert _split("ssh-ed25519 AAAA jane,keys") == ["ssh-ed25519 AAAA jane", "keys"]


def test_a_malformed_table_of_profiles_in_a_file_of_others_is_reported_as_such(tmp_path: Path) -> None:
    (tmp_path / "jitsu-backup.toml").write_text('profiles = { a = 5 }\nhost = "x"\n')
    (tmp_path / "jitsu-backup.toml").chmod(0o666)
    done = cli("backup", "acme-staging", cwd=tmp_path)
    assert done.returncode == 2
    assert "mistake" not in done.stderr


@pytest.mark.parametrize("proxy", ["http://proxy.example:3128", "http://192.0.2.1"])
def test_a_key_for_this_machine_goes_to_no_proxy_elsewhere_in_clear(proxy: str, tmp_path: Path) -> None:
    given = {"JITSU_HOST": "http://localhost:3000", "JITSU_APIKEY": KEY, "http_proxy": proxy}
    with pytest.raises(UsageError, match="another machine and reached through a proxy"):
        load(None, given, None, tmp_path, Overrides()).place("x")
    assert (
        load(None, {**given, "no_proxy": "localhost"}, None, tmp_path, Overrides()).place("x").workspace
        == "x"
    )
    here = {**given, "http_proxy": "http://127.0.0.1:3128"}
    assert load(None, here, None, tmp_path, Overrides()).place("x").workspace == "x"
    told = Overrides(insecure_http=True)
    assert load(None, given, None, tmp_path, told).place("x").workspace == "x"
