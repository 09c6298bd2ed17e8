"""What the documents show runs as written, and what they link to is there."""

import re
from pathlib import Path

import click

from jitsu_backup.cli import cli

ROOT = Path(__file__).parents[1]


NEWEST_TRAPS = {
    "N3": (1, 2, 3, 5, 6, 8),
    "N4": (1, 2, 3, 4, 6, 7, 8, 9),
    "N5": (*range(1, 17), 18),
    "N7": (1, 2, 3),
}
"""The numbers of the newest console's traps that a tool can fall into, by section."""


def test_every_trap_is_linked_to_a_test_that_is_there() -> None:
    page = (ROOT / "docs/real-console.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| ([N\d.]+|older) \| .* \| \[`(\w+)`\]\(\.\./(tests/[\w./]+)\) \|$", page, re.MULTILINE
    )
    newest = [f"{section}.{number}" for section, numbers in NEWEST_TRAPS.items() for number in numbers]
    newest.insert(-3, "N6")
    assert [number for number, _, _ in rows] == [*(str(n) for n in range(1, 31)), "older", *newest]
    for number, name, path in rows:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), name
        assert not number.isdigit() or name.startswith(f"test_trap_{int(number):02}_")


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
        assert (
            spoken - known - foreign - {"--help", "--help-all", "--from-env-file", "--from-file"} == set()
        ), page.name
