"""Names as people write them, on every terminal: shown as they are, shortened only where they are shown, in any locale."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from jitsu_backup.model import HARMFUL, printable, quoted, shortened
from jitsu_backup.reports.page_rendering import short
from jitsu_backup.sandbox import Sandbox, State, default_state, example_workspace, running
from tests.support import OWNER, PRODUCTION, STAGING, cli

PERSIAN, HINDI, FAMILY, SPACED = (
    "می\u200cخواهم",
    "क्\u200dष",
    "👩\u200d👩\u200d👧 ❤️\u200d🔥",
    "東京\u3000本番\u00a0\u202f1",
)
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


@pytest.mark.parametrize(
    "name", [PERSIAN, HINDI, FAMILY, SPACED, ENGLAND, "soft\u00adhyphen", "\ue000 private", "\U0001fae9 new"]
)
def test_letters_joiners_spaces_and_new_emoji_are_shown_as_they_are(name: str) -> None:
    assert printable(name) == name
    assert quoted(name) == f"'{name}'"


@pytest.mark.parametrize(
    "harm", ["\x1b", "\x07", "\x9b", "\r", "\n", "\u202e", "\u2066", "\u200f", "\u2028", "\ud800"]
)
def test_what_commands_a_terminal_or_reorders_text_is_replaced(harm: str) -> None:
    assert printable(f"a{harm}b") == "a\ufffdb"


@given(st.text())
def test_nothing_harmful_is_left_in_what_is_printed_and_nothing_else_is_touched(text: str) -> None:
    shown = printable(text)
    assert not HARMFUL.search(shown)
    assert [c for c in shown if c != "\ufffd"] == [c for c in HARMFUL.sub("", text) if c != "\ufffd"]


@given(st.text(), st.integers(10, 200))
def test_a_name_is_cut_in_the_middle_and_only_where_it_is_too_long(name: str, most: int) -> None:
    shown = shortened(name, most)
    assert len(shown) <= 2 * most + len(" → ")  # a connection has two ends
    if len(name) <= most:
        assert shown == name
    elif " → " not in name:
        start, _, end = shown.partition("…") if "…" not in name else (name[:3], "", "")
        assert name.startswith(start)
        assert name.endswith(end)


def test_a_cut_leaves_no_half_of_a_joined_letter() -> None:
    shown = shortened("👩\u200d👧" * 200)
    for half in shown.split("…"):
        assert not half.startswith(("\u200d", "\ufe0f"))
        assert not half.endswith("\u200d")


@pytest.fixture
def state() -> State:
    made = default_state()
    example_workspace(made, STAGING)
    return made


@pytest.fixture
def ask(state: State, tmp_path: Path) -> Iterator[Any]:
    with running(Sandbox(state, rate_limit=False)) as url:
        given = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
        yield lambda *arguments, env=None, **options: cli(
            *arguments, env={**given, **(env or {})}, cwd=tmp_path, **options
        )


@pytest.fixture
def long_name(state: State) -> str:
    name = f"{PERSIAN} " + "n" * 10_000 + " the end"
    state.objects["enrich-0001"].config["name"] = name
    return name


def test_a_long_name_fills_no_screen_and_is_kept_whole(ask: Any, state: State, long_name: str) -> None:
    assert ask("backup", "acme-staging").returncode == 0
    told = [
        ask(*arguments)
        for arguments in (
            ("show", "latest"),
            ("show", "latest", "function/*"),
            ("restore", "latest", "--into", "acme-production", "--dry-run", "-v"),
            (
                "clone",
                "acme-staging",
                "acme-production",
                "--yes",
                "--keys-out",
                "keys.json",
                "--allow-missing-secrets",
                "--skip",
                "domain/*",
            ),
            ("diff", "latest", "live:acme-production"),
        )
    ]
    for done in told:
        assert len(done.stdout + done.stderr) < 10_000, done.args
    assert any(PERSIAN in done.stdout and "the end" in done.stdout for done in told)
    assert long_name in [
        body["name"] for body in json.loads(ask("--json", "show", "latest", "function/*").stdout)
    ]
    assert long_name in [
        one.config["name"]
        for one in state.objects.values()
        if one.workspace_id == PRODUCTION and one.type == "function"
    ]


def test_a_page_cuts_a_long_name_in_the_middle(long_name: str) -> None:
    assert short(long_name).startswith(PERSIAN)
    assert short(long_name).endswith("the end")


@pytest.fixture
def latin(tmp_path: Path) -> dict[str, str]:
    """The environment of a locale that knows few characters: a real one where it can be made, else its encoding."""
    folder = tmp_path / "locales"
    folder.mkdir()
    tool = shutil.which("localedef")
    if tool is not None:
        made = subprocess.run(
            [tool, "-i", "de_DE", "-f", "ISO-8859-1", folder / "de_DE.ISO-8859-1"],
            capture_output=True,
            check=False,
        )
        if made.returncode == 0:
            return {"LOCPATH": str(folder), "LC_ALL": "de_DE.ISO-8859-1"}
    return {"PYTHONIOENCODING": "iso-8859-1"}


def test_every_command_ends_as_ever_in_a_locale_that_lacks_characters(
    ask: Any, state: State, latin: dict[str, str]
) -> None:
    state.objects["enrich-0001"].config["name"] = f"Größe {FAMILY} {PERSIAN}"
    into = ("--into", "acme-production", "--skip", "domain/*", "--allow-missing-secrets")
    for code, arguments in (
        (0, ("backup", "acme-staging")),
        (0, ("snapshots",)),
        (0, ("show", "latest")),
        (0, ("show", "latest", "function/*")),
        (0, ("diff", "latest", "live:acme-production")),
        (3, ("restore", "latest", *into, "--dry-run", "-v")),
        (0, ("verify", "latest")),
        (0, ("check", "acme-staging")),
        (0, ("unpack", "latest", "folder")),
        (0, ("pack", "folder", "--output", "again.json.gz")),
        (0, ("prune", "--keep-last", "1", "--dry-run")),
        (1, ("show", f"{PERSIAN}/latest")),
        (1, ("show", "latest", f"function/{FAMILY}")),
    ):
        done = ask(*arguments, encoding="iso-8859-1", env=latin)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert "bug" not in done.stderr
    shown = ask("--json", "show", "latest", "function/*", encoding="iso-8859-1", env=latin)
    assert f"Größe {FAMILY} {PERSIAN}" in [body["name"] for body in json.loads(shown.stdout)]
