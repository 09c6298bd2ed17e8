"""A key goes only to the console it belongs to."""

import asyncio
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from jitsu_backup.cli.app import App
from jitsu_backup.cli.recovery_job import connections
from jitsu_backup.console.replies import Permanent, RefusalKind, error_of
from jitsu_backup.errors import AccessError, KeyRejectedError, UsageError
from jitsu_backup.events import silent
from jitsu_backup.operations.alarms import advised, remedy_for
from jitsu_backup.settings import Overrides, load
from jitsu_backup.settings.console_keys import DEFAULT_HOST, checked_key


def place(
    tmp_path: Path, environment: dict[str, str], official: str = "", text: str = "ws"
) -> tuple[str, str]:
    (tmp_path / ".jitsu").mkdir(exist_ok=True)
    (tmp_path / ".jitsu" / "jitsu-cli.json").write_text(official or "{}")
    settings = load(None, environment, tmp_path, tmp_path, Overrides())
    found = settings.place(text)
    return found.host, found.key.reveal()


OFFICIAL = '{"host": "https://one.example/", "apikey": "one:secret"}'


def test_the_official_clis_key_is_used_with_its_own_console(tmp_path: Path) -> None:
    assert place(tmp_path, {}, OFFICIAL) == ("https://one.example", "one:secret")
    assert place(tmp_path, {"JITSU_HOST": "https://one.example"}, OFFICIAL)[1] == "one:secret"


def test_a_key_is_never_sent_to_another_console_than_its_source_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no API key"):
        place(tmp_path, {"JITSU_HOST": "https://two.example"}, OFFICIAL)
    (tmp_path / "jitsu-backup.toml").write_text(
        '[profiles.p]\nhost = "https://two.example"\nworkspace = "w"\n'
    )
    environment = {"JITSU_HOST": "https://one.example", "JITSU_APIKEY": "one:secret"}
    with pytest.raises(UsageError, match="no API key"):
        place(tmp_path, environment, text="@p")


def file_names(tmp_path: Path, text: str) -> None:
    (tmp_path / "jitsu-backup.toml").write_text(text)


def test_an_operators_token_of_another_console_is_named_with_its_file_and_console(tmp_path: Path) -> None:
    file_names(tmp_path, 'host = "https://lost.example"\nadmin_token = "service:of-the-lost-one"\n')
    with pytest.raises(UsageError) as failed:
        place(tmp_path, {"JITSU_HOST": "https://new.example"})
    assert str(failed.value) == (
        f"no key for https://new.example: the operator's token in {tmp_path / 'jitsu-backup.toml'} belongs to"
        " https://lost.example and is never sent elsewhere; set JITSU_ADMIN_TOKEN to the token of https://new.example, or"
        " name that console beside its token"
    )
    both = {"JITSU_HOST": "https://new.example", "JITSU_ADMIN_TOKEN": "service:new"}
    assert place(tmp_path, both) == ("https://new.example", "service:new")


@pytest.mark.parametrize("variable", ["JITSU_APIKEY", "JITSU_ADMIN_TOKEN"])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_settings_file_takes_no_key_of_the_environment_to_a_console_of_its_own(
    tmp_path: Path, variable: str, scheme: str
) -> None:
    file_names(tmp_path, f'host = "{scheme}://two.example"\nkey = "file:secret"\n')
    why = "JITSU_ADMIN_TOKEN is set without JITSU_HOST"
    if variable == "JITSU_APIKEY":
        file_names(tmp_path, f'host = "{scheme}://two.example"\n')
        why = r"belongs to https://use\.jitsu\.com and is never sent elsewhere"
    settings = load(None, {variable: "mine:secret"}, None, tmp_path, Overrides(insecure_http=True))
    with pytest.raises(UsageError, match=why) as told:
        settings.place("ws")
    assert "secret" not in str(told.value)


def test_a_profile_takes_no_key_of_the_environment_either(tmp_path: Path) -> None:
    file_names(tmp_path, '[profiles.p]\nhost = "https://two.example"\nworkspace = "w"\n')
    with pytest.raises(UsageError, match="is never sent elsewhere"):
        place(tmp_path, {"JITSU_APIKEY": "k:s"}, text="@p")


def test_a_key_of_a_file_without_a_console_goes_to_the_default_one_only(tmp_path: Path) -> None:
    file_names(tmp_path, 'key = "k:s"\n')
    assert place(tmp_path, {}) == ("https://use.jitsu.com", "k:s")
    with pytest.raises(UsageError, match="is never sent elsewhere"):
        place(tmp_path, {"JITSU_HOST": "https://two.example"})


def test_a_key_without_a_console_is_used_with_the_default_one_whoever_names_it(tmp_path: Path) -> None:
    file_names(tmp_path, 'host = "https://use.jitsu.com/"\n')
    assert place(tmp_path, {"JITSU_APIKEY": "k:s"}) == ("https://use.jitsu.com", "k:s")


def test_what_a_file_says_at_its_top_and_in_its_profiles_belongs_together(tmp_path: Path) -> None:
    file_names(tmp_path, 'key = "k:s"\n[profiles.p]\nhost = "https://two.example"\nworkspace = "w"\n')
    assert place(tmp_path, {}, text="@p") == ("https://two.example", "k:s")


@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        ({"host": "https://two.example"}, {"JITSU_APIKEY": "k:s"}),
        ({"apikey": "k:s"}, {"JITSU_HOST": "https://two.example"}),
        ({"host": "https://two.example", "apikey": "k:s"}, {"JITSU_APIKEY": "other:s"}),
        ({"host": "https://two.example"}, {"JITSU_HOST": "https://one.example", "JITSU_APIKEY": "k:s"}),
    ],
)
def test_flags_name_the_console_for_the_key_of_the_same_run(
    tmp_path: Path, flags: dict[str, str], environment: dict[str, str]
) -> None:
    settings = load(None, environment, None, tmp_path, Overrides(**flags))
    if environment.get("JITSU_HOST") == "https://one.example":  # its key is that console's
        with pytest.raises(UsageError, match=r"belongs to https://one\.example"):
            settings.place("ws")
    else:
        assert settings.place("ws").key.reveal() == "k:s"


def test_a_key_given_by_flag_is_not_taken_to_the_console_of_a_file(tmp_path: Path) -> None:
    file_names(tmp_path, 'host = "https://two.example"\n')
    with pytest.raises(UsageError, match="is never sent elsewhere"):
        load(None, {}, None, tmp_path, Overrides(apikey="k:s")).place("ws")


@pytest.mark.parametrize(
    "host", ["http://two.example", "http://10.0.0.5:3000", "http://console:3000", "http://localhost.evil"]
)
def test_no_key_goes_in_clear_to_another_machine_unless_that_is_said(tmp_path: Path, host: str) -> None:
    environment = {"JITSU_HOST": host, "JITSU_APIKEY": "k:s"}
    with pytest.raises(UsageError, match="--insecure-http"):
        place(tmp_path, environment)
    said = load(None, environment, None, tmp_path, Overrides(insecure_http=True))
    assert said.place("ws").host == host


@pytest.mark.parametrize(
    "host", ["http://localhost:3000", "http://127.0.0.1:3000", "http://[::1]:3000", "http://jitsu.localhost"]
)
def test_a_key_goes_to_this_machine_without_tls(tmp_path: Path, host: str) -> None:
    assert place(tmp_path, {"JITSU_HOST": host, "JITSU_APIKEY": "k:s"})[0] == host


def test_the_key_of_a_profile_that_names_no_console_goes_to_that_of_the_environment(tmp_path: Path) -> None:
    file_names(tmp_path, '[profiles.p]\nkey = "profile:s"\nworkspace = "w"\n')
    environment = {"JITSU_HOST": "https://one.example", "JITSU_APIKEY": "env:s"}
    assert place(tmp_path, environment, text="@p") == ("https://one.example", "profile:s")


def test_a_key_given_by_flag_is_never_left_out_for_another_in_silence(tmp_path: Path) -> None:
    file_names(tmp_path, 'host = "https://two.example"\nkey = "file:s"\n')
    with pytest.raises(UsageError, match="is never sent elsewhere"):
        load(None, {}, None, tmp_path, Overrides(apikey="k:s")).place("ws")
    together = Overrides(host="https://two.example", apikey="k:s")
    assert load(None, {}, None, tmp_path, together).place("ws").key.reveal() == "k:s"


@pytest.mark.parametrize("table", ["", "[profiles.p]\n"])
@pytest.mark.parametrize("name", ["key", "admin_token"])
@pytest.mark.parametrize("variable", ["JITSU_APIKEY", "JITSU_ADMIN_TOKEN"])
def test_a_file_of_the_working_folder_names_no_console_for_a_key_of_the_environment(
    tmp_path: Path, table: str, name: str, variable: str
) -> None:
    toml = f'{table}workspace = "w"\nhost = "https://two.example"\n{name} = {{ env = "{variable}" }}\n'
    file_names(tmp_path, toml)
    text = "@p" if table else "ws"
    others = {} if not table else {"JITSU_HOST": "https://one.example"}
    told = f"it would send {variable} to https://two.example"
    if (table, name, variable) == ("", "key", "JITSU_ADMIN_TOKEN"):
        told = "JITSU_ADMIN_TOKEN is set without JITSU_HOST"
    with pytest.raises(UsageError, match=told):
        place(tmp_path, {variable: "k:s", **others}, text=text)
    sent = ("https://two.example", "k:s")
    assert place(tmp_path, {variable: "k:s", "JITSU_HOST": "https://two.example"}, text=text) == sent
    named = load(tmp_path / "jitsu-backup.toml", {variable: "k:s", **others}, None, tmp_path, Overrides())
    if told.startswith("it would send"):
        assert named.place(text).key.reveal() == "k:s"


LOST = 'host = "https://lost.example"\nkey = { env = "JITSU_APIKEY" }\n'


def test_a_file_that_names_the_lost_console_does_not_hinder_the_new_one(tmp_path: Path) -> None:
    file_names(tmp_path, LOST)
    new = {"JITSU_HOST": "https://new.example", "JITSU_ADMIN_TOKEN": "service:new"}
    assert place(tmp_path, new) == ("https://new.example", "service:new")
    assert place(tmp_path, {**new, "JITSU_APIKEY": "k:s"}) == ("https://new.example", "k:s")
    by_flag = load(None, {"JITSU_APIKEY": "k:s"}, None, tmp_path, Overrides(host="https://new.example"))
    assert by_flag.place("ws").host == "https://new.example"


def test_what_asks_no_console_may_have_a_file_that_names_one_for_a_key_of_the_environment(
    tmp_path: Path,
) -> None:
    file_names(tmp_path, LOST + 'store = "s3://backups"\n')
    assert load(None, {"JITSU_APIKEY": "k:s"}, None, tmp_path, Overrides()).store == "s3://backups"


def test_the_operators_token_alone_is_enough_where_the_variable_of_the_key_is_unset(tmp_path: Path) -> None:
    file_names(tmp_path, LOST)
    there = {"JITSU_HOST": "https://lost.example", "JITSU_ADMIN_TOKEN": "service:token"}
    assert place(tmp_path, there) == ("https://lost.example", "service:token")
    file_names(tmp_path, LOST.replace("JITSU_APIKEY", "MY_KEY"))
    told = f"settings file {tmp_path}/jitsu-backup.toml: `key`: the environment variable MY_KEY is not set; set it"
    with pytest.raises(
        UsageError, match=f"{told} to the secret, or remove `key` to use the operator's token alone$"
    ):
        place(tmp_path, there)
    with pytest.raises(UsageError, match=f"{told} to the secret$"):
        place(tmp_path, {"JITSU_HOST": "https://lost.example"})


@pytest.mark.parametrize(
    ("settings", "environment", "told"),
    [
        ('key = { file = "a.key" }', {}, "write it into FOLDER/a.key"),
        ('key = { env = "MY_KEY" }', {"MY_KEY": "one:secret"}, "set MY_KEY to it"),
        ('key = "one:secret"', {}, "write it as `key` into FOLDER/jitsu-backup.toml"),
        ("", {"JITSU_APIKEY": "one:secret"}, "set JITSU_APIKEY to it"),
    ],
)
def test_whose_key_is_rejected_is_reported_where_the_new_one_belongs(
    settings: str, environment: dict[str, str], told: str, tmp_path: Path
) -> None:
    file_names(tmp_path, settings)
    (tmp_path / "a.key").write_text("one:secret\n")
    key = load(None, environment, None, tmp_path, Overrides()).place("ws").key
    new = "create a new API key on the user settings page of the console"
    assert key.if_rejected == f"{new}, and {told.replace('FOLDER', str(tmp_path))}"
    failure = error_of(
        Permanent(RefusalKind.UNAUTHENTICATED, "Invalid"), "console x: Invalid", key.if_rejected
    )
    remedy = remedy_for(failure, lambda *words: " ".join(words), "acme")
    assert remedy == f"{key.if_rejected}; then test it with `check acme`"


def test_a_key_of_a_file_can_be_read_again_and_one_of_the_wrong_form_says_where_it_belongs(
    tmp_path: Path,
) -> None:
    file_names(tmp_path, 'key = { file = "a.key" }')
    (tmp_path / "a.key").write_text("one:secret\n")
    settings = load(None, {}, None, tmp_path, Overrides())
    key = settings.place("ws").key
    (tmp_path / "a.key").write_text("two:secret\n")
    assert key.read_again is not None
    assert key.read_again().reveal() == "two:secret"
    (tmp_path / "a.key").write_text("CANARY")
    with pytest.raises(AccessError) as caught:
        settings.place("ws")
    told = (
        f"the API key has the wrong form; it must look like keyId:keySecret; write it into {tmp_path}/a.key"
    )
    assert str(caught.value) == told
    assert (
        load(None, {"JITSU_APIKEY": "a:b"}, None, tmp_path / "x", Overrides()).place("ws").key.read_again
        is None
    )


def test_an_operators_token_that_is_rejected_is_no_api_key(tmp_path: Path) -> None:
    named = {"JITSU_ADMIN_TOKEN": "a:b", "JITSU_HOST": "https://jitsu.example.com"}
    place = load(None, named, None, tmp_path, Overrides()).place("ws")
    assert place.key.if_rejected.endswith("CONSOLE_RAW_AUTH_TOKENS, and set JITSU_ADMIN_TOKEN to it")


def test_a_message_names_a_key_by_its_id_and_never_by_its_secret() -> None:
    assert checked_key("key1:not-to-be-told").called == "the API key key1"
    assert checked_key("service:not-to-be-told", "the operator's token").called == "the operator's token"


@pytest.mark.parametrize("key", [{}, {"JITSU_APIKEY": "c:d"}], ids=["alone", "beside a key"])
def test_an_operators_token_goes_only_to_a_console_that_is_named(key: dict[str, str], tmp_path: Path) -> None:
    token = {"JITSU_ADMIN_TOKEN": "a:b", **key}
    with pytest.raises(UsageError, match="no console is named: set JITSU_HOST"):
        load(None, token, None, tmp_path, Overrides()).place("ws")
    assert load(None, token, None, tmp_path, Overrides(host="use.jitsu.com")).place("ws").host == DEFAULT_HOST


@pytest.mark.parametrize(
    "key", ['"service:CANARY"', "'service:CANARY'", " `service:CANARY` ", "“service:CANARY”"]
)
def test_quotation_marks_around_a_key_are_named(key: str) -> None:
    with pytest.raises(
        AccessError, match=r"^the operator's token is in quotation marks.*; remove them"
    ) as told:
        checked_key(key, "the operator's token")
    assert "CANARY" not in str(told.value)


def test_a_place_says_what_names_its_console(tmp_path: Path) -> None:
    file_names(tmp_path, 'host = "https://one.example"\n[profiles.p]\nhost = "https://two.example"\n')

    def named_by(variables: dict[str, str], text: str | None = None, host: str | None = None) -> str:
        given = Overrides(host=host, apikey="k:s" if host else None)
        settings = load(None, variables, tmp_path, tmp_path, given)
        return settings.place(text, workspace_needed=False).named_by

    variables = {"JITSU_HOST": "https://three.example", "JITSU_APIKEY": "k:s"}
    assert named_by(variables) == "JITSU_HOST"
    assert named_by(variables, host="https://four.example") == "--host"
    file_names(
        tmp_path,
        'host = "https://one.example"\nkey = "k:s"\n[profiles.p]\nhost = "https://two.example"\nkey = "k:s"\n',
    )
    assert named_by({}) == f"`host` in {tmp_path / 'jitsu-backup.toml'}"
    assert named_by({}, "@p") == "the profile @p"


def test_whose_key_of_a_profile_is_wrong_tests_the_place_that_failed(tmp_path: Path) -> None:
    """`check` alone tests the default place, which may have no key at all."""
    file_names(tmp_path, '[profiles.production]\nhost = "http://127.0.0.1:9"\nkey = { env = "KEY" }\n')
    with pytest.raises(AccessError) as malformed:
        load(None, {"KEY": "one"}, None, tmp_path, Overrides()).place("@production/acme")
    app = App({"as_json": False, "timeout": 1.0, "concurrency": 1})
    place = load(None, {"KEY": "one:two"}, None, tmp_path, Overrides()).place(
        "@production", workspace_needed=False
    )
    invalid = {"message": "Invalid API key id one"}
    answers = httpx.MockTransport(lambda _: httpx.Response(401, json=invalid))
    connection = replace(app.connection(place, silent), transport=answers)

    async def rejected() -> None:
        async with connection.open() as console:
            await console.get("/api/workspace")

    with pytest.raises(KeyRejectedError) as caught:
        asyncio.run(rejected())
    for failure in (malformed.value, caught.value):
        assert "`jitsu-backup check @production`" in str(advised(failure, app.again))


def test_whose_key_only_creates_workspaces_may_leave_that_to_the_operators_token(tmp_path: Path) -> None:
    keys = {"JITSU_APIKEY": "key1:stale", "JITSU_ADMIN_TOKEN": "service:new"}
    place = load(None, {**keys, "JITSU_HOST": "http://127.0.0.1:9"}, None, tmp_path, Overrides()).place("ws")
    app = App({"as_json": False, "timeout": 1.0, "concurrency": 1})
    operator, maker = connections(app, place, silent)
    assert maker is not None
    assert maker.called == "the API key key1, which creates workspaces"
    told = "set JITSU_APIKEY to it, or give no API key (unset JITSU_APIKEY): the operator's token alone can create workspaces"
    assert maker.key.if_rejected.endswith(told)
    assert "unset" not in operator.key.if_rejected
