"""What the documents show runs as written, and what they link to is there."""

import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import click
import pytest

from jitsu_backup.cli import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="the tours use bash and curl")
@pytest.mark.parametrize("name", ["clone.md", "history.md", "promotion.md", "recovery.md"])
def test_a_tour_runs_as_written(name: str, tmp_path: Path) -> None:
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    # the requests of a tour go beyond a minute's budget, and the waits for the next one would be real
    page = page.replace("jitsu-backup sandbox ", "jitsu-backup sandbox --no-rate-limit ")
    page = with_free_ports(page)
    blocks = re.findall(r"(?:<!-- ends with (\d) -->\n)?```sh\n(.*?)```", page, re.DOTALL)
    assert len(blocks) > 8
    script = ["trap 'kill $(jobs -p) 2> /dev/null' EXIT"]
    for number, (code, block) in enumerate(blocks):
        script.append(
            f"set -e\n{block}" if not code else f"set +e\n{block}\ngot=$?; [ $got = {code} ] || exit 99"
        )
        script.append(f"echo '== block {number} done'")
    bin_folder = Path(sys.executable).parent
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JITSU")}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path, env={**clean, "PATH": f"{bin_folder}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count("== block") == len(blocks)
    if name == "clone.md":
        assert "Nothing to change" in done.stdout


def with_free_ports(page: str) -> str:
    """Return a page with a free port in place of each that it names, so that tours which run at once do not meet."""
    port = r"(?<=--port )\d+|(?<=127\.0\.0\.1:)\d+"
    named = sorted({*re.findall(port, page)})
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in named]
        free = {name: str(one.getsockname()[1]) for name, one in zip(named, sockets, strict=True)}
    return re.sub(port, lambda found: free[found[0]], page)


NEWEST_TRAPS = {
    "N3": (1, 2, 3, 5, 6, 8),
    "N4": (1, 2, 3, 4, 6, 7, 8, 9),
    "N5": (*range(1, 17), 18),
    "N7": (1, 2, 3),
}
"""The numbers of the newest console's traps that a tool can fall into, by section."""


def test_every_trap_is_linked_to_a_test_that_is_there() -> None:
    page = (ROOT / "docs/traps.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| ([N\d.]+|older) \| .* \| \[`(\w+)`\]\(\.\./(tests/[\w./]+)\) \|$", page, re.MULTILINE
    )
    newest = [f"{section}.{number}" for section, numbers in NEWEST_TRAPS.items() for number in numbers]
    newest.insert(-3, "N6")
    assert [number for number, _, _ in rows] == [*(str(n) for n in range(1, 31)), "older", *newest]
    for number, name, path in rows:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), name
        assert not number.isdigit() or name.startswith(f"test_trap_{int(number):02}_")


def test_every_link_inside_the_documents_leads_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), (page.name, target)


def test_the_commands_in_the_readme_are_those_of_the_help() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jitsu_backup", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    commands = done.stdout[done.stdout.index("Commands:\n") + len("Commands:\n") :].partition("\n\n")[0]
    assert f"```\n{commands}\n```" in README


def test_every_flag_that_the_documents_speak_of_is_one() -> None:
    known = set()
    for name in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        for parameter in (*command.params, *cli.params):
            known |= {*parameter.opts, *parameter.secondary_opts}
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if "jitsu-backup" in line and not line.startswith("#")]
        spoken = {
            flag
            for line in lines
            for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line.partition("jitsu-backup")[2])
        }
        foreign = {
            "--rm",
            "--read-only",
            "--cap-drop",
            "--security-opt",
            "--env-file",
            "--system",
            "--shell",
            "--home-dir",
        }
        assert spoken - known - foreign - {"--help", "--from-env-file", "--from-file"} == set(), page.name
