"""Where a setting comes from, which source wins, and that no key shows itself."""

import traceback
from pathlib import Path

import pytest

from jitsu_backup.errors import AccessError, BackupError, UsageError
from jitsu_backup.settings import (
    Overrides,
    SecretText,
    Settings,
    load,
    resolve_secret,
    secret as secret_module,
)
from jitsu_backup.settings.console_keys import normal_host

CANARY = "canary-secret"
KEY = f"key1:{CANARY}"


def read(folder: Path, toml: str = "", environment: dict[str, str] | None = None, **flags: str) -> Settings:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    if toml:
        (folder / "jitsu-backup.toml").write_text(toml, encoding="utf-8")
        (folder / "jitsu-backup.toml").chmod(0o600)
    return load(None, environment or {}, home, folder, Overrides(**flags))


def official(folder: Path, text: str) -> None:
    (folder / "home" / ".jitsu").mkdir(parents=True)
    (folder / "home" / ".jitsu" / "jitsu-cli.json").write_text(text, encoding="utf-8")


def usage(folder: Path, toml: str) -> str:
    with pytest.raises(UsageError) as caught:
        read(folder, toml).place(None)
    assert "\n" not in str(caught.value)
    assert CANARY not in str(caught.value)
    return str(caught.value)


def test_flag_then_environment_then_file_then_official_file_then_default(tmp_path: Path) -> None:
    official(tmp_path, '{"host": "https://four", "apikey": "four:x", "defaultWorkspace": "w4"}')
    place = read(tmp_path).place(None)
    assert (place.host, place.key.reveal(), place.workspace) == ("https://four", "four:x", "w4")
    toml = 'host = "https://three"\nkey = "three:x"\nworkspace = "w3"\nstore = "s3"\nca_bundle = "c3"'
    place = read(tmp_path, toml).place(None)
    assert (place.host, place.key.reveal(), place.workspace) == ("https://three", "three:x", "w3")
    assert (place.ca_bundle, read(tmp_path).store) == ("c3", "s3")
    environment = {
        "JITSU_HOST": "https://two", "JITSU_APIKEY": "two:x", "JITSU_WORKSPACE": "w2",
        "JITSU_BACKUP_STORE": "s2", "JITSU_CA_BUNDLE": "c2",
    }  # fmt: skip
    found = read(tmp_path, "", environment)
    place = found.place(None)
    assert (place.host, place.key.reveal(), place.workspace) == ("https://two", "two:x", "w2")
    assert (place.ca_bundle, found.store) == ("c2", "s2")
    found = read(tmp_path, "", environment, host="https://one", apikey="one:x", store="s1", ca_bundle="c1")
    place = found.place("w1")
    assert (place.host, place.key.reveal(), place.workspace) == ("https://one", "one:x", "w1")
    assert (place.ca_bundle, found.store) == ("c1", "s1")


def test_without_any_file_the_defaults_hold(tmp_path: Path) -> None:
    found = load(None, {"JITSU_APIKEY": KEY}, None, tmp_path, Overrides())
    assert found.store == "./jitsu-backups"
    assert found.warnings == ()
    assert found.place("w").host == "https://use.jitsu.com"


@pytest.mark.parametrize(
    ("variable", "flag"),
    [
        ("JITSU_HOST", "host"),
        ("JITSU_APIKEY", "apikey"),
        ("JITSU_BACKUP_STORE", "store"),
    ],
)
def test_an_empty_variable_never_means_the_default(variable: str, flag: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"{variable} is empty; set it to a value, or unset it"):
        load(None, {"JITSU_APIKEY": KEY, variable: " "}, None, tmp_path, Overrides())
    load(None, {"JITSU_APIKEY": KEY, variable: ""}, None, tmp_path, Overrides(**{flag: "given:x"}))


def test_an_empty_token_is_named_only_where_there_is_no_api_key(tmp_path: Path) -> None:
    load(None, {"JITSU_APIKEY": KEY, "JITSU_ADMIN_TOKEN": ""}, None, tmp_path, Overrides()).place("w")
    with pytest.raises(UsageError, match="JITSU_ADMIN_TOKEN is empty, and there is no API key"):
        load(None, {"JITSU_ADMIN_TOKEN": ""}, None, tmp_path, Overrides()).place("w")


def test_a_named_profile_comes_before_the_environment(tmp_path: Path) -> None:
    toml = f'[profiles.b]\nhost="https://b"\nworkspace="wb"\nkey="{KEY}"\n[profiles.a]\nworkspace="wa"'
    found = read(
        tmp_path, toml, {"JITSU_HOST": "https://e", "JITSU_WORKSPACE": "we", "JITSU_APIKEY": "env:x"}
    )
    place = found.place("@b")
    assert (place.host, place.workspace, place.key.reveal()) == ("https://b", "wb", KEY)
    place = found.place("@a")
    assert (place.host, place.workspace, place.key.reveal()) == ("https://e", "wa", "env:x")
    assert found.place(None).workspace == "we"
    assert found.places_named() == ["a", "b"]


def test_another_workspace_on_the_console_of_a_profile_has_its_key_alone(tmp_path: Path) -> None:
    toml = '[profiles.red]\nhost="https://one"\nkey="one:x"\nworkspace="w"\noverlay="o.toml"\n[profiles."a/b"]\nkey="two:x"'
    place = read(tmp_path, toml).place("@red/other")
    assert (place.host, place.key.reveal(), place.workspace) == ("https://one", "one:x", "other")
    assert (place.overlay, place.profile) == (None, None)
    assert read(tmp_path, toml).place("@red").profile == "red"
    assert read(tmp_path, toml).place("@a/b", workspace_needed=False).profile == "a/b"
    with pytest.raises(UsageError, match="@red/"):
        read(tmp_path, toml).place("@red/")


def test_an_unknown_profile_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"@prod.*known profiles: @staging"):
        read(tmp_path, '[profiles.staging]\nworkspace="w"').place("@prod")
    with pytest.raises(UsageError, match=r"no profiles; name the workspace, or add \[profiles\.prod\]"):
        read(tmp_path, 'workspace="w"').place("@prod")


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_place_is_not_the_default(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="empty"):
        read(tmp_path, "", {"JITSU_APIKEY": KEY, "JITSU_WORKSPACE": "w"}).place(text)


def test_a_workspace_named_nowhere_is_reported_unless_none_is_needed(tmp_path: Path) -> None:
    found = read(tmp_path, "", {"JITSU_APIKEY": KEY})
    with pytest.raises(UsageError, match="JITSU_WORKSPACE"):
        found.place(None)
    assert found.place(None, workspace_needed=False).workspace is None


def test_the_file_is_searched_in_the_working_folder_then_xdg_then_home(tmp_path: Path) -> None:
    home, xdg, work, given = (tmp_path / name for name in ("home", "xdg", "work", "given"))
    for folder in (home / ".config" / "jitsu-backup", xdg / "jitsu-backup", work, given):
        folder.mkdir(parents=True)
    environment: dict[str, str] = {}

    def store(config: Path | None = None) -> str:
        return load(config, environment, home, work, Overrides()).store

    (home / ".config" / "jitsu-backup" / "jitsu-backup.toml").write_text('store = "home"')
    assert store() == "home"
    environment["XDG_CONFIG_HOME"] = str(xdg)
    assert store() == "./jitsu-backups"
    (xdg / "jitsu-backup" / "jitsu-backup.toml").write_text('store = "xdg"')
    assert store() == "xdg"
    (work / "jitsu-backup.toml").write_text('store = "work"')
    assert store() == "work"
    (given / "a.toml").write_text('store = "given"')
    environment["JITSU_BACKUP_CONFIG"] = str(given / "a.toml")
    assert store() == "given"
    (work / "b.toml").write_text('store = "flag"')
    assert store(Path("b.toml")) == "flag"


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml: no such file"):
        load(Path("nowhere.toml"), {}, None, tmp_path, Overrides())


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path: Path) -> None:
    found = read(tmp_path, f'store = "~/b"\nca_bundle = "~/c.pem"\nworkspace = "w"\nkey = "{KEY}"')
    assert found.store == str(tmp_path / "home" / "b")
    assert found.place(None).ca_bundle == str(tmp_path / "home" / "c.pem")


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("hots = 'x'", ["hots", "jitsu-backup.toml", "'host'"]),
        ("[profiles.a]\nworkspce = 'x'", ["profiles.a.workspce", "'workspace'"]),
        ("zzzzzz = 1", ["zzzzzz", "use one of host"]),
        ("host = 1", ["'host' must be text"]),
        ("key = 1", ["'key' must be text"]),
        ("profiles = 1", ["'profiles' must be tables"]),
        ("host = 'a'\nhost = ?", ["jitsu-backup.toml", "line 2"]),
        (f"key = '{CANARY}", ["end of document"]),
        ("key = " + "[" * 5000, ["jitsu-backup.toml"]),
        (f"workspace = 'w'\nkey = {{vault = '{CANARY}'}}", ["{env"]),
        (f"workspace = 'w'\nkey = {{env = '{CANARY}', file = 'x'}}", ["{command"]),
        ("workspace = 'w'\nkey = {env = 'NOPE'}", ["NOPE is not set"]),
        ("workspace = 'w'\nkey = {file = 'nope'}", ["nope: no such file"]),
        ("workspace = 'w'", ["JITSU_APIKEY", "jitsu-backup.toml", "--apikey"]),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_of_the_mistake(
    toml: str, words: list[str], tmp_path: Path
) -> None:
    message = usage(tmp_path, toml)
    assert all(word in message for word in words), message


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jitsu-backup.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        read(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"host": 1}', "[" * 50_000])
def test_a_broken_file_of_the_official_tool_is_as_good_as_none(text: str, tmp_path: Path) -> None:
    official(tmp_path, text)
    assert read(tmp_path, "", {"JITSU_APIKEY": KEY}).place("w").host == "https://use.jitsu.com"


# -- keys ------------------------------------------------------------------------


def test_a_key_comes_from_text_environment_file_or_command(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    for reference in (f'"{KEY}"', '{env="K"}', '{file="key"}', '{command=["/bin/cat", "key"]}'):
        found = read(tmp_path, f'workspace = "w"\nkey = {reference}', {"K": KEY})
        assert found.place(None).key.reveal() == KEY


@pytest.mark.parametrize("key", [CANARY, ":", f":{CANARY}", f"{CANARY}:", f"a:{CANARY}\nb", f"ä:{CANARY}"])
def test_a_malformed_key_is_an_access_error_that_does_not_show_it(key: str, tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="keyId:keySecret") as caught:
        read(tmp_path, "", {"JITSU_APIKEY": key}).place("w")
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_key_never_shows_in_repr_text_or_format(tmp_path: Path) -> None:
    found = read(
        tmp_path, f'workspace="w"\nkey="{KEY}"\n[profiles.a]\nkey="{KEY}"', {"JITSU_APIKEY": KEY}, apikey=KEY
    )
    place = found.place(None)
    shown = (
        f"{found!r} {place!r} {place} {place.key} {place.key!r} {Overrides(apikey=KEY)!r} {found.warnings}"
    )
    assert CANARY not in shown
    assert str(SecretText(CANARY)) == repr(SecretText(CANARY)) == "***"
    assert place.key.reveal() == KEY


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["/nowhere/program", CANARY], "no such file"),
        (["/bin/sh", "-c", f"echo {CANARY}; echo {CANARY} >&2; exit 3"], "exit status 3"),
        (["/bin/sh", "-c", "printf '\\377'"], "must be text"),
        (["/bin/true", CANARY], "printed nothing"),
        (["/bin/echo", f"{CANARY}\0"], "must be text"),
        (["/bin/sleep", "5"], "took longer"),
    ],
)
def test_a_failing_command_is_reported_without_what_it_said(
    command: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_module, "COMMAND_SECONDS", 0.5)
    with pytest.raises(UsageError, match=words) as caught:
        resolve_secret({"command": command}, {}, tmp_path, commands=True)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_command_sees_the_given_environment_and_no_standard_input(tmp_path: Path) -> None:
    command = {"command": ["/bin/sh", "-c", "cat; echo $K"]}
    assert resolve_secret(command, {"K": "x"}, tmp_path, commands=True) == "x"


def test_an_empty_variable_is_named_with_its_usual_reason_in_ci(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"variable K is empty; set it to the secret \(in CI, a secret that"):
        resolve_secret({"env": "K"}, {"K": ""}, tmp_path)


def test_an_overlay_runs_no_command(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one of"):
        resolve_secret({"command": ["touch", "x"]}, {}, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "value"), [("a\n", "a"), ("a\n\n", "a\n"), (" a ", " a "), ("a\r\n", "a")]
)
def test_one_newline_at_the_end_of_a_file_is_no_part_of_its_secret(
    content: str, value: str, tmp_path: Path
) -> None:
    (tmp_path / "s").write_bytes(content.encode())
    assert resolve_secret({"file": "s"}, {}, tmp_path) == value
    assert resolve_secret({"file": "~/s"}, {"HOME": str(tmp_path)}, Path("/nowhere")) == value


@pytest.mark.parametrize("content", [b"\xff", None])
def test_a_secret_file_that_cannot_be_read_is_reported(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "s").write_bytes(content)
    with pytest.raises(UsageError, match="secret file"):
        resolve_secret({"file": "s"}, {}, tmp_path)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_in_clear_that_others_can_read_is_warned_of(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "jitsu-backup.toml"
    for toml in (f'key = "{KEY}"', f'[profiles.a]\nkey = "{KEY}"'):
        assert read(tmp_path, toml).warnings == ()
        path.chmod(mode)
        (warning,) = read(tmp_path).warnings
        assert str(path) in warning
        assert CANARY not in warning
    path.write_text('key = {env = "K"}')
    path.chmod(mode)
    assert read(tmp_path).warnings == ()


# -- hosts -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("use.jitsu.com", "https://use.jitsu.com"), ("https://a.b/", "https://a.b"), ("http://a:80", "http://a"),
        ("https://a/api/", "https://a"), ("http://localhost:3000/api", "http://localhost:3000"),
        ("https://A.B:443/jitsu/", "https://a.b/jitsu"), (" https://a ", "https://a"), ("http://[::1]:3", "http://[::1]:3"),
    ],
)  # fmt: skip
def test_a_host_has_one_spelling(text: str, host: str) -> None:
    assert normal_host(text) == host
    assert normal_host(host) == host


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ftp://a",
        "https://",
        f"https://user:{CANARY}@a",
        f"https://a?{CANARY}",
        f"a/#{CANARY}",
        f"https:/u:{CANARY}@a",
        "htp:/127.0.0.1:9",
        "https://a:99999",
        "https://a b",
        "http://[x",
    ],
)
def test_a_host_that_is_none_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(BackupError, match="host") as caught:
        normal_host(text)
    assert CANARY not in str(caught.value)
