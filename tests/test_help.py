"""Help fits a screen, says everything with --help-all, and has examples that work; the man page says the same."""

import re
import shlex
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from jitsu_backup.archive import archive_name, encode
from jitsu_backup.cli import COMMAND_GROUPS, cli as program
from jitsu_backup.cli.exit_codes import EXIT_CODES
from jitsu_backup.cli.flags.grouping import HELP, Flag, GroupedCommand, GroupedHelp, title_of
from jitsu_backup.cli.man import man_page
from tests.support import cli, make_snapshot

ROOT = Path(__file__).parents[1]
CONTEXT = click.Context(program, info_name="jitsu-backup")
COMMANDS = program.list_commands(CONTEXT)


def command_of(name: str) -> GroupedHelp:
    if not name:
        return program
    command = program.get_command(CONTEXT, name)
    assert isinstance(command, GroupedCommand), name
    return command


def helped(monkeypatch: pytest.MonkeyPatch, *arguments: str, columns: int = 80) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    done = CliRunner().invoke(program, arguments, prog_name="jitsu-backup")
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits_a_screen_and_names_all_options_on_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = helped(monkeypatch, *name.split(), "--help").splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 80
    assert sum("--help-all" in line for line in lines) == 1
    assert "-h" not in [word.strip(",") for line in lines for word in line.split()]


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_every_option_is_in_one_group_of_help_all(
    name: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = command_of(name)
    shown = helped(monkeypatch, *name.split(), "--help-all", columns=columns).partition("\nExamples:")[2]
    listed = re.findall(r"^  (?:-\w, )?(--[a-z][a-z-]+)", shown, re.MULTILINE)
    options = [p for p in command.get_params(CONTEXT) if isinstance(p, click.Option)]
    assert sorted(listed) == sorted(next(o for o in p.opts if o.startswith("--")) for p in options)
    titles = re.findall(r"^([A-Z][\w ]+):$", shown, re.MULTILINE)
    assert len(titles) == len(set(titles))
    for option in options:
        if option.opts not in (["-h", "--help"], ["--help"], ["--version"], ["--help-all"]):
            assert isinstance(option, Flag), option.opts
            assert title_of(option) != HELP, option.opts
            assert option.help, option.opts
    for option in options:  # no name ends at a hyphen at the end of a line
        for flag in (*option.opts, *option.secondary_opts):
            assert flag in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_two_examples_each_on_a_line_and_each_parses(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = command_of(name)
    shown = helped(monkeypatch, name, "--help")
    assert len(command.examples) >= 2
    for example in command.examples:
        assert f"\n  {example}\n" in shown
        line = re.sub(r'^eval "\$\((.*)\)"$', r"\1", example).partition(" > ")[0]
        words = shlex.split(line)
        assert words[:2] == ["jitsu-backup", name]
        with command.make_context(name, words[2:], parent=CONTEXT) as context:
            assert context.args == []


def test_the_program_lists_each_command_once_with_what_its_own_help_says_first() -> None:
    names = [name for commands in COMMAND_GROUPS.values() for name in commands]
    assert names == COMMANDS
    folder = ROOT / "jitsu_backup" / "cli" / "flags"
    assert {name for name in names if not (folder / f"{name}.py").exists()} == set()
    for name in names:
        first = (command_of(name).help or "").partition("\n\n")[0]
        assert first.endswith("."), name


def test_the_exit_codes_have_one_text_in_the_help_the_readme_and_troubleshooting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = helped(monkeypatch, "--help-all")
    assert re.findall(r"^  (\d+) +[A-Z]", shown, re.MULTILINE) == [str(code) for code in EXIT_CODES]
    for page in ("README.md", "docs/troubleshooting.md"):
        text = (ROOT / page).read_text(encoding="utf-8").replace("`", "")
        rows = re.findall(r"^\| (\d+) \| (.*?) \|", text, re.MULTILINE)
        assert {int(code): meaning for code, meaning in rows} == EXIT_CODES, page


# -- the man page --------------------------------------------------------------------


@pytest.mark.skipif(
    not hasattr(click.Option, "get_help_extra"), reason="click before 8.2 adds ranges of numbers"
)
def test_the_man_page_is_in_step() -> None:
    told = "run python -m jitsu_backup.cli.man docs/jitsu-backup.1"
    assert (ROOT / "docs" / "jitsu-backup.1").read_text(encoding="ascii") == man_page(), told


def test_the_man_page_has_every_command_and_option() -> None:
    page = man_page().replace("\\-", "-")
    for name in COMMANDS:
        section = page.partition(f"\n.SS {name}\n")[2].partition("\n.S")[0]
        for option in command_of(name).params:
            if isinstance(option, click.Option):
                assert option.opts[-1] in section, (name, option.opts)
    assert re.findall(r"^(?!\.|\\&).*(?:^|[^\\])'", page, re.MULTILINE) == []


@pytest.mark.skipif(not shutil.which("mandoc"), reason="needs mandoc")
def test_the_man_page_is_clean() -> None:
    done = subprocess.run(
        ["mandoc", "-Tlint", ROOT / "docs" / "jitsu-backup.1"], capture_output=True, text=True, check=False
    )
    # it has no date, so that it changes with the help only
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []


@pytest.mark.skipif(not shutil.which("groff"), reason="needs groff")
def test_the_man_page_is_rendered_without_a_warning() -> None:
    page = str(ROOT / "docs" / "jitsu-backup.1")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", page], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert "--if-changed" in re.sub(r"\x1b\[[\d;]*m|.\x08", "", done.stdout)


# -- the first screen ----------------------------------------------------------------


def screen(folder: Path, **environment: str) -> str:
    """What `jitsu-backup` alone prints, which is wrong usage where nobody reads it."""
    done = cli(env=environment, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert all(len(line) <= 80 or str(folder) in line for line in done.stderr.splitlines())
    steps = re.findall(r"^  (jitsu-backup .*)$", done.stderr, re.MULTILINE)
    for step in steps:
        words = shlex.split(step)[1:]
        if words == ["--help"]:
            continue
        with program.make_context("jitsu-backup", list(words)) as context:
            name = next(word for word in words if word in COMMANDS)
            command_of(name).make_context(name, words[words.index(name) + 1 :], parent=context)
    return done.stderr


def test_without_settings_the_first_screen_says_how_to_begin(tmp_path: Path) -> None:
    told = screen(tmp_path)
    assert "Settings  none yet" in told
    assert "jitsu-backup demo" in told
    assert ("jitsu-backup init" in told) == ("init" in COMMANDS)


def test_with_settings_the_first_screen_says_what_is_set_and_what_comes_next(tmp_path: Path) -> None:
    store = tmp_path / "store"
    (tmp_path / "jitsu-backup.toml").write_text(
        f'store = "{store}"\nhost = "https://jitsu.example.com"\nkey = {{ command = ["touch", "ran"] }}\n'
        '[profiles.staging]\nworkspace = "acme"\n'
    )
    told = screen(tmp_path)
    for words in (
        f"Settings  {tmp_path}/jitsu-backup.toml\n",
        "Console   https://jitsu.example.com\n",
        "Profiles  @staging\n",
        f"Store     {store}, no archives yet\n",
        "  jitsu-backup backup @staging --new-store\n",
    ):
        assert words in told
    store.mkdir()
    for slug, hours in (("acme", 30), ("other", 3)):
        snapshot = make_snapshot({"function": []}, slug=slug, workspace_id=f"w-{slug}")
        object.__setattr__(snapshot, "taken_at", datetime.now(UTC) - timedelta(hours=hours, minutes=5))
        (store / str(archive_name(snapshot))).write_bytes(encode(snapshot))
    told = screen(tmp_path)
    assert f"Store     {store}: 2 archives, newest 3 hours ago (other)\n" in told
    assert "  jitsu-backup restore other/latest --dry-run\n" in told
    assert not (tmp_path / "ran").exists()


def test_the_first_screen_sends_no_request_and_survives_settings_that_cannot_be_used(tmp_path: Path) -> None:
    environment = {"JITSU_HOST": "http://127.0.0.1:9", "JITSU_BACKUP_STORE": "s3://bucket/prefix"}
    assert "Store     s3://bucket/prefix\n" in screen(tmp_path, **environment)
    (tmp_path / "jitsu-backup.toml").write_text("not toml")
    told = screen(tmp_path)
    assert "Settings  cannot be used: settings file" in told
    assert "  jitsu-backup check --config\n" in told


def test_options_without_a_command_are_wrong_usage(tmp_path: Path) -> None:
    done = cli("-q", cwd=tmp_path)
    assert (done.returncode, "Missing command" in done.stderr) == (2, True)
