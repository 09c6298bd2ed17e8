"""`history --who`: each change names those who made it, over all snapshots, and what no snapshot saw is listed."""

import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from jitsu_backup import sync
from jitsu_backup.sandbox import Generation
from jitsu_backup.sandbox.state import User
from tests.support import OWNER, STAGING
from tests.test_diff_who import LOGGING, Workspace, workspace


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[Workspace]:
    with workspace(tmp_path) as made:
        made.change("PUT", "function/enrich-0001", {"code": "// one"})
        made.change("POST", "function", {"id": "gone", "name": "Gone", "code": "1"})
        made.change("DELETE", "function/gone")
        made.ask("backup", "acme-staging")
        link = next(row for row in made.state.links.values() if row.type == "push")
        made.change("DELETE", f"link?id={link.id}")
        made.ask("backup", "acme-staging")
        yield made


def told(acme: Workspace, *arguments: str) -> list[str]:
    done = acme.ask("history", *arguments, "--who")
    return re.sub(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", "WHEN", done.stdout + done.stderr).splitlines()


def test_each_change_names_its_authors_the_second_time_too(acme: Workspace) -> None:
    for _ in range(2):  # then from the cache
        lines = told(acme)
        changes = [at for at, line in enumerate(lines) if line[:2] in ("~ ", "- ")]
        assert [lines[at].split()[1:3] for at in changes] == [["removed", "link"], ["changed", "function"]]
        assert {lines[at + 1] for at in changes} == {"    by Owner (API, key key1) WHEN"}
        assert "Created and deleted between two snapshots (1)" in lines
        assert "  • function Gone, by Owner (API, key key1) WHEN" in [line.rstrip() for line in lines]


def test_a_selector_chooses_of_what_no_snapshot_saw_and_never_adds_to_it(acme: Workspace) -> None:
    assert not any("Gone" in line or "Created and deleted" in line for line in told(acme, "link/*"))
    assert any("function Gone" in line for line in told(acme, "function/*"))
    assert not any("function Gone" in line for line in told(acme, "--until", "7d"))


def test_json_and_markdown_name_them_too(acme: Workspace) -> None:
    done = acme.ask("--json", "history", "--who", "--markdown", "x.md")
    link, function, passing = map(json.loads, done.stdout.splitlines())
    assert [line["authors"][0]["who"] for line in (link, function, passing)] == ["Owner"] * 3
    assert (passing["change"], passing["name"], passing["workspace"]) == ("passing", "Gone", "acme-staging")
    assert function["last_saved"] == function["authors"][0]["at"]
    markdown = (acme.folder / "x.md").read_text()
    assert markdown.count("  - by `Owner` (API, key `key1`) 20") == 2
    assert "- `function` `Gone`, by `Owner`" in markdown
    plain = [json.loads(line) for line in acme.ask("--json", "history").stdout.splitlines()]
    assert len(plain) == 2
    assert "authors" not in plain[0]


def test_where_the_log_is_off_that_is_said_once_and_the_last_saving_stands_in(acme: Workspace) -> None:
    acme.state.audit.clear()
    for _ in range(2):  # then from the cache
        lines = told(acme)
        assert sum("it stays empty if" in line for line in lines) == 1
        assert lines.count("    last saved WHEN") == 1  # what is removed was never saved again
        assert not any(line.startswith("    by ") for line in lines)


def test_a_console_that_the_settings_do_not_name_is_reported_and_the_history_is_shown(
    acme: Workspace,
) -> None:
    acme.url = "http://127.0.0.1:9"
    lines = told(acme)
    assert sum("the audit log could not be read" in line for line in lines) == 1
    assert "    last saved WHEN" in lines


def test_how_long_an_absent_console_is_waited_for_can_be_said(acme: Workspace) -> None:
    acme.url = "http://127.0.0.1:9"
    assert sum("the audit log could not be read" in line for line in told(acme, "--retry-for", "1s")) == 1


def test_the_python_api_names_them_too(acme: Workspace) -> None:
    jitsu = sync.connect(acme.url, OWNER)
    (found,) = sync.history(str(acme.folder / "jitsu-backups"), "acme-staging", who=jitsu)
    assert [one.authors[0].who for step in found.steps for one in step.changes] == ["Owner", "Owner"]
    assert [one.name for one in found.passing] == ["Gone"]


def test_what_no_snapshot_saw_is_listed_although_nothing_else_changed(tmp_path: Path) -> None:
    with workspace(tmp_path) as acme:
        acme.change("POST", "function", {"id": "gone", "name": "Gone", "code": "1"})
        acme.change("DELETE", "function/gone")
        acme.ask("backup", "acme-staging")
        assert any("function Gone, by Owner" in line for line in told(acme))


def test_of_one_snapshot_nobody_is_asked(tmp_path: Path) -> None:
    with workspace(tmp_path, Generation.OCTOBER_2024) as acme:
        assert not any("audit log" in line for line in told(acme))


def test_a_restore_is_shown_as_such(acme: Workspace) -> None:
    acme.state.audit.clear()
    acme.ask("restore", "acme-staging/latest~2", "--yes", "--only", "function/Enrich")
    acme.ask("backup", "acme-staging")
    assert "    by Owner (restore by jitsu-backup, key key1) WHEN" in told(acme)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("generation", LOGGING)
def test_random_changes_by_several_people_are_each_told_of_who_made_them(
    tmp_path: Path, generation: Generation, seed: int
) -> None:
    dice = random.Random(seed)
    with workspace(tmp_path, generation) as acme:
        row = acme.state.workspaces[STAGING]
        keys = {}
        for name in ("Ada", "Bob", "Eve"):
            user = User(f"u-{name}", name, f"{name}@acme.example", f"key-{name}:secret-of-{name}-12345")
            acme.state.add_user(user)
            row.access[user.id] = "owner"
            keys[name] = user.api_key
        made: list[dict[str, list[str]]] = []
        number = 0
        for _ in range(3):
            deeds: dict[str, list[str]] = defaultdict(list)
            for _ in range(dice.randint(1, 5)):
                who, number = dice.choice(sorted(keys)), number + 1
                one = dice.choice(["enrich-0001", "web-0001", f"new-{number}"])
                if one.startswith("new"):
                    acme.change("POST", "function", {"id": one, "name": one, "code": "1"}, key=keys[who])
                elif one == "web-0001":
                    acme.change("PUT", f"stream/{one}", {"name": f"Site {number}"}, key=keys[who])
                else:
                    acme.change("PUT", f"function/{one}", {"code": f"// {number}"}, key=keys[who])
                deeds[one].append(who)
            made.append(deeds)
            acme.ask("backup", "acme-staging")
        lines = [json.loads(line) for line in acme.ask("--json", "history", "--who").stdout.splitlines()]
        steps: dict[str, dict[str, list[str]]] = defaultdict(dict)
        for line in lines:
            steps[line["after_snapshot"]["taken_at"] + line["after_snapshot"]["id"]][line["after_id"]] = [
                author["who"] for author in line["authors"]
            ]
        expected = [
            {one: list(dict.fromkeys(reversed(people))) for one, people in deeds.items()}
            for deeds in reversed(made)
        ]
        links = [
            {one: people for one, people in step.items() if one in {*expected[at]}}
            for at, step in enumerate(steps.values())
        ]
        assert links == expected


def test_of_two_consoles_each_is_asked_about_its_own(acme: Workspace) -> None:
    elsewhere = acme.folder / "elsewhere"
    elsewhere.mkdir()
    with workspace(elsewhere) as other:
        other.change("PUT", "function/enrich-0001", {"code": "// elsewhere"})
        other.ask("backup", "acme-staging")
        for archive in (elsewhere / "jitsu-backups").iterdir():
            (acme.folder / "jitsu-backups" / archive.name).write_bytes(archive.read_bytes())
        lines = [json.loads(line) for line in acme.ask("--json", "history", "--who").stdout.splitlines()]
        assert {(line["console"], len(line["authors"])) for line in lines if line["change"] != "passing"} == {
            (acme.url, 1),
            (other.url, 0),
        }
        (acme.folder / "jitsu-backup.toml").write_text(
            f'[profiles.there]\nhost = "{other.url}"\nworkspace = "acme-staging"\nkey = "{OWNER}"\n'
        )
        lines = [
            json.loads(line) for line in acme.ask("--json", "history", "@there", "--who").stdout.splitlines()
        ]
        assert all(len(line["authors"]) == 1 for line in lines)
