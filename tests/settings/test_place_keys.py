"""A key goes only to the console it belongs to."""

from pathlib import Path

import pytest

from jitsu_backup.errors import UsageError
from jitsu_backup.settings import Overrides, load


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


def test_a_key_whose_source_names_no_console_goes_to_the_chosen_one(tmp_path: Path) -> None:
    (tmp_path / "jitsu-backup.toml").write_text('host = "https://two.example"\n')
    assert place(tmp_path, {"JITSU_APIKEY": "k:s"}) == ("https://two.example", "k:s")
