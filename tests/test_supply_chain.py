"""Every dependency has a reason and a bound; nothing is fetched while we run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.versions import name_of, oldest, project

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")


def named(text: str) -> set[str]:
    return {name_of(word.strip()) for word in text.split(",") if word.strip()}


def test_every_runtime_dependency_has_a_reason_and_every_reason_a_dependency() -> None:
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", PAGE, re.MULTILINE)[1:]
    reasons = {name: reason for names, reason in rows for name in named(names) if names != "---"}
    assert reasons.keys() == {name_of(text) for text in project()["dependencies"]}
    assert all(len(reason) > 10 for reason in reasons.values())


def test_every_tool_of_tests_and_checks_has_a_reason_and_every_reason_a_tool() -> None:
    extras = project()["optional-dependencies"]
    for extra, heading in (("test", "For tests"), ("lint", "For checks")):
        part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
        listed = re.findall(r"^- ([a-zA-Z0-9-]+): .{8,}$", part, re.MULTILINE)
        assert sorted(map(name_of, listed)) == sorted(name_of(text) for text in extras[extra])


def test_every_runtime_dependency_has_a_lower_bound_and_no_upper_one() -> None:
    assert len(oldest(project()["dependencies"])) == len(project()["dependencies"])
    with pytest.raises(ValueError, match="no lower bound"):
        oldest(["tzdata"])


_ALONE = """
import os, socket, subprocess, sys

connect = socket.socket.connect

def alone(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
        print("REACHED OUT:", address, flush=True)
        os._exit(99)
    return connect(self, address)

def no_names(host, *rest, **more):
    if host not in ("127.0.0.1", "localhost", "::1", None):
        print("ASKED FOR:", host, flush=True)
        os._exit(99)
    return resolve(host, *rest, **more)

def no_process(*arguments, **options):
    print("STARTED:", arguments, flush=True)
    os._exit(99)

resolve, socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex = socket.getaddrinfo, no_names, alone, alone
subprocess.Popen.__init__ = no_process

from jitsu_backup.cli import run
code = run(sys.argv[1:])
loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())} - {None}
strange = [path for path in loaded if not path.startswith((sys.prefix, sys.base_prefix, os.environ["ROOT"]))]
assert not strange, strange
os._exit(code)
"""


@pytest.mark.parametrize(
    "command",
    [("demo",), ("--help",), ("completion", "bash"), ("snapshots",), ("--version",)],
    ids=lambda c: c[0],
)
def test_a_run_reaches_nothing_but_this_machine_starts_nothing_and_loads_only_what_is_installed(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ALONE, *command],
        cwd=tmp_path, env={"ROOT": str(ROOT), "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}, timeout=120, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_no_code_of_ours_evaluates_text_or_loads_what_it_did_not_ship() -> None:
    banned = re.compile(
        r"(?<![.\w])(eval|exec|compile|__import__)\(|pickle|marshal|shelve|yaml\.load|urlopen|pip\b.*install"
    )
    for path in (ROOT / "jitsu_backup").rglob("*.py"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not banned.search(line), f"{path.name}:{number}: {line}"
