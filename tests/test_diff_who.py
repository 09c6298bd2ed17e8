"""`diff --who`: who made each change, by the audit log of consoles of every age, or when it was last saved."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console as Terminal

from jitsu_backup.console.audit_log import AuditLog, LogState
from jitsu_backup.errors import BackupError
from jitsu_backup.model import AuditEntry, Key
from jitsu_backup.operations import who
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.diff import Side, diff
from jitsu_backup.planning import Changes
from jitsu_backup.planning.attribution import Attribution
from jitsu_backup.planning.history import Author, Passing
from jitsu_backup.reports import changes_document, changes_view
from jitsu_backup.reports.html import changes_page
from jitsu_backup.reports.markdown import changes_markdown
from jitsu_backup.sandbox import Generation, Sandbox, State, default_state, example_workspace, running
from jitsu_backup.settings import SecretText
from tests.reports.samples import HOSTILE
from tests.support import ANALYST, OWNER, STAGING, cli, make_snapshot, run

ADMIN, CANARY = "service:admintoken", "CANARY-7f3a"
LOGGING = [Generation.JULY_2026, Generation.NEWEST]


class Workspace:
    """A workspace with an archive in a store, the people who change it, and the command line."""

    def __init__(self, state: State, url: str, folder: Path) -> None:
        self.state, self.url, self.folder = state, url, folder

    def change(self, method: str, path: str, body: Any = None, key: str = OWNER) -> None:
        auth = {"Authorization": f"Bearer {key}"}
        answer = httpx.request(method, f"{self.url}/api/{STAGING}/config/{path}", json=body, headers=auth)
        assert answer.status_code == 200, answer.text

    def ask(self, *arguments: str, key: str = OWNER) -> Any:
        env = {"JITSU_HOST": self.url, "JITSU_APIKEY": key, "COLUMNS": "200"}
        done = cli(*arguments, env=env, cwd=self.folder)
        assert done.returncode in (0, 3), done.stderr
        return done

    def diff(self, *arguments: str, key: str = OWNER) -> str:
        output: str = self.ask("diff", "latest", "--who", *arguments, key=key).stdout
        return re.sub(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", "WHEN", output)


@contextmanager
def workspace(folder: Path, generation: Generation = Generation.NEWEST) -> Iterator[Workspace]:
    state = default_state(generation=generation)
    example_workspace(state, STAGING)
    with running(Sandbox(state, rate_limit=False)) as url:
        made = Workspace(state, url, folder)
        made.ask("backup", "acme-staging")
        yield made


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[Workspace]:
    with workspace(tmp_path) as made:
        yield made


@pytest.mark.parametrize("generation", LOGGING)
def test_each_change_names_who_made_it_and_what_came_and_went_is_listed(
    tmp_path: Path, generation: Generation
) -> None:
    with workspace(tmp_path, generation) as acme:
        acme.change("PUT", "function/enrich-0001", {"code": "// one"})
        acme.change("PUT", "function/enrich-0001", {"code": "// two"}, key=ADMIN)
        acme.change("POST", "function", {"id": "new", "name": "New", "code": "1"})
        acme.change("POST", "function", {"id": "gone", "name": "Gone", "code": "1"})
        acme.change("DELETE", "function/gone")
        link = next(row for row in acme.state.links.values() if row.type == "push")
        acme.change("DELETE", f"link?id={link.id}")
        lines = acme.diff().splitlines()
        told = dict(zip(lines, map(str.strip, lines[1:]), strict=False))
        assert (
            told["~ changed  function         Enrich"]
            == "by the operator's token WHEN; Owner (API, key key1) WHEN"
        )
        assert told["+ added    function         New"] == "by Owner (API, key key1) WHEN"
        (removed,) = [line for line in lines if line.startswith("- removed  link")]
        assert told[removed] == "by Owner (API, key key1) WHEN"
        at = lines.index("Created and deleted between two snapshots (1)")
        assert lines[at + 1].strip() == "• function Gone, by Owner (API, key key1) WHEN"
        assert "Gone" not in acme.diff("--only", "function/New")
        assert "audit log" not in "".join(lines)


def test_json_markdown_and_page_name_them_too(acme: Workspace) -> None:
    acme.change("PUT", "function/enrich-0001", {"code": "// one"})
    acme.change("POST", "function", {"id": "gone", "name": "Gone", "code": "1"})
    acme.change("DELETE", "function/gone")
    document = json.loads(
        acme.ask("--json", "diff", "latest", "--who", "--markdown", "x.md", "--html", "x.html").stdout
    )
    (change,), (passing,) = document["changes"], document["passing"]
    (author,) = change["authors"]
    assert {name: author[name] for name in ("who", "email", "key", "way", "ours")} == {
        "who": "Owner", "email": "owner@example.com", "key": "key1", "way": "api", "ours": False,
    }  # fmt: skip
    assert change["last_saved"] == author["at"]
    assert (passing["type"], passing["id"], passing["name"], len(passing["authors"])) == (
        "function",
        "gone",
        "Gone",
        1,
    )
    assert "  - by `Owner` (API, key `key1`) 20" in (acme.folder / "x.md").read_text()
    assert "- `function` `Gone`, by `Owner`" in (acme.folder / "x.md").read_text()
    page = (acme.folder / "x.html").read_text()
    assert "by Owner (API, key key1) 20" in page
    assert "Created and deleted between two snapshots" in page
    without = json.loads(acme.ask("--json", "diff", "latest").stdout)
    assert "passing" not in without
    assert "authors" not in without["changes"][0]


def test_a_console_of_2024_keeps_no_log_and_tells_when_something_was_saved(tmp_path: Path) -> None:
    with workspace(tmp_path, Generation.OCTOBER_2024) as acme:
        acme.change("PUT", "function/enrich-0001", {"code": "// one"})
        link = next(row for row in acme.state.links.values() if row.type == "push")
        acme.change("PUT", "link", {"fromId": link.from_id, "toId": link.to_id, "data": {"mode": "stream"}})
        told = acme.diff()
        assert told.count("this console keeps no audit log") == 1
        assert told.count("    last saved WHEN") == 1  # its objects do not tell, its links do


def test_where_the_log_is_off_that_is_said_once_and_the_last_saving_stands_in(acme: Workspace) -> None:
    acme.state.audit_log = False
    acme.change("PUT", "function/enrich-0001", {"code": "// one"})
    acme.change("POST", "function", {"id": "new", "name": "New", "code": "1"})
    acme.change("DELETE", "function/only-known-0001")
    lines = acme.diff().splitlines()
    assert "".join(lines).count("it stays empty if") == 1
    assert sum(line.strip() == "last saved WHEN" for line in lines) == 2
    assert not any(line.strip().startswith("by ") for line in lines)


def test_a_key_that_may_not_read_the_log_is_reported_once_and_the_operators_token_reads_it(
    acme: Workspace,
) -> None:
    acme.change("PUT", "function/enrich-0001", {"code": "// one"})
    told = acme.diff(key=ANALYST)
    assert told.count("only owners and the operator's token may read") == 1
    assert "    last saved WHEN" in told
    env = {"JITSU_HOST": acme.url, "JITSU_APIKEY": ANALYST, "JITSU_ADMIN_TOKEN": ADMIN, "COLUMNS": "200"}
    done = cli("diff", "latest", "--who", "--only", "function/Enrich", env=env, cwd=acme.folder)
    assert "    by Owner (API, key key1) 20" in done.stdout
    assert "audit log" not in done.stdout


@pytest.mark.parametrize("key", [OWNER, ADMIN])
def test_what_a_restore_did_is_shown_as_such(acme: Workspace, key: str) -> None:
    (archive,) = json.loads(acme.ask("snapshots", "--json").stdout)["snapshots"]
    acme.change("PUT", "function/enrich-0001", {"code": "// by hand"})
    acme.ask("backup", "acme-staging")
    acme.state.audit.clear()
    acme.ask("restore", f"acme-staging/{archive['id']}", "--yes", key=key)
    told = acme.diff(key=key)
    how = (
        "Owner (restore by jitsu-backup, key key1)"
        if key == OWNER
        else "the operator's token (restore by jitsu-backup)"
    )
    assert f"    by {how} WHEN" in told


def test_two_snapshots_are_reported_by_the_key_of_their_place_or_a_note_says_why_not(acme: Workspace) -> None:
    acme.change("PUT", "function/enrich-0001", {"code": "// one"})
    acme.ask("backup", "acme-staging")
    arguments = ("diff", "latest~1", "latest", "--who")
    assert "    by Owner (API, key key1) 20" in acme.ask(*arguments).stdout
    env = {"JITSU_HOST": "http://127.0.0.1:9", "JITSU_APIKEY": OWNER, "COLUMNS": "300"}
    elsewhere = cli(*arguments, env=env, cwd=acme.folder)
    assert elsewhere.returncode == 0
    assert (
        elsewhere.stdout.count(
            "the audit log could not be read, so it is unknown who changed what: the snapshot came from"
        )
        == 1
    )
    assert "    last saved 20" in elsewhere.stdout


def test_of_two_workspaces_nobody_can_be_named(acme: Workspace) -> None:
    env = {"JITSU_HOST": acme.url, "JITSU_APIKEY": OWNER}
    done = cli("diff", "live:acme-staging", "live:acme-production", "--who", env=env, cwd=acme.folder)
    assert (done.returncode, "--who compares two states of one workspace" in done.stderr) == (
        2,
        True,
    )


def test_no_secret_of_the_log_or_of_the_workspace_is_shown(acme: Workspace) -> None:
    acme.change("PUT", "destination/lake-0001", {"keyFile": CANARY, "project": "another"})
    assert CANARY in str([row.after for row in acme.state.audit])
    told = [acme.diff(), acme.diff("--json", "--markdown", "x.md", "--html", "x.html")]
    told += [(acme.folder / name).read_text() for name in ("x.md", "x.html")]
    assert all("Owner" in text and CANARY not in text and OWNER not in text for text in told)


def sides() -> Changes:
    before = make_snapshot({"function": [{"id": "f", "name": "F", "code": "1"}]})
    after = make_snapshot(
        {"function": [{"id": "f", "name": "F", "code": "2", "updatedAt": "2026-11-20T10:31:07.123Z"}]}
    )
    return diff(Side(before), Side(after))


@pytest.mark.parametrize("state", list(LogState))
def test_whatever_the_log_answers_one_note_at_most_says_it(
    state: LogState, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(*_: Any, **__: Any) -> AuditLog:
        return AuditLog((), state, "" if state in (LogState.WHOLE, LogState.EMPTY) else "why")

    monkeypatch.setattr(who, "read_audit_log", answer)
    access = who.LogAccess(Connection("http://x.example", SecretText(OWNER)))
    found = run(who.attribute_diff(sides(), access, []))
    assert len(found.notes) == (0 if state is LogState.WHOLE else 1)
    assert (found.authors, found.passing) == ({}, ())


def test_a_log_that_was_cut_says_until_when_it_told(monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime(2026, 11, 20, 10, 31, 7, tzinfo=UTC)
    entry = AuditEntry("1", at, "update", "function", "f", "Ada")

    async def answer(*_: Any, **__: Any) -> AuditLog:
        return AuditLog((entry,), LogState.CUT, "more than 50,000 changes")

    monkeypatch.setattr(who, "read_audit_log", answer)
    access = who.LogAccess(Connection("http://x.example", SecretText(OWNER)))
    (note,) = run(who.attribute_diff(sides(), access, [])).notes
    assert "more than 50,000 changes, too many to read" in note
    assert "so it is unknown who changed what before 2026-11-20 10:31:07 UTC" in note


def test_certificates_that_cannot_be_used_are_reported_as_any_trouble(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise BackupError("no such certificates")

    monkeypatch.setattr(Connection, "open", fail)
    access = who.LogAccess(Connection("http://x.example", SecretText(OWNER)))
    (note,) = run(who.attribute_diff(sides(), access, [])).notes
    assert "could not be reached (no such certificates)" in note


def shown(text: Any) -> str:
    terminal = Terminal(width=100_000, color_system=None, record=True, file=None, quiet=False)
    with terminal.capture() as captured:
        terminal.print(text)
    return captured.get()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_text_on_one_line_in_every_report(text: str) -> None:
    changes = sides()
    author = Author(text, datetime(2026, 11, 20, tzinfo=UTC), key=text, way=text)
    found = Attribution({Key("function", "f"): (author,)}, (Passing(text, text, text, (author,)),))
    view = shown(changes_view(changes, found))
    assert not set(view) & {"\x1b", "\x07", "\x00", "\u202e", "\u2066", "\r", "\u2028"}
    assert sum(line.startswith("    by ") for line in view.splitlines()) == 1
    markdown = changes_markdown(changes, found)
    outside = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", markdown)
    assert "<script" not in outside.replace("<!-- ", "")
    assert "<img" not in outside
    page = changes_page(changes, who=found)
    assert not re.search(r"<(script>alert|img|iframe|base|meta http-equiv=refresh)", page)
    assert changes_document(changes, found)["changes"][0]["authors"][0]["who"] == text
