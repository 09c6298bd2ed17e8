"""The guides of the documents run as written; they are short, complete, and lead only to what is there."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
import yaml

from jitsu_backup.archive.encryption import new_identity
from jitsu_backup.archive.filename import OWN_MARKS
from jitsu_backup.cli import cli
from jitsu_backup.console import RefusalKind
from jitsu_backup.errors import BlockedError
from jitsu_backup.operations.alarms import What
from jitsu_backup.operations.recovery_losses import LossKind
from jitsu_backup.reports.metrics import _GAUGES
from tests.free_ports import free_ports
from tests.test_errors import whole_tree

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GUIDES = (
    "alarms.md", "archive-format.md", "clone.md", "concepts.md", "configuration.md", "coverage.md",
    "drill.md", "faq.md", "figures.md", "get-started.md", "git-folder.md", "history-page.md", "history-who.md",
    "history.md", "naming.md", "network.md", "notify.md", "overlay.md", "promotion-access.md",
    "promotion-after.md", "promotion-ci.md", "promotion.md", "recovered.md", "recovery-json.md", "recovery-rules.md", "recovery.md", "report.md",
    "restore-one.md", "restore-rules.md", "restore.md", "retention.md", "reverse-syncs.md", "runbook.md",
    "runbook-checks.md", "sandbox.md", "saved-plans.md", "secrets.md", "store.md", "three-sides.md", "troubleshooting.md",
    "undo.md", "upgrading.md", "../README.md",
)  # fmt: skip
RUN_BY = {
    "git.md": "tests/test_folders_in_git.py",
    "python.md": "tests/test_api.py",
    "schedule.md": "tests/schedule/files.py",
    "schedule-containers.md": "tests/schedule/files.py",
    "watch.md": "tests/watching/test_command_line.py",
}
"""Guides that another test runs."""
REFERENCE = "archive-format.md"
"""It holds the schema of an archive, so it may be longer than other pages."""
SHORT = (
    *(name for name in GUIDES if name != REFERENCE),
    *RUN_BY,
    "README.md",
    "architecture-rules.md",
    "architecture.md",
    "dependencies.md",
    "extending.md",
    "python-functions.md",
    "real-console.md",
    "testing.md",
    "../CONTRIBUTING.md",
)
LONGEST = 125
"""The lines of two screens, more or less."""

BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]+) -->\n)?```sh\n(?P<lines>.*?)```", re.DOTALL)
"""A block that is run; the mark before it is `stage`, `ends with CODE` or `not run: REASON`. One in a comment is run too."""
STAND_IN = re.compile(r"^# (\S+) stands for (\S+)$", re.MULTILINE)
"""A line of a block in a comment: what the reader replaces by a value of their own, and what the test replaces it by."""

PUBLIC_KEY = "age1-your-own-public-key"
"""What stands for the reader's own public key. The private key is in `identity.txt`."""


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks_of(page: str) -> list[tuple[str, str]]:
    """Return the blocks of a page, each with its mark."""
    return [(found["mark"] or "", found["lines"]) for found in BLOCK.finditer(page)]


def staged(name: str) -> list[tuple[str, str]]:
    """Return the blocks that run a guide: the console of `get-started.md` comes first if it starts none of its own."""
    mine = blocks_of(read(name))
    if any("jitsu-backup sandbox" in lines or " sandbox --" in lines for _, lines in mine):
        return mine
    return [block for block in blocks_of(read("get-started.md")) if block[0] == "stage"] + mine


def script_of(blocks: list[tuple[str, str]]) -> str:
    """Return what runs the blocks one after the other, and stops at the first that ends in another way than it says."""
    script = ["trap 'kill $(jobs -p) 2> /dev/null' EXIT"]
    for number, (mark, lines) in enumerate(blocks):
        if mark.startswith("not run: "):
            continue
        code = mark.removeprefix("ends with ") if mark.startswith("ends with ") else ""
        assert code or mark in ("", "stage"), mark
        script.append(
            f"set +e\n{lines}\ngot=$?; [ $got = {code} ] || exit 99" if code else f"set -e\n{lines}"
        )
        script.append(f"echo '== block {number} done'")
    return "\n".join(script)


@pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("bash")), reason="the guides use bash and curl"
)
@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_runs_as_written(name: str, tmp_path: Path) -> None:
    script = script_of(staged(name)).replace("jitsu-backup sandbox ", "jitsu-backup sandbox --no-rate-limit ")
    if name == "../README.md":  # its first two lines install and test, and its console is somebody's
        install, tests, tour = blocks_of(read(name))
        assert ("jitsu-backup demo" in install[1], "-m pytest -q" in tests[1]) == (True, True)
        stage = next(block for block in staged("faq.md") if block[0] == "stage")
        host, key = re.findall(r"export JITSU_HOST=(\S+) JITSU_APIKEY=(\S+)", stage[1])[0]
        lines = tour[1].replace("https://jitsu.example.com", host).replace("keyId:keySecret", key)
        script = script_of([stage, ("", lines)])
    for shown, real in STAND_IN.findall(script):
        script = script.replace(shown, real)
    if PUBLIC_KEY in script:
        private, public = new_identity()
        (tmp_path / "identity.txt").write_text(private)
        script = script.replace(PUBLIC_KEY, public)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JITSU")}
    done = subprocess.run(
        ["bash", "-c", with_free_ports(script)],
        cwd=tmp_path,
        env={**clean, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count("== block") == script.count("echo '== block") > 1
    if name == "clone.md":
        assert "Nothing to change" in done.stdout


def with_free_ports(page: str) -> str:
    """Return a page with a free port in place of each that it names, so that guides that run at once do not meet."""
    port = r"(?<=--port )\d+|(?<=127\.0\.0\.1:)\d+"
    named = sorted({*re.findall(port, page)})
    free = dict(zip(named, map(str, free_ports(len(named))), strict=True))
    return re.sub(port, lambda found: free[found[0]], page)


def test_the_guides_that_are_run_elsewhere_are() -> None:
    for name, test in RUN_BY.items():
        assert name in (ROOT / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SHORT)
def test_a_page_fits_two_screens(name: str) -> None:
    assert len(read(name).splitlines()) <= (120 if name == "../README.md" else LONGEST)


# links


def anchors_of(page: str) -> set[str]:
    """Return the anchors of a page, as GitHub makes them of its headings, and those that it names itself."""
    text = re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    made = {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}
    return made | set(re.findall(r'<a id="([^"]+)">', text))


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    wrong = []
    for target, anchor in re.findall(
        r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8")
    ):
        file = page.parent / target if target else page
        if not file.exists() or (anchor and anchor not in anchors_of(file.read_text(encoding="utf-8"))):
            wrong.append(f"{target}#{anchor}")
    assert wrong == []


def test_every_page_and_every_command_is_in_the_index() -> None:
    index = read("README.md")
    pages = {page.name for page in DOCS.glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"]({name}" not in index} == set()
    for name in cli.list_commands(click.Context(cli)):
        assert f"\n| `{name}` | " in index


# what must be complete


RUNBOOK = ("runbook.md", "runbook-checks.md")


def alerts_of(page: str) -> list[str]:
    """Return the alerts that a page of the runbook has an entry of."""
    return re.findall(r"^## (\w+)$", read(page), re.MULTILINE)


def test_every_alert_has_an_entry_in_the_runbook_and_links_to_it() -> None:
    (group,) = yaml.safe_load(read("schedule/alerts.yml"))["groups"]
    linked = [rule["annotations"]["runbook_url"].rpartition("/docs/")[2] for rule in group["rules"]]
    assert {f"{page}#{alert.lower()}" for page in RUNBOOK for alert in alerts_of(page)} == set(linked)
    for rule, link in zip(group["rules"], linked, strict=True):
        assert link.endswith(f"#{rule['alert'].lower()}")


def test_the_runbook_has_every_alarm_and_every_exit_code_of_an_unattended_run() -> None:
    of_runs = {"runbook.md": "JitsuBackupRunFailed", "runbook-checks.md": "JitsuBackupVerifyFailed"}
    named = set[str]()
    for page, alert in of_runs.items():
        codes = {kind.exit_code for kind in whole_tree()} - {BlockedError.exit_code} | {130}
        part = under(page, alert)
        assert {int(code) for code in re.findall(r"^\| (\d+) \|", part, re.MULTILINE)} == codes
        named |= set(re.findall(r"`(\w+)`", part))
    alerts = {alert for page in RUNBOOK for alert in alerts_of(page)}
    assert [
        w.label for w in What if w.label not in named and f"JitsuBackup{w.label.title()}" not in alerts
    ] == []


def test_the_table_of_figures_has_each_with_its_labels() -> None:
    rows = re.findall(r"^\| `(jitsu_backup_\w+)` \|(.*?)\|", read("figures.md"), re.MULTILINE)
    assert {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in rows} == {
        name: tuple(label for label in labels if label != "console") for name, (_, labels) in _GAUGES.items()
    }


def under(page: str, heading: str) -> str:
    """Return what stands under a heading of a page."""
    return read(page).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def cells(page: str, heading: str) -> set[str]:
    """Return what stands as code in the first column of the table under a heading."""
    rows = re.findall(r"^\| (.+?) \|", under(page, heading), re.MULTILINE)
    return {code for row in rows for code in re.findall(r"`([^`]+)`", row)}


def test_troubleshooting_has_every_exit_code() -> None:
    codes = {*(str(kind.exit_code) for kind in whole_tree()), "0", "4", "130"}
    for page in ("troubleshooting.md", "../README.md"):
        assert set(re.findall(r"^\| (\d+) \|", read(page), re.MULTILINE)) == codes


def test_troubleshooting_has_every_error_alarm_and_refusal() -> None:
    errors = {kind.__name__ for kind in whole_tree() if not kind.__name__.startswith("_")}
    assert cells("troubleshooting.md", "What kind of failure is it?") == errors
    assert cells("troubleshooting.md", "Which alarm is it?") == {what.label for what in What}
    assert cells("troubleshooting.md", "Why did the console reject it?") == {
        kind.value for kind in RefusalKind
    }
    assert {f"`{kind.label}`" for kind in LossKind} <= set(re.findall(r"`\w+`", read("figures.md")))
    assert set(OWN_MARKS) <= cells("naming.md", "What do the marks mean?")


@cache
def texts_of(folder: str) -> tuple[str, ...]:
    """Return the texts in the source of a folder, docstrings left out; a value in one shows as `…`."""
    return tuple(
        text
        for file in (ROOT / folder).rglob("*.py")
        for text in _texts(ast.parse(file.read_text(encoding="utf-8")))
    )


def _texts(tree: ast.AST) -> Iterator[str]:
    unsaid = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in unsaid:
            yield node.value
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)


@pytest.mark.parametrize("message", sorted(cells("troubleshooting.md", "What does the message mean?")))
def test_a_message_of_the_page_is_one_that_the_program_writes(message: str) -> None:
    assert any(message in text for text in texts_of("jitsu_backup"))


def test_every_flag_that_the_reason_of_a_plan_offers_is_on_the_page() -> None:
    flags = {
        flag for text in texts_of("jitsu_backup/planning") for flag in re.findall(r"--[a-z][a-z-]+", text)
    }
    told = {
        flag
        for cell in cells("troubleshooting.md", "Which flag decides what a plan asks?")
        for flag in cell.split()
    }
    assert flags <= told
