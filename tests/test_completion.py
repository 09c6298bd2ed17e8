"""Tab completes commands, flags, profiles and snapshots, and never shows an error."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from jitsu_backup.archive import archive_name, encode
from jitsu_backup.cli import cli as program
from tests.support import cli, make_snapshot

SETTINGS = (
    '[profiles.staging]\nworkspace = "a"\n[profiles.production]\nworkspace = "b"\n[sets.web]\nonly = "link"\n'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "jitsu-backup.toml").write_text(SETTINGS)
    store = tmp_path / "jitsu-backups"
    store.mkdir()
    for slug, workspace in (("acme", "w1"), ("other", "w2")):
        snapshot = make_snapshot({"function": []}, workspace_id=workspace, slug=slug)
        (store / str(archive_name(snapshot))).write_bytes(encode(snapshot))
    return tmp_path


def offered(folder: Path, *words: str) -> list[str]:
    """What bash is offered for the last of the words."""
    done = subprocess.run(
        [sys.executable, "-c", "from jitsu_backup.cli import cli; cli(prog_name='jitsu-backup')"],
        env={
            "PATH": os.environ["PATH"], "HOME": str(folder), "_JITSU_BACKUP_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(("jitsu-backup", *words)), "COMP_CWORD": str(len(words)),
        },
        cwd=folder, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_commands_flags_profiles_and_snapshots_are_offered(folder: Path) -> None:
    assert offered(folder, "ver") == ["verify"]
    assert "--if-changed" in offered(folder, "backup", "--if")
    assert offered(folder, "backup", "--help") == ["--help", "--help-all"]
    assert offered(folder, "backup", "@") == ["@production", "@staging"]
    assert offered(folder, "restore", "latest", "--into", "@s") == ["@staging"]
    assert offered(folder, "undo", "@p") == ["@production"]
    assert offered(folder, "clone", "--set", "w") == offered(folder, "diff", "--set", "") == ["web"]
    assert offered(folder, "show", "acme/l") == ["acme/latest"]
    ids = offered(folder, "show", "other/")
    assert len(ids) == 2
    assert offered(folder, "diff", "live:@p") == ["live:@production"]
    assert offered(folder, "diff", "latest", "acme/") == [
        "acme/latest",
        *offered(folder, "show", "acme/")[1:],
    ]


def test_what_cannot_be_read_offers_nothing_and_says_nothing(folder: Path) -> None:
    (folder / "jitsu-backup.toml").write_text("not toml at all")
    assert offered(folder, "backup", "@") == []
    assert offered(folder, "show", "acme") == []


def test_no_network_is_asked(folder: Path) -> None:
    (folder / "jitsu-backup.toml").write_text('store = "s3://bucket/prefix"\n')
    assert offered(folder, "show", "") == ["latest"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_the_shell_takes(shell: str, tmp_path: Path) -> None:
    done = cli("completion", shell, cwd=tmp_path)
    assert done.returncode == 0
    assert "_JITSU_BACKUP_COMPLETE" in done.stdout
    if shutil.which(shell):
        (tmp_path / "script").write_text(done.stdout)
        subprocess.run([shell, "-n", tmp_path / "script"], check=True, capture_output=True)


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    ("line", "words", "offered_"),
    [
        ("jitsu-backup backup @s", ["jitsu-backup", "backup", "@", "s"], ["staging"]),
        ("jitsu-backup backup @", ["jitsu-backup", "backup", "@"], ["production", "staging"]),
        ("jitsu-backup diff live:@p", ["jitsu-backup", "diff", "live", ":@", "p"], ["production"]),
        ("jitsu-backup show acme/l", ["jitsu-backup", "show", "acme/l"], ["acme/latest"]),
        ("jitsu-backup backup ", ["jitsu-backup", "backup", ""], ["@production", "@staging"]),
    ],
)  # fmt: skip
def test_in_bash_words_with_its_breaks_are_completed(
    line: str, words: list[str], offered_: list[str], folder: Path
) -> None:
    listed = " ".join(shlex.quote(word) for word in words)
    command = (
        f'eval "$(jitsu-backup completion bash)"; COMP_LINE={shlex.quote(line)}; COMP_POINT=${{#COMP_LINE}};'
        f" COMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}; _jitsu_backup_completion jitsu-backup;"
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=True, timeout=60,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(folder)},
    )  # fmt: skip
    assert [text for text in done.stdout.splitlines() if text] == offered_


HEAVY = (
    "asyncio", "httpx", "jinja2", "jsonschema", "obstore", "orjson", "prometheus_client", "pyrage", "rich",
    "starlette", "subprocess", "tenacity", "uvicorn",
)  # fmt: skip
_LOADED = """
import sys
from jitsu_backup.cli import run
try:
    run(sys.argv[2:])
except SystemExit:
    pass  # so ends what a shell asks
print(*sorted(set(sys.argv[1].split(",")) & set(sys.modules)), file=sys.stderr)
"""


def heavy_modules(folder: Path, *arguments: str, tab: str = "") -> list[str]:
    """Which heavy modules a run has loaded; `tab` is the line that a shell wants completed."""
    asked = {"_JITSU_BACKUP_COMPLETE": "bash_complete", "COMP_WORDS": tab, "COMP_CWORD": str(tab.count(" "))}
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, ",".join(HEAVY), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **(asked if tab else {})},
        cwd=folder, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stderr.splitlines()[-1].split()


@pytest.mark.parametrize("command", program.list_commands(click.Context(program)))
def test_help_tab_and_a_wrong_flag_of_a_command_load_nothing_heavy(command: str, folder: Path) -> None:
    assert heavy_modules(folder, command, "--help") == []
    assert heavy_modules(folder, command, "--no-such-flag") == []
    for last in ("", "--", "latest ", "@", "acme/", "live:@"):
        assert heavy_modules(folder, tab=f"jitsu-backup {command} {last}") == [], last


def test_what_a_command_loads_when_it_runs_would_be_seen(folder: Path) -> None:
    assert {"httpx", "orjson", "rich"} <= set(heavy_modules(folder, "snapshots"))


_ENDED = """
import gc, sys
from jitsu_backup.__main__ import main
try:
    main()
except SystemExit:
    print(gc.isenabled(), gc.get_freeze_count() > 10 * len(gc.get_objects()), file=sys.stderr)
"""


@pytest.mark.parametrize("tab", ["", "jitsu-backup restore "])
def test_the_collector_works_while_a_command_does_and_has_nothing_to_search_as_it_ends(
    tab: str, folder: Path
) -> None:
    asked = {"_JITSU_BACKUP_COMPLETE": "bash_complete", "COMP_WORDS": tab, "COMP_CWORD": "2"} if tab else {}
    done = subprocess.run(
        [sys.executable, "-c", _ENDED, "--version"], env={"PATH": os.environ["PATH"], "HOME": str(folder), **asked},
        cwd=folder, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stderr.split() == ["True", "True"]
