"""`history` of stores that are not plain: archives under lock, of two consoles, damaged since they were read."""

import shlex
from pathlib import Path

import pyrage
import pytest

from jitsu_backup.operations.archive_keys import ArchiveKeys
from tests.support import cli
from tests.test_history import BETTER, Bench, workspace


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def identity(bench: Bench, name: str = "my identity") -> ArchiveKeys:
    """Keys to archives, whose identity is in a file of the bench."""
    made = pyrage.x25519.Identity.generate()
    (bench.folder / name).write_text(str(made))
    return ArchiveKeys((str(made.to_public()),), (str(made).encode(),))


def commands(text: str) -> list[list[str]]:
    """The arguments of the commands in a text, without the program's name."""
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("    jitsu-backup ")]


def test_the_line_of_a_change_since_an_encrypted_archive_opens_it(bench: Bench) -> None:
    keys = identity(bench)
    bench.keep(workspace(), keys=keys)
    bench.keep(workspace(function={"code": BETTER}))
    bench.keep(workspace(function={"code": "// open"}))
    given = ("--identity", "my identity", "--identity", "none")
    (bench.folder / "none").write_text(str(pyrage.x25519.Identity.generate()))
    done = bench.ask(*given, "--html", "x.html", "--markdown", "x.md")
    opened, locked = commands(done.stdout)
    assert "--identity" not in opened
    assert tuple(locked[-4:]) == given
    assert cli("show", "--store", "store", locked[3], *given, cwd=bench.folder).returncode == 0
    line = shlex.join(["jitsu-backup", *locked])
    assert [one["restore"] for one in bench.lines(*given)][1] == line
    assert f"`{line}`" in (bench.folder / "x.md").read_text()
    assert (bench.folder / "x.html").read_text().count("--identity &#39;my identity&#39;") >= 1
    assert "--identity" not in bench.ask(JITSU_BACKUP_IDENTITY="my identity").stdout
